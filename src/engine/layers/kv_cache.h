/* kv_cache.h: keys and values of every token seen, per layer.
 *
 * In blocks of KV_BLOCK positions; a block holds all layers, so that memory is touched only as a session
 * grows. Per layer and head a block has the keys as rows, [KV_BLOCK][head_dim], and the values as columns,
 * [head_dim][KV_BLOCK]: attention is then the same product as a linear layer, K times query and V^T times
 * probabilities, and both are read in the order in which they lie.
 * Address space for the whole context is reserved at birth, never more. One thread writes; threads may write
 * different heads at the same time. */
#ifndef FERRY_ENGINE_LAYERS_KV_CACHE_H
#define FERRY_ENGINE_LAYERS_KV_CACHE_H

#include "base/pages.h"
#include "engine/engine.h"
#include "engine/layers/work.h"

enum { KV_BLOCK = 256 };

struct kv_shape {
    enum kv_type type; /* not KV_AUTO */
    int layers, heads, head_dim;
};

struct kv_cache {
    struct kv_shape shape;
    int capacity; /* positions */
    size_t head_bytes, layer_bytes, block_bytes;
    struct pages pages;
};

bool kv_cache_new(struct kv_cache *c, const struct kv_shape *s, int positions, struct err *e);
void kv_cache_free(struct kv_cache *c);

/* Copies the first `positions` of every layer. Same shape. */
void kv_cache_copy(struct kv_cache *to, const struct kv_cache *from, int positions);

/* Stores one head's key and value of n positions from `pos` on: value d of position pos + i is
 * k[d * row + i * step]. Panels: row LANES, step 1; single vectors: row 1, step head_dim. */
void kv_cache_put(const struct kv_cache *c, const struct work *w, int layer, int head, int pos, int n,
                  const float *k, const float *v, int row, int step);

/* One block of one head as products read it. */
struct kv_view {
    const void *keys;   /* [KV_BLOCK][head_dim] */
    const void *values; /* [head_dim][KV_BLOCK] */
    bool bf16;          /* else f32 */
};

/* Room that kv_cache_view may need. */
size_t kv_view_bytes(int head_dim);

/* Points at the cache itself where its type is what the arithmetic takes (as_bf16, or f32), else converts the
 * block's first n positions into scratch. With either_dtype bf16 blocks are handed out as they are even when
 * as_bf16 is false: for kernels that widen as they read. */
struct kv_view kv_cache_view(const struct kv_cache *c, const struct work *w, int layer, int head, int block,
                             int n, bool as_bf16, bool either_dtype, void *scratch);

#endif
