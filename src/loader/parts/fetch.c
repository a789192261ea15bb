#include "loader/parts/fetch.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/stop.h"
#include "loader/loader.h"
#include "loader/parts/files.h"
#include "loader/parts/pace.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A range is late when it takes much longer than ranges do and its peers overtake it; both, since a processor
 * that is throttled makes all of them slow alike. */
enum { LATE_TIMES = 4, LATE_LEAST_MS = 250, LOOK_MS = 100, SECOND_TRIES = 2 };

enum range_state { RANGE_PENDING, RANGE_READING, RANGE_THERE };

/* What is going on with a range. A first reader reads into its place; when it is late a second one reads into
 * memory of its own, and whoever is through first, and right, counts. */
struct progress {
    enum range_state state;
    int reader, second; /* fetchers, or -1 */
    bool won;           /* the second one has it: the first must let go of the place */
    bool wanted;
    int bad; /* times that its CRC was wrong */
    double begun_ms;
    uint64_t begun_after; /* how many ranges had come when it began */
    uint32_t crc32c;      /* once it is there */
};

struct fetcher {
    struct fetch *fetch;
    int index;
    pthread_t thread;
    volatile sig_atomic_t stop; /* ends its read; locked except that the read looks at it */
};

/* Memory for a second try. */
struct spare {
    struct pages pages;
    bool taken;
};

struct fetch {
    struct store *store;
    const struct layout *layout;
    struct arrival *arrival;
    int connections;
    struct fetcher *fetchers; /* [connections] */

    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t changed;
    struct progress *progress; /* [layout->count] */
    int *source_left;          /* [layout->source_count] ranges; -1: checked as a whole, too */
    int left, unchecked, started;
    bool stopping, failed;
    struct err why;
    struct pace pace;
    double typical_ms; /* that a range takes; 0: not known */
    uint64_t came;     /* ranges so far */
    struct spare spares[SECOND_TRIES];
};

/* What a fetcher does next. */
struct job {
    int range;           /* -1: nothing now */
    struct spare *spare; /* a second try, into this */
};

static unsigned char *place_of(const struct fetch *f, const struct range *r)
{
    return (unsigned char *)f->layout->sources[r->source].shard->pages.data + r->begin;
}

/* --- what next --------------------------------------------------------------------------------------------
 */

static enum order order_now(const struct fetch *f)
{
    struct arrival_asked asked = arrival_asked(f->arrival);
    return asked.text > 0 && asked.audio == 0 ? ORDER_TEXT : ORDER_AUDIO;
}

static int rank_locked(const struct fetch *f, int range, enum order order)
{
    return f->progress[range].wanted ? -1 : f->layout->ranges[range].rank[order];
}

static bool is_late_locked(const struct fetch *f, const struct progress *p, double now, bool none_pending)
{
    double patience = LATE_TIMES * f->typical_ms + LATE_LEAST_MS;
    bool overtaken = f->came - p->begun_after >= 2 * (uint64_t)f->pace.level;
    return p->reader >= 0 && p->second < 0 && f->typical_ms > 0 && now - p->begun_ms > patience &&
           (overtaken || none_pending);
}

static struct spare *free_spare_locked(struct fetch *f)
{
    for (int i = 0; i < SECOND_TRIES; i++)
        if (!f->spares[i].taken)
            return &f->spares[i];
    return NULL;
}

/* Of those in this state the one that is needed first; -1: none. */
static int first_locked(const struct fetch *f, enum range_state state, enum order order)
{
    int best = -1;
    for (int i = 0; i < f->layout->count; i++)
        if (f->progress[i].state == state &&
            (best < 0 || rank_locked(f, i, order) < rank_locked(f, best, order)))
            best = i;
    return best;
}

static int first_late_locked(const struct fetch *f, enum order order, bool none_pending)
{
    int best = -1;
    double now = clock_ms();
    for (int i = 0; i < f->layout->count; i++)
        if (f->progress[i].state == RANGE_READING && is_late_locked(f, &f->progress[i], now, none_pending) &&
            (best < 0 || rank_locked(f, i, order) < rank_locked(f, best, order)))
            best = i;
    return best;
}

