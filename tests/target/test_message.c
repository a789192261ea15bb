#include "target/local/message.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define GET "GET / HTTP/1.1\r\n"
#define POST "POST /v1/x HTTP/1.1\r\n"

static const struct {
    const char *head, *problem;
    enum err_kind kind;
} refused[] = {
    {"\r\n\r\n", "the first line is no HTTP request", ERR_CORRUPT},
    {"GET /\r\n\r\n", "the first line is no HTTP request", ERR_CORRUPT},
    {"GET  / HTTP/1.1\r\n\r\n", "the first line is no HTTP request", ERR_CORRUPT},
    {"GET / x HTTP/1.1\r\n\r\n", "the first line is no HTTP request", ERR_CORRUPT},
    {"GE(T / HTTP/1.1\r\n\r\n", "the first line is no HTTP request", ERR_CORRUPT},
    {" / HTTP/1.1\r\n\r\n", "the first line is no HTTP request", ERR_CORRUPT},
    {"PRI * HTTP/2.0\r\n\r\n", "expected HTTP/1.1 or HTTP/1.0", ERR_UNSUPPORTED},
    {"GET / http/1.1\r\n\r\n", "expected HTTP/1.1 or HTTP/1.0", ERR_UNSUPPORTED},
    {GET "Host: x\nContent-Length: 5\r\n\r\n", "a line of the head has a control character in it",
     ERR_CORRUPT},
    {GET "Host: x\rContent-Length: 5\r\n\r\n", "a line of the head has a control character in it",
     ERR_CORRUPT},
    {GET "Host : x\r\n\r\n", "a header has no proper name", ERR_CORRUPT},
    {GET "Content-Length : 5\r\n\r\n", "a header has no proper name", ERR_CORRUPT},
    {GET " Host: x\r\n\r\n", "a header has no proper name", ERR_CORRUPT},
    {GET "A: x\r\n folded\r\n\r\n", "a header has no proper name", ERR_CORRUPT},
    {GET "no colon\r\n\r\n", "a header has no proper name", ERR_CORRUPT},
    {GET ": x\r\n\r\n", "a header has no proper name", ERR_CORRUPT},
    {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "Content-Length is there twice", ERR_CORRUPT},
    {POST "Content-Length: 5, 5\r\n\r\n", "Content-Length is no number", ERR_CORRUPT},
    {POST "Content-Length: +5\r\n\r\n", "Content-Length is no number", ERR_CORRUPT},
    {POST "Content-Length: -1\r\n\r\n", "Content-Length is no number", ERR_CORRUPT},
    {POST "Content-Length: 0x10\r\n\r\n", "Content-Length is no number", ERR_CORRUPT},
    {POST "Content-Length: \r\n\r\n", "Content-Length is no number that can be", ERR_CORRUPT},
    {POST "Content-Length: 9999999999999999999\r\n\r\n", "Content-Length is no number that can be",
     ERR_CORRUPT},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
     "Content-Length and Transfer-Encoding are both there", ERR_CORRUPT},
    {POST "Content-Length: 5\r\ntransfer-encoding: CHUNKED\r\n\r\n",
     "Content-Length and Transfer-Encoding are both there", ERR_CORRUPT},
    {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", "Transfer-Encoding: expected chunked, once",
     ERR_UNSUPPORTED},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     "Transfer-Encoding: expected chunked, once", ERR_UNSUPPORTED},
    {POST "Transfer-Encoding: xchunked\r\n\r\n", "Transfer-Encoding: expected chunked, once",
     ERR_UNSUPPORTED},
};

static void head_that_two_readers_could_read_differently_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct request_head h;
        struct err e = {0};
        if (message_request(refused[i].head, strlen(refused[i].head), &h, &e))
            fail_msg("taken: %s", refused[i].head);
        assert_string_equal(e.text, refused[i].problem);
        assert_int_equal(e.kind, refused[i].kind);
    }
}

static void nul_in_a_head_is_refused(void **state)
{
    (void)state;
    static const char head[] = GET "Host: x\0y\r\n\r\n";
    struct request_head h;
    struct err e = {0};
    assert_false(message_request(head, sizeof head - 1, &h, &e));
}

