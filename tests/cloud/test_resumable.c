/* Resumable sessions: what is sent, and what is asked after a break. */
#include "client.h"
#include "cloud/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECRET "upload_id=S3CR3T"

static char *session(struct client *c)
{
    return arena_printf(c->arena, "%s/session?" SECRET, canned_url(c->server));
}

static void session_begins_with_type_and_length(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    char header[200];
    snprintf(header, sizeof header, "Location: %s\r\n", session(c));
    canned_answer(c->server, 200, header, "");
    canned_answer(c->server, 200, header, "");
    char *url =
        resumable_begin(c->cloud, "model-bkt", "a/b", "text/plain", 100, STORAGE_ABSENT, c->arena, &e);
    assert_string_equal(url, session(c));
    expect_request(c, 0, "POST /upload/storage/v1/b/model-bkt/o?uploadType=resumable&ifGenerationMatch=0",
                   "X-Upload-Content-Type: text/plain\r\n", "X-Upload-Content-Length: 100\r\n",
                   "{\"bucket\":\"model-bkt\",\"name\":\"a/b\",\"contentType\":\"text/plain\"}", NULL);
    assert_non_null(resumable_begin(c->cloud, "model-bkt", "a", NULL, RESUMABLE_UNKNOWN,
                                    STORAGE_ANY_GENERATION, c->arena, &e));
    assert_null(strcasestr(canned_request(c->server, 1), "X-Upload-Content-Length"));
}

static void session_without_an_address_is_refused(void **state)
{
    struct client *c = *state;
    static const char *const headers[] = {NULL, "Location: /relative\r\n", "Location: ftp://127.0.0.1/\r\n"};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct err e = {0};
        canned_answer(c->server, 200, headers[i], "");
        assert_null(resumable_begin(c->cloud, "model-bkt", "a", NULL, 1, STORAGE_ABSENT, c->arena, &e));
        expect_error(&e, ERR_CORRUPT, "gs://model-bkt/a: an upload session");
    }
}

static void held_is_what_the_range_says(void **state)
{
    struct client *c = *state;
    static const struct {
        int status;
        const char *headers;
        uint64_t held;
        bool done;
    } cases[] = {
        {308, "Range: bytes=0-262143\r\n", 262144, false},
        {308, NULL, 0, false},
        {200, NULL, 1000000, true},
        {201, NULL, 1000000, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t held = 7;
        bool done = !cases[i].done;
        struct err e = {0};
        canned_answer(c->server, cases[i].status, cases[i].headers, "");
        assert_true(resumable_held(c->cloud, session(c), 1000000, &held, &done, &e));
        assert_int_equal(held, cases[i].held);
        assert_int_equal(done, cases[i].done);
    }
    expect_request(c, 0, "PUT /session?" SECRET, "Content-Range: bytes */1000000\r\n",
                   "Content-Length: 0\r\n", NULL);
    assert_null(strcasestr(canned_request(c->server, 0), "Authorization"));
}

static void session_that_is_gone_begins_anew(void **state)
{
    struct client *c = *state;
    static const int statuses[] = {404, 410, 499};
    for (size_t i = 0; i < 3; i++) {
        uint64_t held;
        bool done;
        struct err e = {0};
        canned_answer(c->server, statuses[i], NULL, "");
        assert_false(resumable_held(c->cloud, session(c), 10, &held, &done, &e));
        expect_error(&e, ERR_NOT_FOUND, "the upload session is gone");
        assert_null(strstr(e.text, SECRET));
    }
}

static bool send(struct client *c, uint64_t offset, const char *bytes, uint64_t total, struct err *e)
{
    return resumable_send(c->cloud, session(c), offset, bytes, strlen(bytes), total, 0xE3069283, NULL, e);
}

static void chunks_say_where_they_belong_and_the_last_one_its_checksum(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 308, "Range: bytes=0-4\r\n", "");
    canned_answer(c->server, 200, NULL, "{}");
    assert_true(send(c, 0, "12345", 9, &e));
    expect_request(c, 0, "PUT /session?" SECRET, "Content-Range: bytes 0-4/9\r\n", "\r\n\r\n12345", NULL);
    assert_null(strcasestr(canned_request(c->server, 0), "X-Goog-Hash"));
    assert_true(send(c, 5, "6789", 9, &e));
    expect_request(c, 1, "PUT /session?" SECRET, "Content-Range: bytes 5-8/9\r\n",
                   "X-Goog-Hash: crc32c=4waSgw==\r\n", "\r\n\r\n6789", NULL);
}

