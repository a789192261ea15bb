/* Scale to zero, restarts and updates, with time as an argument. */
#include "target/local/machine.h"

#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { IDLE_MS = 900000 };

/* Awake at 10, since a request came at 0 and was over at 20. */
static struct machine awake(void)
{
    struct machine m;
    machine_init(&m, IDLE_MS, 0);
    assert_int_equal(machine_request(&m, 0), ADMIT_HOLD);
    assert_int_equal(machine_tick(&m, 0), ORDER_START);
    machine_ready(&m, 10);
    machine_over(&m, 20);
    assert_int_equal(m.phase, PHASE_AWAKE);
    return m;
}

static void nothing_happens_without_a_request(void **state)
{
    (void)state;
    struct machine m;
    machine_init(&m, IDLE_MS, 5);
    assert_int_equal(m.phase, PHASE_ASLEEP);
    assert_int_equal(machine_tick(&m, 1e12), ORDER_NONE);
    assert_true(isinf(machine_next_ms(&m)));
}

static void first_request_is_held_and_starts_one_server(void **state)
{
    (void)state;
    struct machine m;
    machine_init(&m, IDLE_MS, 0);
    assert_int_equal(machine_request(&m, 7), ADMIT_HOLD);
    assert_int_equal(machine_request(&m, 7), ADMIT_HOLD);
    assert_true(machine_next_ms(&m) <= 7);
    assert_int_equal(machine_tick(&m, 7), ORDER_START);
    assert_int_equal(machine_tick(&m, 7), ORDER_NONE);
    assert_int_equal(m.phase, PHASE_STARTING);
    assert_int_equal(machine_request(&m, 8), ADMIT_FORWARD); /* the server holds it itself */
    machine_ready(&m, 9);
    assert_int_equal(m.phase, PHASE_AWAKE);
    assert_int_equal(machine_request(&m, 10), ADMIT_FORWARD);
}

static void sleeps_when_nobody_has_asked_for_the_time(void **state)
{
    (void)state;
    struct machine m = awake();
    assert_true(machine_next_ms(&m) == 20 + IDLE_MS);
    assert_int_equal(machine_tick(&m, 19 + IDLE_MS), ORDER_NONE);
    assert_int_equal(machine_tick(&m, 20 + IDLE_MS), ORDER_STOP);
    assert_int_equal(m.phase, PHASE_STOPPING);
    assert_int_equal(machine_tick(&m, 21 + IDLE_MS), ORDER_NONE);
    machine_ended(&m, 30 + IDLE_MS);
    assert_int_equal(m.phase, PHASE_ASLEEP);
    assert_true(isinf(machine_next_ms(&m)));
}

static void put_to_sleep_it_stops_at_once_and_starts_for_the_next_request(void **state)
{
    (void)state;
    struct machine m = awake();
    machine_sleep(&m, 30);
    assert_int_equal(machine_tick(&m, 30), ORDER_STOP);
    machine_ended(&m, 31);
    assert_int_equal(m.phase, PHASE_ASLEEP);
    assert_int_equal(machine_request(&m, 32), ADMIT_HOLD);
    assert_int_equal(machine_tick(&m, 32), ORDER_START);
    m = awake();
    machine_request(&m, 25);
    machine_sleep(&m, 30); /* who is being answered is not cut */
    assert_int_equal(machine_tick(&m, 30), ORDER_NONE);
    assert_int_equal(m.phase, PHASE_AWAKE);
}

static void request_in_flight_keeps_it_awake_however_long(void **state)
{
    (void)state;
    struct machine m = awake();
    assert_int_equal(machine_request(&m, 100), ADMIT_FORWARD);
    assert_true(isinf(machine_next_ms(&m)));
    assert_int_equal(machine_tick(&m, 1e10), ORDER_NONE);
    machine_over(&m, 1e10);
    assert_true(machine_next_ms(&m) == 1e10 + IDLE_MS);
}

static void start_that_nobody_waits_for_any_more_ends_after_the_same_time(void **state)
{
    (void)state;
    struct machine m;
    machine_init(&m, IDLE_MS, 0);
    machine_request(&m, 0);
    assert_int_equal(machine_tick(&m, 0), ORDER_START);
    machine_over(&m, 5);
    assert_int_equal(machine_tick(&m, 4 + IDLE_MS), ORDER_NONE);
    assert_int_equal(machine_tick(&m, 5 + IDLE_MS), ORDER_STOP);
}

