/* throttle.h: a line of limited speed in front of a server on loopback. nginx limits each connection and tc
 * the whole machine; this limits all connections to one server together, towards the client. */
#ifndef FERRY_BENCH_THROTTLE_H
#define FERRY_BENCH_THROTTLE_H

#include "base/err.h"

struct throttle;

/* Forwards 127.0.0.1:throttle_port to 127.0.0.1:server_port, answers at so many bytes per second (0: as fast
 * as it goes). NULL with *e set. */
struct throttle *throttle_new(int server_port, double bytes_per_second, struct err *e);
int throttle_port(const struct throttle *t);
void throttle_free(struct throttle *t); /* ends every connection; NULL is fine */

#endif
