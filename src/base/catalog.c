#include "base/catalog.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern const char catalog_ja[];
extern const size_t catalog_ja_bytes;

/* An .mo file (gettext's manual, "The Format of GNU MO Files"): a header, a table of the texts in the order
 * of strcmp, a table of the translations. msgfmt has written it for this machine's byte order. */
struct catalog {
    const char *language;
    const char *bytes;
    const size_t *size;
};

static const struct catalog catalogs[] = {{"ja", catalog_ja, &catalog_ja_bytes}};

enum { HEADER_COUNT = 8, HEADER_TEXTS = 12, HEADER_TRANSLATIONS = 16, ROW_BYTES = 8 };

static const struct catalog *chosen; /* NULL: English */

static uint32_t word(const struct catalog *c, size_t at)
{
    uint32_t value;
    memcpy(&value, c->bytes + at, sizeof value);
    return value;
}

/* The text of row i of a table; a row is its length and its offset. */
static const char *row(const struct catalog *c, size_t table, size_t i)
{
    return c->bytes + word(c, word(c, table) + i * ROW_BYTES + 4);
}

static const char *find(const struct catalog *c, const char *text)
{
    size_t low = 0, high = word(c, HEADER_COUNT);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(text, row(c, HEADER_TEXTS, middle));
        if (order == 0)
            return row(c, HEADER_TRANSLATIONS, middle);
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return text;
}

const char *tr(const char *text)
{
    return chosen && *text ? find(chosen, text) : text; /* "" stands for the catalog's own header */
}

static const struct catalog *of_language(const char *language)
{
    size_t n = strcspn(language, "_.@:");
    for (size_t i = 0; i < sizeof catalogs / sizeof *catalogs; i++)
        if (strlen(catalogs[i].language) == n && strncmp(catalogs[i].language, language, n) == 0)
            return &catalogs[i];
    return NULL;
}

bool catalog_use(const char *language)
{
    chosen = of_language(language);
    return chosen || strncmp(language, "en", 2) == 0;
}

const char *catalog_language(void)
{
    return chosen ? chosen->language : "en";
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

const char *catalog_asked(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    const char *locale = NULL, *languages = variable("LANGUAGE");
    for (size_t i = 0; i < sizeof names / sizeof *names && !locale; i++)
        locale = variable(names[i]);
    if (!locale || strcmp(locale, "C") == 0 || strcmp(locale, "POSIX") == 0)
        return "en";
    return languages ? languages : locale;
}

bool catalog_entry(const char *language, size_t n, const char **text, const char **translation)
{
    const struct catalog *c = of_language(language);
    if (!c || n >= word(c, HEADER_COUNT))
        return false;
    *text = row(c, HEADER_TEXTS, n);
    *translation = row(c, HEADER_TRANSLATIONS, n);
    return true;
}
