/* ld_cache.h: /etc/ld.so.cache, the loader's table of the libraries in the folders of /etc/ld.so.conf
 * (glibc's format 1.1, since 1997; the older table that some systems still keep in front of it is passed
 * over). Bytes come from outside. Read-only after opening: any thread. */
#ifndef FERRY_TARGET_ELF_LD_CACHE_H
#define FERRY_TARGET_ELF_LD_CACHE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct ld_cache {
    const unsigned char *bytes; /* of the table, the caller's */
    size_t size;
    uint32_t count;
};

/* False with *e (ERR_CORRUPT) set: not such a file. */
bool ld_cache_open(struct ld_cache *c, const void *bytes, size_t size, struct err *e);

/* The path of the next x86-64 library of that name from entry *from on (0: the first), which moves behind it;
 * NULL: no more. Those for newer processors alone (glibc-hwcaps) are passed over: an image must run on all.
 */
const char *ld_cache_find(const struct ld_cache *c, const char *name, uint32_t *from);

#endif
