#include "cmd/deploy_question.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/stop.h"
#include "cloud/identity.h"
#include "cmd/ask.h"
#include "cmd/plan_format.h"
#include "cmd/plan_measure.h"
#include "cmd/plan_model.h"
#include "cmd/plan_state.h"
#include "cmd/prediction_report.h"
#include "cmd/service_load.h"
#include "cmd/service_metrics.h"
#include "cmd/service_name.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARENA_BYTES = 256 << 20, ANSWER_TOKENS = 48, SHOWN = 160 };

/* Some forty words: PLAN_TEXT_TOKENS with the chat template. */
static const char question[] =
    "Please introduce yourself in one or two short sentences: say what kind of model you are, which "
    "languages you understand and speak, what you can hear in a recording, and what the people who call "
    "this service may best use you for.";

/* One question, and what was seen on the way. */
struct asking {
    const struct deploy_cloud *d;
    const struct target_service *service;
    struct arena *arena; /* of this question alone */
    char identity[GOOGLE_IDENTITY_BYTES];
    const char *key; /* NULL: it asks for none */
    struct http *http;
    struct http_request request;
    double contact_ms, met_ms, sent_ms; /* of the first contact: sent, answered; the question sent */
    struct service_load before, after;
    struct answer answer;
    double resident_bytes;
    struct plan_serving expected;
    struct predictions came;
};

/* --- asking --- */

static bool meet(struct asking *q, struct err *e)
{
    q->request = (struct http_request){.bearer = q->key, .stop = q->d->run->stop};
    if (*q->identity)
        q->request.headers[0] = (struct http_header){IDENTITY_HEADER, q->identity};
    q->contact_ms = clock_ms();
    bool ok = service_load_get(q->http, &q->request, q->arena, q->service->url, &q->before, e);
    q->met_ms = clock_ms();
    return ok;
}

