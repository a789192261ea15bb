/* buffers.h: the activations between the parts of a layer, shared by encoder and decoder, taken once. */
#ifndef FERRY_ENGINE_LAYERS_BUFFERS_H
#define FERRY_ENGINE_LAYERS_BUFFERS_H

#include "base/pages.h"
#include "engine/layers/tap.h"
#include "engine/layers/work.h"
#include "model/config.h"

enum {
    /* Tokens of a prompt that go through a layer together: weights are read once per chunk, and 512 tokens
     * already compute for longer than their weights take to read. */
    PREFILL_CHUNK = 512,
};

struct buffers {
    float *norm;       /* [panels][width][LANES] */
    void *packed;      /* any product's input, packed */
    float *q, *k, *v;  /* [panels][heads * head_dim][LANES] */
    float *attention;  /* like q */
    float *ffn, *gate; /* [panels][ffn][LANES]; conv1's output in the encoder */
    float *projected;  /* [panels][hidden][LANES] of one window's tokens */
    float *rope;       /* [panels][2][head_dim / 2][LANES]: cosines, sines */
    struct pages pages;
};

/* Room for one window of audio (if the model hears) and for PREFILL_CHUNK tokens. as_bf16: what packed holds.
 */
bool buffers_new(struct buffers *b, const struct model_config *c, bool as_bf16, struct err *e);
void buffers_free(struct buffers *b);

/* Bytes of a session's residual stream: one window, or so many tokens. */
size_t residual_bytes(const struct model_config *c, int tokens);

/* A norm, a bias or an activation over all panels in parallel, weights widened in each thread's scratch. */
void panels_rms_norm(const struct work *w, const struct tensor *weight, float eps, const float *x, float *y,
                     int tokens);
void panels_layer_norm(const struct work *w, const struct layer_norm *norm, const float *x, float *y,
                       int tokens);
void panels_gelu_bias(const struct work *w, const struct tensor *bias, float *x, int tokens);
void panels_silu_mul(const struct work *w, float *gate, const float *up, int features, int tokens);

#endif
