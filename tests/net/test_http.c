/* The HTTP client against a listening socket that says exactly what the case wants, wrong things included. */
#include "net/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Answers one connection. */
struct peer {
    int listener, port;
    const char *answer; /* sent after the whole request was read; NULL: closes at once */
    bool hang;          /* keeps the connection open, silently, until the client goes */
    char request[8192];
    pthread_t thread;
};

/* Until head and Content-Length bytes of body are there. */
static void read_request(int fd, char *request, size_t room)
{
    size_t size = 0;
    for (ssize_t n; size + 1 < room && (n = read(fd, request + size, room - 1 - size)) > 0;) {
        request[size += (size_t)n] = 0;
        const char *end = strstr(request, "\r\n\r\n"), *length = strstr(request, "Content-Length: ");
        size_t body = length ? strtoul(length + 16, NULL, 10) : 0;
        if (end && size >= (size_t)(end + 4 - request) + body)
            return;
    }
}

static void *serve_one(void *arg)
{
    struct peer *p = arg;
    char rest[64];
    int fd = accept(p->listener, NULL, NULL);
    if (fd < 0)
        return NULL;
    read_request(fd, p->request, sizeof p->request);
    if (p->answer && write(fd, p->answer, strlen(p->answer)) < 0)
        p->answer = NULL;
    while (p->hang && read(fd, rest, sizeof rest) > 0)
        continue;
    close(fd);
    return NULL;
}

static void peer_start(struct peer *p)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(p->listener, 4), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&a, &size), 0);
    p->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&p->thread, NULL, serve_one, p), 0);
}

static void peer_stop(struct peer *p)
{
    shutdown(p->listener, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->listener);
}

struct body {
    char text[1000];
    bool refuse;
};

static bool take(void *arg, const char *bytes, size_t size, struct err *e)
{
    struct body *b = arg;
    if (b->refuse)
        return err_set(e, ERR_CORRUPT, "that is not what I asked for");
    strncat(b->text, bytes, size);
    return true;
}

#define CHUNKED "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

static const struct {
    const char *name, *answer;
    bool hang, refuse;
    enum err_kind kind; /* ERR_NONE: http_send is true */
    const char *says;   /* in the error, or the body, or problem */
    int status;
} cases[] = {
    {"closed at once", NULL, false, false, ERR_TRANSIENT, "Empty reply", 0},
    {"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n", false, false, ERR_CORRUPT, "does not speak HTTP", 0},
    {"body shorter than said", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", false, false,
     ERR_TRANSIENT, "transfer closed", 200},
    {"cut in a chunk", CHUNKED "8\r\ndata", false, false, ERR_TRANSIENT, "", 200},
    {"chunk of no size", CHUNKED "zz\r\n", false, false, ERR_TRANSIENT, "", 200},
    {"stalled before the answer", "", true, false, ERR_TRANSIENT, "the request stalled", 0},
    {"stalled in the body", CHUNKED "4\r\ndata\r\n", true, false, ERR_TRANSIENT, "stalled", 200},
    {"listener refuses", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", false, true, ERR_CORRUPT,
     "that is not what I asked for", 200},
    {"whole", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", false, false, ERR_NONE, "body", 200},
    {"chunks", CHUNKED "4\r\ndata\r\n3\r\n: x\r\n0\r\n\r\n", false, false, ERR_NONE, "data: x", 200},
    {"refused politely", "HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 6\r\n\r\nlater!", false,
     false, ERR_NONE, "later!", 429},
    {"redirect is not followed",
     "HTTP/1.1 308 Moved\r\nLocation: http://elsewhere.example/x\r\nContent-Length: 0\r\n\r\n", false, false,
     ERR_NONE, "", 308},
};

static void answers_of_every_kind_are_told_apart(void **state)
{
    struct http *h = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer p = {.answer = cases[i].answer, .hang = cases[i].hang};
        struct body body = {.refuse = cases[i].refuse};
        struct http_reply r;
        struct err e = {0};
        char url[64];
        peer_start(&p);
        snprintf(url, sizeof url, "http://127.0.0.1:%d/x", p.port);
        struct http_request q = {
            .method = "GET", .url = url, .stall_seconds = 1, .on_data = take, .arg = &body};
        bool ok = http_send(h, &q, &r, &e);
        peer_stop(&p);
        print_message("%s: %s%s\n", cases[i].name, ok ? body.text : e.text, r.problem);
        assert_int_equal(ok, cases[i].kind == ERR_NONE);
        assert_int_equal(e.kind, cases[i].kind);
        assert_int_equal(r.status, cases[i].status);
        assert_non_null(strstr(!ok ? e.text : r.status == 200 ? body.text : r.problem, cases[i].says));
        assert_int_equal(r.retry_after_seconds, r.status == 429 ? 7 : 0);
        assert_string_equal(r.location, r.status == 308 ? "http://elsewhere.example/x" : "");
    }
}

