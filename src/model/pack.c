#include "model/pack.h"

#include "model/blocks.h"
#include "model/half.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const pack_encoding_names[] = {[PACK_BF16] = "bf16", [PACK_Q8_0] = "q8_0", [PACK_Q4_0] = "q4_0"};

static const char version_key[] = "ferry.pack", version[] = "1", padding[] = "pad.";

/* --- the plan --------------------------------------------------------------------------------------------
 */

static bool in_decoder(const struct weights *w, const struct model_config *c, const struct tensor *t)
{
    const struct decoder_layer *first = w->decoder, *end = first + c->text.layers;
    return (const void *)t >= (const void *)first && (const void *)t < (const void *)end;
}

static enum dtype stored_as(const struct weights *w, const struct model_config *c,
                            const struct weight_slot *slot, enum dtype source, enum pack_encoding encoding)
{
    bool matrix = slot->dims == 2 && slot->tensor != &w->audio_positions;
    if (slot->dims == 1)
        return source;
    if (encoding == PACK_BF16 || !matrix || !blocks_fit(slot->tensor->cols))
        return DTYPE_BF16;
    return encoding == PACK_Q4_0 && in_decoder(w, c, slot->tensor) ? DTYPE_Q4_0 : DTYPE_Q8_0;
}

/* Slots stand in execution order but for the embedding: few of its rows are needed early. */
static void order(struct pack *p, const struct weights *w)
{
    const struct weight_slot *embedding = NULL;
    for (size_t i = 0; i < w->slot_count; i++) {
        const struct weight_slot *slot = &w->slots[i];
        if (slot->tensor == &w->embedding)
            embedding = slot;
        else
            p->tensors[p->count++].slot = slot;
    }
    p->tensors[p->count++].slot = embedding;
}

static uint64_t aligned(uint64_t at)
{
    return (at + PACK_ALIGNMENT - 1) / PACK_ALIGNMENT * PACK_ALIGNMENT;
}

/* Begin and end counted from the end of the header, for now. */
static void place(struct pack *p, const struct weights *w, const struct model_config *c,
                  const enum dtype *source, enum pack_encoding encoding)
{
    uint64_t at = 0;
    for (struct pack_tensor *t = p->tensors; t < p->tensors + p->count; t++) {
        const struct tensor *shape = t->slot->tensor;
        t->source = source[t->slot - w->slots];
        t->stored = stored_as(w, c, t->slot, t->source, encoding);
        t->begin = aligned(at);
        t->end = at = t->begin + tensor_bytes(t->stored, shape->rows, shape->cols);
    }
    p->bytes = aligned(at);
}

/* --- the header ------------------------------------------------------------------------------------------
 */

