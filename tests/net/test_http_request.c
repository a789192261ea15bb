/* What the HTTP client sends. */
#include "peer.h"

#include "base/crc32c.h"
#include "net/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DONE "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* Sends q to path of a peer; what arrived is in p. */
static void send_to_peer(struct http *h, struct peer *p, struct http_request *q, const char *path)
{
    struct http_reply r;
    struct err e = {0};
    char url[200];
    if (!p->answer)
        p->answer = DONE;
    peer_start(p);
    peer_url(p, path, url);
    q->url = url;
    bool ok = http_send(h, q, &r, &e);
    peer_stop(p);
    if (!ok)
        fail_msg("%s", e.text);
}

static int times(const char *text, const char *what)
{
    int n = 0;
    while ((text = strcasestr(text, what)))
        n++, text++;
    return n;
}

static void request_carries_body_type_and_bearer(void **state)
{
    struct peer p = {0};
    struct http_request q = {.method = "POST",
                             .content_type = "application/json",
                             .accept = "text/event-stream",
                             .body = "{\"a\":1}",
                             .body_size = 7,
                             .bearer = "secret-of-mine"};
    send_to_peer(*state, &p, &q, "/v1/chat/completions");
    const char *head = p.locked.head;
    assert_memory_equal(head, "POST /v1/chat/completions HTTP/1.1\r\n", 36);
    assert_non_null(strstr(head, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(head, "\r\nAccept: text/event-stream\r\n"));
    assert_non_null(strstr(head, "\r\nAuthorization: Bearer secret-of-mine\r\n"));
    assert_non_null(strstr(head, "\r\nContent-Length: 7\r\n"));
    assert_int_equal(p.locked.body_crc, crc32c(0, "{\"a\":1}", 7));
}

static void bearer_of_one_request_is_not_in_the_next(void **state)
{
    struct peer first = {0}, second = {.answer = DONE, .end = PEER_KEEP};
    struct http_request with = {.method = "GET", .bearer = "secret-of-mine"}, without = {.method = "GET"};
    struct http_reply r;
    struct err e = {0};
    char url[200];
    send_to_peer(*state, &first, &with, "/");
    assert_int_equal(times(first.locked.head, "secret-of-mine"), 1);
    peer_start(&second);
    peer_url(&second, "/", url);
    with.url = without.url = url;
    assert_true(http_send(*state, &with, &r, &e));
    assert_true(http_send(*state, &without, &r, &e));
    peer_stop(&second);
    assert_int_equal(second.locked.connections, 1);
    assert_int_equal(times(second.locked.head, "Authorization"), 0);
}

static void range_is_asked_for_in_bytes(void **state)
{
    static const struct {
        struct http_range range;
        const char *header;
    } ranges[] = {
        {{0, 1}, "\r\nRange: bytes=0-0\r\n"},
        {{100, 50}, "\r\nRange: bytes=100-149\r\n"},
        {{5000000000, 5000000000}, "\r\nRange: bytes=5000000000-9999999999\r\n"},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        struct peer p = {0};
        struct http_request q = {.method = "GET", .range = ranges[i].range};
        send_to_peer(*state, &p, &q, "/o");
        assert_non_null(strstr(p.locked.head, ranges[i].header));
    }
    struct peer p = {0};
    struct http_request whole = {.method = "GET"};
    send_to_peer(*state, &p, &whole, "/o");
    assert_int_equal(times(p.locked.head, "Range:"), 0);
}

static void range_past_the_end_of_numbers_is_refused(void **state)
{
    struct http_request q = {.method = "GET", .url = "http://127.0.0.1:1/", .range = {UINT64_MAX, 2}};
    struct http_reply r;
    struct err e = {0};
    assert_false(http_send(*state, &q, &r, &e));
    assert_int_equal(e.kind, ERR_USAGE);
}

static void further_headers_are_sent_until_the_first_without_a_name(void **state)
{
    struct peer p = {0};
    struct http_request q = {.method = "GET",
                             .headers = {{"X-Goog-User-Project", "p"},
                                         {"X-Unset", NULL},
                                         {"X-Empty", ""},
                                         {"X-Long", NULL},
                                         {NULL, NULL},
                                         {"X-After", "1"}}};
    char value[4001];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    q.headers[3].value = value;
    send_to_peer(*state, &p, &q, "/");
    const char *head = p.locked.head;
    assert_non_null(strstr(head, "\r\nX-Goog-User-Project: p\r\n"));
    assert_non_null(strstr(head, "\r\nX-Empty:\r\n"));
    assert_non_null(strstr(head, value));
    assert_int_equal(times(head, "X-Unset"), 0);
    assert_int_equal(times(head, "X-After"), 0);
}

static void header_with_a_line_break_is_refused_without_its_value(void **state)
{
    static const struct http_header bad[] = {
        {"X-A", "secret\r\nX-Evil: 1"},
        {"X-A", "secret\n"},
        {"X-A", "secret\x7f"},
        {"X A", "secret"},
        {"X-A:", "secret"},
        {"", "secret"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct http_request q = {.method = "GET", .url = "http://127.0.0.1:1/", .headers = {bad[i]}};
        struct http_reply r;
        struct err e = {0};
        assert_false(http_send(*state, &q, &r, &e));
        assert_int_equal(e.kind, ERR_USAGE);
        assert_null(strstr(e.text, "secret"));
    }
    struct http_request q = {.method = "GET", .url = "http://127.0.0.1:1/", .bearer = "secret\r\nX-Evil: 1"};
    struct http_reply r;
    struct err e = {0};
    assert_false(http_send(*state, &q, &r, &e));
    assert_int_equal(e.kind, ERR_USAGE);
    assert_null(strstr(e.text, "secret"));
}

static void nothing_compressed_is_asked_for_unless_a_header_says_so(void **state)
{
    struct peer p = {0}, zipped = {0};
    struct http_request q = {.method = "GET"};
    struct http_request gzip = {.method = "GET", .headers = {{"accept-encoding", "gzip"}}};
    send_to_peer(*state, &p, &q, "/");
    assert_non_null(strstr(p.locked.head, "\r\nAccept-Encoding: identity\r\n"));
    send_to_peer(*state, &zipped, &gzip, "/");
    assert_int_equal(times(zipped.locked.head, "accept-encoding"), 1);
}

static void path_arrives_as_it_was_given(void **state)
{
    struct peer p = {0};
    struct http_request q = {.method = "GET"};
    send_to_peer(*state, &p, &q, "/o/a%2Fb/../%E6%97%A5?x=%20&y");
    assert_memory_equal(p.locked.head, "GET /o/a%2Fb/../%E6%97%A5?x=%20&y HTTP/1.1\r\n", 44);
}

static void head_brings_headers_and_no_body(void **state)
{
    struct peer p = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 123456789\r\nETag: e\r\n\r\n",
                     .end = PEER_KEEP};
    struct http_request q = {.method = "HEAD"};
    struct http_reply r;
    struct err e = {0};
    char url[200], value[20];
    peer_start(&p);
    peer_url(&p, "/", url);
    q.url = url;
    assert_true(http_send(*state, &q, &r, &e));
    assert_true(http_send(*state, &q, &r, &e));
    peer_stop(&p);
    assert_memory_equal(p.locked.head, "HEAD / HTTP/1.1\r\n", 17);
    assert_string_equal(http_header(&r, "content-length", value, sizeof value), "123456789");
    assert_int_equal(r.size, 0);
    assert_int_equal(p.locked.connections, 1); /* and the connection is good for more */
}

static void body_of_nothing_says_so(void **state)
{
    static const char *const methods[] = {"PUT", "POST", "PATCH"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        for (int empty = 0; empty < 2; empty++) {
            struct peer p = {0};
            struct http_request q = {.method = methods[i], .body = empty ? "" : NULL};
            send_to_peer(*state, &p, &q, "/");
            assert_memory_equal(p.locked.head, methods[i], strlen(methods[i]));
            assert_non_null(strstr(p.locked.head, "\r\nContent-Length: 0\r\n"));
            assert_int_equal(times(p.locked.head, "Content-Type"), 0);
        }
    }
    static const char *const bare[] = {"GET", "DELETE"};
    for (size_t i = 0; i < sizeof bare / sizeof *bare; i++) {
        struct peer p = {0};
        struct http_request q = {.method = bare[i]};
        send_to_peer(*state, &p, &q, "/");
        assert_memory_equal(p.locked.head, bare[i], strlen(bare[i]));
        assert_int_equal(times(p.locked.head, "Content-Length"), 0);
    }
}

static void large_body_is_sent_at_once_and_whole(void **state)
{
    enum { SIZE = 9000001 };
    unsigned char *body = malloc(SIZE);
    struct peer p = {0};
    assert_non_null(body);
    for (size_t i = 0; i < SIZE; i++)
        body[i] = (unsigned char)(i * 2654435761u >> 24);
    struct http_request q = {.method = "PUT", .body = body, .body_size = SIZE};
    send_to_peer(*state, &p, &q, "/part");
    assert_non_null(strstr(p.locked.head, "\r\nContent-Length: 9000001\r\n"));
    assert_int_equal(times(p.locked.head, "Expect"), 0);
    assert_int_equal(times(p.locked.head, "Content-Type"), 0);
    assert_int_equal(times(p.locked.head, "chunked"), 0);
    assert_int_equal(p.locked.body_size, SIZE);
    assert_int_equal(p.locked.body_crc, crc32c(0, body, SIZE));
    free(body);
}

/* A server that has seen enough answers before the body is through. */
/* Kept connections that end in the middle of a request: libcurl begins the body anew on another one. */
static void body_out_of_a_file_is_sent_whole_each_time(void **state)
{
    enum { SIZE = 700001 };
    static unsigned char body[SIZE];
    FILE *file = tmpfile();
    struct peer p = {.answer = DONE, .end = PEER_RESET, .kept = 1};
    struct http_reply r;
    struct err e = {0};
    char url[200];
    for (size_t i = 0; i < SIZE; i++)
        body[i] = (unsigned char)(i * 2654435761u >> 24);
    assert_int_equal(fwrite(body, 1, SIZE, file), SIZE);
    assert_int_equal(fflush(file), 0);
    struct http_request q = {.method = "POST", .body_file = fileno(file), .body_size = SIZE};
    peer_start(&p);
    peer_url(&p, "/", url);
    q.url = url;
    for (int i = 0; i < 3; i++) {
        if (!http_send(*state, &q, &r, &e))
            fail_msg("%s", e.text);
        pthread_mutex_lock(&p.locked.mutex);
        assert_int_equal(p.locked.body_size, SIZE);
        assert_int_equal(p.locked.body_crc, crc32c(0, body, SIZE));
        pthread_mutex_unlock(&p.locked.mutex);
    }
    peer_stop(&p);
    assert_non_null(strstr(p.locked.head, "\r\nContent-Length: 700001\r\n"));
    fclose(file);
}

static void headers_beyond_the_usual_number_are_sent(void **state)
{
    struct peer p = {0};
    struct http_header more[31] = {{NULL, NULL}};
    char names[30][8];
    struct http_request q = {.method = "GET", .headers = {{"X-First", "1"}}, .more = more};
    for (int i = 0; i < 30; i++) {
        snprintf(names[i], sizeof names[i], "X-%d", i);
        more[i] = (struct http_header){names[i], "v"};
    }
    send_to_peer(*state, &p, &q, "/");
    assert_int_equal(times(p.locked.head, ": v\r\n"), 30);
    assert_int_equal(times(p.locked.head, "X-First: 1\r\n"), 1);
}

struct seen {
    int heads, status;
    char type[32], body[64];
    bool refuses;
};

static bool see_head(void *arg, const struct http_reply *r, struct err *e)
{
    struct seen *s = arg;
    s->heads++;
    s->status = r->status;
    http_header(r, "content-type", s->type, sizeof s->type);
    return !s->refuses || err_set(e, ERR_LIMIT, "not this one");
}

static bool see_data(void *arg, const char *bytes, size_t size, struct err *e)
{
    struct seen *s = arg;
    (void)e;
    assert_int_equal(s->heads, 1);
    strncat(s->body, bytes, size);
    return true;
}

static void head_comes_before_the_body_whatever_the_status(void **state)
{
    static const struct {
        const char *answer;
        int status;
        const char *type, *body;
        bool refuses;
    } cases[] = {
        {"HTTP/1.1 404 No\r\nContent-Type: text/x\r\nContent-Length: 4\r\n\r\nbody", 404, "text/x", "body",
         false},
        {"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "", "ok",
         false},
        {"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 302, "", "", false},
        {"HTTP/1.1 401 No\r\nContent-Type: text/x\r\nContent-Length: 4\r\n\r\nbody", 401, "text/x", "", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer p = {.answer = cases[i].answer};
        struct seen s = {.refuses = cases[i].refuses};
        struct http_request q = {.method = "GET", .on_head = see_head, .on_data = see_data, .arg = &s};
        struct http_reply r;
        struct err e = {0};
        char url[200];
        peer_start(&p);
        peer_url(&p, "/", url);
        q.url = url;
        assert_int_equal(http_send(*state, &q, &r, &e), !cases[i].refuses);
        peer_stop(&p);
        assert_int_equal(e.kind, cases[i].refuses ? ERR_LIMIT : ERR_NONE);
        assert_int_equal(s.heads, 1);
        assert_int_equal(s.status, cases[i].status);
        assert_string_equal(s.type, cases[i].type);
        assert_string_equal(s.body, cases[i].body);
        assert_string_equal(r.problem, "");
    }
}

static void refusal_in_the_middle_of_a_body_is_an_answer_or_a_break(void **state)
{
    enum { SIZE = 20000000 };
    char *body = calloc(1, SIZE);
    struct peer p = {.answer = "HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
                     .end = PEER_HANG,
                     .deaf = true};
    struct http_request q = {.method = "PUT", .body = body, .body_size = SIZE};
    struct http_reply r;
    struct err e = {0};
    char url[200];
    assert_non_null(body);
    peer_start(&p);
    peer_url(&p, "/", url);
    q.url = url;
    bool ok = http_send(*state, &q, &r, &e);
    peer_stop(&p);
    free(body);
    assert_int_equal(r.status, 403);
    assert_true(ok || e.kind == ERR_TRANSIENT);
}

static void proxy_of_the_environment_is_asked(void **state)
{
    struct peer p = {.answer = DONE};
    struct http_request q = {.method = "GET", .url = "http://elsewhere.example/x?y"};
    struct http_reply r;
    struct err e = {0};
    char proxy[200];
    peer_start(&p);
    snprintf(proxy, sizeof proxy, "http://user:secret@127.0.0.1:%d", p.port);
    setenv("http_proxy", proxy, 1);
    bool ok = http_send(*state, &q, &r, &e);
    peer_stop(&p);
    bool again = http_send(*state, &q, &r, &e); /* nobody there any more */
    unsetenv("http_proxy");
    assert_true(ok);
    assert_memory_equal(p.locked.head, "GET http://elsewhere.example/x?y HTTP/1.1\r\n", 43);
    assert_false(again);
    assert_int_equal(e.kind, ERR_TRANSIENT);
    assert_null(strstr(e.text, "secret"));
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
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_carries_body_type_and_bearer),
        cmocka_unit_test(bearer_of_one_request_is_not_in_the_next),
        cmocka_unit_test(range_is_asked_for_in_bytes),
        cmocka_unit_test(range_past_the_end_of_numbers_is_refused),
        cmocka_unit_test(further_headers_are_sent_until_the_first_without_a_name),
        cmocka_unit_test(header_with_a_line_break_is_refused_without_its_value),
        cmocka_unit_test(nothing_compressed_is_asked_for_unless_a_header_says_so),
        cmocka_unit_test(path_arrives_as_it_was_given),
        cmocka_unit_test(head_brings_headers_and_no_body),
        cmocka_unit_test(body_of_nothing_says_so),
        cmocka_unit_test(large_body_is_sent_at_once_and_whole),
        cmocka_unit_test(body_out_of_a_file_is_sent_whole_each_time),
        cmocka_unit_test(headers_beyond_the_usual_number_are_sent),
        cmocka_unit_test(head_comes_before_the_body_whatever_the_status),
        cmocka_unit_test(refusal_in_the_middle_of_a_body_is_an_answer_or_a_break),
        cmocka_unit_test(proxy_of_the_environment_is_asked),
    };
    setenv("no_proxy", "127.0.0.1", 1); /* the peers are on this machine */
    return cmocka_run_group_tests(tests, open_client, close_client);
}
