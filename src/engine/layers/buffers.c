#include "engine/layers/buffers.h"
#include "engine/layers/linear.h"

/* nn.LayerNorm's default, which no file of the model states. */
static const float layer_norm_eps = 1e-5f;

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t panel_values(int features, int tokens)
{
    return (size_t)panel_count(tokens) * (size_t)features * LANES;
}

size_t residual_bytes(const struct model_config *c, int tokens)
{
    return most(panel_values(c->text.hidden, tokens), panel_values(c->audio.width, c->audio.max_positions)) *
           sizeof(float);
}

bool buffers_new(struct buffers *b, const struct model_config *c, bool as_bf16, struct err *e)
{
    const struct text_config *t = &c->text;
    const struct audio_config *a = &c->audio;
    int window = c->audio.max_positions, chunk = PREFILL_CHUNK;
    size_t values[] = {
        most(panel_values(t->hidden, chunk), panel_values(a->width, window)),                 /* norm */
        most(panel_values(t->heads * t->head_dim, chunk), panel_values(a->width, window)),    /* q */
        most(panel_values(t->kv_heads * t->head_dim, chunk), panel_values(a->width, window)), /* k */
        most(panel_values(t->kv_heads * t->head_dim, chunk), panel_values(a->width, window)), /* v */
        most(panel_values(t->heads * t->head_dim, chunk), panel_values(a->width, window)),    /* attention */
        most(most(panel_values(t->ffn, chunk), panel_values(a->ffn, window)),
             panel_values(a->width, 2 * window)),
        panel_values(t->ffn, chunk),                            /* gate */
        a->width ? panel_values(t->hidden, window / 2 + 1) : 0, /* projected */
        panel_values(t->head_dim, chunk),                       /* rope */
    };
    float **places[] = {&b->norm, &b->q,    &b->k,         &b->v,   &b->attention,
                        &b->ffn,  &b->gate, &b->projected, &b->rope};
    size_t packed = most(packed_bytes(as_bf16, t->ffn, chunk), packed_bytes(as_bf16, t->hidden, chunk));
    packed = most(packed, packed_bytes(as_bf16, t->heads * t->head_dim, chunk));
    packed = most(packed, packed_bytes(as_bf16, a->ffn, window));
    packed = most(packed, packed_bytes(as_bf16, 3 * a->width, window));        /* conv2 */
    packed = most(packed, packed_bytes(as_bf16, 3 * a->mel_bins, 2 * window)); /* conv1 */
    size_t total = packed;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        total += values[i] * sizeof(float);
    if (!pages_alloc(&b->pages, total, e))
        return err_wrap(e, "activations");
    unsigned char *at = b->pages.data;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        *places[i] = (float *)(void *)at;
        at += values[i] * sizeof(float);
    }
    b->packed = at;
    return true;
}

void buffers_free(struct buffers *b)
{
    pages_free(&b->pages);
}

struct norm_job {
    const struct work *w;
    const struct tensor *weight, *bias;
    const float *x, *up;
    float *y;
    float eps;
    int features, pieces;
};

static void norm_panel(void *arg, size_t begin, size_t end, int thread)
{
    struct norm_job *j = arg;
    size_t n = (size_t)j->features;
    float *weight = work_scratch(j->w, thread), *bias = weight + n;
    tensor_to_f32(j->w->k, j->weight, 0, n, weight);
    if (j->bias)
        tensor_to_f32(j->w->k, j->bias, 0, n, bias);
    for (size_t p = begin; p < end; p++) {
        const float *x = j->x + p * n * LANES;
        float *y = j->y + p * n * LANES;
        if (j->bias)
            j->w->k->layer_norm(y, x, weight, bias, j->features, j->eps);
        else
            j->w->k->rms_norm(y, x, weight, j->features, j->eps);
    }
}

void panels_rms_norm(const struct work *w, const struct tensor *weight, float eps, const float *x, float *y,
                     int tokens)
{
    struct norm_job j = {.w = w, .weight = weight, .x = x, .y = y, .eps = eps, .features = weight->cols};
    pool_each(w->pool, (size_t)panel_count(tokens), 1, norm_panel, &j);
}

void panels_layer_norm(const struct work *w, const struct layer_norm *norm, const float *x, float *y,
                       int tokens)
{
    struct norm_job j = {.w = w,
                         .weight = &norm->weight,
                         .bias = &norm->bias,
                         .x = x,
                         .y = y,
                         .eps = layer_norm_eps,
                         .features = norm->weight.cols};
    pool_each(w->pool, (size_t)panel_count(tokens), 1, norm_panel, &j);
}

enum { ROWS_PER_PIECE = 256 };

static int piece_rows(const struct norm_job *j, size_t piece, size_t *at)
{
    int row = (int)(piece % (size_t)j->pieces) * ROWS_PER_PIECE;
    *at = piece / (size_t)j->pieces * (size_t)j->features + (size_t)row;
    return j->features - row < ROWS_PER_PIECE ? j->features - row : ROWS_PER_PIECE;
}

static void gelu_piece(void *arg, size_t begin, size_t end, int thread)
{
    struct norm_job *j = arg;
    float *bias = work_scratch(j->w, thread);
    for (size_t i = begin; i < end; i++) {
        size_t at;
        int rows = piece_rows(j, i, &at);
        tensor_to_f32(j->w->k, j->bias, at % (size_t)j->features, (size_t)rows, bias);
        j->w->k->gelu_bias(j->y + at * LANES, bias, rows);
    }
}

void panels_gelu_bias(const struct work *w, const struct tensor *bias, float *x, int tokens)
{
    int features = bias->cols;
    struct norm_job j = {.w = w,
                         .bias = bias,
                         .y = x,
                         .features = features,
                         .pieces = (features + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE};
    pool_each(w->pool, (size_t)panel_count(tokens) * (size_t)j.pieces, 1, gelu_piece, &j);
}

static void silu_piece(void *arg, size_t begin, size_t end, int thread)
{
    (void)thread;
    struct norm_job *j = arg;
    for (size_t i = begin; i < end; i++) {
        size_t at;
        int rows = piece_rows(j, i, &at);
        j->w->k->silu_mul(j->y + at * LANES, j->up + at * LANES, rows);
    }
}

void panels_silu_mul(const struct work *w, float *gate, const float *up, int features, int tokens)
{
    struct norm_job j = {.w = w,
                         .up = up,
                         .y = gate,
                         .features = features,
                         .pieces = (features + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE};
    pool_each(w->pool, (size_t)panel_count(tokens) * (size_t)j.pieces, 1, silu_piece, &j);
}
