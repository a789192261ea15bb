/* span.h: bytes on their way from one socket to another, at most SPAN_BYTES. Memory is taken with the first
 * byte and given back by span_clear, so that a connection at rest holds none. One thread. */
#ifndef FERRY_TARGET_LOCAL_SPAN_H
#define FERRY_TARGET_LOCAL_SPAN_H

#include "target/local/message.h"

#include <stdbool.h>
#include <stddef.h>

enum { SPAN_BYTES = MESSAGE_HEAD_BYTES };

struct span {
    char *bytes; /* NULL: nothing is there */
    size_t begin, end;
};

enum span_result { SPAN_MOVED, SPAN_BLOCKED, SPAN_ENDED, SPAN_BROKEN };

size_t span_size(const struct span *s);
const char *span_at(const struct span *s);
bool span_is_full(const struct span *s);
void span_drop(struct span *s, size_t n); /* the first n bytes */
void span_keep(struct span *s, size_t n); /* only those */
void span_clear(struct span *s);

/* Appends as much as fits; false: it does not fit, or no memory. */
bool span_add(struct span *s, const char *bytes, size_t size);

/* Appends what the socket has. ENDED: nothing more will come. BROKEN: an error, or no memory. */
enum span_result span_read(struct span *s, int fd);

/* Sends the first n bytes, as far as the socket takes them, and drops those; *n becomes what is left. */
enum span_result span_write(struct span *s, size_t *n, int fd);

#endif
