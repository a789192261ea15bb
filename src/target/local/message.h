/* message.h: where an HTTP/1 message ends (RFC 9112), and the little that a relay must know of its head.
 * Bytes are passed on as they are, so nothing is decoded.
 *
 * Strict where two readers could see two different messages: bare CR or LF, space before a colon, folded
 * lines, Content-Length twice or beside Transfer-Encoding, another coding than chunked are all refused.
 * Stateless but for struct framing; one thread. */
#ifndef FERRY_TARGET_LOCAL_MESSAGE_H
#define FERRY_TARGET_LOCAL_MESSAGE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MESSAGE_HEAD_BYTES = 32 << 10 }; /* a longer head is refused */

enum framing_kind { FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_UNTIL_CLOSE };

/* How a body ends, and how far it is. */
struct framing {
    enum framing_kind kind;
    uint64_t left; /* of the body, or of the chunk */
    int state;     /* of the chunked coding */
    unsigned line; /* bytes of the chunk's line or of trailers so far */
};

struct request_head {
    bool head;          /* the method is HEAD */
    bool get;           /* GET */
    bool keep_alive;    /* the client lets the connection stay */
    bool asks_to_go_on; /* Expect: 100-continue */
    const char *path;   /* in the bytes that were parsed; up to ? */
    size_t path_size;
    struct framing body;
};

struct reply_head {
    int status;
    bool keep_alive; /* the server lets the connection stay */
    struct framing body;
};

/* The size of the head in front of bytes, with its empty line; 0: it is not complete yet. */
size_t message_head_size(const char *bytes, size_t size);

/* bytes: a whole head. False with *e set: what is wrong (ERR_CORRUPT), or not spoken here
 * (ERR_UNSUPPORTED). */
bool message_request(const char *bytes, size_t size, struct request_head *h, struct err *e);

/* to_head: it answers a HEAD request, and so has no body. Of 1xx too. */
bool message_reply(const char *bytes, size_t size, bool to_head, struct reply_head *h, struct err *e);

/* How many of these bytes belong to the body; what is behind belongs to the next message. False with *e set:
 * they break the coding. */
bool framing_take(struct framing *f, const char *bytes, size_t size, size_t *taken, struct err *e);

/* Nothing more belongs to it. Never true of FRAMING_UNTIL_CLOSE. */
bool framing_done(const struct framing *f);

#endif
