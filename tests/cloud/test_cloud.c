/* Calls: tokens, a 401 in the middle, retries, endpoints. */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool call(struct client *c, int flags, struct http_reply *r, struct err *e)
{
    char url[100];
    snprintf(url, sizeof url, "%s/thing", canned_url(c->server));
    struct http_request q = {.method = "GET", .url = url};
    return cloud_call(c->cloud, &q, flags, r, e);
}

static void token_goes_with_the_call_unless_the_url_is_one(void **state)
{
    struct client *c = *state;
    static struct http_reply r;
    struct err e = {0};
    canned_answer(c->server, 200, NULL, "");
    canned_answer(c->server, 200, NULL, "");
    assert_true(call(c, 0, &r, &e));
    expect_request(c, 0, "GET /thing", "Authorization: Bearer token-1", NULL);
    assert_true(call(c, CLOUD_NO_BEARER, &r, &e));
    assert_null(strcasestr(canned_request(c->server, 1), "Authorization"));
}

static void quota_project_goes_with_calls_that_want_it(void **state)
{
    struct client *c = *state;
    static struct http_reply r;
    struct err e = {0};
    setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "payer", 1);
    canned_answer(c->server, 200, NULL, "");
    canned_answer(c->server, 200, NULL, "");
    assert_true(call(c, 0, &r, &e));
    expect_request(c, 0, "GET /thing", "\r\nX-Goog-User-Project: payer\r\n", NULL);
    assert_true(call(c, CLOUD_NO_QUOTA, &r, &e));
    assert_null(strcasestr(canned_request(c->server, 1), "X-Goog-User-Project"));
}

static void refused_token_is_replaced_once(void **state)
{
    struct client *c = *state;
    static struct http_reply r;
    struct err e = {0};
    char path[] = "/tmp/ferry-cloud-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    fputs("token-2", f);
    fclose(f);
    unsetenv("FERRY_ACCESS_TOKEN");
    setenv("FERRY_ACCESS_TOKEN_FILE", path, 1);
    canned_answer(c->server, 401, NULL, "{}");
    canned_answer(c->server, 200, NULL, "");
    assert_true(call(c, 0, &r, &e));
    assert_int_equal(canned_count(c->server), 2);
    canned_answer(c->server, 401, NULL, "{}");
    canned_answer(c->server, 401, NULL, "{\"error\":{\"message\":\"Invalid Credentials\"}}");
    assert_false(call(c, CLOUD_IDEMPOTENT, &r, &e));
    expect_error(&e, ERR_AUTH, "Invalid Credentials");
    assert_int_equal(canned_count(c->server), 4);
    remove(path);
    unsetenv("FERRY_ACCESS_TOKEN_FILE");
}

static void passing_troubles_are_tried_again(void **state)
{
    struct client *c = *state;
    static struct http_reply r;
    struct err e = {0};
    canned_answer(c->server, 503, NULL, "");
    canned_raw(c->server, "");
    canned_answer(c->server, 200, NULL, "");
    assert_true(call(c, CLOUD_IDEMPOTENT, &r, &e));
    assert_int_equal(canned_count(c->server), 3);
}

static void tries_end_and_are_counted(void **state)
{
    struct client *c = *state;
    static struct http_reply r;
    struct err e = {0};
    for (int i = 0; i < 4; i++)
        canned_answer(c->server, 503, NULL, "down");
    assert_false(call(c, CLOUD_IDEMPOTENT, &r, &e));
    expect_error(&e, ERR_TRANSIENT, "after 4 tries: HTTP 503: down");
    assert_int_equal(canned_count(c->server), 4);
}

static void call_that_may_have_worked_is_not_repeated(void **state)
{
    struct client *c = *state;
    static struct http_reply r;
    struct err e = {0};
    canned_answer(c->server, 503, NULL, "");
    assert_false(call(c, 0, &r, &e));
    assert_int_equal(canned_count(c->server), 1);
    canned_answer(c->server, 429, NULL, "");
    canned_answer(c->server, 200, NULL, "");
    assert_true(call(c, 0, &r, &e)); /* nobody has acted on a 429 */
    assert_int_equal(canned_count(c->server), 3);
}

static void any_status_is_the_callers_when_asked_for(void **state)
{
    struct client *c = *state;
    static struct http_reply r;
    struct err e = {0};
    canned_answer(c->server, 308, "Range: bytes=0-9\r\n", "");
    assert_true(call(c, CLOUD_ANY_STATUS | CLOUD_IDEMPOTENT, &r, &e));
    assert_int_equal(r.status, 308);
}

