/* Whole plans: of the reference model against what is published of it, and their properties. */
#include "close.h"
#include "reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ARENA = 64 << 20 };

static struct prices *snapshot;
static struct reference ref;
static const struct plan_measured nothing = {NAN, NAN};

static struct plan_question ask(void)
{
    return (struct plan_question){.region = region_find(REGION_DEFAULT),
                                  .requests_per_day = 100,
                                  .audio_seconds = 10,
                                  .answer_tokens = 128,
                                  .parallel = 1};
}

static struct plan make(const struct plan_question *q)
{
    struct plan p;
    struct err e = {0};
    struct arena *a = arena_new(ARENA);
    if (!plan_make(&p, &ref.model, q, &nothing, snapshot, a, &e))
        fail_msg("%s", e.text);
    arena_free(a);
    return p;
}

/* 876 tensors, 8,397,094,912 parameters, 16,794,189,824 bytes; 636,968,960 of them in the audio tower,
 * 5,246,976 in the projector, 639,107,072 each in embedding and head (docs/model.md). */
static void reference_is_as_large_as_published(void **state)
{
    (void)state;
    assert_int_equal(ref.model.census.tensors, 876);
    assert_int_equal(ref.model.census.parameters, 8397094912);
    assert_int_equal(ref.model.census.bytes, 16794189824);
    assert_int_equal(ref.weights->slot_count, 876);
    struct plan_question q = ask();
    struct plan p = make(&q);
    const struct encoded *n = &p.options[PLAN_STORED].encoded;
    assert_int_equal(n->tensor_bytes, 16794189824);
    assert_int_equal(n->embedding, 2 * 639107072ull);
    assert_int_equal(n->head, 2 * (639107072ull + 4096));
    /* the tower's last norm (2 * 1280) stands with the projector */
    assert_int_equal(n->front + n->encoder, 2 * (636968960ull - 2560));
    assert_int_equal(n->projector, 2 * (5246976ull + 2560));
    assert_int_equal(n->decoder, 2 * (7754878976ull - 2 * 639107072ull - 4096));
    assert_int_equal(encoded_token_bytes(n), n->decoder + n->head);
}

/* Every slot has the shape that the list says. */
static void config_asks_for_the_tensors_that_are_listed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ref.weights->slot_count; i++) {
        const struct weight_slot *s = &ref.weights->slots[i];
        const json_t *shape = json_object_get(ref.shapes, s->name);
        assert_int_equal(json_array_size(shape), s->dims);
        for (int d = 0; d < s->dims; d++)
            assert_int_equal(json_integer_value(json_array_get(shape, (size_t)d)), s->shape[d]);
    }
}

/* Blocks of 32 with an f16: q8_0 34 bytes, q4_0 18, of 64 in bf16. A matrix of the decoder, gate_proj: 11008
 * * 4096 values = 688 strips of 16 rows, each 64 tiles of 1088 (576) bytes. */
static void encodings_take_what_their_blocks_take(void **state)
{
    (void)state;
    struct plan_question q = ask();
    struct plan p = make(&q);
    assert_int_equal(tensor_bytes(DTYPE_Q8_0, 11008, 4096), 688ull * 64 * 1088);
    assert_int_equal(tensor_bytes(DTYPE_Q4_0, 11008, 4096), 688ull * 64 * 576);
    const struct encoded *stored = &p.options[PLAN_STORED].encoded, *q8 = &p.options[PLAN_Q8_0].encoded,
                         *q4 = &p.options[PLAN_Q4_0].encoded;
    assert_near((double)q8->decoder, (double)stored->decoder * 34 / 64, 0.001);
    assert_near((double)q4->decoder, (double)stored->decoder * 18 / 64, 0.001);
    assert_int_equal(q4->head, q8->head); /* in q8_0, as embedding and tower */
    assert_int_equal(q4->encoder, q8->encoder);
    assert_int_equal(q8->front, stored->front); /* convolutions stay bf16 */
    assert_true(q8->file_bytes > q8->tensor_bytes && q8->file_bytes < q8->tensor_bytes + (1 << 20));
}

