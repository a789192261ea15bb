#include "doctor/ask.h"

#include "cloud/raw.h"
#include "doctor/ask/local.h"
#include "doctor/ask/questions.h"

#include <string.h>

/* The answers so far, and what is known of what it is about. */
struct asking {
    const struct doctor_case *c;
    json_t *record, *subject, *answers;
    struct arena *arena;
};

static bool stopped(const struct asking *a)
{
    return a->c->stop && *a->c->stop;
}

static void know(struct asking *a, const char *name, const char *value)
{
    if (value && *value)
        json_object_set_new(a->subject, name, json_string(value));
}

static json_t *send(struct asking *a, const struct question *q, const char *path)
{
    if (strcmp(q->api, "hub") == 0)
        return a->c->hub ? hub_raw(a->c->hub, path)
                         : json_pack("{s:s, s:s}", "request", "GET hub", "error", a->c->hub_problem);
    json_t *body = q->body ? q->body(a->subject) : NULL;
    if (q->body && !body)
        return json_pack("{s:s, s:s}", "request", q->method, "error",
                         "no memory, or a name that cannot be one");
    struct raw_request r = {
        .api = q->api, .method = q->method, .path = path, .body = body, .flags = q->flags};
    json_t *answer = cloud_raw(a->c->cloud, &r);
    json_decref(body);
    return answer;
}

static void ask(struct asking *a, const struct question *q)
{
    const char *path = question_path(q, a->subject, a->arena);
    if (!path || stopped(a))
        return;
    if (a->c->asking)
        a->c->asking(a->c->arg, q->name);
    json_t *answer = send(a, q, path);
    json_object_set_new(a->answers, q->name, answer);
    if (q->learn && json_integer_value(json_object_get(answer, "status")) / 100 == 2)
        q->learn(a->subject, json_object_get(answer, "body"));
}

/* What can be asked depends on whether anybody hears it, and on a token. */
static void ask_all(struct asking *a)
{
    const struct question *q = question_at(0);
    ask(a, q); /* the clock: without a token */
    bool connected = !json_object_get(json_object_get(a->answers, q->name), "error");
    json_t *local = local_facts(a->c, connected);
    json_object_set_new(a->record, "local", local);
    const json_t *first = json_array_get(json_object_get(local, "projects"), 0);
    know(a, "project", json_string_value(json_object_get(first, "project")));
    bool token = json_is_true(json_object_get(json_object_get(local, "credentials"), "token"));
    for (int i = 1; (q = question_at(i)); i++)
        if (token || strcmp(q->api, "hub") == 0)
            ask(a, q);
}

static const char *region_of(const struct doctor_case *c)
{
    const struct gcloud_config *config = cloud_config(c->cloud);
    const char *region = c->region ? c->region : gcloud_property(config, "run", "region", NULL);
    return region ? region : gcloud_property(config, "compute", "region", NULL);
}

static void know_case(struct asking *a)
{
    const struct doctor_case *c = a->c;
    know(a, "region", region_of(c));
    if (c->region)
        json_object_set_new(a->subject, "region_told", json_true());
    know(a, "service", c->service);
    know(a, "bucket", c->bucket);
    know(a, "prefix", c->prefix);
    know(a, "repo", c->repo);
}

json_t *doctor_ask(const struct doctor_case *c, struct err *e)
{
    struct asking a = {
        .c = c, .arena = arena_new(1 << 20), .subject = json_object(), .answers = json_object()};
    a.record = json_pack("{s:o, s:o}", "subject", a.subject, "answers", a.answers);
    if (a.arena && a.record) {
        know_case(&a);
        ask_all(&a);
    }
    arena_free(a.arena);
    if (a.record && !stopped(&a))
        return a.record;
    if (stopped(&a))
        err_set(e, ERR_CANCELLED, "interrupted");
    else
        err_set(e, ERR_MEMORY, "no memory for the answers");
    json_decref(a.record);
    return NULL;
}
