/* The configuration in force and the thread that looks for it. */
#include "fake_source.h"

#include "base/clock.h"
#include "base/log.h"
#include "serve/config/poller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A live with its source, and what it wrote to the log. */
struct fixture {
    struct fake_source source;
    struct live *live;
    int log; /* a file without a name */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = {0};
    char name[] = "/tmp/ferry-test-live-XXXXXX";
    f->log = mkstemp(name);
    unlink(name);
    log_set_fd(f->log);
    fake_source_init(&f->source);
    f->live = live_new(&f->source.source, 1000, &e);
    *state = f;
    return f->live ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    live_free(f->live);
    log_set_fd(2);
    close(f->log);
    free(f);
    return 0;
}

/* Lines of the log so far that contain both. */
static int logged(const struct fixture *f, const char *a, const char *b)
{
    static char text[1 << 16];
    ssize_t n = pread(f->log, text, sizeof text - 1, 0);
    int count = 0;
    text[n > 0 ? n : 0] = 0;
    for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        count += strstr(line, a) && strstr(line, b);
    return count;
}

static void expect_in_force(struct fixture *f, int64_t generation, const char *json)
{
    struct config_version *v = live_hold(f->live);
    assert_int_equal(v->generation, generation);
    assert_string_equal(v->config.json, json);
    version_drop(v);
}

static struct live_status status(struct fixture *f)
{
    struct live_status s;
    live_status(f->live, &s);
    return s;
}

/* --- what is in force --- */

static void bad_objects_leave_the_last_good_one_in_force(void **state)
{
    static const char *const bad[] = {
        "", "{", "[]", "{\"tempreature\":1}", "{\"temperature\":9}", "{\"max_tokens\":\"9\"}"};
    struct fixture *f = *state;
    fake_source_put(&f->source, 100, "{\"max_tokens\":7}");
    live_check(f->live, NULL);
    expect_in_force(f, 100, "{\"max_tokens\":7}");
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++) {
        fake_source_put(&f->source, 101 + i, bad[i]);
        for (int again = 0; again < 3; again++)
            live_check(f->live, NULL);
        expect_in_force(f, 100, "{\"max_tokens\":7}");
        struct live_status s = status(f);
        assert_int_equal(s.good, 100);
        assert_int_equal(s.bad, 101 + i);
        assert_true(s.bad_stands);
        assert_int_equal(s.rejected, i + 1);
        char generation[40];
        snprintf(generation, sizeof generation, "\"generation\":%d,", 101 + i);
        assert_int_equal(logged(f, "configuration refused; the one before stays in force", generation), 1);
    }
    assert_int_equal(f->source.reads, 1 + (int)(sizeof bad / sizeof *bad)); /* each was read once */
    assert_non_null(strstr(status(f).problem.text, "max_tokens: got a string"));
    fake_source_put(&f->source, 200, "{}");
    live_check(f->live, NULL);
    expect_in_force(f, 200, "{}");
    assert_false(status(f).bad_stands);
    assert_int_equal(status(f).bad, 106); /* the last one refused stays known */
}

static void too_large_an_object_is_refused_unread(void **state)
{
    struct fixture *f = *state;
    fake_source_put(&f->source, 5, "{}");
    f->source.size = SERVICE_CONFIG_MAX_BYTES + 1;
    live_check(f->live, NULL);
    expect_in_force(f, 0, "{}");
    assert_string_equal(status(f).problem.text, "262145 bytes, expected at most 262144");
}

static void without_an_object_the_defaults_are_in_force_and_it_says_so_once(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        live_check(f->live, NULL);
    expect_in_force(f, 0, "{}");
    assert_int_equal(logged(f, "there is no configuration object", "no such object"), 1);
    assert_int_equal(status(f).failed, 0);
    fake_source_put(&f->source, 3, "{\"seed\":1}");
    live_check(f->live, NULL);
    expect_in_force(f, 3, "{\"seed\":1}");
}

static void bad_object_at_the_start_leaves_the_defaults(void **state)
{
    struct fixture *f = *state;
    fake_source_put(&f->source, 9, "{\"temperature\":-1}");
    live_check(f->live, NULL);
    expect_in_force(f, 0, "{}");
    assert_int_equal(logged(f, "the model's own defaults are in force", "-1 is out of range"), 1);
}

static void object_that_goes_away_stays_in_force_and_may_come_back(void **state)
{
    struct fixture *f = *state;
    fake_source_put(&f->source, 4, "{\"seed\":4}");
    live_check(f->live, NULL);
    fake_source_put(&f->source, 0, "");
    live_check(f->live, NULL);
    expect_in_force(f, 4, "{\"seed\":4}");
    assert_int_equal(status(f).failure.kind, ERR_NOT_FOUND);
    fake_source_put(&f->source, 4, "{\"seed\":5}"); /* the same number for another content: only here */
    live_check(f->live, NULL);
    expect_in_force(f, 4, "{\"seed\":5}");
    assert_int_equal(status(f).failure.kind, ERR_NONE);
}

