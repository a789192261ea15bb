#include "loader/loader.h"

#include "base/crc32c.h"
#include "base/log.h"
#include "base/stop.h"
#include "loader/parts/fetch.h"
#include "loader/parts/files.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Entries, small files, manifest, ranges: 16.8 GB are 2,000 ranges. */
enum { ARENA_BYTES = 512 << 20, HEADER_TRIES = 2 };

struct loader {
    struct loader_options opt;
    struct arena *arena;
    volatile sig_atomic_t stop;
    struct files files;
    struct source *sources; /* [source_count] */
    int source_count;
    struct layout layout;
    struct row_places rows;
    uint64_t bytes;
    pthread_mutex_t mutex; /* guards fetch, for loader_stop */
    struct fetch *fetch;
};

struct loader *loader_new(const struct loader_options *o, struct err *e)
{
    struct loader *l = calloc(1, sizeof *l);
    if (!l || !(l->arena = arena_new(ARENA_BYTES))) {
        free(l);
        err_set(e, ERR_MEMORY, "%s: no memory to load it", o->where);
        return NULL;
    }
    l->opt = *o;
    if (l->opt.connections <= 0)
        l->opt.connections = LOADER_CONNECTIONS;
    pthread_mutex_init(&l->mutex, NULL);
    return l;
}

void loader_free(struct loader *l)
{
    if (!l)
        return;
    fetch_free(l->fetch);
    pthread_mutex_destroy(&l->mutex);
    arena_free(l->arena);
    free(l);
}

void loader_stop(struct loader *l)
{
    stop_ask(&l->stop);
    pthread_mutex_lock(&l->mutex);
    if (l->fetch)
        fetch_stop(l->fetch);
    pthread_mutex_unlock(&l->mutex);
}

const struct file_source *loader_files(const struct loader *l)
{
    return &l->files.source;
}

uint64_t loader_bytes(const struct loader *l)
{
    return l->bytes;
}

/* --- which shards -----------------------------------------------------------------------------------------
 */

/* Shards on their way into the model. */
struct opening {
    struct shard *shards;
    size_t count;
    bool has_index;
    struct shard_index index;
};

static void opening_clear(struct opening *o)
{
    for (size_t i = 0; o->shards && i < o->count; i++)
        shard_close(&o->shards[i]);
    free(o->shards);
    if (o->has_index)
        shard_index_clear(&o->index);
    *o = (struct opening){0};
}

static bool read_index(struct loader *l, struct opening *o, struct err *e)
{
    const char *text;
    size_t size;
    const struct file_source *s = &l->files.source;
    if (!s->read(s, MODEL_INDEX_FILE, MODEL_MAX_INDEX_BYTES, l->arena, &text, &size, e))
        return false;
    if (!text)
        return err_set(e, ERR_NOT_FOUND,
                       "%s: neither %s nor %s there: expected a model with safetensors weights", l->opt.where,
                       MODEL_SINGLE_FILE, MODEL_INDEX_FILE);
    if (!shard_index_parse(&o->index, text, size, e))
        return err_wrap(e, "%s", files_title(&l->files, MODEL_INDEX_FILE));
    o->has_index = true;
    o->count = o->index.count;
    return true;
}

static bool find_source(struct loader *l, struct source *s, struct shard *shard, const char *name,
                        struct err *e)
{
    *s = (struct source){.name = name,
                         .title = files_title(&l->files, name),
                         .shard = shard,
                         .entry = files_find(&l->files, name)};
    if (!s->title)
        return err_set(e, ERR_MEMORY, "no memory for names");
    if (!s->entry)
        return err_set(e, ERR_NOT_FOUND, "%s: is not there, but the model needs it", s->title);
    if (!files_certified(&l->files, name, &s->certified, e))
        return false;
    *shard = (struct shard){.name = name, .fd = -1, .bytes = s->entry->size};
    l->bytes += s->entry->size;
    return true;
}

static bool make_room(struct loader *l, struct opening *o, struct err *e)
{
    o->shards = calloc(o->count, sizeof *o->shards);
    l->sources = arena_alloc(l->arena, o->count, sizeof *l->sources);
    l->source_count = (int)o->count;
    if (!o->shards || !l->sources)
        return err_set(e, ERR_MEMORY, "no memory for %zu shards", o->count);
    for (size_t i = 0; i < o->count; i++)
        o->shards[i].fd = -1;
    return true;
}

