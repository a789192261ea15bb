/* rm.c: `ferry rm`: deletes objects, after asking. */
#include "base/pool.h"
#include "cmd/commands.h"
#include "cmd/confirm.h"
#include "cmd/copying.h"
#include "cmd/human.h"
#include "cmd/interrupt.h"
#include "cmd/sources.h"
#include "store/manifest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = INT32_MAX, THREADS = 16 /* they wait for answers */ };

struct rm_settings {
    bool recursive, yes, dry_run, json;
};

static const struct option rm_options[] = {
    {.name = "recursive",
     .letter = 'r',
     .type = OPTION_FLAG,
     .offset = offsetof(struct rm_settings, recursive),
     .help = "folders too, with all in them"},
    {.name = "yes",
     .letter = 'y',
     .type = OPTION_FLAG,
     .offset = offsetof(struct rm_settings, yes),
     .help = "do not ask"},
    {.name = "dry-run",
     .type = OPTION_FLAG,
     .offset = offsetof(struct rm_settings, dry_run),
     .help = "say what would be deleted, and delete nothing"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct rm_settings, json),
     .help = "print the result as one JSON object"},
};

/* One run of the command. */
struct rm {
    struct rm_settings settings;
    struct sources sources;
    uint64_t bytes;
    size_t done_first; /* items deleted before the pool got the rest */
    const volatile sig_atomic_t *stop;
    _Atomic size_t deleted;
    struct {
        pthread_mutex_t mutex;
        size_t failed;
        struct err first;
    } locked;
};

static void note_failure(struct rm *r, const struct source *s, struct err *problem)
{
    pthread_mutex_lock(&r->locked.mutex);
    if (r->locked.failed++ == 0) {
        r->locked.first = *problem;
        err_wrap(&r->locked.first, "%s", s->entry.name);
    }
    pthread_mutex_unlock(&r->locked.mutex);
}

/* One that is gone already, by another hand or by a try whose answer was lost, is as good as deleted. */
static void delete_some(void *arg, size_t begin, size_t end, int thread)
{
    struct rm *r = arg;
    (void)thread;
    for (size_t i = begin; i < end && !*r->stop; i++) {
        const struct source *s = &r->sources.items[r->done_first + i];
        struct err problem = {0};
        if (store_delete(s->place->store, &s->entry, &problem) || problem.kind == ERR_NOT_FOUND)
            r->deleted++;
        else
            note_failure(r, s, &problem);
    }
}

static bool is_manifest(const struct source *s)
{
    size_t n = strlen(s->entry.name), m = strlen(MANIFEST_NAME);
    return n >= m && strcmp(s->entry.name + n - m, MANIFEST_NAME) == 0;
}

/* A folder is complete when its manifest is there, so manifests go first: what is half deleted looks it. */
static size_t manifests_first(struct sources *s)
{
    size_t front = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (!is_manifest(&s->items[i]))
            continue;
        struct source swap = s->items[front];
        s->items[front++] = s->items[i];
        s->items[i] = swap;
    }
    return front;
}

/* a and a* name the same object twice: once is enough. */
static int by_place_and_name(const void *a, const void *b)
{
    const struct source *x = a, *y = b;
    if (x->place->store != y->place->store)
        return x->place->store < y->place->store ? -1 : 1;
    return strcmp(x->entry.name, y->entry.name);
}

static void drop_repeated(struct sources *s)
{
    size_t kept = 0;
    if (s->count)
        qsort(s->items, s->count, sizeof *s->items, by_place_and_name);
    for (size_t i = 0; i < s->count; i++)
        if (i == 0 || by_place_and_name(&s->items[kept - 1], &s->items[i]) != 0)
            s->items[kept++] = s->items[i];
    s->count = kept;
}

static bool result(const struct rm *r, struct err *e)
{
    char bytes[HUMAN_TEXT];
    size_t deleted = r->deleted;
    if (*r->stop)
        return err_set(e, ERR_CANCELLED, "stopped; %zu of %zu objects are deleted", deleted,
                       r->sources.count);
    if (r->locked.failed) {
        *e = r->locked.first;
        return err_wrap(e, "%zu of %zu objects could not be deleted; the first", r->locked.failed,
                        r->sources.count);
    }
    if (r->settings.json)
        return print_json(
            json_pack("{s:I, s:I}", "deleted", (json_int_t)deleted, "bytes", (json_int_t)r->bytes), e);
    printf("%zu object%s deleted, %s\n", deleted, human_plural(deleted), human_bytes(r->bytes, bytes));
    return true;
}

