#include "net/content_range.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Digits up to 2^64 - 2: the last value means "not said". False, or past the digits. */
static bool take_number(const char **text, uint64_t *number)
{
    const char *p = *text;
    *number = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(*number, 10u, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*p - '0'), number))
            return false;
    }
    bool some = p != *text && *number != UINT64_MAX;
    *text = p;
    return some;
}

static bool take(const char **text, const char *what)
{
    size_t n = strlen(what);
    if (strncasecmp(*text, what, n) != 0)
        return false;
    *text += n;
    return true;
}

bool content_range_parse(const char *text, uint64_t *begin, uint64_t *size, uint64_t *total)
{
    uint64_t first, last, whole = UINT64_MAX;
    if (!text || !take(&text, "bytes ") || !take_number(&text, &first) || !take(&text, "-") ||
        !take_number(&text, &last) || !take(&text, "/"))
        return false;
    if (!take(&text, "*") && !take_number(&text, &whole))
        return false;
    if (*text || first > last || last >= whole)
        return false;
    *begin = first;
    *size = last - first + 1;
    *total = whole;
    return true;
}

bool range_held_parse(const char *text, uint64_t *held)
{
    uint64_t last;
    if (!text) {
        *held = 0;
        return true;
    }
    if (!take(&text, "bytes=0-") || !take_number(&text, &last) || *text)
        return false;
    *held = last + 1;
    return true;
}
