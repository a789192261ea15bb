/* From samples to rows, rows to JSON and back, and what a service tells of itself. */
#include "cmd/bench.h"
#include "cmd/service_metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void percentile_is_a_value_that_was_measured(void **state)
{
    (void)state;
    static const struct {
        int count; /* of the values count, …, 2, 1 */
        double p50, p90, p99;
    } cases[] = {{1, 1, 1, 1}, {2, 1, 2, 2}, {10, 5, 9, 10}, {100, 50, 90, 99}, {1000, 500, 900, 990}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double values[1000];
        for (int k = 0; k < cases[i].count; k++)
            values[k] = cases[i].count - k;
        struct bench_percentiles p = bench_percentiles_of(values, cases[i].count);
        assert_true(p.p50 == cases[i].p50 && p.p90 == cases[i].p90 && p.p99 == cases[i].p99);
    }
    assert_true(isnan(bench_percentiles_of(NULL, 0).p50));
}

static struct bench_point point_of(struct bench_sample *items, int count)
{
    struct bench_point p;
    struct bench_samples s = {.items = items, .count = count, .failure = "why"};
    assert_true(bench_point_of(&p, BENCH_OPEN, 2, &s));
    return p;
}

static void row_counts_from_when_a_request_was_due(void **state)
{
    (void)state;
    struct bench_sample items[] = {
        {.due_ms = 2000, .sent_ms = 2500, .first_ms = 2600, .end_ms = 3000, .tokens = 5, .ok = true},
        {.due_ms = 1000, .sent_ms = 1000, .first_ms = 1100, .end_ms = 2000, .tokens = 7, .ok = true},
        {.due_ms = 4000, .sent_ms = 4000, .end_ms = 4250},
    };
    struct bench_point p = point_of(items, 3);
    assert_int_equal(p.requests, 2);
    assert_int_equal(p.failed, 1);
    assert_string_equal(p.failure, "why");
    assert_true(p.first_ms.p50 == 100 && p.first_ms.p99 == 600);
    assert_true(p.total_ms.p50 == 1000 && p.total_ms.p99 == 1000);
    assert_true(p.tokens == 12);
    assert_true(isnan(p.tokens_per_second.p50));
    assert_true(fabs(p.seconds - 3.25) < 1e-9);
    assert_true(fabs(p.busy_seconds - 1.75) < 1e-9); /* 1 + 0.5 + 0.25 */
}

static void time_with_two_under_way_is_billed_once(void **state)
{
    (void)state;
    struct bench_sample items[] = {
        {.sent_ms = 0, .end_ms = 1000, .ok = true},
        {.sent_ms = 200, .end_ms = 400, .ok = true},
        {.sent_ms = 900, .end_ms = 1500, .ok = true},
        {.sent_ms = 2000, .end_ms = 2100, .ok = true},
    };
    assert_true(fabs(point_of(items, 4).busy_seconds - 1.6) < 1e-9);
}

/* 10 s under way for 100 requests are 0.1 s each: 1,000 of them are 100 s of 8 vCPU and 21 GiB. In tier 1 a
 * vCPU-second costs 0.000024, a GiB-second 0.0000025, a million requests 0.40 (data/prices.json):
 * 100 * (8 * 0.000024 + 21 * 0.0000025) + 0.0004 = 0.02485. */
static void thousand_requests_cost_their_time_and_themselves(void **state)
{
    (void)state;
    struct err e = {0};
    struct prices *prices = prices_builtin(&e);
    struct bench_point p = {.requests = 100, .busy_seconds = 10};
    assert_non_null(prices);
    assert_true(fabs(bench_usd_per_1000(&p, prices, (struct run_shape){8, 21}, "asia-northeast1") - 0.02485) <
                1e-9);
    assert_true(isnan(bench_usd_per_1000(&p, prices, (struct run_shape){0, 0}, "asia-northeast1")));
    p.requests = 0;
    assert_true(isnan(bench_usd_per_1000(&p, prices, (struct run_shape){8, 21}, "asia-northeast1")));
    prices_free(prices);
}

