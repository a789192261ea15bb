/* Amounts worked out by hand from the items of data/prices.json. */
#include "close.h"
#include "plan/cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct prices *snapshot;

static struct cost_load load(double requests, double answer_s, double cold_s)
{
    return (struct cost_load){.shape = {8, 32},
                              .tier = TIER_1,
                              .requests_per_day = requests,
                              .answer_s = span_of(answer_s),
                              .cold_s = span_of(cold_s)};
}

static double month(const struct cost_load *l, enum cost_way way)
{
    struct span s = cost_month(snapshot, l, way, 1);
    assert_true(s.least <= s.most);
    return s.most;
}

/* 8 vCPU, 32 GiB. Instance-based: 8 * 0.000018 + 32 * 0.000002 = 0.000208 a second, 0.7488 an hour, 546.62 in
 * 730 h. Request-based while serving: 8 * 0.000024 + 32 * 0.0000025 = 0.000272, 0.9792 an hour. Idle: 40 *
 * 0.0000025 = 0.0001, 0.36 an hour. */
static void hours_are_those_of_the_price_page(void **state)
{
    (void)state;
    struct cost_load l = load(0, 1, 1);
    assert_close(cost_hour(snapshot, &l, COST_ALWAYS_ON), 0.7488);
    assert_close(cost_hour(snapshot, &l, COST_SCALE_TO_ZERO), 0.9792);
    assert_close(cost_hour(snapshot, &l, COST_MIN_INSTANCES), 0.36);
}

static void cold_start_pays_from_its_first_second(void **state)
{
    (void)state;
    struct cost_load l = load(100, 10, 120);
    assert_close(cost_cold_start(snapshot, &l).most, 120 * 0.000272); /* 0.033 */
    assert_close(cost_request(snapshot, &l).most, 10 * 0.000272 + 0.4e-6);
    l.start_reads = 2002; /* 16.8 GB in ranges of 8 MiB: 2002 * 0.0004 / 1000 */
    assert_close(cost_cold_start(snapshot, &l).most, 120 * 0.000272 + 0.0008008);
}

/* Free: 180,000 vCPU-s and 360,000 GiB-s of the request-based, 240,000 and 450,000 of the instance-based. */
static void what_nobody_calls_costs_nothing_but_what_is_kept(void **state)
{
    (void)state;
    struct cost_load l = load(0, 10, 100);
    assert_true(month(&l, COST_SCALE_TO_ZERO) == 0);
    assert_true(month(&l, COST_INSTANCE_BASED) == 0);
    assert_close(month(&l, COST_MIN_INSTANCES), 730 * 0.36);
    double free_usd = 240000 * 0.000018 + 450000 * 0.000002; /* 5.22 */
    assert_close(month(&l, COST_ALWAYS_ON), 730 * 0.7488 - free_usd);
    struct span three = cost_month(snapshot, &l, COST_MIN_INSTANCES, 3);
    assert_close(three.most, 3 * 730 * 0.36);
}

/* 10,000 a day: 304,166.67 a month, each 1 s: 82.7 USD at 0.000272. Cold: 10000 * e^(-10000/86400*900), none.
 * Free: all 180,000 vCPU-s (4.32) and 360,000 GiB-s (0.90), and the requests. */
static void busy_service_pays_its_seconds(void **state)
{
    (void)state;
    struct cost_load l = load(10000, 1, 100);
    double requests = 10000 * 730.0 / 24;
    assert_near(month(&l, COST_SCALE_TO_ZERO), requests * 0.000272 - 4.32 - 0.90, 1e-6);
    /* The rest of the month's 2,628,000 s is idle. */
    assert_near(month(&l, COST_MIN_INSTANCES), requests * 0.000272 + (2628000 - requests) * 0.0001 - 5.22,
                1e-6);
    l.requests_per_day =
        1e6; /* 30.4 million requests, 2 million free, and cores for eleven months of seconds */
    assert_near(month(&l, COST_SCALE_TO_ZERO),
                requests * 100 * 0.000272 - 5.22 + (requests * 100 - 2e6) * 0.4e-6, 1e-9);
}