static void request_while_stopping_is_held_and_starts_the_next(void **state)
{
    (void)state;
    struct machine m = awake();
    assert_int_equal(machine_tick(&m, 20 + IDLE_MS), ORDER_STOP);
    assert_int_equal(machine_request(&m, 21 + IDLE_MS), ADMIT_HOLD);
    assert_int_equal(machine_tick(&m, 21 + IDLE_MS), ORDER_NONE);
    machine_ended(&m, 22 + IDLE_MS);
    assert_int_equal(machine_tick(&m, 22 + IDLE_MS), ORDER_START);
}

static void server_that_does_not_stop_is_killed_once(void **state)
{
    (void)state;
    struct machine m = awake();
    double stop = 20 + IDLE_MS;
    assert_int_equal(machine_tick(&m, stop), ORDER_STOP);
    assert_true(machine_next_ms(&m) == stop + MACHINE_KILL_MS);
    assert_int_equal(machine_tick(&m, stop + MACHINE_KILL_MS - 1), ORDER_NONE);
    assert_int_equal(machine_tick(&m, stop + MACHINE_KILL_MS), ORDER_KILL);
    assert_int_equal(machine_tick(&m, stop + 2 * MACHINE_KILL_MS), ORDER_NONE);
    assert_true(isinf(machine_next_ms(&m)));
}

static void start_that_fails_is_not_tried_before_its_time_and_only_when_asked(void **state)
{
    (void)state;
    struct machine m;
    double now = 0;
    machine_init(&m, IDLE_MS, 0);
    static const double delays[] = {1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 60e3, 60e3};
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++) {
        assert_int_equal(machine_request(&m, now), ADMIT_HOLD);
        assert_int_equal(machine_tick(&m, now), ORDER_START);
        machine_ended(&m, now + 1);
        machine_over(&m, now + 1); /* it was answered: 503 */
        assert_int_equal(m.phase, PHASE_FAILED);
        assert_true(isinf(machine_next_ms(&m)));
        assert_int_equal(machine_request(&m, now + delays[i]), ADMIT_REFUSE);
        assert_int_equal(m.in_flight, 0);
        assert_int_equal(machine_retry_seconds(&m, now + 1), (int)(delays[i] / 1e3));
        now += 1 + delays[i];
        assert_int_equal(machine_tick(&m, now), ORDER_NONE);
    }
}

static void server_that_crashes_in_use_is_back_at_once_the_first_time(void **state)
{
    (void)state;
    struct machine m = awake();
    machine_ended(&m, 100);
    assert_int_equal(m.phase, PHASE_FAILED);
    assert_int_equal(machine_request(&m, 100), ADMIT_HOLD);
    assert_true(machine_next_ms(&m) == 100);
    assert_int_equal(machine_tick(&m, 100), ORDER_START);
    machine_over(&m, 101);
    machine_ready(&m, 110);
    machine_ended(&m, 200); /* again, soon */
    assert_int_equal(machine_request(&m, 200), ADMIT_REFUSE);
    assert_true(machine_next_ms(&m) == 200 + MACHINE_FIRST_RETRY_MS); /* without a request */
    assert_int_equal(machine_tick(&m, 200 + MACHINE_FIRST_RETRY_MS), ORDER_START);
}

static void crash_after_a_steady_minute_is_the_first_again(void **state)
{
    (void)state;
    struct machine m = awake();
    machine_ended(&m, 100);
    assert_int_equal(machine_tick(&m, 100), ORDER_START);
    machine_ready(&m, 110);
    machine_ended(&m, 110 + MACHINE_STEADY_MS);
    assert_int_equal(m.failures, 1);
    assert_int_equal(machine_tick(&m, 110 + MACHINE_STEADY_MS), ORDER_START);
}

static void crash_when_nobody_has_asked_for_long_waits_for_a_request(void **state)
{
    (void)state;
    struct machine m = awake();
    m.failures = 8; /* so that the next try is a minute away */
    m.since_ms = 20 + IDLE_MS - 2000;
    machine_ended(&m, 20 + IDLE_MS - 1000);
    assert_true(isinf(machine_next_ms(&m)));
    assert_int_equal(machine_tick(&m, 1e9), ORDER_NONE);
    assert_int_equal(machine_request(&m, 1e9), ADMIT_HOLD);
    assert_int_equal(machine_tick(&m, 1e9), ORDER_START);
}

