/* Operations and bytes of small models, worked out by hand. */
#include "close.h"
#include "plan/speed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct model_config small = {
    .text = {.hidden = 8, .layers = 2, .heads = 2, .kv_heads = 1, .head_dim = 4, .ffn = 16, .vocab = 100},
    .audio =
        {.width = 4, .layers = 3, .heads = 2, .head_dim = 2, .ffn = 8, .mel_bins = 5, .max_positions = 50},
    .mel = {.sample_rate = 16000, .hop = 160, .bins = 5, .window_frames = 100}};

static void operations_of_a_prompt_count_each_product_twice(void **state)
{
    (void)state;
    /* Matrices of a layer: q 8*8, k and v 8*4 each, o 8*8, gate, up, down 8*16 each: 64+32+32+64+384 = 576.
     * 10 tokens: 2*576*10 = 11,520. Attention: 2 heads of 4 = 8 wide; keys seen 1+2+…+10 = 55; q.k and p.v,
     * two operations each: 4*8*55 = 1,760. */
    assert_close(plan_layer_operations(&small, 10), 11520 + 1760);
    assert_close(plan_head_operations(&small), 2 * 8 * 100);
    assert_close(plan_prefill_operations(&small, 10), 2 * 13280 + 1600);
}

static void operations_of_hearing_follow_the_recording(void **state)
{
    (void)state;
    /* 0.4 s: 40 mel frames, 20 conv frames, 10 tokens. Convolutions of 3: 2*3*4*(40*5 + 20*4) = 6,720. A
     * layer: 2*20*4*(4*4 + 2*8) = 5,120 and attention 4*20*20*4 = 6,400. Projector: 2*10*4*8 = 640. */
    assert_close(plan_encoder_operations(&small, 0.4), 6720 + 3 * (5120 + 6400) + 640);
    /* A window is a second: 2.4 s are two whole ones and 0.4 s. */
    assert_close(plan_encoder_operations(&small, 2.4),
                 2 * plan_encoder_operations(&small, 1) + plan_encoder_operations(&small, 0.4));
    assert_true(plan_encoder_operations(&small, 0) == 0);
}

static void audio_is_25_tokens_a_second(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        int tokens;
    } cases[] = {{0, 0}, {0.039, 1}, {0.03, 0}, {1, 25}, {10, 250}, {30, 750}, {61.5, 1537}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(plan_audio_tokens(&small, cases[i].seconds), cases[i].tokens);
    struct plan_request r = {.audio_seconds = 10, .text_tokens = 64};
    assert_int_equal(plan_prompt_tokens(&small, &r), 314);
    struct model_config deaf = small;
    deaf.audio.width = 0;
    assert_int_equal(plan_prompt_tokens(&deaf, &r), 64);
}

static void token_reads_weights_once_and_every_cache(void **state)
{
    (void)state;
    const struct encoded n = {.decoder = 1000, .head = 200, .embedding = 999};
    const struct plan_speed s = {.memory = {100, 400}};
    /* A token's keys and values: 2*2 layers*1 head*4*2 bytes = 32; 10 tokens: 320. (1200 + 320) / 0.9 =
     * 1688.9 */
    struct span one = plan_token_seconds(&small, &n, PLAN_KV_BF16, 10, 1, &s);
    assert_near(one.least, 1520 / 0.9 / 400, 1e-12);
    assert_near(one.most, 1520 / 0.9 / 100, 1e-12);
    struct span four = plan_token_seconds(&small, &n, PLAN_KV_BF16, 10, 4, &s);
    assert_near(four.most, (1200 + 4 * 320) / 0.9 / 100, 1e-12);
    assert_true(four.most < 4 * one.most); /* that is what sharing a pass is for */
}

static void answer_is_the_sum_of_its_parts(void **state)
{
    (void)state;
    const struct encoded n = {.decoder = 1000, .head = 200};
    const struct plan_request r = {.audio_seconds = 0.4, .text_tokens = 5, .answer_tokens = 20};
    struct plan_speed s = {.memory = {100, 100}, .compute = {1000, 2000}};
    struct plan_answer a = plan_answer(&small, &n, PLAN_KV_BF16, &r, &s);
    assert_near(a.encode.most, plan_encoder_operations(&small, 0.4) / 1000, 1e-12);
    assert_near(a.prefill.least, plan_prefill_operations(&small, 15) / 2000, 1e-12);
    assert_near(a.token.most, (1200 + 32 * 25) / 0.9 / 100, 1e-12); /* 15 of the prompt, the middle of 20 */
    assert_near(a.total.most, a.encode.most + a.prefill.most + 20 * a.token.most, 1e-12);
    assert_true(a.total.least <= a.total.most);
}

static void twice_the_vcpus_are_assumed_twice_as_fast_and_the_bucket_is_not(void **state)
{
    (void)state;
    struct plan_speed one = plan_speed_assumed(1), eight = plan_speed_assumed(8);
    assert_close(one.memory.least, 2.5e9);
    assert_close(eight.memory.most, 96e9);
    assert_close(eight.compute.least, 8 * one.compute.least);
    assert_close(eight.fetch.most, one.fetch.most);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_of_a_prompt_count_each_product_twice),
        cmocka_unit_test(operations_of_hearing_follow_the_recording),
        cmocka_unit_test(audio_is_25_tokens_a_second),
        cmocka_unit_test(token_reads_weights_once_and_every_cache),
        cmocka_unit_test(answer_is_the_sum_of_its_parts),
        cmocka_unit_test(twice_the_vcpus_are_assumed_twice_as_fast_and_the_bucket_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
