/* plan.c: `ferry plan`: what a model needs and costs, before anything is paid. */
#include "cmd/commands.h"
#include "cmd/copying.h"
#include "cmd/interrupt.h"
#include "cmd/live_prices.h"
#include "cmd/page.h"
#include "cmd/plan_command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARENA_BYTES = INT32_MAX };

struct plan_settings {
    const char *region, *html, *prices;
    int encode, kv;
    double requests, audio, rate;
    int tokens, min_instances, context, parallel, vcpu;
    bool compare, explain, json, measure;
};

static const struct option question_options[] = {
    {.name = "region",
     .type = OPTION_TEXT,
     .argument = "REGION",
     .preset = REGION_DEFAULT,
     .offset = offsetof(struct plan_settings, region),
     .help = "where it is to run, as Cloud Run calls it"},
    {.name = "encode",
     .letter = 'e',
     .type = OPTION_CHOICE,
     .argument = "ENCODING",
     .preset = "none",
     .choices = "none|bf16|q8_0|q4_0",
     .offset = offsetof(struct plan_settings, encode),
     .help = "the encoding that the details are about, as for `ferry stage`; none: as stored"},
    {.name = "requests",
     .type = OPTION_REAL,
     .argument = "N",
     .preset = "100",
     .min = 0,
     .max = 1e7,
     .offset = offsetof(struct plan_settings, requests),
     .help = "requests a day"},
    {.name = "audio",
     .type = OPTION_REAL,
     .argument = "SECONDS",
     .preset = "10",
     .min = 0,
     .max = 1800,
     .offset = offsetof(struct plan_settings, audio),
     .help = "of recording in each request; 0 for text alone"},
    {.name = "tokens",
     .type = OPTION_INT,
     .argument = "N",
     .preset = "128",
     .min = 1,
     .max = 1 << 20,
     .offset = offsetof(struct plan_settings, tokens),
     .help = "of answer in each request"},
};

static const struct option service_options[] = {
    {.name = "context",
     .type = OPTION_INT,
     .argument = "TOKENS",
     .min = 1,
     .max = 1 << 24,
     .offset = offsetof(struct plan_settings, context),
     .help = "most tokens of question and answer together; the model's own maximum unless told"},
    {.name = "parallel",
     .type = OPTION_INT,
     .argument = "N",
     .preset = "1",
     .min = 1,
     .max = 256,
     .offset = offsetof(struct plan_settings, parallel),
     .help = "answers generated at a time by one instance"},
    {.name = "kv",
     .type = OPTION_CHOICE,
     .argument = "TYPE",
     .preset = "bf16",
     .choices = "bf16|q8|f32",
     .offset = offsetof(struct plan_settings, kv),
     .help = "what the KV cache is kept in"},
    {.name = "cpu",
     .type = OPTION_INT,
     .argument = "N",
     .min = 1,
     .max = RUN_MOST_VCPU,
     .offset = offsetof(struct plan_settings, vcpu),
     .help = "vCPUs of an instance (1, 2, 4, 6, 8); the fewest that answer as fast as one reads unless told, "
             "else 8"},
    {.name = "min-instances",
     .type = OPTION_INT,
     .argument = "N",
     .preset = "0",
     .min = 0,
     .max = 1000,
     .offset = offsetof(struct plan_settings, min_instances),
     .help = "instances kept while nobody calls"},
};

static const struct option output_options[] = {
    {.name = "compare",
     .type = OPTION_FLAG,
     .offset = offsetof(struct plan_settings, compare),
     .help = "Amazon's services beside it, with the limit that rules each out"},
    {.name = "explain",
     .type = OPTION_FLAG,
     .offset = offsetof(struct plan_settings, explain),
     .help = "the arithmetic of each number, with what is assumed"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct plan_settings, json),
     .help = "print one JSON object (docs/plan.md)"},
    {.name = "html",
     .type = OPTION_TEXT,
     .argument = "FILE",
     .offset = offsetof(struct plan_settings, html),
     .help = "write a page with charts too"},
    {.name = "measure",
     .type = OPTION_FLAG,
     .offset = offsetof(struct plan_settings, measure),
     .help = "try for some seconds how fast MODEL's bytes come and memory is read, and remember it"},
    {.name = "rate",
     .type = OPTION_REAL,
     .argument = "YEN",
     .env = "FERRY_YEN_PER_USD",
     .min = 1e-3,
     .max = 1e6,
     .offset = offsetof(struct plan_settings, rate),
     .help = "yen to the dollar; amounts are then in yen"},
    {.name = "prices",
     .type = OPTION_TEXT,
     .argument = "snapshot|FILE",
     .env = "FERRY_PRICES",
     .offset = offsetof(struct plan_settings, prices),
     .help = "the snapshot in this program alone, or another one, of the same form as data/prices.json; "
             "without it Google's Cloud Billing Catalog is asked, where there are credentials"},
};

