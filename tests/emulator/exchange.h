/* exchange.h: one request and its answer. One thread; everything in it lives until the answer is out.
 *
 * A route's begin sees the head: it may answer at once (the body is read away then), and says where the body
 * goes; its finish sees the whole and answers. */
#ifndef FERRY_EMULATOR_EXCHANGE_H
#define FERRY_EMULATOR_EXCHANGE_H

#include "api/api.h"
#include "base/arena.h"
#include "faults.h"
#include "service.h"
#include "world.h"

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;

enum { MAX_CAPTURES = 5, MAX_REPLY_HEADERS = 40, MAX_QUERY = 60, MEMORY_BODY = 8 << 20 };

struct route {
    const char *host;    /* "main" or "cdn" */
    const char *method;  /* "GET" stands for HEAD too */
    const char *pattern; /* "{}" takes one segment, a last "{*}" the rest; captures are decoded */
    void (*begin)(struct exchange *x); /* NULL: nothing to say to the head */
    void (*finish)(struct exchange *x);
};

struct pair {
    const char *name, *value;
};

enum sink { SINK_MEMORY, SINK_BLOB, SINK_SESSION, SINK_NOTHING };

struct body {
    enum sink sink;
    char *bytes; /* SINK_MEMORY; a NUL behind it */
    size_t size, room;
    struct blob *blob; /* SINK_BLOB: held until the exchange ends */
    struct session *session;
    int fd;
    uint64_t at;       /* where the next byte belongs */
    uint64_t skip;     /* bytes that a session has already */
    uint64_t taken;    /* bytes in the blob or the session's file from this request */
    uint64_t received; /* bytes that came at all */
    bool cut;          /* a fault took only the first of them */
};

/* A stretch of a file that is part of an answer. */
struct piece {
    char path[600];
    uint64_t offset, size;
};

struct answer {
    int status; /* 0: not answered yet */
    struct pair headers[MAX_REPLY_HEADERS];
    int header_count;
    const char *memory;   /* the body, or */
    struct piece *pieces; /* … where it lies */
    int piece_count;
    uint64_t size;
    struct object *object; /* held while its bytes go out */
    /* while it goes out */
    int fd, open_piece;
    uint64_t sent;
};

struct exchange {
    struct service *service;
    struct arena *arena;
    struct MHD_Connection *connection;
    int fd;
    const char *host;                         /* "main" or "cdn" */
    const char *method, *path, *query;        /* as sent */
    const char *origin;                       /* http:// and the Host header */
    struct api_argument arguments[MAX_QUERY]; /* decoded query */
    int argument_count;
    struct api_call call; /* id NULL: no method of an API that is described */
    json_t *json;         /* the body of such a call, or NULL */
    const char *invalid;  /* why it is not one that Google describes; NULL: it is, or is of no such API */
    json_t *headers;      /* lower-case name: value, secrets masked */
    const struct route *route;
    const char *captures[MAX_CAPTURES];
    json_t *fault;
    struct body body;
    struct answer answer;
};

/* --- the request --- */

/* A query argument, decoded; NULL: not there; "" : without value. */
const char *argument(const struct exchange *x, const char *name);
bool argument_number(const struct exchange *x, const char *name,
                     int64_t *out); /* false: not there, or no number */
const char *request_header(const struct exchange *x, const char *name);
const char *bearer_token(const struct exchange *x); /* NULL: none */
char *decode_percent(struct arena *a, const char *text, size_t size, bool plus);
char *encode_percent(struct arena *a, const char *text); /* all but letters, digits, "-._~" */
/* The request is not what Google's description has: remembered (the emulator ends badly then), and answered
 * with 400, with 404 when e says ERR_NOT_FOUND, unless it is answered already. */
void refuse_invalid(struct exchange *x, const struct err *e);
json_t *
body_json(struct exchange *x); /* an object, a new reference; NULL: neither that nor an empty body ({}) */

/* Sends the body to a new blob; held by the exchange. */
void body_to_blob(struct exchange *x);

/* --- the answer; the first wins --- */

void answer_header(struct exchange *x, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void answer_empty(struct exchange *x, int status);
void answer_json(struct exchange *x, int status, json_t *body); /* takes the reference */
void answer_text(struct exchange *x, int status, const char *type, const char *text);

/* Google's two shapes of an error. */
void fail_json(struct exchange *x, int status, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void fail_xml(struct exchange *x, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The bytes [0..total) that lie in these pieces, or of them what the Range header asks: 200, 206, 416. */
void answer_bytes(struct exchange *x, const struct piece *pieces, int count, uint64_t total);

char *time_text(struct arena *a, int64_t us);      /* 2026-11-23T19:57:57.123Z */
char *time_http(struct arena *a, int64_t seconds); /* Mon, 23 Nov 2026 19:57:57 GMT */

/* routes.c: the one that matches, captures filled in; NULL: none. */
const struct route *route_find(struct exchange *x);

#endif
