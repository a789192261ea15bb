/* Quantities of a plan as text, and a report on 100 columns. */
#include "cmd/plan_format.h"
#include "cmd/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct report report;
static const struct money dollars = {0}, yen = {150};

static void amounts_have_as_many_digits_as_matter(void **state)
{
    (void)state;
    static const struct {
        double usd;
        const char *dollars, *yen;
    } cases[] = {
        {0, "$0", "¥0"},
        {0.0000042, "$0.0000042", "¥0.00063"},
        {0.00123, "$0.00123", "¥0.184"},
        {0.0332, "$0.0332", "¥4.98"},
        {0.36, "$0.36", "¥54"},
        {1.42, "$1.42", "¥213"},
        {12.34, "$12.3", "¥1,851"},
        {262.8, "$263", "¥39,420"},
        {1036.6, "$1,037", "¥155,490"},
        {NAN, "unknown", "unknown"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(say_usd(&report, &dollars, cases[i].usd), cases[i].dollars);
        assert_string_equal(say_usd(&report, &yen, cases[i].usd), cases[i].yen);
    }
    assert_string_equal(say_usd_span(&report, &dollars, (struct span){1.2, 4.6}), "$1.20–4.60");
    assert_string_equal(say_usd_span(&report, &dollars, span_of(5)), "$5.00");
    assert_string_equal(say_usd_span(&report, &dollars, (struct span){1, NAN}), "unknown");
}

static void times_stand_in_the_unit_that_suits_them(void **state)
{
    (void)state;
    static const struct {
        double least, most;
        const char *text;
    } cases[] = {
        {12, 95, "12–95 s"},      {1, 2, "1.0–2.0 s"},      {0.3, 1, "0.3–1.0 s"},
        {0.004, 0.004, "4.0 ms"}, {0.02, 2, "20 ms–2.0 s"}, {38, 265, "38–265 s"},
        {38, 600, "38 s–10 min"}, {600, 900, "10–15 min"},  {1000, 20000, "17 min–5.6 h"},
        {NAN, 3, "unknown"},      {0, 0, "0.0 ms"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(say_seconds_span(&report, (struct span){cases[i].least, cases[i].most}),
                            cases[i].text);
}

static void counts_and_bytes_read_well(void **state)
{
    (void)state;
    assert_string_equal(say_count(&report, 8397094912), "8,397,094,912");
    assert_string_equal(say_count(&report, 999), "999");
    assert_string_equal(say_count(&report, 1000), "1,000");
    assert_string_equal(say_count(&report, NAN), "unknown");
    assert_string_equal(say_gib(&report, 16794189824), "15.6 GiB");
    assert_string_equal(say_gib(&report, 72 << 20), "72 MiB");
    assert_string_equal(say_gib(&report, 3 << 20), "3.0 MiB");
    assert_string_equal(say_rate(&report, 310e6), "310 MB/s");
    assert_string_equal(say_from_span(&report, (struct span){269.4, 1437}), "269–1,437");
    assert_string_equal(say_from_span(&report, (struct span){INFINITY, INFINITY}), "never");
    assert_string_equal(say_from_span(&report, (struct span){300, INFINITY}), "300–never");
    assert_string_equal(say_from_span(&report, span_of(NAN)), "unknown");
}

/* --- a report --- */

static char *printed(bool explain)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    report_print(&report, explain, f, 1);
    fclose(f);
    return text;
}

static void table_stays_within_its_width(void **state)
{
    (void)state;
    struct report_section *s = report_section(&report, "t", "A table", "name|>number|text");
    REPORT_ROW(s, REPORT_PLAIN, "because of a reason", "音声", "7",
               "a text that is long enough to be broken at its spaces, since there are 100 columns and not "
               "more of them");
    REPORT_ROW(s, REPORT_BAD, NULL, "b", "1,000", "");
    report_note(s, "A sentence behind it.");
    char *text = printed(true);
    assert_string_equal(
        text,
        "title\n"
        "\n"
        "A table\n"
        "  name  number  text\n"
        "  音声       7  a text that is long enough to be broken at its spaces, since there are 100 columns\n"
        "                and not more of them\n"
        "    = because of a reason\n"
        "  b      1,000\n"
        "  A sentence behind it.\n");
    free(text);
    text = printed(false);
    assert_null(strstr(text, "because"));
    free(text);
}

static void what_a_model_says_commands_no_terminal(void **state)
{
    (void)state;
    assert_string_equal(report_text(&report, "a%sb\n", "\x1b[2J\x7f"), "a [2J b ");
}

static void page_escapes_what_it_shows(void **state)
{
    (void)state;
    struct report_section *s = report_section(&report, "t", "T", "a|>b");
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    REPORT_ROW(s, REPORT_CHOSEN, "2 < 3", "<script>", "&\"");
    report_note(s, "run `ferry <x>` now");
    report_html_section(s, f);
    fclose(f);
    assert_null(strstr(text, "<script>"));
    assert_non_null(strstr(
        text,
        "<tr class=\"chosen\"><th scope=\"row\">&lt;script&gt;</th><td class=\"n\">&amp;&quot;</td></tr>"));
    assert_non_null(strstr(text, "run <code>ferry &lt;x&gt;</code> now"));
    assert_non_null(strstr(text, "<dd>2 &lt; 3</dd>"));
    free(text);
}

/* --- charts --- */

static void axes_reach_from_end_to_end(void **state)
{
    (void)state;
    struct axis linear = {0, 50, 100, 600, false}, log = {1, 1000, 0, 300, true};
    double ticks[AXIS_TICKS];
    assert_true(axis_at(&linear, 0) == 100 && axis_at(&linear, 50) == 600 && axis_at(&linear, 25) == 350);
    assert_true(axis_at(&linear, 70) == 600 && axis_at(&linear, -3) == 100);
    assert_true(fabs(axis_at(&log, 10) - 100) < 1e-9 && fabs(axis_at(&log, 1000) - 300) < 1e-9);
    assert_int_equal(axis_ticks(&linear, 5, ticks), 6); /* 0, 10, … 50 */
    assert_true(ticks[1] == 10 && ticks[5] == 50);
    assert_int_equal(axis_ticks(&log, 5, ticks), 4);
    assert_true(fabs(ticks[3] - 1000) < 1e-9);
}

static void labels_move_out_of_each_others_way(void **state)
{
    (void)state;
    double y[] = {300, 295, 294, 100}; /* from the lowest up */
    svg_spread(y, 4, 17, 20, 310);
    for (int i = 1; i < 4; i++)
        assert_true(y[i - 1] - y[i] >= 17 - 1e-9);
    assert_true(y[0] <= 310 && y[3] == 100);
    double high[] = {25, 24, 23};
    svg_spread(high, 3, 17, 20, 310);
    assert_true(high[2] >= 20 && high[1] - high[2] >= 17 - 1e-9 && high[0] - high[1] >= 17 - 1e-9);
}

static int begin(void **state)
{
    (void)state;
    memset(&report, 0, sizeof report);
    report.arena = arena_new(1 << 20);
    report.title = "title";
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_free(report.arena);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(amounts_have_as_many_digits_as_matter),
        test(times_stand_in_the_unit_that_suits_them),
        test(counts_and_bytes_read_well),
        test(table_stays_within_its_width),
        test(what_a_model_says_commands_no_terminal),
        test(page_escapes_what_it_shows),
        test(axes_reach_from_end_to_end),
        test(labels_move_out_of_each_others_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
