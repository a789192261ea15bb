#include "engine/layers/kv_cache.h"

#include <math.h>
#include <string.h>

static size_t value_bytes(enum kv_type t)
{
    return t == KV_F32 ? sizeof(float) : t == KV_Q8 ? 1 : sizeof(bf16);
}

static int block_count(int positions)
{
    return (positions + KV_BLOCK - 1) / KV_BLOCK;
}

/* A head's part of a block: keys, values, and for q8 the scales of both. Multiples of 64 bytes. */
static size_t head_bytes(const struct kv_shape *s)
{
    size_t one = (size_t)KV_BLOCK * (size_t)s->head_dim * value_bytes(s->type);
    return 2 * one + (s->type == KV_Q8 ? 2 * KV_BLOCK * sizeof(float) : 0);
}

bool kv_cache_new(struct kv_cache *c, const struct kv_shape *s, int positions, struct err *e)
{
    *c = (struct kv_cache){.shape = *s, .capacity = positions, .head_bytes = head_bytes(s)};
    c->layer_bytes = c->head_bytes * (size_t)s->heads;
    c->block_bytes = c->layer_bytes * (size_t)s->layers;
    if (!pages_alloc(&c->pages, c->block_bytes * (size_t)block_count(positions), e))
        return err_wrap(e, "KV cache for %d positions", positions);
    return true;
}

void kv_cache_free(struct kv_cache *c)
{
    pages_free(&c->pages);
}

void kv_cache_copy(struct kv_cache *to, const struct kv_cache *from, int positions)
{
    memcpy(to->pages.data, from->pages.data, from->block_bytes * (size_t)block_count(positions));
}

/* One head's block, taken apart. */
struct head_block {
    void *keys, *values;
    float *key_scales, *value_scales; /* [KV_BLOCK], q8 only */
};

static struct head_block head_block(const struct kv_cache *c, int layer, int head, int block)
{
    unsigned char *p = (unsigned char *)c->pages.data + (size_t)block * c->block_bytes +
                       (size_t)layer * c->layer_bytes + (size_t)head * c->head_bytes;
    size_t one = (size_t)KV_BLOCK * (size_t)c->shape.head_dim * value_bytes(c->shape.type);
    struct head_block b = {.keys = p, .values = p + one};
    if (c->shape.type == KV_Q8) {
        b.key_scales = (float *)(void *)(p + 2 * one);
        b.value_scales = b.key_scales + KV_BLOCK;
    }
    return b;
}

/* One vector of n values `from[i*row]` as int8 `to[i*step]` with a scale: the largest becomes 127. */
static float quantize(const float *from, int row, int8_t *to, int step, int n)
{
    float most = 0;
    for (int i = 0; i < n; i++)
        most = fmaxf(most, fabsf(from[i * row]));
    float scale = most / 127, inverse = most > 0 ? 127 / most : 0;
    for (int i = 0; i < n; i++)
        to[i * step] = (int8_t)lrintf(from[i * row] * inverse);
    return scale;
}

static void put_one(const struct kv_cache *c, const struct kernels *kernels, struct head_block b, int at,
                    const float *k, const float *v, int row)
{
    int dim = c->shape.head_dim;
    if (c->shape.type == KV_Q8) {
        b.key_scales[at] = quantize(k, row, (int8_t *)b.keys + at * dim, 1, dim);
        b.value_scales[at] = quantize(v, row, (int8_t *)b.values + at, KV_BLOCK, dim);
        return;
    }
    if (c->shape.type == KV_F32) {
        for (int d = 0; d < dim; d++) {
            ((float *)b.keys)[at * dim + d] = k[d * row];
            ((float *)b.values)[d * KV_BLOCK + at] = v[d * row];
        }
        return;
    }
    enum { PIECE = 64 };
    for (int d = 0; d < dim; d += PIECE) {
        int n = dim - d < PIECE ? dim - d : PIECE;
        float key[PIECE], value[PIECE];
        bf16 value_bits[PIECE];
        for (int i = 0; i < n; i++) {
            key[i] = k[(d + i) * row];
            value[i] = v[(d + i) * row];
        }
        kernels->f32_to_bf16((bf16 *)b.keys + at * dim + d, key, (size_t)n);
        kernels->f32_to_bf16(value_bits, value, (size_t)n);
        for (int i = 0; i < n; i++)
            ((bf16 *)b.values)[(d + i) * KV_BLOCK + at] = value_bits[i];
    }
}

