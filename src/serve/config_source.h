/* config_source.h: where a service's live configuration comes from: a bucket or a disk, of which this layer
 * knows nothing. Whoever makes the server brings one (cmd/config_source.h). */
#ifndef FERRY_SERVE_CONFIG_SOURCE_H
#define FERRY_SERVE_CONFIG_SOURCE_H

#include "base/err.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

struct config_found {
    bool changed;       /* false: it still has the generation `known`, and nothing was read */
    int64_t generation; /* another one for each content, above 0; rising where the place has such numbers */
    uint64_t size;      /* more than room: too large, nothing was read */
};

struct config_source {
    const char *uri; /* for people */
    /* What lies there now, into into[0..room). Called by one thread at a time. Returns within a second or so
     * once *stop is set. False with *e set: ERR_NOT_FOUND when nothing is there, else it could not be asked.
     */
    bool (*fetch)(void *arg, int64_t known, char *into, size_t room, const volatile sig_atomic_t *stop,
                  struct config_found *out, struct err *e);
    void *arg;
};

#endif
