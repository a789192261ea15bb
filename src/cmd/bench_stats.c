#include "cmd/bench.h"

#include "base/catalog.h"
#include "plan/cost.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const bench_kind_names[] = {"closed", "open", "length", "cold"};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The least value that is not below p of them. */
static double nearest_rank(const double *sorted, int count, double p)
{
    int rank = (int)ceil(p * count - 1e-9);
    return count ? sorted[rank < 1 ? 0 : rank - 1] : NAN;
}

struct bench_percentiles bench_percentiles_of(double *values, int count)
{
    if (count)
        qsort(values, (size_t)count, sizeof *values, by_value);
    return (struct bench_percentiles){nearest_rank(values, count, 0.5), nearest_rank(values, count, 0.9),
                                      nearest_rank(values, count, 0.99)};
}

static double first_of(const struct bench_sample *s)
{
    return s->first_ms > 0 ? s->first_ms - s->due_ms : NAN;
}

static double total_of(const struct bench_sample *s)
{
    return s->end_ms - s->due_ms;
}

static double speed_of(const struct bench_sample *s)
{
    return s->tokens_per_second > 0 ? s->tokens_per_second : NAN;
}

/* Of the answered ones, those that have the value. */
static struct bench_percentiles collect(const struct bench_samples *s, double *room,
                                        double (*of)(const struct bench_sample *))
{
    int n = 0;
    for (int i = 0; i < s->count; i++) {
        double value = s->items[i].ok ? of(&s->items[i]) : NAN;
        if (!isnan(value))
            room[n++] = value;
    }
    return bench_percentiles_of(room, n);
}

static int by_sending(const void *a, const void *b)
{
    return by_value(&((const struct bench_sample *)a)->sent_ms, &((const struct bench_sample *)b)->sent_ms);
}

/* Time in which at least one was under way. Sorts. */
static double busy_ms(const struct bench_samples *s)
{
    double busy = 0, until = -INFINITY;
    qsort(s->items, (size_t)s->count, sizeof *s->items, by_sending);
    for (int i = 0; i < s->count; i++) {
        double from = fmax(s->items[i].sent_ms, until);
        busy += fmax(s->items[i].end_ms - from, 0);
        until = fmax(until, s->items[i].end_ms);
    }
    return busy;
}

static double span_ms(const struct bench_samples *s)
{
    double from = INFINITY, to = -INFINITY;
    for (int i = 0; i < s->count; i++) {
        from = fmin(from, s->items[i].due_ms);
        to = fmax(to, s->items[i].end_ms);
    }
    return s->count ? to - from : 0;
}

bool bench_point_of(struct bench_point *p, enum bench_kind kind, double level, const struct bench_samples *s)
{
    double *room = malloc(((size_t)s->count + 1) * sizeof *room);
    *p = (struct bench_point){.kind = kind, .level = level, .usd_per_1000 = NAN};
    if (!room)
        return false;
    for (int i = 0; i < s->count; i++) {
        p->requests += s->items[i].ok;
        p->failed += !s->items[i].ok;
        p->tokens += s->items[i].tokens;
    }
    memcpy(p->failure, s->failure, sizeof p->failure);
    p->first_ms = collect(s, room, first_of);
    p->total_ms = collect(s, room, total_of);
    p->tokens_per_second = collect(s, room, speed_of);
    p->seconds = span_ms(s) * 1e-3;
    p->busy_seconds = s->count ? busy_ms(s) * 1e-3 : 0;
    free(room);
    return true;
}

double bench_usd_per_1000(const struct bench_point *p, const struct prices *prices, struct run_shape shape,
                          const char *region)
{
    if (p->requests == 0 || shape.vcpu == 0)
        return NAN;
    struct cost_load l = {.shape = shape,
                          .tier = prices_tier(prices, region),
                          .answer_s = span_of(p->busy_seconds / p->requests)};
    return cost_request(prices, &l).least * 1000;
}

const struct bench_point *bench_find(const struct bench_result *r, const struct bench_point *like)
{
    for (int i = 0; i < r->count; i++)
        if (r->points[i].kind == like->kind && r->points[i].level == like->level)
            return &r->points[i];
    return NULL;
}

static bool take_level(const char **at, double least, double most, bool whole, double *level)
{
    char *end;
    errno = 0;
    *level = strtod(*at, &end);
    bool good = end != *at && errno == 0 && *level >= least && *level <= most &&
                (!whole || *level == floor(*level)) && (*end == ',' || *end == 0);
    *at = *end ? end + 1 : end;
    return good;
}

bool bench_levels(const char *text, const char *option, double least, double most, bool whole,
                  double levels[BENCH_LEVELS], int *count, struct err *e)
{
    const char *at = text;
    *count = 0;
    if (!text || strcmp(text, "none") == 0)
        return true;
    do {
        if (*count == BENCH_LEVELS)
            return err_set(e, ERR_USAGE, "--%s: more than %d values", option, BENCH_LEVELS);
        if (!take_level(&at, least, most, whole, &levels[(*count)++]))
            return err_set(e, ERR_USAGE, "--%s: \"%.80s\", expected %s from %g to %g, with commas between",
                           option, text, whole ? _("whole numbers") : _("numbers"), least, most);
    } while (*at);
    return true;
}
