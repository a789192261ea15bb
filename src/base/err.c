#include "base/err.h"

#include "base/catalog.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Keeps the promise of one line of UTF-8 whatever names and bytes a message quotes, and marks a cut. */
static void tidy(char *text, size_t room, int wanted)
{
    bool cut = wanted >= (int)room;
    size_t end = room - sizeof "...";
    for (size_t i = 0; text[i];) {
        int n = utf8_length(text + i);
        if (cut && i + (size_t)(n ? n : 1) > end) {
            memcpy(text + i, "...", sizeof "...");
            return;
        }
        if (n == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?';
        i += (size_t)(n ? n : 1);
    }
}

bool err_set(struct err *e, enum err_kind kind, const char *format, ...)
{
    if (!e)
        return false;
    e->kind = kind;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(e->text, sizeof e->text, tr(format), args);
    va_end(args);
    tidy(e->text, sizeof e->text, n);
    return false;
}

bool err_wrap(struct err *e, const char *format, ...)
{
    if (!e)
        return false;
    char old[sizeof e->text], where[sizeof e->text];
    memcpy(old, e->text, sizeof old);
    va_list args;
    va_start(args, format);
    vsnprintf(where, sizeof where, tr(format), args);
    va_end(args);
    int n = snprintf(e->text, sizeof e->text, "%s: %s", where, old);
    tidy(e->text, sizeof e->text, n);
    return false;
}

bool err_errno(struct err *e, const char *format, ...)
{
    int number = errno;
    if (!e)
        return false;
    e->kind = number == ENOENT ? ERR_NOT_FOUND : number == ENOMEM ? ERR_MEMORY : ERR_IO;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(e->text, sizeof e->text, tr(format), args);
    va_end(args);
    if (n >= 0 && n < (int)sizeof e->text)
        n += snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", strerror(number));
    tidy(e->text, sizeof e->text, n);
    return false;
}
