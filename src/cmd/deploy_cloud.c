#include "cmd/deploy_cloud.h"

#include "base/catalog.h"
#include "cloud/gcloud_config.h"
#include "cmd/confirm.h"
#include "cmd/deploy_gpu.h"
#include "cmd/deploy_key.h"
#include "cmd/image_report.h"
#include "cmd/live_prices.h"
#include "cmd/plan_format.h"
#include "cmd/plan_measure.h"
#include "cmd/plan_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_INSTANCES = 3, /* unless told: a limit to what a flood of requests can cost */
    /* The same as `ferry plan` assumes unless told. */
    REQUESTS_PER_DAY = 100,
    ANSWER_TOKENS = 128,
    AUDIO_SECONDS = 10,
};

/* One run: what was read of the model, and the plan. */
struct deploy_work {
    struct deploy_cloud *d;
    struct google google;
    struct model_reading reading;
    struct prices *prices;
    struct price_news news;
    struct plan plan;
    struct cloud_run_options options;
    struct deploy_key key; /* when one was made */
};

/* --- what is sent, told --- */

static void tell_request(void *arg, const char *method, const char *url, const json_t *body)
{
    (void)arg;
    printf("%s %s\n", method, url);
    char *text = body ? json_dumps(body, JSON_INDENT(2)) : NULL;
    if (text)
        puts(text);
    free(text);
}

static void tell_push(void *arg, const struct push_request *q)
{
    (void)arg;
    image_print_requests(q, 1);
}

static void tell_blob(void *arg, const struct image_blob *b, enum push_state state)
{
    (void)arg;
    if (state == PUSH_SENT && strcmp(b->name, "manifest") == 0)
        fprintf(stderr, "the image is there: %.19s…\n", b->digest);
}

/* --- what it will be --- */

static bool find_region(struct deploy_work *w, struct err *e)
{
    struct target_run *r = w->d->run;
    const struct gcloud_config *config = cloud_config(r->cloud);
    if (!r->region)
        r->region = gcloud_property(config, "run", "region", NULL);
    if (!r->region)
        return err_set(e, ERR_USAGE,
                       "where to? --region, such as " REGION_DEFAULT " (Tokyo), in which the bucket "
                       "should lie, too");
    return region_find(r->region) ||
           err_set(e, ERR_USAGE,
                   "--region %.60s: not a region that Ferry knows, expected one such as " REGION_DEFAULT,
                   r->region);
}

enum plan_kv deploy_cloud_kv(const struct service_settings *s)
{
    enum { AUTO, BF16, Q8, F32 }; /* order of --kv */
    return s->engine.kv == Q8 ? PLAN_KV_Q8 : s->engine.kv == F32 ? PLAN_KV_F32 : PLAN_KV_BF16;
}

static bool make_plan(struct deploy_work *w, struct err *e)
{
    const struct deploy_cloud *d = w->d;
    const struct plan_model *m = &w->reading.model;
    struct plan_question q = {.region = region_find(d->run->region),
                              .encoding = d->encoding,
                              .requests_per_day = REQUESTS_PER_DAY,
                              .audio_seconds = m->config.family == MODEL_QWEN2_AUDIO ? AUDIO_SECONDS : 0,
                              .answer_tokens = ANSWER_TOKENS,
                              .min_instances = d->instance->min_instances,
                              .context = d->instance->service.engine.context,
                              .parallel = d->instance->service.parallel,
                              .kv = deploy_cloud_kv(&d->instance->service),
                              .vcpu = d->instance->vcpu};
    struct measurements *all = arena_alloc(d->run->arena, 1, sizeof *all);
    if (!all)
        return err_set(e, ERR_MEMORY, "no memory for the plan");
    if (!measurements_read(all, d->run->arena, e))
        return false;
    struct plan_measured there = measurements_there(all, d->run->region);
    return plan_make(&w->plan, m, &q, &there, w->prices, d->run->arena, e);
}

