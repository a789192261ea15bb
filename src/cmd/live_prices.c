#include "cmd/live_prices.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/stop.h"
#include "cloud/gcloud_config.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_FILE = 4 << 20,
    MAX_KEPT = 64 << 10,
    KEPT_SECONDS = 24 * 3600,
    WAIT_MS = 4000,
    STALL_SECONDS = 3,
    CONFIG_BYTES = 4 << 20,
};

static const char source[] = "Cloud Billing Catalog";

/* Somebody waits, and there is another answer. */
static const struct retry_policy impatient = {
    .first_ms = 200, .cap_ms = 500, .max_tries = 2, .max_seconds = 2, .longest_wait_s = 1};

/* --- asking, on a thread that may be left alone --- */

/* Whoever is last frees it: a name server or gcloud may keep the thread for longer than anybody waits. */
struct errand {
    char region[40], currency[4];
    struct catalog_question question; /* strings: the above */
    struct arena *arena;
    struct gcloud_config config;
    struct http *http;
    struct cloud *cloud;
    volatile sig_atomic_t stop;

    pthread_mutex_t mutex; /* of the rest */
    pthread_cond_t changed;
    bool done, left;
    bool has_credentials;
    struct catalog catalog;
    struct err problem;
};

static void errand_free(struct errand *x)
{
    if (!x)
        return;
    cloud_free(x->cloud);
    http_free(x->http);
    arena_free(x->arena);
    pthread_cond_destroy(&x->changed);
    pthread_mutex_destroy(&x->mutex);
    free(x);
}

static bool open_cloud(struct errand *x, struct err *e)
{
    if (!(x->arena = arena_new(CONFIG_BYTES)))
        return err_set(e, ERR_MEMORY, "no memory for the configuration");
    if (!gcloud_config_read(&x->config, x->arena, e) || !(x->http = http_new(e)) ||
        !(x->cloud = cloud_new(x->http, &x->config, e)))
        return false;
    http_patience(x->http, STALL_SECONDS);
    http_wind_down(x->http, &x->stop);
    cloud_set_retry(x->cloud, &impatient);
    return true;
}

static struct errand *errand_new(const struct price_question *q, int tier, struct err *e)
{
    struct errand *x = calloc(1, sizeof *x);
    if (!x) {
        err_set(e, ERR_MEMORY, "no memory for prices");
        return NULL;
    }
    pthread_mutex_init(&x->mutex, NULL);
    pthread_cond_init(&x->changed, NULL);
    snprintf(x->region, sizeof x->region, "%s", q->region);
    snprintf(x->currency, sizeof x->currency, "%s", q->yen ? "JPY" : "USD");
    x->question = (struct catalog_question){x->region, tier, x->currency};
    catalog_begin(&x->catalog, &x->question);
    if (open_cloud(x, e))
        return x;
    errand_free(x);
    return NULL;
}

static void *run_errand(void *arg)
{
    struct errand *x = arg;
    struct catalog found;
    struct err problem = {0};
    bool has_credentials = cloud_tokens(x->cloud, &problem) != NULL;
    if (has_credentials)
        (void)catalog_read(&found, x->cloud, &x->question, &x->stop, &problem);
    pthread_mutex_lock(&x->mutex);
    x->has_credentials = has_credentials;
    x->problem = problem;
    if (has_credentials && !problem.kind)
        x->catalog = found;
    x->done = true;
    bool left = x->left;
    pthread_cond_signal(&x->changed);
    pthread_mutex_unlock(&x->mutex);
    if (left)
        errand_free(x);
    return NULL;
}

/* False: it has not come back, and is not the caller's any more. */
static bool errand_wait(struct errand *x)
{
    uint64_t end_ns = clock_ns() + (uint64_t)WAIT_MS * 1000000;
    struct timespec end = {(time_t)(end_ns / 1000000000), (long)(end_ns % 1000000000)};
    int waited = 0;
    pthread_mutex_lock(&x->mutex);
    while (!x->done && waited == 0)
        waited = pthread_cond_clockwait(&x->changed, &x->mutex, CLOCK_MONOTONIC, &end);
    bool done = x->done;
    x->left = !done;
    if (!done)
        stop_ask(&x->stop);
    pthread_mutex_unlock(&x->mutex);
    return done;
}

/* As errand_wait; nothing that goes wrong is more than a problem of x. */
static bool errand_send(struct errand *x)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_errand, x) != 0) {
        x->has_credentials = true;
        err_set(&x->problem, ERR_MEMORY, "cannot start a thread");
        return true;
    }
    pthread_detach(thread);
    return errand_wait(x);
}

/* --- what is kept --- */

static const char *kept_path(const struct errand *x)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    bool has_cache = cache && *cache == '/'; /* a relative one counts for nothing (XDG Base Directory) */
    if (!has_cache && !(home && *home == '/'))
        return NULL;
    return arena_printf(x->arena, "%s%s/ferry/prices-%s-%s.json", has_cache ? cache : home,
                        has_cache ? "" : "/.cache", x->currency, x->region);
}

