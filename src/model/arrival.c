#include "model/arrival.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The rate is that of the last two seconds: long enough for ranges of 8 MiB, short enough to show a stall. */
enum { SAMPLES = 8, SAMPLE_MS = 250 };

struct part {
    _Atomic uint64_t missing;
    uint64_t bytes;
    double arrived_ms, begun_ms, done_ms, busy_ms;
};

struct sample {
    double ms;
    uint64_t bytes;
};

struct arrival {
    double start_ms; /* of clock_ms */
    _Atomic bool complete;
    _Atomic int audio, text; /* prompts being worked on */
    struct arrival_rows rows;

    /* set by arrival_plan */
    struct model_config config;
    struct part *parts; /* [stages] */
    int stages;

    pthread_mutex_t mutex; /* guards the rest, and what of the parts is not atomic */
    pthread_cond_t changed;
    uint64_t version;
    uint64_t bytes, total;
    bool failed;
    struct err why;
    double ended_ms;       /* 0: not yet */
    bool first_token;      /* the head has run once */
    enum load_phase phase; /* since phase_since_ms */
    double phase_since_ms, phase_ms[PHASE_COUNT];
    struct sample samples[SAMPLES];
    uint64_t sample_count; /* taken so far; the last SAMPLES are there */
};

static double now_ms(const struct arrival *a)
{
    return clock_ms() - a->start_ms;
}

