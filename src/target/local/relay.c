#include "target/local/relay.h"

#include "base/clock.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The limits of ferry serve (serve/server.h), so that a client meets the same whichever answers it. */
enum {
    FIRST_HEAD_MS = 60000,
    NEXT_HEAD_MS = 620000,
    STALL_MS = 60000,
    LINGER_MS = 10000,
};

static void settle(struct relay *r, double now_ms);

static void enter(struct relay *r, enum relay_phase phase, double now_ms)
{
    r->phase = phase;
    r->since_ms = r->moved_ms = now_ms;
}

/* --- the end of things --- */

/* The server is not needed any more. */
static void leave_server(struct relay *r)
{
    loop_drop(r->loop, &r->server);
    if (!r->begun)
        return;
    r->begun = false;
    r->owner->over(r->owner->arg, r);
}

void relay_close(struct relay *r)
{
    if (r->phase == RELAY_CLOSED)
        return;
    r->phase = RELAY_CLOSED;
    leave_server(r);
    loop_drop(r->loop, &r->client);
    span_clear(&r->up);
    span_clear(&r->down);
    r->owner->closed(r->owner->arg, r);
}

static void linger(struct relay *r, double now_ms)
{
    shutdown(r->client.fd, SHUT_WR);
    span_clear(&r->up);
    span_clear(&r->down);
    if (r->client_ended)
        relay_close(r);
    else
        enter(r, RELAY_LINGERING, now_ms);
}

static bool stays(const struct relay *r)
{
    return r->request.keep_alive && r->reply.keep_alive && framing_done(&r->request.body) && !r->last &&
           !r->client_ended;
}

/* The answer is out. */
static void end_request(struct relay *r, double now_ms)
{
    leave_server(r);
    span_clear(&r->down);
    span_drop(&r->up, r->up_ready); /* what the server did not want to hear */
    r->up_ready = 0;
    if (r->cut) {
        relay_close(r);
    } else if (!stays(r)) {
        linger(r, now_ms);
    } else {
        if (span_size(&r->up) == 0)
            span_clear(&r->up);
        r->had_request = true;
        enter(r, RELAY_HEAD, now_ms);
    }
}

/* --- a request --- */

static void answer_problem(struct relay *r, const struct err *problem, double now_ms)
{
    char body[400];
    int status = problem->kind == ERR_LIMIT ? 431 : problem->kind == ERR_UNSUPPORTED ? 501 : 400;
    snprintf(body, sizeof body,
             "{\"error\":{\"message\":\"%.200s\",\"type\":\"invalid_request_error\",\"param\":null,"
             "\"code\":null}}",
             problem->text);
    r->request = (struct request_head){.body.kind = FRAMING_UNTIL_CLOSE}; /* where it ends is unknown */
    relay_answer(r, &(struct relay_answer){status, "application/json", "", body}, now_ms);
}

/* Some clients end a body with a line break too many (RFC 9112, 2.2). */
static void skip_empty_lines(struct relay *r)
{
    while (span_size(&r->up) >= 2 && memcmp(span_at(&r->up), "\r\n", 2) == 0)
        span_drop(&r->up, 2);
}

static bool read_head(struct relay *r, size_t head, struct err *e)
{
    size_t body, size = span_size(&r->up);
    if (!message_request(span_at(&r->up), head, &r->request, e))
        return false;
    if (!framing_take(&r->request.body, span_at(&r->up) + head, size - head, &body, e))
        return false;
    r->up_ready = head + body;
    return true;
}

static void begin_request(struct relay *r, double now_ms)
{
    struct err problem = {0};
    skip_empty_lines(r);
    size_t head = span_size(&r->up) ? message_head_size(span_at(&r->up), span_size(&r->up)) : 0;
    if (head == 0 && !span_is_full(&r->up)) {
        if (r->client_ended)
            relay_close(r);
        return;
    }
    r->replying = r->replied = r->cut = r->told_server = false;
    r->up_ready = r->down_ready = 0;
    r->reply = (struct reply_head){0};
    r->begun = true;
    if (head == 0)
        err_set(&problem, ERR_LIMIT, "the request's head is longer than %d bytes", MESSAGE_HEAD_BYTES);
    if (head == 0 || !read_head(r, head, &problem))
        answer_problem(r, &problem, now_ms);
    else
        r->owner->request(r->owner->arg, r);
}

void relay_hold(struct relay *r, double now_ms)
{
    enter(r, RELAY_HELD, now_ms);
    settle(r, now_ms);
}

