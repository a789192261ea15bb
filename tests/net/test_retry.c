#include "base/clock.h"
#include "base/stop.h"
#include "net/parse/rate_limit.h"
#include "net/retry.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct http_reply *answer(struct http_reply *r, int status, int retry_after, const char *limit)
{
    *r = (struct http_reply){.status = status, .retry_after_seconds = retry_after};
    if (limit)
        snprintf(r->headers, sizeof r->headers, "ratelimit: %s\n", limit);
    return r;
}

static void only_what_may_pass_is_tried_again(void **state)
{
    static const struct {
        int status;
        bool wanted;
    } statuses[] = {{200, false}, {204, false}, {206, false}, {304, false}, {308, false}, {400, false},
                    {401, false}, {403, false}, {404, false}, {409, false}, {410, false}, {412, false},
                    {416, false}, {408, true},  {429, true},  {500, true},  {501, false}, {502, true},
                    {503, true},  {504, true},  {505, false}};
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct retry retry = {.policy = &retry_default};
        struct http_reply r;
        assert_int_equal(retry_wanted(&retry, true, answer(&r, statuses[i].status, 0, NULL), NULL),
                         statuses[i].wanted);
        assert_int_equal(retry.tries, statuses[i].wanted);
    }
}

static void only_transient_failures_are_tried_again(void **state)
{
    (void)state;
    for (enum err_kind kind = ERR_NONE; kind <= ERR_CANCELLED; kind++) {
        struct retry retry = {.policy = &retry_default};
        struct http_reply r = {.status = 503}; /* a half answer decides nothing */
        struct err e = {.kind = kind};
        assert_int_equal(retry_wanted(&retry, false, &r, &e), kind == ERR_TRANSIENT);
    }
}

static void waits_grow_up_to_the_cap_and_differ(void **state)
{
    const struct retry_policy policy = {
        .first_ms = 100, .cap_ms = 1500, .max_seconds = 1000, .longest_wait_s = 1};
    int longest[8] = {0}, shortest[8];
    (void)state;
    for (int i = 0; i < 8; i++)
        shortest[i] = INT32_MAX;
    for (int round = 0; round < 400; round++) {
        struct retry retry = {.policy = &policy};
        for (int i = 0; i < 8; i++) {
            int most = 100 << i < 1500 ? 100 << i : 1500;
            assert_true(retry_again(&retry));
            assert_in_range(retry.wait_ms, 0, most);
            longest[i] = retry.wait_ms > longest[i] ? retry.wait_ms : longest[i];
            shortest[i] = retry.wait_ms < shortest[i] ? retry.wait_ms : shortest[i];
        }
    }
    for (int i = 0; i < 8; i++) { /* of 400 waits none in the last or first quarter: once in 10^49 */
        int most = 100 << i < 1500 ? 100 << i : 1500;
        assert_true(longest[i] > most * 3 / 4);
        assert_true(shortest[i] < most / 4);
    }
}

static void tries_end(void **state)
{
    struct retry retry = {.policy = &retry_default};
    (void)state;
    for (int i = 1; i < retry_default.max_tries; i++)
        assert_true(retry_again(&retry));
    assert_false(retry_again(&retry));
    assert_int_equal(retry.tries, retry_default.max_tries);
}

static void progress_begins_anew(void **state)
{
    struct retry retry = {.policy = &retry_default};
    (void)state;
    for (int i = 0; i < 5 * retry_default.max_tries; i++) {
        assert_true(retry_again(&retry));
        assert_int_equal(retry.tries, 1);
        assert_in_range(retry.wait_ms, 0, retry_default.first_ms);
        retry_progress(&retry);
    }
}

static void time_ends(void **state)
{
    const struct retry_policy policy = {
        .first_ms = 1, .cap_ms = 1, .max_tries = 0, .max_seconds = 10, .longest_wait_s = 60};
    struct http_reply r;
    struct retry retry = {.policy = &policy};
    (void)state;
    assert_true(retry_again(&retry));
    retry.since_ns -= 9000000000u; /* nine of ten seconds gone */
    assert_true(retry_again(&retry));
    assert_false(retry_wanted(&retry, true, answer(&r, 503, 5, NULL), NULL)); /* would end after 14 */
    retry.since_ns -= 2000000000u;
    assert_false(retry_again(&retry));
}

