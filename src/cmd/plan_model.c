#include "cmd/plan_model.h"

#include "base/catalog.h"
#include "base/file.h"
#include "base/pool.h"
#include "cmd/choose.h"
#include "model/pack.h"
#include "model/shard_index.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SINGLE_FILE "model.safetensors"
#define INDEX_FILE "model.safetensors.index.json"
#define OFFLINE "; without a network a folder or a config.json does: ferry plan ./config.json"

enum {
    SMALL_FILE = 16 << 20,
    FIRST_READ = 32 << 10, /* most headers are shorter, and a second request takes longer than these bytes */
    READERS = 8,
};

/* One level of the place. */
struct listing {
    struct arena *arena;
    struct entry *items;
    size_t count, room;
    size_t prefix; /* bytes of each name that are the folder's */
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_MEMORY, "no memory for the plan of a model");
}

static bool add_entry(void *arg, const struct entry *entry, struct err *e)
{
    struct listing *l = arg;
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        struct entry *items = reallocarray(l->items, room, sizeof *items);
        if (!items)
            return no_memory(e);
        l->items = items;
        l->room = room;
    }
    return entry_copy(&l->items[l->count++], entry, l->arena, e);
}

static const char *leaf(const struct listing *l, const struct entry *entry)
{
    return entry->name + l->prefix;
}

static const struct entry *find(const struct listing *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(leaf(l, &l->items[i]), name) == 0)
            return &l->items[i];
    return NULL;
}

/* A small file as text. NULL without an error when it is not there. */
static char *read_text(struct model_reading *r, const struct listing *l, const char *name, struct err *e)
{
    const struct entry *entry = find(l, name);
    if (!entry)
        return NULL;
    char *text = entry->size <= SMALL_FILE ? arena_alloc(l->arena, (size_t)entry->size + 1, 1) : NULL;
    if (!text)
        err_set(e, ERR_LIMIT, "%s: %llu bytes, at most %d expected", name, (unsigned long long)entry->size,
                SMALL_FILE);
    else if (entry->size == 0 || store_read(r->place.store, entry, 0, (size_t)entry->size, text, NULL, e)) {
        r->bytes_read += entry->size;
        return text;
    }
    return NULL;
}

/* --- which files are the weights ---
 */

/* What is there instead, for the message. */
static bool explain_no_shards(const struct model_reading *r, const struct listing *l, struct err *e)
{
    const char *folder = NULL, *other = NULL;
    for (size_t i = 0; i < l->count; i++) {
        const char *name = leaf(l, &l->items[i]);
        if (l->items[i].folder && !folder)
            folder = name;
        if (pattern_hits("*.gguf", name) || pattern_hits("*.bin", name) || pattern_hits("*.pt", name))
            other = name;
    }
    if (other)
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: no safetensors there, which a plan reads the headers of; %s is "
                       "another format",
                       r->uri, other);
    return err_set(e, ERR_NOT_FOUND, "%s: no safetensors there%s%s%s", r->uri,
                   folder ? _("; there are folders, for example ") : "", folder ? r->uri : "",
                   folder ? arena_printf(l->arena, "/%s", folder) : "");
}

static bool take_shard(struct model_reading *r, const struct listing *l, const char *name, struct err *e)
{
    const struct entry *entry = find(l, name);
    if (!entry)
        return err_set(e, ERR_NOT_FOUND, "%s: " INDEX_FILE " lists %s, which is not there", r->uri, name);
    r->shards[r->shard_count++] = *entry;
    return true;
}

static bool take_indexed(struct model_reading *r, const struct listing *l, struct err *e)
{
    struct shard_index x = {0};
    const char *text = read_text(r, l, INDEX_FILE, e);
    bool ok = text && (shard_index_parse(&x, text, strlen(text), e) || err_wrap(e, INDEX_FILE));
    for (size_t i = 0; ok && i < x.count; i++)
        ok = take_shard(r, l, x.shards[i], e);
    shard_index_clear(&x);
    return ok;
}