static struct job take_locked(struct fetch *f, int fetcher)
{
    enum order order = order_now(f);
    int pending = first_locked(f, RANGE_PENDING, order);
    struct spare *spare = free_spare_locked(f);
    int late = spare ? first_late_locked(f, order, pending < 0) : -1;
    if (late >= 0 && (pending < 0 || rank_locked(f, late, order) <= rank_locked(f, pending, order))) {
        f->progress[late].second = fetcher;
        spare->taken = true;
        return (struct job){late, spare};
    }
    if (pending >= 0) {
        struct progress *p = &f->progress[pending];
        p->state = RANGE_READING;
        p->reader = fetcher;
        p->begun_ms = clock_ms();
        p->begun_after = f->came;
    }
    return (struct job){.range = pending};
}

/* --- what came of it --------------------------------------------------------------------------------------
 */

static void fail_locked(struct fetch *f, const struct err *why)
{
    if (!f->failed)
        f->why = *why;
    f->failed = true;
    for (int i = 0; i < f->started; i++)
        stop_ask(&f->fetchers[i].stop);
    pthread_cond_broadcast(&f->changed);
}

static bool over_locked(const struct fetch *f)
{
    return f->failed || f->stopping || (f->left == 0 && f->unchecked == 0);
}

static bool wrong_crc(const struct fetch *f, const struct range *r, uint32_t crc, struct err *e)
{
    const struct source *s = &f->layout->sources[r->source];
    return err_set(e, ERR_CORRUPT,
                   "%s: bytes %" PRIu64 "-%" PRIu64 ": CRC32C %08" PRIx32 ", expected %08" PRIx32
                   " as %s says",
                   s->title, r->begin, r->begin + r->size - 1, crc, r->crc32c, MANIFEST_NAME);
}

/* The bytes are not what they should be: once that is the network's fault, twice it is the file's. */
static void note_bad_locked(struct fetch *f, int range, uint32_t crc)
{
    struct progress *p = &f->progress[range];
    struct err e = {0};
    wrong_crc(f, &f->layout->ranges[range], crc, &e);
    if (++p->bad > 1) {
        char text[sizeof e.text];
        memcpy(text, e.text, sizeof text);
        err_set(&e, ERR_CORRUPT, "%.900s, and so again when it was fetched again: stage it anew", text);
        fail_locked(f, &e);
        return;
    }
    log_warning("a range came damaged and is fetched again", LOG_STR("detail", e.text), LOG_END);
    if (p->reader < 0 && p->second < 0)
        p->state = RANGE_PENDING;
    pthread_cond_broadcast(&f->changed);
}

static void note_time_locked(struct fetch *f, const struct progress *p, uint64_t bytes)
{
    double now = clock_ms(), took = now - p->begun_ms;
    f->typical_ms = f->typical_ms > 0 ? 0.8 * f->typical_ms + 0.2 * took : took;
    f->came++;
    pace_next(&f->pace, now, bytes);
}

static void there_locked(struct fetch *f, int range, uint32_t crc)
{
    struct progress *p = &f->progress[range];
    p->state = RANGE_THERE;
    p->crc32c = crc;
    f->left--;
    f->source_left[f->layout->ranges[range].source]--;
    note_time_locked(f, p, f->layout->ranges[range].size);
    if (p->second >= 0)
        stop_ask(&f->fetchers[p->second].stop);
    pthread_cond_broadcast(&f->changed);
}

static bool is_right(const struct fetch *f, const struct range *r, uint32_t crc)
{
    return !f->layout->sources[r->source].certified || crc == r->crc32c;
}

/* Without a manifest a file is checked when it is whole, by who brought its last range; the others go on. */
static bool takes_check_locked(struct fetch *f, int source)
{
    if (f->layout->sources[source].certified || f->source_left[source] != 0)
        return false;
    f->source_left[source] = -1;
    return true;
}

static void check_whole(struct fetch *f, int source)
{
    const struct source *s = &f->layout->sources[source];
    struct err e = {0};
    uint32_t crc = 0;
    for (int i = s->first; i < s->first + s->count; i++) /* there, so nobody writes them any more */
        crc = crc32c_combine(crc, f->progress[i].crc32c, f->layout->ranges[i].size);
    bool whole = file_is_whole(s->entry, crc, s->shard->pages.data, &e) || err_wrap(&e, "%s", s->title);
    pthread_mutex_lock(&f->mutex);
    f->unchecked--;
    if (!whole)
        fail_locked(f, &e);
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
}

/* Outside the lock: a range is there. */
static void tell(struct fetch *f, int range)
{
    const struct range *r = &f->layout->ranges[range];
    layout_arrived(f->layout, r, f->arrival);
    pthread_mutex_lock(&f->mutex);
    bool check = takes_check_locked(f, r->source);
    pthread_mutex_unlock(&f->mutex);
    if (check)
        check_whole(f, r->source);
}