static void few_requests_are_mostly_cold(void **state)
{
    (void)state;
    assert_close(cost_cold_starts_per_day(96), 96 * exp(-1)); /* one in 15 minutes */
    assert_near(cost_cold_starts_per_day(1), 1, 0.011);
    assert_true(cost_cold_starts_per_day(0) == 0);
    /* 1 a day: 30.417 a month, e^(-1/96) of them cold: 30.1017 starts of 100 s, 0.315 of 10 s; 3013.3 s in
     * all, of which all is free: 8 * 3013 < 180,000 and 32 * 3013 < 360,000. */
    struct cost_load l = load(1, 10, 100);
    assert_near(month(&l, COST_SCALE_TO_ZERO), 0, 0);
    l.requests_per_day = 24; /* 730 a month, e^(-0.25) cold: 568.5 * 100 s + 161.5 * 10 s = 58,467 s */
    double seconds = 730 * (exp(-0.25) * 100 + (1 - exp(-0.25)) * 10);
    assert_near(month(&l, COST_SCALE_TO_ZERO), seconds * 0.000272 - 180000 * 0.000024 - 360000 * 0.0000025,
                1e-9);
}

static void instance_stays_fifteen_minutes_and_is_paid(void **state)
{
    (void)state;
    assert_close(cost_on(96, 0), 1 - exp(-1));
    assert_true(cost_on(0, 100) == 0 && cost_on(1e7, 1) > 0.9999);
    /* 24 a day, 10 s each: there 1 - e^(-24/86400 * 910) of the month, and 568.5 starts of 90 s more than an
     * answer. */
    struct cost_load l = load(24, 10, 100);
    double on = (1 - exp(-24.0 / 86400 * 910)) * 2628000 + 730 * exp(-0.25) * 90;
    assert_near(month(&l, COST_INSTANCE_BASED), on * 0.000208 - 5.22, 1e-9);
}

static void never_more_is_free_than_is_used(void **state)
{
    (void)state;
    for (double r = 0; r < 1e5; r = r * 1.7 + 0.3)
        for (int w = 0; w < COST_WAYS; w++) {
            struct cost_load l = load(r, 3, 50);
            assert_true(cost_month(snapshot, &l, (enum cost_way)w, 1).least >= 0);
        }
}

static void more_memory_never_costs_less(void **state)
{
    (void)state;
    for (int w = 0; w < COST_WAYS; w++) {
        double last = 0;
        for (int g = 4; g <= 32; g += 4) {
            struct cost_load l = load(2000, 20, 100);
            l.shape.gib = g;
            double now = month(&l, (enum cost_way)w);
            assert_true(now >= last);
            last = now;
        }
    }
}

static void where_prices_are_unknown_so_is_the_sum(void **state)
{
    (void)state;
    struct cost_load l = load(100, 10, 100);
    l.tier = TIER_2; /* the idle price of memory was not found */
    assert_false(span_known(cost_month(snapshot, &l, COST_MIN_INSTANCES, 1)));
    assert_true(span_known(cost_month(snapshot, &l, COST_SCALE_TO_ZERO, 1)));
    assert_false(span_known(cost_break_even_way(snapshot, &l, COST_MIN_INSTANCES, 1)));
    l.tier = TIER_UNKNOWN;
    assert_false(span_known(cost_month(snapshot, &l, COST_SCALE_TO_ZERO, 1)));
    l = load(100, NAN, NAN);
    assert_false(span_known(cost_month(snapshot, &l, COST_SCALE_TO_ZERO, 1)));
}

static void break_even_is_where_both_cost_the_same(void **state)
{
    (void)state;
    struct cost_load l = load(1, 20, 60);
    double requests = cost_break_even(snapshot, &l, span_of(251.02)).most;
    l.requests_per_day = requests;
    assert_near(month(&l, COST_SCALE_TO_ZERO), 251.02, 0.0011);
    requests = cost_break_even_way(snapshot, &l, COST_ALWAYS_ON, 1).most;
    l.requests_per_day = requests;
    assert_near(month(&l, COST_SCALE_TO_ZERO), month(&l, COST_ALWAYS_ON), 0.0011);
    assert_true(isinf(cost_break_even(snapshot, &l, span_of(1e6)).most));
    /* Kept warm it is paid beside the answers: that buys time, not money. */
    assert_true(isinf(cost_break_even_way(snapshot, &l, COST_MIN_INSTANCES, 1).least));
}

