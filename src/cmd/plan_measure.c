#include "cmd/plan_measure.h"

#include "base/clock.h"
#include "base/pages.h"
#include "base/pool.h"
#include "base/stop.h"
#include "cmd/cores.h"
#include "cmd/plan_state.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FETCHERS = 16,
    FETCH_MS = 5000,
    LEAST_RANGE = 1 << 20,
    MOST_RANGE = 8 << 20,
    QUICK_MS = 300, /* a range that took less is followed by one twice as long */
    MEMORY_MS = 1000,
    MEMORY_BYTES = 128 << 20, /* of each thread: more than caches hold */
};

static const char FILE_NAME[] = "measured.json";
static const char *const whats[] = {[MEASURED_FETCH] = "fetch", [MEASURED_MEMORY] = "memory"};

/* --- what is remembered ---
 */

static bool parse_item(struct measurement *m, const json_t *o)
{
    const char *what = json_string_value(json_object_get(o, "what"));
    m->what = what && strcmp(what, whats[MEASURED_FETCH]) == 0 ? MEASURED_FETCH : MEASURED_MEMORY;
    m->per_second = json_number_value(json_object_get(o, "bytes_per_second"));
    json_int_t cores = json_integer_value(json_object_get(o, "cores"));
    m->cores = (int)cores;
    return what && strcmp(what, whats[m->what]) == 0 &&
           plan_state_word(m->where, sizeof m->where, o, "where") &&
           plan_state_word(m->from, sizeof m->from, o, "from") &&
           plan_state_word(m->date, sizeof m->date, o, "date") && m->per_second >= 1 &&
           m->per_second < 1e15 && cores >= 1 && cores <= 4096;
}

bool measurements_parse(struct measurements *m, const char *text, size_t size, struct err *e)
{
    json_error_t at;
    json_t *root = json_loadb(text, size, 0, &at);
    const json_t *list = json_object_get(root, "measured");
    size_t count = json_array_size(list);
    m->count = 0;
    bool ok = json_is_array(list) && count <= MEASUREMENTS_MOST;
    for (size_t i = 0; ok && i < count; i++)
        ok = parse_item(&m->items[m->count++], json_array_get(list, i));
    json_decref(root);
    return ok ||
           err_set(e, ERR_CORRUPT, "not what `ferry plan --measure` writes; remove it and measure anew");
}

bool measurements_read(struct measurements *m, struct arena *a, struct err *e)
{
    size_t size;
    struct err problem = {0};
    const char *path = plan_state_path(FILE_NAME, a, NULL);
    const char *text = path ? plan_state_read(path, a, &size, &problem) : NULL;
    m->count = 0;
    if (problem.kind != ERR_NONE)
        *e = problem;
    return text ? measurements_parse(m, text, size, e) || err_wrap(e, "%s", path) : problem.kind == ERR_NONE;
}

static json_t *item_json(const struct measurement *m)
{
    return json_pack("{s:s, s:s, s:s, s:f, s:i, s:s}", "what", whats[m->what], "where", m->where, "from",
                     m->from, "bytes_per_second", m->per_second, "cores", m->cores, "date", m->date);
}

bool measurements_write(const struct measurements *m, struct arena *a, struct err *e)
{
    json_t *list = json_array();
    for (int i = 0; i < m->count; i++)
        json_array_append_new(list, item_json(&m->items[i]));
    return plan_state_write(FILE_NAME, json_pack("{s:o}", "measured", list), a, e);
}

const struct measurement *measurements_find(const struct measurements *m, enum measured_what what,
                                            const char *where, const char *scheme)
{
    for (int i = m->count - 1; i >= 0; i--) {
        const struct measurement *one = &m->items[i];
        if (one->what == what && strcmp(one->where, where) == 0 &&
            strncmp(one->from, scheme, strlen(scheme)) == 0)
            return one;
    }
    return NULL;
}

struct plan_measured measurements_there(const struct measurements *m, const char *region)
{
    char where[64];
    snprintf(where, sizeof where, "cloud-run %.40s", region);
    const struct measurement *fetch = measurements_find(m, MEASURED_FETCH, where, "gs://");
    const struct measurement *memory = measurements_find(m, MEASURED_MEMORY, where, "");
    return (struct plan_measured){.fetch = fetch ? fetch->per_second : NAN,
                                  .memory_per_vcpu = memory ? memory->per_second / memory->cores : NAN};
}

void measurements_add(struct measurements *m, const struct measurement *new)
{
    int kept = 0;
    for (int i = 0; i < m->count; i++) {
        const struct measurement *one = &m->items[i];
        if (one->what != new->what || strcmp(one->where, new->where) != 0 ||
            strcmp(one->from, new->from) != 0)
            m->items[kept++] = *one;
    }
    if (kept == MEASUREMENTS_MOST)
        memmove(m->items, m->items + 1, (size_t)--kept * sizeof *m->items);
    m->items[kept] = *new;
    m->count = kept + 1;
}

void measured_where(char out[64], const char *region)
{
    if (getenv("CLOUD_RUN_JOB") || getenv("K_SERVICE"))
        snprintf(out, 64, "cloud-run %s", region);
    else
        strcpy(out, "here");
}

