#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void cut_mark(char *text, size_t room, int wanted)
{
    if (wanted >= (int)room)
        memcpy(text + room - 4, "...", 4);
}

bool err_set(struct err *e, enum err_kind kind, const char *format, ...)
{
    if (!e)
        return false;
    e->kind = kind;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    cut_mark(e->text, sizeof e->text, n);
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
    vsnprintf(where, sizeof where, format, args);
    va_end(args);
    int n = snprintf(e->text, sizeof e->text, "%s: %s", where, old);
    cut_mark(e->text, sizeof e->text, n);
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
    int n = vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    if (n >= 0 && n < (int)sizeof e->text)
        n += snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", strerror(number));
    cut_mark(e->text, sizeof e->text, n);
    return false;
}
