#include "plan/memory.h"

#include <math.h>
#include <stddef.h>

const char *const plan_kv_names[] = {"bf16", "q8", "f32"};

/* The engine's own: kernel/kernels.h, layers/linear.c, layers/attention.c, layers/buffers.h. */
enum {
    LANES = 64,
    DOT_STEP = 32,
    TASK_ROWS = 48,
    PIECE_COLS = 2048,
    CHUNK = 512,
    F32 = 4,
    BF16 = 2,
    ROOM = 4096,
};

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* --- KV cache --------------------------------------------------------------------------------------------
 */

static uint64_t value_bytes(enum plan_kv kv)
{
    return kv == PLAN_KV_F32 ? F32 : kv == PLAN_KV_Q8 ? 1 : BF16;
}

uint64_t plan_kv_token_bytes(int layers, int kv_heads, int head_dim, enum plan_kv kv)
{
    uint64_t vector = (uint64_t)head_dim * value_bytes(kv) + (kv == PLAN_KV_Q8 ? sizeof(float) : 0);
    return 2 * vector * (uint64_t)kv_heads * (uint64_t)layers;
}

static uint64_t sequence_bytes(int layers, int kv_heads, int head_dim, enum plan_kv kv, int positions)
{
    uint64_t blocks = ((uint64_t)positions + PLAN_KV_BLOCK - 1) / PLAN_KV_BLOCK;
    return blocks * PLAN_KV_BLOCK * plan_kv_token_bytes(layers, kv_heads, head_dim, kv);
}

uint64_t plan_kv_bytes(int layers, int kv_heads, int head_dim, const struct plan_engine *g)
{
    return (uint64_t)g->parallel * sequence_bytes(layers, kv_heads, head_dim, g->kv, g->context);
}

/* --- scratch ---------------------------------------------------------------------------------------------
 */

/* Tokens stand in panels of LANES. */
static uint64_t lanes(int tokens)
{
    return ((uint64_t)tokens + LANES - 1) / LANES * LANES;
}

static uint64_t values(int features, int tokens)
{
    return lanes(tokens) * (uint64_t)features;
}

static uint64_t packed(const struct plan_engine *g, int features, int tokens)
{
    return values(features + features % 2, tokens) * (g->bf16_products ? BF16 : F32);
}

/* What a product of any layer reads. */
static uint64_t packed_bytes(const struct model_config *c, const struct plan_engine *g)
{
    const struct text_config *t = &c->text;
    const struct audio_config *a = &c->audio;
    uint64_t text = most(packed(g, t->ffn, CHUNK), packed(g, t->hidden, CHUNK));
    uint64_t audio = most(packed(g, a->ffn, a->max_positions), packed(g, 3 * a->width, a->max_positions));
    text = most(text, packed(g, t->heads * t->head_dim, CHUNK));
    audio = most(audio, packed(g, 3 * a->mel_bins, 2 * a->max_positions));
    return most(text, audio);
}

/* Activations between the parts of a layer, of one chunk or one window. */
static uint64_t buffer_bytes(const struct model_config *c, const struct plan_engine *g)
{
    const struct text_config *t = &c->text;
    const struct audio_config *a = &c->audio;
    uint64_t window = values(a->width, a->max_positions);
    uint64_t queries = most(values(t->heads * t->head_dim, CHUNK), window);
    uint64_t keys = most(values(t->kv_heads * t->head_dim, CHUNK), window);
    uint64_t ffn = most(values(t->ffn, CHUNK), values(a->ffn, a->max_positions));
    uint64_t norm = most(values(t->hidden, CHUNK), window);
    uint64_t projected = a->width ? values(t->hidden, a->max_positions / 2 + 1) : 0;
    ffn = most(ffn, values(a->width, 2 * a->max_positions)); /* conv1's output */
    return (norm + 2 * queries + 2 * keys + ffn + values(t->ffn, CHUNK) + projected +
            values(t->head_dim, CHUNK)) *
               F32 +
           packed_bytes(c, g);
}

static uint64_t up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

static uint64_t attention_room(int head_dim)
{
    uint64_t view = (uint64_t)PLAN_KV_BLOCK * (uint64_t)head_dim * 2 * F32 + PLAN_KV_BLOCK * F32;
    uint64_t scores = PLAN_KV_BLOCK * LANES * F32, query = ((uint64_t)head_dim + DOT_STEP) * LANES * F32;
    return up(view, 64) + 2 * scores + 2 * up(query, 64);
}

