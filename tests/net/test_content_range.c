#include "net/content_range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void range_of_a_part_is_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t begin, size, total;
    } ranges[] = {
        {"bytes 0-99/1234", 0, 100, 1234},
        {"bytes 0-0/1", 0, 1, 1},
        {"bytes 5-5/*", 5, 1, UINT64_MAX},
        {"Bytes 1233-1233/1234", 1233, 1, 1234},
        {"bytes 18446744073709551612-18446744073709551613/18446744073709551614", UINT64_MAX - 3, 2,
         UINT64_MAX - 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        uint64_t begin, size, total;
        assert_true(content_range_parse(ranges[i].text, &begin, &size, &total));
        assert_int_equal(begin, ranges[i].begin);
        assert_int_equal(size, ranges[i].size);
        assert_int_equal(total, ranges[i].total);
    }
}

static void range_that_cannot_be_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "bytes",
        "bytes ",
        "bytes */1234", /* of a 416 */
        "bytes 0-99",
        "bytes 0-99/",
        "bytes -99/1234",
        "bytes 0-/1234",
        "bytes 2-1/1234",
        "bytes 0-1234/1234",
        "bytes 0-99/1234 ",
        "bytes 0-99/1234, bytes 100-199/1234",
        "bytes  0-99/1234",
        "bytes +0-99/1234",
        "bytes=0-99/1234",
        "items 0-99/1234",
        "bytes 0-0x63/1234",
        "bytes 0-99/**",
        "bytes 0-18446744073709551615/*",
        "bytes 0-18446744073709551616/18446744073709551617",
        "bytes 0-0/18446744073709551615",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t begin = 1, size = 2, total = 3;
        if (content_range_parse(bad[i], &begin, &size, &total))
            fail_msg("%s", bad[i]);
        assert_true(begin == 1 && size == 2 && total == 3);
    }
    uint64_t unused;
    assert_false(content_range_parse(NULL, &unused, &unused, &unused));
}

static void bytes_a_session_holds_are_counted_from_nothing(void **state)
{
    uint64_t held = 9;
    (void)state;
    assert_true(range_held_parse(NULL, &held)); /* a 308 without Range */
    assert_int_equal(held, 0);
    assert_true(range_held_parse("bytes=0-0", &held));
    assert_int_equal(held, 1);
    assert_true(range_held_parse("bytes=0-262143", &held));
    assert_int_equal(held, 262144);
}

static void other_text_holds_nothing(void **state)
{
    static const char *const bad[] = {"",
                                      "bytes=",
                                      "bytes=1-5",
                                      "bytes=0-",
                                      "bytes 0-5",
                                      "bytes=0-5x",
                                      "bytes=0-5,7-9",
                                      "bytes=-5",
                                      "bytes=0--1",
                                      "0-5",
                                      "bytes=0-18446744073709551615"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t held = 7;
        if (range_held_parse(bad[i], &held))
            fail_msg("%s", bad[i]);
        assert_int_equal(held, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_of_a_part_is_read),
        cmocka_unit_test(range_that_cannot_be_is_refused),
        cmocka_unit_test(bytes_a_session_holds_are_counted_from_nothing),
        cmocka_unit_test(other_text_holds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
