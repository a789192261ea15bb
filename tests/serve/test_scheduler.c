#include "fixture.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct scheduler *scheduler_of(struct loaded_model *m, int max_waiting)
{
    struct err e = {0};
    struct scheduler *s = scheduler_new(m, max_waiting, &e);
    assert_non_null(s);
    return s;
}

static struct generation *submit(struct scheduler *s, const struct generation_spec *spec, struct heard *h)
{
    struct err e = {0};
    struct generation *g = generation_new(spec, heard_sink(h), &e);
    assert_non_null(g);
    if (!scheduler_submit(s, g, &e))
        fail_msg("%s", e.text);
    return g;
}

/* ---- what a generation is told ---- */

static void a_greedy_answer_is_the_references(void **state)
{
    (void)state;
    struct loaded_model m;
    struct question q;
    struct heard *h = heard_new();
    open_tiny(&m, 2, 0);
    question_init(&q, &m, "What does the speaker say?", "short_1p3s.wav", 24);
    struct scheduler *s = scheduler_of(&m, 4);
    struct generation_spec spec = prepared_spec(&q.prepared, &q.request);
    struct generation *g = submit(s, &spec, h);
    wait_last(h);
    char *want = golden_text("b_short");
    assert_false(h->failed);
    assert_string_equal(h->choices[0].text, want);
    assert_int_equal(h->choices[0].finish, FINISH_LENGTH);
    assert_int_equal(h->stats.completion_tokens, 24);
    assert_int_equal(h->stats.prompt_tokens, 85);
    assert_int_equal(h->started, 1);
    assert_true(h->stats.first_token_ms > 0 && h->stats.total_ms >= h->stats.first_token_ms);
    free(want);
    generation_free(g);
    scheduler_free(s);
    question_clear(&q);
    heard_free(h);
    loaded_model_close(&m);
}

static void values_out_of_range_are_refused_at_submission(void **state)
{
    (void)state;
    struct loaded_model m;
    struct question q;
    struct heard *h = heard_new();
    struct err e = {0};
    open_tiny(&m, 1, 0);
    question_init(&q, &m, "Hello", NULL, 4);
    struct scheduler *s = scheduler_of(&m, 4);
    struct generation_spec spec = prepared_spec(&q.prepared, &q.request);
    spec.sampling.top_p = 7;
    struct generation *g = generation_new(&spec, heard_sink(h), &e);
    assert_false(scheduler_submit(s, g, &e));
    assert_int_equal(e.kind, ERR_USAGE);
    assert_non_null(strstr(e.text, "top_p"));
    generation_free(g);
    scheduler_free(s);
    assert_false(h->done);
    question_clear(&q);
    heard_free(h);
    loaded_model_close(&m);
}

static void a_stop_string_ends_the_text_before_it(void **state)
{
    (void)state;
    struct loaded_model m;
    struct question q;
    struct heard *h = heard_new();
    char *whole = golden_text("b_short");
    char stop[8] = {0};
    memcpy(stop, " wece", 5);
    open_tiny(&m, 1, 0);
    question_init(&q, &m, "What does the speaker say?", "short_1p3s.wav", 24);
    q.request.stops[0] = stop;
    q.request.stop_count = 1;
    struct scheduler *s = scheduler_of(&m, 4);
    struct generation_spec spec = prepared_spec(&q.prepared, &q.request);
    struct generation *g = submit(s, &spec, h);
    wait_last(h);
    *strstr(whole, stop) = '\0';
    assert_string_equal(h->choices[0].text, whole);
    assert_int_equal(h->choices[0].finish, FINISH_STOP);
    assert_true(h->choices[0].tokens < 24);
    free(whole);
    generation_free(g);
    scheduler_free(s);
    question_clear(&q);
    heard_free(h);
    loaded_model_close(&m);
}

