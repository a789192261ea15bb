/* Answers as they came. */
#include "cloud/raw.h"

#include "client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *ask(struct client *c)
{
    struct raw_request q = {.api = "run", .method = "GET", .path = "/v2/x?y=1"};
    json_t *answer = cloud_raw(c->cloud, &q);
    assert_non_null(answer);
    assert_string_equal(json_string_value(json_object_get(answer, "request")), "GET run /v2/x?y=1");
    return answer;
}

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "";
}

static void a_refusal_is_kept_with_its_status_and_body(void **state)
{
    struct client *c = *state;
    canned_answer(c->server, 403, "Content-Type: application/json\r\n", "{\"error\":{\"code\":403}}");
    json_t *answer = ask(c);
    assert_int_equal(json_integer_value(json_object_get(answer, "status")), 403);
    const json_t *error = json_object_get(json_object_get(answer, "body"), "error");
    assert_int_equal(json_integer_value(json_object_get(error, "code")), 403);
    json_decref(answer);
}

static void what_is_no_json_is_kept_as_text(void **state)
{
    struct client *c = *state;
    canned_answer(c->server, 200, NULL, "<a>\xff\xe3\x81</a>"); /* bytes that are no UTF-8 */
    json_t *answer = ask(c);
    assert_string_equal(text_of(answer, "text"), "<a>??"
                                                 "?</a>");
    assert_null(json_object_get(answer, "body"));
    json_decref(answer);
}

static void no_answer_is_an_error_in_words(void **state)
{
    struct client *c = *state;
    for (int i = 0; i < quick.max_tries; i++)
        canned_raw(c->server, "");
    json_t *answer = ask(c);
    assert_true(*text_of(answer, "error"));
    assert_null(json_object_get(answer, "status"));
    json_decref(answer);
}

static void the_clock_is_compared_with_the_answers_date(void **state)
{
    struct client *c = *state;
    canned_answer(c->server, 200, "Date: Tue, 24 Nov 2020 00:10:11 GMT\r\n", "{}");
    json_t *answer = ask(c);
    assert_true(json_integer_value(json_object_get(answer, "skew_seconds")) > 86400);
    json_decref(answer);
}

static void no_token_is_in_an_answer(void **state)
{
    struct client *c = *state;
    canned_answer(c->server, 200, NULL, "{}");
    json_t *answer = ask(c);
    char *text = json_dumps(answer, 0);
    assert_null(strstr(text, "token-1"));
    assert_non_null(strstr(canned_request(c->server, 0), "token-1"));
    free(text);
    json_decref(answer);
}

static void the_hubs_own_code_is_kept(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    setenv("HF_TOKEN", "hf_secret", 1);
    struct hub *h = hub_new(c->http, &e);
    assert_non_null(h);
    canned_answer(c->server, 403, "X-Error-Code: GatedRepo\r\nX-Error-Message: restricted\r\n",
                  "{\"error\":\"x\"}");
    json_t *answer = hub_raw(h, "/api/models/a/b");
    char *text = json_dumps(answer, 0);
    assert_string_equal(text_of(answer, "code"), "GatedRepo");
    assert_string_equal(text_of(answer, "message"), "restricted");
    assert_string_equal(text_of(answer, "token"), "HF_TOKEN");
    assert_null(strstr(text, "hf_secret"));
    free(text);
    json_decref(answer);
    hub_free(h);
    unsetenv("HF_TOKEN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_refusal_is_kept_with_its_status_and_body, client_open,
                                        client_close),
        cmocka_unit_test_setup_teardown(what_is_no_json_is_kept_as_text, client_open, client_close),
        cmocka_unit_test_setup_teardown(no_answer_is_an_error_in_words, client_open, client_close),
        cmocka_unit_test_setup_teardown(the_clock_is_compared_with_the_answers_date, client_open,
                                        client_close),
        cmocka_unit_test_setup_teardown(no_token_is_in_an_answer, client_open, client_close),
        cmocka_unit_test_setup_teardown(the_hubs_own_code_is_kept, client_open, client_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
