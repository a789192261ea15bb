#include "serve/scheduler.h"

#include "base/clock.h"
#include "serve/batch/generation.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long prompts are worked on at a stretch. Beside running streams it is at least that and at most as long
 * as a token takes, so that a stream never slows down to less than about half its pace. Alone it only bounds
 * how late a cancellation is seen. */
static const double slice_beside_ms = 50, slice_alone_ms = 100;

/* How late a cancellation is seen while everybody waits for weights. */
enum { WEIGHTS_WAIT_MS = 100 };

struct scheduler {
    struct loaded_model *model; /* its engine is the thread's */
    int max_waiting;
    pthread_t thread;
    _Atomic int waiting_count, active_count;

    pthread_mutex_t mutex;      /* guards the rest of this paragraph */
    pthread_cond_t wake;        /* something to do */
    pthread_cond_t idle;        /* nothing waiting, nothing active, every last event sent */
    struct generation *waiting; /* oldest first */
    bool asleep;
    bool draining; /* nothing new is taken */
    bool cut;      /* what is left is to fail */
    bool stop;     /* the thread is to end */

    /* the thread's own */
    struct generation *active; /* oldest first */
    struct session **sessions; /* [parallel] of the step being taken */
    int *tokens;               /* [parallel] */
    double step_ms;            /* what the last decode step took */
};

static void append(struct generation **list, struct generation *g)
{
    while (*list)
        list = &(*list)->next;
    g->next = NULL;
    *list = g;
}

static struct generation *pop(struct generation **list)
{
    struct generation *g = *list;
    *list = g->next;
    return g;
}

static void active_append(struct scheduler *s, struct generation *g)
{
    append(&s->active, g);
    atomic_fetch_add(&s->active_count, 1);
}

static void active_remove(struct scheduler *s, struct generation *g)
{
    struct generation **p = &s->active;
    while (*p != g)
        p = &(*p)->next;
    *p = g->next;
    atomic_fetch_sub(&s->active_count, 1);
}

static void end_active(struct scheduler *s, struct generation *g, const struct err *why)
{
    active_remove(s, g);
    generation_end(g, why);
}

static struct arrival *arrival_of(const struct scheduler *s)
{
    return s->model->model.arrival;
}

/* Always false. Who hears it wants to know when it is the load that has ended the service. */
static bool stopping(const struct scheduler *s, struct err *e)
{
    struct err why = {0};
    if (arrival_failed(arrival_of(s), &why))
        return err_set(e, ERR_TRANSIENT, "the model did not load: %.900s", why.text);
    return err_set(e, ERR_CANCELLED, "the service is stopping; ask again, another instance will answer");
}

static struct err cancelled(const struct scheduler *s, int reason)
{
    struct err e = {0};
    if (reason == CANCEL_CALLER)
        err_set(&e, ERR_CANCELLED, "cancelled: the one who asked went away");
    else
        stopping(s, &e);
    return e;
}

/* Unlinks what was cancelled (everything, once cut) from the waiting list. */
static struct generation *take_cancelled_locked(struct scheduler *s)
{
    struct generation *gone = NULL, *kept = NULL;
    while (s->waiting) {
        struct generation *g = pop(&s->waiting);
        if (s->cut)
            atomic_store(&g->cancel, CANCEL_STOPPING);
        append(atomic_load(&g->cancel) ? &gone : &kept, g);
    }
    s->waiting = kept;
    return gone;
}

/* A session and the prompt for a generation that needs its root. False: none is free now, or *e is set. */
static bool root_begin(struct scheduler *s, struct generation *g, struct err *e)
{
    struct err why = {0};
    g->root = session_new(s->model->engine, &why);
    if (!g->root) {
        if (why.kind != ERR_BUSY)
            *e = why;
        return false;
    }
    if (g->session_ms == 0)
        g->session_ms = clock_ms();
    g->prefilled = false;
    return session_begin(g->root, &g->spec.prompt, e);
}

static void drop_cancelled(struct scheduler *s, bool cut)
{
    for (struct generation *g = s->active, *next; g; g = next) {
        next = g->next;
        int reason = cut ? CANCEL_STOPPING : atomic_load(&g->cancel);
        if (reason) {
            struct err why = cancelled(s, reason);
            end_active(s, g, &why);
        }
    }
}

/* Choices that had no session before get one now, oldest generation first. */
static void start_choices(struct scheduler *s)
{
    for (struct generation *g = s->active, *next; g; g = next) {
        next = g->next;
        struct err e = {0};
        bool ok = generation_start_choices(g, s->model, &e);
        if (ok && !g->root && g->started < g->spec.choices)
            ok = root_begin(s, g, &e) || e.kind == ERR_NONE;
        if (!ok)
            end_active(s, g, &e);
        else if (generation_complete(g))
            end_active(s, g, NULL);
    }
}

static int gather(struct scheduler *s)
{
    int n = 0;
    for (struct generation *g = s->active; g; g = g->next) {
        for (int i = 0; i < g->running_count; i++, n++) {
            s->sessions[n] = sequence_session(g->running[i]);
            s->tokens[n] = sequence_next(g->running[i]);
        }
    }
    return n;
}

