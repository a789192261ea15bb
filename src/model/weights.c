#include "model/weights.h"

#include "base/arena.h"
#include "model/blocks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a tensor of the table belongs. */
enum part { AUDIO, ENCODER, PROJECTOR, TEXT, DECODER, HEAD, PARTS };

/* What its name begins with; %d is the layer. Text parts stand under language_model. beside an audio tower.
 */
static const struct {
    const char *prefix;
    bool layers, audio; /* once per layer; only with an audio tower */
} parts[PARTS] = {
    [AUDIO] = {"audio_tower.", false, true},
    [ENCODER] = {"audio_tower.layers.%d.", true, true},
    [PROJECTOR] = {"multi_modal_projector.", false, true},
    [TEXT] = {"model.", false, false},
    [DECODER] = {"model.layers.%d.", true, false},
    [HEAD] = {"", false, false},
};

/* The sizes that shapes are made of. NONE ends a shape. */
enum size {
    NONE,
    KERNEL, /* 3, of both convolutions */
    MELS,
    FRAMES,
    WIDTH,
    WIDE, /* ffn of the encoder */
    HIDDEN,
    QUERY, /* heads * head_dim */
    KEY,   /* kv_heads * head_dim */
    FFN,
    VOCAB,
};

/* clang-format off */
#define ONCE(member) offsetof(struct weights, member)
#define ENC(member) offsetof(struct encoder_layer, member)
#define DEC(member) offsetof(struct decoder_layer, member)

/* The whole model, in the order the forward pass needs it. Rows of a layered part stand together. */
static const struct row {
    enum part part;
    const char *name;
    size_t offset; /* of the struct tensor in struct weights, or in its layer */
    enum size shape[3];
} rows[] = {
    {AUDIO, "conv1.weight", ONCE(conv1.weight), {WIDTH, MELS, KERNEL}},
    {AUDIO, "conv1.bias", ONCE(conv1.bias), {WIDTH}},
    {AUDIO, "conv2.weight", ONCE(conv2.weight), {WIDTH, WIDTH, KERNEL}},
    {AUDIO, "conv2.bias", ONCE(conv2.bias), {WIDTH}},
    {AUDIO, "embed_positions.weight", ONCE(audio_positions), {FRAMES, WIDTH}},

    {ENCODER, "self_attn_layer_norm.weight", ENC(attention_norm.weight), {WIDTH}},
    {ENCODER, "self_attn_layer_norm.bias", ENC(attention_norm.bias), {WIDTH}},
    {ENCODER, "self_attn.q_proj.weight", ENC(q.weight), {WIDTH, WIDTH}},
    {ENCODER, "self_attn.q_proj.bias", ENC(q.bias), {WIDTH}},
    {ENCODER, "self_attn.k_proj.weight", ENC(k.weight), {WIDTH, WIDTH}},
    {ENCODER, "self_attn.v_proj.weight", ENC(v.weight), {WIDTH, WIDTH}},
    {ENCODER, "self_attn.v_proj.bias", ENC(v.bias), {WIDTH}},
    {ENCODER, "self_attn.out_proj.weight", ENC(out.weight), {WIDTH, WIDTH}},
    {ENCODER, "self_attn.out_proj.bias", ENC(out.bias), {WIDTH}},
    {ENCODER, "final_layer_norm.weight", ENC(ffn_norm.weight), {WIDTH}},
    {ENCODER, "final_layer_norm.bias", ENC(ffn_norm.bias), {WIDTH}},
    {ENCODER, "fc1.weight", ENC(fc1.weight), {WIDE, WIDTH}},
    {ENCODER, "fc1.bias", ENC(fc1.bias), {WIDE}},
    {ENCODER, "fc2.weight", ENC(fc2.weight), {WIDTH, WIDE}},
    {ENCODER, "fc2.bias", ENC(fc2.bias), {WIDTH}},

    {AUDIO, "layer_norm.weight", ONCE(audio_norm.weight), {WIDTH}},
    {AUDIO, "layer_norm.bias", ONCE(audio_norm.bias), {WIDTH}},
    {PROJECTOR, "linear.weight", ONCE(projector.weight), {HIDDEN, WIDTH}},
    {PROJECTOR, "linear.bias", ONCE(projector.bias), {HIDDEN}},

    {TEXT, "embed_tokens.weight", ONCE(embedding), {VOCAB, HIDDEN}},

    {DECODER, "input_layernorm.weight", DEC(attention_norm), {HIDDEN}},
    {DECODER, "self_attn.q_proj.weight", DEC(q.weight), {QUERY, HIDDEN}},
    {DECODER, "self_attn.q_proj.bias", DEC(q.bias), {QUERY}},
    {DECODER, "self_attn.k_proj.weight", DEC(k.weight), {KEY, HIDDEN}},
    {DECODER, "self_attn.k_proj.bias", DEC(k.bias), {KEY}},
    {DECODER, "self_attn.v_proj.weight", DEC(v.weight), {KEY, HIDDEN}},
    {DECODER, "self_attn.v_proj.bias", DEC(v.bias), {KEY}},
    {DECODER, "self_attn.o_proj.weight", DEC(o.weight), {HIDDEN, QUERY}},
    {DECODER, "post_attention_layernorm.weight", DEC(ffn_norm), {HIDDEN}},
    {DECODER, "mlp.gate_proj.weight", DEC(gate.weight), {FFN, HIDDEN}},
    {DECODER, "mlp.up_proj.weight", DEC(up.weight), {FFN, HIDDEN}},
    {DECODER, "mlp.down_proj.weight", DEC(down.weight), {HIDDEN, FFN}},

    {TEXT, "norm.weight", ONCE(final_norm), {HIDDEN}},
    {HEAD, "lm_head.weight", ONCE(head), {VOCAB, HIDDEN}},
};
/* clang-format on */

