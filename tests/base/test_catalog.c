/* Translations: each takes what its text takes, and is found. */
#include "base/catalog.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ARGUMENTS = 12 };

/* What printf takes for each argument: "s", "lu", "f". "%2$s" names the second, "%s" the next. False: not a
 * format that this reads. */
struct taken {
    char types[ARGUMENTS][4];
    int count;
};

static bool take(struct taken *t, int at, const char *type, size_t size)
{
    if (at < 0 || at >= ARGUMENTS || size >= sizeof t->types[0])
        return false;
    if (t->types[at][0] && (strlen(t->types[at]) != size || strncmp(t->types[at], type, size) != 0))
        return false;
    memcpy(t->types[at], type, size);
    t->count = at >= t->count ? at + 1 : t->count;
    return true;
}

static bool read_format(const char *text, struct taken *t)
{
    int next = 0;
    *t = (struct taken){.count = 0};
    for (const char *p = strchr(text, '%'); p; p = strchr(p, '%')) {
        p++;
        if (*p == '%') {
            p++;
            continue;
        }
        char *behind;
        long place = strtol(p, &behind, 10);
        bool named = *behind == '$';
        p = named ? behind + 1 : p;
        p += strspn(p, "-+ #0123456789");
        if (*p == '.') {
            p++;
            if (*p == '*' && !take(t, next++, "d", 1))
                return false;
            p += *p == '*' ? 1 : strspn(p, "0123456789");
        }
        size_t n = strspn(p, "lhzjt");
        if (!take(t, named ? (int)place - 1 : next++, p, n + 1))
            return false;
        p += n + 1;
    }
    return true;
}

static void each_translation_takes_what_its_text_takes(void **state)
{
    (void)state;
    const char *text, *translation;
    size_t n = 0, formats = 0;
    for (; catalog_entry("ja", n, &text, &translation); n++) {
        struct taken wanted, is;
        if (!*text)
            continue; /* the catalog's header */
        if (!read_format(text, &wanted))
            continue; /* a per cent sign in prose */
        if (!read_format(translation, &is) || memcmp(&wanted, &is, sizeof is) != 0)
            fail_msg("\"%s\" and \"%s\" do not take the same", text, translation);
        formats += wanted.count > 0;
    }
    assert_true(n > 900);
    assert_true(formats > 350);
}

static void each_translation_is_found(void **state)
{
    (void)state;
    const char *text, *translation;
    assert_true(catalog_use("ja_JP.UTF-8"));
    assert_string_equal(catalog_language(), "ja");
    for (size_t n = 1; catalog_entry("ja", n, &text, &translation); n++) {
        assert_true(*translation);
        assert_string_equal(tr(text), translation);
    }
    assert_true(catalog_use("en"));
}

static void what_has_no_translation_stays_as_it_is(void **state)
{
    (void)state;
    static const char unknown[] = "nobody has translated this";
    assert_true(catalog_use("ja"));
    assert_ptr_equal(tr(unknown), unknown);
    assert_string_equal(tr(""), "");
    assert_true(catalog_use("en"));
}

static void errors_are_in_the_language_chosen(void **state)
{
    (void)state;
    struct err e = {0};
    assert_true(catalog_use("ja"));
    err_set(&e, ERR_NOT_FOUND, "%s can be had from Hugging Face.", "a/b");
    assert_string_equal(e.text, "a/b は Hugging Face から取得できます。");
    assert_true(catalog_use("en_GB.UTF-8"));
    err_set(&e, ERR_NOT_FOUND, "%s can be had from Hugging Face.", "a/b");
    assert_string_equal(e.text, "a/b can be had from Hugging Face.");
}

static void languages_are_asked_for_as_gettext_has_it(void **state)
{
    (void)state;
    static const struct {
        const char *language, *lc_all, *lc_messages, *lang, *asked;
        bool there;
    } cases[] = {
        {"", "", "", "", "en", true},
        {"", "", "", "ja_JP.UTF-8", "ja_JP.UTF-8", true},
        {"", "", "ja_JP.UTF-8", "en_US.UTF-8", "ja_JP.UTF-8", true},
        {"", "C", "ja_JP.UTF-8", "ja_JP.UTF-8", "en", true},
        {"ja", "C", "", "", "en", true},
        {"ja", "", "", "", "en", true},
        {"ja:en", "", "", "en_US.UTF-8", "ja:en", true},
        {"en", "ja_JP.UTF-8", "", "", "en", true},
        {"", "", "", "jam_JM", "jam_JM", false},
        {"", "", "", "de_DE.UTF-8", "de_DE.UTF-8", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("LANGUAGE", cases[i].language, 1);
        setenv("LC_ALL", cases[i].lc_all, 1);
        setenv("LC_MESSAGES", cases[i].lc_messages, 1);
        setenv("LANG", cases[i].lang, 1);
        assert_string_equal(catalog_asked(), cases[i].asked);
        assert_int_equal(catalog_use(catalog_asked()), cases[i].there);
        assert_string_equal(catalog_language(),
                            strncmp(cases[i].asked, "ja", 2) == 0 && cases[i].there ? "ja" : "en");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_translation_takes_what_its_text_takes),
        cmocka_unit_test(each_translation_is_found),
        cmocka_unit_test(what_has_no_translation_stays_as_it_is),
        cmocka_unit_test(errors_are_in_the_language_chosen),
        cmocka_unit_test(languages_are_asked_for_as_gettext_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
