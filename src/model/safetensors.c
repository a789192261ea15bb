#include "model/safetensors.h"

#include "base/catalog.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Values that an entry may consist of: name, dtype, shape, offsets and their keys, with room for metadata.
 * Bounds what the JSON parser may allocate for a hostile header. */
enum { MAX_VALUES = 16 * SAFETENSORS_MAX_TENSORS };

/* What every check of one header needs. */
struct reading {
    uint64_t data_begin, data_bytes;
    struct err *e;
};

bool safetensors_header_bytes(const unsigned char first[SAFETENSORS_LENGTH_BYTES], uint64_t file_bytes,
                              size_t *header_bytes, struct err *e)
{
    uint64_t n = 0;
    for (int i = SAFETENSORS_LENGTH_BYTES - 1; i >= 0; i--)
        n = n << 8 | first[i];
    if (n > SAFETENSORS_MAX_HEADER)
        return err_set(e, ERR_LIMIT,
                       "header of %" PRIu64 " bytes, expected at most %d: not a safetensors file?", n,
                       SAFETENSORS_MAX_HEADER);
    if (file_bytes < SAFETENSORS_LENGTH_BYTES || n > file_bytes - SAFETENSORS_LENGTH_BYTES)
        return err_set(e, ERR_CORRUPT,
                       "header of %" PRIu64 " bytes, but the file has %" PRIu64 ": truncated, fetch it again",
                       n, file_bytes);
    *header_bytes = (size_t)n;
    return true;
}

/* A cheap look over the bytes before the JSON parser builds a tree of them. */
static bool count_values(const char *header, size_t n, struct err *e)
{
    size_t objects = 0, values = 0;
    for (size_t i = 0; i < n; i++) {
        objects += header[i] == '{';
        values += header[i] == ',' || header[i] == '[' || header[i] == '{';
    }
    if (objects > SAFETENSORS_MAX_TENSORS + 2)
        return err_set(e, ERR_LIMIT, "header lists about %zu tensors, expected at most %d", objects - 1,
                       SAFETENSORS_MAX_TENSORS);
    if (values > MAX_VALUES)
        return err_set(e, ERR_LIMIT, "header has about %zu values, expected at most %d", values, MAX_VALUES);
    return true;
}

static bool read_shape(struct safetensor *t, const json_t *shape, const struct reading *r)
{
    size_t dims = json_array_size(shape);
    if (!json_is_array(shape) || dims > SAFETENSORS_MAX_DIMS)
        return err_set(r->e, ERR_CORRUPT, "shape is not a list of at most %d sizes", SAFETENSORS_MAX_DIMS);
    for (size_t i = 0; i < dims; i++) {
        const json_t *size = json_array_get(shape, i);
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return err_set(r->e, ERR_CORRUPT, "size %zu of its shape is not a whole number from 0 up", i + 1);
        t->shape[i] = (uint64_t)json_integer_value(size);
    }
    t->dims = (int)dims;
    return true;
}

static bool read_dtype(struct safetensor *t, const json_t *name, const struct reading *r)
{
    const char *text = json_string_value(name);
    t->dtype = text ? dtype_find(text) : NULL;
    return t->dtype ||
           err_set(r->e, ERR_CORRUPT, "dtype %.40s, expected one of the format's, as BF16, F16 or F32",
                   text ? text : _("is not a string"));
}

static bool read_offsets(struct safetensor *t, const json_t *offsets, const struct reading *r)
{
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return err_set(r->e, ERR_CORRUPT, "data_offsets is not [begin, end] with 0 <= begin <= end");
    t->begin = (uint64_t)json_integer_value(begin);
    t->end = (uint64_t)json_integer_value(end);
    t->begin += r->data_begin;
    t->end += r->data_begin;
    return true;
}

static bool check_bytes(const struct safetensor *t, const struct reading *r)
{
    uint64_t bits = (uint64_t)t->dtype->bits;
    bool fits = true;
    for (int i = 0; i < t->dims; i++)
        fits = !__builtin_mul_overflow(bits, t->shape[i], &bits) && fits;
    if (!fits)
        return err_set(r->e, ERR_CORRUPT, "its shape has more bytes than 64 bits can count");
    if (bits % 8)
        return err_set(r->e, ERR_CORRUPT, "its shape in %s does not end on a whole byte", t->dtype->name);
    if (bits / 8 != t->end - t->begin)
        return err_set(r->e, ERR_CORRUPT,
                       "%" PRIu64 " bytes at data_offsets, expected %" PRIu64 " for its shape in %s",
                       t->end - t->begin, bits / 8, t->dtype->name);
    if (t->dtype->bits >= 8 && t->begin % ((uint64_t)t->dtype->bits / 8))
        return err_set(r->e, ERR_CORRUPT,
                       "begins at byte %" PRIu64 " of the file, expected a multiple of %d for %s", t->begin,
                       t->dtype->bits / 8, t->dtype->name);
    return true;
}

