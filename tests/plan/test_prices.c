/* The snapshot that is compiled in, and files that are none. */
#include "close.h"
#include "plan/prices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct prices *snapshot;

static void snapshot_has_what_its_file_says(void **state)
{
    (void)state;
    const struct price *p = prices_find(snapshot, "gce.%s.%s", "e2-standard-4", "asia-northeast1");
    assert_string_equal(p->id, "gce.e2-standard-4.asia-northeast1");
    assert_string_equal(p->unit, "USD/hour");
    assert_string_equal(p->region, "asia-northeast1");
    assert_string_equal(p->date, "2026-07-30");
    assert_close(p->value, 0.17193144);
    assert_close(p->vcpu, 4);
    assert_close(p->ram_gib, 16);
    assert_string_equal(prices_date(snapshot), "2026-10-01");
}

static void what_it_does_not_have_is_unknown(void **state)
{
    (void)state;
    static const char *const missing[] = {"", "run.gpu.l4", "net.egress.internet.asia-northeast1",
                                          "gcs.storage.standard.asia-northeast3",
                                          "run.request.mem.idle.tier2"};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        const struct price *p = prices_find(snapshot, "%s", missing[i]);
        assert_true(isnan(p->value) && isnan(prices_value(snapshot, "%s", missing[i])));
        assert_string_equal(p->source, "not in the snapshot");
        assert_string_equal(p->id, "");
    }
    char id[400];
    memset(id, 'x', sizeof id);
    id[sizeof id - 1] = 0;
    assert_true(isnan(prices_value(snapshot, "%s", id)));
    assert_true(isnan(prices_limit(snapshot, "aws.none")));
}

static void price_of_one_region_says_nothing_of_another(void **state)
{
    (void)state;
    assert_close(prices_value_in(snapshot, "asia-northeast1", "net.ip.vm"), 0.005);
    assert_true(isnan(prices_value_in(snapshot, "us-central1", "net.ip.vm")));
    assert_close(prices_value_in(snapshot, "us-central1", "gcs.ops.class_b"), 0.0004); /* all */
}

static void rates_go_by_tier(void **state)
{
    (void)state;
    static const struct {
        const char *region;
        enum price_tier tier;
        double cpu, memory, instance_cpu;
    } cases[] = {
        {"asia-northeast1", TIER_1, 0.000024, 0.0000025, 0.000018},
        {"us-central1", TIER_1, 0.000024, 0.0000025, 0.000018},
        {"asia-northeast3", TIER_2, 0.0000336, 0.0000035, 0.0000216},
        {"moon-central1", TIER_UNKNOWN, NAN, NAN, NAN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(prices_tier(snapshot, cases[i].region), cases[i].tier);
        struct run_rates r = prices_run(snapshot, cases[i].tier);
        if (isnan(cases[i].cpu)) {
            assert_true(isnan(r.active.cpu) && isnan(r.idle.memory) && isnan(r.instance.memory));
            continue;
        }
        assert_close(r.active.cpu, cases[i].cpu);
        assert_close(r.active.memory, cases[i].memory);
        assert_close(r.instance.cpu, cases[i].instance_cpu);
        assert_close(r.per_request, 0.4e-6);
    }
    assert_true(isnan(prices_run(snapshot, TIER_2).idle.memory)); /* the one that was not found */
}

static void free_amounts_hold_where_they_hold(void **state)
{
    (void)state;
    struct free_amounts r = prices_free_requests(snapshot), i = prices_free_instance(snapshot);
    assert_close(r.cpu_seconds, 180000);
    assert_close(r.gib_seconds, 360000);
    assert_close(r.requests, 2000000);
    assert_close(i.cpu_seconds, 240000);
    assert_close(i.gib_seconds, 450000);
    assert_close(prices_free_storage_gib(snapshot, "us-central1"), 5);
    assert_true(prices_free_storage_gib(snapshot, "asia-northeast1") == 0);
    assert_close(prices_free_images_gib(snapshot), 0.5);
}

static void limits_are_numbers_or_texts(void **state)
{
    (void)state;
    assert_close(prices_limit(snapshot, "aws.lambda.memory_max_mb"), 10240);
    assert_true(isnan(prices_limit(snapshot, "aws.apprunner.max")));
    assert_string_equal(prices_limit_text(snapshot, "aws.apprunner.max"), "4 vCPU / 12 GB");
    assert_string_equal(prices_limit_text(snapshot, "aws.lambda.memory_max_mb"), "");
}

/* --- what is no snapshot --- */

#define HEAD "\"schema\":1,\"currency\":\"USD\",\"newest_source\":\"2026-10-01\","
#define SOURCES "\"sources\":{\"s\":{\"title\":\"t\",\"date\":\"d\"}}"
#define ITEM "\"id\":\"a\",\"service\":\"b\",\"unit\":\"u\",\"region\":\"all\",\"source\":\"s\""
#define WITH(items) "{" HEAD SOURCES ",\"aws_limits\":[],\"items\":[" items "]}"

static const struct {
    const char *json, *says;
} refused[] = {
    {"", "line 1: "},
    {"[1]", "schema: expected 1"},
    {"{\"schema\":2}", "schema: expected 1"},
    {"{\"schema\":1,\"currency\":\"JPY\"}", "currency: expected USD"},
    {"{\"schema\":1,\"currency\":\"USD\"}", "newest_source: expected a date"},
    {"{" HEAD "\"items\":{}}", "items: expected a list"},
    {"{" HEAD SOURCES ",\"items\":[]}", "aws_limits: expected a list"},
    {WITH("1"), "items: item 0: id: expected a short text"},
    {WITH("{" ITEM "}"), "items: item 0: a: price: expected a number from 0 up"},
    {WITH("{" ITEM ",\"price\":-1}"), "items: item 0: a: price: expected a number from 0 up"},
    {WITH("{" ITEM ",\"price\":\"1\"}"), "items: item 0: a: price: expected a number from 0 up"},
    {WITH("{" ITEM ",\"price\":1e13}"), "items: item 0: a: price: expected a number from 0 up"},
    {WITH("{" ITEM ",\"price\":1,\"vcpu\":[]}"), "items: item 0: a: vcpu: expected a number from 0 up"},
    {WITH("{" ITEM ",\"price\":1},{" ITEM ",\"price\":2}"), "items: a stands there twice"},
    {WITH("{\"id\":\"a\\u001b[2J\"}"), "items: item 0: id: expected a short text"},
    {WITH("{\"id\":\"a\",\"service\":\"b\",\"unit\":\"u\",\"region\":\"all\",\"price\":1,\"source\":"
          "\"none\"}"),
     "source \"none\" is not among the sources"},
    {"{" HEAD SOURCES ",\"items\":[],\"aws_limits\":[{\"id\":\"l\",\"source\":\"s\",\"value\":{}}]}",
     "aws_limits: item 0: l: value: expected a number or a short text"},
};

static void other_files_are_refused_with_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct err e = {0};
        assert_null(prices_parse(refused[i].json, strlen(refused[i].json), &e));
        assert_int_equal(e.kind, ERR_CORRUPT);
        if (!strstr(e.text, refused[i].says))
            fail_msg("%s: %s", refused[i].json, e.text);
    }
}

