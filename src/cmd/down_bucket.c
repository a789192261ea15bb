/* down_bucket.c: what belongs to a service in buckets, and who else reads it. */
#include "cmd/down_bucket_parts.h"

#include "cloud/artifact.h"
#include "cloud/storage.h"

#include <stdlib.h>
#include <string.h>

enum { NOTE_BYTES = 4096 };

static const char *keep(const struct down_bucket *d, const char *text)
{
    char *kept = arena_strndup(d->run->arena, text, strlen(text));
    return kept ? kept : "";
}

/* --- what belongs to it --- */

static const char *bucket_in(const struct down_bucket *d, const char *uri)
{
    char *name = arena_strndup(d->run->arena, uri + strlen("gs://"), strcspn(uri + strlen("gs://"), "/"));
    return name ? name : "";
}

bool down_is_gs(const char *uri)
{
    return uri && strncmp(uri, "gs://", 5) == 0;
}

/* Behind the bucket; "": the bucket itself. */
static const char *path_in(const char *uri)
{
    const char *slash = strchr(uri + strlen("gs://"), '/');
    return slash ? slash + 1 : "";
}

static bool add_bucket(struct down_bucket *d, const char *name, struct err *e)
{
    for (int i = 0; i < d->bucket_count; i++)
        if (strcmp(d->buckets[i].name, name) == 0)
            return true;
    if (d->bucket_count == DOWN_BUCKETS_MOST)
        return err_set(e, ERR_LIMIT, "%s reads more than %d buckets", d->service, DOWN_BUCKETS_MOST);
    d->buckets[d->bucket_count++] = (struct down_in_bucket){.name = name};
    return true;
}

static bool add_place(struct down_bucket *d, const char *uri, const char *name, struct err *e)
{
    const char *bucket = bucket_in(d, uri);
    if (!name)
        return err_set(e, ERR_MEMORY, "no memory for a name");
    d->places[d->place_count++] = (struct down_place){.uri = uri, .bucket = bucket, .name = name};
    return add_bucket(d, bucket, e);
}

static bool add_places(struct down_bucket *d, struct err *e)
{
    struct arena *a = d->run->arena;
    if (down_is_gs(d->model)) {
        const char *path = path_in(d->model);
        size_t n = strlen(path);
        if (n == 0 || strcmp(path, "/") == 0)
            return err_set(
                e, ERR_UNSUPPORTED,
                "%s: the model lies in no folder, but in the bucket itself: `ferry rm -r` says what "
                "goes there, and `ferry down %s` takes the service away",
                d->model, d->service);
        if (!add_place(d, d->model, arena_printf(a, "%s%s", path, path[n - 1] == '/' ? "" : "/"), e))
            return false;
    }
    if (!down_is_gs(d->config))
        return true;
    const char *path = path_in(d->config);
    return add_place(d, d->config, path, e) &&
           add_place(d, d->config, arena_printf(a, "%s.history/", path), e);
}

/* --- what is remembered --- */

static bool take_memory(void *arg, const struct cloud_run_memory *m, struct err *e)
{
    struct down_bucket *d = arg;
    const char *rest = m->buckets;
    if (strcmp(m->service, d->service) != 0)
        return true;
    d->model = m->model;
    d->config = m->config;
    for (bool first = true; *(rest += strspn(rest, " ")); first = false) {
        size_t n = strcspn(rest, " ");
        char *name = arena_strndup(d->run->arena, rest, n);
        if (!name || !add_bucket(d, name, e))
            return name ? false : err_set(e, ERR_MEMORY, "no memory for a name");
        d->note_bucket = first ? name : d->note_bucket;
        rest += n;
    }
    return true;
}

/* The note of a run before this one, which is surer than what the account says. */
static bool read_note(struct down_bucket *d, struct err *e)
{
    char text[NOTE_BYTES];
    struct storage_change got = {0};
    struct err problem = {0};
    if (!storage_read_changed(d->run->cloud, d->note_bucket, d->note, 0, text, sizeof text, d->run->stop,
                              &got, &problem)) {
        if (problem.kind != ERR_NOT_FOUND)
            *e = problem;
        return problem.kind == ERR_NOT_FOUND;
    }
    json_t *note = got.size <= sizeof text ? json_loadb(text, got.size, 0, NULL) : NULL;
    const char *model = json_string_value(json_object_get(note, "model")),
               *config = json_string_value(json_object_get(note, "config"));
    bool ok = (model && config) || err_set(e, ERR_CORRUPT,
                                           "gs://%s/%s is not a note of `ferry down`: look what "
                                           "it is, and remove it",
                                           d->note_bucket, d->note);
    if (ok) {
        d->model = keep(d, model);
        d->config = keep(d, config);
    }
    json_decref(note);
    return ok;
}

