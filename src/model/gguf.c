#include "model/gguf.h"

#include "model/blocks.h"
#include "model/dtype.h"
#include "model/gguf_keys.h"
#include "model/half.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 64, PLAN_BYTES = 64 << 20 };

struct item {
    const struct weight_slot *slot;
    enum dtype stored;
    uint64_t begin, end; /* bytes in the file */
};

struct gguf {
    struct gguf_file *file;
    const char *header;
    size_t header_bytes;
    struct item *items; /* [count], in file order */
    size_t count;
    uint64_t bytes; /* of the whole file */
    enum dtype matrices;
};

/* --- names -----------------------------------------------------------------------------------------------
 */

struct name {
    const char *ours, *theirs; /* without what follows the last dot: "weight" or "bias" */
};

static const struct name language_names[] = {
    {"model.embed_tokens", "token_embd"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
};

static const struct name decoder_names[] = {
    {"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"}, {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
};

static const struct name audio_names[] = {
    {"audio_tower.conv1", "a.conv1d.1"},
    {"audio_tower.conv2", "a.conv1d.2"},
    {"audio_tower.embed_positions", "a.position_embd"},
    {"audio_tower.layer_norm", "a.post_ln"},
    {"multi_modal_projector.linear", "mm.a.fc"},
};

static const struct name encoder_names[] = {
    {"self_attn_layer_norm", "ln1"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.out_proj", "attn_out"},
    {"final_layer_norm", "ln2"},
    {"fc1", "ffn_up"},
    {"fc2", "ffn_down"},
};

#define TABLE(t) t, sizeof(t) / sizeof *(t)

static const struct {
    const char *layers, *their_layers; /* what comes before a layer's number */
    const struct name *once;
    size_t once_count;
    const struct name *layer;
    size_t layer_count;
} parts[] = {
    [GGUF_LANGUAGE] = {"model.layers.", "blk.", TABLE(language_names), TABLE(decoder_names)},
    [GGUF_AUDIO] = {"audio_tower.layers.", "a.blk.", TABLE(audio_names), TABLE(encoder_names)},
};

static const char *translate(const struct name *names, size_t count, const char *ours, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i].ours) == size && strncmp(names[i].ours, ours, size) == 0)
            return names[i].theirs;
    return NULL;
}