/* --- fetching ---
 */

struct fetch {
    const struct model_reading *r;
    const volatile sig_atomic_t *stop;
    double end_ms;
    _Atomic uint64_t next, got; /* place in all shards behind one another; bytes that came */
    _Atomic bool failed;
    struct err problem; /* of the first that failed */
};

/* The shard that holds a place of all of them, which begins anew behind the last. */
static const struct entry *shard_at(const struct model_reading *r, uint64_t *place)
{
    *place %= r->model.census.file_bytes;
    for (int i = 0; i < r->shard_count; i++) {
        if (*place < r->shards[i].size)
            return &r->shards[i];
        *place -= r->shards[i].size;
    }
    return &r->shards[0];
}

static void fetch_ranges(void *arg, int thread)
{
    struct fetch *f = arg;
    struct err problem = {0};
    size_t size = LEAST_RANGE;
    char *room = malloc(MOST_RANGE);
    (void)thread;
    while (room && clock_ms() < f->end_ms && !f->failed && !stop_wanted(f->stop)) {
        double start = clock_ms();
        uint64_t place = atomic_fetch_add(&f->next, size);
        const struct entry *shard = shard_at(f->r, &place);
        size_t n = shard->size - place < size ? (size_t)(shard->size - place) : size;
        if (!store_read(f->r->place.store, shard, place, n, room, f->stop, &problem)) {
            if (!atomic_exchange(&f->failed, true))
                f->problem = problem;
            break;
        }
        f->got += n;
        if (clock_ms() - start < QUICK_MS && size < MOST_RANGE)
            size *= 2;
    }
    free(room);
}

static bool measure_fetch(struct measurement *m, const struct model_reading *r,
                          const volatile sig_atomic_t *stop, struct err *e)
{
    double start = clock_ms();
    struct fetch f = {.r = r, .stop = stop, .end_ms = start + FETCH_MS};
    struct pool *pool = pool_new(FETCHERS, e);
    if (!pool)
        return false;
    pool_run(pool, fetch_ranges, &f);
    pool_free(pool);
    if (f.failed)
        *e = f.problem;
    m->per_second = (double)f.got / (clock_ms() - start) * 1000;
    return !f.failed && (!stop_wanted(stop) || err_set(e, ERR_CANCELLED, "stopped"));
}

/* --- memory ---
 */

struct reading {
    struct pages pages;
    double end_ms;
    _Atomic uint64_t got, sum; /* sum: so that nothing is read in vain */
};

static uint64_t sum_of(const uint64_t *values, size_t count)
{
    uint64_t sums[8] = {0};
    for (size_t i = 0; i < count; i += 8)
        for (size_t k = 0; k < 8; k++)
            sums[k] += values[i + k];
    uint64_t sum = 0;
    for (size_t k = 0; k < 8; k++)
        sum += sums[k];
    return sum;
}

static uint64_t *part_of(struct reading *r, int thread)
{
    return (uint64_t *)r->pages.data + (size_t)thread * (MEMORY_BYTES / sizeof(uint64_t));
}

/* Pages that nobody has written are one page of zeros, which stays in the cache. */
static void touch(void *arg, int thread)
{
    memset(part_of(arg, thread), thread + 1, MEMORY_BYTES);
}

static void read_part(void *arg, int thread)
{
    struct reading *r = arg;
    while (clock_ms() < r->end_ms) {
        r->sum += sum_of(part_of(r, thread), MEMORY_BYTES / sizeof(uint64_t));
        r->got += MEMORY_BYTES;
    }
}

static bool measure_memory(struct measurement *m, struct err *e)
{
    struct reading r = {0};
    struct pool *pool = pool_new(m->cores, e);
    if (!pool || !pages_alloc(&r.pages, (size_t)m->cores * MEMORY_BYTES, e)) {
        pool_free(pool);
        return false;
    }
    pool_run(pool, touch, &r);
    double start = clock_ms();
    r.end_ms = start + MEMORY_MS;
    pool_run(pool, read_part, &r);
    m->per_second = (double)r.got / (clock_ms() - start) * 1000;
    pages_free(&r.pages);
    pool_free(pool);
    return true;
}

/* --- both ---
 */

bool measure(struct measurements *all, const struct model_reading *r, const char *region,
             const volatile sig_atomic_t *stop, struct err *e)
{
    struct measurement m = {.cores = cores_allowed()};
    measured_where(m.where, region);
    plan_state_date(m.date);
    m.what = MEASURED_MEMORY;
    if (!measure_memory(&m, e))
        return err_wrap(e, "--measure: memory");
    measurements_add(all, &m);
    if (r->place.uri.scheme == URI_LOCAL)
        return true;
    m.what = MEASURED_FETCH;
    snprintf(m.from, sizeof m.from, "%s://%s", r->place.uri.scheme == URI_GS ? "gs" : "hf",
             r->place.uri.place);
    if (!measure_fetch(&m, r, stop, e))
        return err_wrap(e, "--measure: %s", m.from);
    measurements_add(all, &m);
    return true;
}