/* As a folder is opened: one file if there is one, else what the index lists, else all there are. */
static bool choose_shards(struct model_reading *r, const struct listing *l, struct err *e)
{
    r->shards = arena_alloc(l->arena, l->count + SHARD_INDEX_MAX_SHARDS, sizeof *r->shards);
    if (!r->shards)
        return no_memory(e);
    if (find(l, SINGLE_FILE))
        return take_shard(r, l, SINGLE_FILE, e);
    if (find(l, INDEX_FILE))
        return take_indexed(r, l, e);
    for (size_t i = 0; i < l->count; i++)
        if (!l->items[i].folder && pattern_hits("*.safetensors", leaf(l, &l->items[i])))
            r->shards[r->shard_count++] = l->items[i];
    return true;
}

/* --- headers ---
 */

struct headers {
    struct model_reading *reading;
    struct safetensors *parsed; /* [shard_count] */
    pthread_mutex_t mutex;      /* guards failed, problem and the reading's count of bytes */
    bool failed;
    struct err problem;
};

/* The whole header in *bytes, from malloc. */
static bool fetch_header(struct headers *h, const struct entry *shard, unsigned char **bytes, size_t *json,
                         struct err *e)
{
    size_t first = shard->size < FIRST_READ ? (size_t)shard->size : FIRST_READ;
    unsigned char *head = malloc(FIRST_READ);
    *bytes = head;
    if (!head)
        return no_memory(e);
    if (first < SAFETENSORS_LENGTH_BYTES)
        return err_set(e, ERR_CORRUPT, "%zu bytes are no safetensors file", first);
    if (!store_read(h->reading->place.store, shard, 0, first, head, NULL, e) ||
        !safetensors_header_bytes(head, shard->size, json, e))
        return false;
    size_t whole = SAFETENSORS_LENGTH_BYTES + *json;
    if (whole > first) {
        head = realloc(head, whole);
        if (!head)
            return no_memory(e);
        *bytes = head;
        if (!store_read(h->reading->place.store, shard, first, whole - first, head + first, NULL, e))
            return false;
        first = whole;
    }
    pthread_mutex_lock(&h->mutex);
    h->reading->bytes_read += first;
    pthread_mutex_unlock(&h->mutex);
    return true;
}

static bool read_header(struct headers *h, size_t i, struct err *e)
{
    const struct entry *shard = &h->reading->shards[i];
    unsigned char *bytes = NULL;
    size_t json = 0;
    bool ok = fetch_header(h, shard, &bytes, &json, e) &&
              safetensors_parse(&h->parsed[i], (const char *)bytes + SAFETENSORS_LENGTH_BYTES, json,
                                shard->size, e);
    free(bytes);
    const char *slash = strrchr(shard->name, '/');
    return ok || err_wrap(e, "%s", slash ? slash + 1 : shard->name);
}

static void read_some(void *arg, size_t begin, size_t end, int thread)
{
    struct headers *h = arg;
    struct err problem = {0};
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        if (read_header(h, i, &problem))
            continue;
        pthread_mutex_lock(&h->mutex);
        if (!h->failed)
            h->problem = problem;
        h->failed = true;
        pthread_mutex_unlock(&h->mutex);
        return;
    }
}

static bool read_headers(struct headers *h, struct err *e)
{
    struct pool *pool = pool_new(READERS, e);
    if (!pool)
        return false;
    pthread_mutex_init(&h->mutex, NULL);
    pool_each(pool, (size_t)h->reading->shard_count, 1, read_some, h);
    pthread_mutex_destroy(&h->mutex);
    pool_free(pool);
    if (h->failed)
        *e = h->problem;
    return !h->failed;
}

/* --- does the engine run it ---
 */

