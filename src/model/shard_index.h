/* shard_index.h: model.safetensors.index.json, which says in which shard each tensor lies. */
#ifndef FERRY_MODEL_SHARD_INDEX_H
#define FERRY_MODEL_SHARD_INDEX_H

#include "base/err.h"

#include <stddef.h>

enum { SHARD_INDEX_MAX_SHARDS = 256 }; /* the largest public models have fewer than 200 */

struct shard_index {
    const char **shards; /* [count], each once: plain names of files beside the index */
    size_t count;
    size_t tensors; /* how many it lists */
    void *json;     /* owns the names */
};

/* text: of that many bytes. False with *e set and *x empty: bad JSON, a tensor named twice, a shard whose
 * name is not that of a safetensors file in the same folder, too many shards. */
bool shard_index_parse(struct shard_index *x, const char *text, size_t bytes, struct err *e);
void shard_index_clear(struct shard_index *x); /* a zeroed one is fine */

/* The shard that should hold a tensor, one of x->shards by text; NULL when the index does not know it. */
const char *shard_index_find(const struct shard_index *x, const char *tensor);

#endif
