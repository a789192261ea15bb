#include "engine/layers/encoder.h"
#include "engine/layers/attention.h"
#include "engine/layers/linear.h"

#include <string.h>

enum { KERNEL = 3, ROWS_PER_PIECE = 64 };

/* --- convolutions: as products, with the kernel's three frames of each channel as columns
 * --------------------- */

struct conv_job {
    const struct work *w;
    const struct mel *mel; /* conv1's input, or NULL */
    const float *panels;   /* conv2's input [panels][channels][LANES] */
    int frames;            /* of the input that exist; 0 before and behind */
    int channels, stride;
    void *to;
    int pieces;
};

static float frame(const struct conv_job *j, int channel, int t)
{
    if (t < 0 || t >= j->frames)
        return 0;
    if (j->mel)
        return j->mel->data[(size_t)channel * (size_t)j->mel->stride + (size_t)t];
    return j
        ->panels[((size_t)(t / LANES) * (size_t)j->channels + (size_t)channel) * LANES + (size_t)(t % LANES)];
}

static void unfold_piece(void *arg, size_t begin, size_t end, int thread)
{
    struct conv_job *j = arg;
    float(*rows)[LANES] = work_scratch(j->w, thread);
    int cols = j->channels * KERNEL, even = j->w->bf16 ? cols + cols % 2 : cols;
    for (size_t i = begin; i < end; i++) {
        int panel = (int)(i / (size_t)j->pieces), row = (int)(i % (size_t)j->pieces) * ROWS_PER_PIECE;
        int n = cols - row < ROWS_PER_PIECE ? cols - row : ROWS_PER_PIECE;
        for (int r = 0; r < n; r++)
            for (int l = 0; l < LANES; l++)
                rows[r][l] =
                    frame(j, (row + r) / KERNEL, (panel * LANES + l) * j->stride + (row + r) % KERNEL - 1);
        size_t at = ((size_t)panel * (size_t)even + (size_t)row) * LANES;
        if (j->w->bf16)
            j->w->k->pack_bf16((bf16 *)j->to + at, rows[0], n);
        else
            memcpy((float *)j->to + at, rows, (size_t)n * sizeof *rows);
    }
}