enum { ROWS = sizeof rows / sizeof *rows };

/* What weights_new makes: the public part first, and what finds a slot by name. */
struct store {
    struct weights weights;
    struct arena *arena;
    uint32_t *buckets; /* slot index + 1, 0 is free; linear probing, at most half full */
    size_t mask;
};

static int size_of(const struct model_config *c, enum size s)
{
    switch (s) {
    case NONE:
        return 0;
    case KERNEL:
        return 3;
    case MELS:
        return c->audio.mel_bins;
    case FRAMES:
        return c->audio.max_positions;
    case WIDTH:
        return c->audio.width;
    case WIDE:
        return c->audio.ffn;
    case HIDDEN:
        return c->text.hidden;
    case QUERY:
        return c->text.heads * c->text.head_dim;
    case KEY:
        return c->text.kv_heads * c->text.head_dim;
    case FFN:
        return c->text.ffn;
    case VOCAB:
        return c->text.vocab;
    }
    return 0;
}

static bool row_exists(const struct model_config *c, const struct row *r)
{
    if (r->part == HEAD && c->text.tied_head)
        return false;
    return !parts[r->part].audio || c->family == MODEL_QWEN2_AUDIO;
}

static int layers_of(const struct model_config *c, enum part p)
{
    if (!parts[p].layers)
        return 1;
    return p == ENCODER ? c->audio.layers : c->text.layers;
}

static size_t count_slots(const struct model_config *c)
{
    size_t n = 0;
    for (const struct row *r = rows; r < rows + ROWS; r++)
        if (row_exists(c, r))
            n += (size_t)layers_of(c, r->part);
    return n;
}

static uint64_t hash_name(const char *s)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h ^ h >> 32;
}

/* The bucket that holds this name, or the free one where it would go. */
static uint32_t *bucket_of(const struct store *s, const char *name)
{
    size_t i = hash_name(name) & s->mask;
    while (s->buckets[i] && strcmp(s->weights.slots[s->buckets[i] - 1].name, name) != 0)
        i = (i + 1) & s->mask;
    return &s->buckets[i];
}

static void *member(struct weights *w, const struct row *r, int layer)
{
    char *base = r->part == ENCODER   ? (char *)&w->encoder[layer]
                 : r->part == DECODER ? (char *)&w->decoder[layer]
                                      : (char *)w;
    return base + r->offset;
}