static bool read_model(struct deploy_work *w, struct err *e)
{
    const char *model = w->d->source ? w->d->source : w->d->spec.model;
    if (!model_read(&w->reading, w->google.stores, model, w->d->run->arena, e))
        return false;
    return w->reading.model.runs ||
           err_set(e, ERR_UNSUPPORTED, "%s: Ferry's engine does not run it: %s", model,
                   w->reading.why_not ? w->reading.why_not : _("another architecture"));
}

/* --memory against what Cloud Run gives with so many vCPUs. */
static bool take_memory(struct deploy_work *w, struct run_shape *shape, struct err *e)
{
    uint64_t wanted = w->d->memory_bytes;
    struct run_shape least, most;
    int gib = (int)((wanted + PLAN_GIB - 1) / PLAN_GIB);
    if (!wanted)
        return true;
    for (int n = 0; run_shape_limits(n, &least, &most); n++) {
        bool vcpu_fits =
            w->d->instance->vcpu == 0 ? least.vcpu >= shape->vcpu : least.vcpu == w->d->instance->vcpu;
        if (vcpu_fits && gib >= least.gib && gib <= most.gib) {
            *shape = (struct run_shape){least.vcpu, gib};
            return true;
        }
    }
    return err_set(e, ERR_USAGE,
                   "--memory: %d GiB is not to be had with so many vCPUs; Cloud Run has at most %d GiB, "
                   "and more vCPUs may have more",
                   gib, RUN_MOST_GIB);
}

static bool find_shape(struct deploy_work *w, struct run_shape *shape, struct err *e)
{
    const struct plan_option *o = w->plan.chosen;
    *shape = o->shape;
    if (shape->vcpu == 0)
        return err_set(
            e, ERR_LIMIT,
            "%.1f GiB are needed and Cloud Run has %d with %d vCPU: encode it (`ferry stage --encode q8_0`), "
            "or take a smaller --context or --parallel",
            (double)o->memory_bytes / (double)PLAN_GIB, RUN_MOST_GIB,
            w->d->instance->vcpu ? w->d->instance->vcpu : RUN_MOST_VCPU);
    return take_memory(w, shape, e);
}

/* An instance that is kept while nobody calls has to be loaded before it counts as started: afterwards it
 * has CPU only while it answers. */
static void settle_start(struct deploy_work *w)
{
    if (w->d->instance->min_instances > 0)
        w->d->instance->service.start = START_GATE;
}

static bool fill_options(struct deploy_work *w, struct err *e)
{
    const struct deploy_cloud_settings *s = w->d->settings;
    const struct run_service *v = &w->plan.service;
    struct run_shape shape;
    if (!find_shape(w, &shape, e))
        return false;
    settle_start(w);
    bool gate = w->d->instance->service.start == START_GATE;
    w->options = (struct cloud_run_options){
        .vcpu = shape.vcpu,
        .memory_gib = shape.gib,
        .concurrency = v->concurrency,
        .timeout_seconds = w->d->instance->timeout_seconds ? w->d->instance->timeout_seconds : v->timeout_s,
        .min_instances = w->d->instance->min_instances,
        .max_instances = w->d->instance->max_instances ? w->d->instance->max_instances : MAX_INSTANCES,
        .cpu_idle = v->cpu_idle,
        .probe = {.path = gate ? "/readyz" : "/healthz",
                  .initial_delay_seconds = v->probe.initial_delay_s,
                  .period_seconds = v->probe.period_s,
                  .failure_threshold = v->probe.failure_threshold,
                  .timeout_seconds = v->probe.timeout_s},
        .is_public = s->is_public,
        .no_traffic = s->no_traffic,
        .on_blob = tell_blob,
        .on_push_request = tell_push,
        .service_account = w->d->instance->service_account};
    w->d->spec.cloud_run = &w->options;
    return deploy_key_settle(w->d, &w->key, &w->options, w->d->run->arena, e);
}