static void smallest_snapshot_will_do(void **state)
{
    (void)state;
    const char *json = WITH("{" ITEM ",\"price\":0}");
    struct prices *p = prices_parse(json, strlen(json), NULL);
    assert_non_null(p);
    assert_true(prices_value(p, "a") == 0);
    assert_int_equal(prices_tier(p, "asia-northeast1"), TIER_UNKNOWN);
    assert_true(prices_free_requests(p).cpu_seconds == 0);
    prices_free(p);
}

static int open_snapshot(void **state)
{
    (void)state;
    snapshot = prices_builtin(NULL);
    return snapshot ? 0 : -1;
}

static int close_snapshot(void **state)
{
    (void)state;
    prices_free(snapshot);
    return 0;
}

static void newer_price_counts_and_brings_its_free_amount(void **state)
{
    (void)state;
    struct prices *p = prices_builtin(NULL);
    double class_b = prices_value(p, "gcs.ops.class_b");
    char date[] = "2026-11-25";
    assert_true(prices_set(p, "run.request.requests", 0.5, 3e6, "a catalog", date, NULL));
    assert_true(prices_set(p, "ar.storage", 0.2, NAN, "a catalog", date, NULL));
    assert_true(prices_set(p, "gcs.storage.standard.us-central1", 0.03, 6, "a catalog", date, NULL));
    memset(date, 'x', sizeof date - 1); /* it was copied */
    const struct price *one = prices_find(p, "run.request.requests");
    assert_string_equal(one->date, "2026-11-25");
    assert_string_equal(one->source, "a catalog");
    assert_string_equal(one->unit, "USD/1e6 requests");
    assert_close(prices_run(p, TIER_1).per_request, 0.5e-6);
    assert_close(prices_free_requests(p).requests, 3e6);
    assert_close(prices_free_requests(p).cpu_seconds, 180000); /* nobody said otherwise */
    assert_close(prices_free_images_gib(p), 0.5);
    assert_close(prices_free_storage_gib(p, "us-central1"), 6);
    assert_close(prices_free_storage_gib(p, "us-east1"), 5);
    assert_close(prices_free_storage_gib(p, "asia-northeast1"), 0);
    assert_close(prices_value(p, "gcs.ops.class_b"), class_b);
    prices_free(p);
}

static void price_that_the_snapshot_does_not_have_is_added(void **state)
{
    (void)state;
    struct prices *p = prices_builtin(NULL);
    static const char *const ids[] = {"gcs.storage.standard.asia-northeast3", "aaa", "zzz",
                                      "run.request.mem.idle.tier2"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        assert_true(prices_set(p, ids[i], 1.0 + (double)i, NAN, "a catalog", "2026-11-25", NULL));
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        assert_close(prices_value(p, "%s", ids[i]), 1.0 + (double)i);
    assert_close(prices_value_in(p, "asia-northeast3", ids[0]), 1.0);
    assert_close(prices_value(p, "gcs.storage.standard.asia-northeast1"), 0.023);
    prices_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshot_has_what_its_file_says),
        cmocka_unit_test(what_it_does_not_have_is_unknown),
        cmocka_unit_test(price_of_one_region_says_nothing_of_another),
        cmocka_unit_test(rates_go_by_tier),
        cmocka_unit_test(free_amounts_hold_where_they_hold),
        cmocka_unit_test(limits_are_numbers_or_texts),
        cmocka_unit_test(other_files_are_refused_with_what_is_wrong),
        cmocka_unit_test(smallest_snapshot_will_do),
        cmocka_unit_test(newer_price_counts_and_brings_its_free_amount),
        cmocka_unit_test(price_that_the_snapshot_does_not_have_is_added),
    };
    return cmocka_run_group_tests(tests, open_snapshot, close_snapshot);
}
