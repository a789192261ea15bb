#include "random_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { LAYERS = 2, AUDIO_LAYERS = 2 };

float random_next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return (float)(*state >> 8) / (1 << 23) - 1;
}

static struct model_config make_config(const struct dimensions *d)
{
    struct model_config c = {
        .family = d->width ? MODEL_QWEN2_AUDIO : MODEL_QWEN2,
        .text = {.hidden = d->hidden,
                 .layers = LAYERS,
                 .heads = d->heads,
                 .kv_heads = d->kv_heads,
                 .head_dim = d->hidden / d->heads,
                 .ffn = d->ffn,
                 .vocab = d->vocab,
                 .max_positions = 700,
                 .rms_eps = 1e-6f,
                 .rope_theta = 1e6,
                 .tied_head = d->tied},
        .audio_token_id = d->width ? 5 : -1,
    };
    if (d->width)
        c.audio = (struct audio_config){.width = d->width,
                                        .layers = AUDIO_LAYERS,
                                        .heads = d->audio_heads,
                                        .head_dim = d->width / d->audio_heads,
                                        .ffn = d->audio_ffn,
                                        .mel_bins = d->mel_bins,
                                        .max_positions = d->frames / 2};
    return c;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Towards zero; too small a number for f16 becomes zero. Any f16 will do. */
static uint16_t to_f16(float x)
{
    uint32_t bits = bits_of(x), exponent = bits >> 23 & 0xff;
    if (exponent < 113)
        return 0;
    return (uint16_t)((bits >> 16 & 0x8000) | (exponent - 112) << 10 | (bits >> 13 & 0x3ff));
}

static void store(void *data, size_t i, float x, enum dtype dtype)
{
    if (dtype == DTYPE_F32)
        ((float *)data)[i] = x;
    else
        ((uint16_t *)data)[i] = dtype == DTYPE_F16 ? to_f16(x) : (uint16_t)(bits_of(x) >> 16);
}

/* Norm weights lie around 1; of a matrix each output has the size of an input. */
static void fill_slot(struct weight_slot *slot, enum dtype dtype, struct arena *a, uint32_t *random)
{
    struct err e = {0};
    uint64_t shape[3];
    size_t count = 1;
    for (int i = 0; i < slot->dims; i++)
        count *= (size_t)(shape[i] = (uint64_t)slot->shape[i]);
    void *data = arena_alloc(a, count, dtype_bytes(dtype));
    assert_non_null(data);
    bool vector = slot->dims == 1,
         norm = vector && strstr(slot->name, "norm") && strstr(slot->name, "weight");
    float scale = vector                        ? 0.2f
                  : strstr(slot->name, "embed") ? 1
                                                : sqrtf(3 / ((float)count / (float)shape[0]));
    for (size_t i = 0; i < count; i++)
        store(data, i, (norm ? 1 : 0) + scale * random_next(random), dtype);
    if (!weights_fill(slot, dtype, shape, slot->dims, data, count * dtype_bytes(dtype), &e))
        fail_msg("%s", e.text);
}

void random_model_init(struct random_model *m, const struct dimensions *d)
{
    struct err e = {0};
    uint32_t random = 7;
    *m = (struct random_model){.model.config = make_config(d), .arena = arena_new(64 << 20)};
    snprintf(m->model.name, sizeof m->model.name, "%s", d->name);
    m->model.weights = weights_new(&m->model.config, &e);
    assert_non_null(m->model.weights);
    for (size_t i = 0; i < m->model.weights->slot_count; i++)
        fill_slot(&m->model.weights->slots[i], d->dtype, m->arena, &random);
    if (!weights_complete(m->model.weights, &m->model.config, &e))
        fail_msg("%s", e.text);
}

void random_model_clear(struct random_model *m)
{
    weights_free(m->model.weights);
    arena_free(m->arena);
    *m = (struct random_model){0};
}
