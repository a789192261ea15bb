#include "fixture.h"
#include "http_client.h"

#include "base/clock.h"
#include "base/log.h"
#include "serve/server.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define JSON "Content-Type: application/json\r\n"
#define CHAT "/v1/chat/completions"
#define HELLO "\"model\":\"tiny-qwen2-audio\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]"
/* Sampled hot and without stop ids: goes on to max_tokens. */
#define ENDLESS                                                                                              \
    "{" HELLO                                                                                                \
    ",\"temperature\":1.5,\"top_p\":1,\"top_k\":0,\"seed\":5,\"logit_bias\":{\"1024\":-100,\"1026\":-100}"
#define LONG ENDLESS ",\"n\":100" /* no machine is through with that while a test runs */
#define SHORT "{" HELLO ",\"max_tokens\":3}"

struct service {
    struct loaded_model model;
    struct server *server;
    int port;
};

static void start(struct service *v, struct server_options o, int parallel)
{
    struct err e = {0};
    *v = (struct service){0};
    o.host = "127.0.0.1";
    o.version = "0";
    v->server = server_new(&o, &e);
    if (!v->server)
        fail_msg("%s", e.text);
    v->port = server_port(v->server);
    if (parallel == 0)
        return;
    open_tiny(&v->model, parallel, 0);
    assert_true(server_set_model(v->server, &v->model, &e));
}

static void stop(struct service *v)
{
    server_free(v->server);
    loaded_model_close(&v->model);
}

static struct reply *reply_new(void)
{
    struct reply *r = calloc(1, sizeof *r);
    assert_non_null(r);
    return r;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* The value of a metric; -1 when it is not there. */
static double metric(int port, const char *name)
{
    struct reply *r = reply_new();
    char line[200];
    snprintf(line, sizeof line, "\n%s ", name);
    client_ask(port, "GET", "/metrics", "", NULL, r);
    const char *found = strstr(r->body, line);
    double v = found ? atof(found + strlen(line)) : -1;
    free(r);
    return v;
}

static bool metric_becomes(int port, const char *name, double value, double seconds)
{
    double until = clock_ms() + seconds * 1e3;
    while (metric(port, name) != value) {
        if (clock_ms() > until)
            return false;
        pause_ms(5);
    }
    return true;
}

/* Sends a chat request and leaves the connection open. */
static int begin_chat(int port, const char *body)
{
    char head[200];
    int fd = client_connect(port);
    snprintf(head, sizeof head, "POST " CHAT " HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: %zu\r\n\r\n",
             strlen(body));
    client_write(fd, head);
    client_write(fd, body);
    return fd;
}

/* ---- errors ---- */

static void every_refusal_has_its_status_and_openais_shape(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *headers, *body;
        int status;
        const char *type, *code, *head; /* head: what the reply's head must contain */
    } cases[] = {
        {"GET", "/nothing", "", NULL, 404, "invalid_request_error", "unknown_url", ""},
        {"GET", "/v1/chat/completionss", "", NULL, 404, "invalid_request_error", "unknown_url", ""},
        {"GET", CHAT, "", NULL, 405, "invalid_request_error", "method_not_allowed", "\r\nAllow: POST\r\n"},
        {"DELETE", "/v1/models/x", "", NULL, 405, "invalid_request_error", "method_not_allowed",
         "\r\nAllow: GET, HEAD\r\n"},
        {"POST", "/healthz", JSON, "{}", 405, "invalid_request_error", "method_not_allowed",
         "\r\nAllow: GET, HEAD\r\n"},
        {"GET", "/v1/models/other", "", NULL, 404, "invalid_request_error", "model_not_found", ""},
        {"POST", CHAT, "", "{}", 415, "invalid_request_error", "unsupported_media_type", ""},
        {"POST", CHAT, "Content-Type: text/plain\r\n", "{}", 415, "invalid_request_error",
         "unsupported_media_type", ""},
        {"POST", CHAT, JSON, "", 400, "invalid_request_error", NULL, ""},
        {"POST", CHAT, JSON, "{", 400, "invalid_request_error", NULL, ""},
        {"POST", CHAT, JSON, "{" HELLO ",\"tools\":[{}]}", 400, "invalid_request_error", "unsupported", ""},
        {"POST", CHAT, JSON, "{\"model\":\"x\"}", 404, "invalid_request_error", "model_not_found", ""},
        {"POST", "/v1/audio/transcriptions", JSON, "{}", 415, "invalid_request_error",
         "unsupported_media_type", ""},
        {"POST", "/v1/audio/transcriptions", "Content-Type: multipart/form-data\r\n", "x", 400,
         "invalid_request_error", NULL, ""},
        {"POST", "/v1/audio/transcriptions", "Content-Type: multipart/form-data; boundary=b\r\n", "x", 400,
         "invalid_request_error", NULL, ""},
        {"POST", "/v1/audio/transcriptions", "Content-Type: multipart/form-data; boundary=b\r\n",
         "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ntiny", 400, "invalid_request_error",
         NULL, ""},
    };
    struct service v;
    struct reply *r = reply_new();
    start(&v, (struct server_options){0}, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client_ask(v.port, cases[i].method, cases[i].path, cases[i].headers, cases[i].body, r);
        json_t *body = json_loads(r->body, 0, NULL), *e = json_object_get(body, "error");
        if (r->status != cases[i].status || !strstr(r->head, cases[i].head))
            fail_msg("%s %s: %s%s", cases[i].method, cases[i].path, r->head, r->body);
        assert_int_equal(json_object_size(e), 4);
        assert_true(json_string_length(json_object_get(e, "message")) > 0);
        assert_string_equal(json_string_value(json_object_get(e, "type")), cases[i].type);
        if (cases[i].code)
            assert_string_equal(json_string_value(json_object_get(e, "code")), cases[i].code);
        else
            assert_true(json_is_null(json_object_get(e, "code")));
        json_decref(body);
    }
    free(r);
    stop(&v);
}