static void a_full_context_ends_an_answer(void **state)
{
    (void)state;
    struct loaded_model m;
    struct question q;
    struct heard *h = heard_new();
    open_tiny(&m, 1, 128);
    question_init(&q, &m, "Hello", NULL, 0);
    struct scheduler *s = scheduler_of(&m, 4);
    struct generation_spec spec = prepared_spec(&q.prepared, &q.request);
    struct generation *g = submit(s, &spec, h);
    wait_last(h);
    assert_false(h->failed);
    assert_int_equal(h->choices[0].finish, FINISH_LENGTH);
    assert_int_equal(h->stats.prompt_tokens + h->choices[0].tokens,
                     128 + 1); /* the last one needs no place */
    generation_free(g);
    scheduler_free(s);
    question_clear(&q);
    heard_free(h);
    loaded_model_close(&m);
}

static void every_token_has_one_logprob(void **state)
{
    (void)state;
    struct loaded_model m;
    struct question q;
    struct heard *h = heard_new();
    open_tiny(&m, 1, 0);
    question_init(&q, &m, "What does the speaker say?", "short_1p3s.wav", 24);
    q.request.logprobs = true;
    q.request.top_logprobs = 3;
    q.request.stops[0] = "no such text in it";
    q.request.stop_count = 1;
    struct scheduler *s = scheduler_of(&m, 4);
    struct generation_spec spec = prepared_spec(&q.prepared, &q.request);
    struct generation *g = submit(s, &spec, h);
    wait_last(h);
    assert_int_equal(h->choices[0].reports, 24);
    generation_free(g);
    scheduler_free(s);
    question_clear(&q);
    heard_free(h);
    loaded_model_close(&m);
}

/* ---- many at a time ---- */

enum { MANY = 7 };

static const struct {
    const char *text, *audio;
    float temperature;
    int max_tokens;
} asked[MANY] = {
    {"What does the speaker say?", "short_1p3s.wav", 0, 24},
    {"Hello", NULL, 1, 60},
    {"Count to ten.", NULL, 0.7F, 90},
    {"Tell me a story.", NULL, 1.5F, 40},
    {"Hello", NULL, 1, 60},
    {"x", NULL, 0, 1},
    {"What is heard?", "short_1p3s.wav", 1, 50},
};

static void ask_all(struct loaded_model *m, struct heard *heard[MANY], bool together)
{
    struct question q[MANY];
    struct generation_spec spec[MANY];
    struct generation *g[MANY];
    struct scheduler *s = scheduler_of(m, MANY);
    for (int i = 0; i < MANY; i++) {
        question_init(&q[i], m, asked[i].text, asked[i].audio, asked[i].max_tokens);
        q[i].request.sampling.temperature = asked[i].temperature;
        q[i].request.sampling.seed = (uint64_t)i % 4;
        q[i].request.has_seed = true;
        spec[i] = prepared_spec(&q[i].prepared, &q[i].request);
        heard[i] = heard_new();
        g[i] = submit(s, &spec[i], heard[i]);
        if (!together)
            wait_last(heard[i]);
    }
    for (int i = 0; i < MANY; i++) {
        wait_last(heard[i]);
        assert_false(heard[i]->failed);
        generation_free(g[i]);
        question_clear(&q[i]);
    }
    scheduler_free(s);
}

static void answers_do_not_depend_on_who_runs_beside(void **state)
{
    (void)state;
    struct loaded_model m;
    struct heard *alone[MANY], *together[MANY];
    open_tiny(&m, 3, 0);
    ask_all(&m, alone, false);
    ask_all(&m, together, true);
    for (int i = 0; i < MANY; i++) {
        assert_string_equal(together[i]->choices[0].text, alone[i]->choices[0].text);
        assert_int_equal(together[i]->choices[0].tokens, alone[i]->choices[0].tokens);
        heard_free(alone[i]);
        heard_free(together[i]);
    }
    loaded_model_close(&m);
}

