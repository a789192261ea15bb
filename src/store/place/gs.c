/* A bucket. */
#include "store/place/object_name.h"
#include "store/place/place.h"
#include "store/upload/upload.h"

#include "cloud/storage.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct gs_store {
    struct store s;
    struct cloud *cloud;
    char *bucket;
    atomic_bool no_multipart; /* the endpoint has said so */
};

static struct gs_store *gs_of(struct store *s)
{
    return (struct gs_store *)s;
}

static struct entry entry_of(const struct object *o)
{
    return (struct entry){.name = o->name,
                          .size = o->size,
                          .generation = o->generation,
                          .has_crc32c = o->has_crc32c,
                          .crc32c = o->crc32c,
                          .updated = o->updated ? o->updated : ""};
}

/* --- listing --- */

/* One level: a page tells its objects first and then its folders, so they are gathered and sorted. */
struct level_list {
    struct arena *arena;
    struct entry *entries;
    size_t count, room;
};

enum { MAX_LEVEL_BYTES = 1 << 30, STAT_BYTES = 64 << 10 };

static bool keep_entry(struct level_list *l, const struct entry *entry, struct err *e)
{
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        struct entry *entries = realloc(l->entries, room * sizeof *entries);
        if (!entries)
            return err_set(e, ERR_MEMORY, "no memory for a list of %zu objects", room);
        l->entries = entries;
        l->room = room;
    }
    struct entry *kept = &l->entries[l->count];
    *kept = *entry;
    kept->name = arena_strndup(l->arena, entry->name, strlen(entry->name));
    kept->updated = arena_strndup(l->arena, entry->updated, strlen(entry->updated));
    if (!kept->name || !kept->updated)
        return err_set(e, ERR_MEMORY, "no memory for a list of more than %zu objects in one folder",
                       l->count);
    l->count++;
    return true;
}

static bool keep_object(void *arg, const struct object *o, struct err *e)
{
    const struct entry entry = entry_of(o);
    return keep_entry(arg, &entry, e);
}