static uint64_t thread_bytes(const struct model_config *c)
{
    uint64_t widest =
        (uint64_t)most(most((uint64_t)c->text.ffn, (uint64_t)c->text.hidden), (uint64_t)c->audio.ffn);
    uint64_t linear = most((uint64_t)TASK_ROWS * PIECE_COLS * F32, widest * F32 * 4) + ROOM;
    uint64_t bytes = most(linear, attention_room(c->text.head_dim));
    if (c->audio.width)
        bytes = most(bytes, attention_room(c->audio.head_dim));
    return up(bytes, ROOM) + ROOM;
}

/* Rows of the tokens that are decoded together, and logits: the batch's, then each sequence's. */
static uint64_t row_bytes(const struct model_config *c, const struct plan_engine *g)
{
    const struct text_config *t = &c->text;
    uint64_t hidden = (uint64_t)t->hidden, ffn = (uint64_t)t->ffn;
    uint64_t queries = (uint64_t)t->heads * (uint64_t)t->head_dim;
    uint64_t keys = (uint64_t)t->kv_heads * (uint64_t)t->head_dim;
    uint64_t input = up(most(most(ffn, hidden), queries), DOT_STEP);
    uint64_t row = input + 2 * hidden + 2 * queries + 2 * keys + 2 * ffn;
    return (row + 2 * (uint64_t)t->vocab) * F32 * (uint64_t)g->parallel;
}

static uint64_t audio_cache_bytes(const struct model_config *c, const struct plan_engine *g)
{
    const struct audio_config *a = &c->audio;
    enum plan_kv kv = g->bf16_products ? PLAN_KV_BF16 : PLAN_KV_F32;
    return a->width ? sequence_bytes(1, a->heads, a->head_dim, kv, a->max_positions) : 0;
}

static uint64_t residual_bytes(const struct model_config *c, const struct plan_engine *g)
{
    return most(values(c->text.hidden, g->pass), values(c->audio.width, c->audio.max_positions)) * F32 *
           (uint64_t)g->parallel;
}

uint64_t plan_scratch_bytes(const struct model_config *c, const struct plan_engine *g)
{
    return buffer_bytes(c, g) + thread_bytes(c) * (uint64_t)g->threads + row_bytes(c, g) +
           audio_cache_bytes(c, g) + residual_bytes(c, g);
}

/* --- requests --------------------------------------------------------------------------------------------
 */

uint64_t plan_request_bytes(const struct model_config *c, const struct plan_engine *g, double audio_seconds)
{
    const struct mel_config *m = &c->mel;
    if (!c->audio.width || audio_seconds <= 0)
        return 0;
    double samples = audio_seconds * m->sample_rate, file = samples * 2, text = file * 4 / 3;
    double frames = samples / m->hop, tokens = frames / 4;
    double one = text + file + samples * F32 + frames * m->bins * F32 + tokens * c->text.hidden * F32;
    return (uint64_t)(ceil(one) * g->parallel);
}

/* --- together --------------------------------------------------------------------------------------------
 */

/* The table of rotary angles grows by doubling. */
static uint64_t angle_bytes(const struct text_config *t, const struct plan_engine *g)
{
    return 2 * (uint64_t)g->context * (uint64_t)t->head_dim * F32;
}

struct plan_memory plan_memory(const struct model_config *c, const struct plan_engine *g,
                               uint64_t weight_bytes, double audio_seconds)
{
    const struct text_config *t = &c->text;
    return (struct plan_memory){
        .weights = weight_bytes,
        .kv = plan_kv_bytes(t->layers, t->kv_heads, t->head_dim, g),
        .scratch = plan_scratch_bytes(c, g),
        .requests = plan_request_bytes(c, g, audio_seconds),
        .window = PLAN_WINDOW_BYTES,
        .process = PLAN_PROCESS_BYTES + angle_bytes(t, g),
    };
}

uint64_t plan_memory_total(const struct plan_memory *m)
{
    return m->weights + m->kv + m->scratch + m->requests + m->window + m->process;
}

uint64_t plan_memory_tmp_then_load(uint64_t file_bytes)
{
    return 2 * file_bytes;
}

uint64_t plan_memory_shard_by_shard(uint64_t file_bytes, uint64_t largest_file)
{
    return file_bytes + largest_file;
}