/* --- what it costs --- */

static void print_prices(const struct deploy_work *w, FILE *out)
{
    const struct price_news *n = &w->news;
    if (n->found > 0)
        fprintf(out, "  prices  Cloud Billing Catalog, %s", n->date);
    else
        fprintf(out, "  prices  a snapshot, %s", prices_date(w->prices));
    if (n->problem.kind)
        fprintf(out, "; today's could not be had: %s", n->problem.text);
    putc('\n', out);
}

static const char *callers(const struct cloud_run_options *o)
{
    bool key = o->key.make || o->key.secret;
    if (o->is_public)
        return key ? "who has the API key" : "anyone";
    return key ? "who has run.invoker on it, and the API key" : "who has run.invoker on it";
}

static void print_plan(struct deploy_work *w, struct report *report)
{
    const struct deploy_cloud *d = w->d;
    const struct plan_option *o = w->plan.chosen;
    const struct money money = {w->news.yen_per_usd};
    FILE *out = d->quiet ? stderr : stdout;
    fprintf(out, "%s: %s on Cloud Run in %s (%s), project %s\n", d->spec.name, d->spec.model,
            w->plan.question.region->place, d->run->region, d->run->project);
    fprintf(out, "  instance  %d vCPU, %d GiB of which %s are used; %d to %d of them; callers: %s\n",
            w->options.vcpu, w->options.memory_gib, say_gib(report, o->memory_bytes),
            w->options.min_instances, w->options.max_instances, callers(&w->options));
    fprintf(out, "  first token from nothing  %s, then %s tokens/s\n",
            say_seconds_span(report, o->cold.first_token),
            say_number_span(report, span_divides(1, o->answer.token)));
    fprintf(out, "  cost  %s a month at %d requests a day", say_usd_span(report, &money, o->month),
            REQUESTS_PER_DAY);
    if (w->options.min_instances == 0)
        fputs(", nothing while nobody asks", out);
    if (d->source) /* what it will put into the bucket is new */
        fprintf(out, ", and %s for what lies in the bucket",
                say_usd(report, &money, plan_storage_month(&w->plan)));
    fprintf(out, "; `ferry plan %s` says more\n", d->source ? d->source : d->spec.model);
    print_prices(w, out);
}

static bool tell_cost(struct deploy_work *w, struct err *e)
{
    struct report *report = calloc(1, sizeof *report);
    if (!report)
        return err_set(e, ERR_MEMORY, "no memory for the plan");
    report->arena = w->d->run->arena;
    print_plan(w, report);
    free(report);
    return true;
}

static bool ask(const struct deploy_work *w, struct err *e)
{
    char question[200];
    snprintf(question, sizeof question, "deploy %s?", w->d->spec.name);
    return w->d->settings->dry_run || confirm(question, w->d->settings->yes, e);
}

/* --- all --- */

static bool check_vcpu(int vcpu, struct err *e)
{
    struct run_shape least, most;
    for (int n = 0; run_shape_limits(n, &least, &most); n++)
        if (vcpu == 0 || vcpu == least.vcpu)
            return true;
    return err_set(e, ERR_USAGE, "--cpus %d: Cloud Run has 1, 2, 4, 6 or 8", vcpu);
}

