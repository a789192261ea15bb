#include "engine/layers/attention.h"
#include "engine/layers/linear.h"

#include <math.h>
#include <string.h>

static size_t up64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

/* A thread's scratch, cut up. */
struct rooms {
    void *view;    /* kv_view_bytes */
    float *scores; /* [KV_BLOCK][LANES]; decode: [group][KV_BLOCK] */
    void *packed;  /* [KV_BLOCK][LANES] bf16; decode: the probabilities, interleaved */
    void *query;   /* [head_dim][LANES], packed; decode: interleaved */
    float *sums;   /* decode: [group][head_dim] */
};

static size_t cut(struct rooms *r, unsigned char *scratch, int head_dim, int group)
{
    size_t wide = (size_t)(group > LANES ? group : LANES), at = 0;
    size_t dim = (size_t)(head_dim + DOT_STEP);
    struct rooms rooms;
    rooms.view = scratch + at;
    at += up64(kv_view_bytes(head_dim));
    rooms.scores = (float *)(void *)(scratch + at);
    at += up64(KV_BLOCK * wide * sizeof(float));
    rooms.packed = scratch + at;
    at += up64(KV_BLOCK * wide * sizeof(float));
    rooms.query = scratch + at;
    at += up64(dim * wide * sizeof(float));
    rooms.sums = (float *)(void *)(scratch + at);
    at += up64(dim * wide * sizeof(float));
    if (r)
        *r = rooms;
    return at;
}

size_t attention_scratch_bytes(int head_dim, int group)
{
    return cut(NULL, NULL, head_dim, group);
}

/* --- panels -------------------------------------------------------------------------------------------- */

struct panels_job {
    const struct attention *a;
    const float *q;
    float *out;
    int first, tokens, keys, panels;
};

static void multiply(const struct work *w, bool as_bf16, float *c, const void *a, int lda, const void *x,
                     int rows, int cols, int lanes, bool add)
{
    if (as_bf16)
        w->k->panel_bf16(c, a, (size_t)lda, x, rows, cols, lanes, add);
    else
        w->k->panel_f32(c, a, (size_t)lda, x, rows, cols, lanes, add);
}

/* One head, one panel of queries. Keys that a lane does not see get probability 0, and stale keys behind the
 * last one are finite, so no lane needs a special case. */
static void head_panel(const struct panels_job *j, int head, int panel, unsigned char *scratch)
{
    const struct work *w = j->a->work;
    const struct kv_cache *cache = j->a->cache;
    int dim = cache->shape.head_dim, group = j->a->heads / cache->shape.heads;
    int lanes = panel_lanes(j->tokens, panel), first = j->first + panel * LANES;
    int used = j->tokens - panel * LANES < LANES ? j->tokens - panel * LANES : LANES;
    int keys = j->a->causal ? first + used : j->keys;
    bool as_bf16 = w->bf16 && cache->shape.type != KV_F32 && dim % 2 == 0;
    struct rooms r;
    cut(&r, scratch, dim, group);

    size_t at = ((size_t)panel * (size_t)j->a->heads + (size_t)head) * (size_t)dim * LANES;
    const void *q = j->q + at;
    float *out = j->out + at;
    if (as_bf16) {
        w->k->pack_bf16(r.query, j->q + at, dim);
        q = r.query;
    }
    float max[LANES], sum[LANES] = {0}, rescale[LANES];
    for (int l = 0; l < LANES; l++)
        max[l] = -INFINITY;
    memset(out, 0, (size_t)dim * LANES * sizeof *out);
    for (int block = 0; block * KV_BLOCK < keys; block++) {
        int n = keys - block * KV_BLOCK < KV_BLOCK ? keys - block * KV_BLOCK : KV_BLOCK, even = n + n % 2;
        struct kv_view v =
            kv_cache_view(cache, w, j->a->layer, head / group, block, even, as_bf16, false, r.view);
        multiply(w, as_bf16, r.scores, v.keys, dim, q, n, dim, lanes, false);
        int32_t visible[LANES];
        for (int l = 0; l < LANES; l++)
            visible[l] = (j->a->causal ? first + (l < used ? l : used - 1) + 1 : j->keys) - block * KV_BLOCK;
        w->k->softmax_block(r.scores, n, 1 / sqrtf((float)dim), visible, max, sum, rescale);
        const void *p = r.scores;
        if (as_bf16) {
            w->k->pack_bf16(r.packed, r.scores, n);
            p = r.packed;
        }
        if (block > 0)
            w->k->scale_lanes(out, rescale, dim);
        multiply(w, as_bf16, out, v.values, KV_BLOCK, p, dim, as_bf16 ? even : n, lanes, true);
    }
    for (int l = 0; l < LANES; l++)
        rescale[l] = 1 / sum[l];
    w->k->scale_lanes(out, rescale, dim);
}

