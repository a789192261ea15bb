#include "xml.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    char plain;
    const char *escaped;
} entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&apos;"}};

enum { ENTITIES = sizeof entities / sizeof *entities };

char *xml_escape(struct arena *a, const char *text)
{
    char *out = arena_alloc(a, strlen(text) * 6 + 1, 1), *to = out;
    for (; *text; text++) {
        int i = 0;
        while (i < ENTITIES && entities[i].plain != *text)
            i++;
        if (i < ENTITIES)
            to += sprintf(to, "%s", entities[i].escaped);
        else
            *to++ = *text;
    }
    return out;
}

void text_add(struct text *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t more = (size_t)vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (t->size + more + 1 > t->room) {
        t->room = (t->size + more + 1) * 2;
        t->bytes = realloc(t->bytes, t->room);
        if (!t->bytes)
            abort();
    }
    vsnprintf(t->bytes + t->size, more + 1, format, again);
    va_end(again);
    t->size += more;
}

/* What stands between <name> and </name>, from *at on, which moves behind it. NULL: not there. */
static char *element(struct arena *a, const char **at, const char *name)
{
    char open[40], close[40];
    snprintf(open, sizeof open, "<%s>", name);
    snprintf(close, sizeof close, "</%s>", name);
    const char *begin = strstr(*at, open), *end = begin ? strstr(begin, close) : NULL;
    if (!end)
        return NULL;
    begin += strlen(open);
    *at = end + strlen(close);
    return arena_strndup(a, begin, (size_t)(end - begin));
}

static void unescape(char *text)
{
    char *to = text;
    while (*text) {
        int i = 0;
        while (i < ENTITIES && strncmp(text, entities[i].escaped, strlen(entities[i].escaped)) != 0)
            i++;
        if (i < ENTITIES) {
            *to++ = entities[i].plain;
            text += strlen(entities[i].escaped);
        } else {
            *to++ = *text++;
        }
    }
    *to = 0;
}

static bool read_part(struct arena *a, const char *text, struct xml_part *p)
{
    const char *from = text, *again = text;
    char *number = element(a, &from, "PartNumber"), *etag = element(a, &again, "ETag"), *end;
    if (!number || !etag)
        return false;
    unescape(etag);
    p->number = (int)strtol(number, &end, 10);
    snprintf(p->etag, sizeof p->etag, "%s", etag);
    return end != number && !*end;
}

struct xml_part *xml_parts(struct arena *a, const char *text, size_t size, int most, int *count)
{
    struct xml_part *parts = arena_alloc(a, (size_t)most, sizeof *parts);
    const char *at = arena_strndup(a, text, size);
    if (!strstr(at, "<CompleteMultipartUpload") || !strstr(at, "</CompleteMultipartUpload>"))
        return NULL;
    *count = 0;
    for (char *part; (part = element(a, &at, "Part"));)
        if (*count == most || !read_part(a, part, &parts[(*count)++]))
            return NULL;
    return parts;
}