static void without_the_key_only_probes_answer(void **state)
{
    (void)state;
    struct service v;
    struct reply *r = reply_new();
    start(&v, (struct server_options){.api_key = "secret"}, 1);
    static const struct {
        const char *path, *headers;
        int status;
    } cases[] = {
        {"/healthz", "", 200},
        {"/readyz", "", 200},
        {"/metrics", "", 401},
        {"/v1/models", "", 401},
        {"/nowhere", "", 401},
        {"/v1/models", "Authorization: Bearer wrong\r\n", 401},
        {"/v1/models", "X-Serverless-Authorization: Bearer secret\r\n", 401},
        {"/v1/models", "Authorization: Bearer secret\r\nX-Serverless-Authorization: Bearer other\r\n", 200},
        {"/metrics", "Authorization: Bearer secret\r\n", 200},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client_ask(v.port, "GET", cases[i].path, cases[i].headers, NULL, r);
        assert_int_equal(r->status, cases[i].status);
        if (r->status == 401) {
            assert_non_null(strstr(r->head, "\r\nWWW-Authenticate: Bearer\r\n"));
            assert_non_null(strstr(r->body, "invalid_api_key"));
            assert_null(strstr(r->body, "secret"));
        }
    }
    free(r);
    stop(&v);
}

static void a_port_that_is_taken_is_told(void **state)
{
    (void)state;
    struct service v;
    struct err e = {0};
    start(&v, (struct server_options){0}, 0);
    struct server_options o = {.host = "127.0.0.1", .port = v.port};
    assert_null(server_new(&o, &e));
    assert_int_equal(e.kind, ERR_IO);
    assert_non_null(strstr(e.text, "listen on 127.0.0.1 port "));
    assert_non_null(strstr(e.text, "Address already in use"));
    stop(&v);
}

