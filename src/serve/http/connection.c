#include "serve/http/connection.h"

#include "base/clock.h"
#include "base/log.h"
#include "serve/http/headers.h"
#include "serve/http/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A body that is refused is read to its end and the connection kept, up to this size; beyond it the reply
 * goes out at once and the connection ends (watch_linger). */
enum { SWALLOW_BYTES = 1 << 20, LONGEST_RETRY_S = 300 };

static const char *header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

/* ---- replies ---- */

/* While the model loads: when it will be there. */
static int retry_after_seconds(const struct call *c)
{
    struct arrival_progress p;
    if (c->status != 503 || !c->server->opt.arrival || server_is_loaded(c->server))
        return c->status == 429 ? 2 : c->status == 503 ? 5 : 0;
    arrival_progress(c->server->opt.arrival, &p);
    if (p.loaded_ms < 0)
        return 5;
    return p.loaded_ms > LONGEST_RETRY_S * 1e3 ? LONGEST_RETRY_S : (int)ceil(p.loaded_ms * 1e-3) + 1;
}

static enum MHD_Result send_response(struct call *c)
{
    struct MHD_Response *r = call_response(c);
    if (!r)
        return MHD_NO;
    int retry = retry_after_seconds(c);
    if (retry) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%d", retry);
        MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    if (c->status == 401)
        MHD_add_response_header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (c->allow)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, c->allow);
    if (atomic_load(&c->server->stopping))
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result ok = MHD_queue_response(c->connection, (unsigned)c->status, r);
    MHD_destroy_response(r);
    return ok;
}

/* Replies before the body has come. The client may be busy sending it, and would see a reset instead of the
 * reply if the socket were closed under it. */
static enum MHD_Result send_early(struct call *c)
{
    call_fail(c, &c->refusal);
    int copy = dup(c->fd);
    if (copy >= 0)
        watch_linger(c->server->watch, copy);
    return send_response(c);
}

/* ---- the head ---- */

static bool refuse(struct call *c, int status, enum err_kind kind, const char *code, const char *message)
{
    c->refusal.status = status;
    c->refusal.code = code;
    return api_refuse(&c->refusal, kind, "", "%s", message);
}

static bool check_key(struct call *c)
{
    const char *key = c->server->opt.api_key, *given = header(c->connection, MHD_HTTP_HEADER_AUTHORIZATION);
    if (!*key || header_has_key(given, key))
        return true;
    return refuse(c, 401, ERR_AUTH, NULL,
                  given ? "the API key is wrong; send the right one as Authorization: Bearer KEY"
                        : "an API key is needed; send it as Authorization: Bearer KEY");
}

