/* Manifests: valid as Google describes them, and YAML that says what the JSON says. */
#include "api/api.h"
#include "target/knative/service.h"
#include "target/knative/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const variables[] = {"FERRY_PARALLEL=4", "FERRY_CONFIG=gs://b/c=d", "FERRY_LOG=", NULL};

static const struct knative_options options = {
    .image = "asia-northeast1-docker.pkg.dev/p/r/ferry:1",
    .vcpu = 8,
    .memory_bytes = (uint64_t)21 << 30,
    .concurrency = 4,
    .timeout_seconds = 900,
    .cpu_idle = true,
    .probe = {0, 10, 5, 3},
};

static json_t *manifest(const struct knative_options *o)
{
    struct err e = {0};
    struct target_spec s = {
        .name = "audio", .model = "gs://my-models/audio", .environment = variables, .knative = o};
    json_t *service = knative_service(&s, &e);
    if (!service)
        fail_msg("%s", e.text);
    return service;
}

/* "spec/template/spec/containers/0/image", as text. */
static const char *text_at(json_t *json, const char *path)
{
    static char number[32];
    char part[100];
    for (int n; json && *path; path += n, path += *path == '/') {
        n = (int)strcspn(path, "/");
        snprintf(part, sizeof part, "%.*s", n, path);
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(part)) : json_object_get(json, part);
    }
    if (json_is_integer(json))
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(json));
    return json_is_integer(json) ? number : json_is_string(json) ? json_string_value(json) : NULL;
}

#define REVISION "spec/template/spec/"
#define CONTAINER REVISION "containers/0/"

static void every_manifest_is_one_that_google_describes(void **state)
{
    (void)state;
    struct knative_options full = options;
    struct err e = {0};
    struct api_call call;
    struct apis *google = apis_load("data/apis", &e);
    assert_non_null(google);
    full.service_account = "run@p.iam.gserviceaccount.com";
    full.secret = "ferry-key";
    full.secret_key = "latest";
    full.max_instances = 3;
    const struct knative_options *const rows[] = {&options, &full};
    assert_int_equal(api_find(google, "POST", "/apis/serving.knative.dev/v1/namespaces/p/services", &call),
                     API_METHOD);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *service = manifest(rows[i]);
        if (!api_check_json(&call, service, &e))
            fail_msg("%s", e.text);
        json_object_set_new(json_object_get(json_object_get(service, "spec"), "template"), "zone",
                            json_true());
        assert_false(api_check_json(&call, service, &e)); /* it does look */
        json_decref(service);
    }
    apis_free(google);
}

static void what_is_said_stands_where_the_platform_looks_for_it(void **state)
{
    (void)state;
    struct knative_options o = options;
    o.service_account = "run@p.iam.gserviceaccount.com";
    o.secret = "ferry-key";
    o.secret_key = "3";
    o.min_instances = 1;
    o.max_instances = 7;
    o.gate = true;
    o.probe.delay_seconds = 60;
    static const struct {
        const char *path, *text;
    } rows[] = {
        {"apiVersion", "serving.knative.dev/v1"},
        {"kind", "Service"},
        {"metadata/name", "audio"},
        {"metadata/labels/managed-by", "ferry"},
        {"spec/template/metadata/labels/managed-by", "ferry"},
        {REVISION "containerConcurrency", "4"},
        {REVISION "timeoutSeconds", "900"},
        {REVISION "serviceAccountName", "run@p.iam.gserviceaccount.com"},
        {CONTAINER "image", "asia-northeast1-docker.pkg.dev/p/r/ferry:1"},
        {CONTAINER "ports/0/containerPort", "8080"},
        {CONTAINER "env/0/name", "FERRY_MODEL"},
        {CONTAINER "env/0/value", "gs://my-models/audio"},
        {CONTAINER "env/2/name", "FERRY_CONFIG"},
        {CONTAINER "env/2/value", "gs://b/c=d"},
        {CONTAINER "env/3/value", ""},
        {CONTAINER "env/4/name", "FERRY_API_KEY"},
        {CONTAINER "env/4/value", NULL},
        {CONTAINER "env/4/valueFrom/secretKeyRef/name", "ferry-key"},
        {CONTAINER "env/4/valueFrom/secretKeyRef/key", "3"},
        {CONTAINER "resources/limits/cpu", "8"},
        {CONTAINER "resources/limits/memory", "21Gi"},
        {CONTAINER "startupProbe/httpGet/path", "/readyz"},
        {CONTAINER "startupProbe/initialDelaySeconds", "60"},
        {CONTAINER "startupProbe/periodSeconds", "10"},
        {CONTAINER "startupProbe/timeoutSeconds", "5"},
        {CONTAINER "startupProbe/failureThreshold", "3"},
    };
    json_t *service = manifest(&o);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = text_at(service, rows[i].path);
        if (!text != !rows[i].text || (text && strcmp(text, rows[i].text) != 0))
            fail_msg("%s is %s", rows[i].path, text ? text : "not there");
    }
    json_decref(service);
}

/* Slashes are part of these names. */
static const char *annotation(json_t *service, const char *name)
{
    json_t *template = json_object_get(json_object_get(service, "spec"), "template");
    json_t *all = json_object_get(json_object_get(template, "metadata"), "annotations");
    return json_string_value(json_object_get(all, name));
}

