/* packer.h: bytes compressed into memory as they come, hashed before and after: a layer of an image has a
 * digest of each. gzip (RFC 1952) at level 9 without name and time: the same bytes in give the same bytes out
 * with the same zlib. One thread. */
#ifndef FERRY_TARGET_IMAGE_PACKER_H
#define FERRY_TARGET_IMAGE_PACKER_H

#include "base/err.h"
#include "base/sha.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packer;

/* What came of it. */
struct packed {
    void *bytes; /* the caller's, to be freed */
    size_t size;
    uint64_t unpacked_size;
    char sha256[SHA256_HEX], unpacked_sha256[SHA256_HEX];
};

/* ceiling: the most compressed bytes. NULL with *e set: no memory. */
struct packer *packer_new(size_t ceiling, struct err *e);
void packer_free(struct packer *p); /* NULL is fine */

bool packer_add(struct packer *p, const void *bytes, size_t size, struct err *e);
bool packer_end(struct packer *p, struct packed *out, struct err *e); /* nothing may be added after it */

#endif
