/* Formulas of memory, worked out by hand. What engines really take: tests/engine/test_plan_memory.c. */
#include "plan/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Qwen2-Audio-7B: 32 layers, 32 heads of 128, all with keys of their own. */
static void token_of_the_reference_takes_half_a_mebibyte(void **state)
{
    (void)state;
    /* 2 * 32 layers * 32 heads * 128 values * 2 bytes = 524,288; f32: twice; q8: 2*32*32*(128 + 4) */
    assert_int_equal(plan_kv_token_bytes(32, 32, 128, PLAN_KV_BF16), 524288);
    assert_int_equal(plan_kv_token_bytes(32, 32, 128, PLAN_KV_F32), 1048576);
    assert_int_equal(plan_kv_token_bytes(32, 32, 128, PLAN_KV_Q8), 270336);
}

static void cache_comes_in_blocks_for_each_sequence(void **state)
{
    (void)state;
    static const struct {
        int context, parallel;
        uint64_t blocks; /* of 256 positions, all sequences together */
    } cases[] = {{1, 1, 1}, {256, 1, 1}, {257, 1, 2}, {8192, 1, 32}, {8192, 4, 128}, {1000, 3, 12}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_engine g = {.context = cases[i].context, .parallel = cases[i].parallel};
        assert_int_equal(plan_kv_bytes(32, 32, 128, &g), cases[i].blocks * 256 * 524288);
    }
}

static const struct model_config ears = {
    .text = {.hidden = 4096,
             .layers = 32,
             .heads = 32,
             .kv_heads = 32,
             .head_dim = 128,
             .ffn = 11008,
             .vocab = 156032},
    .audio = {.width = 1280,
              .layers = 32,
              .heads = 20,
              .head_dim = 64,
              .ffn = 5120,
              .mel_bins = 128,
              .max_positions = 1500},
    .mel = {.sample_rate = 16000, .hop = 160, .bins = 128, .window_frames = 3000}};

static void recording_takes_its_own_length(void **state)
{
    (void)state;
    /* A second: 32,000 bytes of 16 bit, 42,666.7 as base64, 64,000 as f32, 100 frames * 128 * 4 = 51,200,
     * 25 tokens * 4096 * 4 = 409,600: 599,466.7. */
    struct plan_engine g = {.context = 8192, .parallel = 1};
    assert_int_equal(plan_request_bytes(&ears, &g, 1), 599467);
    assert_int_equal(plan_request_bytes(&ears, &g, 30), 17984000);
    g.parallel = 3;
    assert_int_equal(plan_request_bytes(&ears, &g, 30), 3 * 17984000);
    assert_int_equal(plan_request_bytes(&ears, &g, 0), 0);
    struct model_config deaf = ears;
    deaf.audio.width = 0;
    assert_int_equal(plan_request_bytes(&deaf, &g, 30), 0);
}

static void parts_add_up(void **state)
{
    (void)state;
    struct plan_engine g = {.context = 8192, .parallel = 1, .threads = 8, .pass = PLAN_PASS};
    struct plan_memory m = plan_memory(&ears, &g, 16794189824, 10);
    assert_int_equal(m.weights, 16794189824);
    assert_int_equal(m.kv, (uint64_t)4 << 30);
    assert_int_equal(m.window, (16 << 20) + (2 << 20));
    assert_int_equal(m.process, (64 << 20) + 2 * 8192 * 128 * 4);
    assert_int_equal(plan_memory_total(&m), m.weights + m.kv + m.scratch + m.requests + m.window + m.process);
}

static void more_of_anything_never_takes_less(void **state)
{
    (void)state;
    const struct plan_engine least = {
        .context = 300, .parallel = 1, .threads = 1, .pass = 300, .bf16_products = true};
    uint64_t base = plan_scratch_bytes(&ears, &least) + plan_kv_bytes(32, 32, 128, &least);
    for (int i = 0; i < 5; i++) {
        struct plan_engine g = least;
        *(int *[]){&g.context, &g.parallel, &g.threads, &g.pass, (int *)&g.kv}[i] +=
            i == 4 ? PLAN_KV_F32 : 300;
        assert_true(plan_scratch_bytes(&ears, &g) + plan_kv_bytes(32, 32, 128, &g) > base);
    }
    struct plan_engine f32 = least;
    f32.bf16_products = false;
    assert_true(plan_scratch_bytes(&ears, &f32) > plan_scratch_bytes(&ears, &least));
}

/* cloud-run facts: 15.65 GiB twice is 31.3 GiB; shard by shard 15.65 + 3.71. */
static void other_ways_take_twice_or_a_shard_more(void **state)
{
    (void)state;
    assert_int_equal(plan_memory_tmp_then_load(16794189824), 33588379648);
    assert_int_equal(plan_memory_shard_by_shard(16794189824, 3980819456), 20775009280);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_of_the_reference_takes_half_a_mebibyte),
        cmocka_unit_test(cache_comes_in_blocks_for_each_sequence),
        cmocka_unit_test(recording_takes_its_own_length),
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(more_of_anything_never_takes_less),
        cmocka_unit_test(other_ways_take_twice_or_a_shard_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