static const char *behind(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

/* The slot's name in that part's file; false when it is in the other one. */
static bool name_of(enum gguf_part part, const char *slot, char out[MAX_NAME])
{
    const char *text = behind(slot, "language_model."), *name = text ? text : slot;
    const char *layer = behind(name, parts[part].layers);
    size_t digits = layer ? strspn(layer, "0123456789") : 0;
    const char *stem = layer ? layer + digits + 1 : name, *kind = strrchr(stem, '.');
    size_t size = (size_t)(kind - stem);
    const char *theirs = layer ? translate(parts[part].layer, parts[part].layer_count, stem, size)
                               : translate(parts[part].once, parts[part].once_count, stem, size);
    if (!theirs)
        return false;
    if (layer)
        snprintf(out, MAX_NAME, "%s%.*s.%s%s", parts[part].their_layers, (int)digits, layer, theirs, kind);
    else
        snprintf(out, MAX_NAME, "%s%s", theirs, kind);
    return true;
}

/* --- the plan --------------------------------------------------------------------------------------------
 */

static enum gguf_type type_of(enum dtype t)
{
    static const enum gguf_type types[] = {[DTYPE_F32] = GGUF_F32,
                                           [DTYPE_F16] = GGUF_F16,
                                           [DTYPE_BF16] = GGUF_BF16,
                                           [DTYPE_Q8_0] = GGUF_Q8_0,
                                           [DTYPE_Q4_0] = GGUF_Q4_0};
    return types[t];
}

static size_t row_bytes(enum dtype t, int cols)
{
    size_t blocks = (size_t)cols / BLOCK_COLS;
    return t == DTYPE_Q8_0   ? blocks * GGML_Q8_BYTES
           : t == DTYPE_Q4_0 ? blocks * GGML_Q4_BYTES
                             : (size_t)cols * dtype_bytes(t);
}

/* What a pack of the model would be; nothing when no encoding is asked for. */
static bool plan_pack(struct pack *p, const struct gguf_source *s, struct arena *a, struct err *e)
{
    const struct weights *w = s->model->weights;
    if (!s->encoding)
        return true;
    enum dtype *source = arena_alloc(a, w->slot_count, sizeof *source);
    if (!source)
        return err_set(e, ERR_MEMORY, "no memory for the plan of a GGUF file");
    for (size_t i = 0; i < w->slot_count; i++)
        source[i] = w->slots[i].tensor->dtype;
    return pack_plan(p, w, &s->model->config, source, *s->encoding, NULL, a, e);
}

static enum dtype stored_as(const struct gguf_source *s, const struct pack *p, const struct weight_slot *slot)
{
    if (slot->dims == 1 || slot->tensor == &s->model->weights->audio_positions)
        return DTYPE_F32;
    if (slot->dims == 3)
        return DTYPE_F16;
    return s->encoding ? pack_find(p, slot)->stored : slot->tensor->dtype;
}

/* The fastest dimension first. A convolution's bias stands along its channels, beside frames. */
static int dims_of(const struct weight_slot *slot, const char *name, uint64_t dims[GGUF_MAX_DIMS])
{
    int count = 0;
    if (slot->dims == 1 && behind(name, "a.conv1d."))
        dims[count++] = 1;
    for (int i = slot->dims - 1; i >= 0; i--)
        dims[count++] = (uint64_t)slot->shape[i];
    return count;
}

static void add_item(struct gguf *g, const struct weight_slot *slot, const char *name, enum dtype stored)
{
    uint64_t dims[GGUF_MAX_DIMS], bytes = slot->tensor->rows * row_bytes(stored, slot->tensor->cols);
    int count = dims_of(slot, name, dims);
    uint64_t at = gguf_add_tensor(g->file, name, dims, count, type_of(stored), bytes);
    g->items[g->count++] = (struct item){slot, stored, at, at + bytes};
}

static void add_items(struct gguf *g, const struct gguf_source *s, enum gguf_part part, const struct pack *p)
{
    const struct weights *w = s->model->weights;
    for (size_t i = 0; i < w->slot_count; i++) {
        char name[MAX_NAME];
        if (name_of(part, w->slots[i].name, name))
            add_item(g, &w->slots[i], name, stored_as(s, p, &w->slots[i]));
    }
}

/* What the first layer's queries are stored as. */
static enum dtype main_dtype(const struct gguf *g, const struct gguf_source *s, enum gguf_part part)
{
    const struct weights *w = s->model->weights;
    const struct tensor *q = part == GGUF_AUDIO ? &w->encoder[0].q.weight : &w->decoder[0].q.weight;
    for (size_t i = 0; i < g->count; i++)
        if (g->items[i].slot->tensor == q)
            return g->items[i].stored;
    return q->dtype;
}

/* Places counted from the data's begin become places in the file. */
static bool finish(struct gguf *g, struct err *e)
{
    g->header = gguf_file_header(g->file, &g->header_bytes, e);
    for (size_t i = 0; i < g->count; i++) {
        g->items[i].begin += g->header_bytes;
        g->items[i].end += g->header_bytes;
    }
    g->bytes = g->header_bytes + gguf_data_bytes(g->file);
    return g->header != NULL;
}

static bool plan(struct gguf *g, const struct gguf_source *s, enum gguf_part part, struct err *e)
{
    struct pack p = {0};
    struct arena *a = arena_new(PLAN_BYTES);
    bool ok = a || err_set(e, ERR_MEMORY, "no memory for the plan of a GGUF file");
    ok = ok && plan_pack(&p, s, a, e);
    if (ok) {
        add_items(g, s, part, &p);
        g->matrices = main_dtype(g, s, part);
        if (part == GGUF_LANGUAGE)
            gguf_put_language(g->file, s, g->matrices);
        else
            gguf_put_audio(g->file, s->model, g->matrices);
    }
    arena_free(a);
    return ok && finish(g, e);
}

struct gguf *gguf_new(const struct gguf_source *s, enum gguf_part part, struct err *e)
{
    struct gguf *g = NULL;
    if (part == GGUF_AUDIO && s->model->config.family != MODEL_QWEN2_AUDIO)
        err_set(e, ERR_UNSUPPORTED, "%s: has no audio tower", s->model->name);
    else if (!(g = calloc(1, sizeof *g)) ||
             !(g->items = calloc(s->model->weights->slot_count, sizeof *g->items)))
        err_set(e, ERR_MEMORY, "no memory for the plan of a GGUF file");
    else if ((g->file = gguf_file_new(e)) && plan(g, s, part, e))
        return g;
    gguf_free(g);
    return NULL;
}

void gguf_free(struct gguf *g)
{
    if (!g)
        return;
    gguf_file_free(g->file);
    free(g->items);
    free(g);
}

uint64_t gguf_bytes(const struct gguf *g)
{
    return g->bytes;
}

enum dtype gguf_matrices(const struct gguf *g)
{
    return g->matrices;
}

/* --- the data --------------------------------------------------------------------------------------------
 */

/* Tensors go out in strips of TILE_ROWS rows; room for the widest. */
struct strip {
    float *values;
    void *tiles; /* of values */
    unsigned char *out;
};

static bool strip_init(struct strip *s, const struct gguf *g, struct err *e)
{
    size_t values = 0, tiles = 0;
    for (const struct item *t = g->items; t < g->items + g->count; t++) {
        int cols = t->slot->tensor->cols, rows = t->slot->tensor->rows;
        size_t count = (size_t)(rows < TILE_ROWS ? rows : TILE_ROWS) * (size_t)cols;
        size_t strip = dtype_is_blocks(t->stored) ? blocks_strip_bytes(t->stored, cols) : 0;
        values = count > values ? count : values;
        tiles = strip > tiles ? strip : tiles;
    }
    s->values = malloc(values * sizeof *s->values);
    s->tiles = malloc(tiles ? tiles : 1);
    s->out = malloc(values * sizeof(float)); /* nothing is wider */
    return (s->values && s->tiles && s->out) ||
           err_set(e, ERR_MEMORY, "no memory to write %zu values at a time", values);
}

static void strip_clear(struct strip *s)
{
    free(s->values);
    free(s->tiles);
    free(s->out);
}

/* The largest value that a type holds; in blocks that of the largest scale. */
static float most_of(enum dtype t)
{
    return t == DTYPE_F16 ? 65504 : dtype_is_blocks(t) ? blocks_most(t) : INFINITY;
}

static bool check_values(const struct item *t, const float *values, int row, int count, struct err *e)
{
    int cols = t->slot->tensor->cols;
    float most = most_of(t->stored);
    for (int i = 0; most < INFINITY && i < count; i++)
        if (!(fabsf(values[i]) <= most))
            return err_set(e, ERR_CORRUPT, "tensor %s: row %d, column %d is %g, which %s cannot hold",
                           t->slot->name, row + i / cols, i % cols, (double)values[i], dtype_name(t->stored));
    return true;
}

static void read_values(const struct tensor *m, int row, int rows, float *out)
{
    const unsigned char *bytes = m->data;
    size_t cols = (size_t)m->cols;
    if (!dtype_is_blocks(m->dtype)) {
        dtype_widen(m->dtype, bytes + (size_t)row * cols * dtype_bytes(m->dtype), (size_t)rows * cols, out);
        return;
    }
    for (int r = 0; r < rows; r++)
        blocks_decode(m->dtype, bytes, m->cols, row + r, 0, m->cols, out + (size_t)r * cols);
}

/* From tiles that begin with row 0 of the strip. */
static void untile(const struct item *t, const void *tiles, int rows, unsigned char *out)
{
    int cols = t->slot->tensor->cols;
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < cols / BLOCK_COLS; b++)
            out += blocks_as_ggml(t->stored, tiles, cols, r, b, out);
}

