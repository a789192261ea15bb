/* The scheduler while the weights are still arriving. */
#include "late_service.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct service {
    struct late_service v;
    struct scheduler *scheduler;
};

static int open_service(void **state)
{
    struct service *v = calloc(1, sizeof *v);
    struct err e = {0};
    assert_non_null(v);
    late_open(&v->v, 3);
    v->scheduler = scheduler_new(&v->v.arriving, 8, &e);
    *state = v;
    return v->scheduler ? 0 : -1;
}

static int close_service(void **state)
{
    struct service *v = *state;
    scheduler_free(v->scheduler);
    late_close(&v->v);
    free(v);
    return 0;
}

/* One request of the fixture's and what came of it. */
struct asked {
    struct question q;
    struct generation_spec spec;
    struct heard *heard;
    struct generation *generation;
};

static void ask(struct service *v, struct asked *a, struct scheduler *s, const char *text, const char *audio,
                int tokens)
{
    struct err e = {0};
    question_init(&a->q, &v->v.whole, text, audio, tokens);
    a->spec = prepared_spec(&a->q.prepared, &a->q.request);
    a->heard = heard_new();
    a->generation = generation_new(&a->spec, heard_sink(a->heard), &e);
    if (!a->generation || !scheduler_submit(s, a->generation, &e))
        fail_msg("%s", e.text);
}

static void clear(struct asked *a)
{
    generation_free(a->generation);
    question_clear(&a->q);
    heard_free(a->heard);
}

/* What the whole model answers. */
static void expect_same(struct service *v, struct asked *a, const char *text, const char *audio, int tokens)
{
    struct err e = {0};
    struct asked whole;
    struct scheduler *s = scheduler_new(&v->v.whole, 8, &e);
    ask(v, &whole, s, text, audio, tokens);
    wait_last(whole.heard);
    assert_false(a->heard->failed);
    assert_string_equal(a->heard->choices[0].text, whole.heard->choices[0].text);
    assert_int_equal(a->heard->choices[0].tokens, whole.heard->choices[0].tokens);
    scheduler_free(s);
    clear(&whole);
}

/* How far a prompt is cannot be seen from outside: nothing is heard of it for a while. */
static void expect_silence(const struct asked *a)
{
    pause_ms(80);
    pthread_mutex_lock(&a->heard->mutex);
    assert_int_equal(a->heard->texts, 0);
    assert_false(a->heard->done);
    pthread_mutex_unlock(&a->heard->mutex);
}

#define SPEECH "short_1p3s.wav"

static void all_that_wait_are_answered_behind_the_weights(void **state)
{
    static const struct {
        const char *text, *audio;
        int tokens;
    } asked[] = {{"What does the speaker say?", SPEECH, 20},
                 {"Hello", NULL, 12},
                 {"And here?", SPEECH, 5},
                 {"A fourth, for whom there is no session yet", NULL, 7}};
    enum { N = sizeof asked / sizeof *asked };
    struct service *v = *state;
    struct asked a[N];
    const struct model_config *c = &v->v.late.model.config;
    for (int i = 0; i < N; i++)
        ask(v, &a[i], v->scheduler, asked[i].text, asked[i].audio, asked[i].tokens);
    late_begin_rows(&v->v);
    late_bring(&v->v, 0, stage_head(c) - 1);
    for (int i = 0; i < N; i++)
        expect_silence(&a[i]);
    late_bring(&v->v, stage_head(c), stage_head(c));
    for (int i = 0; i < N; i++) {
        wait_last(a[i].heard);
        expect_same(v, &a[i], asked[i].text, asked[i].audio, asked[i].tokens);
        clear(&a[i]);
    }
    assert_false(arrival_complete(v->v.late.model.arrival)); /* the embedding as a whole was never there */
    late_end_rows(&v->v);
}

static void text_is_answered_before_the_audio_tower_is_there(void **state)
{
    struct service *v = *state;
    struct asked text, speech;
    const struct model_config *c = &v->v.late.model.config;
    ask(v, &speech, v->scheduler, "What is said?", SPEECH, 4);
    ask(v, &text, v->scheduler, "Hello", NULL, 12);
    late_begin_rows(&v->v);
    late_bring(&v->v, stage_decoder(c, 0), stage_head(c));
    wait_last(text.heard);
    expect_same(v, &text, "Hello", NULL, 12);
    expect_silence(&speech);
    late_bring(&v->v, 0, stage_projector(c));
    wait_last(speech.heard);
    expect_same(v, &speech, "What is said?", SPEECH, 4);
    late_end_rows(&v->v);
    clear(&text);
    clear(&speech);
}

