/* listen.h: the listening socket, made here rather than in libmicrohttpd so that its errors can be told. */
#ifndef FERRY_SERVE_HTTP_LISTEN_H
#define FERRY_SERVE_HTTP_LISTEN_H

#include "base/err.h"

/* host NULL: every address, IPv6 and IPv4 on one socket, IPv4 alone where there is no IPv6. *port 0: a free
 * one, told back. -1 with *e set. */
int listen_on(const char *host, int *port, struct err *e);

/* Raises the soft limit of open files towards what so many connections need; answers how many it allows. */
int raise_connection_limit(int wanted);

#endif
