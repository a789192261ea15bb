#include "serve/config/poller.h"

#include "base/clock.h"
#include "base/stop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct poller {
    struct live *live;
    pthread_t thread;
    volatile sig_atomic_t stop;
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t wanted, looked;
        bool want, looking, stop;
        double wanted_ms; /* when the look that is wanted or under way was asked for */
        unsigned looks;   /* that have ended */
    } locked;
};

static void *run(void *arg)
{
    struct poller *p = arg;
    pthread_mutex_lock(&p->locked.mutex);
    for (;;) {
        while (!p->locked.want && !p->locked.stop)
            pthread_cond_wait(&p->locked.wanted, &p->locked.mutex);
        if (p->locked.stop)
            break;
        p->locked.want = false;
        p->locked.looking = true;
        pthread_mutex_unlock(&p->locked.mutex);
        live_check(p->live, &p->stop);
        live_checked(p->live, clock_ms());
        pthread_mutex_lock(&p->locked.mutex);
        p->locked.looking = false;
        p->locked.looks++;
        pthread_cond_broadcast(&p->locked.looked);
    }
    pthread_mutex_unlock(&p->locked.mutex);
    return NULL;
}

/* Conditions wait until a time of clock.h. */
static void init_conditions(struct poller *p)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->locked.wanted, &monotonic);
    pthread_cond_init(&p->locked.looked, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void destroy(struct poller *p)
{
    pthread_cond_destroy(&p->locked.wanted);
    pthread_cond_destroy(&p->locked.looked);
    pthread_mutex_destroy(&p->locked.mutex);
    free(p);
}

struct poller *poller_new(struct live *l, struct err *e)
{
    struct poller *p = calloc(1, sizeof *p);
    if (!p) {
        err_set(e, ERR_MEMORY, "no memory for the configuration");
        return NULL;
    }
    p->live = l;
    p->locked.want = true;
    p->locked.wanted_ms = clock_ms();
    pthread_mutex_init(&p->locked.mutex, NULL);
    init_conditions(p);
    errno = pthread_create(&p->thread, NULL, run, p);
    if (errno == 0)
        return p;
    err_errno(e, "configuration: cannot start a thread");
    destroy(p);
    return NULL;
}

void poller_stop(struct poller *p)
{
    stop_ask(&p->stop);
    pthread_mutex_lock(&p->locked.mutex);
    p->locked.stop = true;
    pthread_cond_broadcast(&p->locked.wanted);
    pthread_cond_broadcast(&p->locked.looked);
    pthread_mutex_unlock(&p->locked.mutex);
}

void poller_free(struct poller *p)
{
    if (!p)
        return;
    poller_stop(p);
    pthread_join(p->thread, NULL);
    destroy(p);
}

static void want_locked(struct poller *p, double now_ms)
{
    if (p->locked.looking || p->locked.want)
        return;
    p->locked.want = true;
    p->locked.wanted_ms = now_ms;
    pthread_cond_signal(&p->locked.wanted);
}

void poller_touch(struct poller *p, double now_ms)
{
    if (live_age(p->live, now_ms) == LIVE_FRESH)
        return;
    pthread_mutex_lock(&p->locked.mutex);
    want_locked(p, now_ms);
    pthread_mutex_unlock(&p->locked.mutex);
}

static struct timespec time_of(double ms)
{
    time_t seconds = (time_t)(ms / 1000);
    return (struct timespec){.tv_sec = seconds, .tv_nsec = (long)((ms - (double)seconds * 1000) * 1e6)};
}

/* Counted from when the look was asked for: one that hangs holds up the first requests, not each. */
static void wait_locked(struct poller *p)
{
    unsigned before = p->locked.looks;
    struct timespec until = time_of(p->locked.wanted_ms + (before ? POLLER_WAIT_MS : POLLER_FIRST_MS));
    int rc = 0;
    while (p->locked.looks == before && !p->locked.stop && rc == 0)
        rc = pthread_cond_timedwait(&p->locked.looked, &p->locked.mutex, &until);
}

void poller_fresh(struct poller *p, double now_ms)
{
    enum live_age age = live_age(p->live, now_ms);
    if (age == LIVE_FRESH)
        return;
    pthread_mutex_lock(&p->locked.mutex);
    want_locked(p, now_ms);
    if (age == LIVE_OVERDUE)
        wait_locked(p);
    pthread_mutex_unlock(&p->locked.mutex);
}

bool poller_is_looking(struct poller *p)
{
    pthread_mutex_lock(&p->locked.mutex);
    bool looking = p->locked.looking || p->locked.want;
    pthread_mutex_unlock(&p->locked.mutex);
    return looking;
}