/* The first reader is through: `ok` and the CRC of what it read, or *e. */
static void end_first(struct fetch *f, int range, bool ok, uint32_t crc, const struct err *e)
{
    const struct range *r = &f->layout->ranges[range];
    struct progress *p = &f->progress[range];
    bool arrived = false;
    pthread_mutex_lock(&f->mutex);
    p->reader = -1;
    if (p->won || over_locked(f)) {
        pthread_cond_broadcast(&f->changed); /* the place is the second one's now */
    } else if (!ok && p->second >= 0) {
        log_warning("a read failed, another one of the same range is on its way", LOG_STR("detail", e->text),
                    LOG_END);
    } else if (!ok) {
        fail_locked(f, e);
    } else if (is_right(f, r, crc)) {
        there_locked(f, range, crc);
        arrived = true;
    } else {
        note_bad_locked(f, range, crc);
    }
    pthread_mutex_unlock(&f->mutex);
    if (arrived)
        tell(f, range);
}

/* Takes the place from the first reader, which may be in the middle of it. False: it was there, or all is
 * over. */
static bool win(struct fetch *f, int range)
{
    struct progress *p = &f->progress[range];
    pthread_mutex_lock(&f->mutex);
    bool mine = p->state == RANGE_READING && !over_locked(f);
    if (mine) {
        p->won = true;
        if (p->reader >= 0)
            stop_ask(&f->fetchers[p->reader].stop);
        while (p->reader >= 0)
            pthread_cond_wait(&f->changed, &f->mutex);
    }
    pthread_mutex_unlock(&f->mutex);
    return mine;
}

/* The second reader is through. */
static void end_second(struct fetch *f, const struct job *j, bool ok, uint32_t crc, const struct err *e)
{
    const struct range *r = &f->layout->ranges[j->range];
    struct progress *p = &f->progress[j->range];
    bool arrived = ok && is_right(f, r, crc) && win(f, j->range);
    if (arrived)
        memcpy(place_of(f, r), j->spare->pages.data, r->size);
    pthread_mutex_lock(&f->mutex);
    p->second = -1;
    j->spare->taken = false;
    if (arrived)
        there_locked(f, j->range, crc);
    else if (p->state == RANGE_READING && !over_locked(f) && ok)
        note_bad_locked(f, j->range, crc);
    else if (p->state == RANGE_READING && !over_locked(f) && p->reader < 0)
        fail_locked(f, e);
    pthread_mutex_unlock(&f->mutex);
    if (arrived)
        tell(f, j->range);
}

static void do_job(struct fetch *f, struct fetcher *me, const struct job *j)
{
    const struct range *r = &f->layout->ranges[j->range];
    struct err e = {0};
    if (j->spare && !j->spare->pages.data &&
        !pages_alloc(&j->spare->pages, f->layout->sources[r->source].unit, &e)) {
        end_second(f, j, false, 0, &e);
        return;
    }
    unsigned char *to = j->spare ? j->spare->pages.data : place_of(f, r);
    bool ok = store_read(f->store, f->layout->sources[r->source].entry, r->begin, r->size, to, &me->stop, &e);
    uint32_t crc = ok ? crc32c(0, to, r->size) : 0;
    if (j->spare)
        end_second(f, j, ok, crc, &e);
    else
        end_first(f, j->range, ok, crc, &e);
}

/* --- the threads ------------------------------------------------------------------------------------------
 */

static void *fetcher(void *arg);

/* False with *e set when not even one could be started. */
static bool start_more_locked(struct fetch *f, struct err *e)
{
    while (f->started < f->pace.level && f->started < f->connections) {
        struct fetcher *one = &f->fetchers[f->started];
        *one = (struct fetcher){.fetch = f, .index = f->started};
        errno = pthread_create(&one->thread, NULL, fetcher, one);
        if (errno != 0)
            return f->started > 0 || err_errno(e, "cannot start a thread that fetches");
        f->started++;
    }
    return true;
}

static void wait_locked(struct fetch *f)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&f->changed, &f->mutex, &until);
}

static void *fetcher(void *arg)
{
    struct fetcher *me = arg;
    struct fetch *f = me->fetch;
    pthread_mutex_lock(&f->mutex);
    while (!over_locked(f)) {
        struct job job = {.range = -1};
        start_more_locked(f, NULL); /* as many as there are do */
        __atomic_store_n(&me->stop, 0, __ATOMIC_RELAXED);
        if (me->index < f->pace.level)
            job = take_locked(f, me->index);
        if (job.range < 0) {
            wait_locked(f);
            continue;
        }
        pthread_mutex_unlock(&f->mutex);
        do_job(f, me, &job);
        pthread_mutex_lock(&f->mutex);
    }
    pthread_mutex_unlock(&f->mutex);
    return NULL;
}

