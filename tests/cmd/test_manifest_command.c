/* The real program: `ferry deploy --target knative` of models in a bucket and on the hub, beside `ferry
 * plan`. */
#include "scratch.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define B "gs://" SCRATCH_BUCKET
#define MANIFEST "--target", "knative", "--image", "me/ferry:1"

static char *ferry, *tests_folder; /* the program; tests/ of the sources */
static struct scratch scratch;

static void put_tiny(struct scratch *s)
{
    char command[1200];
    snprintf(command, sizeof command,
             "mkdir -p hub/owner/name && cp '%s/data/models/tiny-qwen2-audio'/* hub/owner/name && "
             "chmod -R u+w hub/owner/name",
             tests_folder);
    assert_int_equal(system(command), 0);
    scratch_ok(s, "stage", "owner/name", B "/m");
}

static json_t *said(struct scratch *s)
{
    json_t *json = json_loads(s->last.out, 0, NULL);
    if (!json)
        fail_msg("no JSON: %s", s->last.out);
    return json;
}

/* The one container, and the template's spec. */
static json_t *revision_of(json_t *service)
{
    json_t *template = json_object_get(json_object_get(service, "spec"), "template");
    return json_object_get(template, "spec");
}

static json_t *container_of(json_t *service)
{
    return json_array_get(json_object_get(revision_of(service), "containers"), 0);
}

static const char *limit_of(json_t *service, const char *name)
{
    json_t *resources = json_object_get(container_of(service), "resources");
    return json_string_value(json_object_get(json_object_get(resources, "limits"), name));
}

static const char *variable_of(json_t *service, const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(container_of(service), "env"), i, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0)
            return json_string_value(json_object_get(item, "value"));
    }
    return NULL;
}

/* Of what is not said, both commands say the same, from the headers alone. */
static void manifest_asks_for_what_the_plan_says(void **state)
{
    struct scratch *s = *state;
    put_tiny(s);
    scratch_ok(s, "plan", B "/m", "--parallel", "2", "--json");
    json_t *plan = said(s), *service = json_object_get(plan, "service"),
           *shape = json_object_get(service, "shape");
    char cpu[20], memory[20];
    snprintf(cpu, sizeof cpu, "%d", (int)json_integer_value(json_object_get(shape, "vcpu")));
    snprintf(memory, sizeof memory, "%dGi", (int)json_integer_value(json_object_get(shape, "gib")));
    emulator_log_clear(&s->emulator);
    scratch_ok(s, "deploy", "audio", B "/m", MANIFEST, "--parallel", "2", "--json");
    json_t *manifest = said(s);
    assert_string_equal(limit_of(manifest, "cpu"), cpu);
    assert_string_equal(limit_of(manifest, "memory"), memory);
    assert_true(json_equal(json_object_get(revision_of(manifest), "timeoutSeconds"),
                           json_object_get(service, "timeout_seconds")));
    assert_int_equal(json_integer_value(json_object_get(revision_of(manifest), "containerConcurrency")), 2);
    assert_string_equal(variable_of(manifest, "FERRY_MODEL"), B "/m");
    assert_string_equal(variable_of(manifest, "FERRY_PARALLEL"), "2");
    struct emulator_count got = emulator_count(&s->emulator, "GET", "*", 0);
    assert_in_range(got.sent, 1, 300000); /* of 1.3 MB */
    json_decref(manifest);
    json_decref(plan);
}

