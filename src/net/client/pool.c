#include "net/client/pool.h"

#include "base/stop.h"
#include "net/url.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MAX_IDLE = 64,      /* connections kept per origin */
    STOP_CHECK_MS = 100 /* how long a stop may go unnoticed by who waits for a connection */
};

struct line {
    CURL *curl;
    struct origin *origin;
    struct line *next; /* of the idle ones */
};

/* One of the few hosts that a run talks to. Stays until the end. */
struct origin {
    char name[URL_ORIGIN_BYTES];
    int busy, idle_count;
    struct line *idle; /* last used first: its connection is the most likely to be alive */
    struct origin *next;
};

struct pool {
    const struct curl_api *api;
    CURLSH *share;                                    /* TLS sessions and addresses, for all handles */
    pthread_mutex_t share_mutex[CURL_LOCK_DATA_LAST]; /* one for each kind of shared data */
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t returned;
        int per_host;
        struct origin *origins;
    } locked;
};

static void lock_share(CURL *curl, curl_lock_data kind, curl_lock_access access, void *arg)
{
    struct pool *p = arg;
    (void)curl, (void)access;
    pthread_mutex_lock(&p->share_mutex[kind]);
}

static void unlock_share(CURL *curl, curl_lock_data kind, void *arg)
{
    struct pool *p = arg;
    (void)curl;
    pthread_mutex_unlock(&p->share_mutex[kind]);
}

/* Connections stay out of it: libcurl does not allow them to be shared between threads. */
static bool open_share(struct pool *p)
{
    const struct curl_api *api = p->api;
    p->share = api->share_init();
    return p->share && api->share_setopt(p->share, CURLSHOPT_LOCKFUNC, lock_share) == CURLSHE_OK &&
           api->share_setopt(p->share, CURLSHOPT_UNLOCKFUNC, unlock_share) == CURLSHE_OK &&
           api->share_setopt(p->share, CURLSHOPT_USERDATA, p) == CURLSHE_OK &&
           api->share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) == CURLSHE_OK &&
           api->share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK;
}

struct pool *pool_open(const struct curl_api *api, struct err *e)
{
    pthread_condattr_t monotonic;
    struct pool *p = calloc(1, sizeof *p);
    if (!p) {
        err_set(e, ERR_MEMORY, "no memory for an HTTP client");
        return NULL;
    }
    p->api = api;
    pthread_mutex_init(&p->locked.mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->locked.returned, &monotonic);
    pthread_condattr_destroy(&monotonic);
    for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
        pthread_mutex_init(&p->share_mutex[i], NULL);
    if (open_share(p))
        return p;
    err_set(e, ERR_MEMORY, "no memory for an HTTP client");
    pool_close(p);
    return NULL;
}

static void free_line(struct pool *p, struct line *l)
{
    p->api->cleanup(l->curl);
    free(l);
}

void pool_close(struct pool *p)
{
    if (!p)
        return;
    for (struct origin *o = p->locked.origins, *next; o; o = next) {
        next = o->next;
        for (struct line *l = o->idle, *after; l; l = after) {
            after = l->next;
            free_line(p, l);
        }
        free(o);
    }
    if (p->share)
        p->api->share_cleanup(p->share);
    for (int i = 0; i < CURL_LOCK_DATA_LAST; i++)
        pthread_mutex_destroy(&p->share_mutex[i]);
    pthread_cond_destroy(&p->locked.returned);
    pthread_mutex_destroy(&p->locked.mutex);
    free(p);
}

void pool_limit(struct pool *p, int per_host)
{
    pthread_mutex_lock(&p->locked.mutex);
    p->locked.per_host = per_host;
    pthread_cond_broadcast(&p->locked.returned);
    pthread_mutex_unlock(&p->locked.mutex);
}

/* NULL: no memory. */
static struct origin *find_origin_locked(struct pool *p, const char *name)
{
    struct origin *o = p->locked.origins;
    while (o && strcmp(o->name, name) != 0)
        o = o->next;
    if (!o && (o = calloc(1, sizeof *o))) {
        snprintf(o->name, sizeof o->name, "%s", name);
        o->next = p->locked.origins;
        p->locked.origins = o;
    }
    return o;
}

static void wait_returned_locked(struct pool *p)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += STOP_CHECK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&p->locked.returned, &p->locked.mutex, &until);
}

/* Waits for a place among the origin's connections. False when *stop ended the wait. */
static bool take_place_locked(struct pool *p, struct origin *o, const volatile sig_atomic_t *stop)
{
    while (!stop_wanted(stop)) {
        if (p->locked.per_host <= 0 || o->busy < p->locked.per_host) {
            o->busy++;
            return true;
        }
        wait_returned_locked(p);
    }
    return false;
}

static struct line *take_idle_locked(struct origin *o)
{
    struct line *l = o->idle;
    if (l) {
        o->idle = l->next;
        o->idle_count--;
    }
    return l;
}

static void leave_place(struct pool *p, struct origin *o)
{
    pthread_mutex_lock(&p->locked.mutex);
    o->busy--;
    pthread_cond_broadcast(&p->locked.returned); /* not signal: another may wait for another origin */
    pthread_mutex_unlock(&p->locked.mutex);
}

static struct line *new_line(struct pool *p, struct origin *o)
{
    struct line *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->origin = o;
    l->curl = p->api->easy_init();
    if (l->curl && p->api->setopt(l->curl, CURLOPT_SHARE, p->share) == CURLE_OK) /* outlives a reset */
        return l;
    if (l->curl)
        p->api->cleanup(l->curl);
    free(l);
    return NULL;
}

struct line *pool_borrow(struct pool *p, const char *origin, const volatile sig_atomic_t *stop, struct err *e)
{
    struct line *l = NULL;
    pthread_mutex_lock(&p->locked.mutex);
    struct origin *o = find_origin_locked(p, origin);
    bool placed = o && take_place_locked(p, o, stop);
    if (placed)
        l = take_idle_locked(o);
    pthread_mutex_unlock(&p->locked.mutex);

    if (o && !placed) {
        err_set(e, ERR_CANCELLED, "interrupted");
        return NULL;
    }
    if (placed && !l) {
        l = new_line(p, o);
        if (!l)
            leave_place(p, o);
    }
    if (!l)
        err_set(e, ERR_MEMORY, "no memory for a connection");
    return l;
}

CURL *line_handle(const struct line *l)
{
    return l->curl;
}

void pool_return(struct pool *p, struct line *l)
{
    struct origin *o = l->origin;
    p->api->easy_reset(l->curl);

    pthread_mutex_lock(&p->locked.mutex);
    bool keep = o->idle_count < MAX_IDLE;
    if (keep) {
        l->next = o->idle;
        o->idle = l;
        o->idle_count++;
    }
    o->busy--;
    pthread_cond_broadcast(&p->locked.returned);
    pthread_mutex_unlock(&p->locked.mutex);
    if (!keep)
        free_line(p, l);
}