static json_t *entry_json(const char *dtype, json_t *shape, uint64_t begin, uint64_t end)
{
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype, "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

static json_t *shape_json(const struct pack_tensor *t)
{
    const struct tensor *m = t->slot->tensor;
    if (dtype_is_blocks(t->stored))
        return json_pack("[i, i, i]", blocks_strips(m->rows), blocks_tiles(m->cols),
                         (int)blocks_tile_bytes(t->stored));
    json_t *shape = json_array();
    for (int i = 0; i < t->slot->dims; i++)
        json_array_append_new(shape, json_integer(t->slot->shape[i]));
    return shape;
}

static void add_padding(json_t *root, uint64_t begin, uint64_t end, int *pads)
{
    char name[24];
    if (begin == end)
        return;
    snprintf(name, sizeof name, "%s%d", padding, (*pads)++);
    json_object_set_new(root, name,
                        entry_json("U8", json_pack("[I]", (json_int_t)(end - begin)), begin, end));
}

static json_t *metadata_json(const struct pack *p, enum pack_encoding encoding, const struct pack_origin *o)
{
    json_t *m =
        json_pack("{s:s, s:s}", version_key, version, "ferry.encoding", pack_encoding_names[encoding]);
    if (o && o->source)
        json_object_set_new(m, "ferry.source", json_string(o->source));
    if (o && o->commit)
        json_object_set_new(m, "ferry.commit", json_string(o->commit));
    for (const struct pack_tensor *t = p->tensors; t < p->tensors + p->count; t++) {
        char key[120], shape[40];
        if (!dtype_is_blocks(t->stored))
            continue;
        snprintf(key, sizeof key, "%s:%s", dtype_name(t->stored), t->slot->name);
        snprintf(shape, sizeof shape, "[%d, %d]", t->slot->tensor->rows, t->slot->tensor->cols);
        json_object_set_new(m, key, json_string(shape));
    }
    return m;
}

static char *header_text(const struct pack *p, enum pack_encoding encoding, const struct pack_origin *origin)
{
    json_t *root = json_object();
    uint64_t at = 0;
    int pads = 0;
    json_object_set_new(root, "__metadata__", metadata_json(p, encoding, origin));
    for (const struct pack_tensor *t = p->tensors; t < p->tensors + p->count; t++) {
        const char *dtype = dtype_is_blocks(t->stored) ? "U8" : dtype_name(t->stored);
        add_padding(root, at, t->begin, &pads);
        json_object_set_new(root, t->slot->name, entry_json(dtype, shape_json(t), t->begin, t->end));
        at = t->end;
    }
    add_padding(root, at, p->bytes, &pads);
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

/* Length, JSON and as many spaces as bring the data to a multiple of 64; then offsets become places. */
static bool put_header(struct pack *p, const char *text, struct arena *a)
{
    size_t size = strlen(text);
    p->header_bytes = (size_t)aligned(SAFETENSORS_LENGTH_BYTES + size);
    p->header = arena_alloc(a, p->header_bytes, 1);
    if (!p->header)
        return false;
    uint64_t json_bytes = p->header_bytes - SAFETENSORS_LENGTH_BYTES;
    for (int i = 0; i < SAFETENSORS_LENGTH_BYTES; i++)
        p->header[i] = (char)(json_bytes >> 8 * i & 0xff);
    memset(p->header + SAFETENSORS_LENGTH_BYTES, ' ', json_bytes);
    memcpy(p->header + SAFETENSORS_LENGTH_BYTES, text, size);
    for (struct pack_tensor *t = p->tensors; t < p->tensors + p->count; t++) {
        t->begin += p->header_bytes;
        t->end += p->header_bytes;
    }
    p->bytes += p->header_bytes;
    return true;
}

bool pack_plan(struct pack *p, const struct weights *w, const struct model_config *c,
               const enum dtype *source, enum pack_encoding encoding, const struct pack_origin *origin,
               struct arena *a, struct err *e)
{
    *p = (struct pack){.tensors = arena_alloc(a, w->slot_count, sizeof *p->tensors)};
    if (!p->tensors)
        return err_set(e, ERR_MEMORY, "no memory for the plan of a pack");
    for (size_t i = 0; i < w->slot_count; i++)
        if (dtype_is_blocks(source[i]))
            return err_set(e, ERR_UNSUPPORTED,
                           "tensor %s: is encoded already (%s); a pack is made of the model "
                           "itself",
                           w->slots[i].name, dtype_name(source[i]));
    order(p, w);
    place(p, w, c, source, encoding);
    char *text = header_text(p, encoding, origin);
    bool ok = text && put_header(p, text, a);
    free(text);
    return ok || err_set(e, ERR_MEMORY, "no memory for the header of a pack");
}

const struct pack_tensor *pack_find(const struct pack *p, const struct weight_slot *slot)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->tensors[i].slot == slot)
            return &p->tensors[i];
    return NULL;
}

bool pack_blocks_of(const struct safetensors *s, const char *name, enum dtype *t)
{
    static const enum dtype types[] = {DTYPE_Q8_0, DTYPE_Q4_0};
    char key[160];
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        snprintf(key, sizeof key, "%s:%s", dtype_name(types[i]), name);
        *t = types[i];
        if (safetensors_metadata(s, key))
            return true;
    }
    return false;
}

bool pack_is_padding(const struct safetensors *s, const char *name)
{
    return safetensors_metadata(s, version_key) && strncmp(name, padding, sizeof padding - 1) == 0;
}

/* --- encoding --------------------------------------------------------------------------------------------
 */

enum { PIECE_BYTES = 64 << 10 }; /* of what is not in blocks, at a time */

struct pack_encoder {
    pack_out_fn out;
    void *arg;
    const struct pack_tensor *t;
    uint64_t taken, source_bytes; /* of t's source */
    uint64_t at;                  /* in the file, of what comes out next */
    unsigned char *piece;         /* [piece_size] source bytes of a strip, or of PIECE_BYTES */
    size_t piece_size, filled, room;
    float *values; /* of a piece */
    void *encoded;
    size_t value_room, encoded_room;
};

struct pack_encoder *pack_encoder_new(pack_out_fn out, void *arg, struct err *e)
{
    struct pack_encoder *n = calloc(1, sizeof *n);
    if (!n) {
        err_set(e, ERR_MEMORY, "no memory for an encoder");
        return NULL;
    }
    n->out = out;
    n->arg = arg;
    return n;
}

