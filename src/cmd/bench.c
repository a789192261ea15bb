/* bench.c: `ferry bench`, its command line, and what is asked in which order. */
#include "cmd/bench.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/stop.h"
#include "cloud/identity.h"
#include "cmd/ask.h"
#include "cmd/commands.h"
#include "cmd/google.h"
#include "cmd/human.h"
#include "cmd/interrupt.h"
#include "cmd/page.h"
#include "cmd/prediction_report.h"
#include "cmd/service_client.h"
#include "cmd/service_metrics.h"
#include "cmd/service_name.h"
#include "engine/audio.h"
#include "plan/regions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RATE = 16000, MAX_SECONDS = 1800, MAX_OLD = 1 << 20, LENGTH_UNSET = -1 };

struct bench_settings {
    const char *concurrency, *rate, *lengths;
    int cold;
    double idle_minutes, seconds;
    int requests;
    const char *question, *audio, *model, *api_key;
    double length;
    int max_tokens;
    int vcpu, memory;
    const char *region, *html, *compare;
    bool json;
};

static const struct option load_options[] = {
    {.name = "concurrency",
     .letter = 'c',
     .type = OPTION_TEXT,
     .argument = "N,N,…",
     .preset = "1,2,4,8",
     .offset = offsetof(struct bench_settings, concurrency),
     .help = "requests at a time, each followed by the next (a closed loop); none: not that"},
    {.name = "rate",
     .letter = 'r',
     .type = OPTION_TEXT,
     .argument = "R,R,…",
     .offset = offsetof(struct bench_settings, rate),
     .help = "requests a second, at random times, whoever still waits (an open loop)"},
    {.name = "lengths",
     .letter = 'l',
     .type = OPTION_TEXT,
     .argument = "S,S,…",
     .offset = offsetof(struct bench_settings, lengths),
     .help = "seconds of recording, one request at a time"},
    {.name = "cold",
     .type = OPTION_INT,
     .argument = "N",
     .max = 100,
     .offset = offsetof(struct bench_settings, cold),
     .help = "cold starts; a NAME of this machine is put to sleep before each, others are waited for"},
    {.name = "idle",
     .type = OPTION_REAL,
     .argument = "MINUTES",
     .preset = "16",
     .min = 0.001,
     .max = 1440,
     .offset = offsetof(struct bench_settings, idle_minutes),
     .help = "how long to wait until no instance is left; Cloud Run keeps one for 15 minutes at most"},
    {.name = "time",
     .letter = 't',
     .type = OPTION_REAL,
     .argument = "SECONDS",
     .preset = "20",
     .min = 0.01,
     .max = 86400,
     .offset = offsetof(struct bench_settings, seconds),
     .help = "for each row; requests under way are waited for"},
    {.name = "requests",
     .letter = 'n',
     .type = OPTION_INT,
     .argument = "N",
     .max = 1e6,
     .offset = offsetof(struct bench_settings, requests),
     .help = "at most so many for each row; 0: as many as fit into the time"},
};

static const struct option request_options[] = {
    {.name = "question",
     .letter = 'q',
     .type = OPTION_TEXT,
     .argument = "TEXT",
     .preset = "What is said here?",
     .offset = offsetof(struct bench_settings, question),
     .help = "in each request"},
    {.name = "audio",
     .letter = 'a',
     .type = OPTION_TEXT,
     .argument = "FILE",
     .offset = offsetof(struct bench_settings, audio),
     .help = "a recording, cut or repeated to the lengths asked for; something like a voice unless told"},
    {.name = "length",
     .type = OPTION_REAL,
     .argument = "SECONDS",
     .max = MAX_SECONDS,
     .offset = offsetof(struct bench_settings, length),
     .help = "of recording in each request, 0: text alone; FILE's own length, or 5, unless told"},
    {.name = "max-tokens",
     .type = OPTION_INT,
     .argument = "N",
     .preset = "64",
     .min = 1,
     .max = 1 << 20,
     .offset = offsetof(struct bench_settings, max_tokens),
     .help = "longest answer"},
    {.name = "model",
     .type = OPTION_TEXT,
     .argument = "NAME",
     .offset = offsetof(struct bench_settings, model),
     .help = "which of a service's models to ask; the first it lists unless told"},
    {.type = OPTION_TEXT,
     .env = "FERRY_API_KEY",
     .offset = offsetof(struct bench_settings, api_key),
     .help = "the key that a service asks for"},
};