static void ask_choices(int parallel, int choices, struct heard *h)
{
    struct loaded_model m;
    struct question q;
    open_tiny(&m, parallel, 0);
    question_init(&q, &m, "What does the speaker say?", "short_1p3s.wav", 30);
    q.request.choices = choices;
    q.request.sampling.temperature = 1;
    q.request.sampling.seed = 11;
    q.request.has_seed = true;
    struct scheduler *s = scheduler_of(&m, 4);
    struct generation_spec spec = prepared_spec(&q.prepared, &q.request);
    struct generation *g = submit(s, &spec, h);
    wait_last(h);
    assert_false(h->failed);
    assert_int_equal(h->finishes, choices);
    generation_free(g);
    scheduler_free(s);
    question_clear(&q);
    loaded_model_close(&m);
}

/* With one session, with fewer than choices, with enough. */
static void choices_are_the_same_however_many_sessions_there_are(void **state)
{
    (void)state;
    struct heard *first = heard_new();
    ask_choices(1, 5, first);
    assert_string_not_equal(first->choices[0].text, first->choices[1].text);
    for (int parallel = 2; parallel <= 6; parallel += 2) {
        struct heard *h = heard_new();
        ask_choices(parallel, 5, h);
        for (int i = 0; i < 5; i++)
            assert_string_equal(h->choices[i].text, first->choices[i].text);
        heard_free(h);
    }
    heard_free(first);
}

static void two_requests_that_want_more_sessions_than_there_are_both_finish(void **state)
{
    (void)state;
    struct loaded_model m;
    struct question q;
    struct heard *h[3];
    struct generation *g[3];
    open_tiny(&m, 2, 0);
    question_init(&q, &m, "Hello", NULL, 12);
    q.request.choices = 4;
    q.request.sampling.temperature = 1;
    struct scheduler *s = scheduler_of(&m, 4);
    struct generation_spec spec = prepared_spec(&q.prepared, &q.request);
    for (int i = 0; i < 3; i++)
        g[i] = submit(s, &spec, h[i] = heard_new());
    for (int i = 0; i < 3; i++) {
        wait_last(h[i]);
        assert_false(h[i]->failed);
        assert_int_equal(h[i]->finishes, 4);
        for (int k = 0; k < 4; k++)
            assert_string_equal(h[i]->choices[k].text, h[0]->choices[k].text);
    }
    for (int i = 0; i < 3; i++) {
        generation_free(g[i]);
        heard_free(h[i]);
    }
    scheduler_free(s);
    question_clear(&q);
    loaded_model_close(&m);
}

/* ---- queue, cancellation, end ---- */

/* Varied text that does not stop by itself, however the dice fall. */
static void talk_on(struct chat_request *r)
{
    static const struct logit_bias stop_ids[] = {{1024, -100}, {1026, -100}}; /* generation_config.json */
    r->sampling.temperature = 1.5F;
    r->sampling.bias = stop_ids;
    r->sampling.bias_count = 2;
}

static void a_full_queue_is_busy_and_a_cancelled_request_makes_room(void **state)
{
    (void)state;
    struct loaded_model m;
    struct question q;
    struct heard *running = heard_new(), *waiting = heard_new(), *refused = heard_new();
    struct err e = {0};
    open_tiny(&m, 1, 0);
    question_init(&q, &m, "Hello", NULL, 0);
    talk_on(&q.request);
    struct scheduler *s = scheduler_of(&m, 1);
    struct generation_spec spec = prepared_spec(&q.prepared, &q.request);
    struct generation *first = submit(s, &spec, running);
    wait_text(running, 1);
    struct generation *second = submit(s, &spec, waiting);
    assert_int_equal(scheduler_load(s).waiting, 1);
    assert_int_equal(scheduler_load(s).running, 1);
    struct generation *third = generation_new(&spec, heard_sink(refused), &e);
    assert_false(scheduler_submit(s, third, &e));
    assert_int_equal(e.kind, ERR_BUSY);
    assert_non_null(strstr(e.text, "1 requests wait already"));

    scheduler_cancel(s, second);
    wait_last(waiting);
    assert_true(waiting->failed);
    assert_int_equal(waiting->err.kind, ERR_CANCELLED);
    assert_int_equal(waiting->started, 0);
    assert_false(running->done);
    assert_true(scheduler_submit(s, third, &e));

    scheduler_cancel(s, first);
    wait_last(running);
    assert_int_equal(running->err.kind, ERR_CANCELLED);
    wait_text(refused, 1); /* its session is free again */
    scheduler_free(s);     /* fails the rest */
    assert_int_equal(refused->started, 1);
    assert_true(refused->failed);
    assert_non_null(strstr(refused->err.text, "stopping"));
    struct generation *all[] = {first, second, third};
    for (int i = 0; i < 3; i++)
        generation_free(all[i]);
    struct heard *ears[] = {running, waiting, refused};
    for (int i = 0; i < 3; i++)
        heard_free(ears[i]);
    question_clear(&q);
    loaded_model_close(&m);
}

