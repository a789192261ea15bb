#include "model/folder.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "model/memory_room.h"
#include "model/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Below this, page faults of a mapping cost less than a copy, and huge pages gain nothing. */
#define MAP_BELOW_BYTES ((uint64_t)64 << 20)

struct folder {
    bool has_index;
    struct shard_index index;
    struct shard *shards; /* [count] */
    size_t count;
    uint64_t bytes; /* of all shards */
};

static void folder_close(struct folder *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->count; i++)
        shard_close(&f->shards[i]);
    free(f->shards);
    shard_index_clear(&f->index);
    free(f);
}

static bool open_shard(struct folder *f, const char *path, const char *name, struct err *e)
{
    if (!shard_open(&f->shards[f->count], path, name, e))
        return false;
    f->bytes += f->shards[f->count++].bytes;
    return true;
}

static bool open_shards(struct folder *f, const char *path, struct err *e)
{
    size_t count = f->has_index ? f->index.count : 1;
    f->shards = calloc(count, sizeof *f->shards);
    if (!f->shards)
        return err_set(e, ERR_MEMORY, "no memory for %zu shards", count);
    for (size_t i = 0; i < count; i++)
        if (!open_shard(f, path, f->has_index ? f->index.shards[i] : MODEL_SINGLE_FILE, e))
            return false;
    return true;
}

static bool read_index(struct folder *f, struct arena *a, const char *path, struct err *e)
{
    size_t size;
    const char *text = file_read(a, path, MODEL_MAX_INDEX_BYTES, &size, e);
    if (!text)
        return false;
    f->has_index = true;
    return shard_index_parse(&f->index, text, size, e) || err_wrap(e, "%s", MODEL_INDEX_FILE);
}

/* One file if there is one, as the reference prefers, else what the index lists. */
static bool find_shards(struct folder *f, const char *path, struct err *e)
{
    struct arena *a = arena_new(MODEL_MAX_INDEX_BYTES + (64 << 10));
    char *single = a ? arena_printf(a, "%s/%s", path, MODEL_SINGLE_FILE) : NULL;
    char *index = a ? arena_printf(a, "%s/%s", path, MODEL_INDEX_FILE) : NULL;
    bool ok;
    if (!single || !index)
        ok = err_set(e, ERR_MEMORY, "no memory for the names of files");
    else if (file_exists(single))
        ok = true;
    else if (file_exists(index))
        ok = read_index(f, a, index, e);
    else
        ok = err_set(e, ERR_NOT_FOUND, "neither %s nor %s here: expected a folder with safetensors weights",
                     MODEL_SINGLE_FILE, MODEL_INDEX_FILE);
    arena_free(a);
    return ok;
}

static bool check_place(const struct folder *f, const struct shard *s, const struct safetensor *t,
                        struct err *e)
{
    if (!f->has_index)
        return true;
    const char *expected = shard_index_find(&f->index, t->name);
    if (!expected)
        return err_set(e, ERR_CORRUPT, "tensor %.200s: not listed in %s", t->name, MODEL_INDEX_FILE);
    return strcmp(expected, s->name) == 0 ||
           err_set(e, ERR_CORRUPT, "tensor %.200s: found here, but %s lists it in %.200s", t->name,
                   MODEL_INDEX_FILE, expected);
}

static bool fill_slot(const struct model *m, const struct shard *s, const struct safetensor *t, struct err *e)
{
    struct weight_slot *slot = weights_find(m->weights, t->name);
    enum dtype blocks;
    if (!slot)
        return weights_ignore(&m->config, t->name) || pack_is_padding(&s->header, t->name) ||
               err_set(
                   e, ERR_UNSUPPORTED,
                   "tensor %.200s: not part of the model that config.json describes, %zu tensors expected",
                   t->name, m->weights->slot_count);
    if (pack_blocks_of(&s->header, t->name, &blocks))
        return weights_fill_blocks(slot, blocks, t->shape, t->dims, s->data + t->begin, e);
    if (!t->dtype->computed)
        return err_set(e, ERR_UNSUPPORTED, "tensor %.200s: dtype %s, expected BF16, F16 or F32", t->name,
                       t->dtype->name);
    return weights_fill(slot, t->dtype->dtype, t->shape, t->dims, s->data + t->begin, t->end - t->begin, e);
}

static bool fill_from(const struct model *m, const struct shard *s, struct err *e)
{
    for (size_t i = 0; i < s->header.count; i++) {
        const struct safetensor *t = &s->header.tensors[i];
        if (!check_place(m->folder, s, t, e) || !fill_slot(m, s, t, e))
            return err_wrap(e, "%s", s->name);
    }
    return true;
}

/* Every tensor of a shard is listed for it by now, so equal numbers mean that the index holds what it says.
 */
