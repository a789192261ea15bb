/* service.h: the emulator as a whole: its settings, and what all exchanges share. */
#ifndef FERRY_EMULATOR_SERVICE_H
#define FERRY_EMULATOR_SERVICE_H

#include "base/err.h"
#include "faults.h"
#include "tokens.h"
#include "world.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct apis;
struct hub;
struct jobs;
struct vms;

struct settings {
    int port, cdn_port; /* 0: any */
    const char *data, *log, *faults, *hub, *bucket, *public_key, *service_url;
    const char
        *program; /* what the tasks of a job and the containers of a VM run; NULL: nothing that works */
    int token_seconds, url_seconds;
    uint64_t lfs_bytes;
};

struct service {
    struct settings settings;
    struct world *world;
    struct faults *faults;
    struct tokens *tokens;
    struct hub *hub; /* NULL: none */
    struct apis *apis;
    struct jobs *jobs;
    struct vms *vms;
    int log, invalid;      /* files; invalid: a line for each request that no description has */
    _Atomic int under_way; /* exchanges without their log line */
    _Atomic bool stopping;
    _Atomic int64_t clock_offset; /* seconds */
    _Atomic int64_t urls_void_us; /* signed URLs given out before this moment are over */
    int cdn_port;
};

int64_t service_now_us(const struct service *s); /* by its clock, which may be off */

/* server.c. Listens on 127.0.0.1; false with *e set. */
struct server;
struct server *server_start(struct service *s, int port, const char *host, struct err *e);
int server_port(const struct server *s);
void server_stop(struct server *s);

#endif
