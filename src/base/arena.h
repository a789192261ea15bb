/* arena.h: memory with one lifetime. In a signature it means "what I return lives as long as this".
 * One thread at a time. Blocks are 16-byte aligned and zeroed. */
#ifndef FERRY_BASE_ARENA_H
#define FERRY_BASE_ARENA_H

#include <stddef.h>

struct arena;

/* ceiling: the most bytes it will ever hand out; beyond that arena_alloc answers NULL. NULL: no memory. */
struct arena *arena_new(size_t ceiling);
void arena_free(struct arena *a); /* NULL is fine */

/* count * size bytes, checked for overflow. NULL when over the ceiling or out of memory. */
void *arena_alloc(struct arena *a, size_t count, size_t size);
char *arena_strndup(struct arena *a, const char *s, size_t n); /* with a NUL behind it */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

size_t arena_used(const struct arena *a); /* bytes handed out */

#endif