static void numbers_of_instances_are_annotations_and_those_not_said_are_not_there(void **state)
{
    (void)state;
    struct knative_options o = options;
    json_t *service = manifest(&o);
    assert_string_equal(annotation(service, "autoscaling.knative.dev/minScale"), "0");
    assert_null(annotation(service, "autoscaling.knative.dev/maxScale"));
    assert_string_equal(annotation(service, "run.googleapis.com/cpu-throttling"), "true");
    assert_null(text_at(service, REVISION "serviceAccountName"));
    assert_string_equal(text_at(service, CONTAINER "startupProbe/httpGet/path"), "/healthz");
    json_decref(service);
    o.max_instances = 12;
    o.cpu_idle = false;
    service = manifest(&o);
    assert_string_equal(annotation(service, "autoscaling.knative.dev/maxScale"), "12");
    assert_string_equal(annotation(service, "run.googleapis.com/cpu-throttling"), "false");
    json_decref(service);
}

static void memory_is_rounded_up_to_what_can_be_written(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
        {1, "1Mi"},
        {512 << 20, "512Mi"},
        {1 << 30, "1Gi"},
        {((uint64_t)1 << 30) + 1, "1025Mi"},
        {(uint64_t)1 << 40, "1024Gi"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct knative_options o = options;
        o.memory_bytes = rows[i].bytes;
        json_t *service = manifest(&o);
        assert_string_equal(text_at(service, CONTAINER "resources/limits/memory"), rows[i].text);
        json_decref(service);
    }
}

static void what_is_not_utf_8_makes_no_manifest(void **state)
{
    (void)state;
    struct err e = {0};
    struct target_spec s = {
        .name = "a", .model = "gs://b/\xff", .environment = variables, .knative = &options};
    assert_null(knative_service(&s, &e));
    assert_int_equal(e.kind, ERR_USAGE);
}

static void images_are_names_with_a_tag_or_a_digest(void **state)
{
    (void)state;
#define DIGEST "@sha256:0123456789012345678901234567890123456789012345678901234567abcdef"
    static const struct {
        const char *image, *problem; /* NULL: it is good */
    } rows[] = {
        {"asia-northeast1-docker.pkg.dev/p/r/ferry", NULL},
        {"localhost:5000/ferry:1" DIGEST, NULL},
        {"me/ferry" DIGEST, NULL},
        {"me/ferry@sha256:12", "me/ferry@sha256:12: expected @sha256: and 64 digits behind the @"},
        {"me/ferry@md5:0123", "me/ferry@md5:0123: expected @sha256: and 64 digits behind the @"},
        {"https://ghcr.io/me/ferry", "https://ghcr.io/me/ferry: an image's name has no https:// before it"},
        {"me/Ferry", "me/Ferry: an image's name is written in lower case"},
    };
    struct arena *a = arena_new(1 << 16);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = {0};
        assert_int_equal(knative_check_image(rows[i].image, a, &e), !rows[i].problem);
        if (rows[i].problem)
            assert_string_equal(e.text, rows[i].problem);
    }
    arena_free(a);
}

/* --- YAML --- */

static void texts_that_could_be_something_else_are_quoted(void **state)
{
    (void)state;
    static const struct {
        const char *json, *yaml;
    } rows[] = {
        {"{}", "{}\n"},
        {"[]", "[]\n"},
        {"{\"a\":\"b\"}", "a: b\n"},
        {"{\"a\":\"true\",\"b\":\"No\",\"c\":\"null\",\"d\":\"y\"}",
         "a: \"true\"\nb: \"No\"\nc: \"null\"\nd: \"y\"\n"},
        {"{\"a\":\"8\",\"b\":\"1e3\",\"c\":\"0x1\",\"d\":\".5\",\"e\":\"-\",\"f\":\"~\",\"g\":\"\"}",
         "a: \"8\"\nb: \"1e3\"\nc: \"0x1\"\nd: \".5\"\ne: \"-\"\nf: \"~\"\ng: \"\"\n"},
        {"{\"a\":\"b: c\",\"d\":\"e #f\",\"g\":\"*h\",\"i\":\"x\\ny\\t\\u0001\\\"\"}",
         "a: \"b: c\"\nd: \"e #f\"\ng: \"*h\"\ni: \"x\\ny\\t\\u0001\\\"\"\n"},
        {"{\"on\":1,\"a/b.c-d_e\":true,\"x y\":null,\"z\":1.5}",
         "\"on\": 1\na/b.c-d_e: true\n\"x y\": null\nz: 1.5\n"},
        {"{\"a\":{\"b\":{},\"c\":[]},\"d\":[1,{\"e\":2,\"f\":[3]},[4]]}",
         "a:\n  b: {}\n  c: []\nd:\n  - 1\n  - e: 2\n    f:\n      - 3\n  -\n    - 4\n"},
        {"{\"a\":[{}]}", "a:\n  - {}\n"},
        {"[{\"a\":{\"b\":1},\"c\":2}]", "- a:\n    b: 1\n  c: 2\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *json = json_loads(rows[i].json, JSON_DECODE_ANY, NULL);
        assert_non_null(json);
        char *text = yaml_text(json);
        assert_string_equal(text, rows[i].yaml);
        free(text);
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_manifest_is_one_that_google_describes),
        cmocka_unit_test(what_is_said_stands_where_the_platform_looks_for_it),
        cmocka_unit_test(numbers_of_instances_are_annotations_and_those_not_said_are_not_there),
        cmocka_unit_test(memory_is_rounded_up_to_what_can_be_written),
        cmocka_unit_test(what_is_not_utf_8_makes_no_manifest),
        cmocka_unit_test(images_are_names_with_a_tag_or_a_digest),
        cmocka_unit_test(texts_that_could_be_something_else_are_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
