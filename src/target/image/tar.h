/* tar.h: heads of a tar archive's members, in POSIX.1-1988 ustar form: owner 0, time 0, nothing of the
 * machine it was made on, so that the same files give the same bytes. Stateless. */
#ifndef FERRY_TARGET_IMAGE_TAR_H
#define FERRY_TARGET_IMAGE_TAR_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TAR_BLOCK = 512, TAR_END = 2 * TAR_BLOCK }; /* an archive ends with so many zeros */

struct tar_member {
    const char *path; /* without a slash at either end */
    unsigned mode;    /* permission bits */
    bool folder;
    uint64_t size; /* of a file; its bytes follow the head, filled up with zeros to whole blocks */
};

/* False with *e (ERR_LIMIT) set: a path of more than 255 bytes, or one that cannot be split into 155 and 100
 * at a slash; a file of 8 GiB or more. */
bool tar_head(unsigned char out[TAR_BLOCK], const struct tar_member *m, struct err *e);

/* How many zeros fill up the last block of a file. */
static inline size_t tar_padding(uint64_t size)
{
    return (size_t)(-size % TAR_BLOCK);
}

#endif