static const struct option told_options[] = {
    {.name = "vcpu",
     .type = OPTION_INT,
     .argument = "N",
     .max = RUN_MOST_VCPU,
     .offset = offsetof(struct bench_settings, vcpu),
     .help = "of the Cloud Run instance whose price is told; the fewest for its memory unless told"},
    {.name = "memory",
     .type = OPTION_INT,
     .argument = "GIB",
     .max = RUN_MOST_GIB,
     .offset = offsetof(struct bench_settings, memory),
     .help = "of that instance; what holds the service as it is unless told"},
    {.name = "region",
     .type = OPTION_TEXT,
     .argument = "REGION",
     .preset = REGION_DEFAULT,
     .offset = offsetof(struct bench_settings, region),
     .help = "whose prices count"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct bench_settings, json),
     .help = "print one JSON object"},
    {.name = "html",
     .type = OPTION_TEXT,
     .argument = "FILE",
     .offset = offsetof(struct bench_settings, html),
     .help = "write a page with charts"},
    {.name = "compare",
     .type = OPTION_TEXT,
     .argument = "OLD.json",
     .offset = offsetof(struct bench_settings, compare),
     .help = "set an earlier run's --json beside this one"},
};

struct levels {
    double closed[BENCH_LEVELS], open[BENCH_LEVELS], lengths[BENCH_LEVELS];
    int closed_count, open_count, length_count;
};

struct run {
    struct bench_settings settings;
    struct levels levels;
    struct arena *arena;
    struct prices *prices;
    struct audio audio; /* of --audio */
    const char *base;   /* the service's address */
    const char *model;
    struct target_service service; /* name NULL: it was an address */
    struct bench_ask ask;
    struct bench_result result, old;
    struct predictions came; /* of a service that was deployed, beside its plan */
};

/* --- what is asked --- */

/* The body for a recording of that length, from malloc. */
static char *make_body(struct run *r, double seconds, struct err *e)
{
    const struct bench_settings *s = &r->settings;
    struct ask q = {.settings = {.max_tokens = s->max_tokens, .temperature = 0, .seed = 1},
                    .question = s->question};
    char *wav = NULL;
    if (seconds > 0) {
        wav = bench_wav(r->audio.samples, r->audio.count, seconds, &q.audio[0].size);
        if (!wav) {
            err_set(e, ERR_MEMORY, "no memory for a recording of %g s", seconds);
            return NULL;
        }
        q.audio[0].path = "recording";
        q.audio[0].bytes = wav;
        q.audio_count = 1;
    }
    char *body = ask_json(&q, r->model, e);
    free(wav);
    return body;
}

static bool read_audio(struct run *r, struct err *e)
{
    const struct bench_settings *s = &r->settings;
    size_t size;
    if (s->audio) {
        char *bytes = file_read(r->arena, s->audio, ASK_MAX_FILE_BYTES, &size, e);
        if (!bytes)
            return false;
        if (!audio_decode(&r->audio, bytes, size, RATE, MAX_SECONDS, e))
            return err_wrap(e, "%s", s->audio);
    }
    double own = s->audio ? (double)r->audio.count / RATE : 5;
    r->result.audio_seconds = s->length == LENGTH_UNSET ? own : s->length;
    return true;
}

/* --- one row after the other --- */

static void tell(struct run *r, const struct bench_point *p)
{
    struct report names = {.arena = r->arena};
    fprintf(stderr, "%s: %d request%s in %.1f s", bench_point_name(&names, p), p->requests,
            human_plural((uint64_t)p->requests), p->seconds);
    if (p->failed)
        fprintf(stderr, ", %d failed: %s", p->failed, p->failure);
    fputc('\n', stderr);
}

static bool add_point(struct run *r, enum bench_kind kind, double level, struct bench_samples *s,
                      struct err *e)
{
    struct bench_point *p = &r->result.points[r->result.count];
    bool ok = bench_point_of(p, kind, level, s);
    bench_samples_clear(s);
    if (!ok)
        return err_set(e, ERR_MEMORY, "no memory for the samples");
    r->result.count++;
    tell(r, p);
    return true;
}

static bool measure(struct run *r, enum bench_kind kind, double level, struct err *e)
{
    const struct bench_settings *s = &r->settings;
    bool open = kind == BENCH_OPEN;
    struct bench_pace pace = {.at_a_time = open                   ? BENCH_AT_A_TIME
                                           : kind == BENCH_CLOSED ? (int)level
                                                                  : 1,
                              .per_second = open ? level : 0,
                              .seconds = s->seconds,
                              .requests = s->requests};
    struct bench_samples samples = {0};
    char *body = make_body(r, kind == BENCH_LENGTH ? level : r->result.audio_seconds, e);
    r->ask.body = body;
    bool ok = body && bench_load(&r->ask, &pace, &samples, e) && add_point(r, kind, level, &samples, e);
    bench_samples_clear(&samples);
    free(body);
    return ok;
}