/* A service calls its model by the last word of its place. NULL: no memory. */
static const char *served_name(struct arena *a, const char *uri)
{
    size_t end = strlen(uri);
    while (end && uri[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin && uri[begin - 1] != '/')
        begin--;
    return arena_strndup(a, uri + begin, end - begin);
}

static bool ask(struct asking *q, struct err *e)
{
    struct ask a = {.settings = {.engine = ENGINE_SETTINGS_UNSET,
                                 .model = served_name(q->arena, q->service->model),
                                 .api_key = q->key,
                                 .max_tokens = ANSWER_TOKENS,
                                 .seed = 1},
                    .target = q->service->url,
                    .identity = *q->identity ? q->identity : NULL,
                    .question = question,
                    .stop = q->d->run->stop};
    q->sent_ms = clock_ms();
    return answer_open(&q->answer, true, false, e) && ask_url(&a, q->arena, &q->answer, e) &&
           (fflush(q->answer.out) == 0 || err_errno(e, "the answer"));
}

static bool look(struct asking *q, struct err *e)
{
    struct service_metrics m;
    if (!service_load_wait(q->http, &q->request, q->arena, q->service->url, &q->after, e) ||
        !service_metrics_get(q->http, &q->request, q->arena, q->service->url, &m, e))
        return false;
    q->resident_bytes = m.resident_bytes;
    return true;
}

/* --- comparing --- */

/* The first token, as the caller sees it; NAN: the answer is empty. */
static double first_token_seconds(const struct asking *q, double since_ms)
{
    return q->answer.first_ms > 0 ? (q->answer.first_ms - since_ms) * 1e-3 : NAN;
}

/* 1: all of it. */
static double missing(double bytes, double total)
{
    return total > 0 ? 1 - bytes / total : 1;
}

static bool most_was_missing(const struct asking *q)
{
    return missing(q->before.bytes, q->before.total) >= 0.5;
}

static bool began_before(const struct asking *q)
{
    return q->before.elapsed_ms > q->met_ms - q->contact_ms;
}

/* An instance that went away between two requests tells of another's load. */
static bool same_instance(const struct asking *q)
{
    return q->after.elapsed_ms >= q->before.elapsed_ms;
}

/* What is left of a time when a part of the weights was there. */
static struct span left(const struct asking *q, struct span all, double bytes, double total)
{
    struct span w = q->expected.cold.first_weights;
    return began_before(q)
               ? span_times((struct span){all.least - w.least, all.most - w.most}, missing(bytes, total))
               : all;
}

static struct prediction_of about(const struct asking *q)
{
    const struct target_service *s = q->service;
    struct prediction_of of = {.vcpu = s->vcpu, .gib = (int)(s->memory_limit_bytes >> 30)};
    plan_state_date(of.date);
    plan_state_copy(of.service, sizeof of.service, s->name);
    plan_state_copy(of.model, sizeof of.model, s->model);
    snprintf(of.where, sizeof of.where, "cloud-run %.40s", s->region);
    snprintf(of.encoding, sizeof of.encoding, "%s", q->expected.encoding);
    return of;
}

static void compare(struct asking *q)
{
    const struct plan_serving *x = &q->expected;
    struct prediction_of of = about(q);
    struct predictions *p = &q->came;
    if (q->before.state == SERVICE_LOADED) {
        prediction_compare(p, &of, PREDICTED_FIRST_TOKEN, x->answer.prefill,
                           first_token_seconds(q, q->sent_ms));
    } else if (same_instance(q) && most_was_missing(q)) {
        const struct service_load *b = &q->before;
        double loaded_ms = q->met_ms - q->contact_ms + q->after.elapsed_ms - q->before.elapsed_ms;
        prediction_compare(p, &of, PREDICTED_COLD_FIRST_TOKEN,
                           left(q, x->cold.first_token, b->text_bytes, b->text_total),
                           first_token_seconds(q, q->contact_ms));
        prediction_compare(p, &of, PREDICTED_LOADED, left(q, x->cold.loaded, b->bytes, b->total),
                           loaded_ms * 1e-3);
    }
    prediction_compare(p, &of, PREDICTED_TOKENS, span_divides(1, x->answer.token),
                       answer_tokens_per_second(&q->answer));
    prediction_compare(p, &of, PREDICTED_MEMORY, x->memory, q->resident_bytes);
}

/* Bytes a second, opening the files with it; 0: most of them came before. */
static double fetch_rate(const struct asking *q)
{
    double ms = q->after.elapsed_ms - q->before.elapsed_ms;
    return most_was_missing(q) && ms > 0 ? (q->after.bytes - q->before.bytes) / ms * 1e3 : 0;
}

static bool keep_rate(const struct asking *q, double rate, struct err *e)
{
    struct measurements *all = arena_alloc(q->arena, 1, sizeof *all);
    struct measurement m = {.what = MEASURED_FETCH, .per_second = rate, .cores = q->service->vcpu};
    const char *bucket = q->service->model;
    const char *slash = strchr(bucket + strlen("gs://"), '/');
    if (!all)
        return err_set(e, ERR_MEMORY, "no memory for what was measured");
    plan_state_date(m.date);
    snprintf(m.where, sizeof m.where, "cloud-run %.40s", q->service->region);
    snprintf(m.from, sizeof m.from, "%.*s", slash ? (int)(slash - bucket) : (int)strlen(bucket), bucket);
    if (!measurements_read(all, q->arena, e))
        return false;
    measurements_add(all, &m);
    return measurements_write(all, q->arena, e);
}

/* --- expecting --- */

static bool expect(struct asking *q, struct err *e)
{
    const struct service_settings *s = &q->d->instance->service;
    struct plan_question plan = {.answer_tokens = ANSWER_TOKENS,
                                 .context = s->engine.context,
                                 .parallel = s->parallel,
                                 .kv = deploy_cloud_kv(s),
                                 .vcpu = q->service->vcpu};
    struct measurements *measured = arena_alloc(q->arena, 1, sizeof *measured);
    struct stores *stores = stores_new(0, e);
    struct model_reading m = {0};
    bool ok = stores && (measured || err_set(e, ERR_MEMORY, "no memory")) &&
              measurements_read(measured, q->arena, e) &&
              model_read(&m, stores, q->service->model, q->arena, e);
    if (ok) {
        struct plan_measured there = measurements_there(measured, q->service->region);
        q->expected = plan_serving(&m.model, &plan, &there);
    }
    model_reading_clear(&m);
    stores_free(stores);
    return ok;
}

/* --- telling --- */

static const char *met(struct report *r, const struct asking *q)
{
    if (q->before.state == SERVICE_LOADED)
        return _("an instance that was loaded: no cold start was met");
    if (began_before(q))
        return report_text(r, "an instance that Cloud Run had started %s before, with %.0f %% of its weights",
                           say_seconds(r, (q->before.elapsed_ms - q->met_ms + q->contact_ms) * 1e-3),
                           100 - missing(q->before.bytes, q->before.total) * 100);
    return _("no instance: this contact started one");
}

static const char *since_start(struct report *r, double ms, const char *what)
{
    return isnan(ms) ? "" : report_text(r, "%s %s, ", what, say_seconds(r, ms * 1e-3));
}

static const char *own_timeline(struct report *r, const struct asking *q)
{
    const struct service_load *l = &q->after;
    return report_text(r, "%s%s%sall %s of weights %s", since_start(r, l->headers_ms, _("headers read")),
                       since_start(r, l->layer_ms, _("first layer")),
                       since_start(r, l->first_token_ms, _("first token")), say_gib(r, (uint64_t)l->total),
                       say_seconds(r, l->elapsed_ms * 1e-3));
}

/* The beginning of the answer, on one line. */
static const char *shown(struct report *r, const struct asking *q)
{
    size_t n = q->answer.text_size;
    bool cut = n > SHOWN;
    for (n = cut ? SHOWN : n; cut && n && ((unsigned char)q->answer.text[n] & 0xc0) == 0x80;)
        n--;
    return n ? report_text(r, "\"%.*s\"%s", (int)n, q->answer.text, cut ? "…" : "") : _("nothing");
}

static void print(struct report *r, const struct asking *q, double rate)
{
    r->title = report_text(r, "%s was asked a first question", q->service->name);
    struct report_section *s = report_section(r, "question", "What came", "|");
    REPORT_ROW(s, REPORT_PLAIN, NULL, _("it answered"), shown(r, q));
    REPORT_ROW(s, REPORT_PLAIN, NULL, _("it met"), met(r, q));
    REPORT_ROW(
        s, REPORT_PLAIN, NULL, _("first token"),
        report_text(r, "%s after the first contact", say_seconds(r, first_token_seconds(q, q->contact_ms))));
    REPORT_ROW(s, REPORT_PLAIN, NULL, _("since it began"), own_timeline(r, q));
    if (rate > 0)
        REPORT_ROW(s, REPORT_PLAIN, NULL, _("from the bucket"),
                   report_text(r, "%s, which plans of this region now rest on", say_rate(r, rate)));
    prediction_section(r, &q->came);
    report_print(r, false, stdout, STDOUT_FILENO);
}

static json_t *ms_json(double ms)
{
    return isnan(ms) ? json_null() : json_real(ms * 1e-3);
}

static json_t *question_json(const struct asking *q, double rate)
{
    const struct service_load *l = &q->after;
    return json_pack("{s:s%, s:s, s:o, s:o, s:{s:o, s:o, s:o, s:o, s:f}, s:o, s:o}", "answer", q->answer.text,
                     q->answer.text_size, "met",
                     q->before.state == SERVICE_LOADED ? "loaded"
                     : began_before(q)                 ? "loading"
                                                       : "nothing",
                     "first_token_seconds", ms_json(first_token_seconds(q, q->contact_ms) * 1e3),
                     "bytes_per_second", rate > 0 ? json_real(rate) : json_null(), "since_it_began",
                     "headers_read", ms_json(l->headers_ms), "first_layer", ms_json(l->layer_ms),
                     "first_token", ms_json(l->first_token_ms), "loaded", ms_json(l->elapsed_ms),
                     "weight_bytes", l->total, "predictions", predictions_json(&q->came), "question",
                     json_string(question));
}

static bool tell(const struct asking *q, double rate, json_t **json, struct err *e)
{
    if (q->d->quiet) {
        *json = question_json(q, rate);
        return *json || err_set(e, ERR_CORRUPT, "the answer is not UTF-8");
    }
    struct report *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_MEMORY, "no memory for the report");
    r->arena = q->arena;
    print(r, q, rate);
    free(r);
    return true;
}