static void a_socket_that_listens_already_is_taken_over(void **state)
{
    (void)state;
    struct service v;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof address;
    struct reply *r = reply_new();
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), 0); /* a name of its own */
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, size), 0); /* before the server is there */
    start(&v, (struct server_options){.port = 9999, .listen_fd = fd}, 1);
    assert_int_equal(v.port, 9999);
    client_write(client, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(client, r);
    assert_int_equal(r->status, 200);
    close(client);
    free(r);
    stop(&v);
}

static void a_descriptor_that_does_not_listen_is_refused(void **state)
{
    (void)state;
    struct err e = {0};
    struct server_options o = {.listen_fd = socket(AF_UNIX, SOCK_STREAM, 0)};
    char expected[100];
    snprintf(expected, sizeof expected, "descriptor %d: no socket that listens for connections", o.listen_fd);
    assert_null(server_new(&o, &e));
    assert_string_equal(e.text, expected);
}

/* ---- before the model ---- */

static void requests_are_held_until_the_model_is_there(void **state)
{
    (void)state;
    struct service v;
    struct err e = {0};
    struct reply *r = reply_new();
    start(&v, (struct server_options){0}, 0);
    client_ask(v.port, "GET", "/healthz", "", NULL, r);
    assert_int_equal(r->status, 200);
    client_ask(v.port, "GET", "/readyz", "", NULL, r);
    assert_int_equal(r->status, 503);
    assert_non_null(strstr(r->head, "\r\nRetry-After: "));
    int chat = begin_chat(v.port, SHORT), models = client_connect(v.port);
    client_write(models, "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(metric_becomes(v.port, "ferry_requests_waiting", 2, 10));
    open_tiny(&v.model, 1, 0);
    assert_true(server_set_model(v.server, &v.model, &e));
    client_read(chat, r);
    assert_int_equal(r->status, 200);
    client_read(models, r);
    assert_int_equal(r->status, 200);
    assert_non_null(strstr(r->body, "\"object\":\"model\""));
    close(chat);
    close(models);
    client_ask(v.port, "HEAD", "/readyz", "", NULL, r);
    assert_int_equal(r->status, 200);
    free(r);
    stop(&v);
}

static void stopping_before_the_model_answers_what_is_held(void **state)
{
    (void)state;
    struct service v;
    struct reply *r = reply_new();
    start(&v, (struct server_options){0}, 0);
    int fd = begin_chat(v.port, SHORT);
    assert_true(metric_becomes(v.port, "ferry_requests_waiting", 1, 10));
    server_stop(v.server, 0.05);
    client_read(fd, r);
    assert_int_equal(r->status, 503);
    assert_non_null(strstr(r->body, "stopping"));
    close(fd);
    free(r);
    stop(&v);
}

/* ---- slow, large and half requests ---- */

static void a_head_that_trickles_is_cut_and_hurts_nobody(void **state)
{
    (void)state;
    struct service v;
    struct reply *r = reply_new();
    start(&v, (struct server_options){.head_seconds = 0.4}, 1);
    int fd = client_connect(v.port), silent = client_connect(v.port);
    const char *head = "POST " CHAT " HTTP/1.1\r\n";
    double begin = clock_ms();
    while (*head && client_send(fd, head, 1)) {
        client_ask(v.port, "POST", CHAT, JSON, SHORT, r);
        assert_int_equal(r->status, 200);
        pause_ms(50);
        head++;
    }
    assert_true(client_closed(fd, 5));
    assert_true(client_closed(silent, 5));
    assert_true(clock_ms() - begin < 10000);
    close(fd);
    close(silent);
    free(r);
    stop(&v);
}

static void a_body_that_stalls_or_trickles_is_cut(void **state)
{
    (void)state;
    struct service v;
    start(&v, (struct server_options){.stall_seconds = 1}, 1);
    int stalled = client_connect(v.port), trickling = client_connect(v.port);
    const char *head = "POST " CHAT " HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 100000\r\n\r\n{";
    client_write(stalled, head);
    client_write(trickling, head);
    double begin = clock_ms();
    while (client_send(trickling, " ", 1) && clock_ms() - begin < 10000)
        pause_ms(20);
    assert_true(clock_ms() - begin < 10000);
    assert_true(client_closed(stalled, 10));
    assert_true(metric_becomes(v.port, "ferry_body_bytes", 0, 5));
    close(stalled);
    close(trickling);
    stop(&v);
}

static void idle_connections_are_closed_and_busy_ones_kept(void **state)
{
    (void)state;
    struct service v;
    struct reply *r = reply_new();
    start(&v, (struct server_options){.idle_seconds = 0.5}, 1);
    int fd = client_connect(v.port);
    for (int i = 0; i < 4; i++) {
        client_write(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        client_read(fd, r);
        assert_int_equal(r->status, 200);
        pause_ms(200);
    }
    assert_true(client_closed(fd, 5));
    close(fd);
    free(r);
    stop(&v);
}

/* The reply must be readable by a client that is still sending. */
static void a_body_over_the_limit_is_413_while_it_is_sent(void **state)
{
    (void)state;
    struct service v;
    struct reply *r = reply_new();
    size_t size = 8 << 20;
    char *body = calloc(1, size);
    assert_non_null(body);
    start(&v, (struct server_options){.body_bytes = 1 << 20}, 1);
    int fd = client_connect(v.port);
    client_write(fd, "POST " CHAT " HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 8388608\r\n\r\n");
    assert_true(client_send(fd, body, size));
    client_read(fd, r);
    assert_int_equal(r->status, 413);
    assert_non_null(strstr(r->body, "larger than 1048576 bytes"));
    assert_non_null(strstr(r->body, "request_too_large"));
    close(fd);
    assert_true(metric_becomes(v.port, "ferry_body_bytes", 0, 5));
    free(body);
    free(r);
    stop(&v);
}

static void a_chunked_body_over_the_limit_is_413_at_its_end(void **state)
{
    (void)state;
    struct service v;
    struct reply *r = reply_new();
    static char chunk[4096 + 8];
    start(&v, (struct server_options){.body_bytes = 16 << 10}, 1);
    int n = snprintf(chunk, sizeof chunk, "1000\r\n");
    memset(chunk + n, ' ', 4096);
    memcpy(chunk + n + 4096, "\r\n", 2);
    int fd = client_connect(v.port);
    client_write(fd, "POST " CHAT " HTTP/1.1\r\nHost: x\r\n" JSON "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 8; i++)
        assert_true(client_send(fd, chunk, (size_t)n + 4096 + 2));
    client_write(fd, "0\r\n\r\n");
    client_read(fd, r);
    assert_int_equal(r->status, 413);
    close(fd);
    free(r);
    stop(&v);
}

static void bodies_together_have_a_ceiling(void **state)
{
    (void)state;
    struct service v;
    struct reply *r = reply_new();
    char *half = calloc(1, 40000);
    assert_non_null(half);
    memset(half, ' ', 40000);
    start(&v, (struct server_options){.body_bytes = 64 << 10, .bodies_bytes = 64 << 10}, 1);
    int first = client_connect(v.port);
    client_write(first, "POST " CHAT " HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 50000\r\n\r\n");
    assert_true(client_send(first, half, 40000));
    assert_true(metric_becomes(v.port, "ferry_body_bytes", 40000, 5));
    int second = client_connect(v.port);
    client_write(second, "POST " CHAT " HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 40000\r\n\r\n");
    assert_true(client_send(second, half, 40000));
    client_read(second, r);
    assert_int_equal(r->status, 503);
    assert_non_null(strstr(r->head, "\r\nRetry-After: "));
    close(first);
    assert_true(metric_becomes(v.port, "ferry_body_bytes", 0, 5));
    close(second);
    free(half);
    free(r);
    stop(&v);
}

static void a_refused_request_leaves_its_connection_usable(void **state)
{
    (void)state;
    struct service v;
    struct reply *r = reply_new();
    start(&v, (struct server_options){0}, 1);
    int fd = client_connect(v.port);
    client_write(fd, "POST " CHAT
                     " HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
    client_read(fd, r);
    assert_int_equal(r->status, 415);
    client_write(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(fd, r);
    assert_int_equal(r->status, 200);
    close(fd);
    free(r);
    stop(&v);
}

/* ---- clients that leave, queues that fill ---- */

static void a_client_that_leaves_frees_its_slot(void **state)
{
    (void)state;
    struct service v;
    struct reply *r = reply_new();
    static const char *const bodies[] = {LONG "}", LONG ",\"stream\":true}"};
    start(&v, (struct server_options){0}, 1);
    for (int i = 0; i < 2; i++) {
        int fd = begin_chat(v.port, bodies[i]);
        assert_true(metric_becomes(v.port, "ferry_requests_running", 1, 10));
        int waiting = begin_chat(v.port, SHORT);
        assert_true(metric_becomes(v.port, "ferry_requests_waiting", 1, 10));
        double begin = clock_ms();
        close(fd);
        client_read(waiting, r);
        assert_int_equal(r->status, 200);
        assert_true(clock_ms() - begin < 2000);
        close(waiting);
        assert_true(metric_becomes(v.port, "ferry_requests_total{route=\"chat\",status=\"499\"}", i + 1, 5));
    }
    free(r);
    stop(&v);
}

static void a_waiting_client_that_leaves_gives_up_its_place(void **state)
{
    (void)state;
    struct service v;
    start(&v, (struct server_options){.queue = 1}, 1);
    int running = begin_chat(v.port, LONG "}");
    assert_true(metric_becomes(v.port, "ferry_requests_running", 1, 10));
    int waiting = begin_chat(v.port, SHORT);
    assert_true(metric_becomes(v.port, "ferry_requests_waiting", 1, 10));
    close(waiting);
    assert_true(metric_becomes(v.port, "ferry_requests_waiting", 0, 10));
    close(running);
    assert_true(metric_becomes(v.port, "ferry_requests_running", 0, 10));
    stop(&v);
}

static void a_full_queue_is_429_with_retry_after(void **state)
{
    (void)state;
    struct service v;
    struct reply *r = reply_new();
    start(&v, (struct server_options){.queue = 1}, 1);
    int running = begin_chat(v.port, LONG "}");
    assert_true(metric_becomes(v.port, "ferry_requests_running", 1, 10));
    int waiting = begin_chat(v.port, SHORT);
    assert_true(metric_becomes(v.port, "ferry_requests_waiting", 1, 10));
    client_ask(v.port, "POST", CHAT, JSON, SHORT, r);
    assert_int_equal(r->status, 429);
    assert_non_null(strstr(r->head, "\r\nRetry-After: "));
    assert_non_null(strstr(r->body, "rate_limit_exceeded"));
    close(running);
    client_read(waiting, r);
    assert_int_equal(r->status, 200);
    close(waiting);
    free(r);
    stop(&v);
}

static void hundreds_of_idle_connections_hurt_nobody(void **state)
{
    (void)state;
    enum { IDLE = 500 };
    int fds[IDLE];
    struct service v;
    struct reply *r = reply_new();
    start(&v, (struct server_options){0}, 1);
    for (int i = 0; i < IDLE; i++) {
        fds[i] = client_connect(v.port);
        if (i % 2)
            client_write(fds[i], "POST " CHAT " HTTP/1.1\r\n");
    }
    double begin = clock_ms();
    client_ask(v.port, "POST", CHAT, JSON, SHORT, r);
    assert_int_equal(r->status, 200);
    assert_true(clock_ms() - begin < 5000);
    for (int i = 0; i < IDLE; i++)
        close(fds[i]);
    assert_true(metric_becomes(v.port, "ferry_connections", 1, 10));
    free(r);
    stop(&v);
}

/* ---- the end ---- */

static void a_stream_that_is_cut_ends_with_an_error_event(void **state)
{
    (void)state;
    struct service v;
    struct reply *r = reply_new();
    start(&v, (struct server_options){0}, 1);
    int fd = begin_chat(v.port, LONG ",\"stream\":true}");
    assert_true(metric_becomes(v.port, "ferry_requests_running", 1, 10));
    int waiting = begin_chat(v.port, LONG "}");
    assert_true(metric_becomes(v.port, "ferry_requests_waiting", 1, 10));
    assert_false(server_stop(v.server, 0.05));
    client_read(fd, r);
    assert_int_equal(r->status, 200);
    assert_true(r->whole);
    const char *last = strstr(r->body, "data: {\"error\":");
    assert_non_null(last);
    assert_non_null(strstr(last, "shutting_down"));
    assert_null(strstr(last, "\ndata:"));
    assert_null(strstr(r->body, "[DONE]"));
    assert_true(client_closed(fd, 5));
    client_read(waiting, r);
    assert_int_equal(r->status, 503);
    assert_non_null(strstr(r->head, "\r\nRetry-After: "));
    close(fd);
    close(waiting);
    free(r);
    stop(&v);
}

static void *stop_slowly(void *arg)
{
    struct service *v = arg;
    return server_stop(v->server, 30) ? v : NULL;
}

static void while_stopping_running_requests_finish_and_new_ones_are_503(void **state)
{
    (void)state;
    struct service v;
    struct reply *r = reply_new();
    pthread_t stopper;
    void *all_finished;
    start(&v, (struct server_options){0}, 1);
    int kept = client_connect(v.port);
    client_write(kept, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
    client_read(kept, r);
    assert_int_equal(r->status, 200);
    int fd = begin_chat(v.port, ENDLESS ",\"max_tokens\":600}");
    assert_true(metric_becomes(v.port, "ferry_requests_running", 1, 10));
    pthread_create(&stopper, NULL, stop_slowly, &v);
    for (int probe; (probe = client_try(v.port)) >= 0; close(probe))
        pause_ms(1);
    client_write(kept, "POST " CHAT " HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: 0\r\n\r\n");
    client_read(kept, r);
    assert_int_equal(r->status, 503);
    assert_non_null(strstr(r->head, "\r\nConnection: close\r\n"));
    client_read(fd, r);
    assert_int_equal(r->status, 200);
    assert_non_null(strstr(r->body, "\"finish_reason\":\"length\""));
    pthread_join(stopper, &all_finished);
    assert_non_null(all_finished);
    close(kept);
    close(fd);
    free(r);
    stop(&v);
}

int main(void)
{
    log_set_level(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_refusal_has_its_status_and_openais_shape),
        cmocka_unit_test(without_the_key_only_probes_answer),
        cmocka_unit_test(a_port_that_is_taken_is_told),
        cmocka_unit_test(a_socket_that_listens_already_is_taken_over),
        cmocka_unit_test(a_descriptor_that_does_not_listen_is_refused),
        cmocka_unit_test(requests_are_held_until_the_model_is_there),
        cmocka_unit_test(stopping_before_the_model_answers_what_is_held),
        cmocka_unit_test(a_head_that_trickles_is_cut_and_hurts_nobody),
        cmocka_unit_test(a_body_that_stalls_or_trickles_is_cut),
        cmocka_unit_test(idle_connections_are_closed_and_busy_ones_kept),
        cmocka_unit_test(a_body_over_the_limit_is_413_while_it_is_sent),
        cmocka_unit_test(a_chunked_body_over_the_limit_is_413_at_its_end),
        cmocka_unit_test(bodies_together_have_a_ceiling),
        cmocka_unit_test(a_refused_request_leaves_its_connection_usable),
        cmocka_unit_test(a_client_that_leaves_frees_its_slot),
        cmocka_unit_test(a_waiting_client_that_leaves_gives_up_its_place),
        cmocka_unit_test(a_full_queue_is_429_with_retry_after),
        cmocka_unit_test(hundreds_of_idle_connections_hurt_nobody),
        cmocka_unit_test(a_stream_that_is_cut_ends_with_an_error_event),
        cmocka_unit_test(while_stopping_running_requests_finish_and_new_ones_are_503),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
