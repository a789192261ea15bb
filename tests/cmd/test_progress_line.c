#include "cmd/progress_line.h"

#include <string.h>
#include <utf8proc.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct transfer_progress some_files(void)
{
    struct transfer_progress p = {.bytes_total = 16797000000,
                                  .bytes_done = 5200000000,
                                  .bytes_moved = 5200000000,
                                  .files_total = 13,
                                  .files_done = 2,
                                  .files_skipped = 1,
                                  .running = 2};
    p.flight[0].name = "model-00001-of-00005.safetensors";
    p.flight[0].size = 3911340848;
    p.flight[0].done = 1210000000;
    p.flight[1].name = "音声 モデル.bin";
    p.flight[1].size = 1000;
    return p;
}

static struct progress_view view(const struct transfer_progress *p, int width)
{
    return (struct progress_view){
        .p = p, .bytes_per_second = 212e6, .width = width, .height = 24, .bold = "", .dim = "", .plain = ""};
}

/* Columns that a terminal gives to n bytes of UTF-8. */
static int columns(const char *text, size_t n)
{
    int sum = 0;
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t size =
            utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(n - i), &c);
        assert_true(size > 0);
        sum += utf8proc_charwidth(c);
        i += (size_t)size;
    }
    return sum;
}

static void frame_reads_as_it_should(void **state)
{
    static char out[PROGRESS_FRAME_BYTES];
    struct transfer_progress p = some_files();
    struct progress_view v = view(&p, 100);
    (void)state;
    assert_int_equal(progress_frame(&v, out), 3);
    assert_string_equal(out,
                        "model-00001-of-00005.safetensors                        1.21 GB of 3.91 GB   30 %  "
                        "━━━━────────────\n"
                        "音声 モデル.bin                                             0 B of 1.00 kB    0 %  "
                        "────────────────\n"
                        "total   30 %   5.20 GB of 16.8 GB   212 MB/s   55 s left   3 of 13 files\n");
}

static void no_line_is_as_wide_as_the_terminal(void **state)
{
    static char out[PROGRESS_FRAME_BYTES];
    struct transfer_progress p = some_files();
    (void)state;
    for (int width = 21; width < 200; width++) {
        struct progress_view v = view(&p, width);
        progress_frame(&v, out);
        for (const char *line = out, *end; (end = strchr(line, '\n')); line = end + 1)
            if (columns(line, (size_t)(end - line)) >= width)
                fail_msg("%d columns: %.*s", width, (int)(end - line), line);
    }
}

static void low_terminal_keeps_the_total(void **state)
{
    static char out[PROGRESS_FRAME_BYTES];
    struct transfer_progress p = some_files();
    struct progress_view v = view(&p, 80);
    (void)state;
    v.height = 4;
    assert_int_equal(progress_frame(&v, out), 2);
    v.height = 1;
    assert_int_equal(progress_frame(&v, out), 1);
    assert_int_equal(strncmp(out, "total", 5), 0);
}

static void stopping_takes_the_place_of_the_time_left(void **state)
{
    static char out[PROGRESS_FRAME_BYTES];
    struct transfer_progress p = some_files();
    struct progress_view v = view(&p, 100);
    (void)state;
    v.stopping = true;
    progress_frame(&v, out);
    assert_non_null(strstr(out, "stopping …"));
    assert_null(strstr(out, " left"));
}

static void rate_that_is_not_known_is_not_shown(void **state)
{
    static char out[PROGRESS_FRAME_BYTES];
    struct transfer_progress p = some_files();
    struct progress_view v = view(&p, 100);
    (void)state;
    v.bytes_per_second = 0;
    progress_frame(&v, out);
    assert_null(strstr(out, "/s"));
    assert_null(strstr(out, " left"));
}

static void name_from_outside_cannot_move_the_cursor(void **state)
{
    char out[200];
    (void)state;
    fit_columns(out, sizeof out,
                "a\033[2Jb\nc\xff"
                "d\xc2\x9b\xe2\x80\xae",
                14);
    assert_string_equal(out, "a?[2Jb?c?d??  ");
}

static void text_gets_exactly_its_columns(void **state)
{
    static const char *const texts[] = {"",  "a", "abcdefgh", "音声モデル", "a音b声c", "e\xcc\x81t\xc3\xa9",
                                        "😀😀"};
    char out[200];
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (int n = 1; n < 20; n++) {
            char *end = fit_columns(out, sizeof out, texts[i], n);
            assert_int_equal(columns(out, (size_t)(end - out)), n);
        }
    }
    fit_columns(out, sizeof out, "model-00001.safetensors", 14);
    assert_string_equal(out, "…1.safetensors");
}

static void percent_is_100_only_at_the_end(void **state)
{
    (void)state;
    assert_int_equal(percent_of(0, 0), 100);
    assert_int_equal(percent_of(0, 10), 0);
    assert_int_equal(percent_of(9999999, 10000000), 99);
    assert_int_equal(percent_of(10, 10), 100);
    assert_int_equal(percent_of(UINT64_MAX - 1, UINT64_MAX), 99);
}

static void rate_follows_the_last_seconds(void **state)
{
    struct rate r = {0};
    (void)state;
    assert_true(rate_per_second(&r) == 0);
    rate_add(&r, 1000, 0);
    assert_true(rate_per_second(&r) == 0);
    for (int i = 1; i <= 200; i++)
        rate_add(&r, 1000 + i * 200, (uint64_t)i * 20000000); /* 100 MB/s for 40 s */
    assert_true(rate_per_second(&r) > 99.9e6 && rate_per_second(&r) < 100.1e6);
    for (int i = 201; i <= 260; i++)
        rate_add(&r, 1000 + i * 200, (uint64_t)4000000000); /* then nothing for 12 s */
    assert_true(rate_per_second(&r) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_reads_as_it_should),
        cmocka_unit_test(no_line_is_as_wide_as_the_terminal),
        cmocka_unit_test(low_terminal_keeps_the_total),
        cmocka_unit_test(stopping_takes_the_place_of_the_time_left),
        cmocka_unit_test(rate_that_is_not_known_is_not_shown),
        cmocka_unit_test(name_from_outside_cannot_move_the_cursor),
        cmocka_unit_test(text_gets_exactly_its_columns),
        cmocka_unit_test(percent_is_100_only_at_the_end),
        cmocka_unit_test(rate_follows_the_last_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
