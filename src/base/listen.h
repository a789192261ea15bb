/* listen.h: listening sockets, made here or by whoever started this process. */
#ifndef FERRY_BASE_LISTEN_H
#define FERRY_BASE_LISTEN_H

#include "base/err.h"

/* host NULL: every address, IPv6 and IPv4 on one socket, IPv4 alone where there is no IPv6. *port 0: a free
 * one, told back. Close-on-exec, nonblocking. -1 with *e set. */
int listen_on(const char *host, int *port, struct err *e);

/* The socket that whoever started this process has made already, as sd_listen_fds(3) describes it
 * (LISTEN_PID, LISTEN_FDS), or -1 for none. The variables are taken out of the environment, so that no
 * program started later believes them. False with *e set: several are given. */
bool listen_inherited(int *fd, struct err *e);

/* Makes such a socket ready for use, of whatever family. *port stays as it is when it has none (a Unix
 * socket). False with *e set: it does not listen. */
bool listen_adopt(int fd, int *port, struct err *e);

/* Raises the soft limit of open files towards what so many connections need; answers how many it allows. */
int raise_connection_limit(int wanted);

#endif
