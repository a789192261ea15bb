/* call.h: one HTTP request and its reply, passed between threads.
 *
 *   HTTP thread      receives the body, suspends the connection, hands the call to a worker
 *   worker, engine   answer: call_reply, or call_stream_begin, call_stream_event …, call_stream_end
 *   HTTP thread      is woken by that, sends
 *
 * Counted references: the HTTP side has one until the request is completed, whoever answers has one
 * (call_hold, call_drop). What the answering side writes after the client is gone goes nowhere. */
#ifndef FERRY_SERVE_HTTP_CALL_H
#define FERRY_SERVE_HTTP_CALL_H

#include "serve/api_error.h"
#include "serve/config/live.h"
#include "serve/http/bytes.h"
#include "serve/parse/multipart.h"
#include "serve/scheduler.h"

#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

struct route;
struct server;

enum call_phase {
    CALL_RECEIVING, /* HTTP thread only */
    CALL_WORKING,   /* connection suspended, nothing answered yet */
    CALL_REPLIED,   /* status, type and reply are set */
    CALL_STREAMING,
    CALL_STREAMED, /* nothing more is coming */
};

struct call {
    struct server *server;
    const struct route *route; /* NULL: none matches */
    char *url;                 /* of the request line, NUL-terminated; lives as long as the call */
    struct MHD_Connection *connection;
    int fd;
    _Atomic int references;
    double begun_ms;
    const char *allow; /* for a 405: the methods there are */
    bool counted;      /* in server's working */
    char trace[33];    /* 32 hex digits, or "" */

    /* what came; the HTTP thread's, then the worker's */
    struct bytes body;
    size_t body_bytes;                 /* counted in the server's budget */
    char boundary[MULTIPART_BOUNDARY]; /* of multipart bodies */
    struct api_error refusal;          /* refused while receiving; kind ERR_NONE: not */

    pthread_mutex_t mutex; /* guards the rest */
    enum call_phase phase;
    bool suspended, gone;
    bool left; /* gone before all was answered */
    int status;
    const char *type;   /* a constant */
    const char *policy; /* of a page: Content-Security-Policy, a constant; else NULL */
    struct bytes reply; /* whole reply, or what of the stream is not sent yet, from sent on */
    size_t sent;
    void (*on_gone)(void *arg);
    void *gone_arg;
    struct generation_stats stats; /* for the log line */
    struct config_version *config; /* held; NULL: none counts for it. Stays once the worker has the call */
};

struct call *call_new(struct server *s, struct MHD_Connection *c, const char *url);
void call_hold(struct call *c);
void call_drop(struct call *c);

/* ---- the answering side, any thread ---- */

/* The whole reply; body is copied. Ignored when there is a reply already. */
void call_reply(struct call *c, int status, const char *type, const char *body, size_t size);
/* A page, and what may run in it. */
void call_reply_page(struct call *c, const char *page, size_t size, const char *policy);
void call_reply_json(struct call *c, int status,
                     json_t *body); /* takes the reference; NULL: no memory, 500 */

/* The error as a reply, or as the last event of a stream that has begun. */
void call_fail(struct call *c, const struct api_error *e);

void call_stream_begin(struct call *c);
void call_stream_event(struct call *c, json_t *event);      /* "data: …\n\n"; takes the reference */
void call_stream_comment(struct call *c, const char *text); /* ": …\n\n", which clients pass over */
void call_stream_end(struct call *c, const char *last);     /* last: "data: [DONE]\n\n", or "" */

/* fn(arg) once when the client goes away, perhaps before this returns; fn must be quick and not call back.
 * NULL takes it back: when that returns fn is not running and will not be called. */
void call_on_gone(struct call *c, void (*fn)(void *arg), void *arg);
bool call_is_gone(struct call *c);
bool call_has_left(struct call *c); /* went away before all was answered */

/* The configuration in force from now on for this call; the call holds it. Before anything is answered. */
void call_set_config(struct call *c, struct config_version *v);

void call_note_stats(struct call *c, const struct generation_stats *s); /* adds up */

/* ---- the HTTP thread ---- */

/* The client went away; also any thread that saw it. */
void call_gone(void *call);

bool call_is_answered(struct call *c); /* there is something to send */

/* Suspends the connection until something is answered. */
void call_wait(struct call *c);

/* The response for a call that was answered; the caller queues and destroys it. NULL: no memory. */
struct MHD_Response *call_response(struct call *c);

json_t *api_error_json(const struct api_error *e); /* {"error": …} */

#endif
