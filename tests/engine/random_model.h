/* random_model.h: a model of random weights with any dimensions, in memory: nothing may be fitted to the one
 * tiny checkpoint. */
#ifndef FERRY_TESTS_RANDOM_MODEL_H
#define FERRY_TESTS_RANDOM_MODEL_H

#include "base/arena.h"
#include "model/folder.h"

#include <stdint.h>

struct dimensions {
    const char *name;
    enum dtype dtype; /* of every tensor */
    bool tied;
    int hidden, heads, kv_heads, ffn, vocab;
    int width, audio_heads, audio_ffn, mel_bins, frames; /* of a window of audio; width 0: it has no ears */
};

struct random_model {
    struct model model;
    struct arena *arena; /* the weights' bytes */
};

/* Weights of such a size that activations keep theirs. Failures fail the running test. */
void random_model_init(struct random_model *m, const struct dimensions *d);
void random_model_clear(struct random_model *m);

/* The next of a stream of numbers, -1..1. */
float random_next(uint32_t *state);

#endif
