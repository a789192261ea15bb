#include "base/pool.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How often a thread looks before it sleeps: about 20 us on a 4 GHz core, a few times the gap between two
 * calls of one forward pass and far below anything a person or a bill would notice. */
enum { SPINS = 1500 };

struct job {
    void (*fn)(void *arg, int thread);
    void *arg;
};

struct pool {
    int threads;
    struct job job;         /* written before round moves, read after */
    _Atomic uint32_t round; /* bumped once per pool_run; a futex */
    _Atomic uint32_t busy;  /* workers not yet done with this round; a futex */
    _Atomic int sleepers;   /* workers that wait in the kernel */
    _Atomic bool owner_sleeps;
    _Atomic bool stop;
    struct worker {
        pthread_t id;
        struct pool *pool;
        int thread;
    } workers[];
};

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static uint32_t next_round(struct pool *p, uint32_t seen)
{
    uint32_t now;
    for (int i = 0; i < SPINS; i++) {
        if ((now = atomic_load_explicit(&p->round, memory_order_acquire)) != seen)
            return now;
        cpu_relax();
    }
    atomic_fetch_add(&p->sleepers, 1);
    while ((now = atomic_load(&p->round)) == seen)
        futex_wait(&p->round, seen);
    atomic_fetch_sub(&p->sleepers, 1);
    return now;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->pool;
    uint32_t seen = 0;
    for (;;) {
        seen = next_round(p, seen);
        if (atomic_load(&p->stop))
            return NULL;
        p->job.fn(p->job.arg, w->thread);
        if (atomic_fetch_sub(&p->busy, 1) == 1 && atomic_load(&p->owner_sleeps))
            futex_wake(&p->busy);
    }
}

static void start_round(struct pool *p)
{
    atomic_fetch_add(&p->round, 1);
    if (atomic_load(&p->sleepers))
        futex_wake(&p->round);
}

static void wait_all(struct pool *p)
{
    for (int i = 0; i < SPINS; i++) {
        if (!atomic_load_explicit(&p->busy, memory_order_acquire))
            return;
        cpu_relax();
    }
    atomic_store(&p->owner_sleeps, true);
    uint32_t left;
    while ((left = atomic_load(&p->busy)))
        futex_wait(&p->busy, left);
    atomic_store(&p->owner_sleeps, false);
}

struct pool *pool_new(int threads, struct err *e)
{
    struct pool *p = calloc(1, sizeof *p + sizeof p->workers[0] * (size_t)threads);
    if (!p) {
        err_set(e, ERR_MEMORY, "no memory for %d threads", threads);
        return NULL;
    }
    p->threads = 1;
    for (int i = 1; i < threads; i++) {
        struct worker *w = &p->workers[i];
        w->pool = p;
        w->thread = i;
        int failed = pthread_create(&w->id, NULL, work, w);
        if (failed) {
            err_set(e, ERR_IO, "thread %d of %d: %s", i + 1, threads, strerror(failed));
            pool_free(p);
            return NULL;
        }
        p->threads = i + 1;
    }
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    atomic_store(&p->stop, true);
    start_round(p);
    for (int i = 1; i < p->threads; i++)
        pthread_join(p->workers[i].id, NULL);
    free(p);
}

int pool_threads(const struct pool *p)
{
    return p->threads;
}

void pool_run(struct pool *p, void (*fn)(void *arg, int thread), void *arg)
{
    if (p->threads > 1) {
        p->job = (struct job){fn, arg};
        atomic_store(&p->busy, (uint32_t)p->threads - 1);
        start_round(p);
    }
    fn(arg, 0);
    if (p->threads > 1)
        wait_all(p);
}

struct each {
    void (*fn)(void *arg, size_t begin, size_t end, int thread);
    void *arg;
    size_t count, grain;
    _Atomic size_t next;
};

static void each_piece(void *arg, int thread)
{
    struct each *each = arg;
    for (;;) {
        size_t begin = atomic_fetch_add_explicit(&each->next, each->grain, memory_order_relaxed);
        if (begin >= each->count)
            return;
        size_t end = each->count - begin > each->grain ? begin + each->grain : each->count;
        each->fn(each->arg, begin, end, thread);
    }
}

void pool_each(struct pool *p, size_t count, size_t grain,
               void (*fn)(void *arg, size_t begin, size_t end, int thread), void *arg)
{
    struct each each = {.fn = fn, .arg = arg, .count = count, .grain = grain ? grain : 1};
    if (count <= each.grain) {
        if (count)
            fn(arg, 0, count, 0);
        return;
    }
    pool_run(p, each_piece, &each);
}
