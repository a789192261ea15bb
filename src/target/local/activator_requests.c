/* activator_requests.c: what becomes of each request. */
#include "target/local/activator_parts.h"

#include "base/clock.h"
#include "base/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { CONNECTIONS = 8192, FDS_EACH = 2, LOST_MS = 2000, SWEEP_MS = 1000 };

/* --- answers of our own --- */

static void refuse(struct relay *r, int status, int retry_seconds, const char *code, const char *message,
                   double now_ms)
{
    char headers[64] = "";
    json_t *error = json_pack("{s:{s:s%, s:s, s:n, s:s}}", "error", "message", message, strlen(message),
                              "type", "server_error", "param", "code", code);
    char *body = error ? json_dumps(error, JSON_COMPACT) : NULL;
    if (retry_seconds)
        snprintf(headers, sizeof headers, "Retry-After: %d\r\n", retry_seconds);
    relay_answer(r, &(struct relay_answer){status, "application/json", headers, body ? body : "{}"}, now_ms);
    free(body);
    json_decref(error);
}

static void refuse_failed(struct activator *a, struct relay *r, const char *failure, double now_ms)
{
    refuse(r, 503, machine_retry_seconds(&a->machine, now_ms), "server_failed", failure, now_ms);
}

static void refuse_stopping(struct relay *r, double now_ms)
{
    r->last = true;
    refuse(r, 503, 5, "shutting_down", "the service is being stopped; ask again later", now_ms);
}

/* --- probes --- */

static bool is_path(const struct relay *r, const char *path)
{
    return r->request.path_size == strlen(path) && memcmp(r->request.path, path, r->request.path_size) == 0;
}

static bool is_probe(const struct relay *r)
{
    return r->request.head ||
           (r->request.get && (is_path(r, "/healthz") || is_path(r, "/readyz") || is_path(r, "/metrics")));
}

static void answer_probe(struct activator *a, struct relay *r, double now_ms)
{
    static const char json[] = "application/json", text[] = "text/plain; version=0.0.4; charset=utf-8";
    bool failed = a->machine.phase == PHASE_FAILED;
    struct relay_answer answer = {200, json, "", "{\"status\":\"ok\"}"};
    if (is_path(r, "/readyz") && failed) {
        refuse_failed(a, r, a->failure, now_ms);
        return;
    }
    if (is_path(r, "/readyz"))
        answer.body = "{\"status\":\"asleep\"}";
    if (is_path(r, "/metrics"))
        answer = (struct relay_answer){200, text, "", "# the server is asleep\n"};
    relay_answer(r, &answer, now_ms);
}

/* --- requests --- */

static bool has_server(const struct activator *a)
{
    return a->current && (a->machine.phase == PHASE_STARTING || a->machine.phase == PHASE_AWAKE);
}

/* Where its queue is full, or it is about to turn out to be gone, the request waits. */
static void pass(struct activator *a, struct relay *r, struct child *c, double now_ms)
{
    if (r->child != c) {
        r->child = c;
        c->users++;
    }
    int fd = child_connect(c);
    if (fd >= 0) {
        relay_pass(r, fd, now_ms);
        return;
    }
    a->held = true;
    relay_hold(r, now_ms);
}

static void take(void *arg, struct relay *r)
{
    struct activator *a = arg;
    double now_ms = clock_ms();
    if (a->stopping) {
        refuse_stopping(r, now_ms);
        return;
    }
    if (is_probe(r)) {
        if (has_server(a))
            pass(a, r, a->current, now_ms);
        else
            answer_probe(a, r, now_ms);
        return;
    }
    enum admission admitted = machine_request(&a->machine, now_ms);
    r->counted = admitted != ADMIT_REFUSE;
    if (admitted == ADMIT_REFUSE) {
        refuse_failed(a, r, a->failure, now_ms);
    } else if (admitted == ADMIT_FORWARD && has_server(a)) {
        pass(a, r, a->current, now_ms);
    } else {
        a->held = true;
        relay_hold(r, now_ms);
    }
}

static void over(void *arg, struct relay *r)
{
    struct activator *a = arg;
    if (r->child)
        r->child->users--;
    r->child = NULL;
    if (!r->counted)
        return;
    r->counted = false;
    a->requests++;
    machine_over(&a->machine, clock_ms());
}

static void lost(void *arg, struct relay *r)
{
    struct activator *a = arg;
    if (r->child && r->child->ended)
        refuse_failed(a, r, *a->failure ? a->failure : "the server ended before it answered", clock_ms());
}