static void put_values(enum dtype stored, const float *values, size_t count, unsigned char *out)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t half = stored == DTYPE_F16 ? f16_nearest(values[i]) : bf16_nearest(values[i]);
        if (stored == DTYPE_F32)
            memcpy(out + i * sizeof *values, &values[i], sizeof *values);
        else
            memcpy(out + i * sizeof half, &half, sizeof half);
    }
}

/* What is stored as it comes; blocks only in another order. */
static void keep(const struct item *t, int row, int rows, unsigned char *out)
{
    const struct tensor *m = t->slot->tensor;
    const unsigned char *bytes = m->data;
    if (dtype_is_blocks(m->dtype))
        untile(t, bytes + (size_t)(row / TILE_ROWS) * blocks_strip_bytes(m->dtype, m->cols), rows, out);
    else
        memcpy(out, bytes + (size_t)row * row_bytes(m->dtype, m->cols), rows * row_bytes(m->dtype, m->cols));
}

static bool convert(const struct item *t, struct strip *s, int row, int rows, struct err *e)
{
    const struct tensor *m = t->slot->tensor;
    size_t count = (size_t)rows * (size_t)m->cols;
    read_values(m, row, rows, s->values);
    if (!check_values(t, s->values, row, (int)count, e))
        return false;
    if (dtype_is_blocks(t->stored)) {
        blocks_encode(t->stored, s->values, rows, m->cols, s->tiles);
        untile(t, s->tiles, rows, s->out);
    } else {
        put_values(t->stored, s->values, count, s->out);
    }
    return true;
}

static bool write_item(const struct item *t, struct strip *s, pack_out_fn out, void *arg, struct err *e)
{
    const struct tensor *m = t->slot->tensor;
    size_t row_size = row_bytes(t->stored, m->cols);
    for (int row = 0; row < m->rows; row += TILE_ROWS) {
        int rows = m->rows - row < TILE_ROWS ? m->rows - row : TILE_ROWS;
        if (m->dtype == t->stored)
            keep(t, row, rows, s->out);
        else if (!convert(t, s, row, rows, e))
            return false;
        if (!out(arg, t->begin + (uint64_t)row * row_size, s->out, (size_t)rows * row_size, e))
            return false;
    }
    return true;
}

/* Zeros up to where the next tensor begins, or the file ends. */
static bool write_padding(uint64_t from, uint64_t to, pack_out_fn out, void *arg, struct err *e)
{
    static const char zeros[GGUF_ALIGNMENT];
    return from == to || out(arg, from, zeros, (size_t)(to - from), e);
}

bool gguf_write(const struct gguf *g, pack_out_fn out, void *arg, struct err *e)
{
    struct strip s = {0};
    bool ok = strip_init(&s, g, e) && out(arg, 0, g->header, g->header_bytes, e);
    for (size_t i = 0; ok && i < g->count; i++) {
        uint64_t next = i + 1 < g->count ? g->items[i + 1].begin : g->bytes;
        ok = write_item(&g->items[i], &s, out, arg, e) && write_padding(g->items[i].end, next, out, arg, e);
    }
    strip_clear(&s);
    return ok;
}