static void place_that_does_not_answer_is_told_once_and_counted(void **state)
{
    struct fixture *f = *state;
    fake_source_put(&f->source, 4, "{\"seed\":4}");
    live_check(f->live, NULL);
    for (int i = 0; i < 5; i++) {
        fake_source_fail(&f->source, i % 2 ? ERR_TRANSIENT : ERR_AUTH, "HTTP 503");
        live_check(f->live, NULL);
    }
    expect_in_force(f, 4, "{\"seed\":4}");
    assert_int_equal(status(f).failed, 5);
    assert_string_equal(status(f).failure.text, "HTTP 503");
    assert_int_equal(logged(f, "cannot be read", "HTTP 503"), 1);
    fake_source_put(&f->source, 4, "{\"seed\":4}");
    live_check(f->live, NULL);
    assert_int_equal(logged(f, "can be read again", ""), 1);
    assert_int_equal(f->source.reads, 1);
}

static void version_that_is_held_does_not_change(void **state)
{
    struct fixture *f = *state;
    fake_source_put(&f->source, 1, "{\"system_prompt\":\"one\"}");
    live_check(f->live, NULL);
    struct config_version *held = live_hold(f->live);
    fake_source_put(&f->source, 2, "{\"system_prompt\":\"two\"}");
    live_check(f->live, NULL);
    expect_in_force(f, 2, "{\"system_prompt\":\"two\"}");
    assert_string_equal(held->config.system_prompt, "one");
    assert_int_equal(held->generation, 1);
    version_drop(held);
}

static bool fits_short_ones(void *arg, const struct service_config *c, struct err *e)
{
    size_t most = *(const size_t *)arg;
    return !c->system_prompt || strlen(c->system_prompt) <= most ||
           err_set(e, ERR_LIMIT, "system_prompt: too long for this model");
}

static void what_the_model_cannot_work_with_is_refused_after_all(void **state)
{
    struct fixture *f = *state;
    size_t most = 5;
    fake_source_put(&f->source, 1, "{\"system_prompt\":\"too long\"}");
    live_check(f->live, NULL);
    expect_in_force(f, 1, "{\"system_prompt\":\"too long\"}"); /* the model is not there yet */
    live_set_fits(f->live, fits_short_ones, &most);
    expect_in_force(f, 0, "{}");
    assert_int_equal(status(f).bad, 1);
    fake_source_put(&f->source, 2, "{\"system_prompt\":\"short\"}");
    live_check(f->live, NULL);
    expect_in_force(f, 2, "{\"system_prompt\":\"short\"}");
    fake_source_put(&f->source, 3, "{\"system_prompt\":\"longer again\"}");
    live_check(f->live, NULL);
    expect_in_force(f, 2, "{\"system_prompt\":\"short\"}");
    assert_int_equal(status(f).rejected, 2);
}

/* --- when to look --- */

