/* Requests and answers on their way through a relay: read at once and in pieces they end at the same byte. */
#include "target/local/message.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Bytes of the body, in pieces of that size; SIZE_MAX: they break the coding. */
static size_t body_size(struct framing f, const char *bytes, size_t size, size_t piece)
{
    size_t at = 0, taken = 1;
    while (at < size && taken > 0 && !framing_done(&f)) {
        size_t n = size - at < piece ? size - at : piece;
        if (!framing_take(&f, bytes + at, n, &taken, NULL))
            return SIZE_MAX;
        check(taken <= n);
        at += taken;
    }
    return at;
}

static void take_body(const struct framing *f, const char *bytes, size_t size)
{
    size_t whole = body_size(*f, bytes, size, size + 1);
    for (size_t piece = 1; piece <= 3; piece++)
        check(body_size(*f, bytes, size, piece) == whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    size_t head = message_head_size(bytes, size);
    struct request_head q;
    struct reply_head a;
    struct err e = {0};
    check(head <= size);
    for (size_t n = 0; n < head; n++)
        check(message_head_size(bytes, n) == 0);
    if (head == 0)
        return 0;
    if (message_request(bytes, head, &q, &e)) {
        check(q.path >= bytes && q.path + q.path_size <= bytes + head);
        take_body(&q.body, bytes + head, size - head);
    } else {
        check(e.text[0] != 0);
    }
    for (int to_head = 0; to_head < 2; to_head++)
        if (message_reply(bytes, head, to_head, &a, NULL))
            take_body(&a.body, bytes + head, size - head);
    return 0;
}