void kv_cache_put(const struct kv_cache *c, const struct work *w, int layer, int head, int pos, int n,
                  const float *k, const float *v, int row, int step)
{
    for (int i = 0; i < n; i++) {
        struct head_block b = head_block(c, layer, head, (pos + i) / KV_BLOCK);
        put_one(c, w->k, b, (pos + i) % KV_BLOCK, k + i * step, v + i * step, row);
    }
}

size_t kv_view_bytes(int head_dim)
{
    return (size_t)KV_BLOCK * (size_t)head_dim * 2 * sizeof(float) + KV_BLOCK * sizeof(float);
}

/* n values of q8 as f32 or bf16; `line` holds KV_BLOCK floats. */
static void widen_q8(const struct work *w, void *to, const int8_t *x, const float *scale, int step, int n,
                     bool as_bf16, float *line)
{
    if (!as_bf16) {
        w->k->q8_to_f32(to, x, scale, step, (size_t)n);
        return;
    }
    w->k->q8_to_f32(line, x, scale, step, (size_t)n);
    w->k->f32_to_bf16(to, line, (size_t)n);
}

static void widen_block_q8(const struct kv_cache *c, const struct work *w, struct head_block b, int n,
                           bool as_bf16, unsigned char *keys, unsigned char *values, float *line)
{
    size_t size = as_bf16 ? sizeof(bf16) : sizeof(float);
    int dim = c->shape.head_dim;
    for (int i = 0; i < n; i++) {
        for (int d = 0; d < dim; d += KV_BLOCK) /* `line` is that long */
            widen_q8(w, keys + (size_t)(i * dim + d) * size, (const int8_t *)b.keys + i * dim + d,
                     b.key_scales + i, 0, dim - d < KV_BLOCK ? dim - d : KV_BLOCK, as_bf16, line);
    }
    for (int d = 0; d < dim; d++)
        widen_q8(w, values + (size_t)(d * KV_BLOCK) * size, (const int8_t *)b.values + d * KV_BLOCK,
                 b.value_scales, 1, n, as_bf16, line);
}

struct kv_view kv_cache_view(const struct kv_cache *c, const struct work *w, int layer, int head, int block,
                             int n, bool as_bf16, bool either_dtype, void *scratch)
{
    struct head_block b = head_block(c, layer, head, block);
    enum kv_type type = c->shape.type;
    if (type == KV_F32 || (type == KV_BF16 && (as_bf16 || either_dtype)))
        return (struct kv_view){b.keys, b.values, type == KV_BF16};

    int dim = c->shape.head_dim;
    size_t one = (size_t)KV_BLOCK * (size_t)dim * (as_bf16 ? sizeof(bf16) : sizeof(float));
    unsigned char *keys = scratch, *values = keys + one;
    if (type == KV_Q8) {
        float *line = (float *)(void *)(keys + (size_t)KV_BLOCK * (size_t)dim * 2 * sizeof(float));
        widen_block_q8(c, w, b, n, as_bf16, keys, values, line);
    } else {
        w->k->bf16_to_f32((float *)(void *)keys, b.keys, (size_t)(n * dim));
        for (int d = 0; d < dim; d++)
            w->k->bf16_to_f32((float *)(void *)values + d * KV_BLOCK, (const bf16 *)b.values + d * KV_BLOCK,
                              (size_t)n);
    }
    return (struct kv_view){keys, values, as_bf16};
}
