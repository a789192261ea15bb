/* room.h: how much a folder can still take, before anything is written to it. */
#ifndef FERRY_CMD_ROOM_H
#define FERRY_CMD_ROOM_H

#include "base/err.h"

#include <stdint.h>

struct room {
    uint64_t bytes; /* that can be written */
    bool memory;    /* it is a file system in memory: what the machine or container can spare counts too */
};

/* The folder need not exist yet: the nearest one above it that does is looked at. False with *e set. */
bool room_of(const char *folder, struct room *out, struct err *e);

/* False with *e (ERR_LIMIT) and the arithmetic set when `needed` bytes do not fit; `held` of them are there
 * already. */
bool room_check(const char *folder, const struct room *r, uint64_t needed, uint64_t held, struct err *e);

#endif