/* One run of the command. */
struct run {
    struct plan_settings settings;
    struct stores *stores;
    struct arena *arena;
    struct prices *prices;
    struct price_news news;
    struct model_reading reading;
    struct measurements measured;
    struct predictions predictions;
    struct plan plan;
};

/* Somebody waits for a few lines: without a network he is told so soon. */
static const struct retry_policy impatient = {
    .first_ms = 500, .cap_ms = 2000, .max_tries = 3, .max_seconds = 10, .longest_wait_s = 30};

/* --- what is asked --- */

static bool find_region(const struct run *r, struct plan_question *q, struct err *e)
{
    q->region = region_find(r->settings.region);
    return q->region ||
           err_set(e, ERR_USAGE,
                   "--region %.60s: not a region that Ferry knows, expected one such as " REGION_DEFAULT
                   " or us-central1",
                   r->settings.region);
}

static bool check_cpu(const struct run *r, struct err *e)
{
    struct run_shape least, most;
    for (int n = 0; run_shape_limits(n, &least, &most); n++)
        if (r->settings.vcpu == 0 || r->settings.vcpu == least.vcpu)
            return true;
    return err_set(e, ERR_USAGE, "--cpu %d: Cloud Run has 1, 2, 4, 6 or 8", r->settings.vcpu);
}

static bool ask(const struct run *r, struct plan_question *q, struct err *e)
{
    const struct plan_settings *s = &r->settings;
    const struct plan_model *m = &r->reading.model;
    bool hears = m->runs && m->config.family == MODEL_QWEN2_AUDIO;
    *q = (struct plan_question){.encoding = (enum plan_encoding)s->encode,
                                .requests_per_day = s->requests,
                                .audio_seconds = hears ? s->audio : 0,
                                .answer_tokens = s->tokens,
                                .min_instances = s->min_instances,
                                .context = s->context,
                                .parallel = s->parallel,
                                .kv = (enum plan_kv)s->kv,
                                .vcpu = s->vcpu};
    return find_region(r, q, e) && check_cpu(r, e);
}

static bool read_prices(struct run *r, struct err *e)
{
    const struct plan_settings *s = &r->settings;
    struct price_question q = {s->region, s->prices, prices_yen_wanted() && s->rate == 0};
    r->prices = prices_read(&q, &r->news, r->arena, e);
    return r->prices != NULL;
}

static bool try_speed(struct run *r, struct err *e)
{
    if (!measurements_read(&r->measured, r->arena, e))
        return false;
    return !r->settings.measure ||
           (measure(&r->measured, &r->reading, r->settings.region, interrupt_watch(), e) &&
            measurements_write(&r->measured, r->arena, e));
}

static bool look_back(struct run *r, struct err *e)
{
    char where[64];
    snprintf(where, sizeof where, "cloud-run %.40s", r->settings.region);
    if (!predictions_read(&r->predictions, r->arena, e))
        return false;
    predictions_only(&r->predictions, r->reading.uri, where);
    return true;
}

static bool make(struct run *r, const char *model, struct err *e)
{
    struct plan_question q;
    struct plan_question known = {0};
    if (!find_region(r, &known, e) || !check_cpu(r, e) || !read_prices(r, e) ||
        !(r->stores = stores_new(0, e)))
        return false;
    stores_retry(r->stores, &impatient);
    if (!model_read(&r->reading, r->stores, model, r->arena, e) || !try_speed(r, e) || !look_back(r, e) ||
        !ask(r, &q, e))
        return false;
    struct plan_measured there = measurements_there(&r->measured, r->settings.region);
    return plan_make(&r->plan, &r->reading.model, &q, &there, r->prices, r->arena, e);
}

/* --- what is told --- */

struct page {
    struct report *report;
    const struct plan_view *view;
};