/* One file if there is one, as the reference prefers, else what the index lists. */
static bool find_sources(struct loader *l, struct opening *o, struct err *e)
{
    uint32_t unit;
    bool single = files_find(&l->files, MODEL_SINGLE_FILE) != NULL;
    o->count = 1;
    if ((!single && !read_index(l, o, e)) || !make_room(l, o, e))
        return false;
    for (size_t i = 0; i < o->count; i++)
        if (!find_source(l, &l->sources[i], &o->shards[i], single ? MODEL_SINGLE_FILE : o->index.shards[i],
                         e))
            return false;
    if (!layout_unit(l->files.has_manifest ? &l->files.manifest : NULL, l->bytes, &unit, e))
        return false;
    for (size_t i = 0; i < o->count; i++)
        l->sources[i].unit = unit;
    return true;
}

/* --- headers ----------------------------------------------------------------------------------------------
 */

/* How much of a source is there from its beginning, in whole ranges. */
struct beginning {
    uint64_t bytes, wanted;
};

static uint64_t whole_ranges(const struct source *s, uint64_t bytes)
{
    uint64_t up = (bytes + s->unit - 1) / s->unit * s->unit;
    return up < s->shard->bytes ? up : s->shard->bytes;
}

/* The first range of [begin, end) that is not what the manifest says; end when all are. */
static uint64_t first_bad(const struct loader *l, const struct source *s, uint64_t begin, uint64_t end)
{
    uint64_t range = l->files.manifest.range_bytes;
    while (s->certified && begin < end) {
        uint64_t size = end - begin < range ? end - begin : range;
        if (crc32c(0, (const unsigned char *)s->shard->pages.data + begin, size) !=
            s->certified->ranges[begin / range])
            return begin;
        begin += size;
    }
    return end;
}

static bool read_beginnings(struct loader *l, struct beginning *b, struct err *e)
{
    struct read_job jobs[SHARD_INDEX_MAX_SHARDS];
    int count = 0;
    for (int i = 0; i < l->source_count; i++) {
        const struct source *s = &l->sources[i];
        if (b[i].bytes < b[i].wanted)
            jobs[count++] = (struct read_job){.entry = s->entry,
                                              .offset = b[i].bytes,
                                              .size = (size_t)(b[i].wanted - b[i].bytes),
                                              .into = (unsigned char *)s->shard->pages.data + b[i].bytes};
    }
    return files_read(&l->files, jobs, count, e);
}

/* Until every beginning is as long as it should be and right; a wrong one is read once more. */
static bool fetch_beginnings(struct loader *l, struct beginning *b, struct err *e)
{
    for (int try = 0; try < HEADER_TRIES; try++) {
        bool right = true;
        if (!read_beginnings(l, b, e))
            return false;
        for (int i = 0; i < l->source_count; i++) {
            b[i].bytes = first_bad(l, &l->sources[i], b[i].bytes, b[i].wanted);
            right = right && b[i].bytes == b[i].wanted;
            if (b[i].bytes < b[i].wanted)
                err_set(e, ERR_CORRUPT,
                        "%s: from byte %" PRIu64
                        " on it is not what %s says, and so again when it was fetched again: stage it anew",
                        l->sources[i].title, b[i].bytes, MANIFEST_NAME);
        }
        if (right)
            return true;
    }
    return false;
}

/* What the header needs beyond the first range. */
static bool measure_header(const struct source *s, struct beginning *b, size_t *header_bytes, struct err *e)
{
    if (s->shard->bytes < SAFETENSORS_LENGTH_BYTES)
        return err_set(e, ERR_CORRUPT, "%s: %" PRIu64 " bytes, expected a safetensors file", s->title,
                       s->shard->bytes);
    if (!safetensors_header_bytes(s->shard->pages.data, s->shard->bytes, header_bytes, e))
        return err_wrap(e, "%s", s->title);
    b->wanted = whole_ranges(s, SAFETENSORS_LENGTH_BYTES + *header_bytes);
    return true;
}

static bool parse_header(const struct source *s, size_t header_bytes, struct err *e)
{
    const char *text = (const char *)s->shard->pages.data + SAFETENSORS_LENGTH_BYTES;
    return safetensors_parse(&s->shard->header, text, header_bytes, s->shard->bytes, e) ||
           err_wrap(e, "%s", s->title);
}

/* The first range of each shard holds its header, as a rule: fetched whole, so that it is checked before it
 * is believed, and nothing is fetched twice. */