static void closed(void *arg, struct relay *r)
{
    struct activator *a = arg;
    if (r->prev)
        r->prev->next = r->next;
    else
        a->relays = r->next;
    if (r->next)
        r->next->prev = r->prev;
    r->next = a->closed_relays;
    a->closed_relays = r;
    a->connections--;
    if (!a->listening && !a->stopping)
        a->listening = loop_watch(&a->loop, &a->listener, EPOLLIN);
}

void requests_init(struct activator *a)
{
    a->relay_owner =
        (struct relay_owner){.arg = a, .request = take, .lost = lost, .over = over, .closed = closed};
    a->most_connections = raise_connection_limit(CONNECTIONS * FDS_EACH) / FDS_EACH;
}

/* --- connections --- */

static void add(struct activator *a, int fd, double now_ms)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* each token is to go out when it is there */
    struct relay *r = relay_new(fd, &a->loop, &a->relay_owner, now_ms);
    if (!r)
        return;
    r->next = a->relays;
    if (a->relays)
        a->relays->prev = r;
    a->relays = r;
    a->connections++;
}

/* Closes the one that has been without a request for longest. False: all are busy. */
static bool make_room(struct activator *a)
{
    struct relay *oldest = NULL;
    for (struct relay *r = a->relays; r; r = r->next)
        if (relay_is_idle(r) && (!oldest || r->since_ms < oldest->since_ms))
            oldest = r;
    if (oldest)
        relay_close(oldest);
    return oldest != NULL;
}

void requests_accept(struct activator *a)
{
    double now_ms = clock_ms();
    for (;;) {
        if (a->connections >= a->most_connections && !make_room(a))
            break;
        int fd = accept4(a->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            add(a, fd, now_ms);
        else if (errno == EAGAIN)
            return;
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            break;
    }
    /* when one closes it goes on; with none open, with the next sweep */
    a->listening = !loop_watch(&a->loop, &a->listener, 0);
}

/* --- what time brings --- */

void requests_pass_held(struct activator *a, double now_ms)
{
    struct relay *next;
    if (!a->held)
        return;
    a->held = false;
    for (struct relay *r = a->relays; r; r = next) {
        next = r->next;
        struct child *c = r->child ? r->child : has_server(a) ? a->current : NULL;
        if (r->phase != RELAY_HELD)
            continue;
        if (c && !c->ended)
            pass(a, r, c, now_ms);
        else
            a->held = true;
    }
}

void requests_child_ended(struct activator *a, struct child *c, const char *failure, double now_ms)
{
    struct relay *next;
    for (struct relay *r = a->relays; r; r = next) {
        next = r->next;
        if (r->child == c && (r->phase == RELAY_LOST || r->phase == RELAY_HELD))
            refuse_failed(a, r, failure, now_ms);
    }
}

void requests_sweep(struct activator *a, double now_ms)
{
    struct relay *next;
    if (now_ms - a->swept_ms < SWEEP_MS)
        return;
    a->swept_ms = now_ms;
    for (struct relay *r = a->relays; r; r = next) {
        next = r->next;
        if (r->phase == RELAY_LOST && now_ms - r->since_ms > LOST_MS)
            refuse(r, 502, 0, "no_answer", "the server hung up without an answer", now_ms);
        else
            relay_check(r, now_ms);
    }
    if (!a->listening && !a->stopping)
        a->listening = loop_watch(&a->loop, &a->listener, EPOLLIN);
}

void requests_stop(struct activator *a, double now_ms)
{
    struct relay *next;
    for (struct relay *r = a->relays; r; r = next) {
        next = r->next;
        r->last = true;
        if (r->phase == RELAY_HELD)
            refuse_stopping(r, now_ms);
        else if (relay_is_idle(r))
            relay_close(r);
    }
}

bool requests_pending(const struct activator *a)
{
    for (const struct relay *r = a->relays; r; r = r->next)
        if (r->phase == RELAY_PASSING || r->phase == RELAY_LOST || r->phase == RELAY_ANSWERING)
            return true;
    return false;
}

void requests_free_closed(struct activator *a)
{
    while (a->closed_relays) {
        struct relay *r = a->closed_relays;
        a->closed_relays = r->next;
        relay_free(r);
    }
}

void requests_close_all(struct activator *a)
{
    while (a->relays)
        relay_close(a->relays);
    requests_free_closed(a);
}
