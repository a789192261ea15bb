/* proxy_request.c: one request of `ferry proxy` on its way to the service and back. */
#include "cmd/proxy.h"

#include "base/stop.h"

#include <ctype.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
    WINDOW = 64 << 10,
    MAX_HEADERS = 64,
    OWN_HEADERS = 2,        /* identity and key */
    LONGEST_SECONDS = 3600, /* without a byte: Cloud Run's longest timeout */
    LOOK_MS = 100,
    SAID_BYTES = 200 /* of what a refusal says */
};

struct proxy_request {
    const struct proxy *proxy;
    char *url;          /* where it goes */
    const char *target; /* in url */
    const char *method;
    struct http_header headers[MAX_HEADERS + OWN_HEADERS + 1];
    int header_count;
    bool has_key;
    struct proxy_body body;
    pthread_t thread;
    bool started;
    volatile sig_atomic_t stop; /* nobody waits for it */

    /* the sending thread's */
    bool refused;   /* the identity was */
    bool renewed;   /* and this is the second try */
    bool explained; /* the answer is put into our own words */
    char said[SAID_BYTES];
    size_t said_size;

    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        bool head, ended;
        int status;
        char headers[HTTP_HEADER_BYTES];
        struct err problem;
        char window[WINDOW]; /* a ring */
        size_t begin, size;
    } locked;
};

