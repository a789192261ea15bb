/* attention.h: softmax(q K^T / sqrt(head_dim)) V over a KV cache, for panels of queries and for single
 * tokens.
 *
 * Computed block by block of KV_BLOCK keys with a running maximum (the "online" softmax of Milakov and
 * Gimelshein, 2018), blocks starting at fixed positions, so that neither chunking nor batching changes a bit.
 * Query head h reads key head h / (heads / kv_heads). */
#ifndef FERRY_ENGINE_LAYERS_ATTENTION_H
#define FERRY_ENGINE_LAYERS_ATTENTION_H

#include "engine/layers/kv_cache.h"

/* Scratch that a thread needs. */
size_t attention_scratch_bytes(int head_dim, int group);

struct attention {
    const struct work *work;
    const struct kv_cache *cache;
    int layer;
    int heads; /* of queries */
    bool causal;
};

/* Queries q [panels][heads * head_dim][LANES] of `tokens` tokens at positions first...; out alike. Causal:
 * token i sees keys 0..first+i; else every token sees `keys` keys. */
void attention_panels(const struct attention *a, const float *q, int first, int tokens, int keys, float *out);

/* One token of each of n sequences: q[i * heads * head_dim], at positions[i], seeing the keys
 * 0..positions[i] of caches[i]. */
void attention_rows(const struct attention *a, const struct kv_cache *const *caches, const float *q,
                    const int *positions, int n, float *out);

#endif