static bool read_entry(struct safetensor *t, const json_t *entry, const struct reading *r)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    if (!json_is_object(entry))
        return err_set(r->e, ERR_CORRUPT, "not an object with dtype, shape and data_offsets");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!json_object_get(entry, keys[i]))
            return err_set(r->e, ERR_CORRUPT, "%s is missing", keys[i]);
    return read_dtype(t, json_object_get(entry, "dtype"), r) &&
           read_shape(t, json_object_get(entry, "shape"), r) &&
           read_offsets(t, json_object_get(entry, "data_offsets"), r) && check_bytes(t, r);
}

static int by_place(const void *a, const void *b)
{
    const struct safetensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* Sorted by place, each must begin where the one before ends, and the last end where the file does. */
static bool check_cover(const struct safetensors *s, const struct reading *r)
{
    uint64_t at = r->data_begin;
    for (size_t i = 0; i < s->count; i++) {
        const struct safetensor *t = &s->tensors[i];
        if (t->begin < at)
            return err_set(r->e, ERR_CORRUPT,
                           "tensor %.200s: begins at byte %" PRIu64
                           " of the file, overlapping tensor %.200s which ends at %" PRIu64,
                           t->name, t->begin, s->tensors[i - 1].name, at);
        if (t->begin > at)
            return err_set(r->e, ERR_CORRUPT,
                           "tensor %.200s: begins at byte %" PRIu64 " of the file, expected %" PRIu64
                           ": the bytes between belong to no tensor",
                           t->name, t->begin, at);
        at = t->end;
    }
    uint64_t there = r->data_begin + r->data_bytes;
    return at == there ||
           err_set(r->e, ERR_CORRUPT,
                   "%" PRIu64 " bytes in the file, expected %" PRIu64 ", where tensor %.200s ends%s", there,
                   at, s->count ? s->tensors[s->count - 1].name : _("(none)"),
                   there < at ? _(": truncated, fetch it again") : "");
}

static bool read_entries(struct safetensors *s, json_t *root, const struct reading *r)
{
    const char *name;
    json_t *entry;
    json_object_foreach(root, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        struct safetensor *t = &s->tensors[s->count++];
        t->name = name;
        if (!read_entry(t, entry, r))
            return err_wrap(r->e, "tensor %.200s", name);
    }
    qsort(s->tensors, s->count, sizeof *s->tensors, by_place);
    return check_cover(s, r);
}

static json_t *load_json(const char *header, size_t n, struct err *e)
{
    json_error_t at;
    json_t *root = json_loadb(header, n, JSON_REJECT_DUPLICATES, &at);
    if (!root)
        err_set(e, ERR_CORRUPT, "header: byte %d: %s, expected JSON", at.position, at.text);
    else if (json_is_object(root))
        return root;
    else
        err_set(e, ERR_CORRUPT, "header is a list, expected a JSON object of tensors");
    json_decref(root);
    return NULL;
}

bool safetensors_parse(struct safetensors *s, const char *header, size_t header_bytes, uint64_t file_bytes,
                       struct err *e)
{
    *s = (struct safetensors){0};
    const struct reading r = {
        .data_begin = SAFETENSORS_LENGTH_BYTES + header_bytes,
        .data_bytes = file_bytes - SAFETENSORS_LENGTH_BYTES - header_bytes,
        .e = e,
    };
    if (!count_values(header, header_bytes, e))
        return false;
    json_t *root = load_json(header, header_bytes, e);
    if (!root)
        return false;
    s->json = root;
    s->tensors = calloc(json_object_size(root) + 1, sizeof *s->tensors);
    bool ok = s->tensors ? read_entries(s, root, &r)
                         : err_set(e, ERR_MEMORY, "no memory for %zu tensors", json_object_size(root));
    if (!ok)
        safetensors_clear(s);
    return ok;
}

const char *safetensors_metadata(const struct safetensors *s, const char *key)
{
    return json_string_value(json_object_get(json_object_get(s->json, "__metadata__"), key));
}

void safetensors_clear(struct safetensors *s)
{
    free(s->tensors);
    json_decref(s->json);
    *s = (struct safetensors){0};
}
