#include "serve/http/load_feed.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TICK_MS = 500, TICKS_PER_COMMENT = 2 };

struct fed {
    struct fed *next;
    struct call *call; /* held */
    enum feed_kind kind;
    int ticks;
};

struct load_feed {
    struct arrival *arrival;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards the rest; held while a call is written to */
    pthread_cond_t wake;
    struct fed *list;
    bool stop, joined;
};

/* --- what is told -----------------------------------------------------------------------------------------
 */

static double percent(const struct arrival_progress *p)
{
    if (p->state == LOAD_LOADED)
        return 100;
    return p->total ? 100.0 * (double)p->bytes / (double)p->total : 0;
}

void load_comment(const struct arrival_progress *p, char out[LOAD_COMMENT])
{
    double seconds = ceil(p->first_token_ms * 1e-3);
    if (p->state == LOAD_STARTING)
        snprintf(out, LOAD_COMMENT, "loading");
    else if (p->first_token_ms > 0)
        snprintf(out, LOAD_COMMENT, "loading %.0f %%, first token in about %.0f s", floor(percent(p)),
                 seconds);
    else
        snprintf(out, LOAD_COMMENT, "loading %.0f %%", floor(percent(p)));
}

/* A time that may not be known yet; in eighths, which have few digits. */
static json_t *ms_json(double ms, bool known)
{
    return known ? json_real(round(ms * 8) / 8) : json_null();
}

static json_t *phases_json(const struct arrival_progress *p)
{
    json_t *phases = json_object();
    for (int i = 0; i < PHASE_COUNT; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s_ms", load_phase_name((enum load_phase)i));
        json_object_set_new(phases, key, ms_json(p->phase_ms[i], true));
    }
    return phases;
}

static json_t *stages_json(struct arrival *a, int stages)
{
    json_t *list = json_array();
    for (int i = 0; i < stages; i++) {
        struct arrival_stage s = arrival_stage(a, i);
        json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:o}", "name", s.name, "bytes",
                                              (json_int_t)s.bytes, "total", (json_int_t)s.total, "arrived_ms",
                                              ms_json(s.arrived_ms, s.arrived_ms > 0), "begun_ms",
                                              ms_json(s.begun_ms, s.busy_ms > 0), "done_ms",
                                              ms_json(s.done_ms, s.busy_ms > 0), "busy_ms",
                                              ms_json(s.busy_ms, s.busy_ms > 0)));
    }
    return list;
}

static json_t *reached_json(struct arrival *a, const struct arrival_progress *p)
{
    if (p->stages == 0)
        return json_null();
    bool all = p->reached == p->stages;
    struct arrival_stage s = arrival_stage(a, all ? p->stages - 1 : p->reached);
    return json_pack("{s:s?, s:i, s:i}", "waits_for", all ? NULL : s.name, "done", p->reached, "of",
                     p->stages);
}

json_t *load_json(struct arrival *a)
{
    static const char *const states[] = {[LOAD_STARTING] = "starting",
                                         [LOAD_LOADING] = "loading",
                                         [LOAD_LOADED] = "loaded",
                                         [LOAD_FAILED] = "failed"};
    struct arrival_progress p;
    struct err why = {0};
    arrival_progress(a, &p);
    bool failed = arrival_failed(a, &why);
    json_t *body =
        json_pack("{s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s?, s:o}", "object", "load",
                  "state", states[p.state], "bytes", (json_int_t)p.bytes, "total", (json_int_t)p.total,
                  "percent", json_integer((json_int_t)percent(&p)), "bytes_per_second",
                  json_integer((json_int_t)p.bytes_per_second), "elapsed_ms", ms_json(p.elapsed_ms, true),
                  "first_token_ms", ms_json(p.first_token_ms, p.first_token_ms >= 0), "loaded_ms",
                  ms_json(p.loaded_ms, p.loaded_ms >= 0), "reached", reached_json(a, &p), "phases",
                  phases_json(&p), "failure", failed ? why.text : NULL, "stages", stages_json(a, p.stages));
    return body;
}

