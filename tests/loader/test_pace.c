#include "loader/parts/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { RANGE = 8 << 20 };

/* A place that gives so many bytes per ms to a connection and so many to all of them. */
struct place {
    const char *name;
    double each, all;
    int most;
    int expected; /* connections in the end */
};

static double rate_of(const struct place *p, int connections)
{
    double rate = p->each * connections;
    return rate < p->all ? rate : p->all;
}

/* Ranges one after another, as many at a time as the pace says; the level after `ms`. */
static int run(struct pace *p, const struct place *place, double *now, double ms)
{
    double end = *now + ms;
    while (*now < end) {
        *now += RANGE / rate_of(place, p->level);
        pace_next(p, *now, RANGE);
    }
    return p->level;
}

static const double MB_S = 1e6 / 1e3; /* bytes per ms */

static void as_many_connections_as_make_it_faster(void **state)
{
    const struct place places[] = {
        {"one connection fills the link", 125 * MB_S, 125 * MB_S, 32, 4},
        {"four fill it", 125 * MB_S, 500 * MB_S, 32, 4},
        {"eight fill it", 100 * MB_S, 800 * MB_S, 32, 8},
        {"twelve fill it", 100 * MB_S, 1200 * MB_S, 32, 16},
        {"nothing fills it", 50 * MB_S, 1e9, 32, 32},
        {"no more than allowed", 50 * MB_S, 1e9, 20, 20},
        {"allowed one", 50 * MB_S, 1e9, 1, 1},
        {"allowed three", 50 * MB_S, 1e9, 3, 3},
        {"slow", 1 * MB_S, 2 * MB_S, 32, 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct pace p;
        double now = 1000;
        pace_init(&p, places[i].most);
        /* the trials that come later end where they began: look between them */
        double ms = places[i].all < 10 * MB_S ? 220e3 : 9e3;
        int level = run(&p, &places[i], &now, ms);
        if (level != places[i].expected)
            fail_msg("%s: %d connections, expected %d", places[i].name, level, places[i].expected);
    }
}

static void it_grows_within_a_few_seconds(void **state)
{
    const struct place bucket = {.each = 100 * MB_S, .all = 1e9};
    struct pace p;
    double now = 0;
    (void)state;
    pace_init(&p, 32);
    assert_int_equal(run(&p, &bucket, &now, 2500), 32);
}

static void link_that_was_slow_for_a_while_is_tried_again(void **state)
{
    struct place place = {.each = 100 * MB_S, .all = 150 * MB_S};
    struct pace p;
    double now = 0;
    (void)state;
    pace_init(&p, 32);
    assert_int_equal(run(&p, &place, &now, 9e3), 4);
    place.all = 1e9;
    assert_int_equal(run(&p, &place, &now, 8e3), 32);
}

static void it_does_not_try_again_and_again(void **state)
{
    const struct place place = {.each = 125 * MB_S, .all = 125 * MB_S};
    struct pace p;
    double now = 0;
    int above = 0, ranges = 0;
    (void)state;
    pace_init(&p, 32);
    for (; now < 120e3; ranges++) {
        now += RANGE / rate_of(&place, p.level);
        above += pace_next(&p, now, RANGE) > 4;
    }
    assert_true(above < ranges / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_connections_as_make_it_faster),
        cmocka_unit_test(it_grows_within_a_few_seconds),
        cmocka_unit_test(link_that_was_slow_for_a_while_is_tried_again),
        cmocka_unit_test(it_does_not_try_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
