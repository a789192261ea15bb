/* local.h: services on this machine, under the contract of Cloud Run: a port that is always there, a server
 * behind it from the first request until nobody has asked for a while.
 *
 * A small process, the activator (local/activator.h), holds the port of one service and starts and stops its
 * `ferry serve`. All that is known of a service lies in its folder $XDG_STATE_HOME/ferry/local/NAME
 * (~/.local/state when that is not set; mode 0700, files 0600):
 *
 *   service.json  what was deployed (local/spec.h), no secrets
 *   lock          held by the activator while it lives; state.json says which processes there are
 *   control       a Unix socket: local/control.h
 *   log, log.1    what server and activator say; the older part is behind, 8 MiB each
 *   deploy.lock   held by whoever deploys or takes down */
#ifndef FERRY_TARGET_LOCAL_H
#define FERRY_TARGET_LOCAL_H

#include "target/target.h"

enum { LOCAL_PORT_CHOOSE = -1 };

struct local_options {
    const char *program;   /* the ferry that serves; NULL: the one that runs */
    const char *host;      /* to listen on */
    int port;              /* 0: any free one. LOCAL_PORT_CHOOSE: what it had, else 8080, else any free one */
    double idle_seconds;   /* without a request, until the server is stopped */
    uint64_t memory_bytes; /* of the server; 0: no limit */
    bool wait;             /* starts the server now: what does not load is told, and changes nothing */
    bool foreground;       /* apply does not return before a signal ends the service */
};

extern const struct target target_local;

#endif