static void request_says_how_it_ends_and_whether_the_connection_stays(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        bool is_head, get, keep_alive, go_on;
        const char *path;
        enum framing_kind kind;
        uint64_t left;
    } cases[] = {
        {GET "\r\n", false, true, true, false, "/", FRAMING_NONE, 0},
        {"HEAD /healthz?x=1?y HTTP/1.1\r\nHost: a\r\n\r\n", true, false, true, false, "/healthz",
         FRAMING_NONE, 0},
        {"get / HTTP/1.1\r\n\r\n", false, false, true, false, "/", FRAMING_NONE, 0},
        {POST "content-length:\t17 \r\n\r\n", false, false, true, false, "/v1/x", FRAMING_LENGTH, 17},
        {POST "Content-Length: 0\r\n\r\n", false, false, true, false, "/v1/x", FRAMING_LENGTH, 0},
        {POST "Transfer-Encoding: Chunked\r\nExpect: 100-continue\r\n\r\n", false, false, true, true, "/v1/x",
         FRAMING_CHUNKED, 0},
        {GET "Connection: upgrade , Close\r\n\r\n", false, true, false, false, "/", FRAMING_NONE, 0},
        {"GET / HTTP/1.0\r\n\r\n", false, true, false, false, "/", FRAMING_NONE, 0},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false, true, true, false, "/", FRAMING_NONE, 0},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false, true, false, false, "/",
         FRAMING_NONE, 0},
        {"GET http://h/healthz HTTP/1.1\r\nA:\r\n\r\n", false, true, true, false, "http://h/healthz",
         FRAMING_NONE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct request_head h;
        struct err e = {0};
        assert_int_equal(message_head_size(cases[i].head, strlen(cases[i].head)), strlen(cases[i].head));
        if (!message_request(cases[i].head, strlen(cases[i].head), &h, &e))
            fail_msg("%s: %s", cases[i].head, e.text);
        assert_int_equal(h.head, cases[i].is_head);
        assert_int_equal(h.get, cases[i].get);
        assert_int_equal(h.keep_alive, cases[i].keep_alive);
        assert_int_equal(h.asks_to_go_on, cases[i].go_on);
        assert_int_equal(h.path_size, strlen(cases[i].path));
        assert_memory_equal(h.path, cases[i].path, h.path_size);
        assert_int_equal(h.body.kind, cases[i].kind);
        assert_int_equal(h.body.left, cases[i].left);
    }
}

static void reply_says_how_it_ends(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        bool to_head;
        int status;
        bool keep_alive;
        enum framing_kind kind;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, 200, true, FRAMING_LENGTH},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 200, true, FRAMING_NONE},
        {"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", false, 200, true, FRAMING_CHUNKED},
        {"HTTP/1.1 200 OK\r\n\r\n", false, 200, false, FRAMING_UNTIL_CLOSE},
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, 200, false, FRAMING_LENGTH},
        {"HTTP/1.1 100 Continue\r\n\r\n", false, 100, true, FRAMING_NONE},
        {"HTTP/1.1 204 No Content\r\n\r\n", false, 204, true, FRAMING_NONE},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, 304, true, FRAMING_NONE},
        {"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 5\r\n\r\n", false, 503, false,
         FRAMING_LENGTH},
    };
    static const char *const bad[] = {"HTTP/1.1 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
                                      "200 OK HTTP/1.1\r\n\r\n", "HTTP/1.1\t200 OK\r\n\r\n",
                                      "HTTP/1.1 20x OK\r\n\r\n"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply_head h;
        struct err e = {0};
        assert_true(message_reply(cases[i].head, strlen(cases[i].head), cases[i].to_head, &h, &e));
        assert_int_equal(h.status, cases[i].status);
        assert_int_equal(h.keep_alive, cases[i].keep_alive);
        assert_int_equal(h.body.kind, cases[i].kind);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct reply_head h;
        struct err e = {0};
        assert_false(message_reply(bad[i], strlen(bad[i]), false, &h, &e));
        assert_string_equal(e.text, "the first line is no HTTP reply");
    }
}

static void head_has_a_size_once_its_empty_line_is_there(void **state)
{
    (void)state;
    static const char bytes[] = GET "Host: x\r\n\r\nrest\r\n\r\n";
    size_t head = strlen(GET "Host: x\r\n\r\n");
    for (size_t n = 0; n < sizeof bytes; n++)
        assert_int_equal(message_head_size(bytes, n), n < head ? 0 : head);
}

