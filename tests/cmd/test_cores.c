#include "cmd/cores.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void quota_is_rounded_up_and_never_raises(void **state)
{
    static const struct {
        const char *cpu_max;
        int cores, allowed;
    } cases[] = {
        {"", 8, 8},
        {"max 100000", 8, 8},
        {"garbage", 8, 8},
        {"100000", 8, 8},
        {"0 100000", 8, 8},
        {"-1 100000", 8, 8},
        {"100000 0", 8, 8},
        {"5000 100000", 8, 1},
        {"100000 100000", 8, 1},
        {"150000 100000", 8, 2},
        {"800000 100000", 2, 2},
        {"9223372036854775807 1", 4, 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(cores_of_quota(cases[i].cpu_max, cases[i].cores), cases[i].allowed);
}

static void there_is_at_least_one(void **state)
{
    (void)state;
    assert_true(cores_allowed() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quota_is_rounded_up_and_never_raises),
        cmocka_unit_test(there_is_at_least_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