static void convolve(const struct encoder *n, const struct linear *conv, struct conv_job *j, float *y,
                     int tokens)
{
    j->w = n->work;
    j->to = n->buffers->packed;
    j->pieces = (j->channels * KERNEL + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE;
    pool_each(n->work->pool, (size_t)panel_count(tokens) * (size_t)j->pieces, 1, unfold_piece, j);
    linear_panels(n->work, &conv->weight, j->to, y, tokens, false);
    panels_gelu_bias(n->work, &conv->bias, y, tokens);
}

static void add_positions(const struct encoder *n, float *x, int tokens)
{
    int width = n->config->audio.width;
    float *row = work_scratch(n->work, 0);
    for (int t = 0; t < tokens; t++) {
        tensor_to_f32(n->work->k, &n->weights->audio_positions, (size_t)t * (size_t)width, (size_t)width,
                      row);
        float *lane = x + (size_t)(t / LANES) * (size_t)width * LANES + t % LANES;
        for (int i = 0; i < width; i++)
            lane[i * LANES] += row[i];
    }
}

static void convolutions(const struct encoder *n, const struct mel *mel, float *x)
{
    int conv_frames = mel_conv_frames(mel->frames), width = n->config->audio.width;
    struct conv_job one = {.mel = mel, .frames = mel->stride, .channels = mel->bins, .stride = 1};
    convolve(n, &n->weights->conv1, &one, n->buffers->ffn, 2 * conv_frames);
    struct conv_job two = {
        .panels = n->buffers->ffn, .frames = 2 * conv_frames, .channels = width, .stride = 2};
    convolve(n, &n->weights->conv2, &two, x, conv_frames);
    add_positions(n, x, conv_frames);
    tap_see(n->tap, "conv_pos", 0, x, width, conv_frames);
}

/* --- layers ------------------------------------------------------------------------------------------------
 */

struct keep_job {
    const struct encoder *n;
    int tokens;
};

static void keep_head(void *arg, size_t begin, size_t end, int thread)
{
    (void)thread;
    struct keep_job *j = arg;
    const struct audio_config *a = &j->n->config->audio;
    for (size_t head = begin; head < end; head++) {
        for (int t = 0; t < j->tokens; t += LANES) {
            size_t at = ((size_t)(t / LANES) * (size_t)a->width + head * (size_t)a->head_dim) * LANES;
            int n = j->tokens - t < LANES ? j->tokens - t : LANES;
            kv_cache_put(j->n->cache, j->n->work, 0, (int)head, t, n, j->n->buffers->k + at,
                         j->n->buffers->v + at, LANES, 1);
        }
    }
}

static void self_attention(const struct encoder *n, const struct encoder_layer *layer, float *x, int tokens)
{
    const struct work *w = n->work;
    struct buffers *b = n->buffers;
    int width = n->config->audio.width;
    panels_layer_norm(w, &layer->attention_norm, x, b->norm, tokens);
    const void *in = linear_pack(w, &layer->q.weight, b->norm, tokens, b->packed);
    linear_panels(w, &layer->q.weight, in, b->q, tokens, false);
    linear_panels(w, &layer->k.weight, in, b->k, tokens, false);
    linear_panels(w, &layer->v.weight, in, b->v, tokens, false);
    linear_bias(w, &layer->q.bias, b->q, width, tokens);
    linear_bias(w, &layer->v.bias, b->v, width, tokens);
    struct keep_job keep = {n, tokens};
    pool_each(w->pool, (size_t)n->config->audio.heads, 1, keep_head, &keep);
    struct attention a = {.work = w, .cache = n->cache, .heads = n->config->audio.heads, .causal = false};
    attention_panels(&a, b->q, 0, tokens, tokens, b->attention);
    in = linear_pack(w, &layer->out.weight, b->attention, tokens, b->packed);
    linear_panels(w, &layer->out.weight, in, x, tokens, true);
    linear_bias(w, &layer->out.bias, x, width, tokens);
}

static void feed_forward(const struct encoder *n, const struct encoder_layer *layer, float *x, int tokens)
{
    const struct work *w = n->work;
    struct buffers *b = n->buffers;
    int width = n->config->audio.width;
    panels_layer_norm(w, &layer->ffn_norm, x, b->norm, tokens);
    const void *in = linear_pack(w, &layer->fc1.weight, b->norm, tokens, b->packed);
    linear_panels(w, &layer->fc1.weight, in, b->ffn, tokens, false);
    panels_gelu_bias(w, &layer->fc1.bias, b->ffn, tokens);
    in = linear_pack(w, &layer->fc2.weight, b->ffn, tokens, b->packed);
    linear_panels(w, &layer->fc2.weight, in, x, tokens, true);
    linear_bias(w, &layer->fc2.bias, x, width, tokens);
}

/* --- pooling, norm, projector
 * -------------------------------------------------------------------------------- */

static void pool_pairs(const struct encoder *n, const float *x, float *y, int tokens)
{
    size_t width = (size_t)n->config->audio.width;
    for (int t = 0; t < tokens; t++) {
        const float *pair = x + (size_t)(2 * t / LANES) * width * LANES + 2 * t % LANES; /* LANES is even */
        float *to = y + (size_t)(t / LANES) * width * LANES + t % LANES;
        for (size_t i = 0; i < width; i++)
            to[i * LANES] = (pair[i * LANES] + pair[i * LANES + 1]) / 2;
    }
}

static void project(const struct encoder *n, const float *x, int tokens, float *features)
{
    const struct work *w = n->work;
    struct buffers *b = n->buffers;
    int width = n->config->audio.width, hidden = n->config->text.hidden;
    pool_pairs(n, x, b->q, tokens);
    panels_layer_norm(w, &n->weights->audio_norm, b->q, b->norm, tokens);
    tap_see(n->tap, "encoder", 0, b->norm, width, tokens);
    const void *in = linear_pack(w, &n->weights->projector.weight, b->norm, tokens, b->packed);
    linear_panels(w, &n->weights->projector.weight, in, b->projected, tokens, false);
    linear_bias(w, &n->weights->projector.bias, b->projected, hidden, tokens);
    tap_see(n->tap, "projector", 0, b->projected, hidden, tokens);
    for (int t = 0; t < tokens; t++)
        for (int i = 0; i < hidden; i++)
            features[(size_t)t * (size_t)hidden + (size_t)i] =
                b->projected[((size_t)(t / LANES) * (size_t)hidden + (size_t)i) * LANES +
                             (size_t)(t % LANES)];
}

void encoder_step(const struct encoder *n, const struct mel *mel, int step, float *x, float *features)
{
    int frames = mel_conv_frames(mel->frames), layer = step - 1;
    if (step == 0) {
        convolutions(n, mel, x);
    } else if (layer < n->config->audio.layers) {
        self_attention(n, &n->weights->encoder[layer], x, frames);
        feed_forward(n, &n->weights->encoder[layer], x, frames);
        tap_see(n->tap, "enc_layer", layer, x, n->config->audio.width, frames);
    } else {
        project(n, x, mel_tokens(mel->frames), features);
    }
}
