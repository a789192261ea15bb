/* shard.h: one safetensors file on disk, its header checked, its data mapped or read. */
#ifndef FERRY_MODEL_SHARD_H
#define FERRY_MODEL_SHARD_H

#include "base/err.h"
#include "base/pages.h"
#include "base/pool.h"
#include "model/safetensors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shard {
    const char *name; /* lives longer than the shard */
    int fd;           /* -1 when closed */
    uint64_t bytes;   /* of the file */
    struct safetensors header;
    struct pages pages;        /* of read data; zero when mapped */
    const unsigned char *data; /* [bytes], the file as it lies on disk; NULL until mapped or reserved */
};

/* Opens folder/name, following links, and checks its header. False with *e set and *s closed. */
bool shard_open(struct shard *s, const char *folder, const char *name, struct err *e);
void shard_close(struct shard *s); /* gives the data back too */

/* Two ways to give each shard its data, which can then only be read.
 * shards_map: the pages belong to the page cache.
 * shards_reserve, then shards_read: anonymous huge pages where the system has them, so that places can be
 * checked and handed out before a long read begins; read in parallel over the pool (NULL: by the caller
 * alone). What was read is dropped from the page cache: one copy in memory. */
bool shards_map(struct shard *shards, size_t count, struct err *e);
bool shards_reserve(struct shard *shards, size_t count, struct err *e);
bool shards_read(struct shard *shards, size_t count, struct pool *pool, struct err *e);

/* True when the file lies in memory already (tmpfs, ramfs). */
bool shard_in_memory(const struct shard *s);

#endif