static void answer_that_asks_for_a_wait_gets_it(void **state)
{
    static const struct {
        int status, retry_after;
        const char *limit;
        int least_s, most_s;
    } asks[] = {
        {503, 20, NULL, 20, 20},
        {429, 0, "\"api\";r=0;t=55", 56, 56},
        {429, 7, "\"api\";r=0;t=55", 56, 56},
        {429, 90, "\"api\";r=0;t=55", 90, 90},
        {429, 0, "\"api\";r=12;t=55", 0, 1},      /* another limit was meant */
        {503, 0, "\"resolvers\";r=0;t=55", 0, 1}, /* not why it failed */
        {429, 0, "limit=5, reset=55", 0, 1},      /* an older form: not ours */
        {429, 120, NULL, 120, 120},               /* as long as it may be */
        {429, 121, NULL, -1, -1},                 /* too long: reported, not waited for */
        {429, 0, "\"pages\";r=0;t=120", -1, -1},
        {503, 86400, NULL, -1, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        struct retry retry = {.policy = &retry_default};
        struct http_reply r;
        answer(&r, asks[i].status, asks[i].retry_after, asks[i].limit);
        bool wanted = retry_wanted(&retry, true, &r, NULL);
        assert_int_equal(wanted, asks[i].least_s >= 0);
        if (wanted)
            assert_in_range(retry.wait_ms, asks[i].least_s * 1000, asks[i].most_s * 1000);
    }
}

static void rate_limit_header_is_read_as_a_list(void **state)
{
    static const struct {
        const char *text;
        int seconds;
    } headers[] = {
        {NULL, 0},
        {"", 0},
        {"\"api\"", 0},
        {"\"api\";r=0;t=55", 55},
        {"\"api\"; r=0; t=55", 55},
        {"\"api\";t=55;r=0", 55},
        {"\"api\";r=1;t=55", 0},
        {"\"api\";t=55", 0},
        {"\"api\";r=0", 0},
        {"\"api\";r=0;t=5, \"resolvers\";r=0;t=50 , \"pages\";r=3;t=500", 50},
        {"\"a;r=0;t=9,b\";r=4;t=5", 0}, /* inside quotes it is a name */
        {"\"a\\\";r=0;t=9\";r=0;t=5", 5},
        {"\"unfinished;r=0;t=9", 0},
        {"\"api\";r=0;t=-5", 0},
        {"\"api\";r=0;t=5s", 0},
        {"\"api\";rr=0;t=5", 0},
        {"\"api\";r=0;t=99999999999999999999", 86400},
        {"\"api\";r=99999999999999999999;t=5", 0},
        {";;;,,,;r=0;t=3", 3},
        {"\\", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        assert_int_equal(rate_limit_seconds(headers[i].text), headers[i].seconds);
}

static void wait_lasts_as_long_as_it_says(void **state)
{
    struct retry retry = {.policy = &retry_default, .wait_ms = 120};
    uint64_t begin = clock_ns();
    (void)state;
    assert_true(retry_wait(&retry));
    assert_true(clock_ns() - begin >= 120000000u);
}

static volatile sig_atomic_t stop;

static void *stop_soon(void *arg)
{
    struct timespec t = {.tv_nsec = 100000000};
    (void)arg;
    nanosleep(&t, NULL);
    stop_ask(&stop);
    return NULL;
}

static void stop_ends_a_wait_and_the_tries(void **state)
{
    struct retry retry = {.policy = &retry_default, .stop = &stop, .wait_ms = 60000};
    uint64_t begin = clock_ns();
    pthread_t thread;
    (void)state;
    stop = 0;
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
    assert_false(retry_wait(&retry));
    pthread_join(thread, NULL);
    assert_true(clock_ns() - begin < 10000000000u);
    assert_false(retry_again(&retry));
}

static void client_that_winds_down_ends_a_wait_and_the_tries(void **state)
{
    struct err e = {0};
    struct http *h = http_new(&e);
    pthread_t thread;
    (void)state;
    assert_non_null(h);
    stop = 0;
    http_wind_down(h, &stop);
    struct retry retry = retry_start(&retry_default, h, NULL);
    assert_true(retry_again(&retry));
    retry.wait_ms = 60000;
    uint64_t begin = clock_ns();
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
    assert_false(retry_wait(&retry));
    pthread_join(thread, NULL);
    assert_true(clock_ns() - begin < 10000000000u);
    assert_false(retry_again(&retry));
    http_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_may_pass_is_tried_again),
        cmocka_unit_test(only_transient_failures_are_tried_again),
        cmocka_unit_test(waits_grow_up_to_the_cap_and_differ),
        cmocka_unit_test(tries_end),
        cmocka_unit_test(progress_begins_anew),
        cmocka_unit_test(time_ends),
        cmocka_unit_test(answer_that_asks_for_a_wait_gets_it),
        cmocka_unit_test(rate_limit_header_is_read_as_a_list),
        cmocka_unit_test(wait_lasts_as_long_as_it_says),
        cmocka_unit_test(stop_ends_a_wait_and_the_tries),
        cmocka_unit_test(client_that_winds_down_ends_a_wait_and_the_tries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