static void panels_piece(void *arg, size_t begin, size_t end, int thread)
{
    const struct panels_job *j = arg;
    for (size_t i = begin; i < end; i++) {
        int panel =
            j->panels - 1 - (int)(i / (size_t)j->a->heads); /* the last see most keys: longest first */
        head_panel(j, (int)(i % (size_t)j->a->heads), panel, work_scratch(j->a->work, thread));
    }
}

void attention_panels(const struct attention *a, const float *q, int first, int tokens, int keys, float *out)
{
    struct panels_job j = {a, q, out, first, tokens, keys, panel_count(tokens)};
    pool_each(a->work->pool, (size_t)j.panels * (size_t)a->heads, 1, panels_piece, &j);
}

/* --- single tokens ------------------------------------------------------------------------------------- */

struct rows_job {
    const struct attention *a;
    const struct kv_cache *const *caches;
    const float *q;
    const int *positions;
    float *out;
};

static void dot(const struct work *w, struct kv_view v, bool as_bf16, float *y, size_t ldy, const void *rows,
                int ldw, const void *x, int count, int cols, int tokens)
{
    if (as_bf16)
        w->k->dot_bf16(y, ldy, rows, (size_t)ldw, x, count, cols, tokens);
    else if (v.bf16)
        w->k->dot_bf16_f32(y, ldy, rows, (size_t)ldw, x, count, cols, tokens);
    else
        w->k->dot_f32(y, ldy, rows, (size_t)ldw, x, count, cols, tokens);
}

/* The queries of one key head (at most DOT_TOKENS of its group) of one sequence. */
static void head_row(const struct rows_job *j, int i, int kv_head, int head, int queries,
                     unsigned char *scratch)
{
    const struct work *w = j->a->work;
    const struct kv_cache *cache = j->caches[i];
    int dim = cache->shape.head_dim, heads = j->a->heads, length = j->positions[i] + 1;
    bool as_bf16 = w->bf16 && cache->shape.type != KV_F32;
    struct rooms r;
    cut(&r, scratch, dim, DOT_TOKENS);
    size_t at = ((size_t)i * (size_t)heads + (size_t)head) * (size_t)dim;
    float *out = j->out + at, max[DOT_TOKENS], sum[DOT_TOKENS] = {0};
    linear_dot_input(w, as_bf16 ? INPUT_BF16 : INPUT_F32, j->q + at, (size_t)dim, dim, queries, r.query);
    for (int g = 0; g < queries; g++)
        max[g] = -INFINITY;
    memset(out, 0, (size_t)(queries * dim) * sizeof *out);
    for (int block = 0; block * KV_BLOCK < length; block++) {
        int n = length - block * KV_BLOCK < KV_BLOCK ? length - block * KV_BLOCK : KV_BLOCK;
        struct kv_view v = kv_cache_view(cache, w, j->a->layer, kv_head, block, n, as_bf16, true, r.view);
        dot(w, v, as_bf16, r.scores, KV_BLOCK, v.keys, dim, r.query, n, dim, queries);
        for (int g = 0; g < queries; g++) {
            float block_max, block_sum;
            block_sum = w->k->softmax_row(r.scores + g * KV_BLOCK, n, 1 / sqrtf((float)dim), &block_max);
            float top = fmaxf(max[g], block_max);
            float old = expf(max[g] - top), now = expf(block_max - top);
            sum[g] = sum[g] * old + block_sum * now;
            max[g] = top;
            for (int d = 0; d < dim; d++)
                out[g * dim + d] *= old;
            for (int k = 0; k < n; k++)
                r.scores[g * KV_BLOCK + k] *= now;
        }
        linear_dot_input(w, as_bf16 ? INPUT_BF16 : INPUT_F32, r.scores, KV_BLOCK, n, queries, r.packed);
        dot(w, v, as_bf16, r.sums, (size_t)dim, v.values, KV_BLOCK, r.packed, dim, n, queries);
        for (int d = 0; d < queries * dim; d++)
            out[d] += r.sums[d];
    }
    for (int g = 0; g < queries; g++)
        for (int d = 0; d < dim; d++)
            out[g * dim + d] /= sum[g];
}

static void rows_piece(void *arg, size_t begin, size_t end, int thread)
{
    const struct rows_job *j = arg;
    for (size_t task = begin; task < end; task++) {
        int i = (int)(task / (size_t)j->caches[0]->shape.heads),
            kv_head = (int)(task % (size_t)j->caches[0]->shape.heads);
        int group = j->a->heads / j->caches[0]->shape.heads;
        for (int g = 0; g < group; g += DOT_TOKENS) {
            int queries = group - g < DOT_TOKENS ? group - g : DOT_TOKENS;
            head_row(j, i, kv_head, kv_head * group + g, queries, work_scratch(j->a->work, thread));
        }
    }
}

void attention_rows(const struct attention *a, const struct kv_cache *const *caches, const float *q,
                    const int *positions, int n, float *out)
{
    struct rows_job j = {a, caches, q, positions, out};
    pool_each(a->work->pool, (size_t)n * (size_t)caches[0]->shape.heads, 1, rows_piece, &j);
}
