/* state.h: the server as its parts see it: routes, the two endpoints that generate, the connection handler.
 */
#ifndef FERRY_SERVE_HTTP_STATE_H
#define FERRY_SERVE_HTTP_STATE_H

#include "serve/config/live.h"
#include "serve/config/poller.h"
#include "serve/http/call.h"
#include "serve/http/load_feed.h"
#include "serve/http/metrics.h"
#include "serve/http/watch.h"
#include "serve/http/worker.h"
#include "serve/scheduler.h"
#include "serve/server.h"

#include <stdatomic.h>

struct server {
    struct server_options opt; /* defaults filled in; strings copied */
    char fingerprint[96];      /* system_fingerprint: version and math mode */
    int port, listen_fd;       /* listen_fd -1 once MHD has it */
    struct MHD_Daemon *daemon;
    struct watch *watch;
    struct worker *worker;
    struct metrics *metrics;
    struct live *live; /* NULL: no live configuration; then there is no poller either */
    struct poller *poller;
    struct load_feed *feed;             /* NULL: nobody tells of the load */
    struct scheduler *scheduler;        /* set before model */
    struct loaded_model *_Atomic model; /* NULL until server_set_model */
    _Atomic bool stopping;
    bool stopped;
    _Atomic size_t body_bytes; /* of all bodies in memory */
    _Atomic int working;       /* calls handed to the worker and not completed */
    _Atomic int connections;
};

enum route_body { BODY_NONE, BODY_JSON, BODY_MULTIPART };

/* answer runs on the HTTP thread for BODY_NONE, else, and where the model is needed and not there yet, on the
 * worker's, with the model there. It either replies, or takes a reference and sees to it that someone will.
 */
struct route {
    const char *name; /* label of logs and metrics */
    const char *method, *path;
    bool prefix; /* path is the beginning of what matches */
    bool open;   /* without key */
    enum route_body body;
    void (*answer)(struct call *c);
    bool configured;  /* the live configuration counts for it */
    bool needs_model; /* held until it is there */
    bool probe;       /* no news for the log */
};

/* The route of a request; NULL with *e filled (404; 405 with *allow set to the methods that exist). */
const struct route *route_find(const char *method, const char *url, const char **allow, struct api_error *e);

/* The model is there, with all its weights. */
bool server_is_loaded(const struct server *s);
/* What to tell who comes too early: "the model is not loaded yet (43 %, …); …". */
void refuse_loading(const struct server *s, struct api_error *e);
/* What to tell who comes too late: that it is stopping, or why the model did not load. */
void refuse_stopping(const struct server *s, struct api_error *e);

void answer_load(struct call *c);          /* load.c */
void answer_chat(struct call *c);          /* completion.c */
void answer_transcription(struct call *c); /* transcription.c */

/* What both need. */
void random_bytes(void *out, size_t size);
void random_id(char *out, size_t size, const char *prefix); /* prefix and 24 hex digits */
void call_forget_body(struct call *c); /* frees it and gives its bytes back to the budget */

#endif
