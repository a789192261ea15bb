/* watch.c: the looks, and where they go. */
#include "cmd/watch.h"

#include "base/clock.h"
#include "base/stop.h"
#include "cmd/interrupt.h"
#include "cmd/service_client.h"
#include "cmd/service_name.h"
#include "cmd/terminal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 32, ARENA_BYTES = 4 << 20, NAP_MS = 50, PATIENCE_SECONDS = 5 };

/* Strings of a look live until the next. */
struct watching {
    const struct watch_options *opt;
    const volatile sig_atomic_t *stop;
    struct http *http;
    struct prices *prices;
    struct arena *arena;
    struct watched items[MOST]; /* in order of what the targets say */
    int count;
    struct watched before[MOST];
    int before_count;
    int drawn; /* lines on the terminal */
};

static double unix_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What was seen of it before goes on. */
static bool add(void *arg, const struct target_service *s, struct err *e)
{
    struct watching *w = arg;
    struct watched *one = &w->items[w->count];
    if (w->count == MOST)
        return err_set(e, ERR_LIMIT, "more than %d services; name one", MOST);
    w->count++;
    *one = (struct watched){.usd = NAN, .tokens_per_second = NAN};
    for (int i = 0; i < w->before_count; i++)
        if (w->before[i].service.url && s->url && strcmp(w->before[i].service.url, s->url) == 0)
            *one = w->before[i];
    one->service = *s;
    return true;
}

static bool find(struct watching *w, struct err *e)
{
    const char *which = w->opt->which;
    struct target_run r = {.arena = w->arena, .stop = w->stop};
    const struct target *t;
    if (which && service_is_url(which))
        return service_check_url(which, e) && add(w, &(struct target_service){.url = which}, e);
    for (size_t i = 0; (t = target_at(i)); i++)
        if (!t->status(&r, which, add, w, e))
            return false;
    return w->count > 0 || !which ||
           err_set(e, ERR_NOT_FOUND, "there is no service \"%s\"; `ferry status` lists those there are",
                   which);
}

/* A service that does not answer is told of, and looked at again. */
static void look_at(struct watching *w, struct watched *one)
{
    struct service_metrics m;
    struct err problem = {0};
    struct http_request q = {.stop = w->stop, .stall_seconds = PATIENCE_SECONDS};
    one->problem[0] = 0;
    if (one->service.url && service_key(&one->service, w->opt->api_key, w->arena, &q.bearer, &problem) &&
        service_metrics_get(w->http, &q, w->arena, one->service.url, &m, &problem)) {
        watched_take(one, &m, clock_ms());
    } else {
        one->known = false;
        snprintf(one->problem, sizeof one->problem, "%.190s", problem.text);
    }
    one->usd = watched_cost(one, w->prices, w->opt->region, unix_now());
}

static bool print_line(const struct watching *w, struct err *e)
{
    json_t *list = json_array();
    for (int i = 0; i < w->count; i++)
        json_array_append_new(list, watched_json(&w->items[i]));
    json_t *all = json_pack("{s:f, s:o}", "time", unix_now(), "services", list);
    bool ok = all && json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15)) == 0 &&
              putchar('\n') != EOF && fflush(stdout) == 0;
    json_decref(all);
    return ok || err_set(e, ERR_IO, "cannot write to stdout");
}

/* Over the picture before: up to its first line, each line cleared behind its text, then what is below. */
static bool draw(struct watching *w, struct err *e)
{
    struct winsize size = {0};
    int width = WATCH_WIDTH, lines = 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_col < width)
        width = size.ws_col;
    if (w->drawn)
        printf("\033[%dA\r", w->drawn);
    for (int i = 0; i < w->count; i++)
        lines += watched_draw(&w->items[i], unix_now(), width, "\033[K\r\n", stdout);
    if (w->count == 0)
        lines += printf("There are no services; `ferry deploy` makes one\033[K\r\n") > 0;
    printf("\033[J");
    w->drawn = lines;
    return fflush(stdout) == 0 || err_errno(e, "cannot write to the terminal");
}

static bool look(struct watching *w, struct err *e)
{
    memcpy(w->before, w->items, sizeof w->before);
    w->before_count = w->count;
    w->count = 0;
    struct arena *fresh = arena_new(ARENA_BYTES), *old = w->arena;
    if (!fresh)
        return err_set(e, ERR_MEMORY, "no memory");
    w->arena = fresh;
    bool ok = find(w, e);
    for (int i = 0; ok && i < w->count; i++)
        look_at(w, &w->items[i]);
    arena_free(old);
    if (!ok || stop_wanted(w->stop))
        return ok;
    return w->opt->json || !terminal_is(STDOUT_FILENO) ? print_line(w, e) : draw(w, e);
}

static void nap(const struct watching *w, double until_ms)
{
    for (double left; (left = until_ms - clock_ms()) > 0 && !stop_wanted(w->stop);)
        nanosleep(&(struct timespec){.tv_nsec = (long)(fmin(left, NAP_MS) * 1e6)}, NULL);
}

bool watch(const struct watch_options *o, struct err *e)
{
    struct watching *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_MEMORY, "no memory");
    w->opt = o;
    w->stop = interrupt_watch();
    w->http = http_new(e);
    w->prices = w->http ? prices_builtin(e) : NULL;
    bool ok = w->prices != NULL;
    for (int i = 0; ok && (o->count == 0 || i < o->count) && !stop_wanted(w->stop); i++) {
        double begun_ms = clock_ms();
        ok = look(w, e);
        if (o->count == 0 || i + 1 < o->count)
            nap(w, begun_ms + o->seconds * 1e3);
    }
    prices_free(w->prices);
    http_free(w->http);
    arena_free(w->arena);
    free(w);
    return ok;
}