static bool take_lists(struct fetch *f, int connections)
{
    const struct layout *l = f->layout;
    f->progress = calloc((size_t)l->count + 1, sizeof *f->progress);
    f->fetchers = calloc((size_t)connections, sizeof *f->fetchers);
    f->source_left = calloc((size_t)l->source_count + 1, sizeof *f->source_left);
    if (!f->progress || !f->fetchers || !f->source_left)
        return false;
    f->connections = connections;
    f->left = l->count;
    for (int i = 0; i < l->count; i++)
        f->progress[i].reader = f->progress[i].second = -1;
    for (int i = 0; i < l->source_count; i++) {
        f->source_left[i] = l->sources[i].count;
        f->unchecked += !l->sources[i].certified;
    }
    return true;
}

struct fetch *fetch_new(struct store *s, const struct layout *l, struct arrival *a, int connections,
                        struct err *e)
{
    pthread_condattr_t monotonic;
    struct fetch *f = calloc(1, sizeof *f);
    if (!f) {
        err_set(e, ERR_MEMORY, "no memory to fetch %d ranges", l->count);
        return NULL;
    }
    *f = (struct fetch){.store = s, .layout = l, .arrival = a};
    pthread_mutex_init(&f->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&f->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pace_init(&f->pace, connections);
    if (take_lists(f, connections))
        return f;
    fetch_free(f);
    err_set(e, ERR_MEMORY, "no memory to fetch %d ranges", l->count);
    return NULL;
}

void fetch_free(struct fetch *f)
{
    if (!f)
        return;
    for (int i = 0; i < SECOND_TRIES; i++)
        pages_free(&f->spares[i].pages);
    pthread_mutex_destroy(&f->mutex);
    pthread_cond_destroy(&f->changed);
    free(f->progress);
    free(f->fetchers);
    free(f->source_left);
    free(f);
}

void fetch_skip(struct fetch *f, int source, uint64_t bytes)
{
    const struct source *s = &f->layout->sources[source];
    for (int i = s->first; i < s->first + s->count; i++) {
        const struct range *r = &f->layout->ranges[i];
        if (r->begin + r->size > bytes)
            break;
        f->progress[i].state = RANGE_THERE;
        f->progress[i].crc32c = crc32c(0, place_of(f, r), r->size);
        f->left--;
        f->source_left[source]--;
        layout_arrived(f->layout, r, f->arrival);
    }
}

bool fetch_run(struct fetch *f, struct err *e)
{
    struct err problem = {0};
    for (int i = 0; i < f->layout->source_count; i++)
        if (takes_check_locked(f, i)) /* small enough to have come with its header; nobody else runs yet */
            check_whole(f, i);
    pthread_mutex_lock(&f->mutex);
    bool ok = start_more_locked(f, &problem);
    while (ok && !over_locked(f))
        pthread_cond_wait(&f->changed, &f->mutex);
    pthread_mutex_unlock(&f->mutex);
    for (int i = 0; i < f->started; i++)
        pthread_join(f->fetchers[i].thread, NULL);
    if (!ok) {
        *e = problem;
        return false;
    }
    if (f->failed) {
        *e = f->why;
        return false;
    }
    return f->left == 0 || err_set(e, ERR_CANCELLED, "interrupted");
}

void fetch_stop(struct fetch *f)
{
    pthread_mutex_lock(&f->mutex);
    f->stopping = true;
    for (int i = 0; i < f->started; i++)
        stop_ask(&f->fetchers[i].stop);
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mutex);
}

/* --- asking -----------------------------------------------------------------------------------------------
 */

void fetch_want(struct fetch *f, int first, int last)
{
    pthread_mutex_lock(&f->mutex);
    for (int i = first; i <= last; i++)
        f->progress[i].wanted = true;
    pthread_mutex_unlock(&f->mutex);
}

bool fetch_has(struct fetch *f, int first, int last)
{
    bool there = true;
    pthread_mutex_lock(&f->mutex);
    for (int i = first; i <= last; i++)
        there = there && f->progress[i].state == RANGE_THERE;
    pthread_mutex_unlock(&f->mutex);
    return there;
}