static void name_slot(struct weight_slot *slot, const struct model_config *c, const struct row *r, int layer)
{
    const char *lead = c->family == MODEL_QWEN2_AUDIO && !parts[r->part].audio ? "language_model." : "";
    const char *prefix = parts[r->part].prefix;
    const char *number = strstr(prefix, "%d");
    if (number)
        snprintf(slot->name, sizeof slot->name, "%s%.*s%d%s%s", lead, (int)(number - prefix), prefix, layer,
                 number + 2, r->name);
    else
        snprintf(slot->name, sizeof slot->name, "%s%s%s", lead, prefix, r->name);
}

static void shape_tensor(struct tensor *t, const int *shape, int dims)
{
    t->rows = dims == 1 ? 1 : shape[0];
    t->cols = dims == 1 ? shape[0] : dims == 2 ? shape[1] : shape[1] * shape[2];
}

static void add_slot(struct store *s, const struct model_config *c, const struct row *r, int layer)
{
    struct weights *w = &s->weights;
    struct weight_slot *slot = &w->slots[w->slot_count];
    name_slot(slot, c, r, layer);
    slot->tensor = member(w, r, layer);
    for (; slot->dims < 3 && r->shape[slot->dims] != NONE; slot->dims++)
        slot->shape[slot->dims] = size_of(c, r->shape[slot->dims]);
    shape_tensor(slot->tensor, slot->shape, slot->dims);
    *bucket_of(s, slot->name) = (uint32_t)++w->slot_count;
}

static void add_slots(struct store *s, const struct model_config *c)
{
    const struct row *end = rows + ROWS;
    for (const struct row *first = rows, *last; first < end; first = last) {
        for (last = first + 1; last < end && last->part == first->part;)
            last++;
        for (int layer = 0; layer < layers_of(c, first->part); layer++)
            for (const struct row *r = first; r < last; r++)
                if (row_exists(c, r))
                    add_slot(s, c, r, layer);
    }
}

static bool alloc_store(struct store *s, const struct model_config *c)
{
    size_t slots = count_slots(c), buckets = 16;
    while (buckets < 2 * slots)
        buckets *= 2;
    struct weights *w = &s->weights;
    s->mask = buckets - 1;
    return (s->arena = arena_new(SIZE_MAX)) &&
           (s->buckets = arena_alloc(s->arena, buckets, sizeof *s->buckets)) &&
           (w->slots = arena_alloc(s->arena, slots, sizeof *w->slots)) &&
           (w->encoder = arena_alloc(s->arena, (size_t)c->audio.layers, sizeof *w->encoder)) &&
           (w->decoder = arena_alloc(s->arena, (size_t)c->text.layers, sizeof *w->decoder));
}

struct weights *weights_new(const struct model_config *c, struct err *e)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s || !alloc_store(s, c)) {
        if (s)
            arena_free(s->arena);
        free(s);
        err_set(e, ERR_MEMORY, "no memory for the names of %zu tensors", count_slots(c));
        return NULL;
    }
    add_slots(s, c);
    if (c->text.tied_head)
        shape_tensor(&s->weights.head, (int[]){c->text.vocab, c->text.hidden}, 2);
    return &s->weights;
}

void weights_free(struct weights *w)
{
    if (!w)
        return;
    struct store *s = (struct store *)w;
    arena_free(s->arena);
    free(s);
}

struct weight_slot *weights_find(const struct weights *w, const char *name)
{
    uint32_t found = *bucket_of((const struct store *)w, name);
    return found ? &w->slots[found - 1] : NULL;
}

bool weights_ignore(const struct model_config *c, const char *name)
{
    static const char frequencies[] = ".rotary_emb.inv_freq";
    size_t n = strlen(name), tail = sizeof frequencies - 1;
    if (n > tail && strcmp(name + n - tail, frequencies) == 0)
        return true;
    return c->text.tied_head &&
           (strcmp(name, "lm_head.weight") == 0 || strcmp(name, "language_model.lm_head.weight") == 0);
}

