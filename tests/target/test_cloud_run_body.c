/* What is sent to Cloud Run, what of it differs from what is there, and the names of runtime accounts. */
#include "api/api.h"
#include "base/crc32c.h"
#include "target/cloud_run/around.h"
#include "target/cloud_run/body.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct arena *arena;

static json_t *parse(const char *text)
{
    json_error_t problem;
    json_t *j = json_loads(text, 0, &problem);
    if (!j)
        fail_msg("%s: %s", text, problem.text);
    return j;
}

/* --- the mask --- */

#define PROBE "\"startupProbe\":{\"httpGet\":{\"path\":\"/healthz\"},\"initialDelaySeconds\":0}"
static const struct {
    const char *about, *wanted, *is, *mask;
} masks[] = {
    {"nothing is there", "{\"template\":{\"a\":1},\"ingress\":\"ALL\"}", "{}", "template,ingress"},
    {"another value deep inside", "{\"template\":{\"scaling\":{\"max\":3}},\"ingress\":\"ALL\"}",
     "{\"template\":{\"scaling\":{\"max\":2}},\"ingress\":\"ALL\"}", "template"},
    {"another type", "{\"a\":1}", "{\"a\":\"1\"}", "a"},
    {"an object where a text was", "{\"a\":{\"b\":1}}", "{\"a\":\"b\"}", "a"},
    {"fewer in a list", "{\"a\":[1]}", "{\"a\":[1,2]}", "a"},
    {"more in a list", "{\"a\":[1,2]}", "{\"a\":[1]}", "a"},
    {"another order in a list", "{\"env\":[{\"name\":\"A\"},{\"name\":\"B\"}]}",
     "{\"env\":[{\"name\":\"B\"},{\"name\":\"A\"}]}", "env"},
    {"an empty object where something is", "{\"a\":{}}", "{\"a\":{\"b\":1}}", ""},
    {"true is not left out", "{\"a\":{\"cpuIdle\":true}}", "{\"a\":{}}", "a"},
    {"a text is not nothing", "{\"a\":{\"b\":\"\"}}", "{\"a\":{}}", "a"},
    {"a key where there was a value", "{\"env\":[{\"name\":\"K\",\"valueSource\":{\"s\":1}}]}",
     "{\"env\":[{\"name\":\"K\",\"value\":\"x\"}]}", "env"},
    {"false and 0 are left out of answers", "{\"a\":{\"cpuIdle\":false," PROBE "}}",
     "{\"a\":{\"startupProbe\":{\"httpGet\":{\"path\":\"/healthz\"}}}}", ""},
    {"what Google fills in beside it",
     "{\"labels\":{\"managed-by\":\"ferry\"},\"template\":{\"containers\":[{\"image\":\"i\"}]}}",
     "{\"labels\":{\"managed-by\":\"ferry\",\"by\":\"them\"},\"template\":{\"containers\":[{\"image\":\"i\","
     "\"name\":\"ferry-1\"}],\"sessionAffinity\":true},\"uid\":\"u\"}",
     ""},
    {"all of it", "{\"a\":[{\"b\":\"c\"}],\"d\":1}", "{\"a\":[{\"b\":\"c\"}],\"d\":1}", ""},
};

static void mask_names_what_differs_and_not_what_google_fills_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        json_t *wanted = parse(masks[i].wanted), *is = parse(masks[i].is);
        const char *mask = body_mask(wanted, is, arena);
        if (strcmp(mask, masks[i].mask) != 0)
            fail_msg("%s: \"%s\", expected \"%s\"", masks[i].about, mask, masks[i].mask);
        json_decref(wanted);
        json_decref(is);
    }
}

/* --- the body --- */

static const char *const environment[] = {"FERRY_CONTEXT=4096", "FERRY_CONFIG=gs://b/a=b", NULL};
static const struct cloud_run_options options = {.vcpu = 4,
                                                 .memory_gib = 16,
                                                 .concurrency = 2,
                                                 .timeout_seconds = 600,
                                                 .max_instances = 3,
                                                 .cpu_idle = true,
                                                 .probe = {"/healthz", 0, 10, 24, 5}};
static const struct target_spec spec = {
    .name = "qwen", .model = "gs://m/q", .environment = environment, .cloud_run = &options};

static const struct {
    struct body_key key;
    const char *last; /* of the variables */
} keys[] = {
    {{NULL, NULL}, "{\"name\":\"FERRY_CONFIG\",\"value\":\"gs://b/a=b\"}"},
    {{"ferry-qwen-key", "latest"},
     "{\"name\":\"FERRY_API_KEY\",\"valueSource\":{\"secretKeyRef\":{\"secret\":\"ferry-qwen-key\","
     "\"version\":\"latest\"}}}"},
    {{"mine", "7"},
     "{\"name\":\"FERRY_API_KEY\",\"valueSource\":{\"secretKeyRef\":{\"secret\":\"mine\",\"version\":\"7\"}}"
     "}"},
};

