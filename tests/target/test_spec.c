#include "target/local/spec.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char good[] =
    "{\"name\":\"demo\",\"model\":\"/models/demo\",\"program\":\"/usr/bin/ferry\",\"host\":\"127.0.0.1\","
    "\"port\":8080,\"idle_seconds\":900,\"memory_bytes\":0,\"environment\":[\"FERRY_PARALLEL=4\","
    "\"FERRY_CONFIG=gs://b/c=d\"]}";

/* The good one with one field replaced by something else. */
static json_t *changed(const char *field, const char *value)
{
    json_t *spec = json_loads(good, 0, NULL);
    assert_int_equal(
        json_object_set_new(spec, field, json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)), 0);
    return spec;
}

static void fields_that_are_not_what_they_should_be_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *field, *value, *problem;
    } rows[] = {
        {"name", "1", "name: expected a text"},
        {"name", "\"\"", "name: expected a text"},
        {"name", "\"a\\u0000b\"", "name: expected a text"},
        {"name", "\"../up\"", "\"../up\": expected a service's name"},
        {"model", "null", "model: expected a text"},
        {"program", "\"\"", "program: expected a text"},
        {"host", "[]", "host: expected a text"},
        {"port", "-1", "port: expected a number from 0 to 65535"},
        {"port", "65536", "port: expected a number from 0 to 65535"},
        {"port", "80.5", "port: expected a number from 0 to 65535"},
        {"port", "\"80\"", "port: expected a number from 0 to 65535"},
        {"idle_seconds", "0", "idle_seconds: expected a number over 0"},
        {"idle_seconds", "-1", "idle_seconds: expected a number over 0"},
        {"idle_seconds", "1e300", "idle_seconds: expected a number over 0"},
        {"idle_seconds", "true", "idle_seconds: expected a number over 0"},
        {"memory_bytes", "-1", "memory_bytes: expected a number of bytes, or 0"},
        {"memory_bytes", "1.5", "memory_bytes: expected a number of bytes, or 0"},
        {"environment", "{}", "environment: expected a list of at most 64 variables"},
        {"environment", "[1]", "environment: expected NAME=VALUE"},
        {"environment", "[\"=x\"]", "environment: expected NAME=VALUE"},
        {"environment", "[\"NAME\"]", "environment: expected NAME=VALUE"},
        {"environment", "[\"a b=c\"]", "environment: expected NAME=VALUE"},
        {"environment", "[\"A=b\\u0000\"]", "environment: expected NAME=VALUE"},
        {"more", "1", "expected an object of 8 fields"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct spec s;
        struct err e = {0};
        json_t *json = changed(rows[i].field, rows[i].value);
        if (spec_take(&s, json, &e))
            fail_msg("taken: %s %s", rows[i].field, rows[i].value);
        assert_memory_equal(e.text, rows[i].problem, strlen(rows[i].problem));
        assert_null(s.json);
        json_decref(json);
    }
}

static void each_field_must_be_there(void **state)
{
    (void)state;
    json_t *whole = json_loads(good, 0, NULL);
    const char *field;
    json_t *value;
    json_object_foreach(whole, field, value)
    {
        struct spec s;
        json_t *json = json_copy(whole);
        json_object_del(json, field);
        assert_false(spec_take(&s, json, NULL));
        json_object_set_new(json, "other", json_true()); /* as many fields, but another one */
        assert_false(spec_take(&s, json, NULL));
        json_decref(json);
    }
    json_decref(whole);
}

static void bytes_that_are_no_object_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "null", "[]", "{", "{\"name\":\"a\",\"name\":\"b\"}"};
    static char large[SPEC_MAX_BYTES + 1];
    struct spec s;
    struct err e = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_false(spec_parse(&s, rows[i], strlen(rows[i]), NULL));
    memset(large, ' ', sizeof large);
    memcpy(large, good, sizeof good - 1);
    assert_true(spec_parse(&s, large, SPEC_MAX_BYTES, &e));
    spec_clear(&s);
    assert_false(spec_parse(&s, large, sizeof large, &e));
    assert_string_equal(e.text, "no JSON of at most 262144 bytes");
}

static void variables_more_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    struct spec s;
    json_t *json = json_loads(good, 0, NULL), *list = json_object_get(json, "environment");
    while (json_array_size(list) < SPEC_MAX_VARIABLES)
        json_array_append_new(list, json_string("A="));
    assert_true(spec_take(&s, json, NULL));
    assert_null(s.environment[SPEC_MAX_VARIABLES]);
    spec_clear(&s);
    json_array_append_new(list, json_string("A="));
    assert_false(spec_take(&s, json, NULL));
    json_decref(json);
}

static void spec_says_what_was_written(void **state)
{
    (void)state;
    struct spec s;
    assert_true(spec_parse(&s, good, sizeof good - 1, NULL));
    assert_string_equal(s.name, "demo");
    assert_string_equal(s.model, "/models/demo");
    assert_string_equal(s.program, "/usr/bin/ferry");
    assert_int_equal(s.port, 8080);
    assert_true(s.idle_seconds == 900);
    assert_int_equal(s.memory_bytes, 0);
    assert_string_equal(spec_variable(&s, "FERRY_PARALLEL"), "4");
    assert_string_equal(spec_variable(&s, "FERRY_CONFIG"), "gs://b/c=d");
    assert_null(spec_variable(&s, "FERRY"));
    assert_null(spec_variable(&s, "PARALLEL"));
    spec_clear(&s);
}

static void url_is_one_that_a_client_here_can_use(void **state)
{
    (void)state;
    static const struct {
        const char *host, *url;
    } rows[] = {
        {"127.0.0.1", "http://127.0.0.1:8080"},
        {"0.0.0.0", "http://127.0.0.1:8080"},
        {"::", "http://127.0.0.1:8080"},
        {"::1", "http://[::1]:8080"},
        {"ferry.example", "http://ferry.example:8080"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char url[SPEC_URL];
        struct spec s = {.host = rows[i].host, .port = 8080};
        assert_string_equal(spec_url(&s, url), rows[i].url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_that_are_not_what_they_should_be_are_refused_by_name),
        cmocka_unit_test(each_field_must_be_there),
        cmocka_unit_test(bytes_that_are_no_object_are_refused),
        cmocka_unit_test(variables_more_than_there_is_room_for_are_refused),
        cmocka_unit_test(spec_says_what_was_written),
        cmocka_unit_test(url_is_one_that_a_client_here_can_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
