/* stop.h: stop strings over a text that comes in pieces.
 *
 * Text that may be the beginning of a stop string is held back until it is clear that it is not; what was
 * handed out never has to be taken back. The text ends in front of the stop string that is complete first
 * (of those complete at the same byte: the longest), so where it was cut into pieces makes no difference.
 *
 *   n = stop_push(m, text, size, out, &stopped);      out: room for stop_room(m, size) bytes
 *   … until stopped, or at the end of the text:
 *   n = stop_finish(m, out);                          what was still held back
 *
 * Whole characters in, whole characters out. One matcher per text; one thread. */
#ifndef FERRY_ENGINE_STOP_H
#define FERRY_ENGINE_STOP_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { STOP_MAX_STRINGS = 16, STOP_MAX_BYTES = 4096 /* of one string */ };

struct stop_matcher;

/* strings: [count] NUL-terminated UTF-8, copied; count 0 is fine and stops nothing. NULL with *e set: too
 * many, an empty or too long one, no memory. */
struct stop_matcher *stop_new(const char *const *strings, int count, struct err *e);
void stop_free(struct stop_matcher *m); /* NULL is fine */

/* The text that is settled by these bytes: appended to out, the count returned. *stopped: a stop string is
 * complete; the rest of the text and all that follows is dropped. */
size_t stop_push(struct stop_matcher *m, const char *text, size_t size, char *out, bool *stopped);
size_t stop_finish(struct stop_matcher *m, char *out);

/* Most bytes that a push of `size` bytes, or a finish (size 0), writes. */
size_t stop_room(const struct stop_matcher *m, size_t size);

#endif
