#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RESUMABLE_UNIT = 256 << 10 };

/* A list of pointers that only grows. */
struct list {
    void **items;
    size_t count, room;
};

struct world {
    char folder[256];
    int journal; /* -1 while it is replayed */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int64_t last_generation;
    struct list blobs, buckets, sessions, uploads; /* blobs[i].id == i; holes where one is gone */
    json_t *docs;
};

/* ---- lists ---- */

static bool make_room(void *items, size_t count, size_t *room, size_t size)
{
    void **at = items;
    if (count < *room)
        return true;
    size_t more = *room ? *room * 2 : 16;
    void *grown = realloc(*at, more * size);
    if (!grown)
        return false;
    *at = grown;
    *room = more;
    return true;
}

static bool list_add(struct list *l, void *item)
{
    if (!make_room(&l->items, l->count, &l->room, sizeof *l->items))
        return false;
    l->items[l->count++] = item;
    return true;
}

static void list_remove(struct list *l, const void *item)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i] == item) {
            memmove(l->items + i, l->items + i + 1, (l->count - i - 1) * sizeof *l->items);
            l->count--;
            return;
        }
}

/* ---- the journal ---- */

/* Takes the reference. A line is one write: what a kill leaves half done is the last line at most. */
static void note_locked(struct world *w, json_t *line)
{
    char *text = w->journal >= 0 ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    if (!text)
        return;
    size_t size = strlen(text);
    text[size] = '\n'; /* the NUL is not needed any more */
    if (write(w->journal, text, size + 1) != (ssize_t)size + 1) {
        perror("emulator: state.jsonl");
        abort(); /* a state that cannot be kept must not be shown */
    }
    free(text);
}

void world_lock(struct world *w)
{
    pthread_mutex_lock(&w->mutex);
}

void world_unlock(struct world *w)
{
    pthread_mutex_unlock(&w->mutex);
}

void world_wait_locked(struct world *w, int milliseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)milliseconds % 1000 * 1000000;
    until.tv_sec += milliseconds / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&w->changed, &w->mutex, &until);
}

void world_changed_locked(struct world *w)
{
    pthread_cond_broadcast(&w->changed);
}

int64_t world_generation_locked(struct world *w)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    w->last_generation = us > w->last_generation ? us : w->last_generation + 1;
    return w->last_generation;
}

static void random_id(char out[33])
{
    unsigned char bytes[16] = {0};
    if (getrandom(bytes, sizeof bytes, 0) < 0)
        abort();
    for (int i = 0; i < 16; i++)
        sprintf(out + 2 * i, "%02x", bytes[i]);
}

/* ---- blobs ---- */

void blob_path(const struct world *w, const struct blob *b, char *out, size_t room)
{
    snprintf(out, room, "%s/blobs/%llu", w->folder, (unsigned long long)b->id);
}

int blob_open(const struct world *w, const struct blob *b, int flags)
{
    char path[300];
    blob_path(w, b, path, sizeof path);
    return open(path, flags | O_CLOEXEC, 0600);
}

static struct blob *blob_at(struct world *w, uint64_t id)
{
    while (w->blobs.count <= id)
        if (!list_add(&w->blobs, NULL))
            return NULL;
    struct blob *b = w->blobs.items[id];
    if (!b && (b = calloc(1, sizeof *b))) {
        b->id = id;
        w->blobs.items[id] = b;
    }
    return b;
}

struct blob *blob_new_locked(struct world *w)
{
    struct blob *b = blob_at(w, w->blobs.count);
    int fd = b ? blob_open(w, b, O_CREAT | O_TRUNC | O_WRONLY) : -1;
    if (fd < 0) {
        perror("emulator: blob");
        abort();
    }
    close(fd);
    b->holders = 1;
    return b;
}

void blob_hold_locked(struct blob *b)
{
    b->holders++;
}

void blob_drop_locked(struct world *w, struct blob *b)
{
    char path[300];
    if (!b || --b->holders > 0)
        return;
    blob_path(w, b, path, sizeof path);
    unlink(path);
    w->blobs.items[b->id] = NULL;
    free(b);
}

