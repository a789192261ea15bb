/* What the HTTP client makes of answers, wrong ones included. */
#include "peer.h"

#include "base/clock.h"
#include "base/stop.h"
#include "net/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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
    enum peer_end end;
    bool refuse;
    enum err_kind kind; /* ERR_NONE: http_send is true */
    const char *says;   /* in the error, or the body, or problem */
    int status;
} cases[] = {
    {"closed at once", NULL, PEER_CLOSE, false, ERR_TRANSIENT, "Empty reply", 0},
    {"reset at once", NULL, PEER_RESET, false, ERR_TRANSIENT, "reset", 0},
    {"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n", PEER_CLOSE, false, ERR_CORRUPT, "does not speak HTTP", 0},
    {"body shorter than said", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", PEER_CLOSE, false,
     ERR_TRANSIENT, "transfer closed", 200},
    {"reset in the body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", PEER_RESET, false,
     ERR_TRANSIENT, "", 200},
    {"cut in the headers", "HTTP/1.1 200 OK\r\nContent-Le", PEER_CLOSE, false, ERR_TRANSIENT,
     "in the middle of the answer's headers", 200},
    {"cut between headers", "HTTP/1.1 200 OK\r\nETag: x\r\n", PEER_CLOSE, false, ERR_TRANSIENT,
     "in the middle of the answer's headers", 200},
    {"only an interim answer", "HTTP/1.1 103 Early Hints\r\n\r\n", PEER_CLOSE, false, ERR_TRANSIENT, "", 103},
    {"cut in a chunk", CHUNKED "8\r\ndata", PEER_CLOSE, false, ERR_TRANSIENT, "", 200},
    {"chunk of no size", CHUNKED "zz\r\n", PEER_CLOSE, false, ERR_TRANSIENT, "", 200},
    {"stalled before the answer", "", PEER_HANG, false, ERR_TRANSIENT, "the request stalled: no byte for 1 s",
     0},
    {"stalled in the body", CHUNKED "4\r\ndata\r\n", PEER_HANG, false, ERR_TRANSIENT, "the answer stalled",
     200},
    {"problem shorter than said", "HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\nhalf", PEER_CLOSE, false,
     ERR_TRANSIENT, "transfer closed", 503},
    {"listener refuses", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", PEER_CLOSE, true, ERR_CORRUPT,
     "that is not what I asked for", 200},
    {"whole", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", PEER_CLOSE, false, ERR_NONE, "body", 200},
    {"chunks", CHUNKED "4\r\ndata\r\n3\r\n: x\r\n0\r\n\r\n", PEER_CLOSE, false, ERR_NONE, "data: x", 200},
    {"chunks and trailers", CHUNKED "4\r\ndata\r\n0\r\nX-Goog-Hash: crc32c=4waSgw==\r\n\r\n", PEER_CLOSE,
     false, ERR_NONE, "data", 200},
    {"after an interim answer",
     "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
     PEER_CLOSE, false, ERR_NONE, "body", 200},
    {"refused politely", "HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 6\r\n\r\nlater!",
     PEER_CLOSE, false, ERR_NONE, "later!", 429},
    {"redirect is not followed",
     "HTTP/1.1 308 Moved\r\nLocation: http://elsewhere.example/x\r\nContent-Length: 0\r\n\r\n", PEER_CLOSE,
     false, ERR_NONE, "", 308},
};

static void answers_of_every_kind_are_told_apart(void **state)
{
    struct http *h = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer p = {.answer = cases[i].answer, .end = cases[i].end};
        struct body body = {.refuse = cases[i].refuse};
        struct http_reply r;
        struct err e = {0};
        char url[200];
        peer_start(&p);
        peer_url(&p, "/x", url);
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
        if (ok && r.status == 200)
            assert_int_equal(r.size, strlen(body.text));
    }
}

/* One exchange with a peer that answers so. */
static bool exchange(struct http *h, struct peer *p, struct http_request *q, struct http_reply *r,
                     struct err *e)
{
    char url[200];
    peer_start(p);
    peer_url(p, "/x?signature=secret-of-mine", url);
    q->method = q->method ? q->method : "GET";
    q->url = url;
    bool ok = http_send(h, q, r, e);
    peer_stop(p);
    return ok;
}

static void body_goes_into_the_callers_memory(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 206 Partial\r\nContent-Length: 8\r\nContent-Range: bytes 2-9/20\r\n\r\n23456789",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n234\r\n5\r\n56789\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n23456789", /* until the connection closes */
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        char into[9] = "--------";
        struct peer p = {.answer = answers[i]};
        struct http_request q = {.into = into, .into_room = 8};
        struct http_reply r;
        struct err e = {0};
        assert_true(exchange(*state, &p, &q, &r, &e));
        assert_string_equal(into, "23456789");
        assert_int_equal(r.size, 8);
    }
}