static void write_page(void *arg, FILE *out)
{
    struct page *p = arg;
    plan_html(p->report, p->view, out);
}

static bool is_file(const char *prices)
{
    return prices && strcmp(prices, PRICES_SNAPSHOT) != 0;
}

static bool tell(struct run *r, struct err *e)
{
    const struct plan_settings *s = &r->settings;
    struct plan_view v = {.plan = &r->plan,
                          .reading = &r->reading,
                          .prices = r->prices,
                          .prices_from = is_file(s->prices) ? s->prices : NULL,
                          .news = &r->news,
                          .measured = &r->measured,
                          .predictions = &r->predictions,
                          .money = {s->rate > 0 ? s->rate : r->news.yen_per_usd},
                          .rate_given = s->rate > 0,
                          .compare = s->compare,
                          .japanese_locale = prices_yen_wanted()};
    struct report *report = calloc(1, sizeof *report);
    if (!report)
        return err_set(e, ERR_MEMORY, "no memory for the report");
    report->arena = r->arena;
    plan_report(report, &v);
    bool ok = !s->html || page_write(s->html, write_page, &(struct page){report, &v}, e);
    if (ok && s->json)
        ok = print_json(plan_json(&v), e);
    else if (ok)
        report_print(report, s->explain, stdout, STDOUT_FILENO);
    free(report);
    return ok;
}

static bool run_with(struct run *r, const struct command *c, const struct operands *o, struct err *e)
{
    if (o->count == 0)
        return err_set(e, ERR_USAGE, "which model? usage: ferry plan %s", c->synopsis);
    return make(r, o->items[0], e) && tell(r, e);
}

static bool run_plan(const struct command *c, char **args, int count, struct err *e)
{
    struct run *r = calloc(1, sizeof *r);
    struct operands o = {0};
    bool ok = false;

    if (!r || !(r->arena = arena_new(ARENA_BYTES)))
        err_set(e, ERR_MEMORY, "no memory");
    else if (options_read(c, args, count, &r->settings, &o, e))
        ok = o.help ? (help_command(stdout, c), true) : run_with(r, c, &o, e);
    if (r) {
        model_reading_clear(&r->reading);
        prices_free(r->prices);
        stores_free(r->stores);
        arena_free(r->arena);
    }
    free(r);
    return ok;
}

static const struct option_group question_group = {"What is asked of it", question_options,
                                                   sizeof question_options / sizeof *question_options};
static const struct option_group service_group = {"How it is kept", service_options,
                                                  sizeof service_options / sizeof *service_options};
static const struct option_group output_group = {"What is told", output_options,
                                                 sizeof output_options / sizeof *output_options};
static const struct option_group *const plan_groups[] = {&question_group, &service_group, &output_group,
                                                         NULL};

static const char *const plan_examples[] = {
    "ferry plan Qwen/Qwen2-Audio-7B-Instruct",
    "does it fit, how fast does it start, what does it cost",
    "ferry plan gs://my-models/qwen2-audio -e q8_0 --requests 2000 --explain",
    "what is staged already, in eight bits, at 2,000 requests a day, with every formula",
    "ferry plan ./config.json --html plan.html --rate 150 --compare",
    "without a network; a page with charts, in yen, Amazon beside it",
    NULL,
};

const struct command command_plan = {
    .name = "plan",
    .synopsis = "MODEL|FOLDER|gs://BUCKET/PREFIX|config.json [options]",
    .summary = "say what a model needs and costs, before anything is paid",
    .about =
        "Reads some kilobytes, config.json and the headers of the tensors, and says which Cloud Run instance "
        "holds "
        "the model in which encoding, how long a cold start takes, how fast it answers, what a month costs "
        "and "
        "from how many requests on another way is cheaper. Nothing is copied, created or paid. What the "
        "files say "
        "is exact; speeds are ranges until they are measured; prices are today's where there are credentials "
        "for "
        "Google Cloud, else those of a dated snapshot, and what neither has is called unknown.\n"
        "\n"
        "Any safetensors model can be planned; for one that Ferry's engine does not run, what another server "
        "takes beside weights and cache stays unknown. Without a network a folder, or its config.json alone, "
        "does "
        "as well.",
    .examples = plan_examples,
    .groups = plan_groups,
    .max_operands = 1,
    .run = run_plan,
};