static void key_is_a_reference_behind_the_other_variables(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *body = body_make(&spec, "image@sha256:a", "run@p", &keys[i].key), *last = parse(keys[i].last);
        json_t *containers = json_object_get(json_object_get(body, "template"), "containers");
        json_t *env = json_object_get(json_array_get(containers, 0), "env");
        assert_true(json_equal(json_array_get(env, json_array_size(env) - 1), last));
        assert_string_equal(body_variable(body, "FERRY_MODEL"), "gs://m/q");
        assert_string_equal(body_variable(body, "FERRY_CONFIG"), "gs://b/a=b");
        assert_null(body_variable(body, "FERRY_API_KEY"));
        assert_null(body_secret(body, "FERRY_MODEL"));
        const json_t *from = body_secret(body, "FERRY_API_KEY");
        assert_int_equal(from != NULL, keys[i].key.secret != NULL);
        assert_string_equal(body_mask(body, body, arena), "");
        json_decref(last);
        json_decref(body);
    }
}

/* As Google's description has it. */
static void body_is_what_google_describes(void **state)
{
    (void)state;
    struct err e = {0};
    struct api_call call;
    struct apis *google = apis_load("data/apis", &e);
    assert_non_null(google);
    assert_int_equal(
        api_find(google, "POST", "/v2/projects/demo-proj/locations/asia-northeast1/services", &call),
        API_METHOD);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *body = body_make(&spec, "image@sha256:a", "run@p", &keys[i].key);
        if (!api_check_json(&call, body, &e))
            fail_msg("%s", e.text);
        json_object_set_new(body, "valueSource", json_object());
        assert_false(api_check_json(&call, body, &e)); /* it does look */
        json_decref(body);
    }
    apis_free(google);
}

static const struct {
    const char *statuses, *serving;
} traffic[] = {
    {"[]", NULL},
    {"[{\"percent\":100}]", NULL},
    {"[{\"revision\":\"\",\"percent\":100}]", NULL},
    {"[{\"revision\":\"a\",\"percent\":50},{\"revision\":\"b\",\"percent\":50}]", NULL},
    {"[{\"revision\":\"qwen-00002-abc\",\"percent\":100}]", "qwen-00002-abc"},
    {"[{\"revision\":\"projects/p/services/qwen/revisions/qwen-00002-abc\",\"percent\":100}]",
     "qwen-00002-abc"},
};

static void revision_serves_when_it_gets_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof traffic / sizeof *traffic; i++) {
        json_t *service = json_pack("{s:o}", "trafficStatuses", parse(traffic[i].statuses));
        const char *serving = body_serving(service);
        assert_int_equal(serving != NULL, traffic[i].serving != NULL);
        if (serving)
            assert_string_equal(serving, traffic[i].serving);
        json_decref(service);
    }
}

/* --- accounts --- */

#define AT "@proj.iam.gserviceaccount.com"
static const struct {
    const char *name, *email;
} accounts[] = {
    {"a", "ferry-a" AT},
    {"qwen", "ferry-qwen" AT},
    {"a23456789012345678901234", "ferry-a23456789012345678901234" AT}, /* 30 characters */
};

static void short_name_is_in_the_account(void **state)
{
    (void)state;
    struct target_run r = {.arena = arena, .project = "proj"};
    for (size_t i = 0; i < sizeof accounts / sizeof *accounts; i++) {
        struct err e = {0};
        assert_string_equal(around_account_email(&r, accounts[i].name, &e), accounts[i].email);
    }
}

/* One letter more than fits, the longest there is, two that differ behind what is kept of them. */
static const char *const long_names[] = {
    "a234567890123456789012345",
    "a234567890123456789012346",
    "a234567890123-456789012345",
    "a23456789012345678901234567890123456789012345678-",
    "a23456789012345678901234567890123456789012345678b",
};

static void long_name_is_cut_and_told_apart_by_a_checksum(void **state)
{
    (void)state;
    enum { COUNT = sizeof long_names / sizeof *long_names };
    struct target_run r = {.arena = arena, .project = "proj"};
    char *emails[COUNT], end[40];
    for (size_t i = 0; i < COUNT; i++) {
        struct err e = {0};
        emails[i] = around_account_email(&r, long_names[i], &e);
        assert_int_equal(strcspn(emails[i], "@"), 30);
        assert_memory_equal(emails[i], "ferry-", 6);
        assert_memory_equal(emails[i] + 6, long_names[i], 15);
        snprintf(end, sizeof end, "-%08x" AT, crc32c(0, long_names[i], strlen(long_names[i])));
        assert_string_equal(emails[i] + 21, end);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(emails[i], emails[k]);
    }
}

static int open_arena(void **state)
{
    (void)state;
    arena = arena_new(1 << 20);
    return arena ? 0 : -1;
}

static int close_arena(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mask_names_what_differs_and_not_what_google_fills_in),
        cmocka_unit_test(key_is_a_reference_behind_the_other_variables),
        cmocka_unit_test(body_is_what_google_describes),
        cmocka_unit_test(revision_serves_when_it_gets_all),
        cmocka_unit_test(short_name_is_in_the_account),
        cmocka_unit_test(long_name_is_cut_and_told_apart_by_a_checksum),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
