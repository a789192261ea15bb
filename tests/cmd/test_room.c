#include "cmd/room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void room_of_a_folder_to_be_is_that_of_where_it_will_lie(void **state)
{
    static const char *const cases[] = {"/tmp", "/tmp/", "/tmp/none/of/these", "/", "none", "none/of", "."};
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct room r = {0};
        if (!room_of(cases[i], &r, &e))
            fail_msg("%s: %s", cases[i], e.text);
        assert_true(r.bytes > 0);
    }
}

static void place_that_is_no_folder_is_an_error(void **state)
{
    struct room r;
    struct err e = {0};
    char long_path[5000];
    (void)state;
    assert_false(room_of("/dev/null/below", &r, &e));
    assert_string_equal(e.text, "/dev/null/below: Not a directory");
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = 0;
    assert_false(room_of(long_path, &r, &e));
    assert_int_equal(e.kind, ERR_USAGE);
}

static void shared_memory_is_memory(void **state)
{
    struct room r;
    struct err e = {0};
    (void)state;
    if (access("/dev/shm", W_OK) != 0)
        skip();
    assert_true(room_of("/dev/shm/ferry/none", &r, &e));
    assert_true(r.memory);
    assert_true(room_of("/proc", &r, &e));
    assert_false(r.memory);
}

static void what_does_not_fit_is_refused_with_the_arithmetic(void **state)
{
    static const struct {
        uint64_t bytes, needed, held;
        bool memory, fits;
        const char *says;
    } cases[] = {
        {1000, 1000, 0, false, true, ""},
        {1000, 1001, 1, false, true, ""},
        {0, 0, 0, false, true, ""},
        {0, 5, 9, false, true, ""}, /* more is held than there will be */
        {1000, 1001, 0, false, false,
         "1.00 kB are needed, 0 B of them are there, 1.00 kB are free: 1 B too few"},
        {8200000000, 16800000000, 600000000, true, false,
         "d: 16.8 GB are needed, 600 MB of them are there, 8.20 GB are free in memory: 8.00 GB too few. "
         "Nothing"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct room r = {.bytes = cases[i].bytes, .memory = cases[i].memory};
        struct err e = {0};
        if (room_check("d", &r, cases[i].needed, cases[i].held, &e) != cases[i].fits ||
            !strstr(e.text, cases[i].says))
            fail_msg("case %zu: %s", i, e.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_of_a_folder_to_be_is_that_of_where_it_will_lie),
        cmocka_unit_test(place_that_is_no_folder_is_an_error),
        cmocka_unit_test(shared_memory_is_memory),
        cmocka_unit_test(what_does_not_fit_is_refused_with_the_arithmetic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
