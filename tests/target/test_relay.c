/* A connection relayed between socket pairs: the test is the client and each of the servers. */
#include "target/local/relay.h"

#include <errno.h>
#include <fcntl.h>
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

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST(path, length, body) "POST " path " HTTP/1.1\r\nContent-Length: " length "\r\n\r\n" body
#define OK(length, body) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

enum plan { PLAN_PASS, PLAN_HOLD, PLAN_ANSWER };

struct bench {
    struct loop loop;
    struct relay_owner owner;
    struct relay *relay;
    enum plan plan;
    int client, server; /* the test's ends; server -1: none is connected */
    int requests, lost, over, closed;
    char path[40]; /* of the last request */
};

static void answer_busy(struct relay *r)
{
    relay_answer(r, &(struct relay_answer){503, "application/json", "Retry-After: 3\r\n", "{}"}, 0);
}

static void pass(struct bench *b)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    if (b->server >= 0)
        close(b->server);
    b->server = ends[0];
    relay_pass(b->relay, ends[1], 0);
}

static void on_request(void *arg, struct relay *r)
{
    struct bench *b = arg;
    b->requests++;
    b->relay = r;
    snprintf(b->path, sizeof b->path, "%.*s", (int)r->request.path_size, r->request.path);
    if (b->plan == PLAN_PASS)
        pass(b);
    else if (b->plan == PLAN_HOLD)
        relay_hold(r, 0);
    else
        answer_busy(r);
}

static void on_lost(void *arg, struct relay *r)
{
    struct bench *b = arg;
    b->lost++;
    answer_busy(r);
}

static void on_over(void *arg, struct relay *r)
{
    (void)r;
    ((struct bench *)arg)->over++;
}

static void on_closed(void *arg, struct relay *r)
{
    (void)r;
    ((struct bench *)arg)->closed++;
}

static struct bench *bench_new(enum plan plan)
{
    struct bench *b = calloc(1, sizeof *b);
    int ends[2];
    b->plan = plan;
    b->server = -1;
    b->owner = (struct relay_owner){b, on_request, on_lost, on_over, on_closed};
    assert_true(loop_open(&b->loop, NULL));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    b->client = ends[0];
    b->relay = relay_new(ends[1], &b->loop, &b->owner, 0);
    assert_non_null(b->relay);
    return b;
}

/* Whatever happened, each request is over once and the connection closed once. */
static void bench_free(struct bench *b)
{
    relay_close(b->relay);
    assert_int_equal(b->over, b->requests);
    assert_int_equal(b->closed, 1);
    relay_free(b->relay);
    loop_close(&b->loop);
    close(b->client);
    if (b->server >= 0)
        close(b->server);
    free(b);
}

/* Until nothing moves any more. */
static void turn(struct bench *b)
{
    for (int i = 0; i < 50; i++)
        assert_true(loop_wait(&b->loop, 0, NULL));
}

