/* down_bucket_remove.c: the note, then objects, then buckets, then a look that they are gone. */
#include "cmd/down_bucket_parts.h"

#include "base/pool.h"
#include "base/stop.h"
#include "cloud/storage.h"
#include "store/manifest.h"

#include <stdlib.h>
#include <string.h>

enum { THREADS = 16 /* they wait for answers */ };

/* Without a folder there is nothing to find again. */
bool down_bucket_note(struct down_bucket *d, struct err *e)
{
    if (d->count == 0 || !*d->note_bucket)
        return true;
    json_t *note =
        json_pack("{s:s, s:s, s:s}", "service", d->service, "model", d->model, "config", d->config);
    char *text = note ? json_dumps(note, JSON_INDENT(2)) : NULL;
    struct storage_put put = {.bucket = d->note_bucket,
                              .name = d->note,
                              .content_type = "application/json",
                              .bytes = text,
                              .size = text ? strlen(text) : 0,
                              .if_generation = STORAGE_ANY_GENERATION};
    bool ok = text ? storage_put(d->run->cloud, &put, d->run->arena, NULL, e)
                   : err_set(e, ERR_MEMORY, "no memory for a note");
    free(text);
    json_decref(note);
    return ok || err_wrap(e, "what is to go could not be noted, and nothing was taken away");
}

static void fail(struct down_bucket *d, const struct err *problem)
{
    pthread_mutex_lock(&d->locked.mutex);
    if (d->locked.first.kind == ERR_NONE)
        d->locked.first = *problem;
    pthread_mutex_unlock(&d->locked.mutex);
}

/* Only what was listed: one that was replaced meanwhile stays, and is told of. */
static void delete_some(void *arg, size_t begin, size_t end, int thread)
{
    struct down_bucket *d = arg;
    (void)thread;
    for (size_t i = begin; i < end && !stop_wanted(d->run->stop); i++) {
        struct err problem = {0};
        const struct down_item *one = &d->items[d->done_first + i];
        if (!storage_delete(d->run->cloud, one->bucket, one->name, one->generation, &problem) &&
            problem.kind != ERR_NOT_FOUND)
            fail(d, &problem);
    }
}

/* A folder is complete when its manifest is there: what is half deleted is not to look so. */
static size_t manifests_first(struct down_bucket *d)
{
    size_t front = 0;
    for (size_t i = 0; i < d->count; i++) {
        const char *slash = strrchr(d->items[i].name, '/');
        if (strcmp(slash ? slash + 1 : d->items[i].name, MANIFEST_NAME) != 0)
            continue;
        struct down_item swap = d->items[front];
        d->items[front++] = d->items[i];
        d->items[i] = swap;
    }
    return front;
}

static bool delete_all(struct down_bucket *d, struct err *e)
{
    size_t manifests = manifests_first(d);
    struct pool *pool = pool_new(THREADS, e);
    if (!pool)
        return false;
    pthread_mutex_init(&d->locked.mutex, NULL);
    delete_some(d, 0, manifests, 0);
    d->done_first = manifests;
    pool_each(pool, d->count - manifests, 1, delete_some, d);
    pthread_mutex_destroy(&d->locked.mutex);
    pool_free(pool);
    if (d->locked.first.kind != ERR_NONE)
        *e = d->locked.first;
    else if (stop_wanted(d->run->stop))
        err_set(e, ERR_CANCELLED, "stopped; the same command goes on");
    return d->locked.first.kind == ERR_NONE && !stop_wanted(d->run->stop);
}

static bool delete_note(const struct down_bucket *d, struct err *e)
{
    struct err problem = {0};
    if (!*d->note_bucket ||
        storage_delete(d->run->cloud, d->note_bucket, d->note, STORAGE_ANY_GENERATION, &problem) ||
        problem.kind == ERR_NOT_FOUND)
        return true;
    *e = problem;
    return false;
}

static bool delete_buckets(const struct down_bucket *d, struct err *e)
{
    for (int i = 0; i < d->bucket_count; i++)
        if (down_is_there(&d->buckets[i]) && !d->buckets[i].stays &&
            !bucket_delete(d->run->cloud, d->buckets[i].name, e))
            return false;
    return true;
}

static bool refuse_object(void *arg, const struct object *o, struct err *e)
{
    const struct down_place *p = arg;
    return !down_is_in(p, p->bucket, o->name) ||
           err_set(e, ERR_BUSY, "gs://%s/%s is still there, or there again; run this again", p->bucket,
                   o->name);
}

static bool check_place(const struct down_bucket *d, struct down_place *p, struct err *e)
{
    struct err problem = {0};
    struct storage_list all = {.bucket = p->bucket, .prefix = p->name, .on_object = refuse_object, .arg = p};
    if (storage_list(d->run->cloud, &all, &problem) || problem.kind == ERR_NOT_FOUND)
        return true;
    *e = problem;
    return false;
}

static bool check_bucket(const struct down_bucket *d, const struct down_in_bucket *b, struct err *e)
{
    struct err problem = {0};
    json_t *there = b->stays ? NULL : bucket_get(d->run->cloud, b->name, &problem);
    json_decref(there);
    if (there)
        return err_set(e, ERR_BUSY, "gs://%s is still there; run this again", b->name);
    if (!b->stays && problem.kind != ERR_NOT_FOUND)
        *e = problem;
    return b->stays || problem.kind == ERR_NOT_FOUND;
}

static bool check_gone(struct down_bucket *d, struct err *e)
{
    for (int i = 0; i < d->place_count; i++)
        if (!check_place(d, &d->places[i], e))
            return false;
    for (int i = 0; i < d->bucket_count; i++)
        if (!check_bucket(d, &d->buckets[i], e))
            return false;
    return true;
}

static void say(const struct down_bucket *d, const char *line)
{
    if (d->run->say)
        d->run->say(d->run->arg, line);
}

bool down_bucket_remove(void *arg, struct err *e)
{
    struct down_bucket *d = arg;
    say(d, "removing what lies in buckets");
    if (!delete_all(d, e) || !delete_note(d, e))
        return false;
    say(d, "removing empty buckets");
    return delete_buckets(d, e) && check_gone(d, e);
}