static void wait_that_is_too_long_is_reported_not_waited_for(void **state)
{
    struct client *c = *state;
    static struct http_reply r;
    struct err e = {0};
    canned_answer(c->server, 429, "Retry-After: 600\r\n", "");
    assert_false(call(c, CLOUD_IDEMPOTENT, &r, &e));
    expect_error(&e, ERR_TRANSIENT, "it asks to wait 600 s");
    assert_int_equal(canned_count(c->server), 1);
}

static void json_comes_whole_even_after_a_broken_try(void **state)
{
    struct client *c = *state;
    static struct http_reply r;
    struct err e = {0};
    char url[100];
    snprintf(url, sizeof url, "%s/json", canned_url(c->server));
    struct http_request q = {.method = "GET", .url = url};
    canned_raw(c->server, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{\"a\"");
    canned_answer(c->server, 200, NULL, "{\"a\":1}");
    json_t *json = cloud_json(c->cloud, &q, CLOUD_IDEMPOTENT, &r, &e);
    assert_non_null(json);
    assert_int_equal(json_integer_value(json_object_get(json, "a")), 1);
    json_decref(json);
    canned_answer(c->server, 200, NULL, "<html>");
    assert_null(cloud_json(c->cloud, &q, CLOUD_IDEMPOTENT, &r, &e));
    expect_error(&e, ERR_CORRUPT, "not JSON");
}

static void no_credentials_no_request(void **state)
{
    struct client *c = *state;
    static struct http_reply r;
    struct err e = {0};
    char path[4096];
    snprintf(path, sizeof path, "%s", getenv("PATH"));
    unsetenv("FERRY_ACCESS_TOKEN");
    setenv("NO_GCE_CHECK", "true", 1);
    setenv("PATH", "/nonexistent", 1);
    bool ok = call(c, CLOUD_IDEMPOTENT, &r, &e);
    setenv("PATH", path, 1);
    assert_false(ok);
    expect_error(&e, ERR_AUTH, "no Google credentials found");
    assert_int_equal(canned_count(c->server), 0);
}

static void endpoints_come_from_where_people_put_them(void **state)
{
    struct client *c = *state;
    struct gcloud_property properties[] = {
        {"api_endpoint_overrides", "run", "http://127.0.0.1:9/run/v1/"},
        {"api_endpoint_overrides", "storage", "http://127.0.0.1:8/storage/v1/"}};
    c->config.properties = properties;
    c->config.count = 2;
    unsetenv("FERRY_ENDPOINT_RUN");
    setenv("STORAGE_EMULATOR_HOST", "localhost:7", 1);
    assert_string_equal(cloud_endpoint(c->cloud, "storage"), canned_url(c->server));
    assert_string_equal(cloud_endpoint(c->cloud, "run"), "http://127.0.0.1:9");
    assert_string_equal(cloud_endpoint(c->cloud, "cloudbilling"), "https://cloudbilling.googleapis.com");
    assert_ptr_equal(cloud_endpoint(c->cloud, "run"), cloud_endpoint(c->cloud, "run"));

    struct err e = {0};
    unsetenv("FERRY_ENDPOINT_STORAGE");
    struct cloud *second = cloud_new(c->http, &c->config, &e);
    assert_string_equal(cloud_endpoint(second, "storage"), "http://127.0.0.1:8");
    c->config.count = 0;
    cloud_free(second);
    second = cloud_new(c->http, &c->config, &e);
    assert_string_equal(cloud_endpoint(second, "storage"), "http://localhost:7");
    cloud_free(second);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, client_open, client_close)
    const struct CMUnitTest tests[] = {
        CASE(token_goes_with_the_call_unless_the_url_is_one),
        CASE(quota_project_goes_with_calls_that_want_it),
        CASE(refused_token_is_replaced_once),
        CASE(passing_troubles_are_tried_again),
        CASE(tries_end_and_are_counted),
        CASE(call_that_may_have_worked_is_not_repeated),
        CASE(any_status_is_the_callers_when_asked_for),
        CASE(wait_that_is_too_long_is_reported_not_waited_for),
        CASE(json_comes_whole_even_after_a_broken_try),
        CASE(no_credentials_no_request),
        CASE(endpoints_come_from_where_people_put_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