struct proxy_request *proxy_request_new(const struct proxy *p, const char *target)
{
    pthread_condattr_t monotonic;
    struct proxy_request *r = calloc(1, sizeof *r);
    if (!r || asprintf(&r->url, "%s%s", p->origin, target) < 0) {
        free(r);
        return NULL;
    }
    r->proxy = p;
    r->target = r->url + strlen(p->origin);
    pthread_mutex_init(&r->locked.mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->locked.changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (*target != '/')
        proxy_request_refuse(r, &(struct err){ERR_USAGE, "expected a path that begins with /"});
    return r;
}

static void cancel(struct proxy_request *r)
{
    pthread_mutex_lock(&r->locked.mutex);
    stop_ask(&r->stop);
    pthread_cond_broadcast(&r->locked.changed);
    pthread_mutex_unlock(&r->locked.mutex);
    pthread_join(r->thread, NULL);
}

void proxy_request_free(struct proxy_request *r)
{
    if (!r)
        return;
    if (r->started)
        cancel(r);
    proxy_body_clear(&r->body);
    pthread_cond_destroy(&r->locked.changed);
    pthread_mutex_destroy(&r->locked.mutex);
    free(r->url);
    free(r);
}

/* --- what comes --- */

void proxy_request_method(struct proxy_request *r, const char *method)
{
    r->method = method;
}

/* Of one connection only (RFC 9110, 7.6.1), or made anew for the next one. */
static bool is_for_one_hop(const char *name)
{
    static const char *const names[] = {
        "Host",   "Connection",   "Keep-Alive",        "Proxy-Connection", "Proxy-Authorization",
        "TE",     "Trailer",      "Transfer-Encoding", "Upgrade",          "Content-Length",
        "Expect", IDENTITY_HEADER};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Clients that insist on a key are given "none", or nothing. */
static bool is_key(const char *authorization)
{
    static const char *const no_keys[] = {"", "Bearer", "Bearer ", "Bearer none"};
    for (size_t i = 0; i < sizeof no_keys / sizeof *no_keys; i++)
        if (strcasecmp(authorization, no_keys[i]) == 0)
            return false;
    return true;
}

void proxy_request_header(struct proxy_request *r, const char *name, const char *value)
{
    bool key = strcasecmp(name, "Authorization") == 0;
    if (is_for_one_hop(name) || (key && !is_key(value) && r->proxy->authorization))
        return;
    r->has_key = r->has_key || key;
    if (r->header_count == MAX_HEADERS)
        proxy_request_refuse(r, &(struct err){ERR_LIMIT, "the request has too many headers"});
    else
        r->headers[r->header_count++] = (struct http_header){name, value};
}

void proxy_request_body(struct proxy_request *r, const char *bytes, size_t size)
{
    struct err e = {0};
    if (r->locked.problem.kind == ERR_NONE && !proxy_body_add(&r->body, bytes, size, &e))
        proxy_request_refuse(r, &e);
}

void proxy_request_refuse(struct proxy_request *r, const struct err *e)
{
    if (r->locked.problem.kind == ERR_NONE)
        r->locked.problem = *e;
}

/* --- the answer, on the sending thread --- */

static bool has_type(const struct http_reply *r, const char *type)
{
    char found[64];
    return http_header(r, "content-type", found, sizeof found) && strncasecmp(found, type, strlen(type)) == 0;
}

/* Under /v1 clients read JSON; a page of Google's in front of the service is no answer to them. */
static bool needs_words(const struct proxy_request *r, const struct http_reply *reply)
{
    return reply->status >= 400 && strncmp(r->target, "/v1/", 4) == 0 && !has_type(reply, "application/json");
}

static bool take_head(void *arg, const struct http_reply *reply, struct err *e)
{
    struct proxy_request *r = arg;
    r->refused =
        reply->status == 401 && r->proxy->identity && !r->renewed && !has_type(reply, "application/json");
    r->explained = needs_words(r, reply);
    if (r->refused)
        return err_set(e, ERR_AUTH, "the identity is refused");
    pthread_mutex_lock(&r->locked.mutex);
    r->locked.status = reply->status;
    memcpy(r->locked.headers, reply->headers, sizeof r->locked.headers);
    r->locked.head = !r->explained;
    pthread_cond_broadcast(&r->locked.changed);
    pthread_mutex_unlock(&r->locked.mutex);
    return true;
}

static void keep_said(struct proxy_request *r, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && r->said_size < sizeof r->said - 1; i++)
        r->said[r->said_size++] = isprint((unsigned char)bytes[i]) ? bytes[i] : ' ';
}

/* As much as there is room for, before or behind the ring's end. */
static size_t put_locked(struct proxy_request *r, const char *bytes, size_t size)
{
    size_t at = (r->locked.begin + r->locked.size) % WINDOW, room = WINDOW - r->locked.size;
    size_t n = size < room ? size : room;
    size_t first = n < WINDOW - at ? n : WINDOW - at;
    memcpy(r->locked.window + at, bytes, first);
    memcpy(r->locked.window, bytes + first, n - first);
    r->locked.size += n;
    return n;
}

static bool take_data(void *arg, const char *bytes, size_t size, struct err *e)
{
    struct proxy_request *r = arg;
    if (r->explained) {
        keep_said(r, bytes, size);
        return true;
    }
    pthread_mutex_lock(&r->locked.mutex);
    while (size && !stop_wanted(&r->stop)) {
        size_t n = put_locked(r, bytes, size);
        bytes += n;
        size -= n;
        pthread_cond_broadcast(&r->locked.changed);
        if (size)
            pthread_cond_wait(&r->locked.changed, &r->locked.mutex);
    }
    pthread_mutex_unlock(&r->locked.mutex);
    return size == 0 || err_set(e, ERR_CANCELLED, "the caller went away");
}

/* --- sending --- */

static bool send_once(struct proxy_request *r, struct http_reply *reply, struct err *e)
{
    const struct proxy *p = r->proxy;
    char identity[IDENTITY_BYTES] = "";
    struct http_header *own = r->headers + r->header_count;
    if (p->identity && !identity_get(p->identity, identity, e))
        return false;
    own[0] = (struct http_header){IDENTITY_HEADER, p->identity ? identity : NULL};
    own[1] = (struct http_header){"Authorization", r->has_key ? NULL : p->authorization};
    struct http_request q = {.method = r->method,
                             .url = r->url,
                             .more = r->headers,
                             .body_file = r->body.file,
                             .body_size = r->body.size,
                             .stop = &r->stop,
                             .stall_seconds = LONGEST_SECONDS,
                             .on_head = take_head,
                             .on_data = take_data,
                             .arg = r};
    bool ok = http_send(p->http, &q, reply, e) || r->refused ||
              err_wrap(e, reply->status ? "the answer broke off" : "no answer from %s", p->origin);
    explicit_bzero(identity, sizeof identity);
    return ok;
}

static const struct {
    int status;
    enum err_kind kind;
    const char *says;
} refusals[] = {
    {401, ERR_AUTH, "your identity is refused; log in again with `gcloud auth login`, or see `ferry doctor`"},
    {403, ERR_AUTH, "you have no right to call it, which takes roles/run.invoker; `ferry doctor NAME` looks"},
    {404, ERR_NOT_FOUND, "there is no such address; `ferry status` tells whether the service is still there"},
    {413, ERR_LIMIT, "the body is too large for it"},
    {429, ERR_BUSY, "no instance is free for it, try again"},
    {503, ERR_TRANSIENT, "it is not available, try again; `ferry logs` tells more"},
};

/* An answer that is no JSON, as an err. */
static bool explain(const struct proxy_request *r, const struct http_reply *reply, struct err *e)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (refusals[i].status == reply->status)
            return err_set(e, refusals[i].kind, "%s (HTTP %d)", refusals[i].says, reply->status);
    const char *said = has_type(reply, "text/html") ? "" : r->said;
    return err_set(e, ERR_TRANSIENT, "HTTP %d%s%s", reply->status, *said ? ": " : "", said);
}