static bool keep_folder(void *arg, const char *prefix, struct err *e)
{
    const struct entry entry = {.name = prefix, .updated = "", .folder = true};
    return keep_entry(arg, &entry, e);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static bool list_level(struct gs_store *g, const char *prefix, entry_fn fn, void *arg, struct err *e)
{
    struct level_list l = {.arena = arena_new(MAX_LEVEL_BYTES)};
    const struct storage_list list = {.bucket = g->bucket,
                                      .prefix = prefix,
                                      .delimited = true,
                                      .on_object = keep_object,
                                      .on_prefix = keep_folder,
                                      .arg = &l};
    bool ok = l.arena ? storage_list(g->cloud, &list, e) : err_set(e, ERR_MEMORY, "no memory for a list");
    if (ok && l.count)
        qsort(l.entries, l.count, sizeof *l.entries, by_name);
    for (size_t i = 0; ok && i < l.count; i++)
        ok = fn(arg, &l.entries[i], e);
    free(l.entries);
    arena_free(l.arena);
    return ok;
}

struct deep_list {
    entry_fn fn;
    void *arg;
};

static bool tell_object(void *arg, const struct object *o, struct err *e)
{
    const struct deep_list *d = arg;
    const struct entry entry = entry_of(o);
    return d->fn(d->arg, &entry, e);
}

static bool gs_list(struct store *s, const char *prefix, enum store_depth depth, entry_fn fn, void *arg,
                    struct err *e)
{
    struct gs_store *g = gs_of(s);
    if (!object_prefix_check(g->bucket, prefix, e))
        return false;
    if (depth == STORE_LEVEL)
        return list_level(g, prefix, fn, arg, e);
    struct deep_list deep = {fn, arg};
    const struct storage_list list = {
        .bucket = g->bucket, .prefix = prefix, .on_object = tell_object, .arg = &deep};
    return storage_list(g->cloud, &list, e);
}

/* --- one object --- */

static bool gs_stat(struct store *s, const char *name, struct arena *a, struct entry *out, struct err *e)
{
    struct gs_store *g = gs_of(s);
    struct object o;
    if (!object_name_check(g->bucket, name, e) || !storage_stat(g->cloud, g->bucket, name, a, &o, e))
        return false;
    *out = entry_of(&o);
    return true;
}

/* A generation that was replaced is "not there" to Cloud Storage. */
static bool explain_gone(struct gs_store *g, const struct entry *from, struct err *e)
{
    struct err ignored = {0};
    struct object o;
    struct arena *a = arena_new(STAT_BYTES);
    bool replaced = a && storage_stat(g->cloud, g->bucket, from->name, a, &o, &ignored) &&
                    o.generation != from->generation;
    arena_free(a);
    return replaced &&
           err_set(e, ERR_BUSY, "gs://%s/%s: has changed since it was listed", g->bucket, from->name);
}

static bool gs_read(struct store *s, const struct entry *from, uint64_t offset, size_t size, void *into,
                    const volatile sig_atomic_t *stop, struct err *e)
{
    struct gs_store *g = gs_of(s);
    struct err problem = {0};
    if (size == 0 ||
        storage_read(g->cloud, g->bucket, from->name, from->generation, offset, size, into, stop, &problem))
        return true;
    if (e)
        *e = problem;
    return problem.kind == ERR_NOT_FOUND && explain_gone(g, from, e);
}

static bool gs_pour(struct store *s, const struct entry *from, uint64_t offset, uint64_t size,
                    store_take_fn take, void *arg, const volatile sig_atomic_t *stop, struct err *e)
{
    struct gs_store *g = gs_of(s);
    struct err problem = {0};
    if (size == 0 || storage_pour(g->cloud, g->bucket, from->name, from->generation, offset, size, take, arg,
                                  stop, &problem))
        return true;
    if (e)
        *e = problem;
    return problem.kind == ERR_NOT_FOUND && explain_gone(g, from, e);
}

static bool gs_read_changed(struct store *s, const char *name, int64_t known, void *into, size_t room,
                            const volatile sig_atomic_t *stop, struct store_change *out, struct err *e)
{
    struct gs_store *g = gs_of(s);
    struct storage_change c;
    if (!object_name_check(g->bucket, name, e) ||
        !storage_read_changed(g->cloud, g->bucket, name, known, into, room, stop, &c, e))
        return false;
    *out = (struct store_change){.changed = c.changed, .generation = c.generation, .size = c.size};
    return true;
}

static bool gs_remove(struct store *s, const struct entry *what, struct err *e)
{
    struct gs_store *g = gs_of(s);
    return storage_delete(g->cloud, g->bucket, what->name, what->generation, e);
}

static bool gs_put(struct store *s, const char *name, const void *bytes, size_t size, int64_t if_generation,
                   struct arena *a, struct entry *out, struct err *e)
{
    struct gs_store *g = gs_of(s);
    struct object o;
    const struct storage_put put = {.bucket = g->bucket,
                                    .name = name,
                                    .content_type = object_content_type(name),
                                    .bytes = bytes,
                                    .size = size,
                                    .if_generation = if_generation};
    if (!object_name_check(g->bucket, name, e) || !storage_put(g->cloud, &put, a, out ? &o : NULL, e))
        return false;
    if (out)
        *out = entry_of(&o);
    return true;
}

static bool gs_copy(const struct store_copy *copy, struct rewrite_state *at, struct arena *a,
                    struct entry *out, struct err *e)
{
    struct gs_store *from = gs_of(copy->from), *to = gs_of(copy->to);
    const struct entry *source = copy->source;
    const struct object named = {.name = source->name,
                                 .size = source->size,
                                 .generation = source->generation,
                                 .has_crc32c = source->has_crc32c,
                                 .crc32c = source->crc32c};
    const struct storage_rewrite rewrite = {.from_bucket = from->bucket,
                                            .from = &named,
                                            .bucket = to->bucket,
                                            .name = copy->name,
                                            .if_generation = copy->if_generation,
                                            .stop = copy->stop};
    struct object o;
    struct err problem = {0};
    if (!object_name_check(to->bucket, copy->name, e))
        return false;
    if (storage_rewrite(to->cloud, &rewrite, at, a, &o, &problem)) {
        if (at->done)
            *out = entry_of(&o);
        return true;
    }
    if (e)
        *e = problem;
    return problem.kind == ERR_NOT_FOUND && explain_gone(from, source, e);
}

/* --- uploads --- */

/* XML multipart wants parts of at least 5 MiB; smaller ones go through a session. */
static bool parts_are_too_small(const struct upload_spec *spec)
{
    return spec->part_size < MULTIPART_MIN_PART && spec->size > spec->part_size;
}

static struct upload *begin_session(struct gs_store *g, const struct upload_spec *spec, const char *resume,
                                    struct err *e)
{
    return resumable_upload_begin(g->cloud, g->bucket, spec, resume, e);
}

static struct upload *begin_new(struct gs_store *g, const struct upload_spec *spec, struct err *e)
{
    struct err problem = {0};
    if (parts_are_too_small(spec) || atomic_load(&g->no_multipart))
        return begin_session(g, spec, NULL, e);
    struct upload *u = multipart_upload_begin(g->cloud, g->bucket, spec, NULL, &problem);
    if (!u && problem.kind == ERR_UNSUPPORTED) {
        atomic_store(&g->no_multipart, true);
        return begin_session(g, spec, NULL, e);
    }
    if (!u && e)
        *e = problem;
    return u;
}

static struct upload *gs_begin(struct store *s, const struct upload_spec *spec, const char *resume,
                               struct err *e)
{
    struct gs_store *g = gs_of(s);
    if (!object_name_check(g->bucket, spec->name, e))
        return NULL;
    if (!resume)
        return begin_new(g, spec, e);
    if (strncmp(resume, RESUMABLE_TOKEN, strlen(RESUMABLE_TOKEN)) == 0)
        return begin_session(g, spec, resume, e);
    return multipart_upload_begin(g->cloud, g->bucket, spec, resume, e);
}

/* --- opening --- */

static void gs_close(struct store *s)
{
    free(gs_of(s)->bucket);
    free(s);
}

struct store *gs_open(struct cloud *c, const struct uri *u, struct err *e)
{
    static const struct store_kind kind = {.list = gs_list,
                                           .stat = gs_stat,
                                           .read = gs_read,
                                           .pour = gs_pour,
                                           .read_changed = gs_read_changed,
                                           .remove = gs_remove,
                                           .put = gs_put,
                                           .copy = gs_copy,
                                           .begin = gs_begin,
                                           .close = gs_close};
    struct gs_store *g = calloc(1, sizeof *g);
    if (!g || !(g->bucket = strdup(u->place))) {
        free(g);
        err_set(e, ERR_MEMORY, "gs://%s: no memory for a store", u->place);
        return NULL;
    }
    g->s.kind = &kind;
    g->s.uri = (struct uri){.scheme = URI_GS, .place = g->bucket, .path = ""};
    g->cloud = c;
    return &g->s;
}