static void restarts_alone_do_not_keep_it_awake(void **state)
{
    (void)state;
    struct machine m = awake();
    double now = 0;
    int starts = 0;
    for (int i = 0; i < 1000; i++) { /* crashes as soon as it has loaded */
        machine_ended(&m, now);
        now = machine_next_ms(&m);
        if (isinf(now))
            break;
        assert_int_equal(machine_tick(&m, now), ORDER_START);
        machine_ready(&m, now + 1);
        now += 2;
        starts++;
    }
    assert_true(isinf(now));
    assert_in_range(starts, 10, 30); /* 15 minutes of a minute each, and the first few */
}

static void update_takes_over_from_whatever_was_there(void **state)
{
    (void)state;
    static const enum phase phases[] = {PHASE_ASLEEP, PHASE_STARTING, PHASE_AWAKE, PHASE_STOPPING,
                                        PHASE_FAILED};
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        struct machine m = awake();
        m.phase = phases[i];
        m.failures = 3;
        m.retry_ms = 1e9;
        machine_replaced(&m, 500);
        assert_int_equal(m.phase, PHASE_AWAKE);
        assert_int_equal(m.failures, 0);
        assert_int_equal(machine_request(&m, 501), ADMIT_FORWARD);
        machine_over(&m, 502);
        assert_true(machine_next_ms(&m) == 502 + IDLE_MS);
    }
}

static void forgiven_failure_lets_the_next_request_start(void **state)
{
    (void)state;
    struct machine m;
    machine_init(&m, IDLE_MS, 0);
    machine_request(&m, 0);
    machine_tick(&m, 0);
    machine_ended(&m, 1);
    machine_over(&m, 1);
    assert_int_equal(machine_request(&m, 2), ADMIT_REFUSE);
    machine_forgive(&m, 3);
    assert_int_equal(machine_request(&m, 3), ADMIT_HOLD);
    assert_int_equal(machine_tick(&m, 3), ORDER_START);
    machine_forgive(&m, 4); /* of one that runs: nothing */
    assert_int_equal(m.phase, PHASE_STARTING);
}

/* Whatever happens in whatever order: orders fit the phase, and a request that was taken is never stuck. */
static void any_order_of_events_ends_well(void **state)
{
    (void)state;
    struct machine m;
    uint32_t random = 12345;
    double now = 0;
    bool server = false;
    machine_init(&m, 1000, 0);
    for (int i = 0; i < 200000; i++) {
        random = random * 1664525 + 1013904223;
        now += random >> 24;
        switch ((random >> 10) % 8) {
        case 0:
        case 1:
            machine_request(&m, now);
            break;
        case 2:
        case 3:
            if (m.in_flight > 0)
                machine_over(&m, now);
            break;
        case 4:
            if (server)
                machine_ready(&m, now);
            break;
        case 5:
            if (server) {
                machine_ended(&m, now);
                server = false;
            }
            break;
        default:
            break;
        }
        enum order o = machine_tick(&m, now);
        assert_true(o != ORDER_START || !server);
        assert_true((o != ORDER_STOP && o != ORDER_KILL) || server);
        server = server || o == ORDER_START;
        assert_true(m.in_flight >= 0);
        if (m.in_flight > 0 && !server)
            assert_true(machine_next_ms(&m) <= now + MACHINE_LAST_RETRY_MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_happens_without_a_request),
        cmocka_unit_test(first_request_is_held_and_starts_one_server),
        cmocka_unit_test(sleeps_when_nobody_has_asked_for_the_time),
        cmocka_unit_test(put_to_sleep_it_stops_at_once_and_starts_for_the_next_request),
        cmocka_unit_test(request_in_flight_keeps_it_awake_however_long),
        cmocka_unit_test(start_that_nobody_waits_for_any_more_ends_after_the_same_time),
        cmocka_unit_test(request_while_stopping_is_held_and_starts_the_next),
        cmocka_unit_test(server_that_does_not_stop_is_killed_once),
        cmocka_unit_test(start_that_fails_is_not_tried_before_its_time_and_only_when_asked),
        cmocka_unit_test(server_that_crashes_in_use_is_back_at_once_the_first_time),
        cmocka_unit_test(crash_after_a_steady_minute_is_the_first_again),
        cmocka_unit_test(crash_when_nobody_has_asked_for_long_waits_for_a_request),
        cmocka_unit_test(restarts_alone_do_not_keep_it_awake),
        cmocka_unit_test(update_takes_over_from_whatever_was_there),
        cmocka_unit_test(forgiven_failure_lets_the_next_request_start),
        cmocka_unit_test(any_order_of_events_ends_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
