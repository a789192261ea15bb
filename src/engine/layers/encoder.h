/* encoder.h: the audio tower: mel frames to vectors that stand among the token embeddings.
 *
 *   x = gelu(conv1(mel))                      [2c frames]   kernel 3, stride 1, padding 1
 *   x = gelu(conv2(x)) + positions            [c frames]    stride 2
 *   layers: x += out(attention(norm(x)));  x += fc2(gelu(fc1(norm(x))))
 *   x = norm(mean of frames 2i, 2i+1);  features = projector(x)                 [a = c / 2 tokens]
 *
 * The reference always computes a full window and masks the keys behind the c valid frames; frames behind
 * them are computed there and used by nothing. Here they are not computed: the results are the same numbers.
 * Only the convolutions look past the end, into real mel frames of the padding. */
#ifndef FERRY_ENGINE_LAYERS_ENCODER_H
#define FERRY_ENGINE_LAYERS_ENCODER_H

#include "engine/layers/buffers.h"
#include "engine/layers/kv_cache.h"
#include "engine/prompt.h"

struct encoder {
    const struct work *work;
    const struct model_config *config;
    const struct weights *weights;
    struct buffers *buffers;
    const struct kv_cache *cache; /* one layer's keys and values of one window */
    const struct tap *tap;
};

/* Steps from a clip to its features: convolutions, each layer, projector. */
static inline int encoder_steps(const struct model_config *c)
{
    return c->audio.layers + 2;
}

/* Step `step` of one clip, in order. x: the clip's residual stream (residual_bytes), kept between steps. The
 * last step writes features [mel_tokens(m)][hidden], token by token. */
void encoder_step(const struct encoder *n, const struct mel *mel, int step, float *x, float *features);

#endif
