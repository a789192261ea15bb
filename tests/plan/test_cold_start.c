/* Cold starts in which one thing alone takes time, so that the sum can be done by hand. */
#include "close.h"
#include "plan/cloud_run.h"
#include "plan/cold_start.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MB = 1000000 };

static const struct model_config model = {
    .text = {.hidden = 64, .layers = 4, .heads = 4, .kv_heads = 4, .head_dim = 16, .ffn = 128, .vocab = 1000},
    .audio = {.width = 32,
              .layers = 2,
              .heads = 2,
              .head_dim = 16,
              .ffn = 64,
              .mel_bins = 8,
              .max_positions = 1500},
    .mel = {.sample_rate = 16000, .hop = 160, .bins = 8, .window_frames = 3000}};

/* 1,000 MB: an embedding of one range, so that all of it comes first. */
static const struct encoded parts = {.name = "as stored",
                                     .file_bytes = 1000 * MB,
                                     .tensor_bytes = 1000 * MB,
                                     .embedding = 8 * MB,
                                     .front = 2 * MB,
                                     .encoder = 90 * MB,
                                     .projector = 10 * MB,
                                     .decoder = 800 * MB,
                                     .head = 90 * MB};

static const struct plan_request spoken = {.audio_seconds = 10, .text_tokens = 64, .answer_tokens = 1};
static const struct plan_request written = {.text_tokens = 64, .answer_tokens = 1};

static struct cold_start start(const struct encoded *n, const struct plan_request *r, double fetch,
                               double compute)
{
    struct plan_speed s = {.memory = {1e18, 1e18}, .compute = {compute, compute}, .fetch = {fetch, fetch}};
    return cold_start(&model, n, PLAN_KV_BF16, r, &s);
}

/* Container 1 to 2 s and opening 0.3 to 1 s; then 1,000 MB at 100 MB/s. */
static void slow_bucket_decides_alone(void **state)
{
    (void)state;
    struct cold_start t = start(&parts, &spoken, 100e6, 1e18);
    assert_near(t.first_weights.least, 1.3, 1e-12);
    assert_near(t.first_weights.most, 3, 1e-12);
    assert_near(t.loaded.least, 11.3, 1e-12);
    assert_near(t.loaded.most, 13, 1e-12);
    assert_near(t.first_token.least, 11.3, 1e-9); /* all 1,000 MB are needed for it */
    assert_near(t.load_first.least, t.loaded.least, 1e-9);
}

static void slow_cpu_decides_alone(void **state)
{
    (void)state;
    double work = plan_encoder_operations(&model, 10) + plan_prefill_operations(&model, 314);
    struct cold_start t = start(&parts, &spoken, 1e18, work); /* one second of it */
    assert_near(t.first_token.least, 1.3 + 1, 1e-9);
    assert_near(t.load_first.least, 1.3 + 1, 1e-9);
}

/* Fetching 10 s and computing 10 s together take less than 20, and no less than either with its beginning. */
static void fetching_and_computing_overlap(void **state)
{
    (void)state;
    double work = plan_encoder_operations(&model, 10) + plan_prefill_operations(&model, 314);
    struct cold_start t = start(&parts, &spoken, 100e6, work / 10);
    assert_true(t.first_token.least > 1.3 + 10);
    assert_true(t.first_token.least < 1.3 + 10 + 10 * 0.5);
    assert_near(t.load_first.least, 1.3 + 20, 1e-9);
}

/* A question in writing needs no tower: 100 MB of front, encoder and projector come after it. */
static void tower_is_not_in_the_way_of_text(void **state)
{
    (void)state;
    struct cold_start t = start(&parts, &written, 100e6, 1e18);
    assert_near(t.first_token.least, 1.3 + (8 + 800 + 90) / 100.0, 1e-9);
    assert_near(t.loaded.least, 11.3, 1e-12);
}

/* 100 ranges of 8 MiB: 64 tokens touch 100 * (1 - 0.99^64) = 47.44 of them. */
static void few_rows_of_the_embedding_come_first(void **state)
{
    (void)state;
    struct encoded n = parts;
    n.embedding = 100 * (uint64_t)PLAN_RANGE_BYTES;
    assert_near(cold_start_embedding_bytes(&n, 64) / PLAN_RANGE_BYTES, 100 * (1 - pow(0.99, 64)), 1e-9);
    assert_near(cold_start_embedding_bytes(&n, 1) / PLAN_RANGE_BYTES, 1, 1e-9);
    assert_near(cold_start_embedding_bytes(&n, 100000), (double)n.embedding, 1e-6);
    assert_near(cold_start_embedding_bytes(&parts, 1), 8 * MB, 1e-12);
}

/* The head is the embedding: what came of it first need not come again. */
static void tied_head_comes_once(void **state)
{
    (void)state;
    struct encoded n = parts;
    n.tied = true;
    n.head = n.embedding + 1 * MB;
    struct cold_start t = start(&n, &written, 100e6, 1e18);
    assert_near(t.first_token.least, 1.3 + (8 + 800 + 1) / 100.0, 1e-9);
}

static void faster_is_never_later(void **state)
{
    (void)state;
    double last = INFINITY, work = plan_prefill_operations(&model, 314);
    for (double fetch = 10e6; fetch < 1e12; fetch *= 3) {
        struct cold_start t = start(&parts, &spoken, fetch, work);
        assert_true(t.first_token.least < last && t.first_token.least <= t.first_token.most);
        assert_true(t.first_token.least <= t.load_first.least + 1e-9);
        last = t.first_token.least;
    }
}

/* facts: 16.8 GB in 240 s need 70 MB/s. */
static void probe_needs_a_speed(void **state)
{
    (void)state;
    assert_near(cold_start_needed_fetch(16794189824), 16794189824 / 240.0, 1e-12);
    assert_int_equal((int)(cold_start_needed_fetch(16794189824) / 1e6 + 0.5), 70);
}

static void what_another_server_does_is_not_known(void **state)
{
    (void)state;
    struct plan_speed s = {.fetch = {100e6, 200e6}};
    struct cold_start t = cold_start_pull(1000 * MB, &s);
    assert_near(t.loaded.least, 1.3 + 5, 1e-12);
    assert_near(t.loaded.most, 3 + 10, 1e-12);
    assert_false(span_known(t.first_token) || span_known(t.answered));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_bucket_decides_alone),
        cmocka_unit_test(slow_cpu_decides_alone),
        cmocka_unit_test(fetching_and_computing_overlap),
        cmocka_unit_test(tower_is_not_in_the_way_of_text),
        cmocka_unit_test(few_rows_of_the_embedding_come_first),
        cmocka_unit_test(tied_head_comes_once),
        cmocka_unit_test(faster_is_never_later),
        cmocka_unit_test(probe_needs_a_speed),
        cmocka_unit_test(what_another_server_does_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
