/* decoder.h: the Qwen2 language model, layer by layer.
 *
 *   x += o(attention(rope(q(n) + b), rope(k(n) + b), v(n) + b))   n = rms_norm(x)
 *   x += down(silu(gate(n)) * up(n))                              n = rms_norm(x)
 *   logits = head(rms_norm(x))
 *
 * Prefill runs a chunk of one prompt through a layer as panels; decode runs one token of each of several
 * sessions through all layers as rows. */
#ifndef FERRY_ENGINE_LAYERS_DECODER_H
#define FERRY_ENGINE_LAYERS_DECODER_H

#include "engine/layers/buffers.h"
#include "engine/layers/kv_cache.h"

/* Cosines and sines of every position: [positions][2][head_dim / 2]. Angles are f32 products, as in the
 * reference. Grows as positions are asked for. */
struct rope_table {
    float *values;
    int positions, half;
    double theta;
};
bool rope_table_reach(struct rope_table *r, int positions, struct err *e);
void rope_table_free(struct rope_table *r);

struct decoder {
    const struct work *work;
    const struct model_config *config;
    const struct weights *weights;
    struct buffers *buffers;
    const struct rope_table *rope;
    const struct tap *tap;
};

/* Token embeddings of ids into panels; where an id is the audio placeholder the next row of features
 * [..][hidden] is taken instead. Returns how many were taken. */
int decoder_embed(const struct decoder *d, const int *ids, int tokens, const float *features, float *x);

/* One layer over a chunk of `tokens` tokens at positions first...; keys and values go to the cache. */
void decoder_layer_panels(const struct decoder *d, const struct kv_cache *cache, int layer, float *x,
                          int first, int tokens);

/* Logits [vocab] of token `token` of the panels. */
void decoder_head_panels(const struct decoder *d, const float *x, int token, float *logits);

/* Activations of decode, for n tokens. */
struct rows {
    float *x, *norm, *q, *k, *v, *attention, *gate, *up; /* [n][..] */
    void *input;                                         /* dot_input_bytes of the widest */
};

/* One token of each of n sessions through the whole model: ids[i] at position positions[i] of caches[i].
 * logits [n][vocab]. */
void decoder_rows(const struct decoder *d, const struct kv_cache *const *caches, const int *ids,
                  const int *positions, int n, struct rows *r, float *logits);

#endif
