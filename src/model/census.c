#include "model/census.h"

#include "model/pack.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct census_type *type_of(struct census *c, const char *name)
{
    for (int i = 0; i < c->type_count; i++)
        if (strcmp(c->types[i].name, name) == 0)
            return &c->types[i];
    struct census_type *t = &c->types[c->type_count++];
    t->name = name;
    return t;
}

/* One step of a sort: the type that has just grown moves up. */
static void move_up(struct census *c, struct census_type *t)
{
    for (; t > c->types && t->bytes > t[-1].bytes; t--) {
        struct census_type above = t[-1];
        t[-1] = *t;
        *t = above;
    }
}

void census_add_tensor(struct census *c, const char *type, uint64_t parameters, uint64_t bytes)
{
    struct census_type *t = type_of(c, type);
    t->parameters += parameters;
    t->bytes += bytes;
    c->tensors++;
    c->parameters += parameters;
    c->bytes += bytes;
    move_up(c, t);
}

/* What is stored for a matrix in blocks is its rows and columns padded: the metadata has the true ones. */
static uint64_t block_values(const struct safetensors *s, const char *name, enum dtype t)
{
    char key[160];
    uint64_t rows = 0, cols = 0;
    snprintf(key, sizeof key, "%s:%s", dtype_name(t), name);
    const char *shape = safetensors_metadata(s, key);
    return shape && sscanf(shape, "[%" SCNu64 ", %" SCNu64 "]", &rows, &cols) == 2 ? rows * cols : 0;
}

static void add(struct census *c, const struct safetensors *s, const struct safetensor *t)
{
    uint64_t bytes = t->end - t->begin, values = bytes * 8 / (uint64_t)t->dtype->bits;
    enum dtype blocks;
    if (pack_is_padding(s, t->name))
        return;
    if (!pack_blocks_of(s, t->name, &blocks)) {
        census_add_tensor(c, t->dtype->name, values, bytes);
        return;
    }
    c->encoded = true;
    census_add_tensor(c, dtype_name(blocks), block_values(s, t->name, blocks), bytes);
}

void census_add(struct census *c, const struct safetensors *s, uint64_t file_bytes)
{
    c->files++;
    c->file_bytes += file_bytes;
    c->largest_file = file_bytes > c->largest_file ? file_bytes : c->largest_file;
    for (size_t i = 0; i < s->count; i++)
        add(c, s, &s->tensors[i]);
}