/* --- cold starts --- */

static struct http_request request_of(const struct run *r)
{
    struct http_request q = {.bearer = r->ask.key, .stop = r->ask.stop};
    q.headers[0] = (struct http_header){r->ask.identity ? IDENTITY_HEADER : NULL, r->ask.identity};
    return q;
}

/* When the instance that answers began; NAN: it does not say. */
static double instance_began(struct run *r)
{
    struct service_metrics m;
    struct err none = {0};
    struct http_request q = request_of(r);
    return service_metrics_get(r->ask.http, &q, r->arena, r->base, &m, &none) ? m.began_s : NAN;
}

static bool wait_for_zero(struct run *r, struct err *e)
{
    struct target_run t = {.arena = r->arena, .stop = r->ask.stop};
    const struct target *target = r->service.name ? service_target_named(r->service.target, e) : NULL;
    if (target && target->sleep)
        return target->sleep(&t, r->service.name, e);
    if (r->service.name && !target)
        return false;
    double until_ms = clock_ms() + r->settings.idle_minutes * 60e3;
    while (clock_ms() < until_ms && !stop_wanted(r->ask.stop))
        usleep(100000);
    return !stop_wanted(r->ask.stop) || err_set(e, ERR_CANCELLED, "interrupted");
}

/* One; an instance that was still there is a failure. */
static bool start_cold(struct run *r, struct bench_samples *s, struct err *e)
{
    struct bench_sample *one = &s->items[s->count];
    struct err why = {0};
    double before = instance_began(r);
    if (!wait_for_zero(r, e))
        return false;
    bench_once(&r->ask, clock_ms(), one, &why);
    if (stop_wanted(r->ask.stop))
        return err_set(e, ERR_CANCELLED, "interrupted");
    if (one->ok && instance_began(r) == before)
        one->ok =
            err_set(&why, ERR_BUSY, "an instance was still there after %g min", r->settings.idle_minutes);
    if (!one->ok && !*s->failure)
        snprintf(s->failure, sizeof s->failure, "%.255s", why.text);
    s->count++;
    return true;
}

/* Waits between starts are no part of the row's time. */
static bool measure_cold(struct run *r, struct err *e)
{
    int n = r->settings.cold;
    struct bench_samples samples = {.items = calloc((size_t)n, sizeof *samples.items), .room = n};
    char *body = make_body(r, r->result.audio_seconds, e);
    bool ok = body && samples.items;
    r->ask.body = body;
    if (body && !samples.items)
        err_set(e, ERR_MEMORY, "no memory for %d samples", n);
    for (int i = 0; ok && i < n; i++)
        ok = start_cold(r, &samples, e);
    ok = ok && add_point(r, BENCH_COLD, 0, &samples, e);
    bench_samples_clear(&samples);
    free(body);
    return ok;
}

/* One that does not count: it wakes the service, and tells early what is wrong. */
static bool warm_up(struct run *r, struct err *e)
{
    struct bench_sample s;
    char *body = make_body(r, r->result.audio_seconds, e);
    r->ask.body = body;
    bool ok = body && (bench_once(&r->ask, clock_ms(), &s, e) || err_wrap(e, "the first request"));
    free(body);
    return ok;
}

static bool measure_all(struct run *r, struct err *e)
{
    const struct levels *l = &r->levels;
    bool ok = warm_up(r, e);
    for (int i = 0; ok && i < l->closed_count; i++)
        ok = measure(r, BENCH_CLOSED, l->closed[i], e);
    for (int i = 0; ok && i < l->open_count; i++)
        ok = measure(r, BENCH_OPEN, l->open[i], e);
    for (int i = 0; ok && i < l->length_count; i++)
        ok = measure(r, BENCH_LENGTH, l->lengths[i], e);
    return ok && (r->settings.cold == 0 || measure_cold(r, e));
}

/* --- what it would cost --- */

/* The instance that holds the service as it is now; vcpu 0: it does not say how large it is. */
static struct run_shape shape_of(struct run *r)
{
    const struct bench_settings *s = &r->settings;
    struct service_metrics m = {.resident_bytes = NAN};
    struct err none = {0};
    struct http_request q = request_of(r);
    uint64_t bytes = (uint64_t)s->memory * PLAN_GIB * 100 / (100 + RUN_MARGIN_PERCENT);
    if (!s->memory && service_metrics_get(r->ask.http, &q, r->arena, r->base, &m, &none) &&
        m.resident_bytes > 0)
        bytes = (uint64_t)m.resident_bytes;
    return bytes ? run_shape_for(bytes, s->vcpu) : (struct run_shape){0};
}

