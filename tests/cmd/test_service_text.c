/* What deploy, status and their kin read and write. */
#include "base/arena.h"
#include "cmd/byte_size.h"
#include "cmd/commands.h"
#include "cmd/instance_options.h"
#include "cmd/running_cost.h"
#include "cmd/service_report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void amounts_of_memory_are_read_as_cloud_run_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        {"32Gi", 34359738368},
        {"32GiB", 34359738368},
        {"1.5Ki", 1536},
        {"512Mi", 536870912},
        {"16.8GB", 16800000000},
        {"2T", 2000000000000},
        {"1k", 1000},
        {"7", 7},
        {"7B", 7},
        {"", 0},
        {"0", 0},
        {"-1", 0},
        {"+1", 0},
        {" 1", 0},
        {"Gi", 0},
        {"1 Gi", 0},
        {"1g", 0},
        {"1GiBs", 0},
        {"1e3", 0},
        {"0x10", 0},
        {"nan", 0},
        {"inf", 0},
        {"1..5Gi", 0},
        {"0.5", 0},
        {"99999999Ti", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        uint64_t bytes = 0;
        assert_int_equal(byte_size_parse(cases[i].text, "--memory", &bytes, &e), cases[i].bytes != 0);
        assert_int_equal(bytes, cases[i].bytes);
        if (!cases[i].bytes)
            assert_memory_equal(e.text, "--memory: \"", 11);
    }
}

static void states_say_since_when_and_when_it_goes_on(void **state)
{
    (void)state;
    char text[SERVICE_STATE];
    struct target_service s = {.state = "awake", .since = 1000};
    assert_string_equal(service_state(&s, 1200, text), "awake for 3 min 20 s");
    s.since = 0;
    assert_string_equal(service_state(&s, 1200, text), "awake");
    s = (struct target_service){.state = "failed", .since = 1000, .retry_seconds = 4};
    assert_string_equal(service_state(&s, 1200, text), "failed, next try in 4 s");
}