/* The trap: 2 * 15.64 = 31.28 GiB of at most 32, before anything else; one copy and 4 GiB of cache fit. */
static void one_copy_fits_where_two_do_not(void **state)
{
    (void)state;
    struct plan_question q = ask();
    struct plan p = make(&q);
    assert_near((double)p.tmp_then_load / (double)PLAN_GIB, 31.28, 0.001);
    assert_int_equal(p.shard_by_shard, 16794189824 + 3980819456);
    assert_true(p.chosen->memory_bytes < 20 * PLAN_GIB);
    assert_int_equal(p.chosen->shape.vcpu, 8);
    assert_int_equal(p.chosen->shape.gib, 21);
    assert_int_equal(p.chosen->least.vcpu, 6);
    assert_true(p.fits_l4 && p.fits_rtx);
    assert_int_equal(p.gpu_bytes, 16794189824 + (4ull << 30));
}

static void smaller_encoding_is_better_in_all_but_quality(void **state)
{
    (void)state;
    struct plan_question q = ask();
    struct plan p = make(&q);
    for (int i = PLAN_Q8_0; i < PLAN_ENCODINGS; i++) {
        const struct plan_option *o = &p.options[i], *before = &p.options[i - 1];
        assert_true(o->memory_bytes < before->memory_bytes);
        assert_true(o->cold.first_token.most < before->cold.first_token.most);
        assert_true(o->answer.token.least < before->answer.token.least);
        assert_true(o->month.most < before->month.most && o->month.least < before->month.least);
    }
}

static uint64_t needed(int context, int parallel)
{
    struct plan_question q = ask();
    q.context = context;
    q.parallel = parallel;
    return make(&q).chosen->memory_bytes;
}

static void longer_context_and_more_at_a_time_never_need_less(void **state)
{
    (void)state;
    for (int context = 256; context < 8192; context *= 2) {
        assert_true(needed(context, 1) < needed(2 * context, 1));
        assert_true(needed(context, 1) < needed(context, 2));
    }
}

static void too_much_is_said_to_fit_nowhere(void **state)
{
    (void)state;
    struct plan_question q = ask();
    q.parallel = 4; /* 16 GiB of cache beside 15.6 of weights */
    struct plan p = make(&q);
    assert_int_equal(p.chosen->shape.vcpu, 0);
    assert_false(span_known(p.chosen->month) || span_known(p.ways[COST_ALWAYS_ON]));
    assert_true(p.options[PLAN_Q8_0].shape.vcpu > 0); /* that is the way out */
    q.kv = PLAN_KV_Q8;
    assert_int_equal(make(&q).chosen->shape.vcpu, 8); /* and that another */
}

static void what_was_measured_takes_the_place_of_a_range(void **state)
{
    (void)state;
    struct plan_question q = ask();
    struct plan p;
    struct plan_measured measured = {.fetch = 400e6, .memory_per_vcpu = 5e9};
    struct arena *a = arena_new(ARENA);
    assert_true(plan_make(&p, &ref.model, &q, &measured, snapshot, a, NULL));
    arena_free(a);
    assert_true(p.fetch_measured && p.memory_measured);
    assert_close(p.chosen->speed.fetch.least, 400e6);
    assert_close(p.chosen->speed.memory.most, 8 * 5e9);
    assert_close(p.chosen->answer.token.least, p.chosen->answer.token.most);
    struct plan wide = make(&q);
    assert_true(wide.chosen->cold.first_token.least < p.chosen->cold.first_token.least);
    assert_true(wide.chosen->cold.first_token.most > p.chosen->cold.first_token.most);
}