static void answer_longer_than_the_room_is_refused(void **state)
{
    char into[9] = "--------";
    struct peer p = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n23456789"};
    struct http_request q = {.into = into, .into_room = 7};
    struct http_reply r;
    struct err e = {0};
    assert_false(exchange(*state, &p, &q, &r, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.text, "the answer is longer than the 7 bytes it may have");
    assert_int_equal(r.status, 200);
    assert_int_equal(into[7], '-');
}

/* The server may have done what was asked before it broke the connection, and libcurl asks again. */
static void request_sent_again_on_a_new_connection_is_counted(void **state)
{
    struct peer p = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .end = PEER_RESET, .kept = 2};
    static const int resent[] = {0, 0, 1, 0, 1};
    struct http_request q = {.method = "POST", .body = "x", .body_size = 1};
    char url[200];
    peer_start(&p);
    peer_url(&p, "/x", url);
    q.url = url;
    for (size_t i = 0; i < sizeof resent / sizeof *resent; i++) {
        struct http_reply r;
        struct err e = {0};
        assert_true(http_send(*state, &q, &r, &e));
        assert_int_equal(r.resent, resent[i]);
    }
    peer_stop(&p);
    assert_int_equal(p.locked.requests, 7);
}

static void what_came_before_a_break_is_counted(void **state)
{
    char into[10] = "---------";
    struct peer p = {.answer = "HTTP/1.1 206 Partial\r\nContent-Length: 9\r\nETag: \"a\"\r\n\r\n2345"};
    struct http_request q = {.into = into, .into_room = 9};
    struct http_reply r;
    struct err e = {0};
    char etag[10];
    assert_false(exchange(*state, &p, &q, &r, &e));
    assert_int_equal(e.kind, ERR_TRANSIENT);
    assert_int_equal(r.size, 4);
    assert_string_equal(into, "2345-----");
    assert_string_equal(http_header(&r, "etag", etag, sizeof etag), "\"a\"");
}

static void problem_is_kept_apart_from_the_room(void **state)
{
    static char answer[10000], into[4] = "---";
    struct peer p = {.answer = answer};
    struct http_request q = {.into = into, .into_room = 3};
    struct http_reply r;
    struct err e = {0};
    int n = snprintf(answer, sizeof answer, "HTTP/1.1 404 Gone\r\nContent-Length: 9000\r\n\r\n");
    memset(answer + n, 'x', 9000);
    assert_true(exchange(*state, &p, &q, &r, &e));
    assert_int_equal(r.status, 404);
    assert_int_equal(r.size, 0);
    assert_int_equal(strlen(r.problem), sizeof r.problem - 1); /* its first bytes */
    assert_string_equal(into, "---");
}

static void headers_are_found_by_name(void **state)
{
    struct peer p = {.answer = "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
                               "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Goog-Hash: crc32c=4waSgw==\r\n"
                               "X-Goog-Hash: md5=x\r\nETag:\"a\"  \r\nX-Empty:\r\nLong: 0123456789\r\n\r\n"};
    static const struct {
        const char *name, *value;
    } headers[] = {{"x-goog-hash", "crc32c=4waSgw=="}, /* the first */
                   {"etag", "\"a\""},
                   {"x-empty", ""},
                   {"content-length", "0"},
                   {"x-early", NULL}, /* of another answer */
                   {"hash", NULL},
                   {"x-goog", NULL},
                   {"long", "0123456789"}};
    struct http_request q = {0};
    struct http_reply r;
    struct err e = {0};
    char value[100];
    assert_true(exchange(*state, &p, &q, &r, &e));
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        const char *found = http_header(&r, headers[i].name, value, sizeof value);
        assert_int_equal(found != NULL, headers[i].value != NULL);
        if (found)
            assert_string_equal(found, headers[i].value);
    }
    assert_string_equal(http_header(&r, "long", value, 5), "0123"); /* cut */
}