static bool is_done(const struct asked *a)
{
    pthread_mutex_lock(&a->heard->mutex);
    bool done = a->heard->done;
    pthread_mutex_unlock(&a->heard->mutex);
    return done;
}

static void answer_that_waits_for_a_row_holds_nobody_up(void **state)
{
    struct service *v = *state;
    struct asked text, speech;
    const struct model_config *c = &v->v.late.model.config;
    ask(v, &text, v->scheduler, "Hello", NULL, 12);
    while (late_wanted(&v->v.late) == 0)
        pause_ms(1);
    late_wanted_rows(&v->v.late);
    late_bring(&v->v, stage_decoder(c, 0), stage_head(c));
    wait_text(text.heard, 1);
    ask(v, &speech, v->scheduler, "Hello", SPEECH, 1); /* one token: no row behind the prompt is needed */
    late_rows(&v->v.late, speech.spec.prompt.ids, speech.spec.prompt.count);
    late_bring(&v->v, 0, stage_projector(c));
    wait_last(speech.heard);
    expect_same(v, &speech, "Hello", SPEECH, 1);
    assert_false(is_done(&text));
    late_begin_rows(&v->v);
    wait_last(text.heard);
    expect_same(v, &text, "Hello", NULL, 12);
    late_end_rows(&v->v);
    clear(&text);
    clear(&speech);
}

static void load_that_fails_fails_who_waits_with_its_reason(void **state)
{
    struct service *v = *state;
    struct asked a[5];
    struct err why = {0};
    for (int i = 0; i < 4; i++)
        ask(v, &a[i], v->scheduler, "Hello", i % 2 ? SPEECH : NULL, 5);
    late_bring(&v->v, 0, 4);
    err_set(&why, ERR_CORRUPT, "model.safetensors: bytes 8-15: wrong CRC32C");
    arrival_fail(v->v.late.model.arrival, &why);
    ask(v, &a[4], v->scheduler, "Hello", NULL, 5);
    for (int i = 0; i < 5; i++) {
        wait_last(a[i].heard);
        assert_true(a[i].heard->failed);
        assert_int_equal(a[i].heard->err.kind, ERR_TRANSIENT);
        assert_string_equal(a[i].heard->err.text,
                            "the model did not load: model.safetensors: bytes 8-15: wrong CRC32C");
        clear(&a[i]);
    }
}

static void who_goes_away_while_waiting_frees_his_session(void **state)
{
    struct service *v = *state;
    struct asked a;
    ask(v, &a, v->scheduler, "Hello", SPEECH, 5);
    while (arrival_asked(v->v.late.model.arrival).audio == 0)
        pause_ms(1);
    double begun = clock_ms();
    scheduler_cancel(v->scheduler, a.generation);
    wait_last(a.heard);
    assert_true(clock_ms() - begun < 2000);
    assert_int_equal(a.heard->err.kind, ERR_CANCELLED);
    assert_int_equal(arrival_asked(v->v.late.model.arrival).audio, 0);
    assert_int_equal(scheduler_load(v->scheduler).running, 0);
    clear(&a);
}

static void stopping_does_not_wait_for_weights(void **state)
{
    struct service *v = *state;
    struct asked a;
    ask(v, &a, v->scheduler, "Hello", SPEECH, 5);
    double begun = clock_ms();
    assert_false(scheduler_drain(v->scheduler, 0.05));
    assert_true(clock_ms() - begun < 2000);
    wait_last(a.heard);
    assert_int_equal(a.heard->err.kind, ERR_CANCELLED);
    clear(&a);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, open_service, close_service)
    const struct CMUnitTest tests[] = {
        CASE(load_that_fails_fails_who_waits_with_its_reason),
        CASE(who_goes_away_while_waiting_frees_his_session),
        CASE(stopping_does_not_wait_for_weights),
        CASE(all_that_wait_are_answered_behind_the_weights),
        CASE(text_is_answered_before_the_audio_tower_is_there),
        CASE(answer_that_waits_for_a_row_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