void relay_pass(struct relay *r, int server, double now_ms)
{
    r->server.fd = server;
    enter(r, RELAY_PASSING, now_ms);
    settle(r, now_ms);
}

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {{200, "OK"},
                   {400, "Bad Request"},
                   {431, "Request Header Fields Too Large"},
                   {501, "Not Implemented"},
                   {502, "Bad Gateway"},
                   {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "";
}

void relay_answer(struct relay *r, const struct relay_answer *a, double now_ms)
{
    char head[1024];
    loop_drop(r->loop, &r->server);
    span_keep(&r->down, r->down_ready);
    r->reply = (struct reply_head){.status = a->status, .keep_alive = true};
    snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n%s\r\n",
             a->status, reason(a->status), a->type, a->headers, strlen(a->body),
             stays(r) ? "" : "Connection: close\r\n");
    bool fits = span_add(&r->down, head, strlen(head)) &&
                (r->request.head || span_add(&r->down, a->body, strlen(a->body)));
    if (!fits) {
        relay_close(r);
        return;
    }
    r->down_ready = span_size(&r->down);
    r->replying = r->replied = true;
    enter(r, RELAY_ANSWERING, now_ms);
    settle(r, now_ms);
}

/* --- bytes --- */

static void lose_server(struct relay *r, double now_ms)
{
    loop_drop(r->loop, &r->server);
    enter(r, RELAY_LOST, now_ms);
    r->owner->lost(r->owner->arg, r);
}

/* What has just come from the client belongs to the request as far as its body goes. */
static bool account_up(struct relay *r)
{
    struct err e = {0};
    size_t taken, fresh = span_size(&r->up) - r->up_ready;
    if (framing_done(&r->request.body))
        return true;
    bool ok = framing_take(&r->request.body, span_at(&r->up) + r->up_ready, fresh, &taken, &e);
    r->up_ready += taken;
    return ok;
}

/* The heads in front of down, up to the final one; false: that is no HTTP. */
static bool account_heads(struct relay *r, struct err *e)
{
    while (!r->replying) {
        const char *at = span_at(&r->down) + r->down_ready;
        size_t rest = span_size(&r->down) - r->down_ready;
        size_t head = rest ? message_head_size(at, rest) : 0;
        if (head == 0)
            return !span_is_full(&r->down) || err_set(e, ERR_LIMIT, "the answer's head is too long");
        if (!message_reply(at, head, r->request.head, &r->reply, e))
            return false;
        if (r->reply.status == 101)
            return err_set(e, ERR_UNSUPPORTED, "the server wants to switch protocols");
        r->down_ready += head;
        r->replying = r->reply.status >= 200;
    }
    return true;
}

static bool account_down(struct relay *r)
{
    struct err e = {0};
    size_t taken;
    if (!account_heads(r, &e))
        return false;
    if (!r->replying)
        return true;
    size_t fresh = span_size(&r->down) - r->down_ready;
    if (!framing_take(&r->reply.body, fresh ? span_at(&r->down) + r->down_ready : "", fresh, &taken, &e))
        return false;
    r->down_ready += taken;
    r->replied = framing_done(&r->reply.body);
    return true;
}

/* The server will say nothing more. */
static void end_server(struct relay *r, double now_ms)
{
    if (!r->replying) {
        lose_server(r, now_ms);
        return;
    }
    if (r->reply.body.kind == FRAMING_UNTIL_CLOSE)
        r->replied = true;
    else if (!r->replied)
        r->replied = r->cut = true;
    leave_server(r);
}

static void read_server(struct relay *r, double now_ms)
{
    enum span_result got = span_read(&r->down, r->server.fd);
    if (got == SPAN_BLOCKED)
        return;
    r->moved_ms = now_ms;
    if (got == SPAN_MOVED && account_down(r)) {
        if (r->replied)
            leave_server(r);
    } else {
        end_server(r, now_ms);
    }
}

static void read_client(struct relay *r, double now_ms)
{
    enum span_result got = span_read(&r->up, r->client.fd);
    if (got == SPAN_MOVED)
        r->moved_ms = now_ms;
    if (got == SPAN_ENDED)
        r->client_ended = true;
    if (got == SPAN_BROKEN || (got == SPAN_MOVED && r->phase == RELAY_PASSING && !account_up(r)))
        relay_close(r);
}

/* Not moved on: how long a client may be slow in seeing the answer counts from the begin of the phase. */
static void read_away(struct relay *r)
{
    char bytes[16 << 10];
    ssize_t n = recv(r->client.fd, bytes, sizeof bytes, 0);
    if (n == 0)
        relay_close(r);
}