static void price(struct run *r)
{
    struct bench_result *b = &r->result;
    b->shape = shape_of(r);
    snprintf(b->region, sizeof b->region, "%s", r->settings.region);
    snprintf(b->prices, sizeof b->prices, "%s", prices_date(r->prices));
    for (int i = 0; i < b->count; i++)
        b->points[i].usd_per_1000 = bench_usd_per_1000(&b->points[i], r->prices, b->shape, b->region);
}

/* --- what a plan said --- */

static void predict(struct run *r)
{
    struct service_metrics now;
    struct err why = {0};
    struct http_request q = request_of(r);
    if (!r->service.name)
        return;
    if (!service_metrics_get(r->ask.http, &q, r->arena, r->base, &now, &why) ||
        !bench_predict(&r->result, &r->service, &now, &r->came, r->arena, &why))
        fprintf(stderr, "not set beside a plan: %s\n", why.text);
    prediction_keep_or_say(&r->came, r->arena);
}

/* --- what is told --- */

struct page {
    struct report *report;
    const struct bench_result *result;
};

static void write_page(void *arg, FILE *out)
{
    const struct page *p = arg;
    bench_html(p->report, p->result, out);
}

static bool print_json(json_t *json, struct err *e)
{
    bool ok = json && json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0 &&
              putchar('\n') != EOF;
    json_decref(json);
    return ok || err_set(e, ERR_IO, "cannot write the result as JSON");
}

static json_t *result_json(const struct run *r)
{
    json_t *json = bench_json(&r->result);
    json_object_set_new(json, "predictions", predictions_json(&r->came));
    return json;
}

static bool report(struct run *r, struct err *e)
{
    const struct bench_settings *s = &r->settings;
    struct report *report = calloc(1, sizeof *report);
    if (!report)
        return err_set(e, ERR_MEMORY, "no memory for the report");
    report->arena = r->arena;
    bench_report(report, &r->result, s->compare ? &r->old : NULL);
    if (r->came.count)
        prediction_section(report, &r->came);
    bool ok = !s->html || page_write(s->html, write_page, &(struct page){report, &r->result}, e);
    if (ok && s->json)
        ok = print_json(result_json(r), e);
    else if (ok)
        report_print(report, false, stdout, STDOUT_FILENO);
    free(report);
    return ok;
}

/* --- the command --- */

static bool read_levels(struct run *r, struct err *e)
{
    const struct bench_settings *s = &r->settings;
    struct levels *l = &r->levels;
    return bench_levels(s->concurrency, "concurrency", 1, BENCH_AT_A_TIME, true, l->closed, &l->closed_count,
                        e) &&
           bench_levels(s->rate, "rate", 0.001, 10000, false, l->open, &l->open_count, e) &&
           bench_levels(s->lengths, "lengths", 0.1, MAX_SECONDS, false, l->lengths, &l->length_count, e) &&
           (l->closed_count + l->open_count + l->length_count + s->cold > 0 ||
            err_set(e, ERR_USAGE,
                    "nothing to measure: --concurrency, --rate, --lengths and --cold say what"));
}

static bool read_old(struct run *r, struct err *e)
{
    size_t size;
    const char *path = r->settings.compare;
    char *text = path ? file_read(r->arena, path, MAX_OLD, &size, e) : NULL;
    if (!path)
        return true;
    return text && (bench_parse(text, size, &r->old, e) || err_wrap(e, "%s", path));
}

static bool read_prices(struct run *r, struct err *e)
{
    if (!region_find(r->settings.region))
        return err_set(e, ERR_USAGE,
                       "--region: \"%.60s\" is not a region of Cloud Run; asia-northeast1 is one",
                       r->settings.region);
    r->prices = prices_builtin(e);
    return r->prices != NULL;
}

/* Good for an hour of asking. */
static bool find_identity(struct run *r, struct err *e)
{
    char *identity = arena_alloc(r->arena, GOOGLE_IDENTITY_BYTES, 1);
    if (!identity)
        return err_set(e, ERR_MEMORY, "no memory");
    r->ask.identity = r->service.wants_identity ? identity : NULL;
    return google_identity(&r->service, identity, e);
}

static bool find_service(struct run *r, const char *operand, struct err *e)
{
    r->base = operand;
    r->ask.key = r->settings.api_key;
    if (service_is_url(operand))
        return service_check_url(operand, e);
    switch (service_by_name(operand, r->arena, &r->service, e)) {
    case SERVICE_FOUND:
        r->base = r->service.url;
        return find_identity(r, e) && service_key(&r->service, r->settings.api_key, r->arena, &r->ask.key, e);
    case SERVICE_NONE:
        return err_set(e, ERR_NOT_FOUND,
                       "there is no service \"%.80s\"; `ferry status` lists those there are, others are "
                       "asked by their address, http://…",
                       operand);
    case SERVICE_ERROR:
        break;
    }
    return false;
}