bool prices_take_kept(struct catalog *c, const char *text, size_t size, const char *place, int64_t now,
                      int64_t *asked)
{
    json_t *root = json_loadb(text, size, 0, NULL);
    const char *from = json_string_value(json_object_get(root, "place"));
    int64_t when = json_integer_value(json_object_get(root, "asked"));
    struct catalog found = *c;
    bool ok = from && strcmp(from, place) == 0 && when > 0 && when <= now && now - when < KEPT_SECONDS &&
              catalog_take_kept(&found, json_object_get(root, "catalog"));
    if (ok) {
        *c = found;
        *asked = when;
    }
    json_decref(root);
    return ok;
}

static bool read_kept(struct errand *x, int64_t *asked)
{
    size_t size = 0;
    const char *path = kept_path(x);
    const char *text = path ? file_read(x->arena, path, MAX_KEPT, &size, NULL) : NULL;
    return text && prices_take_kept(&x->catalog, text, size, cloud_endpoint(x->cloud, "cloudbilling"),
                                    time(NULL), asked);
}

/* Whole or not at all; mkstemp makes it 0600. */
static bool write_whole(const struct errand *x, const char *path, const char *text)
{
    char *new = arena_printf(x->arena, "%s.XXXXXX", path);
    int fd = new ? mkstemp(new) : -1;
    if (fd < 0)
        return false;
    ssize_t n = (ssize_t)strlen(text);
    bool ok = write(fd, text, (size_t)n) == n;
    ok = close(fd) == 0 && ok && rename(new, path) == 0;
    if (!ok)
        unlink(new);
    return ok;
}

static void make_folders(const struct errand *x, const char *path)
{
    char *folder = arena_strndup(x->arena, path, strlen(path));
    for (char *slash = folder ? strchr(folder + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(folder, 0700);
        *slash = '/';
    }
}

/* Where it cannot be kept it is asked for again: no more is lost. */
static void keep(const struct errand *x, int64_t asked)
{
    const char *path = kept_path(x);
    json_t *root = json_pack("{s:s, s:I, s:o*}", "place", cloud_endpoint(x->cloud, "cloudbilling"), "asked",
                             (json_int_t)asked, "catalog", catalog_json(&x->catalog));
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    if (path && text) {
        make_folders(x, path);
        (void)write_whole(x, path, text);
    }
    free(text);
    json_decref(root);
}

/* --- what is taken --- */

static bool take(struct prices *p, const struct catalog *c, struct price_news *news, struct arena *a,
                 struct err *e)
{
    for (int i = 0; i < c->count; i++) {
        const struct catalog_price *one = &c->prices[i];
        if (isnan(one->usd))
            news->others = arena_printf(a, "%s%s%s", news->others, *news->others ? ", " : "", one->item);
        else if (!prices_set(p, one->item, one->usd, one->free, source, news->date, e))
            return false;
        if (!news->others)
            return err_set(e, ERR_MEMORY, "no memory for prices");
    }
    news->found = catalog_found(c);
    news->asked = c->count;
    return true;
}

static void date_it(struct price_news *news, int64_t when)
{
    struct tm utc;
    time_t t = (time_t)when;
    gmtime_r(&t, &utc);
    strftime(news->date, sizeof news->date, "%Y-%m-%d", &utc);
}

/* False with *e set: no memory. */
static bool learn(struct prices *p, struct errand *x, const struct price_question *q, bool kept,
                  int64_t asked, struct price_news *news, struct arena *a, struct err *e)
{
    news->problem = x->problem;
    if (!kept && !x->has_credentials) /* nobody was asked: no problem */
        news->problem = (struct err){0};
    if (!kept && (!x->has_credentials || x->problem.kind))
        return true;
    if (!kept)
        keep(x, asked);
    date_it(news, asked);
    news->yen_per_usd = q->yen && !isnan(x->catalog.rate) ? x->catalog.rate : 0;
    return take(p, &x->catalog, news, a, e);
}

static bool ask(struct prices *p, const struct price_question *q, struct price_news *news, struct arena *a,
                struct err *e)
{
    enum price_tier tier = prices_tier(p, q->region);
    struct errand *x = errand_new(q, tier == TIER_1 ? 1 : tier == TIER_2 ? 2 : 0, &news->problem);
    if (!x)
        return true;
    int64_t asked = time(NULL);
    bool kept = read_kept(x, &asked);
    if (!kept && !errand_send(x)) {
        err_set(&news->problem, ERR_TRANSIENT, "no answer within %d seconds", WAIT_MS / 1000);
        return true;
    }
    bool ok = learn(p, x, q, kept, asked, news, a, e);
    errand_free(x);
    return ok;
}

static struct prices *read_file(const char *path, struct arena *a, struct err *e)
{
    size_t size = 0;
    const char *text = file_read(a, path, MAX_FILE, &size, e);
    struct prices *p = text ? prices_parse(text, size, e) : NULL;
    if (text && !p)
        err_wrap(e, "%s", path);
    return p;
}

bool prices_yen_wanted(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MONETARY", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strncmp(value, "ja", 2) == 0;
    }
    return false;
}

struct prices *prices_read(const struct price_question *q, struct price_news *news, struct arena *a,
                           struct err *e)
{
    bool told = q->which && *q->which, file = told && strcmp(q->which, PRICES_SNAPSHOT) != 0;
    struct prices *p = file ? read_file(q->which, a, e) : prices_builtin(e);
    *news = (struct price_news){.others = ""};
    if (p && !told && !ask(p, q, news, a, e)) {
        prices_free(p);
        return NULL;
    }
    return p;
}