/* ---- objects ---- */

struct object *object_new(const char *bucket, const char *name, const json_t *fields)
{
    struct object *o = calloc(1, sizeof *o);
    if (!o)
        abort();
    o->holders = 1;
    o->bucket = strdup(bucket);
    o->name = strdup(name);
    o->fields = fields ? json_deep_copy(fields) : json_object();
    return o;
}

bool object_add_segment_locked(struct object *o, struct blob *b, uint64_t offset, uint64_t size)
{
    struct segment *grown = realloc(o->segments, ((size_t)o->segment_count + 1) * sizeof *grown);
    if (!grown)
        return false;
    o->segments = grown;
    grown[o->segment_count++] = (struct segment){b, offset, size};
    blob_hold_locked(b);
    o->size += size;
    return true;
}

void object_hold_locked(struct object *o)
{
    o->holders++;
}

void object_drop_locked(struct world *w, struct object *o)
{
    if (!o || --o->holders > 0)
        return;
    for (int i = 0; i < o->segment_count; i++)
        blob_drop_locked(w, o->segments[i].blob);
    json_decref(o->fields);
    free(o->segments);
    free(o->bucket);
    free(o->name);
    free(o);
}

static json_t *segment_json(const struct segment *s)
{
    return json_pack("[I,I,I]", (json_int_t)s->blob->id, (json_int_t)s->offset, (json_int_t)s->size);
}

static json_t *object_json(const struct object *o)
{
    json_t *j = json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:i,s:O}", "op", "object", "bucket", o->bucket,
                          "name", o->name, "generation", (json_int_t)o->generation, "metageneration",
                          (json_int_t)o->metageneration, "created", (json_int_t)o->created_us, "updated",
                          (json_int_t)o->updated_us, "crc32c", (json_int_t)o->crc32c, "components",
                          o->components, "fields", o->fields);
    json_t *segments = json_array(), *md5 = json_array();
    for (int i = 0; i < o->segment_count; i++)
        json_array_append_new(segments, segment_json(&o->segments[i]));
    for (int i = 0; o->has_md5 && i < 16; i++)
        json_array_append_new(md5, json_integer(o->md5[i]));
    json_object_set_new(j, "segments", segments);
    json_object_set_new(j, "md5", md5);
    return j;
}

static const char *text_of(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

static int64_t number_of(const json_t *j, const char *key)
{
    return json_integer_value(json_object_get(j, key));
}

static struct segment segment_from(struct world *w, const json_t *j)
{
    return (struct segment){blob_at(w, (uint64_t)json_integer_value(json_array_get(j, 0))),
                            (uint64_t)json_integer_value(json_array_get(j, 1)),
                            (uint64_t)json_integer_value(json_array_get(j, 2))};
}

static struct object *object_from(struct world *w, const json_t *j)
{
    struct object *o = object_new(text_of(j, "bucket"), text_of(j, "name"), json_object_get(j, "fields"));
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(j, "segments"), i, item)
    {
        struct segment s = segment_from(w, item);
        object_add_segment_locked(o, s.blob, s.offset, s.size);
    }
    json_array_foreach(json_object_get(j, "md5"), i, item) if (i < 16)
    {
        o->has_md5 = true;
        o->md5[i] = (unsigned char)json_integer_value(item);
    }
    o->generation = number_of(j, "generation");
    o->metageneration = number_of(j, "metageneration");
    o->created_us = number_of(j, "created");
    o->updated_us = number_of(j, "updated");
    o->crc32c = (uint32_t)number_of(j, "crc32c");
    o->components = (int)number_of(j, "components");
    return o;
}

/* ---- buckets ---- */

struct bucket *bucket_find_locked(struct world *w, const char *name)
{
    for (size_t i = 0; i < w->buckets.count; i++) {
        struct bucket *b = w->buckets.items[i];
        if (!strcmp(b->name, name))
            return b;
    }
    return NULL;
}