static void say_failed(const struct asking *q, const struct err *why)
{
    const char *name = q->service->name;
    fprintf(stderr, "%s is deployed, but was not asked or did not answer: %s; ", name, why->text);
    if (why->kind == ERR_AUTH)
        fprintf(stderr,
                "`gcloud run services add-iam-policy-binding %s --region %s --project %s --member user:YOU "
                "--role roles/run.invoker` lets you call it, then `ferry ask %s \"Who are you?\"`\n",
                name, q->service->region, q->d->run->project, name);
    else
        fprintf(stderr, "`ferry logs %s` shows what it says, `ferry ask %s \"Who are you?\"` asks again\n",
                name, name);
}

/* --- all --- */

static bool ask_and_compare(struct asking *q, json_t **json, struct err *e)
{
    struct err kept = {0};
    if (!google_identity(q->service, q->identity, e) ||
        !service_key(q->service, NULL, q->arena, &q->key, e) || !expect(q, e) || !(q->http = http_new(e)) ||
        !meet(q, e) || !ask(q, e) || !look(q, e))
        return false;
    double rate = fetch_rate(q);
    compare(q);
    if (rate >= 1 && !keep_rate(q, rate, &kept))
        fprintf(stderr, "how fast its weights came is not kept: %s\n", kept.text);
    prediction_keep_or_say(&q->came, q->arena);
    return tell(q, rate, json, e);
}

bool deploy_question(const struct deploy_cloud *d, const struct target_service *s, json_t **json,
                     struct err *e)
{
    struct asking *q = calloc(1, sizeof *q);
    struct err why = {0};
    *json = NULL;
    if (!q || !(q->arena = arena_new(ARENA_BYTES))) {
        free(q);
        return err_set(e, ERR_MEMORY, "no memory for a question");
    }
    fflush(stdout); /* what was said of it is read while this takes its time */
    q->d = d;
    q->service = s;
    bool ok = ask_and_compare(q, json, &why), stopped = !ok && stop_wanted(d->run->stop);
    if (!ok && !stopped)
        say_failed(q, &why);
    answer_close(&q->answer);
    http_free(q->http);
    arena_free(q->arena);
    free(q);
    return !stopped || err_set(e, ERR_CANCELLED, "interrupted; %s is deployed", s->name);
}
