#include "serve/config/live.h"

#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct live {
    const struct config_source *source;
    double interval_ms;
    char *text;              /* [SERVICE_CONFIG_MAX_BYTES], what fetch fills: the checking thread's */
    int64_t known;           /* generation that was looked at last, good or bad: the checking thread's */
    pthread_mutex_t judging; /* held from reading an object to its being in force: guards what follows */
    config_fits_fn fits;
    void *fits_arg;
    struct {
        pthread_mutex_t mutex;
        struct config_version *version;
        struct live_status status;
    } locked;
};

/* --- versions --- */

static struct config_version *version_new(struct err *e)
{
    struct config_version *v = calloc(1, sizeof *v);
    if (v)
        v->arena = arena_new(SERVICE_CONFIG_ARENA);
    if (!v || !v->arena) {
        free(v);
        err_set(e, ERR_MEMORY, "no memory for the configuration");
        return NULL;
    }
    service_config_init(&v->config);
    v->since = (int64_t)time(NULL);
    atomic_init(&v->holders, 1);
    return v;
}

void version_drop(struct config_version *v)
{
    if (!v || atomic_fetch_sub(&v->holders, 1) != 1)
        return;
    arena_free(v->arena);
    free(v);
}

struct config_version *live_hold(struct live *l)
{
    pthread_mutex_lock(&l->locked.mutex);
    struct config_version *v = l->locked.version;
    atomic_fetch_add(&v->holders, 1);
    pthread_mutex_unlock(&l->locked.mutex);
    return v;
}

/* Takes over the caller's hold. */
static void install(struct live *l, struct config_version *v)
{
    pthread_mutex_lock(&l->locked.mutex);
    struct config_version *before = l->locked.version;
    l->locked.version = v;
    l->locked.status.good = v->generation;
    l->locked.status.good_since = v->since;
    l->locked.status.bad_stands = false;
    pthread_mutex_unlock(&l->locked.mutex);
    version_drop(before);
}

/* --- birth and end --- */

struct live *live_new(const struct config_source *source, double interval_ms, struct err *e)
{
    struct live *l = calloc(1, sizeof *l);
    if (!l || !(l->text = malloc(SERVICE_CONFIG_MAX_BYTES))) {
        free(l);
        err_set(e, ERR_MEMORY, "no memory for the configuration");
        return NULL;
    }
    l->source = source;
    l->interval_ms = interval_ms;
    l->locked.status.checked_ms = -1;
    pthread_mutex_init(&l->judging, NULL);
    pthread_mutex_init(&l->locked.mutex, NULL);
    if ((l->locked.version = version_new(e)))
        return l;
    live_free(l);
    return NULL;
}

void live_free(struct live *l)
{
    if (!l)
        return;
    version_drop(l->locked.version);
    pthread_mutex_destroy(&l->locked.mutex);
    pthread_mutex_destroy(&l->judging);
    free(l->text);
    free(l);
}

/* --- one look --- */

static int64_t note_refusal(struct live *l, int64_t generation, const struct err *why)
{
    pthread_mutex_lock(&l->locked.mutex);
    struct live_status *s = &l->locked.status;
    s->bad = generation;
    s->bad_since = (int64_t)time(NULL);
    s->bad_stands = true;
    s->rejected++;
    s->problem = *why;
    int64_t good = s->good;
    pthread_mutex_unlock(&l->locked.mutex);
    return good;
}

static void refuse(struct live *l, int64_t generation, const struct err *why)
{
    int64_t good = note_refusal(l, generation, why);
    log_warning(good ? "configuration refused; the one before stays in force"
                     : "configuration refused; the model's own defaults are in force",
                LOG_STR("config", l->source->uri), LOG_INT("generation", generation),
                LOG_STR("problem", why->text), LOG_INT("in_force", good), LOG_END);
}

static bool read_version(struct live *l, const struct config_found *found, struct config_version *v,
                         struct err *e)
{
    if (found->size > SERVICE_CONFIG_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "%llu bytes, expected at most %d", (unsigned long long)found->size,
                       SERVICE_CONFIG_MAX_BYTES);
    v->generation = found->generation;
    return service_config_parse(&v->config, l->text, (size_t)found->size, v->arena, e) &&
           (!l->fits || l->fits(l->fits_arg, &v->config, e));
}

