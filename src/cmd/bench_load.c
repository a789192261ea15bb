/* bench_load.c: requests, one after the other or at a rate, and when they were answered. */
#include "cmd/bench.h"

#include "base/clock.h"
#include "base/stop.h"
#include "cloud/identity.h"
#include "cmd/answer.h"
#include "cmd/ask.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAP_MS = 100 };

bool bench_once(const struct bench_ask *q, double due_ms, struct bench_sample *out, struct err *e)
{
    struct answer a = {0};
    struct http_request request = {.url = q->url, .bearer = q->key, .stop = q->stop};
    request.headers[0] = (struct http_header){q->identity ? IDENTITY_HEADER : NULL, q->identity};
    *out = (struct bench_sample){.due_ms = due_ms, .sent_ms = due_ms, .end_ms = due_ms};
    if (!answer_open(&a, true, false, e))
        return false;
    a.quiet = true;
    bool ok = ask_send(q->http, &request, q->body, &a, e);
    *out = (struct bench_sample){.due_ms = due_ms,
                                 .sent_ms = a.start_ms,
                                 .first_ms = a.first_ms,
                                 .end_ms = clock_ms(),
                                 .tokens_per_second = answer_tokens_per_second(&a),
                                 .tokens = a.completion_tokens,
                                 .ok = ok};
    answer_close(&a);
    return ok;
}

void bench_samples_clear(struct bench_samples *s)
{
    free(s->items);
    *s = (struct bench_samples){0};
}

/* --- many --- */

struct load {
    const struct bench_ask *ask;
    const struct bench_pace *pace;
    double begin_ms;
    const double *due_ms; /* [due_count] from begin_ms; NULL: at once */
    int due_count;
    struct {
        pthread_mutex_t mutex;
        int next; /* to be sent */
        struct bench_samples *out;
        struct err problem; /* no memory */
    } locked;
};

/* The next request, and when it is to be sent. False: there is none. own: how many this worker has sent; each
 * sends one, however short the time. */
static bool take_next(struct load *l, int own, double *due_ms)
{
    const struct bench_pace *p = l->pace;
    double now_ms = clock_ms();
    pthread_mutex_lock(&l->locked.mutex);
    int i = l->locked.next;
    bool more = l->locked.problem.kind == ERR_NONE && !stop_wanted(l->ask->stop) &&
                (p->requests == 0 || i < p->requests);
    if (l->due_ms)
        more = more && i < l->due_count;
    else
        more = more && (own == 0 || now_ms - l->begin_ms < p->seconds * 1e3);
    *due_ms = more && l->due_ms ? l->begin_ms + l->due_ms[i] : now_ms;
    l->locked.next += more;
    pthread_mutex_unlock(&l->locked.mutex);
    return more;
}

static void keep(struct load *l, const struct bench_sample *s, const struct err *why)
{
    pthread_mutex_lock(&l->locked.mutex);
    struct bench_samples *out = l->locked.out;
    if (out->count == out->room) {
        int room = out->room * 2 + 64;
        struct bench_sample *items = realloc(out->items, (size_t)room * sizeof *items);
        if (items) {
            out->items = items;
            out->room = room;
        }
    }
    if (out->count < out->room)
        out->items[out->count++] = *s;
    else
        err_set(&l->locked.problem, ERR_MEMORY, "no memory for %d samples", out->count);
    if (!s->ok && !*out->failure)
        snprintf(out->failure, sizeof out->failure, "%.255s", why->text);
    pthread_mutex_unlock(&l->locked.mutex);
}

static void sleep_until(double ms, const volatile sig_atomic_t *stop)
{
    for (double left; (left = ms - clock_ms()) > 0 && !stop_wanted(stop);) {
        double nap = fmin(left, NAP_MS);
        nanosleep(&(struct timespec){.tv_nsec = (long)(nap * 1e6)}, NULL);
    }
}

static void *work(void *arg)
{
    struct load *l = arg;
    double due_ms;
    for (int own = 0; take_next(l, own, &due_ms); own++) {
        struct bench_sample s = {0};
        struct err why = {0};
        sleep_until(due_ms, l->ask->stop);
        if (stop_wanted(l->ask->stop))
            break;
        bench_once(l->ask, due_ms, &s, &why);
        keep(l, &s, &why);
    }
    return NULL;
}

/* SplitMix64 (Steele, Lea, Flood 2014): the same times in each run, so that two can be compared. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Waits between arrivals are exponential. From malloc. */
static double *arrivals(const struct bench_pace *p, int *count)
{
    int most = (int)fmax(ceil(p->per_second * p->seconds), 1);
    double *due_ms = malloc((size_t)most * sizeof *due_ms), at = 0;
    uint64_t state = 1;
    for (*count = 0; due_ms && *count < most; (*count)++) {
        due_ms[*count] = at;
        double part = ((double)(draw(&state) >> 11) + 0.5) * 0x1p-53;
        at += -log(part) / p->per_second * 1e3;
    }
    return due_ms;
}

static bool run_workers(struct load *l, struct err *e)
{
    pthread_t threads[BENCH_AT_A_TIME];
    int n = 0, wanted = l->pace->at_a_time < BENCH_AT_A_TIME ? l->pace->at_a_time : BENCH_AT_A_TIME;
    l->begin_ms = clock_ms();
    while (n < wanted && pthread_create(&threads[n], NULL, work, l) == 0)
        n++;
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    if (n < wanted)
        return err_set(e, ERR_MEMORY, "cannot start %d threads", wanted);
    if (stop_wanted(l->ask->stop))
        return err_set(e, ERR_CANCELLED, "interrupted");
    *e = l->locked.problem;
    return e->kind == ERR_NONE;
}

bool bench_load(const struct bench_ask *q, const struct bench_pace *pace, struct bench_samples *out,
                struct err *e)
{
    struct load l = {.ask = q, .pace = pace, .locked = {.mutex = PTHREAD_MUTEX_INITIALIZER, .out = out}};
    double *due_ms = pace->per_second > 0 ? arrivals(pace, &l.due_count) : NULL;
    if (pace->per_second > 0 && !due_ms)
        return err_set(e, ERR_MEMORY, "no memory for the times of the requests");
    l.due_ms = due_ms;
    bool ok = run_workers(&l, e);
    free(due_ms);
    return ok;
}
