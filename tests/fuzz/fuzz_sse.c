/* Any bytes as an event stream: whole and in pieces give the same events and the same end. The first byte
 * chooses where the pieces are cut. */
#include "net/sse.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct heard {
    uint64_t hash; /* of all names and data, FNV-1a */
    int events;
};

static void mix(struct heard *h, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        h->hash = (h->hash ^ (unsigned char)bytes[i]) * 1099511628211u;
}

static bool hear(void *arg, const struct sse_event *event, struct err *e)
{
    struct heard *h = arg;
    (void)e;
    h->events++;
    mix(h, event->name, strlen(event->name) + 1);
    mix(h, event->data, event->size + 1);
    return true;
}

static bool read_stream(const char *bytes, size_t size, size_t piece, struct heard *h)
{
    struct err e = {0};
    struct sse *s = sse_new(64, hear, h, &e);
    bool ok = s != NULL;
    for (size_t at = 0; ok && at < size; at += piece)
        ok = sse_push(s, bytes + at, size - at < piece ? size - at : piece, &e);
    sse_free(s);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heard whole = {0}, pieces = {0};
    if (size < 2)
        return 0;
    const char *bytes = (const char *)data + 1;
    bool a = read_stream(bytes, size - 1, size, &whole);
    bool b = read_stream(bytes, size - 1, data[0] % 7 + 1, &pieces);
    if (a != b || whole.events != pieces.events || whole.hash != pieces.hash)
        abort();
    return 0;
}