/* Slots are filled with a place that nobody reads: shapes and dtypes are what is wanted of them. */
static bool fill(struct model_reading *r, const struct safetensors *s, const struct safetensor *t,
                 struct err *e)
{
    static const alignas(8) char nowhere[8];
    struct weight_slot *slot = weights_find(r->weights, t->name);
    enum dtype blocks;
    if (!slot)
        return weights_ignore(&r->model.config, t->name) || pack_is_padding(s, t->name) ||
               err_set(e, ERR_UNSUPPORTED, "tensor %.200s: not part of what config.json describes", t->name);
    if (pack_blocks_of(s, t->name, &blocks))
        return weights_fill_blocks(slot, blocks, t->shape, t->dims, nowhere, e);
    if (!t->dtype->computed)
        return err_set(e, ERR_UNSUPPORTED, "tensor %.200s: dtype %s, expected BF16, F16 or F32", t->name,
                       t->dtype->name);
    return weights_fill(slot, t->dtype->dtype, t->shape, t->dims, nowhere, t->end - t->begin, e);
}

static bool fill_all(struct model_reading *r, const struct safetensors *parsed, struct err *e)
{
    for (int i = 0; i < r->shard_count; i++)
        for (size_t k = 0; k < parsed[i].count; k++)
            if (!fill(r, &parsed[i], &parsed[i].tensors[k], e))
                return false;
    return weights_complete(r->weights, &r->model.config, e);
}

/* What the engine says about it is no failure of the plan: it is part of it. */
static bool try_engine(struct model_reading *r, const struct safetensors *parsed, const char *const texts[3],
                       struct arena *a, struct err *e)
{
    struct plan_model *m = &r->model;
    struct err why = {0};
    if (!texts[0])
        err_set(&why, ERR_NOT_FOUND, "there is no config.json");
    else if (model_config_parse(&m->config, texts[0], texts[1], texts[2], &why) &&
             (r->weights = weights_new(&m->config, &why)) && (!parsed || fill_all(r, parsed, &why)))
        m->runs = true;
    m->weights = r->weights;
    r->why_not = m->runs ? NULL : arena_printf(a, "%s", why.text);
    return m->runs || r->why_not || no_memory(e);
}

static bool list_dtypes(struct model_reading *r, struct arena *a, struct err *e)
{
    if (!r->model.runs)
        return true;
    size_t count = r->weights->slot_count;
    enum dtype *dtypes = arena_alloc(a, count, sizeof *dtypes);
    if (!dtypes)
        return no_memory(e);
    for (size_t i = 0; i < count; i++)
        dtypes[i] = r->weights->slots[i].tensor->dtype;
    r->model.dtypes = dtypes;
    return true;
}

/* --- a config alone ---
 */

static enum dtype dtype_of(const struct model_outline *o)
{
    return strcmp(o->dtype, "float32") == 0   ? DTYPE_F32
           : strcmp(o->dtype, "float16") == 0 ? DTYPE_F16
                                              : DTYPE_BF16; /* as both families are published */
}

/* Every tensor of the engine's families follows from the config. */
static bool count_slots(struct model_reading *r, struct err *e)
{
    if (!r->model.runs)
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: the config alone does not say how large this model is (%.300s); give the model "
                       "itself, whose headers do",
                       r->uri, r->why_not);
    struct census *c = &r->model.census;
    enum dtype dtype = dtype_of(&r->model.outline);
    for (size_t i = 0; i < r->weights->slot_count; i++) {
        struct tensor *t = r->weights->slots[i].tensor;
        uint64_t values = (uint64_t)t->rows * (uint64_t)t->cols;
        t->dtype = dtype;
        census_add_tensor(c, dtype_name(dtype), values, values * dtype_bytes(dtype));
    }
    c->file_bytes = c->bytes;
    r->model.from_config = true;
    return true;
}

/* Beside config.json lie the other two, if any. */
static bool read_config_file(struct model_reading *r, const char *path, struct arena *a, struct err *e)
{
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path) + 1 : 0;
    char *others[2] = {arena_printf(a, "%.*sgeneration_config.json", folder, path),
                       arena_printf(a, "%.*spreprocessor_config.json", folder, path)};
    const char *texts[3] = {file_read(a, path, SMALL_FILE, NULL, e)};
    if (!texts[0] || !others[0] || !others[1])
        return texts[0] ? no_memory(e) : false;
    for (int i = 0; i < 2; i++)
        if (file_exists(others[i]) && !(texts[i + 1] = file_read(a, others[i], SMALL_FILE, NULL, e)))
            return false;
    r->uri = path;
    for (int i = 0; i < 3; i++)
        r->bytes_read += texts[i] ? strlen(texts[i]) : 0;
    return (model_outline_parse(&r->model.outline, texts[0], e) || err_wrap(e, "%s", path)) &&
           try_engine(r, NULL, texts, a, e) && count_slots(r, e) && list_dtypes(r, a, e);
}