static void what_is_unknown_is_null_in_json(void **state)
{
    (void)state;
    struct target_service s = {.name = "demo", .target = "local", .requests = -1};
    json_t *json = service_json(&s);
    assert_string_equal(json_string_value(json_object_get(json, "name")), "demo");
    static const char *const unknown[] = {"url",       "model",        "since", "requests",
                                          "in_flight", "memory_bytes", "pid"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_true(json_is_null(json_object_get(json, unknown[i])));
    json_decref(json);
    s.requests = 0;
    json = service_json(&s);
    assert_true(json_is_integer(json_object_get(json, "requests")));
    json_decref(json);
}

static void amounts_of_money_are_short_and_never_nothing(void **state)
{
    (void)state;
    static const struct {
        double usd;
        const char *text;
    } cases[] = {{NAN, "unknown"},    {0, "$0"},           {0.00001, "<$0.0001"},
                 {0.0001, "$0.0001"}, {0.0994, "$0.0994"}, {0.0995, "$0.10"},
                 {99.94, "$99.94"},   {99.96, "$100"},     {1234.5, "$1234"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[RUNNING_COST_TEXT];
        assert_string_equal(running_cost_text(cases[i].usd, text), cases[i].text);
    }
}

/* us-central1: an L4 without zonal redundancy is 0.0001867 a second, instance-based 0.000018 and 0.000002. */
static void services_cost_what_is_kept_of_them(void **state)
{
    (void)state;
    struct prices *p = prices_builtin(NULL);
    const double month = 730 * 3600, l4 = 0.0001867, shape = 8 * 18e-6 + 32 * 2e-6;
    static const uint64_t gib32 = (uint64_t)32 << 30;
    const struct {
        struct target_service service;
        double usd;
    } cases[] = {
        {{.region = NULL, .min_instances = 1}, 0},
        {{.region = "us-central1", .vcpu = 8, .memory_limit_bytes = gib32}, 0},
        {{.region = "us-central1",
          .vcpu = 8,
          .memory_limit_bytes = gib32,
          .min_instances = 1,
          .cpu_always = true},
         month * shape},
        {{.region = "us-central1",
          .vcpu = 8,
          .memory_limit_bytes = gib32,
          .min_instances = 2,
          .cpu_always = true,
          .accelerator = "nvidia-l4"},
         2 * month * (shape + l4)},
        {{.region = "us-central1",
          .vcpu = 8,
          .memory_limit_bytes = gib32,
          .min_instances = 1,
          .cpu_always = true,
          .accelerator = "nvidia-l4",
          .zonal_redundancy = true},
         NAN},
        {{.region = "us-central1",
          .vcpu = 8,
          .memory_limit_bytes = gib32,
          .min_instances = 1,
          .cpu_always = true,
          .accelerator = "nvidia-of-tomorrow"},
         NAN},
        {{.region = "moon-base1", .vcpu = 8, .memory_limit_bytes = gib32, .min_instances = 1}, NAN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double usd = running_cost_service(p, &cases[i].service);
        assert_int_equal(isnan(usd), isnan(cases[i].usd));
        assert_true(isnan(usd) || fabs(usd - cases[i].usd) <= 1e-9 * cases[i].usd);
    }
    prices_free(p);
}

/* 0.5 GiB of images at 0.1, and in some regions 5 GiB of Standard storage at 0.02, are free: once. */
static void what_is_free_is_free_once(void **state)
{
    (void)state;
    struct prices *p = prices_builtin(NULL);
    const uint64_t gib = (uint64_t)1 << 30;
    struct holding images = {
        .kind = HOLDING_IMAGES, .has_bytes = true, .bytes = gib / 2, .region = "us-central1"};
    struct holding bucket = {.kind = HOLDING_BUCKET,
                             .has_bytes = true,
                             .bytes = 4 * gib,
                             .region = "us-central1",
                             .storage_class = "standard"};
    struct running_free used = {0};
    assert_true(running_cost_holding(p, &used, &images) == 0);
    assert_true(fabs(running_cost_holding(p, &used, &images) - 0.05) < 1e-12);
    assert_true(running_cost_holding(p, &used, &bucket) == 0);
    bucket.region = "us-east1";
    assert_true(fabs(running_cost_holding(p, &used, &bucket) - 3 * 0.02) < 1e-12);
    bucket.storage_class = "of-tomorrow";
    assert_true(isnan(running_cost_holding(p, &used, &bucket)));
    bucket.bytes = 0;
    assert_true(running_cost_holding(p, &used, &bucket) == 0);
    bucket.has_bytes = false;
    assert_true(isnan(running_cost_holding(p, &used, &bucket)));
    prices_free(p);
}

static bool has(const char *const *list, const char *word)
{
    for (; *list; list++)
        if (strcmp(*list, word) == 0)
            return true;
    return false;
}

static const char *const *environment_of(char **words, int count, struct arena *a)
{
    struct {
        struct service_settings service;
        char rest[4096]; /* deploy's own, which count from here, too */
    } s = {.service = SERVICE_SETTINGS_UNSET};
    struct operands o;
    struct err e = {0};
    assert_true(options_read(&command_deploy, words, count, &s, &o, &e));
    return service_environment(&s.service, a);
}

static void options_become_the_variables_of_a_container(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 16);
    char text[][30] = {"--parallel=7", "--kv=q8", "--context=4096", "--config=gs://b/c.json", "--cpu=avx2"};
    char *words[] = {text[0], text[1], text[2], text[3], text[4]};
    setenv("FERRY_THREADS", "3", 1);
    setenv("FERRY_API_KEY", "secret", 1);
    const char *const *list = environment_of(words, 5, a);
    static const char *const expected[] = {
        "FERRY_PARALLEL=7",      "FERRY_KV=q8",     "FERRY_CONTEXT=4096", "FERRY_CONFIG=gs://b/c.json",
        "FERRY_CPU=avx2",        "FERRY_THREADS=3", "FERRY_MATH=fast",    "FERRY_LOG=info",
        "FERRY_CONFIG_SECONDS=2"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!has(list, expected[i]))
            fail_msg("%s is missing", expected[i]);
    for (; *list; list++)
        assert_null(strstr(*list, "secret"));
    unsetenv("FERRY_THREADS");
    unsetenv("FERRY_API_KEY");
    arena_free(a);
}

static void what_nobody_says_is_no_variable(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 16);
    const char *const *list = environment_of(NULL, 0, a);
    for (; *list; list++) {
        assert_null(strstr(*list, "FERRY_CONTEXT"));
        assert_null(strstr(*list, "FERRY_THREADS"));
        assert_null(strstr(*list, "FERRY_CPU"));
        assert_null(strstr(*list, "FERRY_CONFIG="));
        assert_null(strstr(*list, "FERRY_API_KEY_FILE"));
    }
    arena_free(a);
}

#define GIB ((uint64_t)1 << 30)

static void instance_that_does_not_hold_the_model_is_refused_with_what_would_help(void **state)
{
    (void)state;
    static const struct {
        int vcpu;
        uint64_t needed, memory;
        const char *problem; /* NULL: it holds it */
    } rows[] = {
        {0, 19 * GIB, 0, NULL},
        {8, 19 * GIB, 0, NULL},
        {0, 60 * GIB, 60 * GIB, NULL}, /* on a cluster */
        {0, 19 * GIB, 8 * GIB,
         "--memory: it needs 20 GiB; to try it with less all the same, give --cpus too"},
        {2, 19 * GIB, 0,
         "--cpus 2: it needs 20 GiB, which Cloud Run has with other numbers of vCPUs; elsewhere give "
         "--memory too"},
        {0, 60 * GIB, 0,
         "it needs 63 GiB of memory for 4 requests at a time, and Cloud Run has 32: --parallel, --context "
         "and --kv "
         "q8 make it less, `ferry stage --encode q8_0` too; for a cluster give --cpus and --memory"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct instance_settings s = {.service.parallel = 4, .vcpu = rows[i].vcpu};
        struct err e = {0};
        struct run_shape shape = run_shape_for(rows[i].needed, rows[i].vcpu);
        assert_int_equal(instance_fits(&s, shape, rows[i].needed, rows[i].memory, &e), !rows[i].problem);
        if (rows[i].problem)
            assert_string_equal(e.text, rows[i].problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instance_that_does_not_hold_the_model_is_refused_with_what_would_help),
        cmocka_unit_test(amounts_of_memory_are_read_as_cloud_run_reads_them),
        cmocka_unit_test(states_say_since_when_and_when_it_goes_on),
        cmocka_unit_test(amounts_of_money_are_short_and_never_nothing),
        cmocka_unit_test(services_cost_what_is_kept_of_them),
        cmocka_unit_test(what_is_free_is_free_once),
        cmocka_unit_test(what_is_unknown_is_null_in_json),
        cmocka_unit_test(options_become_the_variables_of_a_container),
        cmocka_unit_test(what_nobody_says_is_no_variable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