static void levels_are_numbers_with_commas(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool whole;
        int count; /* -1: refused */
    } cases[] = {
        {"1,2,4,8", true, 4}, {"none", true, 0},
        {NULL, true, 0},      {"0.5,1e1", false, 2},
        {"", true, -1},       {"1,,2", true, -1},
        {"1,2;3", true, -1},  {"1.5", true, -1},
        {"0", true, -1},      {"257", true, -1},
        {"nan", false, -1},   {"-1", false, -1},
        {"1 2", true, -1},    {"1e99", false, -1},
        {"x", true, -1},      {"1,1,1,1,1,1,1,1,1,1,1,1,1", true, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double levels[BENCH_LEVELS];
        int count;
        struct err e = {0};
        bool ok = bench_levels(cases[i].text, "concurrency", 0.5, 256, cases[i].whole, levels, &count, &e);
        if (ok != (cases[i].count >= 0) || (ok && count != cases[i].count))
            fail_msg("\"%s\": %s", cases[i].text, e.text);
        assert_true(ok || (e.kind == ERR_USAGE && strstr(e.text, "--concurrency")));
    }
}

static void recording_has_its_length_and_repeats_what_it_is_given(void **state)
{
    (void)state;
    static const float samples[] = {0, 0.5f, -2};
    static const unsigned char expected[] = {0, 0, 0, 0x40, 1, 0x80, 0, 0};
    size_t size;
    char *wav = bench_wav(samples, 3, 4.0 / 16000, &size);
    assert_int_equal(size, 44 + 8);
    assert_memory_equal(wav, "RIFF", 4);
    assert_memory_equal(wav + 44, expected, 8);
    free(wav);
    wav = bench_wav(NULL, 0, 1, &size);
    assert_int_equal(size, 44 + 32000);
    bool silent = true;
    for (size_t i = 44; i < size; i++)
        silent = silent && wav[i] == 0;
    assert_false(silent);
    free(wav);
}

/* --- JSON --- */

static struct bench_result some_result(void)
{
    struct bench_result r = {.ferry = "0.1.0",
                             .date = "2026-11-25T20:00:00Z",
                             .service = "http://127.0.0.1:8080",
                             .model = "demo",
                             .audio_seconds = 5,
                             .max_tokens = 64,
                             .shape = {8, 21},
                             .region = "asia-northeast1",
                             .prices = "2026-10-01",
                             .count = BENCH_KINDS};
    for (int i = 0; i < BENCH_KINDS; i++)
        r.points[i] = (struct bench_point){.kind = (enum bench_kind)i,
                                           .level = i == BENCH_COLD ? 0 : i + 0.5,
                                           .requests = 10 * i,
                                           .failed = i % 2,
                                           .seconds = 1.5,
                                           .busy_seconds = 1.25,
                                           .tokens = 12,
                                           .first_ms = {1.5, 2, NAN},
                                           .total_ms = {4, 5, 6},
                                           .tokens_per_second = {NAN, NAN, NAN},
                                           .usd_per_1000 = i ? 0.5 : NAN};
    strcpy(r.points[1].failure, "HTTP 429: busy");
    return r;
}

static char *text_of(json_t *json)
{
    char *text = json_dumps(json, 0);
    json_decref(json);
    assert_non_null(text);
    return text;
}

static void result_comes_back_from_its_json(void **state)
{
    (void)state;
    struct bench_result r = some_result(), back;
    struct err e = {0};
    char *text = text_of(bench_json(&r));
    assert_true(bench_parse(text, strlen(text), &back, &e));
    char *again = text_of(bench_json(&back));
    assert_string_equal(text, again);
    assert_int_equal(back.count, BENCH_KINDS);
    assert_string_equal(back.points[1].failure, "HTTP 429: busy");
    assert_true(isnan(back.points[0].usd_per_1000));
    assert_ptr_equal(bench_find(&back, &r.points[2]), &back.points[2]);
    free(again);
    free(text);
}