static void machines_have_the_memory_that_is_needed(void **state)
{
    (void)state;
    static const struct {
        const char *region;
        int vcpu, gib;
        const char *id;
    } cases[] = {
        {"asia-northeast1", 8, 21, "gce.e2-standard-8.asia-northeast1"},
        {"asia-northeast1", 1, 4, "gce.e2-medium.asia-northeast1"},
        {"us-central1", 4, 9, "gce.e2-standard-4.us-central1"},
        {"asia-northeast1", 8, 33, ""},
        {"europe-west1", 8, 21, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cost_machine m = cost_machine_for(snapshot, cases[i].region, cases[i].vcpu, cases[i].gib);
        assert_string_equal(m.price->id, cases[i].id);
        assert_int_equal(isnan(m.month), !*cases[i].id);
    }
    struct cost_machine m = cost_machine_for(snapshot, "asia-northeast1", 8, 21);
    assert_close(m.month, 730 * 0.34386288);
    assert_close(m.disk_month, 10 * 0.13);
    assert_string_equal(cost_machine_l4(snapshot, "asia-northeast1", 0).price->id,
                        "gce.g2-standard-4.asia-northeast1");
}

/* e2-standard-4 in Tokyo: 0.17193144 an hour, its address 0.005; pd-balanced 0.13 for each GiB. */
static void machine_costs_what_stands_there(void **state)
{
    (void)state;
    static const struct {
        struct cost_vm vm;
        double usd;
    } cases[] = {
        {{"e2-standard-4", "asia-northeast1", 10, .runs = true, .external = true},
         730 * (0.17193144 + 0.005) + 1.3},
        {{"e2-standard-4", "asia-northeast1", 10, .runs = true}, 730 * 0.17193144 + 1.3},
        {{"e2-standard-4", "asia-northeast1", 10, .external = true}, 1.3},
        {{"e2-standard-4", "asia-northeast1", 10, .spot = true}, 1.3},
        {{"e2-standard-4", "asia-northeast1", 10, .runs = true, .spot = true}, NAN},
        {{"m3-ultramem-32", "asia-northeast1", 10, .runs = true}, NAN},
        {{"e2-standard-4", "europe-west1", 10, .runs = false}, NAN},
        {{"", "", 0, .runs = false}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double usd = cost_vm(snapshot, &cases[i].vm);
        if (isnan(cases[i].usd))
            assert_true(isnan(usd));
        else
            assert_near(usd, cases[i].usd, 1e-9);
    }
}

/* Tier 1, idle: 0.0000025 for each vCPU and GiB of a second; instance-based 0.000018 and 0.000002. */
static void instances_that_are_kept_cost_while_nobody_asks(void **state)
{
    (void)state;
    double month = 730 * 3600;
    assert_near(cost_kept(snapshot, "asia-northeast1", 8, 32, false, 2), 2 * month * (8 + 32) * 2.5e-6, 1e-9);
    assert_near(cost_kept(snapshot, "asia-northeast1", 8, 32, true, 1), month * (8 * 18e-6 + 32 * 2e-6),
                1e-9);
    assert_true(cost_kept(snapshot, "asia-northeast1", 8, 32, true, 0) == 0);
    assert_true(isnan(cost_kept(snapshot, "mars-north1", 8, 32, false, 1)));
}

/* 16.8 GB are 15.64 GiB; 0.023 in Tokyo; nearline 0.016 and 0.01 for each GiB that is read. */
static void bucket_costs_what_lies_there_and_what_is_read(void **state)
{
    (void)state;
    uint64_t bytes = 16794189824;
    double gib = 16794189824.0 / 1073741824;
    assert_near(cost_storage(snapshot, "asia-northeast1", STORAGE_STANDARD, bytes, 1000), gib * 0.023, 1e-12);
    assert_near(cost_storage(snapshot, "asia-northeast1", STORAGE_NEARLINE, bytes, 10),
                gib * 0.016 + 10 * gib * 0.01, 1e-12);
    assert_near(cost_storage(snapshot, "us-central1", STORAGE_STANDARD, bytes, 0), (gib - 5) * 0.02, 1e-12);
    assert_true(cost_storage(snapshot, "us-central1", STORAGE_STANDARD, PLAN_GIB, 0) == 0);
    assert_near(cost_storage(snapshot, "asia", STORAGE_STANDARD, bytes, 0), gib * 0.026, 1e-12);
    assert_true(isnan(cost_storage(snapshot, "asia-northeast3", STORAGE_STANDARD, bytes, 0)));
    assert_true(
        isnan(cost_storage(snapshot, "us-central1", STORAGE_NEARLINE, bytes, 1))); /* retrieval: Tokyo's */
    assert_near(cost_storage(snapshot, "us-central1", STORAGE_NEARLINE, bytes, 0), gib * 0.01, 1e-12);
    assert_true(cost_image(snapshot, 20 << 20) == 0);
    assert_close(cost_image(snapshot, 3 * PLAN_GIB), 2.5 * 0.1);
}

static void staging_is_paid_once(void **state)
{
    (void)state;
    /* 16,794,189,824 bytes are 2003 parts of 8 MiB, 0.005 a thousand. */
    assert_close(cost_stage_here(snapshot, 16794189824), 2003 * 0.005 / 1000);
    /* 8 tasks, 300 s, 2 * 0.000018 + 2 * 0.000002 */
    assert_close(cost_stage_job(snapshot, TIER_1), 0.096);
    /* 0.17193144 + 0.005 + 10 * 0.13 / 730 */
    /* the same by parts; a task is charged for a minute at least */
    struct span long_tasks = cost_stage_tasks(snapshot, TIER_1, 8, span_of(300));
    assert_close(long_tasks.least, 0.096);
    assert_close(long_tasks.most, 0.096);
    assert_close(cost_stage_tasks(snapshot, TIER_1, 8, (struct span){3, 30}).most, 0.096 / 5);
    assert_true(isnan(cost_stage_tasks(snapshot, TIER_UNKNOWN, 8, span_of(300)).least));
    assert_close(cost_stage_seconds(4000000000).least, 20);
    assert_close(cost_stage_seconds(4000000000).most, 160);
    assert_close(cost_stage_vm(snapshot, "asia-northeast1"), 0.17193144 + 0.005 + 1.3 / 730);
    /* an hour of it; a minute at least; 40 to 150 s for its start */
    double hour = cost_stage_vm(snapshot, "asia-northeast1");
    assert_close(cost_stage_machine(snapshot, "asia-northeast1", (struct span){3, 3600}).most, hour);
    assert_close(cost_stage_machine(snapshot, "asia-northeast1", (struct span){3, 3600}).least, hour / 60);
    assert_close(cost_stage_vm_seconds(4000000000).least, 60);
    assert_close(cost_stage_vm_seconds(4000000000).most, 310);
    assert_true(isnan(cost_stage_vm(snapshot, "us-central1"))); /* an address there: not in the snapshot */
}

/* L4 without zonal redundancy, 8 vCPU, 32 GiB: 0.0001867 + 0.000208 = 0.0003947 a second, 1.42 an hour. */
static void gpu_is_paid_with_its_instance(void **state)
{
    (void)state;
    struct cost_gpu g = cost_gpu_l4(snapshot, NULL);
    assert_string_equal(g.region, "us-central1");
    assert_close(g.hour, 0.0003947 * 3600);
    assert_true(isnan(cost_gpu_l4(snapshot, "asia-southeast1").hour));
    struct cost_gpu r = cost_gpu_rtx_pro_6000(snapshot, NULL);
    assert_close(r.hour, (0.00036522 + 20 * 0.000018 + 80 * 0.000002) * 3600);
    assert_int_equal(cost_gpu_usable(24), 22 * PLAN_GIB);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hours_are_those_of_the_price_page),
        cmocka_unit_test(cold_start_pays_from_its_first_second),
        cmocka_unit_test(what_nobody_calls_costs_nothing_but_what_is_kept),
        cmocka_unit_test(busy_service_pays_its_seconds),
        cmocka_unit_test(few_requests_are_mostly_cold),
        cmocka_unit_test(instance_stays_fifteen_minutes_and_is_paid),
        cmocka_unit_test(never_more_is_free_than_is_used),
        cmocka_unit_test(more_memory_never_costs_less),
        cmocka_unit_test(where_prices_are_unknown_so_is_the_sum),
        cmocka_unit_test(break_even_is_where_both_cost_the_same),
        cmocka_unit_test(machines_have_the_memory_that_is_needed),
        cmocka_unit_test(machine_costs_what_stands_there),
        cmocka_unit_test(instances_that_are_kept_cost_while_nobody_asks),
        cmocka_unit_test(bucket_costs_what_lies_there_and_what_is_read),
        cmocka_unit_test(staging_is_paid_once),
        cmocka_unit_test(gpu_is_paid_with_its_instance),
    };
    return cmocka_run_group_tests(tests, open_snapshot, close_snapshot);
}
