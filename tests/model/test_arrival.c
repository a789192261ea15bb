#include "model/arrival.h"

#include "base/clock.h"
#include "model_files.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct model_config config_of(const char *path)
{
    struct model_config c;
    struct err e = {0};
    const struct file_source files = file_source_folder(path);
    if (!model_config_read(&c, &files, &e))
        fail_msg("%s", e.text);
    return c;
}

static struct model_config tied_text(void)
{
    struct model_config c;
    struct err e = {0};
    assert_true(model_config_parse(&c, tiny_text_config, NULL, NULL, &e));
    assert_true(c.text.tied_head);
    return c;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* --- stages --- */

static void check_slots(const struct model_config *c)
{
    struct err e = {0};
    struct weights *w = weights_new(c, &e);
    static const struct {
        const char *part, *stage;
    } names[] = {
        {"conv1.", "audio front"},
        {"conv2.", "audio front"},
        {"embed_positions", "audio front"},
        {"audio_tower.layers.0.", "encoder layer 0"},
        {"audio_tower.layers.1.", "encoder layer 1"},
        {"audio_tower.layer_norm.", "projector"},
        {"multi_modal_projector", "projector"},
        {"model.layers.0.", "decoder layer 0"},
        {"model.layers.1.", "decoder layer 1"},
        {"model.layers.2.", "decoder layer 2"},
        {"model.norm.", "head"},
        {"lm_head", "head"},
        {"embed_tokens", "embedding"},
    };
    for (size_t i = 0; i < w->slot_count; i++) {
        char name[STAGE_NAME];
        const char *slot = w->slots[i].name, *expected = NULL;
        stage_name(c, stage_of_slot(c, w, &w->slots[i]), name);
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (strstr(slot, names[k].part))
                expected = names[k].stage;
        assert_non_null(expected);
        if (c->text.tied_head && strcmp(expected, "embedding") == 0)
            expected = "head";
        if (strcmp(name, expected) != 0)
            fail_msg("%s: %s, expected %s", slot, name, expected);
    }
    weights_free(w);
}

static void every_tensor_belongs_to_the_stage_that_reads_it(void **state)
{
    struct model_config audio = config_of(TINY_AUDIO), text = tied_text();
    (void)state;
    assert_int_equal(audio.audio.layers, 2);
    assert_int_equal(audio.text.layers, 3);
    check_slots(&audio);
    check_slots(&text);
}

/* Of the tiny audio model. */
enum { FRONT, ENCODER_0, ENCODER_1, PROJECTOR, DECODER_0, DECODER_1, DECODER_2, HEAD, EMBEDDING, STAGES };

static void stages_stand_in_the_order_of_the_forward_pass(void **state)
{
    static const char *const order[STAGES] = {
        "audio front",     "encoder layer 0", "encoder layer 1", "projector",
        "decoder layer 0", "decoder layer 1", "decoder layer 2", "head",
        "embedding"};
    struct model_config c = config_of(TINY_AUDIO);
    char name[STAGE_NAME];
    (void)state;
    assert_int_equal(stage_count(&c), STAGES);
    for (int i = 0; i < STAGES; i++)
        assert_string_equal(stage_name(&c, i, name), order[i]);
    assert_int_equal(stage_encoder(1), ENCODER_1);
    assert_int_equal(stage_projector(&c), PROJECTOR);
    assert_int_equal(stage_decoder(&c, 1), DECODER_1);
    assert_int_equal(stage_head(&c), HEAD);
    assert_int_equal(stage_embedding(&c), EMBEDDING);
}

/* --- waiting --- */

/* An arrival of the tiny audio model: ten bytes in every stage. */
static struct arrival *planned(void)
{
    struct err e = {0};
    struct model_config c = config_of(TINY_AUDIO);
    struct arrival *a = arrival_new(clock_ms(), &e);
    assert_non_null(a);
    assert_true(arrival_plan(a, &c, &e));
    for (int i = 0; i < STAGES; i++)
        arrival_expect(a, i, 10);
    return a;
}

struct waiter {
    struct arrival *arrival;
    int stage;
    const int *ids; /* NULL: the stage */
    int count;
    bool ok;
    struct err e;
    _Atomic bool done;
    pthread_t thread;
};

static void *wait_on_thread(void *arg)
{
    struct waiter *w = arg;
    w->ok = w->ids ? arrival_wait_rows(w->arrival, w->ids, w->count, -1, &w->e)
                   : arrival_wait(w->arrival, w->stage, &w->e);
    atomic_store(&w->done, true);
    return NULL;
}

static void begin_wait(struct waiter *w)
{
    assert_int_equal(pthread_create(&w->thread, NULL, wait_on_thread, w), 0);
}

static void failure_ends_every_wait_with_its_reason(void **state)
{
    static const int ids[] = {3, 4};
    struct arrival *a = planned();
    struct waiter w[] = {{.arrival = a, .stage = FRONT},
                         {.arrival = a, .stage = HEAD},
                         {.arrival = a, .ids = ids, .count = 2}};
    struct err why = {0}, later = {0}, e = {0};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        begin_wait(&w[i]);
    pause_ms(20);
    err_set(&why, ERR_CORRUPT, "shard 2: bytes 8-15: wrong");
    err_set(&later, ERR_IO, "another");
    arrival_fail(a, &why);
    arrival_fail(a, &later);
    arrival_end(a); /* too late */
    for (size_t i = 0; i < 3; i++) {
        pthread_join(w[i].thread, NULL);
        assert_false(w[i].ok);
        assert_int_equal(w[i].e.kind, ERR_CORRUPT);
        assert_string_equal(w[i].e.text, "shard 2: bytes 8-15: wrong");
    }
    assert_false(arrival_complete(a));
    assert_true(arrival_failed(a, &e));
    struct arrival_progress p;
    arrival_progress(a, &p);
    assert_int_equal(p.state, LOAD_FAILED);
    arrival_free(a);
}

static void step_waits_for_the_last_byte_of_its_stage_alone(void **state)
{
    struct arrival *a = planned();
    struct waiter w = {.arrival = a, .stage = DECODER_0};
    (void)state;
    begin_wait(&w);
    arrival_add(a, DECODER_1, 10);
    arrival_add(a, DECODER_0, 9);
    pause_ms(30);
    assert_false(atomic_load(&w.done));
    assert_false(arrival_has(a, DECODER_0));
    assert_true(arrival_has(a, DECODER_1));
    arrival_add(a, DECODER_0, 1);
    pthread_join(w.thread, NULL);
    assert_true(w.ok);
    assert_true(arrival_has(a, DECODER_0));
    assert_false(arrival_complete(a));
    arrival_free(a);
}

static void without_an_arrival_everything_is_there(void **state)
{
    struct err e = {0};
    int id = 7;
    (void)state;
    assert_true(arrival_complete(NULL));
    assert_true(arrival_has(NULL, 3));
    assert_true(arrival_wait(NULL, 3, &e));
    assert_true(arrival_has_rows(NULL, &id, 1, -1));
    assert_true(arrival_wait_rows(NULL, &id, 1, -1, &e));
    assert_false(arrival_failed(NULL, &e));
    arrival_ask(NULL, true);
    arrival_unask(NULL, true);
    arrival_want_rows(NULL, &id, 1, -1);
    arrival_computed(NULL, 0, 1, 2);
    arrival_nudge(NULL);
    arrival_free(NULL);
}

static void end_ends_all_waits(void **state)
{
    struct arrival *a = planned();
    struct waiter w = {.arrival = a, .stage = EMBEDDING};
    struct err why = {.kind = ERR_IO}, e = {0};
    (void)state;
    begin_wait(&w);
    arrival_end(a);
    pthread_join(w.thread, NULL);
    assert_true(w.ok);
    assert_true(arrival_complete(a));
    arrival_fail(a, &why);
    assert_false(arrival_failed(a, &e));
    arrival_free(a);
}

/* Rows as a loader has them. */
struct rows {
    struct arrival *arrival;
    _Atomic int there, wanted; /* ids below `there` are there; the last one wanted */
    _Atomic int wants;
};

static bool rows_there(void *arg, const int *ids, int count, int except)
{
    struct rows *r = arg;
    for (int i = 0; i < count; i++)
        if (ids[i] != except && ids[i] >= atomic_load(&r->there))
            return false;
    return true;
}

static void rows_want(void *arg, const int *ids, int count, int except)
{
    struct rows *r = arg;
    (void)except;
    atomic_store(&r->wanted, ids[count - 1]);
    atomic_fetch_add(&r->wants, 1);
}

static void rows_are_asked_for_singly_and_waited_for(void **state)
{
    static const int ids[] = {5, 900};
    struct rows r = {.arrival = planned()};
    struct waiter w = {.arrival = r.arrival, .ids = ids, .count = 2};
    (void)state;
    arrival_set_rows(r.arrival, &(struct arrival_rows){rows_there, rows_want, &r});
    begin_wait(&w);
    while (atomic_load(&r.wants) == 0)
        pause_ms(1);
    assert_int_equal(atomic_load(&r.wanted), 900);
    atomic_store(&r.there, 6);
    arrival_add(r.arrival, EMBEDDING, 1);
    pause_ms(20);
    assert_false(atomic_load(&w.done));
    assert_true(arrival_has_rows(r.arrival, ids, 2, 900));
    atomic_store(&r.there, 901);
    arrival_add(r.arrival, EMBEDDING, 1);
    pthread_join(w.thread, NULL);
    assert_true(w.ok);
    assert_false(arrival_has(r.arrival, EMBEDDING)); /* the table itself is not there */
    arrival_free(r.arrival);
}

static void change_wakes_who_looked_before_it(void **state)
{
    struct arrival *a = planned();
    (void)state;
    uint64_t version = arrival_version(a);
    arrival_nudge(a);
    double begun = clock_ms();
    arrival_wait_change(a, version, 10000);
    assert_true(clock_ms() - begun < 5000);
    version = arrival_version(a);
    arrival_wait_change(a, version, 5); /* nothing happens: the time ends it */
    assert_int_equal(arrival_version(a), version);
    arrival_free(a);
}

enum { ADDERS = 4, WAITERS = STAGES };

static void *add_some(void *arg)
{
    struct arrival *a = arg;
    for (int i = 0; i < STAGES; i++)
        for (int k = 0; k < 2; k++)
            arrival_add(a, i, 1);
    return NULL;
}

static void many_threads_bring_and_wait(void **state)
{
    struct arrival *a = planned();
    struct waiter w[WAITERS];
    pthread_t adders[ADDERS];
    (void)state;
    for (int i = 0; i < WAITERS; i++) {
        w[i] = (struct waiter){.arrival = a, .stage = i};
        begin_wait(&w[i]);
    }
    for (int i = 0; i < ADDERS; i++)
        pthread_create(&adders[i], NULL, add_some, a);
    for (int i = 0; i < ADDERS; i++)
        pthread_join(adders[i], NULL);
    for (int i = 0; i < STAGES; i++)
        arrival_add(a, i, 2);
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(w[i].thread, NULL);
        assert_true(w[i].ok);
    }
    arrival_free(a);
}

