/* sse.h: server-sent events out of bytes as they arrive (WHATWG HTML standard, section 9.2.6).
 *
 * Any split of the stream gives the same events. Lines end in LF, CR or CRLF; comments, "retry" and "id" are
 * passed over; an event that the stream's end cuts off is dropped, as the standard says. One thread. */
#ifndef FERRY_NET_SSE_H
#define FERRY_NET_SSE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct sse;

struct sse_event {
    const char *name; /* "message" unless the stream says otherwise */
    const char *data; /* lines joined by LF, with a NUL behind it */
    size_t size;
};

/* What is done with each event; false with *e set ends the reading. The event is the parser's and lives
 * until the call returns. */
typedef bool (*sse_fn)(void *arg, const struct sse_event *event, struct err *e);

/* ceiling: the most bytes one event (and one line) may have. NULL with *e set when memory is short. */
struct sse *sse_new(size_t ceiling, sse_fn fn, void *arg, struct err *e);
void sse_free(struct sse *s); /* NULL is fine */

/* The next bytes. False with *e set: an event over the ceiling (ERR_LIMIT), no memory, or what fn said;
 * nothing may be pushed after that. */
bool sse_push(struct sse *s, const char *bytes, size_t size, struct err *e);

#endif
