/* activator.h: the small process that holds the port of a local service. It runs one server when there are
 * requests, none when nobody has asked for a while, and two while one takes the place of the other.
 *
 * Requests that it answers itself, and that are no use of the service: HEAD of anything, and GET of /healthz,
 * /readyz and /metrics, while there is no server. /healthz is 200; /readyz is 200 asleep, since a request
 * would be taken, and 503 with the reason when the last start failed; /metrics is an empty page. While there
 * is a server it answers them, and they keep it awake no longer.
 *
 * One thread and one loop; state machine and time: machine.h; a client's connection: relay.h; a server:
 * child.h; what it is told: control.h. */
#ifndef FERRY_TARGET_LOCAL_ACTIVATOR_H
#define FERRY_TARGET_LOCAL_ACTIVATOR_H

#include "target/local/home.h"

struct activator_options {
    struct home *home;
    struct spec *spec;        /* taken over */
    char **environment;       /* environment.h; taken over */
    int listener;             /* the service's port; taken over */
    bool echo;                /* log lines to stderr as well */
    uint64_t log_bytes;       /* 0: log_file.h's */
    void (*began)(void *arg); /* requests are taken; may be NULL */
    void *arg;
};

/* Until SIGTERM, SIGINT or a control's stop; running answers get the 8 seconds that ferry serve gives them.
 * The caller holds the service's lock. False with *e set: it could not begin. */
bool activator_run(struct activator_options *o, struct err *e);

#endif