static bool read_headers(struct loader *l, struct beginning *b, struct err *e)
{
    size_t *header_bytes = arena_alloc(l->arena, (size_t)l->source_count, sizeof *header_bytes);
    if (!header_bytes)
        return err_set(e, ERR_MEMORY, "no memory for headers");
    for (int i = 0; i < l->source_count; i++)
        b[i].wanted = whole_ranges(&l->sources[i], 1);
    if (!fetch_beginnings(l, b, e))
        return false;
    for (int i = 0; i < l->source_count; i++)
        if (!measure_header(&l->sources[i], &b[i], &header_bytes[i], e))
            return false;
    if (!fetch_beginnings(l, b, e))
        return false;
    for (int i = 0; i < l->source_count; i++)
        if (!parse_header(&l->sources[i], header_bytes[i], e))
            return false;
    return true;
}

/* --- rows of the embedding --------------------------------------------------------------------------------
 */

static bool rows_there(void *arg, const int *ids, int count, int except)
{
    struct loader *l = arg;
    int first, last;
    for (int i = 0; i < count; i++) {
        if (ids[i] == except)
            continue;
        layout_row(&l->layout, &l->rows, ids[i], &first, &last);
        if (!fetch_has(l->fetch, first, last))
            return false;
    }
    return true;
}

static void rows_want(void *arg, const int *ids, int count, int except)
{
    struct loader *l = arg;
    int first, last;
    for (int i = 0; i < count; i++) {
        if (ids[i] == except)
            continue;
        layout_row(&l->layout, &l->rows, ids[i], &first, &last);
        fetch_want(l->fetch, first, last);
    }
}

/* --- opening ----------------------------------------------------------------------------------------------
 */

static bool prepare_fetch(struct loader *l, const struct model *m, const struct beginning *b, struct err *e)
{
    const struct manifest *manifest = l->files.has_manifest ? &l->files.manifest : NULL;
    if (!arrival_plan(l->opt.arrival, &m->config, e) ||
        !layout_make(&l->layout, l->sources, l->source_count, m, manifest, l->arena, e))
        return false;
    struct fetch *f = fetch_new(l->opt.store, &l->layout, l->opt.arrival, l->opt.connections, e);
    if (!f)
        return false;
    pthread_mutex_lock(&l->mutex);
    l->fetch = f;
    if (stop_wanted(&l->stop))
        fetch_stop(f);
    pthread_mutex_unlock(&l->mutex);
    l->rows = layout_rows(&l->layout, m);
    for (int i = 0; i < l->source_count; i++)
        fetch_skip(f, i, b[i].bytes);
    arrival_set_rows(l->opt.arrival, &(struct arrival_rows){rows_there, rows_want, l});
    return true;
}

static bool open_shards(struct loader *l, struct model *m, struct err *e)
{
    struct opening o = {0};
    struct beginning *b = NULL;
    bool ok = find_sources(l, &o, e) && shards_reserve(o.shards, o.count, e);
    if (ok && !(b = arena_alloc(l->arena, o.count, sizeof *b)))
        ok = err_set(e, ERR_MEMORY, "no memory for headers");
    ok = ok && read_headers(l, b, e);
    if (!ok) {
        opening_clear(&o);
        return false;
    }
    if (!model_assemble(m, o.shards, o.count, o.has_index ? &o.index : NULL, e))
        return err_wrap(e, "%s", l->opt.where);
    return prepare_fetch(l, m, b, e);
}

static bool open_files(struct loader *l, struct err *e)
{
    l->files = (struct files){.store = l->opt.store,
                              .prefix = l->opt.prefix,
                              .where = l->opt.where,
                              .stop = &l->stop,
                              .arena = l->arena};
    if (!files_open(&l->files, e))
        return false;
    if (!l->files.has_manifest)
        log_warning("no manifest there (ferry stage writes one): each file is checked when it is whole, not "
                    "before it is computed with",
                    LOG_STR("place", l->opt.where), LOG_END);
    return true;
}

bool loader_open(struct loader *l, struct model *m, struct err *e)
{
    arrival_phase(l->opt.arrival, PHASE_FILES);
    if (!model_name(m, l->opt.where, e) || !open_files(l, e))
        return false;
    if (!model_config_read(&m->config, &l->files.source, e))
        return false;
    m->arrival = l->opt.arrival;
    arrival_phase(l->opt.arrival, PHASE_HEADERS);
    if (open_shards(l, m, e))
        return true;
    model_close(m);
    return false;
}

/* --- running ----------------------------------------------------------------------------------------------
 */

static void protect(const struct loader *l)
{
    for (int i = 0; i < l->source_count; i++)
        mprotect(l->sources[i].shard->pages.data, l->sources[i].shard->bytes, PROT_READ);
}

bool loader_run(struct loader *l, struct err *e)
{
    struct err why = {0};
    if (fetch_run(l->fetch, &why)) {
        protect(l);
        arrival_end(l->opt.arrival);
        return true;
    }
    arrival_fail(l->opt.arrival, &why);
    *e = why;
    return false;
}
