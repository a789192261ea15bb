#include "cloud/cloud.h"

#include "cloud/call/call.h"
#include "net/url.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_ROOM = 40, URL_ROOM = 300 };

struct endpoint {
    struct endpoint *next;
    char name[NAME_ROOM], url[URL_ROOM];
};

struct cloud {
    struct http *http;
    const struct gcloud_config *config;
    const struct retry_policy *policy;
    cloud_told_fn told; /* NULL: calls are sent */
    void *told_arg;
    pthread_mutex_t mutex; /* of what follows; each is set once and stays */
    struct token_source *tokens;
    struct endpoint *endpoints;
};

struct cloud *cloud_new(struct http *h, const struct gcloud_config *config, struct err *e)
{
    struct cloud *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(e, ERR_MEMORY, "no memory for Google's APIs");
        return NULL;
    }
    c->http = h;
    c->config = config;
    c->policy = &retry_default;
    pthread_mutex_init(&c->mutex, NULL);
    return c;
}

void cloud_free(struct cloud *c)
{
    if (!c)
        return;
    token_source_free(c->tokens);
    while (c->endpoints) {
        struct endpoint *next = c->endpoints->next;
        free(c->endpoints);
        c->endpoints = next;
    }
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

struct http *cloud_http(const struct cloud *c)
{
    return c->http;
}

const struct gcloud_config *cloud_config(const struct cloud *c)
{
    return c->config;
}

void cloud_set_retry(struct cloud *c, const struct retry_policy *policy)
{
    c->policy = policy;
}

const struct retry_policy *cloud_retry(const struct cloud *c)
{
    return c->policy;
}

void cloud_rehearse(struct cloud *c, cloud_told_fn fn, void *arg)
{
    c->told = fn;
    c->told_arg = arg;
}

bool cloud_rehearses(const struct cloud *c)
{
    return c->told != NULL;
}

void cloud_tell(const struct cloud *c, const char *method, const char *url, const json_t *body)
{
    c->told(c->told_arg, method, url, body);
}

struct token_source *cloud_tokens(struct cloud *c, struct err *e)
{
    pthread_mutex_lock(&c->mutex);
    if (!c->tokens)
        c->tokens = token_source_new(c->http, c->config, e);
    struct token_source *found = c->tokens;
    pthread_mutex_unlock(&c->mutex);
    return found;
}

/* --- endpoints --- */

/* FERRY_ENDPOINT_STORAGE and the like; NULL when unset. */
static const char *own_variable(const char *name)
{
    char variable[NAME_ROOM + 20];
    snprintf(variable, sizeof variable, "FERRY_ENDPOINT_%s", name);
    for (char *p = variable; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    const char *value = getenv(variable);
    return value && *value ? value : NULL;
}

static const char *find_override(const struct cloud *c, const char *name)
{
    const char *value = own_variable(name);
    if (!value)
        value = gcloud_property(c->config, "api_endpoint_overrides", name, NULL);
    if (!value && strcmp(name, "storage") == 0)
        value = getenv("STORAGE_EMULATOR_HOST");
    return value && *value ? value : NULL;
}

static void find_endpoint(const struct cloud *c, struct endpoint *out)
{
    const char *value = find_override(c, out->name);
    char with_scheme[URL_ROOM];

    if (!value) {
        snprintf(out->url, sizeof out->url, "https://%s.googleapis.com", out->name);
        return;
    }
    /* "localhost:9000" is how STORAGE_EMULATOR_HOST is often given. */
    snprintf(with_scheme, sizeof with_scheme, "%s%s", strstr(value, "://") ? "" : "http://", value);
    if (!url_origin(with_scheme, out->url, sizeof out->url))
        snprintf(out->url, sizeof out->url, "%s", with_scheme); /* http_send says that it is no URL */
}

static struct endpoint *add_endpoint(struct cloud *c, const char *name)
{
    struct endpoint *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    snprintf(p->name, sizeof p->name, "%s", name);
    find_endpoint(c, p);
    p->next = c->endpoints;
    c->endpoints = p;
    return p;
}

const char *cloud_endpoint(struct cloud *c, const char *name)
{
    pthread_mutex_lock(&c->mutex);
    struct endpoint *found = c->endpoints;
    while (found && strcmp(found->name, name) != 0)
        found = found->next;
    if (!found)
        found = add_endpoint(c, name);
    pthread_mutex_unlock(&c->mutex);
    return found ? found->url : ""; /* no memory: http_send says that it is no URL */
}

/* --- calls --- */

/* One call while it runs. */
struct attempt {
    struct cloud *c;
    struct http_request q;
    int flags;
    struct token_source *tokens; /* NULL: no bearer */
    char token[TOKEN_MAX_BYTES];
    bool renewed; /* a 401 was answered already */
    int sent;     /* requests that went out, those that libcurl sent again by itself among them */
};

/* A place for one more header. */
static bool add_header(struct http_request *q, const char *name, const char *value)
{
    for (int i = 0; i < HTTP_MAX_HEADERS; i++) {
        if (q->headers[i].name)
            continue;
        q->headers[i] = (struct http_header){name, value};
        return true;
    }
    return false;
}

static bool authorise(struct attempt *t, struct err *e)
{
    if (t->flags & CLOUD_NO_BEARER)
        return true;
    t->tokens = cloud_tokens(t->c, e);
    if (!t->tokens)
        return false;
    t->q.bearer = t->token;
    const char *project = token_quota_project(t->tokens);
    if (!project || t->flags & CLOUD_NO_QUOTA || add_header(&t->q, "X-Goog-User-Project", project))
        return true;
    return err_set(e, ERR_LIMIT, "no room for X-Goog-User-Project among %d headers", HTTP_MAX_HEADERS);
}

/* One request, and a second one with a fresh token after a 401. */
static bool send_once(struct attempt *t, struct http_reply *r, struct err *e)
{
    for (;;) {
        *r = (struct http_reply){0};
        if (t->tokens && !token_get(t->tokens, t->token, e))
            return false;
        bool answered = http_send(t->c->http, &t->q, r, e);
        t->sent += 1 + r->resent;
        if (!answered)
            return false;
        if (r->status != 401 || !t->tokens || t->renewed || !token_refused(t->tokens, t->token))
            return true;
        t->renewed = true;
    }
}

/* Whether trying again may be right at all; retry_wanted decides on the answer. */
static bool may_repeat(const struct attempt *t, bool sent, const struct http_reply *r)
{
    if (t->flags & CLOUD_ONE_TRY || t->sent == 0)
        return false; /* without a token nothing went out, and tokens have retries of their own */
    return t->flags & CLOUD_IDEMPOTENT || (sent && r->status == 429);
}

static bool send_until(struct attempt *t, struct body *body, struct http_reply *r, struct err *e)
{
    struct retry retry = retry_start(t->c->policy, t->c->http, t->q.stop);
    bool ok;

    for (;;) {
        if (body)
            body->size = 0;
        ok = send_once(t, r, e);
        if (!may_repeat(t, ok, r) || !retry_wanted(&retry, ok, r, e))
            break;
        if (!retry_wait(&retry))
            return err_set(e, ERR_CANCELLED, "interrupted");
    }
    if (ok && r->status / 100 != 2 && !(t->flags & CLOUD_ANY_STATUS))
        ok = cloud_explain(r, e);
    if (!ok && retry.tries > 1)
        err_wrap(e, "after %d tries", retry.tries);
    return ok;
}

static bool call(struct cloud *c, const struct http_request *q, int flags, struct body *body,
                 struct http_reply *r, int *tries, struct err *e)
{
    struct attempt t = {.c = c, .q = *q, .flags = flags};
    struct err unheard = {0};
    if (!e)
        e = &unheard; /* retry_wanted looks at the kind */
    *r = (struct http_reply){0};
    bool ok = authorise(&t, e) && send_until(&t, body, r, e);
    explicit_bzero(t.token, sizeof t.token);
    if (tries)
        *tries = t.sent;
    return ok;
}

bool cloud_call_counted(struct cloud *c, const struct http_request *q, int flags, struct http_reply *r,
                        int *tries, struct err *e)
{
    return call(c, q, flags, NULL, r, tries, e);
}

bool cloud_call(struct cloud *c, const struct http_request *q, int flags, struct http_reply *r, struct err *e)
{
    return call(c, q, flags, NULL, r, NULL, e);
}

json_t *cloud_json_counted(struct cloud *c, const struct http_request *q, int flags, struct http_reply *r,
                           int *tries, struct err *e)
{
    struct body body = {.ceiling = JSON_MAX_BYTES};
    struct http_request with_body = *q;
    json_t *json = NULL;

    with_body.on_data = body_take;
    with_body.arg = &body;
    if (call(c, &with_body, flags & ~CLOUD_ANY_STATUS, &body, r, tries, e))
        json = r->status == 204 ? json_object() : body_json(&body, e);
    body_clear(&body);
    return json;
}

json_t *cloud_json(struct cloud *c, const struct http_request *q, int flags, struct http_reply *r,
                   struct err *e)
{
    return cloud_json_counted(c, q, flags, r, NULL, e);
}