struct arrival *arrival_new(double start_ms, struct err *e)
{
    pthread_condattr_t monotonic;
    struct arrival *a = calloc(1, sizeof *a);
    if (!a) {
        err_set(e, ERR_MEMORY, "no memory to keep track of a load");
        return NULL;
    }
    a->start_ms = start_ms;
    pthread_mutex_init(&a->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&a->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return a;
}

void arrival_free(struct arrival *a)
{
    if (!a)
        return;
    pthread_mutex_destroy(&a->mutex);
    pthread_cond_destroy(&a->changed);
    free(a->parts);
    free(a);
}

static void change_locked(struct arrival *a)
{
    a->version++;
    pthread_cond_broadcast(&a->changed);
}

/* --- bringing --------------------------------------------------------------------------------------------
 */

bool arrival_plan(struct arrival *a, const struct model_config *c, struct err *e)
{
    struct part *parts = calloc((size_t)stage_count(c), sizeof *parts);
    if (!parts)
        return err_set(e, ERR_MEMORY, "no memory to keep track of a load");
    pthread_mutex_lock(&a->mutex);
    a->config = *c;
    a->parts = parts;
    a->stages = stage_count(c);
    pthread_mutex_unlock(&a->mutex);
    return true;
}

void arrival_expect(struct arrival *a, int stage, uint64_t bytes)
{
    pthread_mutex_lock(&a->mutex);
    a->total += bytes;
    if (stage >= 0) {
        a->parts[stage].bytes += bytes;
        atomic_fetch_add(&a->parts[stage].missing, bytes);
    }
    pthread_mutex_unlock(&a->mutex);
}

static void take_sample_locked(struct arrival *a, double now)
{
    const struct sample *last = &a->samples[(a->sample_count - 1) % SAMPLES];
    if (a->sample_count == 0 || now - last->ms >= SAMPLE_MS)
        a->samples[a->sample_count++ % SAMPLES] = (struct sample){now, a->bytes};
}

void arrival_add(struct arrival *a, int stage, uint64_t bytes)
{
    double now = now_ms(a);
    pthread_mutex_lock(&a->mutex);
    take_sample_locked(a, now);
    a->bytes += bytes;
    if (stage >= 0 && atomic_fetch_sub(&a->parts[stage].missing, bytes) == bytes)
        a->parts[stage].arrived_ms = now;
    change_locked(a);
    pthread_mutex_unlock(&a->mutex);
}

static void end_phase_locked(struct arrival *a, double now)
{
    a->phase_ms[a->phase] += now - a->phase_since_ms;
    a->phase_since_ms = now;
}

void arrival_end(struct arrival *a)
{
    double now = now_ms(a);
    pthread_mutex_lock(&a->mutex);
    if (!a->failed && a->ended_ms == 0) {
        end_phase_locked(a, now);
        a->ended_ms = now;
        atomic_store(&a->complete, true);
        change_locked(a);
    }
    pthread_mutex_unlock(&a->mutex);
}

void arrival_fail(struct arrival *a, const struct err *why)
{
    double now = now_ms(a);
    pthread_mutex_lock(&a->mutex);
    if (!a->failed && a->ended_ms == 0) {
        end_phase_locked(a, now);
        a->ended_ms = now;
        a->failed = true;
        a->why = *why;
        change_locked(a);
    }
    pthread_mutex_unlock(&a->mutex);
}

void arrival_set_rows(struct arrival *a, const struct arrival_rows *rows)
{
    a->rows = *rows;
}

struct arrival_asked arrival_asked(const struct arrival *a)
{
    return (struct arrival_asked){atomic_load(&a->audio), atomic_load(&a->text)};
}

/* --- computing -------------------------------------------------------------------------------------------
 */

void arrival_ask(struct arrival *a, bool audio)
{
    if (!a)
        return;
    atomic_fetch_add(audio ? &a->audio : &a->text, 1);
    arrival_nudge(a);
}

void arrival_unask(struct arrival *a, bool audio)
{
    if (a)
        atomic_fetch_sub(audio ? &a->audio : &a->text, 1);
}

bool arrival_complete(const struct arrival *a)
{
    return !a || atomic_load(&a->complete);
}

bool arrival_has(const struct arrival *a, int stage)
{
    return arrival_complete(a) || atomic_load(&a->parts[stage].missing) == 0;
}

bool arrival_failed(struct arrival *a, struct err *e)
{
    if (!a)
        return false;
    pthread_mutex_lock(&a->mutex);
    bool failed = a->failed;
    if (failed && e)
        *e = a->why;
    pthread_mutex_unlock(&a->mutex);
    return failed;
}

bool arrival_wait(struct arrival *a, int stage, struct err *e)
{
    if (arrival_has(a, stage))
        return true;
    pthread_mutex_lock(&a->mutex);
    while (!arrival_has(a, stage) && !a->failed)
        pthread_cond_wait(&a->changed, &a->mutex);
    pthread_mutex_unlock(&a->mutex);
    return arrival_has(a, stage) || !arrival_failed(a, e);
}

void arrival_want_rows(struct arrival *a, const int *ids, int count, int except)
{
    if (!arrival_complete(a) && a->rows.want)
        a->rows.want(a->rows.arg, ids, count, except);
}

bool arrival_has_rows(struct arrival *a, const int *ids, int count, int except)
{
    if (arrival_complete(a))
        return true;
    return a->rows.there ? a->rows.there(a->rows.arg, ids, count, except)
                         : arrival_has(a, stage_embedding(&a->config));
}

bool arrival_wait_rows(struct arrival *a, const int *ids, int count, int except, struct err *e)
{
    while (!arrival_complete(a)) {
        uint64_t version = arrival_version(a);
        if (arrival_has_rows(a, ids, count, except))
            return true;
        if (arrival_failed(a, e))
            return false;
        arrival_want_rows(a, ids, count, except);
        arrival_wait_change(a, version, -1);
    }
    return true;
}

uint64_t arrival_version(struct arrival *a)
{
    pthread_mutex_lock(&a->mutex);
    uint64_t version = a->version;
    pthread_mutex_unlock(&a->mutex);
    return version;
}

static struct timespec from_now(int milliseconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += milliseconds / 1000;
    t.tv_nsec += milliseconds % 1000 * 1000000L;
    t.tv_sec += t.tv_nsec / 1000000000L;
    t.tv_nsec %= 1000000000L;
    return t;
}

void arrival_wait_change(struct arrival *a, uint64_t version, int milliseconds)
{
    struct timespec until = from_now(milliseconds < 0 ? 0 : milliseconds);
    int timed_out = 0;
    pthread_mutex_lock(&a->mutex);
    while (a->version == version && timed_out == 0)
        timed_out = milliseconds < 0 ? pthread_cond_wait(&a->changed, &a->mutex)
                                     : pthread_cond_timedwait(&a->changed, &a->mutex, &until);
    pthread_mutex_unlock(&a->mutex);
}

void arrival_nudge(struct arrival *a)
{
    if (arrival_complete(a))
        return;
    pthread_mutex_lock(&a->mutex);
    change_locked(a);
    pthread_mutex_unlock(&a->mutex);
}

/* --- telling ---------------------------------------------------------------------------------------------
 */

const char *load_phase_name(enum load_phase p)
{
    static const char *const names[PHASE_COUNT] = {
        [PHASE_START] = "start", [PHASE_FILES] = "files", [PHASE_HEADERS] = "headers",
        [PHASE_FETCH] = "fetch", [PHASE_WAIT] = "wait",   [PHASE_COMPUTE] = "compute",
    };
    return names[p];
}

void arrival_phase(struct arrival *a, enum load_phase phase)
{
    if (arrival_complete(a))
        return;
    double now = now_ms(a);
    pthread_mutex_lock(&a->mutex);
    if (a->phase != phase && a->ended_ms == 0) {
        end_phase_locked(a, now);
        a->phase = phase;
    }
    pthread_mutex_unlock(&a->mutex);
}

void arrival_computed(struct arrival *a, int stage, double begin_clock_ms, double end_clock_ms)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->mutex);
    if (!a->first_token) {
        struct part *p = &a->parts[stage];
        if (p->busy_ms == 0)
            p->begun_ms = begin_clock_ms - a->start_ms;
        p->done_ms = end_clock_ms - a->start_ms;
        p->busy_ms += end_clock_ms - begin_clock_ms;
        a->first_token = stage == stage_head(&a->config);
    }
    pthread_mutex_unlock(&a->mutex);
}