/* --- a place ---
 */

static bool read_configs(struct model_reading *r, const struct listing *l, const char *texts[3],
                         struct err *e)
{
    static const char *const names[] = {"config.json", "generation_config.json", "preprocessor_config.json"};
    struct err problem = {0};
    for (int i = 0; i < 3; i++) {
        texts[i] = read_text(r, l, names[i], &problem);
        if (problem.kind != ERR_NONE) {
            *e = problem;
            return err_wrap(e, "%s", r->uri);
        }
    }
    return !texts[0] || model_outline_parse(&r->model.outline, texts[0], e) || err_wrap(e, "%s", r->uri);
}

static bool read_weights(struct model_reading *r, const char *const texts[3], struct arena *a, struct err *e)
{
    struct headers h = {.reading = r, .parsed = calloc((size_t)r->shard_count, sizeof *h.parsed)};
    if (!h.parsed)
        return no_memory(e);
    bool ok = read_headers(&h, e) || err_wrap(e, "%s", r->uri);
    for (int i = 0; ok && i < r->shard_count; i++)
        census_add(&r->model.census, &h.parsed[i], r->shards[i].size);
    ok = ok && try_engine(r, h.parsed, texts, a, e) && list_dtypes(r, a, e);
    for (int i = 0; i < r->shard_count; i++)
        safetensors_clear(&h.parsed[i]);
    free(h.parsed);
    return ok;
}

static bool read_listed(struct model_reading *r, const struct listing *l, struct err *e)
{
    const char *texts[3] = {NULL};
    if (l->count == 0)
        return err_set(e, ERR_NOT_FOUND, "%s: nothing there", r->uri);
    if (!choose_shards(r, l, e) || !read_configs(r, l, texts, e))
        return false;
    if (r->shard_count)
        return read_weights(r, texts, l->arena, e);
    if (!texts[0])
        return explain_no_shards(r, l, e);
    return try_engine(r, NULL, texts, l->arena, e) &&
           (r->model.runs ? count_slots(r, e) && list_dtypes(r, l->arena, e) : explain_no_shards(r, l, e));
}

static bool read_place(struct model_reading *r, struct arena *a, struct err *e)
{
    struct listing l = {.arena = a};
    char *prefix = *r->place.path ? place_prefix(&r->place, a) : arena_strndup(a, "", 0);
    r->uri = r->place.uri.scheme == URI_HF && !*r->place.path ? arena_printf(a, "hf://%s", r->place.uri.place)
                                                              : place_uri(&r->place, r->place.path, a);
    r->commit = store_commit(r->place.store);
    if (!prefix || !r->uri)
        return no_memory(e);
    l.prefix = strlen(prefix);
    bool ok = place_list(&r->place, prefix, STORE_LEVEL, add_entry, &l, e) && read_listed(r, &l, e);
    free(l.items);
    return ok;
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool model_read(struct model_reading *r, struct stores *stores, const char *text, struct arena *a,
                struct err *e)
{
    *r = (struct model_reading){0};
    if (is_file(text))
        return read_config_file(r, text, a, e);
    struct err problem = {0};
    if (place_open(&r->place, stores, text, a, &problem) && read_place(r, a, &problem))
        return true;
    *e = problem;
    return problem.kind == ERR_TRANSIENT ? err_set(e, ERR_TRANSIENT, "%.800s" OFFLINE, problem.text) : false;
}

void model_reading_clear(struct model_reading *r)
{
    weights_free(r->weights);
    r->weights = NULL;
}
