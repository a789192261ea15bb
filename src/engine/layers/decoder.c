#include "engine/layers/decoder.h"
#include "engine/layers/attention.h"
#include "engine/layers/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- rotary positions ------------------------------------------------------------------------------------
 */

bool rope_table_reach(struct rope_table *r, int positions, struct err *e)
{
    if (positions <= r->positions)
        return true;
    int room = r->positions * 2 > positions ? r->positions * 2 : positions;
    float *values = realloc(r->values, (size_t)room * 2 * (size_t)r->half * sizeof *values);
    if (!values)
        return err_set(e, ERR_MEMORY, "no memory for the angles of %d positions", room);
    for (int i = 0; i < r->half; i++) {
        float frequency = (float)(1 / pow(r->theta, (double)i / r->half));
        for (int p = r->positions; p < room; p++) {
            float angle = (float)p * frequency;
            float *at = values + (size_t)p * 2 * (size_t)r->half;
            at[i] = cosf(angle);
            at[r->half + i] = sinf(angle);
        }
    }
    r->values = values;
    r->positions = room;
    return true;
}

void rope_table_free(struct rope_table *r)
{
    free(r->values);
    *r = (struct rope_table){0};
}

static const float *rope_at(const struct rope_table *r, int position)
{
    return r->values + (size_t)position * 2 * (size_t)r->half;
}

/* --- prefill ---------------------------------------------------------------------------------------------
 */

int decoder_embed(const struct decoder *d, const int *ids, int tokens, const float *features, float *x)
{
    size_t hidden = (size_t)d->config->text.hidden;
    float *widened = work_scratch(d->work, 0);
    int taken = 0;
    for (int t = 0; t < panel_count(tokens) * LANES; t++) {
        float *lane = x + (size_t)(t / LANES) * hidden * LANES + t % LANES;
        const float *row = widened;
        if (t >= tokens)
            memset(widened, 0, hidden * sizeof *widened);
        else if (ids[t] == d->config->audio_token_id)
            row = features + (size_t)taken++ * hidden;
        else
            tensor_to_f32(d->work->k, &d->weights->embedding, (size_t)ids[t] * hidden, hidden, widened);
        for (size_t i = 0; i < hidden; i++)
            lane[i * LANES] = row[i];
    }
    tap_see(d->tap, "merged_embeds", 0, x, d->config->text.hidden, tokens);
    return taken;
}

struct heads_job {
    const struct decoder *d;
    const struct kv_cache *cache;
    int layer, first, tokens;
};

static void rope_panel(void *arg, size_t begin, size_t end, int thread)
{
    (void)thread;
    struct heads_job *j = arg;
    int half = j->d->rope->half;
    for (size_t p = begin; p < end; p++) {
        float *to = j->d->buffers->rope + p * 2 * (size_t)half * LANES;
        for (int l = 0; l < LANES; l++) {
            int token = (int)p * LANES + l;
            const float *from = rope_at(j->d->rope, j->first + (token < j->tokens ? token : 0));
            for (int i = 0; i < 2 * half; i++)
                to[i * LANES + l] = from[i];
        }
    }
}

/* Rotates one query head, or rotates and keeps one key head and its values, in all panels. */
static void turn_head(void *arg, size_t begin, size_t end, int thread)
{
    (void)thread;
    struct heads_job *j = arg;
    const struct decoder *d = j->d;
    const struct text_config *t = &d->config->text;
    size_t dim = (size_t)t->head_dim;
    for (size_t head = begin; head < end; head++) {
        bool is_key = head >= (size_t)t->heads;
        size_t index = is_key ? head - (size_t)t->heads : head,
               heads = (size_t)(is_key ? t->kv_heads : t->heads);
        for (int p = 0; p < panel_count(j->tokens); p++) {
            const float *cosines = d->buffers->rope + (size_t)p * dim * LANES;
            size_t at = ((size_t)p * heads + index) * dim * LANES;
            float *x = (is_key ? d->buffers->k : d->buffers->q) + at;
            d->work->k->rope(x, cosines, cosines + dim / 2 * LANES, t->head_dim);
            int n = j->tokens - p * LANES < LANES ? j->tokens - p * LANES : LANES;
            if (is_key)
                kv_cache_put(j->cache, d->work, j->layer, (int)index, j->first + p * LANES, n, x,
                             d->buffers->v + at, LANES, 1);
        }
    }
}