static void upload_of_unknown_length_learns_it_at_the_end(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 308, "Range: bytes=0-4\r\n", "");
    canned_answer(c->server, 200, NULL, "{}");
    assert_true(send(c, 0, "12345", RESUMABLE_UNKNOWN, &e));
    expect_request(c, 0, "PUT /session?" SECRET, "Content-Range: bytes 0-4/*\r\n", NULL);
    assert_true(send(c, 5, "", 5, &e));
    expect_request(c, 1, "PUT /session?" SECRET, "Content-Range: bytes */5\r\n", "X-Goog-Hash: ", NULL);
}

static void what_a_session_did_not_take_is_sent_again(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 308, "Range: bytes=0-2\r\n", "");
    canned_answer(c->server, 200, NULL, "{}");
    assert_true(send(c, 0, "123456789", 9, &e));
    expect_request(c, 1, "PUT /session?" SECRET, "Content-Range: bytes 3-8/9\r\n", "\r\n\r\n456789", NULL);
}

static void after_a_break_the_session_is_asked_first(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 503, NULL, "");
    canned_answer(c->server, 308, "Range: bytes=0-6\r\n", "");
    canned_answer(c->server, 200, NULL, "{}");
    assert_true(send(c, 5, "6789", 9, &e));
    expect_request(c, 1, "PUT /session?" SECRET, "Content-Range: bytes */9\r\n", NULL);
    expect_request(c, 2, "PUT /session?" SECRET, "Content-Range: bytes 7-8/9\r\n", "\r\n\r\n89", NULL);
}

static void last_answer_that_was_lost_is_found_to_be_a_yes(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_raw(c->server, "");
    canned_answer(c->server, 200, NULL, "{}");
    assert_true(send(c, 0, "123456789", 9, &e));
    expect_request(c, 1, "PUT /session?" SECRET, "Content-Range: bytes */9\r\n", NULL);
}

static void session_that_lies_is_not_followed(void **state)
{
    struct client *c = *state;
    static const struct {
        int status;
        const char *headers, *says;
        enum err_kind kind;
    } cases[] = {
        {308, "Range: bytes=0-3\r\n", "has lost bytes: it holds 4, expected 5", ERR_NOT_FOUND},
        {308, "Range: bytes=0-8\r\n", "holds 9 bytes, expected 5 to 7", ERR_CORRUPT},
        {308, "Range: bytes=1-5\r\n", "an upload session that holds \"bytes=1-5\"", ERR_CORRUPT},
        {200, NULL, "ended before its last byte", ERR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        canned_answer(c->server, cases[i].status, cases[i].headers, "");
        assert_false(send(c, 5, "67", 9, &e));
        expect_error(&e, cases[i].kind, cases[i].says);
    }
}

static void session_that_takes_nothing_is_given_up(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    for (int i = 0; i < 4; i++)
        canned_answer(c->server, 308, "Range: bytes=0-4\r\n", "");
    assert_false(send(c, 5, "67", 9, &e));
    expect_error(&e, ERR_TRANSIENT, "takes no bytes");
    assert_int_equal(canned_count(c->server), 4);
}

static void refusals_end_a_send_without_showing_the_session(void **state)
{
    struct client *c = *state;
    static const struct {
        int status;
        enum err_kind kind;
    } cases[] = {{400, ERR_USAGE}, {403, ERR_AUTH}, {410, ERR_NOT_FOUND}, {412, ERR_BUSY}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        canned_answer(c->server, cases[i].status, NULL, "");
        assert_false(send(c, 0, "123456789", 9, &e));
        expect_error(&e, cases[i].kind, "upload session: HTTP");
        assert_null(strstr(e.text, "S3CR3T"));
    }
    struct err e = {0};
    assert_false(send(c, 5, "123456789", 9, &e));
    expect_error(&e, ERR_USAGE, "more bytes than");
}

static void cancelled_session_answers_499(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 499, NULL, "");
    assert_true(resumable_cancel(c->cloud, session(c), &e));
    expect_request(c, 0, "DELETE /session?" SECRET, NULL);
    canned_answer(c->server, 403, NULL, "");
    assert_false(resumable_cancel(c->cloud, session(c), &e));
    expect_error(&e, ERR_AUTH, "HTTP 403");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, client_open, client_close)
    const struct CMUnitTest tests[] = {
        CASE(session_begins_with_type_and_length),
        CASE(session_without_an_address_is_refused),
        CASE(held_is_what_the_range_says),
        CASE(session_that_is_gone_begins_anew),
        CASE(chunks_say_where_they_belong_and_the_last_one_its_checksum),
        CASE(upload_of_unknown_length_learns_it_at_the_end),
        CASE(what_a_session_did_not_take_is_sent_again),
        CASE(after_a_break_the_session_is_asked_first),
        CASE(last_answer_that_was_lost_is_found_to_be_a_yes),
        CASE(session_that_lies_is_not_followed),
        CASE(session_that_takes_nothing_is_given_up),
        CASE(refusals_end_a_send_without_showing_the_session),
        CASE(cancelled_session_answers_499),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
