/* watch.h: a thread that looks after sockets where libmicrohttpd does not.
 *
 *   while a request is worked on   its connection is suspended and nobody reads the socket: tell at once when
 *                                  the client hangs up
 *   before a request is complete   a head or a body that only trickles in is cut off
 *   after a refusal mid-upload     the rest of the upload is read away for a while, so that the client gets
 * to see the reply instead of a reset (lingering close)
 *
 * Any thread may call in. A connection is known by its socket from watch_open to watch_close, which must come
 * before the socket is closed. */
#ifndef FERRY_SERVE_HTTP_WATCH_H
#define FERRY_SERVE_HTTP_WATCH_H

#include "base/err.h"

#include <stddef.h>

struct watch;

struct watch_limits {
    double head_seconds; /* from the connection's begin to its first whole request head */
    double idle_seconds; /* from the end of a reply to the next whole head */
    double body_seconds; /* grace for a body; after it at least WATCH_BODY_RATE is expected on average */
};

enum { WATCH_BODY_RATE = 16 << 10 }; /* bytes per second: slower than any line that still carries speech */

struct watch *watch_new(const struct watch_limits *l, struct err *e);
void watch_free(struct watch *w); /* NULL is fine */

bool watch_open(struct watch *w, int fd); /* waits for a request head. False: no memory */
void watch_close(struct watch *w, int fd);

void watch_body(struct watch *w, int fd);                 /* the head is there, a body is coming */
void watch_body_bytes(struct watch *w, int fd, size_t n); /* that many more of it */
void watch_idle(struct watch *w, int fd);                 /* the reply is out */

/* The request is being worked on: calls gone(arg) once when the client hangs up, on the watch's thread and
 * inside its lock, so gone must be quick and not call back. */
void watch_work(struct watch *w, int fd, void (*gone)(void *arg), void *arg);
void watch_work_done(struct watch *w,
                     int fd); /* when it returns gone is not running and will not be called */

/* Takes over a duplicate of the socket. */
void watch_linger(struct watch *w, int fd);

#endif