/* One slice of the oldest unfinished prompt. */
static void prefill(struct scheduler *s, bool alone)
{
    struct generation *g = s->active;
    while (g && (!g->root || g->prefilled))
        g = g->next;
    if (!g)
        return;
    double beside = s->step_ms > slice_beside_ms ? s->step_ms : slice_beside_ms;
    struct err e = {0};
    if (!session_prefill(g->root, alone ? slice_alone_ms : beside, &g->prefilled, &e))
        end_active(s, g, &e);
}

/* The next layer of every prompt whose weights for it are there. False: no prompt could go on. */
static bool prefill_arriving(struct scheduler *s)
{
    bool moved = false;
    for (struct generation *g = s->active, *next; g; g = next) {
        next = g->next;
        if (!g->root || g->prefilled || session_waits(g->root))
            continue;
        struct err e = {0};
        moved = true;
        arrival_phase(arrival_of(s), PHASE_COMPUTE);
        if (!session_prefill(g->root, 0, &g->prefilled, &e))
            end_active(s, g, &e);
    }
    return moved;
}

/* What each sequence makes of its new logits. From the last to the first, since finished ones leave. */
static void step_choices(struct scheduler *s, struct generation *g)
{
    struct err e = {0};
    bool ok = true;
    for (int i = g->running_count - 1; ok && i >= 0; i--) {
        ok = sequence_step(g->running[i], &g->sink, &e);
        if (ok)
            generation_note_step(g, i);
    }
    if (!ok)
        end_active(s, g, &e);
    else if (generation_complete(g))
        end_active(s, g, NULL);
}

static void decode(struct scheduler *s, int n)
{
    struct err e = {0};
    double begin = clock_ms();
    bool ok = engine_decode(s->model->engine, s->sessions, s->tokens, n, &e);
    s->step_ms = clock_ms() - begin;
    for (struct generation *g = s->active, *next; g; g = next) {
        next = g->next;
        if (g->running_count == 0)
            continue;
        if (ok)
            step_choices(s, g);
        else
            end_active(s, g, &e);
    }
}

/* The tokens to be fed need their rows of the embedding, which comes last. */
static bool rows_are_there(struct scheduler *s, int n)
{
    struct arrival *a = arrival_of(s);
    if (arrival_has_rows(a, s->tokens, n, -1))
        return true;
    arrival_want_rows(a, s->tokens, n, -1);
    return false;
}

/* Moves waiting generations to the active list while sessions are free. */
static void admit(struct scheduler *s)
{
    for (;;) {
        pthread_mutex_lock(&s->mutex);
        struct generation *g = s->waiting;
        pthread_mutex_unlock(&s->mutex);
        if (!g)
            return;
        struct err e = {0};
        bool ok = root_begin(s, g, &e); /* only this thread takes from the list, so g is still its first */
        if (!ok && e.kind == ERR_NONE)
            return;
        pthread_mutex_lock(&s->mutex);
        pop(&s->waiting);
        atomic_fetch_sub(&s->waiting_count, 1);
        pthread_mutex_unlock(&s->mutex);
        active_append(s, g);
        if (ok)
            g->sink.event(g->sink.arg, &(struct event){.kind = EVENT_STARTED});
        else
            end_active(s, g, &e);
    }
}

static void fail_waiting(struct scheduler *s, struct generation *gone)
{
    while (gone) {
        struct generation *g = pop(&gone);
        struct err why = cancelled(s, atomic_load(&g->cancel));
        atomic_fetch_sub(&s->waiting_count, 1);
        generation_end(g, &why);
    }
}

/* Of what is running when the load has failed, nothing can be finished. */
static void fail_active(struct scheduler *s)
{
    struct err e = {0};
    stopping(s, &e);
    while (s->active)
        end_active(s, s->active, &e);
}

static void work_arriving(struct scheduler *s)
{
    struct arrival *a = arrival_of(s);
    uint64_t version = arrival_version(a); /* before the first look, so that no arrival is missed */
    if (arrival_failed(a, NULL)) {
        fail_active(s);
        return;
    }
    bool moved = prefill_arriving(s);
    start_choices(s);
    int n = gather(s);
    if (n > 0 && rows_are_there(s, n)) {
        arrival_phase(a, PHASE_COMPUTE);
        decode(s, n);
    } else if (!moved && s->active) {
        arrival_phase(a, PHASE_WAIT);
        arrival_wait_change(a, version, WEIGHTS_WAIT_MS);
    }
}

/* Sessions go to choices that wait for one before they go to newcomers: first come, first served. */
static void work(struct scheduler *s, bool cut)
{
    drop_cancelled(s, cut);
    start_choices(s);
    admit(s);
    if (!arrival_complete(arrival_of(s))) {
        work_arriving(s);
        return;
    }
    prefill(s, gather(s) == 0);
    start_choices(s);
    int n = gather(s);
    if (n > 0)
        decode(s, n);
}

