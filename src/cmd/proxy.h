/* proxy.h: the parts of `ferry proxy`: a local port whose requests go on to a service, with what it wants of
 * its callers.
 *
 *   connection's thread (libmicrohttpd)   takes head and body; waits for the answer, passes on what has come
 * of it request's thread                      sends it (net/http.h), puts the answer into a window of 64 KiB
 *
 * A body is kept in a file without a name until it is whole, so that it costs no memory and can be sent a
 * second time when the identity is refused. An answer is never kept: who reads slowly slows the service down.
 */
#ifndef FERRY_CMD_PROXY_H
#define FERRY_CMD_PROXY_H

#include "cloud/identity.h"
#include "net/http.h"

#include <stdint.h>
#include <sys/types.h>

/* Where requests go, and with what. Belongs to the command, set once. */
struct proxy {
    const char *name;          /* of the service */
    const char *origin;        /* "https://HOST[:PORT]" */
    const char *host;          /* what the port listens on */
    const char *authorization; /* "Bearer KEY" for callers who bring no key; NULL: none is known */
    struct identity *identity; /* NULL: it wants none */
    struct http *http;
    const volatile sig_atomic_t *stop; /* requests under way end */
};

/* --- the port (proxy_port.c) --- */

struct proxy_port;

/* Takes over a listening socket. p must outlive it. NULL with *e set. */
struct proxy_port *proxy_port_open(const struct proxy *p, int listen_fd, struct err *e);
/* After p->stop: returns when all requests have ended, within a second or so. NULL is fine. */
void proxy_port_close(struct proxy_port *port);

/* Whether a request may be for us: its Host is an address, localhost or own, its Origin (NULL: none) the
 * same. Pages of other sites, and names that point here (DNS rebinding), thus cannot ask in the name of who
 * reads them. False with *e (ERR_AUTH). */
bool proxy_check_sender(const char *host, const char *origin, const char *own, struct err *e);

/* --- one request (proxy_request.c) ---
 * Functions are the connection's thread's. */

struct proxy_request;

/* target: of the request line, copied. NULL: no memory. */
struct proxy_request *proxy_request_new(const struct proxy *p, const char *target);
/* What is under way for it is broken off. NULL is fine. */
void proxy_request_free(struct proxy_request *r);

/* The strings must outlive the request. What concerns only one connection, and an identity, are left out. */
void proxy_request_method(struct proxy_request *r, const char *method);
void proxy_request_header(struct proxy_request *r, const char *name, const char *value);
void proxy_request_body(struct proxy_request *r, const char *bytes, size_t size);
/* It fails, whatever else comes; the first reason counts. */
void proxy_request_refuse(struct proxy_request *r, const struct err *e);

void proxy_request_send(struct proxy_request *r);

enum proxy_progress {
    PROXY_WAITING, /* nothing new for a tenth of a second: the time to look whether anybody still waits */
    PROXY_READY,   /* the answer's head is there; some bytes are */
    PROXY_ENDED,   /* no more bytes */
    PROXY_FAILED   /* it ends with proxy_request_problem */
};

/* Waits for the head. After PROXY_READY *status and *headers (as in http_reply) are the answer's; after
 * PROXY_FAILED *status is what to answer instead. Told on stderr by then. */
enum proxy_progress proxy_request_head(struct proxy_request *r, int *status, const char **headers);
/* Waits for bytes of the answer: up to room of them into out, how many into *size. */
enum proxy_progress proxy_request_read(struct proxy_request *r, char *out, size_t room, size_t *size);
/* As {"error": …}, of malloc; NULL: no memory. */
char *proxy_request_problem(struct proxy_request *r);

/* --- the body (proxy_body.c) --- */

enum { PROXY_BODY_BYTES = 1 << 30 };

/* Zeroed is empty. */
struct proxy_body {
    int file; /* 0: nothing has come */
    uint64_t size;
};

/* False with *e set: over PROXY_BODY_BYTES (ERR_LIMIT), or the disk says no. */
bool proxy_body_add(struct proxy_body *b, const char *bytes, size_t size, struct err *e);
void proxy_body_clear(struct proxy_body *b);

#endif