void pack_encoder_free(struct pack_encoder *n)
{
    if (!n)
        return;
    free(n->piece);
    free(n->values);
    free(n->encoded);
    free(n);
}

static bool make_room(void **buffer, size_t *room, size_t size)
{
    if (size <= *room)
        return true;
    free(*buffer);
    *buffer = malloc(size);
    *room = *buffer ? size : 0;
    return *buffer;
}

static size_t row_bytes(const struct pack_tensor *t)
{
    return (size_t)t->slot->tensor->cols * dtype_bytes(t->source);
}

bool pack_encoder_begin(struct pack_encoder *n, const struct pack_tensor *t, struct err *e)
{
    size_t value_bytes = dtype_bytes(t->source);
    size_t piece = dtype_is_blocks(t->stored) ? TILE_ROWS * row_bytes(t) : PIECE_BYTES;
    size_t encoded =
        dtype_is_blocks(t->stored) ? blocks_strip_bytes(t->stored, t->slot->tensor->cols) : PIECE_BYTES;
    n->t = t;
    n->taken = n->filled = 0;
    n->source_bytes = (uint64_t)t->slot->tensor->rows * row_bytes(t);
    n->at = t->begin;
    n->piece_size = piece;
    return (make_room((void **)&n->piece, &n->room, piece) &&
            make_room((void **)&n->values, &n->value_room, piece / value_bytes * sizeof(float)) &&
            make_room(&n->encoded, &n->encoded_room, encoded)) ||
           err_set(e, ERR_MEMORY, "tensor %s: no memory to encode it", t->slot->name);
}

/* Where the first value is that no block can hold. */
static bool check_values(const struct pack_encoder *n, size_t count, struct err *e)
{
    const float most = blocks_most(n->t->stored);
    size_t i = 0, cols = (size_t)n->t->slot->tensor->cols;
    bool bad = false;
    for (size_t k = 0; k < count; k++) /* without a way out, so that it becomes vectors */
        bad |= !(fabsf(n->values[k]) <= most);
    if (!bad)
        return true;
    while (fabsf(n->values[i]) <= most)
        i++;
    uint64_t row = (n->taken - n->filled) / row_bytes(n->t) + i / cols;
    return err_set(e, ERR_CORRUPT, "tensor %s: row %" PRIu64 ", column %zu is %g, which %s cannot hold",
                   n->t->slot->name, row, i % cols, (double)n->values[i], dtype_name(n->t->stored));
}

static bool put_out(struct pack_encoder *n, const void *bytes, size_t size, struct err *e)
{
    if (!n->out(n->arg, n->at, bytes, size, e))
        return false;
    n->at += size;
    return true;
}

static bool encode_strip(struct pack_encoder *n, size_t count, struct err *e)
{
    int cols = n->t->slot->tensor->cols, rows = (int)(count / (size_t)cols);
    if (!check_values(n, count, e))
        return false;
    blocks_encode(n->t->stored, n->values, rows, cols, n->encoded);
    return put_out(n, n->encoded, blocks_strip_bytes(n->t->stored, cols), e);
}

/* Rounded to the nearest bf16, ties to even. */
static bool encode_bf16(struct pack_encoder *n, size_t count, struct err *e)
{
    uint16_t *to = n->encoded;
    for (size_t i = 0; i < count; i++)
        to[i] = bf16_nearest(n->values[i]);
    return put_out(n, to, count * sizeof *to, e);
}

static bool encode_piece(struct pack_encoder *n, struct err *e)
{
    size_t count = n->filled / dtype_bytes(n->t->source);
    if (n->t->stored == n->t->source)
        return put_out(n, n->piece, n->filled, e);
    dtype_widen(n->t->source, n->piece, count, n->values);
    return dtype_is_blocks(n->t->stored) ? encode_strip(n, count, e) : encode_bf16(n, count, e);
}

bool pack_encoder_push(struct pack_encoder *n, const void *bytes, size_t size, struct err *e)
{
    const unsigned char *from = bytes;
    if (size > n->source_bytes - n->taken)
        return err_set(e, ERR_CORRUPT, "tensor %s: more than its %" PRIu64 " bytes", n->t->slot->name,
                       n->source_bytes);
    while (size) {
        size_t take = n->piece_size - n->filled < size ? n->piece_size - n->filled : size;
        memcpy(n->piece + n->filled, from, take);
        n->filled += take;
        n->taken += take;
        from += take;
        size -= take;
        if (n->filled < n->piece_size && n->taken < n->source_bytes)
            continue;
        if (!encode_piece(n, e))
            return false;
        n->filled = 0;
    }
    return true;
}
