#include "base/arena.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void blocks_are_zeroed_and_aligned(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 4099, 70000, 1 << 20};
    struct arena *a = arena_new(SIZE_MAX);
    (void)state;
    for (int round = 0; round < 50; round++) {
        size_t n = sizes[round % 8];
        unsigned char *p = arena_alloc(a, n, 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xee, n);
    }
    arena_free(a);
}

static void blocks_do_not_overlap(void **state)
{
    struct arena *a = arena_new(SIZE_MAX);
    unsigned char *p[1000];
    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        p[i] = arena_alloc(a, i + 1, 1);
        memset(p[i], (int)(i % 251), i + 1);
    }
    for (size_t i = 0; i < 1000; i++)
        for (size_t k = 0; k <= i; k++)
            assert_int_equal(p[i][k], i % 251);
    assert_int_equal(arena_used(a), 1000 * 1001 / 2);
    arena_free(a);
}

static void more_than_the_ceiling_is_refused(void **state)
{
    struct arena *a = arena_new(100);
    (void)state;
    assert_non_null(arena_alloc(a, 60, 1));
    assert_null(arena_alloc(a, 41, 1));
    assert_non_null(arena_alloc(a, 40, 1));
    assert_null(arena_alloc(a, 1, 1));
    assert_int_equal(arena_used(a), 100);
    arena_free(a);
}

static void sizes_that_wrap_are_refused(void **state)
{
    struct arena *a = arena_new(SIZE_MAX);
    (void)state;
    assert_null(arena_alloc(a, SIZE_MAX, 2));
    assert_null(arena_alloc(a, SIZE_MAX, 1));
    assert_null(arena_alloc(a, SIZE_MAX / 2 + 1, 2));
    assert_int_equal(arena_used(a), 0);
    arena_free(a);
}

static void strings_are_copied_with_a_nul(void **state)
{
    struct arena *a = arena_new(SIZE_MAX);
    (void)state;
    assert_string_equal(arena_strndup(a, "ferryman", 5), "ferry");
    assert_string_equal(arena_strndup(a, "", 0), "");
    assert_string_equal(arena_printf(a, "%s-%05d", "model", 7), "model-00007");
    arena_free(a);
}

static void printf_over_the_ceiling_is_refused(void **state)
{
    struct arena *a = arena_new(4);
    (void)state;
    assert_null(arena_printf(a, "%s", "five!"));
    assert_string_equal(arena_printf(a, "%s", "abc"), "abc");
    arena_free(a);
}

static void free_of_null_is_fine(void **state)
{
    (void)state;
    arena_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zeroed_and_aligned),
        cmocka_unit_test(blocks_do_not_overlap),
        cmocka_unit_test(more_than_the_ceiling_is_refused),
        cmocka_unit_test(sizes_that_wrap_are_refused),
        cmocka_unit_test(strings_are_copied_with_a_nul),
        cmocka_unit_test(printf_over_the_ceiling_is_refused),
        cmocka_unit_test(free_of_null_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
