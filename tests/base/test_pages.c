#include "base/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { HUGE_PAGE = 2 << 20 };

static void memory_is_zeroed_and_aligned(void **state)
{
    static const size_t sizes[] = {0, 1, 4097, HUGE_PAGE - 1, HUGE_PAGE, 3 * HUGE_PAGE + 1};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct pages p;
        struct err e = {0};
        assert_true(pages_alloc(&p, sizes[i], &e));
        assert_int_equal(p.size, sizes[i]);
        assert_int_equal((uintptr_t)p.data % (sizes[i] >= HUGE_PAGE ? HUGE_PAGE : 4096), 0);
        for (unsigned char *c = p.data; c < (unsigned char *)p.data + sizes[i]; c += 512) {
            assert_int_equal(*c, 0);
            *c = 0xee;
        }
        if (sizes[i])
            ((unsigned char *)p.data)[sizes[i] - 1] = 1;
        pages_free(&p);
        pages_free(&p);
    }
}

static void more_than_the_address_space_is_refused(void **state)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - HUGE_PAGE, SIZE_MAX / 2};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct pages p;
        struct err e = {0};
        assert_false(pages_alloc(&p, sizes[i], &e));
        assert_int_equal(e.kind, ERR_MEMORY);
        pages_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(more_than_the_address_space_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
