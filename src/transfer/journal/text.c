#include "transfer/journal/text.h"

#include "transfer/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool grow(struct text *t, size_t more)
{
    if (t->failed || more > JOURNAL_MAX_BYTES - t->size)
        return false;
    if (more <= t->room - t->size)
        return true;
    size_t room = t->room ? t->room : 256;
    while (room < t->size + more)
        room *= 2;
    char *bytes = realloc(t->bytes, room);
    if (!bytes)
        return false;
    t->bytes = bytes;
    t->room = room;
    return true;
}

void text_add(struct text *t, const char *bytes, size_t size)
{
    if (!grow(t, size)) {
        t->failed = true;
        return;
    }
    if (size)
        memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
}

void text_printf(struct text *t, const char *format, ...)
{
    char piece[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    if (n < 0 || n >= (int)sizeof piece)
        t->failed = true;
    else
        text_add(t, piece, (size_t)n);
}

void text_clear(struct text *t)
{
    free(t->bytes);
    *t = (struct text){0};
}
