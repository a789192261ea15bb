#include "net/parse/rate_limit.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { DAY = 86400 };

/* Past a quoted string, or where the text ends in the middle of one. */
static const char *skip_quoted(const char *p)
{
    for (p++; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1])
            p++;
    }
    return *p ? p + 1 : p;
}

/* The next ";" or "," outside quotes, or the end. */
static const char *field_end(const char *p)
{
    while (*p && *p != ';' && *p != ',')
        p = *p == '"' ? skip_quoted(p) : p + 1;
    return p;
}

/* ";r=0" with spaces around: its number, at most a day; -1: another name, or no number. */
static int parameter(const char *p, const char *end, char name)
{
    int number = 0;
    while (p < end && *p == ' ')
        p++;
    if (end - p < 3 || p[0] != name || p[1] != '=')
        return -1;
    for (p += 2; p < end && *p >= '0' && *p <= '9'; p++)
        number = number > DAY ? DAY : number * 10 + (*p - '0');
    while (p < end && *p == ' ')
        p++;
    return p == end ? (number > DAY ? DAY : number) : -1;
}

/* One limit, up to its "," or the end. */
static const char *read_limit(const char *p, int *left, int *seconds)
{
    *left = *seconds = -1;
    for (p = field_end(p); *p == ';';) {
        const char *begin = p + 1;
        p = field_end(begin);
        int r = parameter(begin, p, 'r'), t = parameter(begin, p, 't');
        *left = r >= 0 ? r : *left;
        *seconds = t >= 0 ? t : *seconds;
    }
    return p;
}

int rate_limit_seconds(const char *text)
{
    int longest = 0;
    while (text && *text) {
        int left, seconds;
        text = read_limit(text, &left, &seconds);
        if (left == 0 && seconds > longest)
            longest = seconds;
        if (*text)
            text++;
    }
    return longest;
}
