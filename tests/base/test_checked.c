#include "base/checked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    size_t a, b;
    bool sum_fits, product_fits;
} cases[] = {
    {SIZE_MAX, SIZE_MAX, false, false},
    {SIZE_MAX, 2, false, false},
    {SIZE_MAX, 1, false, true},
    {SIZE_MAX, 0, true, true},
    {SIZE_MAX / 2 + 1, 2, true, false},
    {SIZE_MAX / 2, 2, true, true},
    {(size_t)1 << 32, (size_t)1 << 32, true, false},
    {(size_t)1 << 32, ((size_t)1 << 32) - 1, true, true},
    {0, 0, true, true},
};

static void what_wraps_is_refused_and_leaves_out_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t sum = 77, product = 77;
        assert_int_equal(checked_add(cases[i].a, cases[i].b, &sum), cases[i].sum_fits);
        assert_int_equal(checked_mul(cases[i].a, cases[i].b, &product), cases[i].product_fits);
        assert_int_equal(sum, cases[i].sum_fits ? cases[i].a + cases[i].b : 77);
        assert_int_equal(product, cases[i].product_fits ? cases[i].a * cases[i].b : 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_wraps_is_refused_and_leaves_out_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