/* --- telling --- */

static void phases_add_up_to_the_whole_time(void **state)
{
    static const enum load_phase order[] = {PHASE_FILES,   PHASE_HEADERS, PHASE_FETCH,  PHASE_WAIT,
                                            PHASE_COMPUTE, PHASE_WAIT,    PHASE_COMPUTE};
    struct arrival *a = planned();
    struct arrival_progress p;
    (void)state;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        pause_ms(3);
        arrival_phase(a, order[i]);
    }
    pause_ms(3);
    arrival_end(a);
    pause_ms(3);
    arrival_phase(a, PHASE_WAIT); /* nothing any more */
    arrival_progress(a, &p);
    double sum = 0;
    for (int i = 0; i < PHASE_COUNT; i++) {
        assert_true(p.phase_ms[i] >= 3);
        assert_non_null(load_phase_name((enum load_phase)i));
        sum += p.phase_ms[i];
    }
    assert_true(sum > p.elapsed_ms - 1e-6 && sum < p.elapsed_ms + 1e-6);
    assert_int_equal(p.state, LOAD_LOADED);
    arrival_free(a);
}

static void progress_tells_bytes_stages_and_the_first_token(void **state)
{
    struct arrival *a = planned();
    struct arrival_progress p;
    (void)state;
    arrival_expect(a, -1, 10); /* of no stage */
    arrival_progress(a, &p);
    assert_int_equal(p.state, LOAD_LOADING);
    assert_int_equal(p.total, 100);
    assert_int_equal(p.stages, STAGES);
    assert_true(p.first_token_ms < 0 && p.loaded_ms < 0); /* no rate yet */
    arrival_add(a, FRONT, 10);
    arrival_add(a, ENCODER_0, 10);
    arrival_add(a, ENCODER_1, 5);
    pause_ms(20);
    arrival_progress(a, &p);
    assert_int_equal(p.bytes, 25);
    assert_int_equal(p.reached, ENCODER_1);
    assert_true(p.bytes_per_second > 0 && p.bytes_per_second < 25 / 0.019);
    /* 55 bytes of what a first token needs are missing, at the rate so far */
    double expected = 55 / p.bytes_per_second * 1e3;
    assert_true(p.first_token_ms > expected * 0.99 && p.first_token_ms < expected * 1.01);
    expected = 75 / p.bytes_per_second * 1e3;
    assert_true(p.loaded_ms > expected * 0.99 && p.loaded_ms < expected * 1.01);
    arrival_ask(a, false); /* only text waits: 40 of decoder and head */
    arrival_progress(a, &p);
    expected = 40 / p.bytes_per_second * 1e3;
    assert_true(p.first_token_ms > expected * 0.99 && p.first_token_ms < expected * 1.01);
    arrival_ask(a, true);
    assert_int_equal(arrival_asked(a).audio, 1);
    assert_int_equal(arrival_asked(a).text, 1);
    arrival_free(a);
}