void decoder_layer_panels(const struct decoder *d, const struct kv_cache *cache, int layer, float *x,
                          int first, int tokens)
{
    const struct work *w = d->work;
    const struct text_config *t = &d->config->text;
    const struct decoder_layer *l = &d->weights->decoder[layer];
    struct buffers *b = d->buffers;
    int queries = t->heads * t->head_dim, keys = t->kv_heads * t->head_dim;

    panels_rms_norm(w, &l->attention_norm, t->rms_eps, x, b->norm, tokens);
    const void *in = linear_pack(w, &l->q.weight, b->norm, tokens, b->packed);
    linear_panels(w, &l->q.weight, in, b->q, tokens, false);
    linear_panels(w, &l->k.weight, in, b->k, tokens, false);
    linear_panels(w, &l->v.weight, in, b->v, tokens, false);
    linear_bias(w, &l->q.bias, b->q, queries, tokens);
    linear_bias(w, &l->k.bias, b->k, keys, tokens);
    linear_bias(w, &l->v.bias, b->v, keys, tokens);
    struct heads_job heads = {d, cache, layer, first, tokens};
    pool_each(w->pool, (size_t)panel_count(tokens), 1, rope_panel, &heads);
    pool_each(w->pool, (size_t)(t->heads + t->kv_heads), 1, turn_head, &heads);
    struct attention a = {.work = w, .cache = cache, .layer = layer, .heads = t->heads, .causal = true};
    attention_panels(&a, b->q, first, tokens, first + tokens, b->attention);
    in = linear_pack(w, &l->o.weight, b->attention, tokens, b->packed);
    linear_panels(w, &l->o.weight, in, x, tokens, true);

    panels_rms_norm(w, &l->ffn_norm, t->rms_eps, x, b->norm, tokens);
    in = linear_pack(w, &l->gate.weight, b->norm, tokens, b->packed);
    linear_panels(w, &l->gate.weight, in, b->gate, tokens, false);
    linear_panels(w, &l->up.weight, in, b->ffn, tokens, false);
    panels_silu_mul(w, b->gate, b->ffn, t->ffn, tokens);
    in = linear_pack(w, &l->down.weight, b->gate, tokens, b->packed);
    linear_panels(w, &l->down.weight, in, x, tokens, true);
    tap_see(d->tap, "dec_layer", layer, x, t->hidden, tokens);
}

static void head(const struct decoder *d, const float *norm, int n, void *input, float *logits)
{
    const struct text_config *t = &d->config->text;
    struct linear linear = {.weight = d->weights->head};
    linear_dot_input(d->work, input_of(d->work, &linear.weight), norm, (size_t)t->hidden, t->hidden, n,
                     input);
    struct dot dot = {&linear, input, logits, (size_t)t->vocab};
    linear_dots(d->work, &dot, 1, n);
}

void decoder_head_panels(const struct decoder *d, const float *x, int token, float *logits)
{
    const struct text_config *t = &d->config->text;
    size_t hidden = (size_t)t->hidden;
    float *row = d->buffers->norm, *norm = row + hidden,
          *weight = norm + hidden; /* a panel has LANES such rows */
    const float *lane = x + (size_t)(token / LANES) * hidden * LANES + token % LANES;
    for (size_t i = 0; i < hidden; i++)
        row[i] = lane[i * LANES];
    tensor_to_f32(d->work->k, &d->weights->final_norm, 0, hidden, weight);
    d->work->k->rms_norm_row(norm, row, weight, t->hidden, t->rms_eps);
    head(d, norm, 1, d->buffers->packed, logits);
}

/* --- decode ----------------------------------------------------------------------------------------------
 */

struct rows_job {
    const struct decoder *d;
    const struct tensor *norm;
    const struct kv_cache *const *caches;
    const int *positions;
    struct rows *r;
    int layer;
};

static void norm_row(void *arg, size_t begin, size_t end, int thread)
{
    struct rows_job *j = arg;
    const struct text_config *t = &j->d->config->text;
    size_t hidden = (size_t)t->hidden;
    float *weight = work_scratch(j->d->work, thread);
    tensor_to_f32(j->d->work->k, j->norm, 0, hidden, weight);
    for (size_t i = begin; i < end; i++)
        j->d->work->k->rms_norm_row(j->r->norm + i * hidden, j->r->x + i * hidden, weight, t->hidden,
                                    t->rms_eps);
}

static void norm_rows(struct rows_job *j, const struct tensor *weight, int n)
{
    j->norm = weight;
    pool_each(j->d->work->pool, (size_t)n, 1, norm_row, j);
}

/* x normed, and made the input of products with `reader`. */
static void norm_input(struct rows_job *j, const struct tensor *weight, const struct tensor *reader, int n)
{
    norm_rows(j, weight, n);
    linear_dot_input(j->d->work, input_of(j->d->work, reader), j->r->norm, (size_t)j->d->config->text.hidden,
                     j->d->config->text.hidden, n, j->r->input);
}

static void turn_row(float *x, const float *cosines, int half)
{
    const float *sines = cosines + half;
    for (int i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * cosines[i] - b * sines[i];
        x[i + half] = b * cosines[i] + a * sines[i];
    }
}

