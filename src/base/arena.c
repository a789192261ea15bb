#include "base/arena.h"

#include "base/checked.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64 << 10, ALIGN = 16 };

struct block {
    struct block *next;
    size_t used, size;
    _Alignas(ALIGN) unsigned char bytes[];
};

struct arena {
    struct block *blocks; /* newest first */
    size_t ceiling, used;
};

struct arena *arena_new(size_t ceiling)
{
    struct arena *a = calloc(1, sizeof *a);
    if (a)
        a->ceiling = ceiling;
    return a;
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    for (struct block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
    size_t n;
    if (!checked_mul(count, size, &n) || n > a->ceiling - a->used)
        return NULL;
    size_t room;
    if (!checked_add(n ? n : 1, ALIGN - 1, &room))
        return NULL;
    room -= room % ALIGN;
    struct block *b = a->blocks;
    if (!b || b->size - b->used < room) {
        size_t bytes = room > BLOCK_BYTES / 4 ? room : BLOCK_BYTES, total;
        if (!checked_add(bytes, sizeof *b, &total) || !(b = calloc(1, total)))
            return NULL;
        b->size = bytes;
        b->next = a->blocks;
        a->blocks = b;
    }
    void *p = b->bytes + b->used;
    b->used += room;
    a->used += n;
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *copy = arena_alloc(a, n + 1, 1);
    if (copy && n)
        memcpy(copy, s, n);
    return copy;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *s = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1, 1);
    if (s)
        vsnprintf(s, (size_t)n + 1, format, again);
    va_end(again);
    return s;
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}