/* --- the thread -------------------------------------------------------------------------------------------
 */

static void drop(struct fed *one)
{
    call_drop(one->call);
    free(one);
}

static void end_events(struct load_feed *f, struct call *c)
{
    call_stream_event(c, load_json(f->arrival));
    call_stream_end(c, "");
}

/* False when the call is not to be fed any more. */
static bool feed(struct load_feed *f, struct fed *one, const struct arrival_progress *p, bool over)
{
    char text[LOAD_COMMENT];
    if (call_is_gone(one->call))
        return false;
    if (one->kind == FEED_EVENTS && over)
        end_events(f, one->call);
    else if (one->kind == FEED_EVENTS)
        call_stream_event(one->call, load_json(f->arrival));
    else if (!over && ++one->ticks % TICKS_PER_COMMENT == 0) {
        load_comment(p, text);
        call_stream_begin(one->call);
        call_stream_comment(one->call, text);
    }
    return !over;
}

static void feed_all_locked(struct load_feed *f, bool over)
{
    struct arrival_progress p;
    arrival_progress(f->arrival, &p);
    for (struct fed **at = &f->list, *one; (one = *at);) {
        if (feed(f, one, &p, over)) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        drop(one);
    }
}

static void wait_tick_locked(struct load_feed *f)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&f->wake, &f->mutex, &until);
}

static bool is_over(struct load_feed *f)
{
    return arrival_complete(f->arrival) || arrival_failed(f->arrival, NULL);
}

static void *run(void *arg)
{
    struct load_feed *f = arg;
    pthread_mutex_lock(&f->mutex);
    for (bool over = false; !over;) {
        wait_tick_locked(f);
        over = f->stop || is_over(f);
        feed_all_locked(f, over);
    }
    pthread_mutex_unlock(&f->mutex);
    return NULL;
}

struct load_feed *load_feed_new(struct arrival *a, struct err *e)
{
    pthread_condattr_t monotonic;
    struct load_feed *f = calloc(1, sizeof *f);
    if (!f) {
        err_set(e, ERR_MEMORY, "no memory to tell of the load");
        return NULL;
    }
    f->arrival = a;
    pthread_mutex_init(&f->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&f->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    errno = pthread_create(&f->thread, NULL, run, f);
    if (errno == 0)
        return f;
    err_errno(e, "load feed: cannot start a thread");
    f->joined = true;
    load_feed_free(f);
    return NULL;
}

void load_feed_stop(struct load_feed *f)
{
    if (!f || f->joined)
        return;
    pthread_mutex_lock(&f->mutex);
    f->stop = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->mutex);
    pthread_join(f->thread, NULL);
    f->joined = true;
}

void load_feed_free(struct load_feed *f)
{
    if (!f)
        return;
    load_feed_stop(f);
    pthread_mutex_destroy(&f->mutex);
    pthread_cond_destroy(&f->wake);
    free(f);
}

void load_feed_add(struct load_feed *f, struct call *c, enum feed_kind kind)
{
    struct fed *one = f ? calloc(1, sizeof *one) : NULL;
    bool fed = false;
    if (one) {
        pthread_mutex_lock(&f->mutex);
        fed = !f->stop && !is_over(f);
        if (fed) {
            *one = (struct fed){.next = f->list, .call = c, .kind = kind};
            call_hold(c);
            f->list = one;
        }
        pthread_mutex_unlock(&f->mutex);
    }
    if (fed)
        return;
    free(one);
    if (kind == FEED_EVENTS)
        call_stream_end(c, "");
}

void load_feed_remove(struct load_feed *f, struct call *c)
{
    struct fed *mine = NULL;
    if (!f)
        return;
    pthread_mutex_lock(&f->mutex);
    for (struct fed **at = &f->list; *at && !mine;) {
        if ((*at)->call == c) {
            mine = *at;
            *at = mine->next;
        } else {
            at = &(*at)->next;
        }
    }
    pthread_mutex_unlock(&f->mutex);
    if (mine)
        drop(mine);
}
