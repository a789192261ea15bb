#include "target/cloud_run/look.h"

#include "base/stop.h"
#include "cloud/label.h"
#include "cloud/logging.h"
#include "cloud/policy.h"
#include "cloud/run.h"
#include "target/cloud_run/around.h"
#include "target/cloud_run/body.h"
#include "target/cloud_run/key.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FOLLOW_SECONDS = 2 };

/* --- one service --- */

static const char *keep(struct target_run *r, const json_t *text)
{
    const char *s = json_string_value(text);
    return s ? arena_strndup(r->arena, s, strlen(s)) : NULL;
}

static const char *keep_variable(struct target_run *r, const json_t *is, const char *name)
{
    const char *value = body_variable(is, name);
    return value ? arena_strndup(r->arena, value, strlen(value)) : NULL;
}

/* "ferry-qwen-key", or "projects/P/secrets/S" where it is another project's. */
static void take_key(struct target_run *r, struct target_service *s, const json_t *is)
{
    const json_t *from = body_secret(is, "FERRY_API_KEY");
    const char *secret = json_string_value(json_object_get(from, "secret"));
    const char *project = secret ? strstr(secret, "projects/") : NULL;
    if (!secret)
        return;
    project = project ? project + strlen("projects/") : r->project;
    s->key_secret.project = arena_strndup(r->arena, project, strcspn(project, "/"));
    s->key_secret.secret = arena_strndup(r->arena, body_last(secret), strlen(body_last(secret)));
    s->key_secret.version = keep(r, json_object_get(from, "version"));
}

static int64_t seconds_of(const char *rfc3339)
{
    struct tm t = {0};
    return rfc3339 && strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &t) ? (int64_t)timegm(&t) : 0;
}

/* The service's own counts, else the revision's. */
static int kept(const json_t *is)
{
    const json_t *own = json_object_get(json_object_get(is, "scaling"), "minInstanceCount");
    const json_t *scaling = json_object_get(json_object_get(is, "template"), "scaling");
    return (int)json_integer_value(own ? own : json_object_get(scaling, "minInstanceCount"));
}

static void take_shape(struct target_run *r, struct target_service *s, const json_t *is)
{
    const json_t *template = json_object_get(is, "template");
    const json_t *container = json_array_get(json_object_get(template, "containers"), 0);
    const json_t *resources = json_object_get(container, "resources");
    struct run_limits limits = run_limits_of(container);
    s->vcpu = (int)limits.vcpu;
    s->memory_limit_bytes = (uint64_t)(limits.gib * (1 << 30));
    s->min_instances = kept(is);
    s->cpu_always = !json_is_true(json_object_get(resources, "cpuIdle"));
    s->accelerator = keep(r, json_object_get(json_object_get(template, "nodeSelector"), "accelerator"));
    s->zonal_redundancy = !json_is_true(json_object_get(template, "gpuZonalRedundancyDisabled"));
}

static struct target_service service_of(struct target_run *r, const char *name, const char *region,
                                        const json_t *is)
{
    const json_t *condition = json_object_get(is, "terminalCondition");
    const char *state = json_string_value(json_object_get(condition, "state"));
    bool failed = state && strcmp(state, "CONDITION_FAILED") == 0;
    struct target_service s = {.name = arena_strndup(r->arena, name, strlen(name)),
                               .target = target_cloud_run.name,
                               .region = arena_strndup(r->arena, region, strlen(region)),
                               .url = keep(r, json_object_get(is, "uri")),
                               .model = keep_variable(r, is, "FERRY_MODEL"),
                               .config = keep_variable(r, is, "FERRY_CONFIG"),
                               .state = json_is_true(json_object_get(is, "reconciling")) ? "updating"
                                        : failed                                         ? "failed"
                                                                                         : "ready",
                               .problem = failed ? keep(r, json_object_get(condition, "message")) : NULL,
                               .since = seconds_of(json_string_value(json_object_get(is, "updateTime"))),
                               .requests = -1};
    take_shape(r, &s, is);
    take_key(r, &s, is);
    return s;
}

static bool look_at_callers(struct target_run *r, struct target_service *s, struct err *e)
{
    struct policy_place p = {.kind = POLICY_SERVICE, .names = {r->project, s->region, s->name}};
    json_t *policy = policy_get(r->cloud, &p, e);
    s->wants_identity = !policy_has(policy, "roles/run.invoker", "allUsers");
    json_decref(policy);
    return policy != NULL;
}

/* --- all of them --- */

struct looking {
    struct target_run *run;
    const char *name; /* NULL: any */
    target_service_fn each;
    void *arg;
    json_t *seen; /* names */
};

static bool is_meant(const struct looking *l, const char *name, const char *region)
{
    return (!l->name || strcmp(l->name, name) == 0) &&
           (!l->run->region || strcmp(l->run->region, region) == 0);
}

/* Gone between listing and looking: not there. */
static bool take_service(void *arg, const struct run_found *f, struct err *e)
{
    struct looking *l = arg;
    struct err problem = {0};
    struct run_name n = {l->run->project, f->region, f->name};
    json_object_set_new(l->seen, f->name, json_true());
    if (!is_meant(l, f->name, f->region))
        return true;
    json_t *is = service_get(l->run->cloud, &n, &problem);
    if (!is && problem.kind == ERR_NOT_FOUND)
        return true;
    if (!is) {
        *e = problem;
        return false;
    }
    struct target_service s = service_of(l->run, f->name, f->region, is);
    json_decref(is);
    return look_at_callers(l->run, &s, e) && l->each(l->arg, &s, e);
}

