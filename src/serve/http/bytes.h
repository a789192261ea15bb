/* bytes.h: struct bytes, a run of bytes that grows up to a ceiling given with each addition. */
#ifndef FERRY_SERVE_HTTP_BYTES_H
#define FERRY_SERVE_HTTP_BYTES_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed is empty. */
struct bytes {
    char *data;
    size_t size, room;
};

/* False, and nothing changed, when it would grow over the ceiling or memory is short. */
bool bytes_add(struct bytes *b, const void *data, size_t size, size_t ceiling);
void bytes_clear(struct bytes *b);

#endif