static void draining_finishes_what_can_and_takes_nothing_new(void **state)
{
    (void)state;
    struct loaded_model m;
    struct question q;
    struct heard *h = heard_new(), *late = heard_new();
    struct err e = {0};
    open_tiny(&m, 1, 0);
    question_init(&q, &m, "Hello", NULL, 20);
    struct scheduler *s = scheduler_of(&m, 4);
    struct generation_spec spec = prepared_spec(&q.prepared, &q.request);
    struct generation *g = submit(s, &spec, h);
    assert_true(scheduler_drain(s, 60));
    assert_true(h->done && !h->failed);
    struct generation *g2 = generation_new(&spec, heard_sink(late), &e);
    assert_false(scheduler_submit(s, g2, &e));
    assert_int_equal(e.kind, ERR_CANCELLED);
    generation_free(g);
    generation_free(g2);
    scheduler_free(s);
    question_clear(&q);
    heard_free(h);
    heard_free(late);
    loaded_model_close(&m);
}

static void draining_cuts_what_cannot_finish_in_time(void **state)
{
    (void)state;
    struct loaded_model m;
    struct question q;
    struct heard *h = heard_new(), *waiting = heard_new();
    open_tiny(&m, 1, 0);
    question_init(&q, &m, "Hello", NULL, 0);
    talk_on(&q.request);
    struct scheduler *s = scheduler_of(&m, 4);
    struct generation_spec spec = prepared_spec(&q.prepared, &q.request);
    spec.max_tokens = 8000;
    struct generation *g = submit(s, &spec, h), *w = submit(s, &spec, waiting);
    wait_text(h, 1);
    double begin = clock_ms();
    bool all = scheduler_drain(s, 0.05);
    assert_true(clock_ms() - begin < 20000);
    assert_false(all);
    assert_true(h->failed && waiting->failed);
    assert_true(h->stats.completion_tokens > 0);
    assert_int_equal(waiting->stats.completion_tokens, 0);
    generation_free(g);
    generation_free(w);
    scheduler_free(s);
    question_clear(&q);
    heard_free(h);
    heard_free(waiting);
    loaded_model_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greedy_answer_is_the_references),
        cmocka_unit_test(values_out_of_range_are_refused_at_submission),
        cmocka_unit_test(a_stop_string_ends_the_text_before_it),
        cmocka_unit_test(a_full_context_ends_an_answer),
        cmocka_unit_test(every_token_has_one_logprob),
        cmocka_unit_test(answers_do_not_depend_on_who_runs_beside),
        cmocka_unit_test(choices_are_the_same_however_many_sessions_there_are),
        cmocka_unit_test(two_requests_that_want_more_sessions_than_there_are_both_finish),
        cmocka_unit_test(a_full_queue_is_busy_and_a_cancelled_request_makes_room),
        cmocka_unit_test(draining_finishes_what_can_and_takes_nothing_new),
        cmocka_unit_test(draining_cuts_what_cannot_finish_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