static void say(struct bench *b, int fd, const char *bytes)
{
    assert_int_equal(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
    turn(b);
}

/* What has come, as a string; "-" when the other side has hung up without more. */
static const char *heard(int fd)
{
    static char text[100000];
    size_t size = 0;
    ssize_t n;
    while ((n = recv(fd, text + size, sizeof text - 1 - size, 0)) > 0)
        size += (size_t)n;
    text[size] = 0;
    return n == 0 && size == 0 ? "-" : text;
}

static void request_and_answer_come_through_byte_for_byte_however_they_are_cut(void **state)
{
    (void)state;
    static const char question[] = "POST /v1/x?a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   "3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n";
    static const char answer[] = "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" CHUNKED "5\r\nhello\r\n0\r\n\r\n";
    for (size_t piece = 1; piece < sizeof question; piece += 3) {
        struct bench *b = bench_new(PLAN_PASS);
        char up[200] = "", down[200] = "", part[200];
        for (size_t at = 0; at < sizeof question - 1; at += piece) {
            snprintf(part, sizeof part, "%.*s", (int)piece, question + at);
            say(b, b->client, part);
            strcat(up, b->server >= 0 ? heard(b->server) : "");
        }
        assert_string_equal(up, question);
        assert_string_equal(b->path, "/v1/x");
        for (size_t at = 0; at < sizeof answer - 1; at += piece) {
            snprintf(part, sizeof part, "%.*s", (int)piece, answer + at);
            say(b, b->server, part);
            strcat(down, heard(b->client));
        }
        assert_string_equal(down, answer);
        assert_int_equal(b->over, 1);
        assert_true(relay_is_idle(b->relay));
        bench_free(b);
    }
}

static void pipelined_requests_are_answered_in_turn_each_by_a_connection_of_its_own(void **state)
{
    (void)state;
    struct bench *b = bench_new(PLAN_PASS);
    say(b, b->client, POST("/one", "3", "abc") "\r\n" GET("/two"));
    assert_int_equal(b->requests, 1);
    assert_string_equal(heard(b->server), POST("/one", "3", "abc"));
    int first = dup(b->server);
    say(b, b->server, OK("1", "1"));
    assert_string_equal(heard(b->client), OK("1", "1"));
    assert_string_equal(heard(first), "-");
    close(first);
    assert_int_equal(b->requests, 2);
    assert_string_equal(b->path, "/two");
    assert_string_equal(heard(b->server), GET("/two"));
    say(b, b->server, OK("1", "2"));
    assert_string_equal(heard(b->client), OK("1", "2"));
    bench_free(b);
}

static void connection_stays_only_as_long_as_both_want_it_to(void **state)
{
    (void)state;
    static const struct {
        const char *question, *answer;
        bool stays;
    } rows[] = {
        {GET("/"), OK("1", "x"), true},
        {"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", OK("1", "x"), false},
        {"GET / HTTP/1.0\r\n\r\n", OK("1", "x"), false},
        {GET("/"), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", false},
        {"HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", true},
        {GET("/"), "HTTP/1.1 204 No Content\r\n\r\n", true},
        /* an answer in mid-upload: where the next request begins is not known yet */
        {POST("/", "10", "abc"), OK("1", "x"), false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench *b = bench_new(PLAN_PASS);
        say(b, b->client, rows[i].question);
        say(b, b->server, rows[i].answer);
        assert_string_equal(heard(b->client), rows[i].answer);
        assert_string_equal(heard(b->client), rows[i].stays ? "" : "-");
        bench_free(b);
    }
}

static void answer_without_a_length_ends_with_its_connection(void **state)
{
    (void)state;
    struct bench *b = bench_new(PLAN_PASS);
    say(b, b->client, GET("/"));
    say(b, b->server, "HTTP/1.1 200 OK\r\n\r\nsome");
    say(b, b->server, "thing");
    assert_int_equal(b->over, 0);
    close(b->server);
    b->server = -1;
    turn(b);
    assert_string_equal(heard(b->client), "HTTP/1.1 200 OK\r\n\r\nsomething");
    assert_string_equal(heard(b->client), "-");
    bench_free(b);
}

/* What is not whole must not look whole: the client sees its connection end before the last chunk. */
static void answer_that_is_cut_off_cuts_off_the_client(void **state)
{
    (void)state;
    static const char *const rows[] = {CHUNKED "5\r\nhel", CHUNKED "5\r\nhello\r\n", OK("9", "hello")};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench *b = bench_new(PLAN_PASS);
        say(b, b->client, GET("/"));
        say(b, b->server, rows[i]);
        close(b->server);
        b->server = -1;
        turn(b);
        assert_string_equal(heard(b->client), rows[i]);
        assert_string_equal(heard(b->client), "-");
        assert_int_equal(b->lost, 0);
        assert_int_equal(b->closed, 1);
        bench_free(b);
    }
}

#define BUSY                                                                                                 \
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 3\r\n"               \
    "Content-Length: 2\r\n\r\n{}"

/* Hung up, or said what is no answer. */
static void server_without_an_answer_is_the_owners_to_explain(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "HTTP/1.1 200 OK\r\nContent-", "nonsense\r\n\r\n",
                                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
                                       "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench *b = bench_new(PLAN_PASS);
        say(b, b->client, GET("/"));
        if (*rows[i])
            say(b, b->server, rows[i]);
        close(b->server);
        b->server = -1;
        turn(b);
        assert_int_equal(b->lost, 1);
        assert_string_equal(heard(b->client), BUSY);
        assert_true(relay_is_idle(b->relay));
        bench_free(b);
    }
}

static void answers_of_our_own_keep_the_connection_when_the_request_is_whole(void **state)
{
    (void)state;
    struct bench *b = bench_new(PLAN_ANSWER);
    say(b, b->client, POST("/", "3", "abc") GET("/"));
    assert_string_equal(heard(b->client), BUSY BUSY);
    say(b, b->client, "HEAD / HTTP/1.1\r\n\r\n");
    const char *text = heard(b->client);
    assert_true(strstr(text, "Content-Length: 2\r\n\r\n") && !strstr(text, "{}"));
    say(b, b->client, POST("/", "10", "abc"));
    assert_non_null(strstr(heard(b->client), "Connection: close\r\n\r\n{}"));
    say(b, b->client, "defghij"); /* is read away, so that the answer is not lost in a reset */
    assert_int_equal(b->closed, 0);
    shutdown(b->client, SHUT_WR);
    turn(b);
    assert_int_equal(b->closed, 1);
    bench_free(b);
}

static void request_that_cannot_be_read_is_refused_and_ends_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *begin, *message;
    } rows[] = {
        {"hello\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "the first line is no HTTP request"},
        {"GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 501 Not Implemented\r\n", "expected HTTP/1.1 or HTTP/1.0"},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "HTTP/1.1 400 Bad Request\r\n",
         "the body breaks the rules of the chunked coding"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench *b = bench_new(PLAN_PASS);
        say(b, b->client, rows[i].bytes);
        const char *text = heard(b->client);
        assert_memory_equal(text, rows[i].begin, strlen(rows[i].begin));
        assert_non_null(strstr(text, rows[i].message));
        assert_non_null(strstr(text, "Connection: close\r\n"));
        assert_int_equal(b->requests, 0);
        assert_int_equal(b->over, 1); /* told of, though it never was the owner's */
        b->requests = 1;
        bench_free(b);
    }
}

