/* What plan/memory.h predicts against what engines take: of folders, and of models of other dimensions. */
#include "plan/memory.h"
#include "random_model.h"

#include "engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    int context, parallel, threads;
    enum kv_type kv;
    enum plan_kv plan_kv;
    enum math_mode math;
    const char *cpu; /* NULL: the best; skipped where the CPU lacks it */
} runs[] = {
    {1, 1, 1, KV_BF16, PLAN_KV_BF16, MATH_FAST, "ref"},
    {255, 1, 2, KV_Q8, PLAN_KV_Q8, MATH_FAST, "avx2"},
    {256, 3, 2, KV_F32, PLAN_KV_F32, MATH_EXACT, NULL},
    {257, 4, 1, KV_Q8, PLAN_KV_Q8, MATH_EXACT, "avx2"},
    {700, 2, 3, KV_BF16, PLAN_KV_BF16, MATH_FAST, "avx512"},
    {513, 8, 4, KV_BF16, PLAN_KV_BF16, MATH_FAST, NULL},
};

static bool all_bf16(const struct weights *w)
{
    for (size_t i = 0; i < w->slot_count; i++)
        if (w->slots[i].dims > 1 && w->slots[i].tensor->dtype != DTYPE_BF16)
            return false;
    return true;
}

static void same(uint64_t predicted, size_t taken, const char *what, const char *model)
{
    if (predicted != taken)
        fail_msg("%s: %s: %llu predicted, %zu taken", model, what, (unsigned long long)predicted, taken);
}

/* To the byte: plan/memory.c repeats formulas of the engine, which it cannot include. */
static void compare(const struct model *m, const char *name)
{
    const struct text_config *t = &m->config.text;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        struct engine_options o = {runs[i].math, runs[i].kv, runs[i].context, runs[i].parallel, runs[i].cpu};
        struct pool *pool = pool_new(runs[i].threads, NULL);
        struct err e = {0};
        struct engine *g = engine_new(m, pool, &o, &e);
        if (g) {
            bool bf16 =
                runs[i].math == MATH_FAST && all_bf16(m->weights) && strcmp(engine_cpu(g), "avx2") != 0;
            struct plan_engine p = {.context = runs[i].context,
                                    .parallel = runs[i].parallel,
                                    .kv = runs[i].plan_kv,
                                    .threads = runs[i].threads,
                                    .bf16_products = bf16,
                                    .pass = PLAN_PASS};
            struct engine_memory taken = engine_memory(g);
            same(plan_kv_bytes(t->layers, t->kv_heads, t->head_dim, &p), taken.kv_bytes, "KV cache", name);
            same(plan_scratch_bytes(&m->config, &p), taken.scratch_bytes, "scratch", name);
        } else {
            assert_int_equal(e.kind, ERR_UNSUPPORTED); /* a table that this CPU lacks */
        }
        engine_free(g);
        pool_free(pool);
    }
}

static void folders_take_what_was_predicted(void **state)
{
    static const char *const folders[] = {"data/models/tiny-qwen2-audio", "../models/demo"};
    static struct model m;
    (void)state;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        struct err e = {0};
        if (!model_open(&m, folders[i], FOLDER_AUTO, NULL, &e))
            fail_msg("%s", e.text);
        compare(&m, folders[i]);
        model_close(&m);
    }
}

static void other_dimensions_take_what_was_predicted(void **state)
{
    static const struct dimensions all[] = {
        {"one head, f32, tied", DTYPE_F32, true, 64, 1, 1, 72, 1000, 0, 0, 0, 0, 0},
        {"odd ffn, prime vocabulary, f16", DTYPE_F16, false, 80, 4, 1, 101, 1031, 0, 0, 0, 0, 0},
        {"grouped keys, bf16, ears", DTYPE_BF16, false, 80, 4, 2, 136, 1031, 40, 2, 72, 80, 60},
        {"a wide encoder, bf16", DTYPE_BF16, false, 64, 4, 1, 200, 1031, 96, 3, 900, 64, 3000},
        {"wide, bf16", DTYPE_BF16, false, 1024, 8, 2, 2816, 5000, 0, 0, 0, 0, 0},
        {"one head of 514, bf16, tied", DTYPE_BF16, true, 514, 1, 1, 1030, 40, 0, 0, 0, 0, 0},
    };
    static struct random_model m;
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        random_model_init(&m, &all[i]);
        compare(&m.model, all[i].name);
        random_model_clear(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_take_what_was_predicted),
        cmocka_unit_test(other_dimensions_take_what_was_predicted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