/* "[96, 200]"; of a shape too long for the text the first sizes. */
static const char *print_shape(char *text, size_t room, const uint64_t *shape, int dims)
{
    enum { WIDEST = sizeof ", 18446744073709551615, ...]" };
    size_t n = (size_t)snprintf(text, room, "[");
    int i = 0;
    for (; i < dims && n + WIDEST <= room; i++)
        n += (size_t)snprintf(text + n, room - n, "%s%" PRIu64, i ? ", " : "", shape[i]);
    snprintf(text + n, room - n, i < dims ? ", ...]" : "]");
    return text;
}

static bool shape_fits(const struct weight_slot *slot, const uint64_t *shape, int dims)
{
    for (int i = 0; i < slot->dims && i < dims; i++)
        if (shape[i] != (uint64_t)slot->shape[i])
            return false;
    return dims == slot->dims;
}

static size_t slot_bytes(const struct weight_slot *slot, enum dtype dtype)
{
    return tensor_bytes(dtype, slot->tensor->rows, slot->tensor->cols);
}

bool weights_fill(struct weight_slot *slot, enum dtype dtype, const uint64_t *shape, int dims,
                  const void *data, uint64_t bytes, struct err *e)
{
    if (slot->tensor->data)
        return err_set(e, ERR_CORRUPT, "tensor %s: given twice, expected once", slot->name);
    if (!shape_fits(slot, shape, dims)) {
        char found[120], expected[120];
        uint64_t want[3] = {0};
        for (int i = 0; i < slot->dims; i++)
            want[i] = (uint64_t)slot->shape[i];
        return err_set(e, ERR_CORRUPT, "tensor %s: shape %s, expected %s from config.json", slot->name,
                       print_shape(found, sizeof found, shape, dims),
                       print_shape(expected, sizeof expected, want, slot->dims));
    }
    if (bytes != slot_bytes(slot, dtype))
        return err_set(e, ERR_CORRUPT, "tensor %s: %" PRIu64 " bytes, expected %zu for its shape in %s",
                       slot->name, bytes, slot_bytes(slot, dtype), dtype_name(dtype));
    if ((uintptr_t)data % dtype_bytes(dtype))
        return err_set(e, ERR_CORRUPT, "tensor %s: misaligned, expected a multiple of %zu bytes for %s",
                       slot->name, dtype_bytes(dtype), dtype_name(dtype));
    slot->tensor->dtype = dtype;
    slot->tensor->data = data;
    return true;
}

bool weights_fill_blocks(struct weight_slot *slot, enum dtype dtype, const uint64_t *shape, int dims,
                         const void *data, struct err *e)
{
    const struct tensor *t = slot->tensor;
    if (slot->dims != 2 || !blocks_fit(t->cols))
        return err_set(e, ERR_CORRUPT,
                       "tensor %s: in %s, expected a matrix of whole blocks of %d columns for that",
                       slot->name, dtype_name(dtype), BLOCK_COLS);
    const uint64_t want[3] = {(uint64_t)blocks_strips(t->rows), (uint64_t)blocks_tiles(t->cols),
                              blocks_tile_bytes(dtype)};
    char found[120], expected[120];
    if (dims != 3 || memcmp(shape, want, sizeof want) != 0)
        return err_set(e, ERR_CORRUPT, "tensor %s: shape %s, expected %s for %d x %d in %s", slot->name,
                       print_shape(found, sizeof found, shape, dims),
                       print_shape(expected, sizeof expected, want, 3), t->rows, t->cols, dtype_name(dtype));
    uint64_t logical[2] = {(uint64_t)t->rows, (uint64_t)t->cols};
    return weights_fill(slot, dtype, logical, 2, data, slot_bytes(slot, dtype), e);
}

bool weights_complete(struct weights *w, const struct model_config *c, struct err *e)
{
    for (size_t i = 0; i < w->slot_count; i++)
        if (!w->slots[i].tensor->data)
            return err_set(e, ERR_CORRUPT, "tensor %s: missing, config.json asks for %zu tensors",
                           w->slots[i].name, w->slot_count);
    if (c->text.tied_head)
        w->head = w->embedding;
    return true;
}

uint64_t weights_bytes(const struct weights *w)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < w->slot_count; i++)
        if (w->slots[i].tensor->data)
            bytes += slot_bytes(&w->slots[i], w->slots[i].tensor->dtype);
    return bytes;
}