/* Kept warm it must be loaded before nobody calls; for a request it need not. */
static void deployment_starts_as_it_is_kept(void **state)
{
    (void)state;
    struct plan_question q = ask();
    struct plan p = make(&q);
    assert_int_equal(p.service.start, RUN_STREAM);
    assert_true(p.service.cpu_idle);
    q.min_instances = 1;
    p = make(&q);
    assert_int_equal(p.service.start, RUN_GATE);
    assert_true(p.service.probe.enough); /* 171 s at the slowest, of 480 */
    assert_true(p.cold_starts_per_day == 0);
    assert_close(p.chosen->month.most, p.ways[COST_MIN_INSTANCES].most);
}

static void no_more_vcpus_than_reading_takes(void **state)
{
    (void)state;
    struct plan_question q = ask();
    q.encoding = PLAN_Q4_0;
    q.vcpu = 4;
    struct plan p = make(&q);
    assert_int_equal(p.chosen->shape.vcpu, 4);
    q.vcpu = 1; /* at most 4 GiB */
    assert_int_equal(make(&q).chosen->shape.vcpu, 0);
}

/* --- another server's model --- */

static struct plan_model foreign(void)
{
    return (struct plan_model){
        .census = {.files = 4, .file_bytes = 16ull << 30, .largest_file = 5ull << 30, .bytes = 16ull << 30},
        .outline = {.type = "llama",
                    .layers = 32,
                    .kv_heads = 8,
                    .head_dim = 128,
                    .max_positions = 8192,
                    .plain_cache = true}};
}

static void model_of_another_server_is_planned_as_far_as_it_is_known(void **state)
{
    (void)state;
    struct plan p;
    struct plan_question q = ask();
    struct plan_model m = foreign();
    struct arena *a = arena_new(ARENA);
    assert_true(plan_make(&p, &m, &q, &nothing, snapshot, a, NULL));
    /* 2 * 32 layers * 8 heads * 128 * 2 bytes * 8192 = 1 GiB */
    assert_int_equal(p.chosen->memory_bytes, 17ull << 30);
    assert_int_equal(p.gpu_bytes, 17ull << 30);
    assert_false(span_known(p.chosen->answer.total) || span_known(p.chosen->cold.first_token));
    assert_true(span_known(p.chosen->cold.loaded) && span_known(p.ways[COST_ALWAYS_ON]));
    assert_false(span_known(p.ways[COST_SCALE_TO_ZERO]));
    assert_false(p.options[PLAN_Q8_0].possible);
    arena_free(a);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct plan p;
    struct err e = {0};
    struct plan_question q = ask();
    struct plan_model m = foreign();
    struct arena *a = arena_new(ARENA);
    q.encoding = PLAN_Q8_0;
    assert_false(plan_make(&p, &m, &q, &nothing, snapshot, a, &e));
    assert_string_equal(e.text,
                        "--encode: Ferry's own engine does not run this model, so it is planned as stored");
    q.encoding = PLAN_STORED;
    q.context = 8193;
    assert_false(plan_make(&p, &m, &q, &nothing, snapshot, a, &e));
    assert_string_equal(e.text, "--context 8193: the model was made for at most 8192 tokens");
    assert_false(plan_make(&p, &ref.model, &q, &nothing, snapshot, a, &e));
    arena_free(a);
}

static int open_all(void **state)
{
    (void)state;
    snapshot = prices_builtin(NULL);
    reference_open(&ref);
    return snapshot ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    prices_free(snapshot);
    reference_close(&ref);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_is_as_large_as_published),
        cmocka_unit_test(config_asks_for_the_tensors_that_are_listed),
        cmocka_unit_test(encodings_take_what_their_blocks_take),
        cmocka_unit_test(one_copy_fits_where_two_do_not),
        cmocka_unit_test(smaller_encoding_is_better_in_all_but_quality),
        cmocka_unit_test(longer_context_and_more_at_a_time_never_need_less),
        cmocka_unit_test(too_much_is_said_to_fit_nowhere),
        cmocka_unit_test(what_was_measured_takes_the_place_of_a_range),
        cmocka_unit_test(deployment_starts_as_it_is_kept),
        cmocka_unit_test(no_more_vcpus_than_reading_takes),
        cmocka_unit_test(model_of_another_server_is_planned_as_far_as_it_is_known),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