/* A service that is there says itself what it reads. */
static bool remember(struct down_bucket *d, const struct target_service *s, struct err *e)
{
    d->model = d->config = "";
    d->note = arena_printf(d->run->arena, DOWN_NOTE "%s.json", d->service);
    if (!d->note)
        return err_set(e, ERR_MEMORY, "no memory for a name");
    if (!cloud_run_memories(d->run, take_memory, d, e))
        return false;
    if (!s->model)
        return !*d->note_bucket || read_note(d, e);
    d->model = s->model;
    d->config = s->config ? s->config : "";
    return true;
}

/* --- who else reads it --- */

/* One of them is the other, or a folder in it. */
static bool overlap(const char *uri, const struct down_place *p, const char *bucket)
{
    const char *path = path_in(uri);
    size_t n = strlen(path), m = strlen(p->name);
    if (strcmp(bucket, p->bucket) != 0)
        return false;
    while (n && path[n - 1] == '/')
        n--;
    while (m && p->name[m - 1] == '/')
        m--;
    size_t least = n < m ? n : m;
    return strncmp(path, p->name, least) == 0 &&
           (n == m || (n < m ? p->name : path)[least] == '/' || least == 0);
}

static void note_reader(struct down_bucket *d, const char *service, const char *uri)
{
    if (!down_is_gs(uri) || strcmp(service, d->service) == 0)
        return;
    for (int i = 0; i < d->place_count; i++)
        if (overlap(uri, &d->places[i], bucket_in(d, uri)))
            d->places[i].reader = keep(d, service);
}

static bool take_service(void *arg, const struct target_service *s, struct err *e)
{
    struct down_bucket *d = arg;
    (void)e;
    d->neighbours += strcmp(s->name, d->service) != 0 && strcmp(s->region, d->region) == 0 && s->url;
    note_reader(arg, s->name, s->model);
    note_reader(arg, s->name, s->config);
    return true;
}

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == 0 || at[n] == ' '))
            return true;
    return false;
}

/* The history goes with its configuration. A bucket that another may read stays, empty or not. */
static bool take_other(void *arg, const struct cloud_run_memory *m, struct err *e)
{
    struct down_bucket *d = arg;
    (void)e;
    note_reader(d, m->service, m->model);
    note_reader(d, m->service, m->config);
    for (int i = 0; i < d->bucket_count && strcmp(m->service, d->service) != 0; i++)
        if (has_word(m->buckets, d->buckets[i].name))
            d->buckets[i].stays = arena_printf(d->run->arena, "the service %s reads it", m->service);
    return true;
}

static bool look_for_readers(struct down_bucket *d, struct err *e)
{
    struct target_run everywhere = *d->run;
    everywhere.region = NULL;
    bool ok = target_cloud_run.status(&everywhere, NULL, take_service, d, e) &&
              cloud_run_memories(&everywhere, take_other, d, e);
    for (int i = 1; i + 1 < d->place_count; i++)
        if (d->places[i].reader && d->places[i].uri == d->places[i + 1].uri)
            d->places[i + 1].reader = d->places[i].reader;
    return ok;
}

/* --- what lies there --- */

bool down_is_in(const struct down_place *p, const char *bucket, const char *name)
{
    size_t n = strlen(p->name);
    bool folder = n && p->name[n - 1] == '/';
    return !p->reader && strcmp(p->bucket, bucket) == 0 &&
           (folder ? strncmp(name, p->name, n) == 0 : strcmp(name, p->name) == 0);
}

bool down_is_there(const struct down_in_bucket *b)
{
    return b->known || b->held.count > 0 || b->others > 0;
}

struct sorting {
    struct down_bucket *d;
    struct down_in_bucket *bucket;
};