/* Bytes per millisecond over the samples there are. */
static double rate_locked(const struct arrival *a, double now)
{
    if (a->sample_count == 0)
        return 0;
    uint64_t first = a->sample_count > SAMPLES ? a->sample_count - SAMPLES : 0;
    const struct sample *oldest = &a->samples[first % SAMPLES];
    double ms = (a->ended_ms > 0 ? a->ended_ms : now) - oldest->ms;
    return ms > 0 ? (double)(a->bytes - oldest->bytes) / ms : 0;
}

/* From this stage on something is needed for the next first token: a prompt without a recording skips the
 * audio stages, and one that nobody has sent yet is thought to have one. */
static int first_needed(const struct arrival *a)
{
    bool text_only = atomic_load(&a->text) > 0 && atomic_load(&a->audio) == 0;
    return text_only ? stage_decoder(&a->config, 0) : 0;
}

/* The decoder's layers behind what has come, as one of them took so far: when computing is what is slow. */
static double compute_left_locked(const struct arrival *a, double *one)
{
    double busy = 0;
    int done = 0, layers = a->config.text.layers;
    for (int i = 0; i < layers; i++) {
        const struct part *p = &a->parts[stage_decoder(&a->config, i)];
        busy += p->busy_ms;
        done += p->busy_ms > 0;
    }
    *one = done ? busy / done : 0;
    return a->first_token ? 0 : *one * (layers - done);
}

static double first_token_locked(const struct arrival *a, double rate)
{
    uint64_t missing = 0;
    double one;
    if (!a->parts || a->total == 0)
        return -1;
    for (int i = first_needed(a); i <= stage_head(&a->config); i++)
        missing += atomic_load(&a->parts[i].missing);
    double compute = compute_left_locked(a, &one);
    if (missing == 0)
        return compute;
    if (rate <= 0)
        return -1;
    double fetch = (double)missing / rate;
    return (fetch > compute ? fetch : compute) + one;
}

static double loaded_locked(const struct arrival *a, double rate)
{
    if (a->ended_ms > 0 && !a->failed)
        return 0;
    return a->total > 0 && rate > 0 ? (double)(a->total - a->bytes) / rate : -1;
}

static enum load_state state_locked(const struct arrival *a)
{
    if (a->failed)
        return LOAD_FAILED;
    if (a->ended_ms > 0)
        return LOAD_LOADED;
    return a->total > 0 ? LOAD_LOADING : LOAD_STARTING;
}

void arrival_progress(struct arrival *a, struct arrival_progress *p)
{
    double now = now_ms(a);
    pthread_mutex_lock(&a->mutex);
    double rate = rate_locked(a, now);
    *p = (struct arrival_progress){
        .state = state_locked(a),
        .bytes = a->bytes,
        .total = a->total,
        .bytes_per_second = rate * 1e3,
        .elapsed_ms = a->ended_ms > 0 ? a->ended_ms : now,
        .loaded_ms = loaded_locked(a, rate),
        .stages = a->stages,
    };
    p->first_token_ms = p->state == LOAD_LOADED ? 0 : first_token_locked(a, rate);
    while (p->reached < a->stages && arrival_has(a, p->reached))
        p->reached++;
    memcpy(p->phase_ms, a->phase_ms, sizeof p->phase_ms);
    if (a->ended_ms == 0)
        p->phase_ms[a->phase] += now - a->phase_since_ms;
    pthread_mutex_unlock(&a->mutex);
}

struct arrival_stage arrival_stage(struct arrival *a, int stage)
{
    struct arrival_stage s = {0};
    pthread_mutex_lock(&a->mutex);
    const struct part *p = &a->parts[stage];
    stage_name(&a->config, stage, s.name);
    s.total = p->bytes;
    s.bytes = p->bytes - atomic_load(&p->missing);
    s.arrived_ms = p->arrived_ms;
    s.begun_ms = p->begun_ms;
    s.done_ms = p->done_ms;
    s.busy_ms = p->busy_ms;
    pthread_mutex_unlock(&a->mutex);
    return s;
}