static void turn_and_keep(void *arg, size_t begin, size_t end, int thread)
{
    (void)thread;
    struct rows_job *j = arg;
    const struct text_config *t = &j->d->config->text;
    size_t dim = (size_t)t->head_dim;
    for (size_t i = begin; i < end; i++) {
        const float *cosines = rope_at(j->d->rope, j->positions[i]);
        float *q = j->r->q + i * (size_t)t->heads * dim;
        float *k = j->r->k + i * (size_t)t->kv_heads * dim, *v = j->r->v + i * (size_t)t->kv_heads * dim;
        for (int h = 0; h < t->heads; h++)
            turn_row(q + (size_t)h * dim, cosines, t->head_dim / 2);
        for (int h = 0; h < t->kv_heads; h++) {
            turn_row(k + (size_t)h * dim, cosines, t->head_dim / 2);
            kv_cache_put(j->caches[i], j->d->work, j->layer, h, j->positions[i], 1, k + (size_t)h * dim,
                         v + (size_t)h * dim, 1, t->head_dim);
        }
    }
}

static void add_rows(float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void attend_rows(struct rows_job *j, int n)
{
    const struct decoder *d = j->d;
    const struct text_config *t = &d->config->text;
    const struct decoder_layer *l = &d->weights->decoder[j->layer];
    struct rows *r = j->r;
    size_t queries = (size_t)(t->heads * t->head_dim), keys = (size_t)(t->kv_heads * t->head_dim);
    norm_input(j, &l->attention_norm, &l->q.weight, n);
    struct dot qkv[] = {
        {&l->q, r->input, r->q, queries}, {&l->k, r->input, r->k, keys}, {&l->v, r->input, r->v, keys}};
    linear_dots(d->work, qkv, 3, n);
    pool_each(d->work->pool, (size_t)n, 1, turn_and_keep, j);
    struct attention a = {.work = d->work, .layer = j->layer, .heads = t->heads, .causal = true};
    attention_rows(&a, j->caches, r->q, j->positions, n, r->attention);
    linear_dot_input(d->work, input_of(d->work, &l->o.weight), r->attention, queries, (int)queries, n,
                     r->input);
    struct dot o = {&l->o, r->input, r->norm, (size_t)t->hidden};
    linear_dots(d->work, &o, 1, n);
    add_rows(r->x, r->norm, (size_t)(n * t->hidden));
}

struct silu_job {
    const struct decoder *d;
    struct rows *r;
};

static void silu_row(void *arg, size_t begin, size_t end, int thread)
{
    (void)thread;
    struct silu_job *j = arg;
    size_t ffn = (size_t)j->d->config->text.ffn;
    for (size_t i = begin; i < end; i++)
        j->d->work->k->silu_mul_row(j->r->gate + i * ffn, j->r->up + i * ffn, (int)ffn);
}

static void feed_forward_rows(struct rows_job *j, int n)
{
    const struct decoder *d = j->d;
    const struct text_config *t = &d->config->text;
    const struct decoder_layer *l = &d->weights->decoder[j->layer];
    struct rows *r = j->r;
    size_t ffn = (size_t)t->ffn;
    norm_input(j, &l->ffn_norm, &l->gate.weight, n);
    struct dot gate_up[] = {{&l->gate, r->input, r->gate, ffn}, {&l->up, r->input, r->up, ffn}};
    linear_dots(d->work, gate_up, 2, n);
    struct silu_job silu = {d, r};
    pool_each(d->work->pool, (size_t)n, 1, silu_row, &silu);
    linear_dot_input(d->work, input_of(d->work, &l->down.weight), r->gate, ffn, t->ffn, n, r->input);
    struct dot down = {&l->down, r->input, r->norm, (size_t)t->hidden};
    linear_dots(d->work, &down, 1, n);
    add_rows(r->x, r->norm, (size_t)(n * t->hidden));
}

void decoder_rows(const struct decoder *d, const struct kv_cache *const *caches, const int *ids,
                  const int *positions, int n, struct rows *r, float *logits)
{
    size_t hidden = (size_t)d->config->text.hidden;
    for (int i = 0; i < n; i++)
        tensor_to_f32(d->work->k, &d->weights->embedding, (size_t)ids[i] * hidden, hidden,
                      r->x + (size_t)i * hidden);
    struct rows_job j = {.d = d, .caches = caches, .positions = positions, .r = r};
    for (j.layer = 0; j.layer < d->config->text.layers; j.layer++) {
        attend_rows(&j, n);
        feed_forward_rows(&j, n);
    }
    norm_rows(&j, &d->weights->final_norm, n);
    head(d, r->norm, n, r->input, logits);
}
