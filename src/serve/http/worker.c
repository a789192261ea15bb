#include "serve/http/worker.h"

#include <errno.h>
#include <stdlib.h>

struct item {
    struct item *next;
    struct call *call;
};

struct worker {
    void (*run)(void *arg, struct call *c);
    void *arg;
    pthread_t threads[WORKER_THREADS];
    int started;
    _Atomic int waiting;
    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t wake;
    struct item *first, **end;
    bool open, stop;
};

static struct call *take_locked(struct worker *w)
{
    struct item *i = w->first;
    struct call *c = i->call;
    w->first = i->next;
    if (!w->first)
        w->end = &w->first;
    free(i);
    return c;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (!w->stop && (!w->open || !w->first))
            pthread_cond_wait(&w->wake, &w->mutex);
        if (!w->first)
            break;
        struct call *c = take_locked(w);
        pthread_mutex_unlock(&w->mutex);
        atomic_fetch_sub(&w->waiting, 1);
        w->run(w->arg, c);
        pthread_mutex_lock(&w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

struct worker *worker_new(void (*run)(void *arg, struct call *c), void *arg, struct err *e)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w) {
        err_set(e, ERR_MEMORY, "no memory for the worker");
        return NULL;
    }
    w->run = run;
    w->arg = arg;
    w->end = &w->first;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->wake, NULL);
    while (w->started < WORKER_THREADS) {
        errno = pthread_create(&w->threads[w->started], NULL, work, w);
        if (errno != 0) {
            err_errno(e, "worker: cannot start a thread");
            worker_free(w);
            return NULL;
        }
        w->started++;
    }
    return w;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    worker_stop(w);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->wake);
    free(w);
}

bool worker_push(struct worker *w, struct call *c)
{
    struct item *i = calloc(1, sizeof *i);
    if (!i)
        return false;
    call_hold(c);
    i->call = c;
    atomic_fetch_add(&w->waiting, 1);
    pthread_mutex_lock(&w->mutex);
    *w->end = i;
    w->end = &i->next;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mutex);
    return true;
}

int worker_waiting(const struct worker *w)
{
    return atomic_load(&w->waiting);
}

static void set(struct worker *w, bool *flag)
{
    pthread_mutex_lock(&w->mutex);
    *flag = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->mutex);
}

void worker_open(struct worker *w)
{
    set(w, &w->open);
}

void worker_stop(struct worker *w)
{
    set(w, &w->stop);
    while (w->started > 0)
        pthread_join(w->threads[--w->started], NULL);
}