static void fail(struct live *l, const struct err *why);

/* Memory that is short now may be there at the next look; all else is looked at once. */
static void judge(struct live *l, const struct config_found *found)
{
    struct err e = {0};
    struct config_version *v = version_new(&e);
    pthread_mutex_lock(&l->judging);
    bool good = v && read_version(l, found, v, &e);
    if (good) {
        install(l, v);
        log_info("configuration in force", LOG_STR("config", l->source->uri),
                 LOG_INT("generation", found->generation), LOG_END);
    } else if (e.kind != ERR_MEMORY) {
        refuse(l, found->generation, &e);
    }
    pthread_mutex_unlock(&l->judging);
    if (!good)
        version_drop(v);
    if (!good && e.kind == ERR_MEMORY)
        fail(l, &e);
    else
        l->known = found->generation;
}

/* What a look that told nothing leaves behind. True when it is news. */
static bool note_failure(struct live *l, const struct err *why, bool absent)
{
    pthread_mutex_lock(&l->locked.mutex);
    struct live_status *s = &l->locked.status;
    bool news = s->failure.kind == ERR_NONE || absent != (s->failure.kind == ERR_NOT_FOUND);
    s->failure = *why;
    s->failed += !absent;
    s->bad_stands = s->bad_stands && !absent;
    pthread_mutex_unlock(&l->locked.mutex);
    return news;
}

static void clear_failure(struct live *l)
{
    pthread_mutex_lock(&l->locked.mutex);
    bool news = l->locked.status.failure.kind != ERR_NONE;
    l->locked.status.failure = (struct err){0};
    pthread_mutex_unlock(&l->locked.mutex);
    if (news)
        log_info("the configuration can be read again", LOG_STR("config", l->source->uri), LOG_END);
}

static void fail(struct live *l, const struct err *why)
{
    bool absent = why->kind == ERR_NOT_FOUND;
    if (absent)
        l->known = 0; /* whatever appears is looked at */
    if (note_failure(l, why, absent))
        log_warning(absent ? "there is no configuration object; what was in force stays in force"
                           : "the configuration cannot be read; what was in force stays in force",
                    LOG_STR("config", l->source->uri), LOG_STR("problem", why->text), LOG_END);
}

void live_check(struct live *l, const volatile sig_atomic_t *stop)
{
    struct config_found found = {0};
    struct err e = {0};
    if (!l->source->fetch(l->source->arg, l->known, l->text, SERVICE_CONFIG_MAX_BYTES, stop, &found, &e)) {
        if (e.kind != ERR_CANCELLED)
            fail(l, &e);
        return;
    }
    clear_failure(l);
    if (found.changed)
        judge(l, &found);
}

void live_checked(struct live *l, double now_ms)
{
    pthread_mutex_lock(&l->locked.mutex);
    l->locked.status.checked_ms = now_ms;
    pthread_mutex_unlock(&l->locked.mutex);
}

enum live_age live_age(struct live *l, double now_ms)
{
    pthread_mutex_lock(&l->locked.mutex);
    double checked_ms = l->locked.status.checked_ms;
    pthread_mutex_unlock(&l->locked.mutex);
    if (checked_ms < 0 || now_ms - checked_ms >= 2 * l->interval_ms)
        return LIVE_OVERDUE;
    return now_ms - checked_ms < l->interval_ms ? LIVE_FRESH : LIVE_DUE;
}

/* --- the rest --- */

void live_set_fits(struct live *l, config_fits_fn fits, void *arg)
{
    struct err e = {0};
    pthread_mutex_lock(&l->judging);
    l->fits = fits;
    l->fits_arg = arg;
    struct config_version *v = live_hold(l), *none;
    if (!fits(arg, &v->config, &e) && (none = version_new(&e))) {
        install(l, none);
        refuse(l, v->generation, &e);
    }
    version_drop(v);
    pthread_mutex_unlock(&l->judging);
}

void live_status(struct live *l, struct live_status *out)
{
    pthread_mutex_lock(&l->locked.mutex);
    *out = l->locked.status;
    pthread_mutex_unlock(&l->locked.mutex);
}