/* Headers of 20 KB: those that fit are there whole, the rest is not, and the short one behind them is. */
static void more_headers_than_fit_overflow_nothing(void **state)
{
    static char answer[32000];
    struct peer p = {.answer = answer};
    struct http_request q = {0};
    struct http_reply r;
    struct err e = {0};
    char value[2000];
    int n = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < 20; i++) {
        n += snprintf(answer + n, sizeof answer - (size_t)n, "X-%02d: ", i);
        memset(answer + n, 'a' + i, 1000);
        n += 1000;
        n += snprintf(answer + n, sizeof answer - (size_t)n, "\r\n");
    }
    snprintf(answer + n, sizeof answer - (size_t)n, "ETag: e\r\n\r\n");
    assert_true(exchange(*state, &p, &q, &r, &e));
    assert_true(strlen(r.headers) < HTTP_HEADER_BYTES);
    assert_non_null(http_header(&r, "x-07", value, sizeof value));
    assert_int_equal(strlen(value), 1000);
    assert_null(http_header(&r, "x-19", value, sizeof value));
    assert_string_equal(http_header(&r, "etag", value, sizeof value), "e");
}

static void redirect_to_an_address_that_does_not_fit_is_an_error_not_half_an_address(void **state)
{
    static char answer[6000];
    struct peer p = {.answer = answer};
    struct http_request q = {0};
    struct http_reply r;
    struct err e = {0};
    int n = snprintf(answer, sizeof answer,
                     "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://h/?secret-of-mine=");
    memset(answer + n, 'x', 4096);
    strcat(answer, "\r\n\r\n");
    assert_false(exchange(*state, &p, &q, &r, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.text, "HTTP 302 to an address of more than 4095 bytes");
    assert_string_equal(r.location, "");
}

static void relative_redirect_is_made_absolute(void **state)
{
    struct peer p = {.answer = "HTTP/1.1 307 Moved\r\nLocation: /new/name\r\nContent-Length: 0\r\n\r\n"};
    struct http_request q = {0};
    struct http_reply r;
    struct err e = {0};
    char url[200];
    assert_true(exchange(*state, &p, &q, &r, &e));
    peer_url(&p, "/new/name", url);
    assert_string_equal(r.location, url);
}

static void no_message_holds_a_secret(void **state)
{
    struct http *h = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct peer p = {.answer = cases[i].answer, .end = cases[i].end};
        struct body body = {.refuse = cases[i].refuse};
        struct http_request q = {.method = "PUT",
                                 .body = "secret-of-mine",
                                 .body_size = 14,
                                 .bearer = "secret-of-mine",
                                 .headers = {{"X-Secret", "secret-of-mine"}},
                                 .stall_seconds = 1,
                                 .on_data = take,
                                 .arg = &body};
        struct http_reply r;
        struct err e = {0};
        if (cases[i].kind != ERR_NONE && cases[i].end != PEER_HANG) {
            assert_false(exchange(h, &p, &q, &r, &e));
            assert_true(e.text[0]);
            assert_null(strstr(e.text, "secret"));
            assert_null(strstr(e.text, "signature"));
        }
    }
}

static volatile sig_atomic_t stop;

static void *stop_soon(void *arg)
{
    struct timespec t = {.tv_nsec = 300000000};
    (void)arg;
    nanosleep(&t, NULL);
    stop_ask(&stop);
    return NULL;
}

static void stop_ends_a_request_within_a_second(void **state)
{
    static const struct {
        const char *answer;
        enum peer_end end;
    } ways[] = {
        {"", PEER_HANG},                                                  /* no answer */
        {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", PEER_HANG}, /* a stalled one */
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", PEER_TICK},  /* a slow one */
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct peer p = {.answer = ways[i].answer, .end = ways[i].end};
        struct http_request q = {.stop = &stop};
        struct http_reply r;
        struct err e = {0};
        pthread_t thread;
        stop = 0;
        uint64_t begin = clock_ns();
        assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
        assert_false(exchange(*state, &p, &q, &r, &e));
        uint64_t took_ms = (clock_ns() - begin) / 1000000;
        pthread_join(thread, NULL);
        assert_int_equal(e.kind, ERR_CANCELLED);
        assert_string_equal(e.text, "interrupted");
        assert_in_range(took_ms, 250, 300 + 1000 + 700); /* 700 for a machine that is busy */
    }
}

/* What moves may end; what does not is given up, long before its own patience is over. */
static void winding_down_ends_what_does_not_move(void **state)
{
    static const struct {
        const char *answer;
        enum peer_end end;
        bool moves;
    } ways[] = {
        {"", PEER_HANG, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", PEER_HANG, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", PEER_TICK, true}, /* five seconds' worth */
    };
    struct http *h = *state;
    http_wind_down(h, &stop);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct peer p = {.answer = ways[i].answer, .end = ways[i].end};
        struct http_request q = {.stall_seconds = 60};
        struct http_reply r;
        struct err e = {0};
        pthread_t thread;
        stop = 0;
        uint64_t begin = clock_ns();
        assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
        assert_int_equal(exchange(h, &p, &q, &r, &e), ways[i].moves);
        uint64_t took_ms = (clock_ns() - begin) / 1000000;
        pthread_join(thread, NULL);
        assert_true(http_winds_down(h));
        if (!ways[i].moves) {
            assert_int_equal(e.kind, ERR_CANCELLED);
            assert_in_range(took_ms, 1900, 3000 + 700);
        }
    }
    http_wind_down(h, NULL);
}