static bool check_listed(const struct model *m, struct err *e)
{
    const struct folder *f = m->folder;
    size_t found = 0;
    for (size_t i = 0; i < f->count; i++)
        found += f->shards[i].header.count;
    if (!f->has_index || found == f->index.tensors)
        return true;
    for (size_t i = 0; i < m->weights->slot_count; i++) {
        const char *name = m->weights->slots[i].name, *shard = shard_index_find(&f->index, name);
        if (shard && !m->weights->slots[i].tensor->data)
            return err_set(e, ERR_CORRUPT, "%.200s: tensor %s: missing, %s lists it here", shard, name,
                           MODEL_INDEX_FILE);
    }
    return err_set(e, ERR_CORRUPT, "%s: lists %zu tensors, expected %zu as the shards hold", MODEL_INDEX_FILE,
                   f->index.tensors, found);
}

static bool fill_slots(const struct model *m, struct err *e)
{
    const struct folder *f = m->folder;
    for (size_t i = 0; i < f->count; i++)
        if (!fill_from(m, &f->shards[i], e))
            return false;
    return check_listed(m, e) && weights_complete(m->weights, &m->config, e);
}

/* FOLDER_AUTO decided: true when the shards are to be mapped. */
static bool should_map(const struct folder *f, enum folder_memory memory)
{
    if (memory != FOLDER_AUTO)
        return memory == FOLDER_MAP;
    if (f->bytes < MAP_BELOW_BYTES || shard_in_memory(&f->shards[0]))
        return true;
    uint64_t room = memory_room();
    if (f->bytes <= room)
        return false;
    log_warning("weights do not fit in memory: mapped, so each token may read from disk",
                LOG_INT("weight_bytes", f->bytes), LOG_INT("available_bytes", room), LOG_END);
    return true;
}

static bool load_weights(struct model *m, enum folder_memory memory, struct pool *pool, struct err *e)
{
    struct folder *f = m->folder;
    double start = clock_ms();
    bool map = should_map(f, memory);
    if (!(map ? shards_map(f->shards, f->count, e) : shards_reserve(f->shards, f->count, e)) ||
        !fill_slots(m, e) || !(map || shards_read(f->shards, f->count, pool, e)))
        return false;
    log_debug("weights loaded", LOG_STR("model", m->name), LOG_STR("how", map ? "mapped" : "read"),
              LOG_INT("bytes", weights_bytes(m->weights)), LOG_NUM("ms", clock_ms() - start), LOG_END);
    return true;
}

static bool open_parts(struct model *m, enum folder_memory memory, struct pool *pool, struct err *e)
{
    if (!(m->folder = calloc(1, sizeof *m->folder)))
        return err_set(e, ERR_MEMORY, "no memory to open it");
    return find_shards(m->folder, m->path, e) && open_shards(m->folder, m->path, e) &&
           (m->weights = weights_new(&m->config, e)) && load_weights(m, memory, pool, e);
}

/* The last part of a path without the slashes that end it: where it begins, and its length. */
static const char *last_part(const char *path, size_t *length)
{
    size_t end = strlen(path), begin;
    while (end > 0 && path[end - 1] == '/')
        end--;
    for (begin = end; begin > 0 && path[begin - 1] != '/';)
        begin--;
    *length = end - begin;
    return path + begin;
}

static void name_model(struct model *m)
{
    size_t n;
    const char *name = last_part(m->path, &n);
    char *resolved = n && name[n - 1] == '.' ? realpath(m->path, NULL) : NULL; /* "." and ".." say nothing */
    if (resolved)
        name = last_part(resolved, &n);
    snprintf(m->name, sizeof m->name, "%.*s", (int)n, name);
    free(resolved);
}

bool model_name(struct model *m, const char *path, struct err *e)
{
    size_t n = strlen(path);
    memset(m, 0, sizeof *m);
    if (n == 0 || n >= sizeof m->path)
        return err_set(e, ERR_USAGE, "model folder: a path of %zu bytes, expected 1 to %zu", n,
                       sizeof m->path - 1);
    memcpy(m->path, path, n + 1);
    name_model(m);
    return true;
}

bool model_open(struct model *m, const char *path, enum folder_memory memory, struct pool *pool,
                struct err *e)
{
    if (!model_name(m, path, e))
        return false;
    const struct file_source files = file_source_folder(m->path);
    if (!model_config_read(&m->config, &files, e))
        return false;
    if (open_parts(m, memory, pool, e))
        return true;
    err_wrap(e, "%.500s", path);
    model_close(m);
    return false;
}

bool model_assemble(struct model *m, struct shard *shards, size_t count, struct shard_index *index,
                    struct err *e)
{
    struct folder *f = m->folder = calloc(1, sizeof *f);
    if (!f) {
        for (size_t i = 0; i < count; i++)
            shard_close(&shards[i]);
        free(shards);
        if (index)
            shard_index_clear(index);
        return err_set(e, ERR_MEMORY, "no memory to open it");
    }
    *f = (struct folder){.has_index = index, .shards = shards, .count = count};
    if (index)
        f->index = *index;
    for (size_t i = 0; i < count; i++)
        f->bytes += shards[i].bytes;
    return (m->weights = weights_new(&m->config, e)) && fill_slots(m, e);
}

void model_close(struct model *m)
{
    weights_free(m->weights);
    folder_close(m->folder);
    memset(m, 0, sizeof *m);
}