static bool meet(struct run *r, struct err *e)
{
    struct bench_result *b = &r->result;
    struct http_request q = request_of(r);
    char date[HUMAN_TIME];
    r->ask.http = http_new(e);
    r->model = r->settings.model;
    if (r->ask.http && !r->model)
        r->model = ask_first_model(r->ask.http, q, r->arena, r->base, e);
    r->ask.url = service_endpoint(r->arena, r->base, "chat/completions");
    snprintf(b->ferry, sizeof b->ferry, "%s", FERRY_VERSION);
    snprintf(b->date, sizeof b->date, "%s", human_time((int64_t)time(NULL), date));
    snprintf(b->service, sizeof b->service, "%s", r->base);
    snprintf(b->model, sizeof b->model, "%s", r->model ? r->model : "");
    b->max_tokens = r->settings.max_tokens;
    return r->ask.http && r->model && (r->ask.url || err_set(e, ERR_MEMORY, "no memory for the address"));
}

static bool run_with(struct run *r, const struct command *c, const struct operands *o, struct err *e)
{
    if (o->count == 0)
        return err_set(e, ERR_USAGE, "which service? usage: ferry bench %s", c->synopsis);
    log_set_level(LOG_ERROR);
    r->ask.stop = interrupt_watch();
    bool ok = read_levels(r, e) && read_prices(r, e) && read_old(r, e) && read_audio(r, e) &&
              find_service(r, o->items[0], e) && meet(r, e) && measure_all(r, e);
    if (ok) {
        price(r);
        predict(r);
    }
    return ok && report(r, e);
}

static bool run_bench(const struct command *c, char **args, int count, struct err *e)
{
    struct run *r = calloc(1, sizeof *r);
    struct operands o = {0};
    bool ok = false;

    if (r)
        r->settings.length = LENGTH_UNSET;
    if (!r || !(r->arena = arena_new((size_t)4 * ASK_MAX_FILE_BYTES)))
        err_set(e, ERR_MEMORY, "no memory");
    else if (options_read(c, args, count, &r->settings, &o, e))
        ok = o.help ? (help_command(stdout, c), true) : run_with(r, c, &o, e);
    if (r) {
        audio_clear(&r->audio);
        http_free(r->ask.http);
        prices_free(r->prices);
        arena_free(r->arena);
    }
    free(r);
    return ok;
}

static const struct option_group load_group = {"How it is asked", load_options,
                                               sizeof load_options / sizeof *load_options};
static const struct option_group request_group = {"What is asked", request_options,
                                                  sizeof request_options / sizeof *request_options};
static const struct option_group told_group = {"What is told", told_options,
                                               sizeof told_options / sizeof *told_options};
static const struct option_group *const bench_groups[] = {&load_group, &request_group, &told_group, NULL};

static const char *const bench_examples[] = {
    "ferry bench demo",
    "1, 2, 4 and 8 requests at a time, 20 s each",
    "ferry bench http://localhost:8080 -c 1,4 -r 0.5,1,2 -l 1,10,30 --html bench.html",
    "at rates and with longer recordings too; a page with charts",
    "ferry bench demo -c none --cold 5",
    "cold starts alone",
    "ferry bench demo --json > today.json",
    "to be compared with: ferry bench demo --compare today.json",
    NULL,
};

const struct command command_bench = {
    .name = "bench",
    .synopsis = "NAME|URL [options]",
    .summary = "measure a service: latency, throughput, cold starts, cost",
    .about =
        "Asks a service again and again, the same question each time, and tells the time to the first token, "
        "the time of an answer and tokens a second, as percentiles (p50, p90, p99, each a value that was "
        "measured), and what 1,000 such requests would cost on Cloud Run. In a closed loop a slow service is "
        "asked less; in an open loop requests come when they come, and the time counts from when each was "
        "due. The service may be any that speaks OpenAI's API. Requests are real ones: on a service that is "
        "paid for they are paid for.\n"
        "\n"
        "A service of `ferry deploy`, by its NAME, is set beside what a plan says of its model there: first "
        "token, tokens a second, memory, on Cloud Run cold starts too. The comparisons are kept for later "
        "plans.",
    .examples = bench_examples,
    .groups = bench_groups,
    .max_operands = 1,
    .run = run_bench,
};