static void write_server(struct relay *r)
{
    enum span_result sent = span_write(&r->up, &r->up_ready, r->server.fd);
    if (sent == SPAN_BROKEN) { /* it may have said why before it hung up: reading will tell */
        span_drop(&r->up, r->up_ready);
        r->up_ready = 0;
    }
    if (r->up_ready == 0 && r->client_ended && !r->told_server) {
        shutdown(r->server.fd, SHUT_WR);
        r->told_server = true;
    }
}

static void write_client(struct relay *r, double now_ms)
{
    size_t before = r->down_ready;
    enum span_result sent = span_write(&r->down, &r->down_ready, r->client.fd);
    if (r->down_ready < before)
        r->moved_ms = now_ms;
    if (sent == SPAN_BROKEN)
        relay_close(r);
}

/* --- events --- */

static void watch(struct relay *r)
{
    bool reads = (r->phase == RELAY_HEAD || r->phase == RELAY_PASSING) && !span_is_full(&r->up);
    uint32_t client = 0, server = 0;
    if ((reads && !r->client_ended) || r->phase == RELAY_LINGERING)
        client |= EPOLLIN;
    if (r->phase == RELAY_HELD || r->phase == RELAY_LOST)
        client |= EPOLLRDHUP;
    if (r->down_ready > 0)
        client |= EPOLLOUT;
    if (r->server.fd >= 0 && !span_is_full(&r->down))
        server |= EPOLLIN;
    if (r->server.fd >= 0 && r->up_ready > 0)
        server |= EPOLLOUT;
    bool ok = loop_watch(r->loop, &r->client, client) &&
              (r->server.fd < 0 || loop_watch(r->loop, &r->server, server));
    if (!ok)
        relay_close(r);
}

/* Moves what can be moved. True: something else is to be done now. */
static bool step(struct relay *r, double now_ms)
{
    if (r->phase == RELAY_HEAD) {
        begin_request(r, now_ms);
        return r->phase != RELAY_HEAD;
    }
    if (r->phase == RELAY_PASSING && r->server.fd >= 0)
        write_server(r);
    if (r->down_ready > 0)
        write_client(r, now_ms);
    bool out = r->replied && r->down_ready == 0;
    if (!out || (r->phase != RELAY_PASSING && r->phase != RELAY_ANSWERING))
        return false;
    end_request(r, now_ms);
    return true;
}

/* Goes on until there is something to wait for. What the owner does meanwhile comes back here: not deeper. */
static void settle(struct relay *r, double now_ms)
{
    if (r->settling)
        return;
    r->settling = true;
    while (r->phase != RELAY_CLOSED && step(r, now_ms))
        ;
    r->settling = false;
    if (r->phase != RELAY_CLOSED)
        watch(r);
}

static void client_ready(struct watcher *w, uint32_t events)
{
    struct relay *r = (struct relay *)((char *)w - offsetof(struct relay, client));
    double now_ms = clock_ms();
    if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
        relay_close(r);
        return;
    }
    if (r->phase == RELAY_LINGERING)
        read_away(r);
    else if (events & EPOLLIN)
        read_client(r, now_ms);
    if (r->phase != RELAY_CLOSED)
        settle(r, now_ms);
}

static void server_ready(struct watcher *w, uint32_t events)
{
    struct relay *r = (struct relay *)((char *)w - offsetof(struct relay, server));
    double now_ms = clock_ms();
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !span_is_full(&r->down))
        read_server(r, now_ms);
    if (r->phase != RELAY_CLOSED)
        settle(r, now_ms);
}

struct relay *relay_new(int client, struct loop *l, const struct relay_owner *o, double now_ms)
{
    struct relay *r = calloc(1, sizeof *r);
    struct watcher w = {.fd = client};
    if (!r) {
        loop_drop(l, &w);
        return NULL;
    }
    r->owner = o;
    r->loop = l;
    r->client = (struct watcher){.fd = client, .ready = client_ready};
    r->server = (struct watcher){.fd = -1, .ready = server_ready};
    enter(r, RELAY_HEAD, now_ms);
    if (!loop_watch(l, &r->client, EPOLLIN)) {
        loop_drop(l, &r->client);
        free(r);
        return NULL;
    }
    return r;
}

void relay_free(struct relay *r)
{
    free(r);
}

bool relay_is_idle(const struct relay *r)
{
    return r->phase == RELAY_HEAD && span_size(&r->up) == 0;
}

void relay_check(struct relay *r, double now_ms)
{
    double since = now_ms - r->since_ms, still = now_ms - r->moved_ms;
    bool late = (r->phase == RELAY_HEAD && since > (r->had_request ? NEXT_HEAD_MS : FIRST_HEAD_MS)) ||
                (r->phase == RELAY_LINGERING && since > LINGER_MS) || (r->down_ready > 0 && still > STALL_MS);
    if (late)
        relay_close(r);
}
