/* tap.h: a look at the activations of an engine on their way, for tests against the reference. */
#ifndef FERRY_ENGINE_LAYERS_TAP_H
#define FERRY_ENGINE_LAYERS_TAP_H

struct engine;

/* Sees panels [features][LANES] of so many tokens, after: "conv_pos", "enc_layer" (index), "encoder",
 * "projector", "merged_embeds", "dec_layer" (index). Called on the engine's thread. */
struct tap {
    void (*see)(void *arg, const char *name, int index, const float *x, int features, int tokens);
    void *arg;
};

void engine_tap(struct engine *g, const struct tap *tap);

static inline void tap_see(const struct tap *t, const char *name, int index, const float *x, int features,
                           int tokens)
{
    if (t->see)
        t->see(t->arg, name, index, x, features, tokens);
}

#endif