static bool check(const struct deploy_cloud *d, struct err *e)
{
    const struct service_settings *s = &d->instance->service;
    if (!d->settings->rollback && !d->source && strncmp(d->spec.model, "gs://", 5) != 0)
        return err_set(
            e, ERR_USAGE,
            "%s: a service on Cloud Run loads its model from a bucket, gs://BUCKET/PREFIX; `ferry stage` "
            "puts it there",
            d->spec.model);
    if (d->instance->image)
        return err_set(
            e, ERR_USAGE,
            "--image is for --target knative: on Cloud Run the image is made of the ferry that runs; for "
            "one of yours, gcloud run deploy --image");
    if (d->instance->service_account && !strchr(d->instance->service_account, '@'))
        return err_set(e, ERR_USAGE,
                       "--service-account \"%.100s\": expected its address, such as "
                       "name@PROJECT.iam.gserviceaccount.com",
                       d->instance->service_account);
    if (s->api_key || s->api_key_file)
        return err_set(e, ERR_USAGE,
                       "an API key (FERRY_API_KEY, --api-key-file) is for --target local; on Cloud Run it "
                       "lies in Secret Manager: --public makes one, --key-secret names yours");
    return !s->config || strncmp(s->config, "gs://", 5) == 0 ||
           err_set(e, ERR_USAGE,
                   "--config %s: a service on Cloud Run reads its configuration from a bucket, gs://…",
                   s->config);
}

bool deploy_cloud_apply(struct deploy_work *w, struct target_service *out, struct err *e)
{
    struct deploy_cloud *d = w->d;
    bool ok = target_cloud_run.apply(d->run, &d->spec, out, e);
    if (ok && d->settings->dry_run)
        puts("nothing was sent");
    deploy_key_show(&w->key, d->spec.name, out->url, d->quiet ? stderr : stdout);
    return ok;
}

static bool check_gpu(const struct deploy_work *w, struct err *e)
{
    const char *gpu = w->d->settings->gpu;
    return !gpu || deploy_gpu_refuse(gpu, region_find(w->d->run->region), w->prices, e);
}

static bool fill_environment(struct deploy_work *w, struct err *e)
{
    struct deploy_cloud *d = w->d;
    d->spec.environment = service_environment(&d->instance->service, d->run->arena);
    return d->spec.environment || err_set(e, ERR_MEMORY, "no memory");
}

bool deploy_cloud_copier(struct deploy_work *w, struct cloud_run_copier *out, struct err *e)
{
    return cloud_run_copier(w->d->run, &w->d->spec, out, e);
}

bool deploy_cloud_copied(struct deploy_work *w, struct err *e)
{
    return cloud_run_copied(w->d->run, &w->d->spec, e);
}

bool deploy_cloud_plan(struct deploy_work *w, struct err *e)
{
    struct price_question q = {w->d->run->region, getenv("FERRY_PRICES"), prices_yen_wanted()};
    w->prices = prices_read(&q, &w->news, w->d->run->arena, e);
    return w->prices && check_gpu(w, e) && read_model(w, e) && make_plan(w, e) && fill_options(w, e) &&
           fill_environment(w, e) && tell_cost(w, e);
}

struct deploy_work *deploy_cloud_open(struct deploy_cloud *d, struct err *e)
{
    struct deploy_work *w = calloc(1, sizeof *w);
    if (!w) {
        err_set(e, ERR_MEMORY, "no memory");
        return NULL;
    }
    w->d = d;
    if (check_vcpu(d->instance->vcpu, e) && check(d, e) && google_need(&w->google, d->google, d->run, e) &&
        find_region(w, e))
        return w;
    deploy_cloud_close(w);
    return NULL;
}

void deploy_cloud_close(struct deploy_work *w)
{
    if (!w)
        return;
    model_reading_clear(&w->reading);
    prices_free(w->prices);
    google_close(&w->google);
    free(w);
}

static bool deploy(struct deploy_work *w, struct target_service *out, struct err *e)
{
    struct deploy_cloud *d = w->d;
    if (d->settings->dry_run)
        cloud_rehearse(d->run->cloud, tell_request, NULL);
    if (d->settings->rollback)
        return cloud_run_rollback(d->run, d->spec.name, out, e);
    return deploy_cloud_plan(w, e) && ask(w, e) && deploy_cloud_apply(w, out, e);
}

bool deploy_cloud(struct deploy_cloud *d, struct target_service *out, struct err *e)
{
    struct deploy_work *w = deploy_cloud_open(d, e);
    bool ok = w && deploy(w, out, e);
    deploy_cloud_close(w);
    return ok;
}
