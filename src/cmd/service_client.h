/* service_client.h: the HTTP side of a service, Ferry's or another's that speaks OpenAI's API. */
#ifndef FERRY_CMD_SERVICE_CLIENT_H
#define FERRY_CMD_SERVICE_CLIENT_H

#include "base/arena.h"
#include "base/err.h"
#include "net/http.h"

#include <jansson.h>

/* Whether it begins like an address. */
bool service_is_url(const char *text);

/* False with *e (ERR_USAGE) set for a name or password in it, which would end up in process lists and shell
 * histories. */
bool service_check_url(const char *url, struct err *e);

/* base + "/v1/" + path, in the arena: base may end in slashes or /v1, so that every spelling of a service's
 * address works. NULL: no memory. */
char *service_endpoint(struct arena *a, const char *base, const char *path);

/* base + "/" + path, of what lies beside /v1. */
char *service_page(struct arena *a, const char *base, const char *path);

/* True when the answer is a 2xx. Else *e says what the service did: OpenAI's message when there is one. 401
 * and 403 are ERR_AUTH, 404 is ERR_NOT_FOUND, 429, 502 and 503 are ERR_BUSY. */
bool service_send(struct http *h, const struct http_request *q, struct http_reply *r, struct err *e);

/* A GET of q->url, of at most 1 MiB. A new reference; NULL with *e set: service_send's, or no JSON. */
json_t *service_get(struct http *h, const struct http_request *q, struct err *e);

#endif