static bool send_twice(struct proxy_request *r, struct err *e)
{
    struct http_reply reply;
    bool ok = send_once(r, &reply, e);
    if (r->refused) {
        identity_refused(r->proxy->identity);
        r->renewed = true;
        *e = (struct err){0};
        ok = send_once(r, &reply, e);
    }
    if (ok && r->explained)
        ok = explain(r, &reply, e);
    return ok || err_wrap(e, "%s", r->proxy->name);
}

/* Without the query, and without anything that a terminal would act upon. */
static void tell(const struct proxy_request *r, const struct err *e)
{
    char path[80];
    size_t n = 0;
    for (; n < sizeof path - 1 && r->target[n] && r->target[n] != '?'; n++)
        path[n] = isprint((unsigned char)r->target[n]) ? r->target[n] : '?';
    path[n] = 0;
    fprintf(stderr, "%.20s %s: %s\n", r->method, path, e->text);
}

static int status_of(const struct err *e)
{
    static const struct {
        enum err_kind kind;
        int status;
    } rows[] = {{ERR_USAGE, 400}, {ERR_AUTH, 401}, {ERR_LIMIT, 413}, {ERR_MEMORY, 503}, {ERR_IO, 503}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].kind == e->kind)
            return rows[i].status;
    return 502;
}

static void finish(struct proxy_request *r, bool ok, const struct err *e)
{
    if (!ok && !stop_wanted(&r->stop))
        tell(r, e);
    pthread_mutex_lock(&r->locked.mutex);
    if (!ok)
        r->locked.problem = *e;
    if (!ok && !r->locked.status)
        r->locked.status = status_of(e);
    r->locked.ended = true;
    pthread_cond_broadcast(&r->locked.changed);
    pthread_mutex_unlock(&r->locked.mutex);
}

static void *run(void *arg)
{
    struct proxy_request *r = arg;
    struct err e = {0};
    finish(r, send_twice(r, &e), &e);
    return NULL;
}

void proxy_request_send(struct proxy_request *r)
{
    struct err e = r->locked.problem;
    r->started = e.kind == ERR_NONE && pthread_create(&r->thread, NULL, run, r) == 0;
    if (r->started)
        return;
    if (e.kind == ERR_NONE)
        err_set(&e, ERR_MEMORY, "no memory for one more request");
    r->locked.status = e.kind == ERR_AUTH ? 403 : 0; /* not for want of an identity */
    finish(r, false, &e);
}

/* --- the answer, on the connection's thread --- */

/* False when a tenth of a second has passed. */
static bool wait_locked(struct proxy_request *r)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    return pthread_cond_timedwait(&r->locked.changed, &r->locked.mutex, &until) == 0;
}

enum proxy_progress proxy_request_head(struct proxy_request *r, int *status, const char **headers)
{
    pthread_mutex_lock(&r->locked.mutex);
    if (!r->locked.head && !r->locked.ended)
        wait_locked(r);
    enum proxy_progress now = r->locked.head ? PROXY_READY : r->locked.ended ? PROXY_FAILED : PROXY_WAITING;
    *status = r->locked.status;
    *headers = r->locked.headers; /* they stay as they are from then on */
    pthread_mutex_unlock(&r->locked.mutex);
    return now;
}

static size_t take_locked(struct proxy_request *r, char *out, size_t room)
{
    size_t n = r->locked.size < room ? r->locked.size : room;
    size_t first = n < WINDOW - r->locked.begin ? n : WINDOW - r->locked.begin;
    memcpy(out, r->locked.window + r->locked.begin, first);
    memcpy(out + first, r->locked.window, n - first);
    r->locked.begin = (r->locked.begin + n) % WINDOW;
    r->locked.size -= n;
    pthread_cond_broadcast(&r->locked.changed);
    return n;
}

enum proxy_progress proxy_request_read(struct proxy_request *r, char *out, size_t room, size_t *size)
{
    enum proxy_progress now = PROXY_WAITING;
    pthread_mutex_lock(&r->locked.mutex);
    if (!r->locked.size && !r->locked.ended)
        wait_locked(r);
    *size = take_locked(r, out, room);
    if (*size)
        now = PROXY_READY;
    else if (r->locked.ended)
        now = r->locked.problem.kind == ERR_NONE ? PROXY_ENDED : PROXY_FAILED;
    pthread_mutex_unlock(&r->locked.mutex);
    return now;
}

char *proxy_request_problem(struct proxy_request *r)
{
    pthread_mutex_lock(&r->locked.mutex);
    bool callers = r->locked.status / 100 == 4;
    json_t *json = json_pack("{s:{s:s, s:s, s:n, s:s}}", "error", "message", r->locked.problem.text, "type",
                             callers ? "invalid_request_error" : "server_error", "param", "code",
                             r->started ? "service_failed" : "proxy_refused");
    pthread_mutex_unlock(&r->locked.mutex);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}