static void what_is_no_result_is_refused_by_field(void **state)
{
    (void)state;
    static const struct {
        const char *change, *message; /* change: merged into a row, or into the whole when it names one */
        bool row;
    } cases[] = {
        {"{\"object\":\"plan\"}", "not what `ferry bench --json` writes", false},
        {"{\"date\":5}", "date: expected a short text", false},
        {"{\"points\":{}}", "points: expected a list of rows", false},
        {"{\"max_tokens\":1.5}", "max_tokens: expected a whole number", false},
        {"{\"instance\":[]}", "instance.vcpu: expected a number, 0 or more", false},
        {"{\"kind\":\"warm\"}", "points[0].kind: expected closed, open, length or cold", true},
        {"{\"requests\":-1}", "points[0].requests: expected a number, 0 or more", true},
        {"{\"seconds\":null}", "points[0].seconds: expected a number, 0 or more", true},
        {"{\"total_ms\":{\"p50\":\"x\"}}", "points[0].total_ms.p50: expected a number, 0 or more", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench_result r = some_result(), back;
        struct err e = {0};
        json_t *json = bench_json(&r), *change = json_loads(cases[i].change, 0, NULL);
        json_object_update(cases[i].row ? json_array_get(json_object_get(json, "points"), 0) : json, change);
        json_decref(change);
        char *text = text_of(json);
        assert_false(bench_parse(text, strlen(text), &back, &e));
        assert_string_equal(e.text, cases[i].message);
        free(text);
    }
    struct bench_result back;
    struct err e = {0};
    assert_false(bench_parse("{", 1, &back, &e));
    assert_non_null(strstr(e.text, "line 1: not JSON"));
}

/* --- the report --- */

static char *report_of(const struct bench_result *now, const struct bench_result *old)
{
    char *text = NULL;
    size_t size;
    struct report *r = calloc(1, sizeof *r);
    r->arena = arena_new(1 << 20);
    FILE *f = open_memstream(&text, &size);
    bench_report(r, now, old);
    report_print(r, false, f, -1);
    fclose(f);
    arena_free(r->arena);
    free(r);
    return text;
}

static void report_fits_the_width_and_names_failures(void **state)
{
    (void)state;
    struct bench_result r = some_result();
    for (int i = 0; i < r.count; i++) {
        r.points[i].requests = 123456;
        r.points[i].first_ms = (struct bench_percentiles){123456, 234567, 345678};
        r.points[i].total_ms = (struct bench_percentiles){12.345, 23.456, 999.4};
        r.points[i].tokens_per_second.p50 = 123.4;
    }
    char *text = report_of(&r, NULL);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (strlen(line) > REPORT_WIDTH)
            fail_msg("too wide: %s", line);
    free(text);
    text = report_of(&r, NULL);
    assert_non_null(strstr(text, "HTTP 429: busy"));
    assert_non_null(strstr(text, "123/235/346 s"));
    assert_null(strstr(text, "nan"));
    free(text);
}

static void comparison_tells_the_change_and_what_is_not_the_same(void **state)
{
    (void)state;
    struct bench_result now = some_result(), old = some_result();
    now.points[0].first_ms.p50 = 3; /* 1.5 then */
    now.points[0].tokens = 6;       /* 12 then */
    char *text = report_of(&now, &old);
    assert_non_null(strstr(text, "+100 %"));
    assert_non_null(strstr(text, "-50 %"));
    assert_null(strstr(text, "Not the same was asked"));
    free(text);
    old.max_tokens = 32;
    old.points[0].level = old.points[1].level = old.points[2].level = 99;
    old.points[3].kind = BENCH_OPEN;
    text = report_of(&now, &old);
    assert_non_null(strstr(text, "Not the same was asked"));
    assert_non_null(strstr(text, "no row in common"));
    free(text);
}

/* --- /metrics --- */

static void metrics_are_summed_over_labels(void **state)
{
    (void)state;
    struct service_metrics m;
    service_metrics_parse("# HELP ferry_ready 7\n"
                          "ferry_ready 1\n"
                          "ferry_ready_not 5\n"
                          "ferry_requests_total{route=\"a} \\\" 9\",status=\"200\"} 3\n"
                          "ferry_requests_total{route=\"b\"}\t4 1700000000\n"
                          "ferry_slots NaN\n"
                          "process_start_time_seconds 1.7e9\n"
                          "ferry_requests_waiting\n5\n"
                          "ferry_requests_running{never=\"closed 8\n"
                          "ferry_completion_tokens_total 12",
                          &m);
    assert_true(m.ready == 1);
    assert_true(m.requests == 7);
    assert_true(m.began_s == 1.7e9);
    assert_true(m.completion_tokens == 12);
    assert_true(isnan(m.slots) && isnan(m.waiting) && isnan(m.running) && isnan(m.resident_bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentile_is_a_value_that_was_measured),
        cmocka_unit_test(row_counts_from_when_a_request_was_due),
        cmocka_unit_test(time_with_two_under_way_is_billed_once),
        cmocka_unit_test(thousand_requests_cost_their_time_and_themselves),
        cmocka_unit_test(levels_are_numbers_with_commas),
        cmocka_unit_test(recording_has_its_length_and_repeats_what_it_is_given),
        cmocka_unit_test(result_comes_back_from_its_json),
        cmocka_unit_test(what_is_no_result_is_refused_by_field),
        cmocka_unit_test(report_fits_the_width_and_names_failures),
        cmocka_unit_test(comparison_tells_the_change_and_what_is_not_the_same),
        cmocka_unit_test(metrics_are_summed_over_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