static void *run(void *arg)
{
    struct scheduler *s = arg;
    pthread_mutex_lock(&s->mutex);
    for (;;) {
        struct generation *gone = take_cancelled_locked(s);
        bool cut = s->cut;
        pthread_mutex_unlock(&s->mutex);
        fail_waiting(s, gone);
        work(s, cut);
        pthread_mutex_lock(&s->mutex);
        if (s->active || s->waiting)
            continue;
        if (s->stop)
            break;
        s->asleep = true;
        if (arrival_of(s))
            arrival_phase(arrival_of(s), PHASE_FETCH);
        pthread_cond_broadcast(&s->idle);
        while (!s->waiting && !s->stop)
            pthread_cond_wait(&s->wake, &s->mutex);
        s->asleep = false;
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

struct scheduler *scheduler_new(struct loaded_model *m, int max_waiting, struct err *e)
{
    int parallel = engine_parallel(m->engine);
    struct scheduler *s = calloc(1, sizeof *s);
    if (s) {
        s->sessions = calloc((size_t)parallel, sizeof *s->sessions);
        s->tokens = calloc((size_t)parallel, sizeof *s->tokens);
    }
    if (!s || !s->sessions || !s->tokens) {
        err_set(e, ERR_MEMORY, "no memory for the scheduler");
        goto failed;
    }
    s->model = m;
    s->max_waiting = max_waiting;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->wake, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    errno = pthread_create(&s->thread, NULL, run, s);
    if (errno == 0)
        return s;
    err_errno(e, "scheduler: cannot start a thread");
failed:
    if (s) {
        free(s->sessions);
        free(s->tokens);
    }
    free(s);
    return NULL;
}

static bool make_ready(struct scheduler *s, struct generation *g, struct err *e)
{
    g->submitted_ms = clock_ms();
    return g->first || (g->first = sequence_new(s->model, &g->spec, 0, e));
}

static bool submit_locked(struct scheduler *s, struct generation *g, struct err *e)
{
    if (s->draining)
        return stopping(s, e);
    if (atomic_load(&s->waiting_count) >= s->max_waiting)
        return err_set(e, ERR_BUSY, "%d requests wait already; try again later", s->max_waiting);
    append(&s->waiting, g);
    return true;
}

static bool continue_locked(struct scheduler *s, struct generation *g, struct err *e)
{
    if (s->cut)
        return stopping(s, e);
    g->next = s->waiting;
    s->waiting = g;
    return true;
}

static bool hand_over(struct scheduler *s, struct generation *g,
                      bool (*put_locked)(struct scheduler *, struct generation *, struct err *),
                      struct err *e)
{
    if (!make_ready(s, g, e))
        return false;
    pthread_mutex_lock(&s->mutex);
    bool ok = put_locked(s, g, e);
    if (ok) {
        atomic_fetch_add(&s->waiting_count, 1);
        pthread_cond_signal(&s->wake);
    }
    pthread_mutex_unlock(&s->mutex);
    if (ok)
        arrival_nudge(arrival_of(s)); /* it may be waiting for weights */
    return ok;
}

bool scheduler_submit(struct scheduler *s, struct generation *g, struct err *e)
{
    return hand_over(s, g, submit_locked, e);
}

bool scheduler_continue(struct scheduler *s, struct generation *g, struct err *e)
{
    return hand_over(s, g, continue_locked, e);
}

void scheduler_cancel(struct scheduler *s, struct generation *g)
{
    (void)s; /* a thread with anything to cancel is awake and looks before each token */
    atomic_store(&g->cancel, CANCEL_CALLER);
}

static bool is_idle_locked(const struct scheduler *s)
{
    return s->asleep && !s->waiting;
}

bool scheduler_drain(struct scheduler *s, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    double whole = (double)until.tv_sec + (double)until.tv_nsec * 1e-9 + seconds;
    until.tv_sec = (time_t)whole;
    until.tv_nsec = (long)((whole - (double)until.tv_sec) * 1e9);
    pthread_mutex_lock(&s->mutex);
    s->draining = true;
    int timed_out = 0;
    while (!is_idle_locked(s) && timed_out == 0)
        timed_out = pthread_cond_timedwait(&s->idle, &s->mutex, &until);
    bool all_finished = is_idle_locked(s);
    s->cut = true;
    while (!is_idle_locked(s))
        pthread_cond_wait(&s->idle, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
    return all_finished;
}

void scheduler_free(struct scheduler *s)
{
    if (!s)
        return;
    scheduler_drain(s, 0);
    pthread_mutex_lock(&s->mutex);
    s->stop = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->thread, NULL);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->wake);
    pthread_cond_destroy(&s->idle);
    free(s->sessions);
    free(s->tokens);
    free(s);
}

struct scheduler_load scheduler_load(const struct scheduler *s)
{
    return (struct scheduler_load){.waiting = atomic_load(&s->waiting_count),
                                   .running = atomic_load(&s->active_count)};
}
