/* copy_name.h: what a copied file is called at its target. Names only: nothing is looked at.
 *
 * The rules are those of cp and gsutil. When the target is a folder (it exists as one, is written with a
 * slash at its end, or is a whole bucket) what was named lies in it under its own last name; else the target
 * is its new name. */
#ifndef FERRY_CMD_COPY_NAME_H
#define FERRY_CMD_COPY_NAME_H

#include "base/arena.h"

#include <stdbool.h>

struct copy_target {
    const char *path; /* name in the place; "" for a whole bucket */
    bool folder;
};

/* One file of what was named: `base` is the last name of that thing ("models" of gs://b/a/models/), `below`
 * where the file lies in it ("" when it is the file itself). */
struct copied {
    const char *base, *below;
};

/* In the arena; NULL: no memory. */
char *copy_name(struct arena *a, const struct copy_target *t, const struct copied *c);

/* The last name of a path without the slashes at its end; "" for "", "/", "." and "..", whose contents have
 * no name of their own to lie under. In the arena. */
char *last_name(struct arena *a, const char *path);

#endif