static void age_decides_who_looks_and_who_waits(void **state)
{
    static const struct {
        double now_ms;
        enum live_age age;
    } cases[] = {{5000, LIVE_FRESH}, {5999.9, LIVE_FRESH}, {6000, LIVE_DUE},
                 {6999.9, LIVE_DUE}, {7000, LIVE_OVERDUE}, {1e9, LIVE_OVERDUE}};
    struct fixture *f = *state;
    assert_int_equal(live_age(f->live, 0), LIVE_OVERDUE); /* never looked */
    assert_int_equal(live_age(f->live, 1e9), LIVE_OVERDUE);
    live_checked(f->live, 5000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(live_age(f->live, cases[i].now_ms), cases[i].age);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static bool looks_become(struct fixture *f, int looks)
{
    double until = clock_ms() + 10000;
    while (fake_source_looks(&f->source) < looks && clock_ms() < until)
        pause_ms(1);
    return fake_source_looks(&f->source) == looks;
}

static struct poller *start(struct fixture *f)
{
    struct err e = {0};
    struct poller *p = poller_new(f->live, &e);
    assert_non_null(p);
    return p;
}

static void first_request_waits_for_the_first_look(void **state)
{
    struct fixture *f = *state;
    fake_source_put(&f->source, 1, "{\"seed\":1}");
    fake_source_delay(&f->source, 100);
    struct poller *p = start(f);
    poller_fresh(p, clock_ms());
    expect_in_force(f, 1, "{\"seed\":1}");
    assert_int_equal(fake_source_looks(&f->source), 1);
    poller_free(p);
}

static void nobody_looks_while_nobody_asks(void **state)
{
    struct fixture *f = *state;
    fake_source_put(&f->source, 1, "{}");
    struct poller *p = start(f);
    poller_fresh(p, clock_ms());
    pause_ms(300);
    assert_int_equal(fake_source_looks(&f->source), 1);
    poller_free(p);
}

static void fresh_one_costs_no_look_and_due_one_no_waiting(void **state)
{
    struct fixture *f = *state;
    fake_source_put(&f->source, 1, "{}");
    struct poller *p = start(f);
    poller_fresh(p, clock_ms());
    while (poller_is_looking(p))
        pause_ms(1);
    double looked = clock_ms();
    live_checked(f->live, looked);
    fake_source_put(&f->source, 2, "{}");
    fake_source_delay(&f->source, 300);
    for (int i = 0; i < 10; i++)
        poller_fresh(p, looked + 999); /* the interval is 1000 */
    assert_int_equal(fake_source_looks(&f->source), 1);
    poller_fresh(p, looked + 1500);
    expect_in_force(f, 1, "{}"); /* it did not wait */
    for (int i = 0; i < 10; i++)
        poller_fresh(p, looked + 1500); /* one look is enough for all */
    assert_true(looks_become(f, 2));
    while (poller_is_looking(p))
        pause_ms(1);
    expect_in_force(f, 2, "{}");
    assert_int_equal(fake_source_looks(&f->source), 2);
    poller_free(p);
}

static void after_a_pause_the_request_waits_for_the_newest(void **state)
{
    struct fixture *f = *state;
    fake_source_put(&f->source, 1, "{}");
    struct poller *p = start(f);
    poller_fresh(p, clock_ms());
    while (poller_is_looking(p))
        pause_ms(1);
    fake_source_put(&f->source, 2, "{\"seed\":2}");
    fake_source_delay(&f->source, 50);
    live_checked(f->live, clock_ms() - 100000);
    poller_touch(p, clock_ms()); /* when the head comes; the worker waits for what is left */
    poller_fresh(p, clock_ms());
    expect_in_force(f, 2, "{\"seed\":2}");
    assert_int_equal(fake_source_looks(&f->source), 2);
    poller_free(p);
}

static void slow_place_holds_a_request_up_only_so_long(void **state)
{
    struct fixture *f = *state;
    fake_source_put(&f->source, 1, "{}");
    struct poller *p = start(f);
    poller_fresh(p, clock_ms());
    fake_source_put(&f->source, 2, "{}");
    fake_source_delay(&f->source, 60000);
    live_checked(f->live, clock_ms() - 100000);
    double begin = clock_ms();
    poller_fresh(p, begin);
    double waited = clock_ms() - begin;
    assert_true(waited >= POLLER_WAIT_MS - 5 && waited < 10 * POLLER_WAIT_MS);
    expect_in_force(f, 1, "{}");
    begin = clock_ms();
    for (int i = 0; i < 20; i++)
        poller_fresh(p, clock_ms()); /* it still hangs, and holds up nobody any more */
    assert_true(clock_ms() - begin < 10 * POLLER_WAIT_MS);
    begin = clock_ms();
    poller_stop(p);
    poller_fresh(p, begin + 1e6); /* waits no more */
    poller_free(p);               /* nor for the look */
    assert_true(clock_ms() - begin < 2000);
}

enum { READERS = 4, VERSIONS = 300 };

struct reader {
    struct fixture *f;
    struct poller *poller;
    bool mixed;
    _Atomic bool *end;
};

/* Generation g has seed g: a request never sees one of one version and one of another. */
static void *read_versions(void *arg)
{
    struct reader *r = arg;
    while (!atomic_load(r->end)) {
        poller_fresh(r->poller, clock_ms() + 5000); /* always overdue */
        struct config_version *v = live_hold(r->f->live);
        r->mixed = r->mixed || (v->generation && v->config.seed != (uint64_t)v->generation);
        version_drop(v);
    }
    return NULL;
}

static void readers_beside_changes_see_whole_versions(void **state)
{
    struct fixture *f = *state;
    struct poller *p = start(f);
    struct reader readers[READERS];
    pthread_t threads[READERS];
    _Atomic bool end = false;
    static char text[VERSIONS + 1][40];
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.f = f, .poller = p, .end = &end};
        assert_int_equal(pthread_create(&threads[i], NULL, read_versions, &readers[i]), 0);
    }
    for (int i = 1; i <= VERSIONS; i++) {
        snprintf(text[i], sizeof text[i], i % 3 ? "{\"seed\":%d}" : "{\"seed\":%d", i); /* a third is bad */
        fake_source_put(&f->source, i, text[i]);
        pause_ms(1);
    }
    atomic_store(&end, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(readers[i].mixed);
    }
    assert_true(status(f).rejected > 0);
    poller_free(p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_objects_leave_the_last_good_one_in_force),
        TEST(too_large_an_object_is_refused_unread),
        TEST(without_an_object_the_defaults_are_in_force_and_it_says_so_once),
        TEST(bad_object_at_the_start_leaves_the_defaults),
        TEST(object_that_goes_away_stays_in_force_and_may_come_back),
        TEST(place_that_does_not_answer_is_told_once_and_counted),
        TEST(version_that_is_held_does_not_change),
        TEST(what_the_model_cannot_work_with_is_refused_after_all),
        TEST(age_decides_who_looks_and_who_waits),
        TEST(first_request_waits_for_the_first_look),
        TEST(nobody_looks_while_nobody_asks),
        TEST(fresh_one_costs_no_look_and_due_one_no_waiting),
        TEST(after_a_pause_the_request_waits_for_the_newest),
        TEST(slow_place_holds_a_request_up_only_so_long),
        TEST(readers_beside_changes_see_whole_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