static void head_without_an_end_is_refused_at_its_limit(void **state)
{
    (void)state;
    struct bench *b = bench_new(PLAN_PASS);
    char part[1001];
    memset(part, 'a', sizeof part - 1);
    part[1000] = 0;
    say(b, b->client, "GET / HTTP/1.1\r\nA: ");
    for (int i = 0; i < MESSAGE_HEAD_BYTES / 1000 + 1; i++)
        say(b, b->client, part);
    assert_non_null(strstr(heard(b->client), "HTTP/1.1 431 Request Header Fields Too Large"));
    b->requests = 1;
    bench_free(b);
}

static void body_that_breaks_its_coding_later_ends_both_connections(void **state)
{
    (void)state;
    struct bench *b = bench_new(PLAN_PASS);
    say(b, b->client, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    say(b, b->client, "zzz\r\n");
    assert_int_equal(b->closed, 1);
    heard(b->server);
    assert_string_equal(heard(b->server), "-");
    bench_free(b);
}

static void client_that_goes_away_ends_its_request(void **state)
{
    (void)state;
    for (int held = 0; held < 2; held++) {
        struct bench *b = bench_new(held ? PLAN_HOLD : PLAN_PASS);
        say(b, b->client, GET("/"));
        close(b->client);
        b->client = open("/dev/null", O_RDONLY);
        turn(b);
        assert_int_equal(b->over, 1);
        assert_int_equal(b->closed, 1);
        if (!held) {
            heard(b->server);
            assert_string_equal(heard(b->server), "-");
        }
        bench_free(b);
    }
}

static void held_request_goes_on_when_there_is_a_server(void **state)
{
    (void)state;
    struct bench *b = bench_new(PLAN_HOLD);
    say(b, b->client, POST("/", "6", "abc"));
    say(b, b->client, "def");
    assert_int_equal(b->relay->phase, RELAY_HELD);
    pass(b);
    turn(b);
    assert_string_equal(heard(b->server), POST("/", "6", "abcdef"));
    say(b, b->server, OK("1", "x"));
    assert_string_equal(heard(b->client), OK("1", "x"));
    bench_free(b);
}

/* Neither side's bytes are piled up: who is not read from has to wait. */
static void slow_reader_holds_back_the_writer(void **state)
{
    (void)state;
    struct bench *b = bench_new(PLAN_PASS);
    static char block[8192];
    const size_t total = 8 << 20;
    size_t sent = 0, got = 0;
    memset(block, 'b', sizeof block);
    say(b, b->client, GET("/"));
    say(b, b->server, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
    for (ssize_t n; (n = send(b->server, block, sizeof block, MSG_NOSIGNAL)) > 0; turn(b))
        sent += (size_t)n;
    assert_true(errno == EAGAIN && sent < total);
    assert_true(span_size(&b->relay->down) <= SPAN_BYTES);
    while (got < total + 44) {
        size_t rest = total - sent < sizeof block ? total - sent : sizeof block;
        ssize_t n = rest ? send(b->server, block, rest, MSG_NOSIGNAL) : 0;
        sent += n > 0 ? (size_t)n : 0;
        turn(b);
        got += strlen(heard(b->client));
    }
    assert_int_equal(got, total + 44);
    assert_int_equal(b->over, 1);
    bench_free(b);
}

static void who_is_too_slow_is_hung_up_on(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        enum plan plan;
        double stays_ms, closes_ms; /* closes_ms 0: never */
    } rows[] = {
        {"", PLAN_PASS, 59999, 60001},           /* no first request */
        {"GET /", PLAN_PASS, 59999, 60001},      /* never the end of its head */
        {GET("/"), PLAN_ANSWER, 619999, 620001}, /* no next one */
        {GET("/"), PLAN_HOLD, 1e9, 0},
        {GET("/"), PLAN_PASS, 1e9, 0}, /* a long answer is the server's matter */
        {POST("/", "5", "a"), PLAN_ANSWER, 9999, 10001},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bench *b = bench_new(rows[i].plan);
        if (*rows[i].said)
            say(b, b->client, rows[i].said);
        double since = b->relay->since_ms;
        relay_check(b->relay, since + rows[i].stays_ms);
        assert_int_equal(b->closed, 0);
        if (rows[i].closes_ms > 0) {
            relay_check(b->relay, since + rows[i].closes_ms);
            assert_int_equal(b->closed, 1);
        }
        bench_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_and_answer_come_through_byte_for_byte_however_they_are_cut),
        cmocka_unit_test(pipelined_requests_are_answered_in_turn_each_by_a_connection_of_its_own),
        cmocka_unit_test(connection_stays_only_as_long_as_both_want_it_to),
        cmocka_unit_test(answer_without_a_length_ends_with_its_connection),
        cmocka_unit_test(answer_that_is_cut_off_cuts_off_the_client),
        cmocka_unit_test(server_without_an_answer_is_the_owners_to_explain),
        cmocka_unit_test(answers_of_our_own_keep_the_connection_when_the_request_is_whole),
        cmocka_unit_test(request_that_cannot_be_read_is_refused_and_ends_the_connection),
        cmocka_unit_test(head_without_an_end_is_refused_at_its_limit),
        cmocka_unit_test(body_that_breaks_its_coding_later_ends_both_connections),
        cmocka_unit_test(client_that_goes_away_ends_its_request),
        cmocka_unit_test(held_request_goes_on_when_there_is_a_server),
        cmocka_unit_test(slow_reader_holds_back_the_writer),
        cmocka_unit_test(who_is_too_slow_is_hung_up_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
