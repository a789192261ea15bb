#include "base/clock.h"
#include "serve/http/playground.h"
#include "serve/http/state.h"

#include <string.h>

static json_t *model_json(const struct loaded_model *m)
{
    return json_pack("{s:s, s:s, s:I, s:s}", "id", m->model.name, "object", "model", "created",
                     (json_int_t)m->created, "owned_by", "ferry");
}

static void fail(struct call *c, enum err_kind kind, const char *code, const char *message)
{
    struct api_error e = {.code = code};
    api_refuse(&e, kind, "", "%s", message);
    call_fail(c, &e);
}

static void fail_loading(struct call *c)
{
    struct api_error e = {0};
    refuse_loading(c->server, &e);
    call_fail(c, &e);
}

static struct loaded_model *model_or_fail(struct call *c)
{
    struct loaded_model *m = atomic_load(&c->server->model);
    if (!m)
        fail_loading(c);
    return m;
}

static void answer_models(struct call *c)
{
    struct loaded_model *m = model_or_fail(c);
    if (m)
        call_reply_json(c, 200, json_pack("{s:s, s:[o]}", "object", "list", "data", model_json(m)));
}

static void answer_model(struct call *c)
{
    struct loaded_model *m = model_or_fail(c);
    const char *name = c->url + strlen(c->route->path);
    if (!m)
        return;
    if (strcmp(name, m->model.name) == 0) {
        call_reply_json(c, 200, model_json(m));
        return;
    }
    struct api_error e = {.code = "model_not_found"};
    api_refuse(&e, ERR_NOT_FOUND, "model", "there is no model '%.200s' here, only '%s'", name, m->model.name);
    call_fail(c, &e);
}

static void answer_health(struct call *c)
{
    call_reply_json(c, 200, json_pack("{s:s}", "status", "ok"));
}

static void answer_ready(struct call *c)
{
    if (atomic_load(&c->server->stopping))
        fail(c, ERR_CANCELLED, NULL, "the service is stopping");
    else if (!server_is_loaded(c->server))
        fail_loading(c);
    else
        call_reply_json(c, 200, json_pack("{s:s}", "status", "ready"));
}

static void answer_metrics(struct call *c)
{
    struct server *s = c->server;
    struct loaded_model *m = atomic_load(&s->model);
    struct live_status config;
    struct metrics_now now = {
        .connections = atomic_load(&s->connections),
        .body_bytes = atomic_load(&s->body_bytes),
        .ready = server_is_loaded(s),
        .arrival = s->opt.arrival,
        .version = s->opt.version,
        .math = s->opt.math,
        .cpu = m ? engine_cpu(m->engine) : "",
    };
    if (m) {
        now.load = scheduler_load(s->scheduler);
        now.slots = engine_parallel(m->engine);
    }
    if (s->live) {
        live_status(s->live, &config);
        now.config = &config;
    }
    now.load.waiting += worker_waiting(s->worker);
    struct bytes page = {0};
    if (metrics_write(s->metrics, &now, &page))
        call_reply(c, 200, "text/plain; version=0.0.4; charset=utf-8", page.data, page.size);
    else
        fail(c, ERR_MEMORY, NULL, "no memory for the metrics page");
    bytes_clear(&page);
}

static void answer_page(struct call *c)
{
    call_reply_page(c, (const char *)playground, playground_size, playground_policy);
}

/* A generation is a string: nanoseconds are more than a double holds. */
static json_t *generation_json(int64_t generation)
{
    return json_sprintf("%lld", (long long)generation);
}

static json_t *rejected_json(const struct live_status *s)
{
    if (!s->bad)
        return json_null();
    return json_pack("{s:o, s:I, s:s, s:b}", "generation", generation_json(s->bad), "since",
                     (json_int_t)s->bad_since, "problem", s->problem.text, "stands", s->bad_stands);
}

/* A look that ended after now_ms was taken ended just now. */
static json_t *ago_json(double checked_ms, double now_ms)
{
    if (checked_ms < 0)
        return json_null();
    return json_real(now_ms > checked_ms ? (now_ms - checked_ms) * 1e-3 : 0);
}

/* Asked for like a request, so that what was just changed shows; not waited for: this is the HTTP thread. */
static void answer_config(struct call *c)
{
    struct server *s = c->server;
    struct live_status now;
    double now_ms = clock_ms();
    if (!s->live) {
        call_reply_json(c, 200, json_pack("{s:s, s:n}", "object", "config", "source"));
        return;
    }
    poller_touch(s->poller, now_ms);
    bool checking = poller_is_looking(s->poller);
    struct config_version *v = live_hold(s->live);
    live_status(s->live, &now);
    json_t *body = json_pack("{s:s, s:s, s:o, s:I, s:o, s:o, s:I, s:s?, s:o, s:b, s:f}", "object", "config",
                             "source", s->opt.config->uri, "generation", generation_json(v->generation),
                             "since", (json_int_t)v->since, "config", json_loads(v->config.json, 0, NULL),
                             "rejected", rejected_json(&now), "rejected_total", (json_int_t)now.rejected,
                             "failure", now.failure.kind ? now.failure.text : NULL, "checked_seconds_ago",
                             ago_json(now.checked_ms, now_ms), "checking", checking, "interval_seconds",
                             s->opt.config_seconds);
    version_drop(v);
    call_reply_json(c, 200, body);
}

static const struct route routes[] = {
    {"chat", "POST", "/v1/chat/completions", false, false, BODY_JSON, answer_chat, true, true, false},
    {"transcriptions", "POST", "/v1/audio/transcriptions", false, false, BODY_MULTIPART, answer_transcription,
     false, true, false},
    {"models", "GET", "/v1/models", false, false, BODY_NONE, answer_models, false, true, false},
    {"model", "GET", "/v1/models/", true, false, BODY_NONE, answer_model, false, true, false},
    {"config", "GET", "/v1/config", false, false, BODY_NONE, answer_config, false, false, false},
    {"load", "GET", "/v1/load", false, false, BODY_NONE, answer_load, false, false, false},
    {"healthz", "GET", "/healthz", false, true, BODY_NONE, answer_health, false, false, true},
    {"readyz", "GET", "/readyz", false, true, BODY_NONE, answer_ready, false, false, true},
    {"page", "GET", "/", false, true, BODY_NONE, answer_page, false, false, false},
    {"metrics", "GET", "/metrics", false, false, BODY_NONE, answer_metrics, false, false, false},
};

static bool path_matches(const struct route *r, const char *url)
{
    return r->prefix ? strncmp(url, r->path, strlen(r->path)) == 0 && url[strlen(r->path)]
                     : strcmp(url, r->path) == 0;
}

static bool method_matches(const struct route *r, const char *method)
{
    return strcmp(r->method, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(r->method, "GET") == 0);
}

const struct route *route_find(const char *method, const char *url, const char **allow, struct api_error *e)
{
    *allow = NULL;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const struct route *r = &routes[i];
        if (!path_matches(r, url))
            continue;
        if (method_matches(r, method))
            return r;
        *allow = strcmp(r->method, "GET") == 0 ? "GET, HEAD" : r->method;
    }
    if (*allow) {
        e->status = 405;
        e->code = "method_not_allowed";
        api_refuse(e, ERR_USAGE, "", "%.20s is not allowed on %.100s, expected %s", method, url, *allow);
    } else {
        e->code = "unknown_url";
        api_refuse(e, ERR_NOT_FOUND, "",
                   "there is no %.20s %.100s here; the API is under /v1/chat/completions, "
                   "/v1/audio/transcriptions and /v1/models",
                   method, url);
    }
    return NULL;
}