static bool delete_all(struct rm *r, struct err *e)
{
    size_t manifests = manifests_first(&r->sources);
    size_t threads = r->sources.count < THREADS ? r->sources.count : THREADS;
    struct pool *pool = pool_new(threads ? (int)threads : 1, e);
    if (!pool)
        return false;
    r->stop = interrupt_watch();
    stores_wind_down(r->sources.stores, r->stop);
    pthread_mutex_init(&r->locked.mutex, NULL);
    delete_some(r, 0, manifests, 0);
    r->done_first = manifests;
    if (!r->locked.failed)
        pool_each(pool, r->sources.count - manifests, 1, delete_some, r);
    pthread_mutex_destroy(&r->locked.mutex);
    pool_free(pool);
    return result(r, e);
}

static bool print_plan(const struct rm *r, struct err *e)
{
    char bytes[HUMAN_TEXT];
    if (r->settings.json)
        return print_json(json_pack("{s:b, s:I, s:I}", "dry_run", 1, "objects", (json_int_t)r->sources.count,
                                    "bytes", (json_int_t)r->bytes),
                          e);
    for (size_t i = 0; i < r->sources.count; i++) {
        const struct source *s = &r->sources.items[i];
        printf("delete %s (%s)\n", place_uri(s->place, s->entry.name, r->sources.arena),
               human_bytes(s->entry.size, bytes));
    }
    printf("%zu object%s, %s; nothing was deleted\n", r->sources.count, human_plural(r->sources.count),
           human_bytes(r->bytes, bytes));
    return true;
}

static bool ask(const struct rm *r, char **texts, int count, struct err *e)
{
    char question[400], bytes[HUMAN_TEXT];
    snprintf(question, sizeof question, "Delete %zu object%s, %s: %.200s%s?", r->sources.count,
             human_plural(r->sources.count), human_bytes(r->bytes, bytes), texts[0],
             count > 1 ? " and others" : "");
    return confirm(question, r->settings.yes, e);
}

static bool find(struct rm *r, char **texts, int count, struct err *e)
{
    for (int i = 0; i < count; i++)
        if (!sources_find(&r->sources, texts[i], e))
            return false;
    for (size_t i = 0; i < r->sources.count; i++) {
        const struct place *p = r->sources.items[i].place;
        if (p->uri.scheme != URI_GS)
            return err_set(e, ERR_USAGE,
                           "%s: ferry rm deletes in Cloud Storage only; expected gs://BUCKET/NAME",
                           place_uri(p, r->sources.items[i].entry.name, r->sources.arena));
    }
    drop_repeated(&r->sources);
    for (size_t i = 0; i < r->sources.count; i++)
        r->bytes += r->sources.items[i].entry.size;
    return true;
}

static bool rm(struct rm *r, char **texts, int count, struct err *e)
{
    if (!find(r, texts, count, e))
        return false;
    if (r->settings.dry_run)
        return print_plan(r, e);
    return ask(r, texts, count, e) && delete_all(r, e);
}

static bool run_rm(const struct command *c, char **args, int count, struct err *e)
{
    struct rm r = {.sources = {.with_markers = true}};
    struct operands o;

    if (!options_read(c, args, count, &r.settings, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, c);
        return true;
    }
    if (o.count == 0)
        return err_set(e, ERR_USAGE, "which object? usage: ferry rm %s", c->synopsis);
    r.sources.recursive = r.settings.recursive;
    r.sources.stores = stores_new(0, e);
    if (!r.sources.stores)
        return false;
    r.sources.arena = arena_new(ARENA_BYTES);
    bool ok = r.sources.arena ? rm(&r, o.items, o.count, e) : err_set(e, ERR_MEMORY, "no memory");
    sources_clear(&r.sources);
    stores_free(r.sources.stores);
    arena_free(r.sources.arena);
    return ok;
}

static const struct option_group rm_group = {"Options", rm_options, sizeof rm_options / sizeof *rm_options};
static const struct option_group *const rm_groups[] = {&rm_group, NULL};

static const char *const rm_examples[] = {
    "ferry rm -r gs://bucket/models/qwen",
    "all below a prefix; says how much it is and asks",
    "ferry rm --yes 'gs://bucket/tmp/*.part'",
    "what a wildcard matches, without asking",
    NULL,
};

const struct command command_rm = {
    .name = "rm",
    .synopsis = "URI… [-r] [--yes] [--dry-run]",
    .summary = "delete objects in Cloud Storage, after asking",
    .about =
        "Deletes objects: gs://BUCKET/NAME, what a wildcard matches, with -r all below gs://BUCKET/PREFIX. "
        "It says how many there are and asks; where there is no terminal nothing is deleted without --yes "
        "(exit code 4). Only what was listed is deleted: an object that was replaced meanwhile stays. A "
        "bucket with soft delete keeps, and charges for, what was deleted for some days more.",
    .examples = rm_examples,
    .groups = rm_groups,
    .max_operands = OPERANDS_ANY,
    .run = run_rm,
};
