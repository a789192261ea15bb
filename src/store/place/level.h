/* level.h: one level of a listing that comes deep and in order: what lies below a folder is told once, as the
 * folder. */
#ifndef FERRY_STORE_PLACE_LEVEL_H
#define FERRY_STORE_PLACE_LEVEL_H

#include "store/store.h"

#include <limits.h>

struct level {
    const char *prefix;
    entry_fn fn;
    void *arg;
    char folder[PATH_MAX]; /* the one told last */
};

bool level_tell(struct level *l, const struct entry *entry, struct err *e);

#endif
