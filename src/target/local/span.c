#include "target/local/span.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

size_t span_size(const struct span *s)
{
    return s->end - s->begin;
}

const char *span_at(const struct span *s)
{
    return s->bytes + s->begin;
}

bool span_is_full(const struct span *s)
{
    return span_size(s) == SPAN_BYTES;
}

void span_clear(struct span *s)
{
    free(s->bytes);
    *s = (struct span){0};
}

void span_drop(struct span *s, size_t n)
{
    s->begin += n;
    if (s->begin == s->end)
        s->begin = s->end = 0;
}

void span_keep(struct span *s, size_t n)
{
    s->end = s->begin + n;
    span_drop(s, 0);
}

/* At least n bytes of room behind the bytes, where they fit at all. False: no memory. */
static bool make_room(struct span *s, size_t n)
{
    if (!s->bytes && !(s->bytes = malloc(SPAN_BYTES)))
        return false;
    if (SPAN_BYTES - s->end < n) {
        memmove(s->bytes, s->bytes + s->begin, span_size(s));
        s->end -= s->begin;
        s->begin = 0;
    }
    return true;
}

bool span_add(struct span *s, const char *bytes, size_t size)
{
    if (size > SPAN_BYTES - span_size(s) || !make_room(s, size))
        return false;
    memcpy(s->bytes + s->end, bytes, size);
    s->end += size;
    return true;
}

static enum span_result failed(void)
{
    return errno == EAGAIN || errno == EINTR ? SPAN_BLOCKED : SPAN_BROKEN;
}

enum span_result span_read(struct span *s, int fd)
{
    if (!make_room(s, 1))
        return SPAN_BROKEN;
    ssize_t n = recv(fd, s->bytes + s->end, SPAN_BYTES - s->end, 0);
    if (n < 0)
        return failed();
    s->end += (size_t)n;
    return n > 0 ? SPAN_MOVED : SPAN_ENDED;
}

enum span_result span_write(struct span *s, size_t *n, int fd)
{
    while (*n > 0) {
        ssize_t sent = send(fd, span_at(s), *n, MSG_NOSIGNAL);
        if (sent < 0)
            return failed();
        span_drop(s, (size_t)sent);
        *n -= (size_t)sent;
    }
    return SPAN_MOVED;
}