/* An instance that is kept must be loaded before it is called ready; then the server refuses before, too. */
static void instances_that_are_kept_are_ready_when_the_model_is_there(void **state)
{
    static const struct {
        const char *words[3], *mode, *path;
    } rows[] = {
        {{NULL}, "stream", "/healthz"},
        {{"--min-instances", "1"}, "gate", "/readyz"},
        {{"--start", "gate"}, "gate", "/readyz"},
    };
    struct scratch *s = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *words[] = {"deploy",   "a",   B "/m",   MANIFEST,         "--cpus",         "2",
                               "--memory", "4Gi", "--json", rows[i].words[0], rows[i].words[1], NULL};
        scratch_run_words(s, NULL, words);
        assert_int_equal(s->last.code, 0);
        json_t *manifest = said(s);
        json_t *probe = json_object_get(container_of(manifest), "startupProbe");
        json_t *get = json_object_get(probe, "httpGet");
        assert_string_equal(json_string_value(json_object_get(get, "path")), rows[i].path);
        assert_string_equal(variable_of(manifest, "FERRY_START"), rows[i].mode);
        assert_int_equal(strstr(s->last.err, "startup probe waits as long as") != NULL, i > 0);
        json_decref(manifest);
    }
}

/* Nothing is asked of anybody when all is said. */
static void without_a_network_cpu_and_memory_are_said(void **state)
{
    struct scratch *s = *state;
    emulator_log_clear(&s->emulator);
    scratch_ok(s, "deploy", "a", "hf://owner/none", MANIFEST, "--cpus", "96", "--memory", "300GB");
    assert_non_null(strstr(s->last.out, "cpu: \"96\"\n"));
    assert_non_null(strstr(s->last.out, "memory: \"286103Mi\"\n"));
    assert_int_equal(emulator_count(&s->emulator, NULL, "*", 0).requests, 0);
    assert_int_equal(scratch_run(s, "deploy", "a", "hf://owner/none", MANIFEST), 1);
    assert_memory_equal(s->last.err,
                        "ferry: deploy: what it needs, if --cpus and --memory do not say it: ", 66);
}

static void secrets_of_this_environment_do_not_get_into_it(void **state)
{
    struct scratch *s = *state;
    const char *words[] = {"deploy",   "a",   "hf://o/n",     MANIFEST,    "--cpus", "1",
                           "--memory", "1Gi", "--key-secret", "keys:main", NULL};
    setenv("FERRY_API_KEY", "s3cret", 1);
    assert_int_equal(scratch_run_words(s, NULL, words), 2);
    assert_null(strstr(s->last.err, "s3cret"));
    unsetenv("FERRY_API_KEY");
    scratch_ok_words(s, words);
    assert_non_null(strstr(s->last.out, "- name: FERRY_API_KEY\n              valueFrom:\n"
                                        "                secretKeyRef:\n                  name: keys\n"
                                        "                  key: main\n"));
}

static void what_is_too_large_or_too_little_is_refused_with_what_helps(void **state)
{
    struct scratch *s = *state;
    put_tiny(s);
    static const struct {
        const char *words[6];
        int code;
        const char *says;
    } rows[] = {
        {{B "/m", "--memory", "8Mi"},
         2,
         "--memory: it needs 1 GiB; to try it with less all the same, give --cpus too"},
        {{B "/m", "--context", "9000"}, 2, "the model was made for at most 8192 tokens"},
        {{B "/none"}, 1, "what it needs, if --cpus and --memory do not say it: " B "/none"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *words[14] = {"deploy", "a", MANIFEST};
        memcpy(words + 6, rows[i].words, sizeof rows[i].words);
        int code = scratch_run_words(s, NULL, words);
        if (code != rows[i].code || !strstr(s->last.err, rows[i].says))
            fail_msg("row %zu: code %d: %s", i, code, s->last.err);
        assert_string_equal(s->last.out, "");
    }
}

static int start(void **state)
{
    scratch_start(&scratch, ferry);
    *state = &scratch;
    return 0;
}

static int end(void **state)
{
    scratch_end(*state);
    return 0;
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, start, end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(manifest_asks_for_what_the_plan_says),
        IN_SCRATCH(instances_that_are_kept_are_ready_when_the_model_is_there),
        IN_SCRATCH(without_a_network_cpu_and_memory_are_said),
        IN_SCRATCH(secrets_of_this_environment_do_not_get_into_it),
        IN_SCRATCH(what_is_too_large_or_too_little_is_refused_with_what_helps),
    };
    if (argc != 3)
        return 2;
    ferry = argv[1];
    tests_folder = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