static bool take_left(void *arg, const char *service, const char *region, struct err *e)
{
    struct looking *l = arg;
    if (!is_meant(l, service, region) || json_object_get(l->seen, service))
        return true;
    json_object_set_new(l->seen, service, json_true());
    struct target_service s = {
        .name = service,
        .target = target_cloud_run.name,
        .region = region,
        .state = "half made",
        .problem = arena_printf(l->run->arena,
                                "a deploy or a down was interrupted: deploy it again, or `ferry "
                                "down %s`",
                                service),
        .requests = -1};
    return l->each(l->arg, &s, e);
}

static bool take_left_account(void *arg, const struct cloud_run_memory *a, struct err *e)
{
    return take_left(arg, a->service, a->region, e);
}

bool look_status(struct target_run *r, const char *name, target_service_fn each, void *arg, struct err *e)
{
    struct looking l = {r, name, each, arg, NULL};
    bool on = false;
    if (!r->cloud)
        return true;
    l.seen = json_object();
    bool ok = around_api_is_on(r, "run.googleapis.com", &on, e) &&
              (!on || service_find(r->cloud, r->project, LABEL, take_service, &l, e)) &&
              around_account_each(r, take_left_account, &l, e) && key_each(r, take_left, &l, e);
    json_decref(l.seen);
    return ok || err_wrap(e, "Cloud Run");
}

static bool take_one(void *arg, const struct target_service *s, struct err *e)
{
    struct target_service *out = arg;
    if (out->name)
        return err_set(e, ERR_USAGE, "there is a service %s in %s and in %s: say --region", s->name,
                       out->region, s->region);
    *out = *s;
    return true;
}

bool look_at(struct target_run *r, const char *name, struct target_service *out, struct err *e)
{
    *out = (struct target_service){0};
    return look_status(r, name, take_one, out, e) &&
           (out->name || err_set(e, ERR_NOT_FOUND, "there is no service \"%s\" on Cloud Run", name));
}

struct counting {
    const char *region;
    int count;
};

static bool count_one(void *arg, const struct run_found *f, struct err *e)
{
    struct counting *c = arg;
    (void)e;
    c->count += strcmp(f->region, c->region) == 0;
    return true;
}

bool look_count(struct target_run *r, const char *region, int *count, struct err *e)
{
    struct counting c = {.region = region};
    bool ok = service_find(r->cloud, r->project, LABEL, count_one, &c, e);
    *count = c.count;
    return ok;
}

/* --- logs --- */

struct lines {
    json_t *all; /* newest first */
    char last[64];
    target_line_fn line;
    void *arg;
};

/* What the server wrote, with what Cloud Logging has taken out of it. */
static json_t *line_of(const struct log_line *l)
{
    json_t *payload = json_object_get(l->entry, "jsonPayload");
    json_t *line = json_pack("{s:s, s:s}", "time", l->time, "severity", l->severity);
    if (line && payload)
        json_object_update(line, payload);
    else if (line)
        json_object_set_new(line, "message", json_string(l->text));
    return line;
}

static bool print(struct lines *s, const json_t *line, struct err *e)
{
    char *text = json_dumps(line, JSON_COMPACT);
    bool ok = text ? s->line(s->arg, text, strlen(text), e) : err_set(e, ERR_MEMORY, "no memory for a line");
    free(text);
    return ok;
}

static bool gather(void *arg, const struct log_line *l, struct err *e)
{
    struct lines *s = arg;
    if (!*s->last)
        snprintf(s->last, sizeof s->last, "%s", l->time);
    return json_array_append_new(s->all, line_of(l)) == 0 || err_set(e, ERR_MEMORY, "no memory for a line");
}

static bool pass_on(void *arg, const struct log_line *l, struct err *e)
{
    struct lines *s = arg;
    json_t *line = line_of(l);
    snprintf(s->last, sizeof s->last, "%s", l->time);
    bool ok = line ? print(s, line, e) : err_set(e, ERR_MEMORY, "no memory for a line");
    json_decref(line);
    return ok;
}

static bool print_gathered(struct lines *s, struct err *e)
{
    bool ok = true;
    for (size_t i = json_array_size(s->all); ok && i > 0; i--)
        ok = print(s, json_array_get(s->all, i - 1), e);
    return ok;
}

static bool follow(struct target_run *r, struct lines *s, const char *filter, struct err *e)
{
    while (!stop_wanted(r->stop)) {
        char *since = arena_printf(r->arena, "%s AND timestamp>\"%s\"", filter, *s->last ? s->last : "1970");
        struct log_query q = {.project = r->project, .filter = since, .order = LOG_OLDEST_FIRST};
        if (!since || !log_each(r->cloud, &q, pass_on, s, e))
            return since || err_set(e, ERR_LIMIT, "followed for too long");
        nanosleep(&(struct timespec){.tv_sec = FOLLOW_SECONDS}, NULL);
    }
    return true;
}

bool look_logs(struct target_run *r, const char *name, const struct target_log_options *o,
               target_line_fn line, void *arg, struct err *e)
{
    struct target_service service;
    struct lines s = {.line = line, .arg = arg};
    if (!look_at(r, name, &service, e))
        return false;
    char *filter =
        arena_printf(r->arena,
                     "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"%s\" AND "
                     "resource.labels.location=\"%s\"",
                     name, service.region);
    struct log_query q = {
        .project = r->project, .filter = filter, .order = LOG_NEWEST_FIRST, .most = o->lines};
    s.all = json_array();
    bool ok = (o->lines == 0 || log_each(r->cloud, &q, gather, &s, e)) && print_gathered(&s, e) &&
              (!o->follow || follow(r, &s, filter, e));
    json_decref(s.all);
    return ok;
}