static bool check_type(struct call *c)
{
    static const char *const types[] = {
        [BODY_JSON] = "application/json", [BODY_MULTIPART] = "multipart/form-data"};
    const char *given = header(c->connection, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (header_is_type(given, types[c->route->body]))
        return true;
    c->refusal.status = 415;
    c->refusal.code = "unsupported_media_type";
    return api_refuse(&c->refusal, ERR_USAGE, "", "Content-Type is %.60s, expected %s",
                      given ? given : "missing", types[c->route->body]);
}

static bool too_large(struct call *c)
{
    c->refusal.status = 413;
    c->refusal.code = "request_too_large";
    return api_refuse(&c->refusal, ERR_LIMIT, "",
                      "the body is larger than %zu bytes; send less or shorter audio",
                      c->server->opt.body_bytes);
}

static int waiting_calls(const struct server *s)
{
    return worker_waiting(s->worker) + (atomic_load(&s->model) ? scheduler_load(s->scheduler).waiting : 0);
}

static bool check_queue(struct call *c)
{
    if (waiting_calls(c->server) < c->server->opt.queue)
        return true;
    c->refusal.status = 429;
    return api_refuse(&c->refusal, ERR_BUSY, "", "%d requests wait already; try again later",
                      c->server->opt.queue);
}

/* What is in force when the head comes names the refusals of head and body; the worker looks anew. */
static void take_config(struct call *c)
{
    struct server *s = c->server;
    if (!c->route->configured || !s->live)
        return;
    poller_touch(s->poller, clock_ms());
    call_set_config(c, live_hold(s->live));
}

/* What can be said of a request before its body. */
static bool check_head(struct call *c, const char *method)
{
    c->route = route_find(method, c->url, &c->allow, &c->refusal);
    if ((!c->route || !c->route->open) && !check_key(c)) {
        c->allow = NULL;
        return false;
    }
    if (!c->route)
        return false;
    take_config(c);
    if (c->route->body == BODY_NONE)
        return true;
    if (atomic_load(&c->server->stopping)) {
        refuse_stopping(c->server, &c->refusal);
        return false;
    }
    if (c->server->opt.gate && !atomic_load(&c->server->model)) {
        refuse_loading(c->server, &c->refusal);
        return false;
    }
    long long length = header_length(header(c->connection, MHD_HTTP_HEADER_CONTENT_LENGTH));
    if (length > 0 && (unsigned long long)length > c->server->opt.body_bytes)
        return too_large(c);
    if (!check_type(c) || !check_queue(c))
        return false;
    if (c->route->body == BODY_MULTIPART &&
        !multipart_boundary(header(c->connection, MHD_HTTP_HEADER_CONTENT_TYPE), c->boundary))
        return refuse(c, 400, ERR_USAGE, NULL,
                      "Content-Type has no boundary, expected multipart/form-data; boundary=…");
    return true;
}

static bool expects_large_body(struct call *c)
{
    const char *encoding = header(c->connection, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    return header_length(header(c->connection, MHD_HTTP_HEADER_CONTENT_LENGTH)) > SWALLOW_BYTES || encoding ||
           header(c->connection, MHD_HTTP_HEADER_EXPECT);
}

static unsigned whole_seconds(double seconds)
{
    return seconds < 1 ? 1 : (unsigned)ceil(seconds);
}

static void set_timeout(struct MHD_Connection *c, double seconds)
{
    MHD_set_connection_option(c, MHD_CONNECTION_OPTION_TIMEOUT, whole_seconds(seconds));
}

static enum MHD_Result begin(struct server *s, struct MHD_Connection *connection, const char *url,
                             const char *method, void **state)
{
    struct call *c = call_new(s, connection, url);
    if (!c)
        return MHD_NO;
    *state = c;
    header_trace(header(connection, "traceparent"), header(connection, "X-Cloud-Trace-Context"), c->trace);
    watch_body(s->watch, c->fd);
    set_timeout(connection, s->opt.stall_seconds);
    if (!check_head(c, method) && expects_large_body(c))
        return send_early(c);
    return MHD_YES;
}

/* ---- the body ---- */

static bool budget_take(struct server *s, size_t n)
{
    if (atomic_fetch_add(&s->body_bytes, n) + n <= s->opt.bodies_bytes)
        return true;
    atomic_fetch_sub(&s->body_bytes, n);
    return false;
}

static bool keep(struct call *c, const char *data, size_t size)
{
    struct server *s = c->server;
    if (c->body_bytes + size > s->opt.body_bytes)
        return too_large(c);
    if (!budget_take(s, size))
        return refuse(c, 503, ERR_BUSY, "overloaded", "too many uploads at once; try again later");
    c->body_bytes += size;
    return bytes_add(&c->body, data, size, s->opt.body_bytes) ||
           refuse(c, 503, ERR_MEMORY, NULL, "no memory left for this upload");
}

static void receive(struct call *c, const char *data, size_t size)
{
    watch_body_bytes(c->server->watch, c->fd, size);
    if (c->refusal.err.kind == ERR_NONE && !keep(c, data, size))
        call_forget_body(c);
}

void call_forget_body(struct call *c)
{
    bytes_clear(&c->body);
    atomic_fetch_sub(&c->server->body_bytes, c->body_bytes);
    c->body_bytes = 0;
}

/* ---- the answer ---- */

/* To the worker; the connection sleeps until something is answered. */
static void hand_over(struct call *c)
{
    atomic_fetch_add(&c->server->working, 1);
    c->counted = true;
    watch_work(c->server->watch, c->fd, call_gone, c);
    call_wait(c);
    if (!worker_push(c->server->worker, c)) {
        refuse(c, 503, ERR_MEMORY, NULL, "no memory left for this request");
        call_fail(c, &c->refusal);
    }
}

/* What the worker does, and what must wait for the model: the worker has it. */
static bool is_work(const struct call *c)
{
    return c->route->body != BODY_NONE || (c->route->needs_model && !atomic_load(&c->server->model));
}

static enum MHD_Result answer(struct call *c)
{
    if (c->refusal.err.kind == ERR_NONE && is_work(c) && check_queue(c)) {
        hand_over(c);
        return MHD_YES;
    }
    if (c->refusal.err.kind == ERR_NONE)
        c->route->answer(c);
    else
        call_fail(c, &c->refusal);
    return send_response(c);
}

enum MHD_Result connection_handle(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *size,
                                  void **state)
{
    struct call *c = *state;
    (void)version;
    if (!c)
        return begin(arg, connection, url, method, state);
    if (*size > 0) {
        receive(c, data, *size);
        *size = 0;
        return MHD_YES;
    }
    return call_is_answered(c) ? send_response(c) : answer(c);
}

/* ---- the end ---- */

static const char *route_name(const struct call *c)
{
    return c->route ? c->route->name : "none";
}

/* Probes come every few seconds, or many times a second while somebody waits for the model. */
static enum log_level log_level_of(const struct call *c, int status)
{
    if (c->route && c->route->probe)
        return LOG_DEBUG;
    return status >= 500 && status != 503 ? LOG_WARNING : LOG_INFO;
}

static void log_call(const struct call *c, int status, double ms)
{
    const struct generation_stats *g = &c->stats;
    log_event(log_level_of(c, status), "request",
              log_fields(LOG_STR("route", route_name(c)), LOG_INT("status", status), LOG_NUM("ms", ms),
                         LOG_NUM("queue_ms", g->queue_ms), LOG_NUM("ttft_ms", g->first_token_ms),
                         LOG_INT("tokens_in", g->prompt_tokens), LOG_INT("tokens_out", g->completion_tokens),
                         LOG_STR("trace", *c->trace ? c->trace : NULL), LOG_END));
}

void connection_completed(void *arg, struct MHD_Connection *connection, void **state,
                          enum MHD_RequestTerminationCode how)
{
    struct server *s = arg;
    struct call *c = *state;
    if (!c)
        return;
    *state = NULL;
    watch_work_done(s->watch, c->fd);
    if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK) {
        watch_idle(s->watch, c->fd);
        set_timeout(connection, s->opt.idle_seconds);
    }
    bool left = call_has_left(c) || how != MHD_REQUEST_TERMINATED_COMPLETED_OK;
    call_gone(c);
    pthread_mutex_lock(&c->mutex);
    int status = left ? 499 : c->status; /* nginx's number for a client that did not wait */
    struct generation_stats stats = c->stats;
    double ms = clock_ms() - c->begun_ms;
    log_call(c, status, ms);
    pthread_mutex_unlock(&c->mutex);
    metrics_request(s->metrics, route_name(c), status, ms * 1e-3, &stats);
    if (c->counted)
        atomic_fetch_sub(&s->working, 1);
    call_drop(c);
}

void connection_noted(void *arg, struct MHD_Connection *connection, void **state,
                      enum MHD_ConnectionNotificationCode what)
{
    struct server *s = arg;
    (void)state;
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        atomic_fetch_add(&s->connections, 1);
        if (!watch_open(s->watch, fd))
            shutdown(fd, SHUT_RDWR);
    } else {
        atomic_fetch_sub(&s->connections, 1);
        watch_close(s->watch, fd);
    }
}
