#include "cmd/again.h"
#include "cmd/byte_range.h"
#include "cmd/human.h"
#include "cmd/stage.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The reference model: five files of 3.9 GB at most. One file is one task's, whatever there are. */
static const struct stage_ways reference = {
    .bytes = 16794189824, .largest = 3980819456, .tasks = 5, .date = ""};

static void hint_says_what_both_ways_take(void **state)
{
    char text[STAGE_HINT];
    (void)state;
    assert_string_equal(
        stage_hint(&reference, text),
        "16.8 GB from here: 2 min 14 s at 1 Gbit/s up and down, 22 min 24 s at 100 Mbit/s; --via job, "
        "beside the bucket, needs an --image: 20 s to 2 min 39 s");
    assert_string_equal(
        stage_hint(&(struct stage_ways){.bytes = 16000000000, .largest = 16000000000, .tasks = 1}, text),
        "16.0 GB from here: 2 min 8 s at 1 Gbit/s up and down, 21 min 20 s at 100 Mbit/s; --via job, "
        "beside the bucket, needs an --image: 1 min 20 s to 10 min 40 s");
}

static void way_that_is_expected_to_be_done_first_is_chosen(void **state)
{
    char text[STAGE_HINT];
    struct stage_ways w = reference;
    (void)state;
    assert_int_equal(stage_choose_way(&w, text), VIA_JOB);
    assert_string_equal(
        text, "16.8 GB by --via job, which is expected to be done first: here 2 min 14 s at 1 Gbit/s up and "
              "down, 22 min 24 s at 100 Mbit/s; job 20 s to 2 min 39 s; vm 2 min 4 s to 13 min 42 s");
    w.from_hub = 500e6;
    w.date = "2026-11-25";
    assert_int_equal(stage_choose_way(&w, text), VIA_HERE);
    assert_string_equal(
        text,
        "16.8 GB by --via here, which is expected to be done first: here 34 s at least, at the 500 MB/s "
        "that came from the hub on 2026-11-25; job 20 s to 2 min 39 s; vm 2 min 4 s to 13 min 42 s");
    w.from_hub = 1e6;
    assert_int_equal(stage_choose_way(&w, text), VIA_JOB);
}

static void sizes_have_three_digits(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {999, "999 B"},
        {1000, "1.00 kB"},
        {9994, "9.99 kB"},
        {9996, "10.0 kB"},
        {99960, "100 kB"},
        {999499, "999 kB"},
        {999500, "1.00 MB"},
        {3911340848, "3.91 GB"},
        {16797000000, "16.8 GB"},
        {UINT64_MAX, "18.4 EB"},
    };
    char text[HUMAN_TEXT];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(human_bytes(cases[i].bytes, text), cases[i].text);
}

static void times_have_two_units(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {
        {-1, "0 s"},         {0.4, "0 s"},        {59.4, "59 s"},         {59.6, "1 min 0 s"},
        {200, "3 min 20 s"}, {7500, "2 h 5 min"}, {1e300, "999 h 0 min"},
    };
    char text[HUMAN_TEXT];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(human_seconds(cases[i].seconds, text), cases[i].text);
}

static void ranges_are_read_as_http_reads_them(void **state)
{
    static const struct {
        const char *text;
        uint64_t size, offset, length;
    } cases[] = {
        {"0-99", 1000, 0, 100},
        {"0-99", 50, 0, 50},
        {"100-", 1000, 100, 900},
        {"100-", 100, 100, 0},
        {"-100", 1000, 900, 100},
        {"-100", 50, 0, 50},
        {"5-5", 10, 5, 1},
        {"0-0", 0, 0, 0},
        {"999-2000", 1000, 999, 1},
        {"2000-", 1000, 1000, 0},
        {"0-18446744073709551615", 7, 0, 7},
        {"12-20", 10, 10, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct byte_range r;
        struct err e = {0};
        uint64_t offset, length;
        assert_true(byte_range_parse(&r, cases[i].text, &e));
        byte_range_of(&r, cases[i].size, &offset, &length);
        assert_int_equal(offset, cases[i].offset);
        assert_int_equal(length, cases[i].length);
    }
}

static void range_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = {
        "",     "-",    "-0",   "5",    "a-b", "5-4",   "1-2-3",
        " 1-2", "1 -2", "1-2 ", "+1-2", "--1", "0x1-2", "99999999999999999999-"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct byte_range r;
        struct err e = {0};
        assert_false(byte_range_parse(&r, bad[i], &e));
        assert_int_equal(e.kind, ERR_USAGE);
        assert_non_null(strstr(e.text, "--range: "));
    }
}

static void command_can_be_pasted_into_a_shell(void **state)
{
    char words[][12] = {"a b", "gs://b/x", "it's", "", "-r", "*.bin", "$HOME", "音"};
    char *args[8];
    struct arena *a = arena_new(4096);
    (void)state;
    for (int i = 0; i < 8; i++)
        args[i] = words[i];
    assert_string_equal(command_again(a, "cp", args, 8),
                        "ferry cp 'a b' gs://b/x 'it'\\''s' '' -r '*.bin' '$HOME' '音'");
    assert_string_equal(command_again(a, "cp", args, 0), "ferry cp");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hint_says_what_both_ways_take),
        cmocka_unit_test(way_that_is_expected_to_be_done_first_is_chosen),
        cmocka_unit_test(sizes_have_three_digits),
        cmocka_unit_test(times_have_two_units),
        cmocka_unit_test(ranges_are_read_as_http_reads_them),
        cmocka_unit_test(range_that_is_none_is_refused),
        cmocka_unit_test(command_can_be_pasted_into_a_shell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