static bool add_item(struct down_bucket *d, const char *bucket, const struct object *o, struct err *e)
{
    if (d->count == d->room) {
        size_t room = d->room * 2 + 64;
        struct down_item *more = reallocarray(d->items, room, sizeof *more);
        if (!more)
            return err_set(e, ERR_MEMORY, "no memory for the objects");
        d->items = more;
        d->room = room;
    }
    d->items[d->count++] = (struct down_item){bucket, keep(d, o->name), o->size, o->generation};
    return true;
}

static bool sort_object(void *arg, const struct object *o, struct err *e)
{
    struct sorting *s = arg;
    struct down_in_bucket *b = s->bucket;
    if (strcmp(o->name, s->d->note) == 0)
        return true;
    for (int i = 0; i < s->d->place_count; i++)
        if (down_is_in(&s->d->places[i], b->name, o->name)) {
            b->held.bytes += o->size;
            b->held.count++;
            return add_item(s->d, b->name, o, e);
        }
    b->others++;
    return true;
}

/* One that is gone already holds nothing. */
static bool look_into(struct down_bucket *d, struct down_in_bucket *b, struct err *e)
{
    struct err problem = {0};
    struct sorting s = {d, b};
    struct storage_list all = {.bucket = b->name, .on_object = sort_object, .arg = &s};
    b->held = (struct holding){.kind = HOLDING_BUCKET, .has_bytes = true, .region = "", .storage_class = ""};
    bool there = storage_list(d->run->cloud, &all, &problem);
    if (!there && problem.kind != ERR_NOT_FOUND)
        *e = problem;
    return there || problem.kind == ERR_NOT_FOUND;
}

static bool take_found(void *arg, const struct bucket_found *f, struct err *e)
{
    struct down_bucket *d = arg;
    (void)e;
    for (int i = 0; i < d->bucket_count; i++) {
        struct down_in_bucket *b = &d->buckets[i];
        if (strcmp(b->name, f->name) != 0)
            continue;
        b->known = true;
        b->ours = f->ours;
        b->held.region = keep(d, f->location);
        b->held.storage_class = keep(d, f->storage_class);
    }
    return true;
}

static void judge(struct down_bucket *d, struct down_in_bucket *b)
{
    if (!b->ours)
        b->stays = "Ferry has not made it";
    else if (b->others > 0)
        b->stays = arena_printf(d->run->arena, "%d other object%s in it", b->others,
                                b->others == 1 ? " lies" : "s lie");
}

static bool look_at_buckets(struct down_bucket *d, struct err *e)
{
    for (int i = 0; i < d->bucket_count; i++)
        if (!look_into(d, &d->buckets[i], e))
            return false;
    if (!bucket_each(d->run->cloud, d->run->project, take_found, d, e))
        return false;
    for (int i = 0; i < d->bucket_count; i++)
        judge(d, &d->buckets[i]);
    return true;
}

/* What the repository says that it holds. */
static bool look_at_images(struct down_bucket *d, struct err *e)
{
    struct repository_name n = {d->run->project, d->region, CLOUD_RUN_REPOSITORY};
    struct repository found = {0};
    struct err problem = {0};
    json_t *is = repository_get(d->run->cloud, &n, &problem);
    if (is)
        repository_read(is, &found);
    else if (problem.kind != ERR_NOT_FOUND)
        *e = problem;
    d->image_bytes = found.bytes;
    json_decref(is);
    return is || problem.kind == ERR_NOT_FOUND;
}

struct down_bucket *down_bucket_look(struct target_run *r, const struct target_service *s, struct err *e)
{
    struct down_bucket *d = calloc(1, sizeof *d);
    if (!d) {
        err_set(e, ERR_MEMORY, "no memory");
        return NULL;
    }
    *d = (struct down_bucket){.run = r, .service = s->name, .region = s->region, .note_bucket = ""};
    if (remember(d, s, e) && add_places(d, e) && look_for_readers(d, e) && look_at_images(d, e) &&
        look_at_buckets(d, e))
        return d;
    down_bucket_free(d);
    return NULL;
}

void down_bucket_free(struct down_bucket *d)
{
    if (d)
        free(d->items);
    free(d);
}
