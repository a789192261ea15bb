/* live.h: the configuration in force: the last good one that was found, and what was found since.
 *
 *   struct live *l = live_new(&source, 2000, &e);
 *   live_check(l, stop); live_checked(l, clock_ms());        one thread: asks the source, takes or refuses
 *   const struct config_version *v = live_hold(l);           any thread: what is in force, for one request
 *   …
 *   version_drop(v);
 *
 * A version never changes. One that cannot be read, parsed or used leaves the one before in force, and is
 * told once: in the log, in live_status. So does an object that is gone, or a place that does not answer. */
#ifndef FERRY_SERVE_CONFIG_LIVE_H
#define FERRY_SERVE_CONFIG_LIVE_H

#include "serve/config_source.h"
#include "serve/service_config.h"

#include <stdatomic.h>

struct config_version {
    struct service_config config;
    int64_t generation; /* 0: nothing was found yet, the model's own defaults */
    int64_t since;      /* unix seconds */
    struct arena *arena;
    _Atomic int holders;
};

struct live;

/* source must outlive it. interval_ms: how old what is known may get. Nothing is asked yet. */
struct live *live_new(const struct config_source *source, double interval_ms, struct err *e);
void live_free(struct live *l); /* NULL is fine; versions that are held stay until they are dropped */

struct config_version *live_hold(struct live *l);
void version_drop(struct config_version *v); /* NULL is fine */

enum live_age {
    LIVE_FRESH,   /* asked within the interval */
    LIVE_DUE,     /* within twice the interval: somebody should ask, nobody needs to wait */
    LIVE_OVERDUE, /* longer ago, or never: it may be any old */
};
enum live_age live_age(struct live *l, double now_ms);

/* One look at the source. By one thread at a time, in pairs: what was asked before live_checked counts as
 * known at now_ms. */
void live_check(struct live *l, const volatile sig_atomic_t *stop);
void live_checked(struct live *l, double now_ms);

/* Whether the model can work with a configuration; unknown until it is loaded. The one in force is looked at
 * once more, and refused after all if it does not fit. arg must outlive the live. Any thread, once. */
typedef bool (*config_fits_fn)(void *arg, const struct service_config *c, struct err *e);
void live_set_fits(struct live *l, config_fits_fn fits, void *arg);

struct live_status {
    int64_t good, good_since;  /* in force; unix seconds */
    int64_t bad, bad_since;    /* the last one refused, 0: none */
    bool bad_stands;           /* it is what lies there now */
    struct err problem;        /* what is wrong with it */
    struct err failure;        /* why the last look told nothing; ERR_NONE when it did */
    uint64_t rejected, failed; /* objects; looks, those at a place without an object aside */
    double checked_ms;         /* of the last look; below 0: none yet */
};
void live_status(struct live *l, struct live_status *out);

#endif