static void request_carries_body_type_and_bearer(void **state)
{
    struct http *h = *state;
    struct peer p = {.answer = "HTTP/1.1 204 No Content\r\n\r\n"};
    struct http_reply r;
    struct err e = {0};
    char url[64];
    peer_start(&p);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/chat/completions", p.port);
    struct http_request q = {.method = "POST",
                             .url = url,
                             .content_type = "application/json",
                             .accept = "text/event-stream",
                             .body = "{\"a\":1}",
                             .body_size = 7,
                             .bearer = "secret-of-mine"};
    assert_true(http_send(h, &q, &r, &e));
    peer_stop(&p);
    assert_int_equal(r.status, 204);
    assert_memory_equal(p.request, "POST /v1/chat/completions HTTP/1.1\r\n", 36);
    assert_non_null(strstr(p.request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(p.request, "\r\nAccept: text/event-stream\r\n"));
    assert_non_null(strstr(p.request, "\r\nAuthorization: Bearer secret-of-mine\r\n"));
    assert_string_equal(strstr(p.request, "\r\n\r\n") + 4, "{\"a\":1}");
}

static void secret_is_in_no_error(void **state)
{
    struct http *h = *state;
    struct peer p = {.answer = NULL};
    struct http_reply r;
    struct err e = {0};
    char url[64];
    peer_start(&p);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", p.port);
    struct http_request q = {.method = "GET", .url = url, .bearer = "secret-of-mine"};
    assert_false(http_send(h, &q, &r, &e));
    peer_stop(&p);
    assert_null(strstr(e.text, "secret-of-mine"));
}

static void stop_flag_ends_a_silent_request(void **state)
{
    struct http *h = *state;
    static volatile sig_atomic_t stop = 1;
    struct peer p = {.answer = "", .hang = true};
    struct http_reply r;
    struct err e = {0};
    char url[64];
    peer_start(&p);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", p.port);
    struct http_request q = {.method = "GET", .url = url, .stop = &stop};
    assert_false(http_send(h, &q, &r, &e));
    peer_stop(&p);
    assert_int_equal(e.kind, ERR_CANCELLED);
    assert_string_equal(e.text, "interrupted");
}

static void what_is_no_url_is_refused(void **state)
{
    struct http *h = *state;
    static const char *const urls[] = {"http://", "ftp://example.org/", "file:///etc/passwd", "http://a b/",
                                       "http://127.0.0.1:99999/"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct http_reply r;
        struct err e = {0};
        struct http_request q = {.method = "GET", .url = urls[i]};
        assert_false(http_send(h, &q, &r, &e));
        assert_int_equal(e.kind, ERR_USAGE);
        assert_non_null(strstr(e.text, "http://HOST[:PORT]"));
    }
}

static void nobody_listening_is_transient_and_names_the_address(void **state)
{
    struct http *h = *state;
    struct peer p = {.answer = NULL};
    struct http_reply r;
    struct err e = {0};
    char url[64];
    peer_start(&p);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", p.port);
    peer_stop(&p); /* the port is free again */
    struct http_request q = {.method = "GET", .url = url};
    assert_false(http_send(h, &q, &r, &e));
    assert_int_equal(e.kind, ERR_TRANSIENT);
    assert_non_null(strstr(e.text, "127.0.0.1"));
}

static int open_client(void **state)
{
    struct err e = {0};
    *state = http_new(&e);
    return *state ? 0 : -1;
}

static int close_client(void **state)
{
    http_free(*state);
    http_free(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_every_kind_are_told_apart),
        cmocka_unit_test(request_carries_body_type_and_bearer),
        cmocka_unit_test(secret_is_in_no_error),
        cmocka_unit_test(stop_flag_ends_a_silent_request),
        cmocka_unit_test(what_is_no_url_is_refused),
        cmocka_unit_test(nobody_listening_is_transient_and_names_the_address),
    };
    unsetenv("http_proxy"); /* the peers are on this machine */
    unsetenv("HTTP_PROXY");
    unsetenv("ALL_PROXY");
    unsetenv("all_proxy");
    return cmocka_run_group_tests(tests, open_client, close_client);
}
