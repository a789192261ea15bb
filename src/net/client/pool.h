/* pool.h: the client's connections: one libcurl handle for each request under way, kept afterwards with its
 * connection for the next request to the same origin. Any thread. */
#ifndef FERRY_NET_CLIENT_POOL_H
#define FERRY_NET_CLIENT_POOL_H

#include "base/err.h"
#include "net/curl_api.h"

#include <signal.h>

struct pool;

/* api must outlive it. NULL with *e set when memory is short. */
struct pool *pool_open(const struct curl_api *api, struct err *e);
void pool_close(struct pool *p);               /* no request may be under way; NULL is fine */
void pool_limit(struct pool *p, int per_host); /* 0: none */

/* A handle for one request to that origin (url.h), options at their defaults; last used for the same origin
 * if one is idle. Waits while the limit is reached. NULL with *e set: no memory, or *stop (may be NULL). */
struct line *pool_borrow(struct pool *p, const char *origin, const volatile sig_atomic_t *stop,
                         struct err *e);
CURL *line_handle(const struct line *l);
/* The options are forgotten, the connection stays. */
void pool_return(struct pool *p, struct line *l);

#endif
