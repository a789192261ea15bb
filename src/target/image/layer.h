/* layer.h: a layer of an image: files in a tar archive, compressed. What folders they lie in is added, paths
 * are sorted, so the order of adding does not matter. One thread. */
#ifndef FERRY_TARGET_IMAGE_LAYER_H
#define FERRY_TARGET_IMAGE_LAYER_H

#include "base/arena.h"
#include "base/err.h"
#include "target/image/packer.h"

struct layer_file {
    const char *path; /* in the image, without a slash at either end */
    unsigned mode;
    bool folder;
    const char *source; /* the file on this machine; NULL: bytes */
    const void *bytes;  /* the caller's */
    size_t size;        /* of a source: known once it is packed */
};

struct layer {
    struct arena *arena; /* of the paths; set by the caller */
    struct layer_file *files;
    int count, room;
};

/* Adds one, and the folders above it (mode 0755). A path that is there already is an error. Strings stay the
 * caller's. */
bool layer_add(struct layer *l, const struct layer_file *f, struct err *e);
void layer_clear(struct layer *l); /* not the arena */

/* The whole, files sorted from then on. */
bool layer_pack(struct layer *l, struct packed *out, struct err *e);

#endif