static void first_prompts_computing_is_kept_up_to_its_first_token(void **state)
{
    struct arrival *a = planned();
    double start = clock_ms();
    (void)state;
    arrival_computed(a, DECODER_0, start + 10, start + 15);
    arrival_computed(a, DECODER_0, start + 20, start + 30);
    arrival_computed(a, HEAD, start + 40, start + 41);
    arrival_computed(a, DECODER_0, start + 50, start + 60); /* of the second token */
    struct arrival_stage s = arrival_stage(a, DECODER_0);
    assert_string_equal(s.name, "decoder layer 0");
    assert_int_equal(s.total, 10);
    assert_int_equal(s.bytes, 0);
    assert_true(s.busy_ms > 14.9 && s.busy_ms < 15.1);
    assert_true(s.done_ms - s.begun_ms > 19.9 && s.done_ms - s.begun_ms < 20.1);
    assert_true(s.arrived_ms == 0);
    arrival_add(a, DECODER_0, 4);
    s = arrival_stage(a, DECODER_0);
    assert_int_equal(s.bytes, 4);
    assert_true(s.arrived_ms == 0);
    arrival_add(a, DECODER_0, 6);
    assert_true(arrival_stage(a, DECODER_0).arrived_ms > 0);
    arrival_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_belongs_to_the_stage_that_reads_it),
        cmocka_unit_test(stages_stand_in_the_order_of_the_forward_pass),
        cmocka_unit_test(failure_ends_every_wait_with_its_reason),
        cmocka_unit_test(step_waits_for_the_last_byte_of_its_stage_alone),
        cmocka_unit_test(without_an_arrival_everything_is_there),
        cmocka_unit_test(end_ends_all_waits),
        cmocka_unit_test(rows_are_asked_for_singly_and_waited_for),
        cmocka_unit_test(change_wakes_who_looked_before_it),
        cmocka_unit_test(many_threads_bring_and_wait),
        cmocka_unit_test(phases_add_up_to_the_whole_time),
        cmocka_unit_test(progress_tells_bytes_stages_and_the_first_token),
        cmocka_unit_test(first_prompts_computing_is_kept_up_to_its_first_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
