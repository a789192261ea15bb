/* Shapes and probes against Cloud Run's documented limits. */
#include "plan/cloud_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint64_t gib(double n)
{
    return (uint64_t)(n * (double)PLAN_GIB);
}

/* More than 4 GiB need 2 vCPU, 8: 4, 16: 6, 24: 8; 5 % of room comes on top. */
static void memory_decides_how_many_vcpus_are_needed(void **state)
{
    (void)state;
    static const struct {
        double gib;
        int vcpu, result_vcpu, result_gib;
    } cases[] = {
        {0.1, 0, 1, 1},   {3.8, 0, 1, 4},   {3.82, 0, 2, 5},  {7.6, 0, 2, 8},   {7.7, 0, 4, 9},
        {15.2, 0, 4, 16}, {15.3, 0, 6, 17}, {22.8, 0, 6, 24}, {22.9, 0, 8, 25}, {30.4, 0, 8, 32},
        {30.5, 0, 0, 33}, {1, 8, 8, 4},     {1, 6, 6, 4},     {1, 4, 4, 2},     {5, 1, 0, 6},
        {20, 4, 0, 21},   {20, 3, 0, 21},   {20, 8, 8, 21},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run_shape s = run_shape_for(gib(cases[i].gib), cases[i].vcpu);
        if (s.vcpu != cases[i].result_vcpu || s.gib != cases[i].result_gib)
            fail_msg("%g GiB on %d: %d vCPU, %d GiB", cases[i].gib, cases[i].vcpu, s.vcpu, s.gib);
    }
}

static void every_shape_stays_within_its_limits(void **state)
{
    (void)state;
    struct run_shape least, most;
    for (int n = 0; run_shape_limits(n, &least, &most); n++) {
        assert_int_equal(least.vcpu, most.vcpu);
        assert_true(least.gib < most.gib && most.gib <= RUN_MOST_GIB && most.vcpu <= RUN_MOST_VCPU);
        for (double g = 0.1; g < 40; g += 0.37) {
            struct run_shape s = run_shape_for(gib(g), least.vcpu);
            assert_true(s.vcpu == 0 || (s.gib >= least.gib && s.gib <= most.gib && s.gib >= g * 1.05));
        }
    }
}

static void more_memory_never_gets_a_smaller_shape(void **state)
{
    (void)state;
    struct run_shape last = {0};
    for (double g = 0.1; g < 30.4; g += 0.1) {
        struct run_shape s = run_shape_for(gib(g), 0);
        assert_true(s.vcpu >= last.vcpu && s.gib >= last.gib);
        last = s;
    }
    assert_int_equal(run_shape_for(UINT64_MAX, 0).vcpu, 0);
}

static struct run_service service(enum run_start start, double load, double answer)
{
    struct run_wish w = {.shape = {8, 21}, .parallel = 2, .cpu_idle = true, .start = start};
    return run_service_for(&w, span_of(load), span_of(answer));
}

static void kept_instance_loads_before_its_probe_passes(void **state)
{
    (void)state;
    assert_int_equal(run_start_for(0), RUN_STREAM);
    assert_int_equal(run_start_for(1), RUN_GATE);
}

static void streaming_needs_a_short_probe_alone(void **state)
{
    (void)state;
    struct run_service s = service(RUN_STREAM, 1000, 10);
    assert_int_equal(s.probe.initial_delay_s, 0);
    assert_true(s.probe.period_s * s.probe.failure_threshold <= 60 && s.probe.enough);
    assert_int_equal(s.timeout_s, 1020); /* the load, and two answers at a time */
    assert_int_equal(s.concurrency, 2);
}

static void probe_waits_for_the_load_within_what_is_documented(void **state)
{
    (void)state;
    static const struct {
        double load;
        int delay, tries;
        bool enough;
    } cases[] = {{3, 0, 1, true},      {95, 0, 10, true},     {240, 0, 24, true},    {241, 1, 24, true},
                 {480, 240, 24, true}, {481, 240, 24, false}, {1e9, 240, 24, false}, {NAN, 240, 24, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run_service s = service(RUN_GATE, cases[i].load, 1);
        assert_int_equal(s.probe.initial_delay_s, cases[i].delay);
        assert_int_equal(s.probe.failure_threshold, cases[i].tries);
        assert_int_equal(s.probe.enough, cases[i].enough);
        assert_true(s.probe.period_s >= s.probe.timeout_s); /* as the API asks */
        assert_true(s.probe.period_s * s.probe.failure_threshold <= RUN_PROBE_SECONDS);
    }
}

static void timeout_lies_between_the_default_and_the_most(void **state)
{
    (void)state;
    assert_int_equal(service(RUN_STREAM, 1, 1).timeout_s, 300);
    assert_int_equal(service(RUN_STREAM, 4000, 1).timeout_s, 3600);
    assert_int_equal(service(RUN_STREAM, NAN, 1).timeout_s, 3600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_decides_how_many_vcpus_are_needed),
        cmocka_unit_test(every_shape_stays_within_its_limits),
        cmocka_unit_test(more_memory_never_gets_a_smaller_shape),
        cmocka_unit_test(kept_instance_loads_before_its_probe_passes),
        cmocka_unit_test(streaming_needs_a_short_probe_alone),
        cmocka_unit_test(probe_waits_for_the_load_within_what_is_documented),
        cmocka_unit_test(timeout_lies_between_the_default_and_the_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
