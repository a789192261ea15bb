/* inventory.h: all that Ferry has, on this machine and in a project of Google's, gathered for a command to
 * tell. Only reads. One thread. */
#ifndef FERRY_CMD_INVENTORY_H
#define FERRY_CMD_INVENTORY_H

#include "target/holdings.h"

#include <stddef.h>

struct unlisted {
    const char *what, *why;
};

/* Zeroed at first. Strings live in the arena of the run. */
struct inventory {
    const char *project; /* NULL: nothing of Google's was asked for */
    struct target_service *services;
    struct holding *holdings;
    struct unlisted *unlisted; /* what could not be listed */
    size_t service_count, holding_count, unlisted_count;
    size_t service_room, holding_room, unlisted_room;
};

/* name: the service of that name alone, and nothing else; there is none: ERR_NOT_FOUND. NULL: all. */
bool inventory_take(struct inventory *v, struct target_run *r, const char *name, struct err *e);
void inventory_clear(struct inventory *v);

#endif