static void counted_body_takes_its_bytes_and_no_more(void **state)
{
    (void)state;
    struct framing f = {.kind = FRAMING_LENGTH, .left = 7};
    size_t taken;
    assert_true(framing_take(&f, "abc", 3, &taken, NULL));
    assert_int_equal(taken, 3);
    assert_false(framing_done(&f));
    assert_true(framing_take(&f, "defgNEXT", 8, &taken, NULL));
    assert_int_equal(taken, 4);
    assert_true(framing_done(&f));
    assert_true(framing_take(&f, "NEXT", 4, &taken, NULL));
    assert_int_equal(taken, 0);
}

static void body_until_close_never_ends(void **state)
{
    (void)state;
    struct framing f = {.kind = FRAMING_UNTIL_CLOSE};
    size_t taken;
    assert_true(framing_take(&f, "abc", 3, &taken, NULL));
    assert_int_equal(taken, 3);
    assert_false(framing_done(&f));
}

static const char *const chunked[] = {
    "0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\n",
    "5;name=\"a;b\"\r\nhello\r\n00\r\n\r\n",
    "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nTrailer: x\r\nB: y\r\n\r\n",
    "1F\r\n0\r\n\r\n345678901234567890123456\r\n\r\n0\r\n\r\n",
};

/* However it is cut, it ends at the same byte, and what is behind is not taken. */
static void chunked_body_cut_anywhere_ends_at_the_same_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof chunked / sizeof *chunked; i++) {
        char bytes[200];
        size_t size = strlen(chunked[i]);
        snprintf(bytes, sizeof bytes, "%sGET / HTTP/1.1\r\n", chunked[i]);
        for (size_t piece = 1; piece <= size + 1; piece++) {
            struct framing f = {.kind = FRAMING_CHUNKED};
            size_t at = 0, taken = 1;
            while (!framing_done(&f)) {
                size_t n = strlen(bytes) - at < piece ? strlen(bytes) - at : piece;
                assert_true(n > 0);
                assert_true(framing_take(&f, bytes + at, n, &taken, NULL));
                at += taken;
            }
            assert_int_equal(at, size);
        }
    }
}

static void chunks_that_break_the_rules_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\r\n",          " 5\r\n",       "5 \r\n",   "x\r\n",       "-1\r\n",
        "5\nhello",      "5\rhello",     "5;a\nb",   "5\r\nhellox", "5\r\nhello\n0",
        "5\r\nhello\rx", "0\r\nA: b\nc", "0\r\n\rx", "0\r\nA\rx",   "ffffffffffffffffff\r\n",
        "0\r\n\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct framing f = {.kind = FRAMING_CHUNKED};
        struct err e = {0};
        size_t taken;
        if (framing_take(&f, bad[i], strlen(bad[i]), &taken, &e))
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(e.text, "the body breaks the rules of the chunked coding");
    }
}

static void endless_lines_of_a_chunked_body_are_refused(void **state)
{
    (void)state;
    static const char *const begins[] = {"5;", "0\r\n"};
    for (size_t i = 0; i < 2; i++) {
        struct framing f = {.kind = FRAMING_CHUNKED};
        size_t taken, sent = 0;
        assert_true(framing_take(&f, begins[i], strlen(begins[i]), &taken, NULL));
        while (framing_take(&f, "aaaaaaaaaa", 10, &taken, NULL))
            assert_true((sent += 10) < 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_that_two_readers_could_read_differently_is_refused),
        cmocka_unit_test(nul_in_a_head_is_refused),
        cmocka_unit_test(request_says_how_it_ends_and_whether_the_connection_stays),
        cmocka_unit_test(reply_says_how_it_ends),
        cmocka_unit_test(head_has_a_size_once_its_empty_line_is_there),
        cmocka_unit_test(counted_body_takes_its_bytes_and_no_more),
        cmocka_unit_test(body_until_close_never_ends),
        cmocka_unit_test(chunked_body_cut_anywhere_ends_at_the_same_byte),
        cmocka_unit_test(chunks_that_break_the_rules_are_refused),
        cmocka_unit_test(endless_lines_of_a_chunked_body_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
