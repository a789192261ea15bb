/* The job of a staging, as Google's description of the API has it. */
#include "api/api.h"
#include "target/stage_job.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const args[] = {"stage", "hf://o/n@1", "gs://b/p", "--yes", NULL};

static const struct stage_job least = {.where = {"demo-proj", "asia-northeast1", "ferry-stage-1"},
                                       .image = "me/ferry:1",
                                       .args = args,
                                       .tasks = 5,
                                       .timeout_seconds = 3600};

static void job_is_one_that_google_describes(void **state)
{
    (void)state;
    struct stage_job full = least;
    struct err e = {0};
    struct api_call call;
    struct apis *google = apis_load("data/apis", &e);
    assert_non_null(google);
    full.service_account = "stage@demo-proj.iam.gserviceaccount.com";
    full.token_secret = "hub";
    const struct stage_job *const rows[] = {&least, &full};
    assert_int_equal(api_find(google, "POST", "/v2/projects/demo-proj/locations/asia-northeast1/jobs", &call),
                     API_METHOD);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *body = stage_job_body(rows[i]);
        if (!api_check_json(&call, body, &e))
            fail_msg("%s", e.text);
        json_object_set_new(body, "zone", json_true());
        assert_false(api_check_json(&call, body, &e)); /* it does look */
        json_decref(body);
    }
    apis_free(google);
}

static void job_says_what_is_asked_and_no_more(void **state)
{
    (void)state;
    json_t *body = stage_job_body(&least);
    json_t *expected = json_loads(
        "{\"labels\":{\"managed-by\":\"ferry\"},\"template\":{\"labels\":{\"managed-by\":\"ferry\"},"
        "\"taskCount\":5,\"parallelism\":5,\"template\":{\"maxRetries\":3,\"timeout\":\"3600s\","
        "\"containers\":[{"
        "\"image\":\"me/ferry:1\",\"command\":[\"/ferry\"],\"args\":[\"stage\",\"hf://o/n@1\",\"gs://b/"
        "p\",\"--yes\"],"
        "\"env\":[],\"resources\":{\"limits\":{\"cpu\":\"2\",\"memory\":\"2Gi\"}}}]}}}",
        0, NULL);
    assert_non_null(expected);
    assert_true(json_equal(body, expected));
    json_decref(expected);
    json_decref(body);
}

static void name_is_the_same_for_the_same_copy_alone(void **state)
{
    (void)state;
    char a[STAGE_JOB_NAME], b[STAGE_JOB_NAME];
    assert_string_equal(stage_job_name("hf://o/n", "gs://b/p/", a),
                        stage_job_name("hf://o/n", "gs://b/p/", b));
    assert_string_not_equal(a, stage_job_name("hf://o/n", "gs://b/q/", b));
    assert_string_not_equal(a, stage_job_name("hf://o/ng", "s://b/p/", b));
    assert_memory_equal(a, "ferry-stage-", 12);
    assert_int_equal(strlen(a), 28);
    assert_int_equal(strspn(a + 12, "0123456789abcdef"), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(job_is_one_that_google_describes),
        cmocka_unit_test(job_says_what_is_asked_and_no_more),
        cmocka_unit_test(name_is_the_same_for_the_same_copy_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