struct bucket *bucket_put_locked(struct world *w, const char *name, json_t *resource, json_t *policy)
{
    struct bucket *b = bucket_find_locked(w, name);
    if (!b) {
        b = calloc(1, sizeof *b);
        if (!b || !list_add(&w->buckets, b))
            abort();
        b->name = strdup(name);
    }
    json_decref(b->resource);
    json_decref(b->policy);
    b->resource = resource;
    b->policy = policy;
    note_locked(w, json_pack("{s:s,s:s,s:O,s:O}", "op", "bucket", "name", name, "resource", resource,
                             "policy", policy));
    return b;
}

static void bucket_free_locked(struct world *w, struct bucket *b)
{
    for (size_t i = 0; i < b->count; i++)
        object_drop_locked(w, b->objects[i]);
    json_decref(b->resource);
    json_decref(b->policy);
    free(b->objects);
    free(b->name);
    free(b);
}

void bucket_remove_locked(struct world *w, struct bucket *b)
{
    note_locked(w, json_pack("{s:s,s:s}", "op", "bucket-gone", "name", b->name));
    list_remove(&w->buckets, b);
    bucket_free_locked(w, b);
}

struct bucket *const *buckets_locked(struct world *w, size_t *count)
{
    *count = w->buckets.count;
    return (struct bucket *const *)w->buckets.items;
}

