/* The VM of a staging, as Google's description of the API has it, and what it says on its serial port. */
#include "api/api.h"
#include "target/stage_vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const args[] = {"stage", "hf://o/n@1", "gs://b/p", "--yes", NULL};

static const struct stage_vm least = {.project = "demo-proj",
                                      .region = "asia-northeast1",
                                      .name = "ferry-stage-1",
                                      .image = "me/ferry:1",
                                      .args = args,
                                      .seconds = 3600};

static void instance_is_one_that_google_describes(void **state)
{
    (void)state;
    struct stage_vm full = least;
    struct err e = {0};
    struct api_call call;
    struct apis *google = apis_load("data/apis", &e);
    assert_non_null(google);
    full.service_account = "stage@demo-proj.iam.gserviceaccount.com";
    full.token_secret = "hub";
    const struct stage_vm *const rows[] = {&least, &full};
    assert_int_equal(
        api_find(google, "POST", "/compute/v1/projects/demo-proj/zones/asia-northeast1-b/instances", &call),
        API_METHOD);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *body = stage_vm_body(rows[i], "asia-northeast1-b");
        if (!api_check_json(&call, body, &e))
            fail_msg("%s", e.text);
        json_object_set_new(json_object_get(body, "scheduling"), "maxRunTime", json_true());
        assert_false(api_check_json(&call, body, &e)); /* it does look */
        json_decref(body);
    }
    apis_free(google);
}

/* All but the script, which is run by tests/cmd/test_via_vm.c. */
static void instance_says_what_is_asked_and_no_more(void **state)
{
    (void)state;
    json_t *body = stage_vm_body(&least, "asia-northeast1-b");
    json_t *items = json_object_get(json_object_get(body, "metadata"), "items");
    assert_string_equal(json_string_value(json_object_get(json_array_get(items, 0), "key")),
                        "startup-script");
    json_array_remove(items, 0);
    json_t *expected = json_loads(
        "{\"name\":\"ferry-stage-1\",\"machineType\":\"zones/asia-northeast1-b/machineTypes/e2-standard-4\","
        "\"labels\":{\"managed-by\":\"ferry\"},\"disks\":[{\"boot\":true,\"autoDelete\":true,\"type\":"
        "\"PERSISTENT\",\"mode\":\"READ_WRITE\",\"initializeParams\":{\"diskSizeGb\":\"10\",\"diskType\":"
        "\"zones/asia-northeast1-b/diskTypes/pd-balanced\",\"sourceImage\":"
        "\"projects/cos-cloud/global/images/family/cos-stable\"}}],\"networkInterfaces\":[{\"network\":"
        "\"global/networks/"
        "default\",\"accessConfigs\":[{\"type\":\"ONE_TO_ONE_NAT\",\"name\":\"external-nat\","
        "\"networkTier\":\"PREMIUM\"}]}],\"serviceAccounts\":[{\"email\":\"default\",\"scopes\":"
        "[\"https://www.googleapis.com/auth/cloud-platform\"]}],\"scheduling\":{\"provisioningModel\":"
        "\"STANDARD\",\"automaticRestart\":false,\"maxRunDuration\":{\"seconds\":\"3600\"},"
        "\"instanceTerminationAction\":\"DELETE\"},\"metadata\":{\"items\":[{\"key\":\"enable-guest-"
        "attributes\","
        "\"value\":\"TRUE\"},{\"key\":\"serial-port-logging-enable\",\"value\":\"TRUE\"},{\"key\":"
        "\"ferry-image\",\"value\":\"me/ferry:1\"},{\"key\":\"ferry-words\",\"value\":"
        "\"stage\\nhf://o/n@1\\ngs://b/p\\n--yes\\n\"}]}}",
        0, NULL);
    assert_non_null(expected);
    assert_true(json_equal(body, expected));
    json_decref(expected);
    json_decref(body);
}

/* --- the serial port --- */

static const char said[] =
    "SeaBIOS {\"bytes_total\":\n"
    "[    1.2] console: {\"severity\":\"INFO\",\"message\":\"staging\",\"bytes_done\":1,\"bytes_total\":9}\n"
    "{\"bytes_done\":2,\"bytes_total\":-9}\n"
    "{\"bytes_done\":3}\n"
    "{\"bytes_done\":\"4\",\"bytes_total\":\"9\"}\n"
    "\377\000{{{\n"
    "{\"bytes_done\":5,\"bytes_total\":9,\"bytes_per_second\":7} and more\n"
    "{\"bytes_done\":6,\"bytes_total\":9";

static void newest_progress_is_found_among_other_words_cut_anywhere(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof said; cut++) {
        struct stage_vm_port port = {.size = 0};
        struct stage_vm_progress p = {.bytes_total = 0};
        bool first = stage_vm_hear(&port, said, cut, &p);
        bool second = stage_vm_hear(&port, said + cut, sizeof said - 1 - cut, &p);
        assert_true(first || second);
        assert_int_equal(p.bytes_done, 5);
        assert_int_equal(p.bytes_total, 9);
        assert_int_equal(p.bytes_per_second, 7);
    }
}

static void lines_longer_than_ours_are_nobodys(void **state)
{
    (void)state;
    struct stage_vm_port port = {.size = 0};
    struct stage_vm_progress p = {.bytes_total = 0};
    char long_line[3000];
    memset(long_line, ' ', sizeof long_line);
    memcpy(long_line, "{\"bytes_done\":1,\"bytes_total\":9}", 32);
    long_line[sizeof long_line - 1] = '\n';
    assert_false(stage_vm_hear(&port, long_line, sizeof long_line, &p));
    assert_true(stage_vm_hear(&port, "{\"bytes_done\":1,\"bytes_total\":9}\n", 33, &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instance_is_one_that_google_describes),
        cmocka_unit_test(instance_says_what_is_asked_and_no_more),
        cmocka_unit_test(newest_progress_is_found_among_other_words_cut_anywhere),
        cmocka_unit_test(lines_longer_than_ours_are_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