static void slow_is_not_stalled(void **state)
{
    struct peer p = {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n", .end = PEER_TICK};
    char into[8];
    struct http_request q = {.stall_seconds = 1, .into = into, .into_room = 8};
    struct http_reply r;
    struct err e = {0};
    assert_true(exchange(*state, &p, &q, &r, &e)); /* a byte each 250 ms for two seconds */
    assert_memory_equal(into, "........", 8);
}

static void what_is_no_url_is_refused(void **state)
{
    struct http *h = *state;
    static const char *const urls[] = {"http://",
                                       "ftp://example.org/",
                                       "file:///etc/passwd",
                                       "http://a b/",
                                       "http://127.0.0.1:99999/",
                                       "http://user:secret@127.0.0.1/",
                                       "http://127.0.0.1/\r\nX-Evil: 1"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct http_reply r;
        struct err e = {0};
        struct http_request q = {.method = "GET", .url = urls[i]};
        assert_false(http_send(h, &q, &r, &e));
        assert_int_equal(e.kind, ERR_USAGE);
        assert_non_null(strstr(e.text, "http://HOST[:PORT]"));
        assert_null(strstr(e.text, "secret"));
    }
}

static void nobody_listening_is_transient_and_names_the_address(void **state)
{
    struct http *h = *state;
    struct peer p = {.answer = NULL};
    struct http_reply r;
    struct err e = {0};
    char url[200];
    peer_start(&p);
    peer_url(&p, "/", url);
    peer_stop(&p); /* the port is free again */
    struct http_request q = {.method = "GET", .url = url};
    assert_false(http_send(h, &q, &r, &e));
    assert_int_equal(e.kind, ERR_TRANSIENT);
    assert_non_null(strstr(e.text, "127.0.0.1"));
}

static void certificate_file_that_is_not_there_is_named(void **state)
{
    struct peer p = {.answer = NULL};
    struct http_reply r;
    struct err e = {0};
    char url[200];
    peer_start(&p);
    snprintf(url, sizeof url, "https://127.0.0.1:%d/", p.port);
    struct http_request q = {.method = "GET", .url = url};
    setenv("SSL_CERT_FILE", "/nowhere/ca.pem", 1);
    assert_false(http_send(*state, &q, &r, &e));
    unsetenv("SSL_CERT_FILE");
    peer_stop(&p);
    assert_int_equal(e.kind, ERR_USAGE); /* trying again would not help */
    assert_non_null(strstr(e.text, "/nowhere/ca.pem"));
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
        cmocka_unit_test(body_goes_into_the_callers_memory),
        cmocka_unit_test(answer_longer_than_the_room_is_refused),
        cmocka_unit_test(request_sent_again_on_a_new_connection_is_counted),
        cmocka_unit_test(what_came_before_a_break_is_counted),
        cmocka_unit_test(problem_is_kept_apart_from_the_room),
        cmocka_unit_test(headers_are_found_by_name),
        cmocka_unit_test(more_headers_than_fit_overflow_nothing),
        cmocka_unit_test(redirect_to_an_address_that_does_not_fit_is_an_error_not_half_an_address),
        cmocka_unit_test(relative_redirect_is_made_absolute),
        cmocka_unit_test(no_message_holds_a_secret),
        cmocka_unit_test(stop_ends_a_request_within_a_second),
        cmocka_unit_test(winding_down_ends_what_does_not_move),
        cmocka_unit_test(slow_is_not_stalled),
        cmocka_unit_test(what_is_no_url_is_refused),
        cmocka_unit_test(nobody_listening_is_transient_and_names_the_address),
        cmocka_unit_test(certificate_file_that_is_not_there_is_named),
    };
    setenv("no_proxy", "127.0.0.1", 1); /* the peers are on this machine */
    unsetenv("SSL_CERT_FILE");
    unsetenv("CURL_CA_BUNDLE");
    return cmocka_run_group_tests(tests, open_client, close_client);
}