size_t object_index_locked(const struct bucket *b, const char *name)
{
    size_t low = 0, high = b->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(b->objects[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct object **object_slot(struct bucket *b, const char *name)
{
    size_t i = object_index_locked(b, name);
    return i < b->count && !strcmp(b->objects[i]->name, name) ? &b->objects[i] : NULL;
}

struct object *object_find_locked(struct world *w, const char *bucket, const char *name)
{
    struct bucket *b = bucket_find_locked(w, bucket);
    struct object **slot = b ? object_slot(b, name) : NULL;
    return slot ? *slot : NULL;
}

static void put_locked(struct world *w, struct bucket *b, struct object *o)
{
    struct object **slot = object_slot(b, o->name);
    if (slot) {
        object_drop_locked(w, *slot);
        *slot = o;
        return;
    }
    if (!make_room(&b->objects, b->count, &b->room, sizeof(struct object *)))
        abort();
    size_t i = object_index_locked(b, o->name);
    memmove(b->objects + i + 1, b->objects + i, (b->count - i) * sizeof(struct object *));
    b->objects[i] = o;
    b->count++;
}

void object_publish_locked(struct world *w, struct bucket *b, struct object *o)
{
    o->generation = world_generation_locked(w);
    o->metageneration = 1;
    o->created_us = o->updated_us = o->generation;
    note_locked(w, object_json(o)); /* before what it replaces, perhaps its own source, is let go */
    put_locked(w, b, o);
}

void object_changed_locked(struct world *w, const struct object *o)
{
    note_locked(w, object_json(o));
}

static void take_out_locked(struct world *w, struct bucket *b, const char *name)
{
    struct object **slot = object_slot(b, name);
    if (!slot)
        return;
    struct object *o = *slot;
    size_t i = (size_t)(slot - b->objects);
    memmove(slot, slot + 1, (b->count - i - 1) * sizeof *slot);
    b->count--;
    object_drop_locked(w, o);
}

void object_remove_locked(struct world *w, struct bucket *b, struct object *o)
{
    note_locked(w, json_pack("{s:s,s:s,s:s}", "op", "object-gone", "bucket", b->name, "name", o->name));
    take_out_locked(w, b, o->name);
}

/* ---- sessions ---- */

static struct session *session_add(struct world *w, const char *id, json_t *head, struct blob *b)
{
    struct session *s = calloc(1, sizeof *s);
    if (!s || !list_add(&w->sessions, s))
        abort();
    snprintf(s->id, sizeof s->id, "%s", id);
    s->head = head;
    s->blob = b;
    return s;
}

struct session *session_new_locked(struct world *w, json_t *head)
{
    char id[33];
    random_id(id);
    struct session *s = session_add(w, id, head, blob_new_locked(w));
    note_locked(w, json_pack("{s:s,s:s,s:O,s:I}", "op", "session", "id", id, "head", head, "blob",
                             (json_int_t)s->blob->id));
    return s;
}

struct session *session_find_locked(struct world *w, const char *id)
{
    for (size_t i = w->sessions.count; i-- > 0;) {
        struct session *s = w->sessions.items[i];
        if (!strcmp(s->id, id))
            return s;
    }
    return NULL;
}

void session_end_locked(struct world *w, struct session *s, json_t *object, int gone)
{
    json_decref(s->object);
    s->object = json_incref(object);
    s->gone = gone;
    blob_drop_locked(w, s->blob);
    s->blob = NULL;
    note_locked(
        w, json_pack("{s:s,s:s,s:i,s:O?}", "op", "session-end", "id", s->id, "gone", gone, "object", object));
}

/* What of its bytes counts after a restart: the file, in whole units. */
static void session_measure(struct world *w, struct session *s)
{
    struct stat st;
    char path[300];
    if (!s->blob)
        return;
    blob_path(w, s->blob, path, sizeof path);
    if (stat(path, &st) == 0)
        s->held = (uint64_t)st.st_size / RESUMABLE_UNIT * RESUMABLE_UNIT;
}

static void session_free(struct session *s)
{
    json_decref(s->head);
    json_decref(s->object);
    free(s);
}

/* ---- multipart uploads ---- */

static struct upload *upload_add(struct world *w, const char *id, const char *bucket, const char *name,
                                 json_t *fields)
{
    struct upload *u = calloc(1, sizeof *u);
    if (!u || !list_add(&w->uploads, u))
        abort();
    snprintf(u->id, sizeof u->id, "%s", id);
    u->bucket = strdup(bucket);
    u->name = strdup(name);
    u->fields = fields;
    return u;
}

struct upload *upload_new_locked(struct world *w, const char *bucket, const char *name, json_t *fields)
{
    char id[33];
    random_id(id);
    note_locked(w, json_pack("{s:s,s:s,s:s,s:s,s:O}", "op", "upload", "id", id, "bucket", bucket, "name",
                             name, "fields", fields));
    return upload_add(w, id, bucket, name, fields);
}

static struct upload *upload_by_id(struct world *w, const char *id)
{
    for (size_t i = w->uploads.count; i-- > 0;) {
        struct upload *u = w->uploads.items[i];
        if (!strcmp(u->id, id))
            return u;
    }
    return NULL;
}

struct upload *upload_find_locked(struct world *w, const char *bucket, const char *name, const char *id)
{
    struct upload *u = upload_by_id(w, id);
    return u && !strcmp(u->bucket, bucket) && !strcmp(u->name, name) ? u : NULL;
}

static bool part_set(struct world *w, struct upload *u, const struct part *p)
{
    int i = 0;
    size_t room = (size_t)u->room;
    while (i < u->count && u->parts[i].number < p->number)
        i++;
    blob_hold_locked(p->bytes.blob);
    if (i < u->count && u->parts[i].number == p->number) {
        blob_drop_locked(w, u->parts[i].bytes.blob);
        u->parts[i] = *p;
        return true;
    }
    if (!make_room(&u->parts, (size_t)u->count, &room, sizeof *u->parts))
        return false;
    u->room = (int)room;
    memmove(u->parts + i + 1, u->parts + i, (size_t)(u->count - i) * sizeof *u->parts);
    u->parts[i] = *p;
    u->count++;
    return true;
}

bool upload_put_locked(struct world *w, struct upload *u, const struct part *p)
{
    note_locked(w, json_pack("{s:s,s:s,s:i,s:o,s:I,s:s,s:I}", "op", "part", "id", u->id, "number", p->number,
                             "bytes", segment_json(&p->bytes), "crc32c", (json_int_t)p->crc32c, "etag",
                             p->etag, "updated", (json_int_t)p->updated_us));
    return part_set(w, u, p);
}

static void upload_free_locked(struct world *w, struct upload *u)
{
    for (int i = 0; i < u->count; i++)
        blob_drop_locked(w, u->parts[i].bytes.blob);
    json_decref(u->fields);
    free(u->parts);
    free(u->bucket);
    free(u->name);
    free(u);
}

void upload_remove_locked(struct world *w, struct upload *u)
{
    note_locked(w, json_pack("{s:s,s:s}", "op", "upload-gone", "id", u->id));
    list_remove(&w->uploads, u);
    upload_free_locked(w, u);
}

struct upload *const *uploads_locked(struct world *w, size_t *count)
{
    *count = w->uploads.count;
    return (struct upload *const *)w->uploads.items;
}

/* ---- other resources ---- */

json_t *doc_find_locked(struct world *w, const char *key)
{
    return json_object_get(w->docs, key);
}

void doc_changed_locked(struct world *w, const char *key)
{
    note_locked(w, json_pack("{s:s,s:s,s:O}", "op", "doc", "key", key, "doc", doc_find_locked(w, key)));
}

void doc_put_locked(struct world *w, const char *key, json_t *doc)
{
    if (json_object_set_new(w->docs, key, doc) != 0)
        abort();
    doc_changed_locked(w, key);
}

void doc_remove_locked(struct world *w, const char *key)
{
    note_locked(w, json_pack("{s:s,s:s}", "op", "doc-gone", "key", key));
    json_object_del(w->docs, key);
}

json_t *doc_keys_locked(struct world *w, const char *prefix)
{
    json_t *keys = json_array(), *doc;
    const char *key;
    json_object_foreach(w->docs, key, doc)
    {
        if (!strncmp(key, prefix, strlen(prefix)))
            json_array_append_new(keys, json_string(key));
    }
    return keys;
}

/* ---- replay ---- */

static void replay_doc(struct world *w, const json_t *j)
{
    json_object_set(w->docs, text_of(j, "key"), json_object_get(j, "doc"));
}

static void replay_doc_gone(struct world *w, const json_t *j)
{
    json_object_del(w->docs, text_of(j, "key"));
}

static void replay_bucket(struct world *w, const json_t *j)
{
    bucket_put_locked(w, text_of(j, "name"), json_incref(json_object_get(j, "resource")),
                      json_incref(json_object_get(j, "policy")));
}

static void replay_bucket_gone(struct world *w, const json_t *j)
{
    struct bucket *b = bucket_find_locked(w, text_of(j, "name"));
    if (b)
        bucket_remove_locked(w, b);
}

static void replay_object(struct world *w, const json_t *j)
{
    struct bucket *b = bucket_find_locked(w, text_of(j, "bucket"));
    struct object *o = object_from(w, j);
    if (o->generation > w->last_generation)
        w->last_generation = o->generation;
    if (b)
        put_locked(w, b, o);
    else
        object_drop_locked(w, o);
}

static void replay_object_gone(struct world *w, const json_t *j)
{
    struct bucket *b = bucket_find_locked(w, text_of(j, "bucket"));
    if (b)
        take_out_locked(w, b, text_of(j, "name"));
}

static void replay_session(struct world *w, const json_t *j)
{
    struct blob *b = blob_at(w, (uint64_t)number_of(j, "blob"));
    blob_hold_locked(b);
    session_add(w, text_of(j, "id"), json_incref(json_object_get(j, "head")), b);
}

static void replay_session_end(struct world *w, const json_t *j)
{
    struct session *s = session_find_locked(w, text_of(j, "id"));
    if (s)
        session_end_locked(w, s, json_object_get(j, "object"), (int)number_of(j, "gone"));
}

static void replay_upload(struct world *w, const json_t *j)
{
    upload_add(w, text_of(j, "id"), text_of(j, "bucket"), text_of(j, "name"),
               json_incref(json_object_get(j, "fields")));
}

static void replay_part(struct world *w, const json_t *j)
{
    struct upload *u = upload_by_id(w, text_of(j, "id"));
    struct part p = {.number = (int)number_of(j, "number"),
                     .bytes = segment_from(w, json_object_get(j, "bytes")),
                     .crc32c = (uint32_t)number_of(j, "crc32c"),
                     .updated_us = number_of(j, "updated")};
    snprintf(p.etag, sizeof p.etag, "%s", text_of(j, "etag"));
    if (u)
        part_set(w, u, &p);
}

static void replay_upload_gone(struct world *w, const json_t *j)
{
    struct upload *u = upload_by_id(w, text_of(j, "id"));
    if (u)
        upload_remove_locked(w, u);
}

static const struct {
    const char *op;
    void (*replay)(struct world *w, const json_t *j);
} operations[] = {
    {"bucket", replay_bucket},           {"bucket-gone", replay_bucket_gone},
    {"object", replay_object},           {"object-gone", replay_object_gone},
    {"session", replay_session},         {"session-end", replay_session_end},
    {"upload", replay_upload},           {"part", replay_part},
    {"upload-gone", replay_upload_gone}, {"doc", replay_doc},
    {"doc-gone", replay_doc_gone},
};

static void replay_line(struct world *w, const char *line)
{
    json_t *j = json_loads(line, 0, NULL); /* NULL: the half of a line that a kill left */
    for (size_t i = 0; j && i < sizeof operations / sizeof *operations; i++)
        if (!strcmp(operations[i].op, text_of(j, "op")))
            operations[i].replay(w, j);
    json_decref(j);
}

/* A later object may share the bytes of one that an earlier line dropped, so nothing is unlinked by a replay
 * until its end: every blob is held once meanwhile. */
static void hold_all(struct world *w)
{
    char path[300];
    snprintf(path, sizeof path, "%s/blobs", w->folder);
    DIR *d = opendir(path);
    for (struct dirent *f; d && (f = readdir(d));) {
        struct blob *b = f->d_name[0] == '.' ? NULL : blob_at(w, strtoull(f->d_name, NULL, 10));
        if (b)
            blob_hold_locked(b);
    }
    if (d)
        closedir(d);
}

static void release_all(struct world *w)
{
    for (size_t i = 0; i < w->blobs.count; i++)
        blob_drop_locked(w, w->blobs.items[i]);
}

static void replay(struct world *w, const char *path)
{
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    hold_all(w);
    while (getline(&line, &room, f) > 0)
        replay_line(w, line);
    release_all(w);
    for (size_t i = 0; i < w->sessions.count; i++)
        session_measure(w, w->sessions.items[i]);
    free(line);
    fclose(f);
}

/* A last line without its newline would run into the next. */
static void end_last_line(int fd)
{
    char last = '\n';
    off_t size = lseek(fd, 0, SEEK_END);
    if (size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n' && write(fd, "\n", 1) != 1)
        abort();
}

struct world *world_open(const char *folder, struct err *e)
{
    char path[300];
    struct world *w = calloc(1, sizeof *w);
    if (!w) {
        err_set(e, ERR_MEMORY, "no memory");
        return NULL;
    }
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->journal = -1;
    w->docs = json_object();
    snprintf(w->folder, sizeof w->folder, "%s", folder);
    snprintf(path, sizeof path, "%s/blobs", folder);
    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        err_errno(e, "%s", path);
        world_close(w);
        return NULL;
    }
    snprintf(path, sizeof path, "%s/state.jsonl", folder);
    replay(w, path);
    w->journal = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (w->journal < 0) {
        err_errno(e, "%s", path);
        world_close(w);
        return NULL;
    }
    end_last_line(w->journal);
    return w;
}

void world_close(struct world *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->blobs.count; i++) /* their files stay */
        if (w->blobs.items[i])
            blob_hold_locked(w->blobs.items[i]);
    for (size_t i = 0; i < w->buckets.count; i++)
        bucket_free_locked(w, w->buckets.items[i]);
    for (size_t i = 0; i < w->uploads.count; i++)
        upload_free_locked(w, w->uploads.items[i]);
    for (size_t i = 0; i < w->sessions.count; i++)
        session_free(w->sessions.items[i]);
    for (size_t i = 0; i < w->blobs.count; i++)
        free(w->blobs.items[i]);
    json_decref(w->docs);
    free(w->blobs.items);
    free(w->buckets.items);
    free(w->uploads.items);
    free(w->sessions.items);
    if (w->journal >= 0)
        close(w->journal);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}
