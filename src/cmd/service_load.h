/* service_load.h: what GET /v1/load of a service says of its start (serve/server.h). */
#ifndef FERRY_CMD_SERVICE_LOAD_H
#define FERRY_CMD_SERVICE_LOAD_H

#include "base/arena.h"
#include "base/err.h"
#include "net/http.h"

#include <stdbool.h>

enum service_load_state { SERVICE_STARTING, SERVICE_LOADING, SERVICE_LOADED, SERVICE_LOAD_FAILED };

/* Milliseconds since the instance's process began; NAN: not said, or not yet. */
struct service_load {
    enum service_load_state state;
    double bytes, total;           /* of weights; total 0: not known yet */
    double text_bytes, text_total; /* of decoder and head, which a question in writing waits for */
    double elapsed_ms;             /* now, or when all was there */
    double headers_ms;             /* the headers of its files were read: weights can come */
    double layer_ms;               /* the first layer of the decoder was there */
    double first_token_ms; /* the first answer's first token was computed; NAN when it was asked later */
};

bool service_load_parse(const char *text, size_t size, struct service_load *out, struct err *e);

/* Now. q: how it is asked; base: a service's address as users write it. False with *e set: service_send's,
 * or it says something else (ERR_CORRUPT). */
bool service_load_get(struct http *h, const struct http_request *q, struct arena *a, const char *base,
                      struct service_load *out, struct err *e);

/* Once the load has ended. The request is held until then, which on Cloud Run keeps the instance's CPU. */
bool service_load_wait(struct http *h, const struct http_request *q, struct arena *a, const char *base,
                       struct service_load *out, struct err *e);

#endif
