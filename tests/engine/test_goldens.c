/* The whole engine against the reference: every case, kernel table, way of computing, KV type and thread
 * count. Ids in, logits out; texts are compared in test_golden_text.c. */
#include "golden.h"
#include "runs.h"

#include "engine/engine.h"
#include "engine/layers/tap.h"
#include "engine/layers/work.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What a way of computing may differ by: largest absolute difference over an array. */
struct tolerance {
    double encoder, projector, debug, prefill, step;
    double sure_gap; /* the best id must be the reference's where its lead is larger */
};

/* f32 activations: goldens/README.md. The inner arrays have none there; theirs is that of the logits. */
#define EXACT                                                                                                \
    {                                                                                                        \
        1e-4, 1e-4, 1.5e-4, 1.5e-4, 5e-4, 0                                                                  \
    }

/* f32 activations over a rounded KV cache. Measured: 0.13 inside and at the logits with bf16 (8 bits of each
 * key and value), 0.33 with q8 (7 bits of the largest of a head); allowed is twice that. The encoder has no
 * such cache. */
#define EXACT_KV_BF16                                                                                        \
    {                                                                                                        \
        1e-4, 1e-4, 0.26, 0.12, 0.26, 0.2                                                                    \
    }
#define EXACT_KV_Q8                                                                                          \
    {                                                                                                        \
        1e-4, 1e-4, 0.66, 0.4, 0.6, 0.4                                                                      \
    }

/* Activations rounded to bf16: README.md allows 0.15, 1.0 and a gap of 2. Asked for here is to be nearer to
 * the f32 result than the reference's own bf16 run, which is off by 0.05 and 0.34. Measured: 0.031 and 0.21.
 */
#define FAST                                                                                                 \
    {                                                                                                        \
        0.05, 0.05, 0.4, 0.34, 0.34, 0.34                                                                    \
    }

/* Both roundings. Measured: 0.51 inside, 0.36 at the logits. */
#define FAST_KV_Q8                                                                                           \
    {                                                                                                        \
        0.05, 0.05, 1.0, 0.7, 0.7, 0.4                                                                       \
    }

struct way {
    const char *name;
    enum math_mode math;
    enum kv_type kv;
    struct tolerance tolerance;
};

static const struct way ways[] = {
    {"exact", MATH_EXACT, KV_AUTO, EXACT},
    {"exact, KV bf16", MATH_EXACT, KV_BF16, EXACT_KV_BF16},
    {"exact, KV q8", MATH_EXACT, KV_Q8, EXACT_KV_Q8},
    {"fast", MATH_FAST, KV_AUTO, FAST},
    {"fast, KV f32", MATH_FAST, KV_F32, FAST},
    {"fast, KV q8", MATH_FAST, KV_Q8, FAST_KV_Q8},
};

/* The two full windows of audio take most of the time, and their encoder knows nothing of the KV type. */
enum { LONG_PROMPT = 500 };

/* Differences found so far, of one way on one kernel table. */
struct found {
    const struct golden *golden;
    int encoders, projectors; /* seen of this case */
    double encoder, projector, debug, prefill, step;
    double worst_gap; /* largest lead of the reference's id where ours was another */
};

static double panel_difference(const float *x, int features, int tokens, const struct npy *want)
{
    double most = 0;
    assert_int_equal(want->shape[0], tokens);
    assert_int_equal(want->shape[1], features);
    for (int t = 0; t < tokens; t++)
        for (int f = 0; f < features; f++) {
            const float *got = &x[((size_t)(t / LANES) * (size_t)features + (size_t)f) * LANES + t % LANES];
            most = fmax(most, max_difference(got, &want->data[t * features + f], 1));
        }
    return most;
}

static void see_debug(struct found *found, const char *file, const float *x, int features, int tokens)
{
    struct npy want = golden_array(found->golden, file);
    if (want.data)
        found->debug = fmax(found->debug, panel_difference(x, features, tokens, &want));
    npy_free(&want);
}

static void see(void *arg, const char *name, int index, const float *x, int features, int tokens)
{
    struct found *found = arg;
    const struct golden *g = found->golden;
    char file[64];
    if (strcmp(name, "encoder") == 0) {
        double d = panel_difference(x, features, tokens, &g->encoder[found->encoders++]);
        found->encoder = fmax(found->encoder, d);
    } else if (strcmp(name, "projector") == 0) {
        double d = panel_difference(x, features, tokens, &g->projector[found->projectors++]);
        found->projector = fmax(found->projector, d);
    } else {
        bool layer = strcmp(name, "enc_layer") == 0 || strcmp(name, "dec_layer") == 0;
        snprintf(file, sizeof file, layer ? "debug_%s%d.npy" : "debug_%s.npy", name, index);
        see_debug(found, file, x, features, tokens);
    }
}

static double lead(const float *logits, int vocab)
{
    int first = run_best(logits, vocab);
    double second = -INFINITY;
    for (int i = 0; i < vocab; i++)
        if (i != first)
            second = fmax(second, logits[i]);
    return logits[first] - second;
}

/* The reference's ids are fed back whatever ours would have been. */
static void run_case(struct engine *g, const struct golden *c, struct found *found)
{
    int vocab = engine_config(g)->text.vocab;
    found->golden = c;
    found->encoders = found->projectors = 0;
    struct session *s = run_prefill(g, &c->prompt);
    assert_int_equal(found->projectors, c->prompt.clip_count);
    found->prefill = fmax(
        found->prefill, max_difference(session_logits(s), c->prefill_last4.data + 3 * vocab, (size_t)vocab));
    for (int i = 0; i < c->steps; i++) {
        const float *want = c->step_logits.data + i * vocab, *got = session_logits(s);
        found->step = fmax(found->step, max_difference(got, want, (size_t)vocab));
        assert_int_equal(run_best(want, vocab), c->greedy[i]);
        if (run_best(got, vocab) != c->greedy[i])
            found->worst_gap = fmax(found->worst_gap, lead(want, vocab));
        run_decode(g, &s, &c->greedy[i], 1);
    }
    session_free(s);
}

static void check(const struct found *f, const struct tolerance *t)
{
    assert_true(f->encoder <= t->encoder);
    assert_true(f->projector <= t->projector);
    assert_true(f->debug <= t->debug);
    assert_true(f->prefill <= t->prefill);
    assert_true(f->step <= t->step);
    assert_true(f->worst_gap <= t->sure_gap);
}

static void run_all(struct goldens *all, const char *cpu, const struct way *w, int threads)
{
    struct err e = {0};
    struct pool *pool = pool_new(threads, &e);
    struct engine_options o = {.math = w->math, .kv = w->kv, .context = 1024, .cpu = cpu};
    struct engine *g = run_engine(&all->model, pool, &o);
    if (g) {
        struct found found = {0};
        assert_string_equal(engine_cpu(g), cpu);
        engine_tap(g, &(struct tap){see, &found});
        for (int i = 0; i < GOLDEN_CASES; i++)
            if ((threads > 1 && w->kv == KV_AUTO) || all->cases[i].prompt.count < LONG_PROMPT)
                run_case(g, &all->cases[i], &found);
        print_message(
            "%-6s %-15s %d threads: encoder %.1e projector %.1e inner %.1e prefill %.1e steps %.1e, "
            "other id under a lead of %.2f\n",
            cpu, w->name, threads, found.encoder, found.projector, found.debug, found.prefill, found.step,
            found.worst_gap);
        check(&found, &w->tolerance);
    }
    engine_free(g);
    pool_free(pool);
}

static void every_way_of_computing_equals_the_reference(void **state)
{
    for (size_t c = 0; c < sizeof run_cpus / sizeof *run_cpus; c++)
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
            for (int threads = 1; threads <= 2; threads++)
                run_all(*state, run_cpus[c], &ways[w], threads);
}

/* A prompt cut short ends on the reference's earlier rows. */
static void last_four_positions_equal_the_reference(void **state)
{
    struct goldens *all = *state;
    struct err e = {0};
    struct pool *pool = pool_new(1, &e);
    for (size_t c = 0; c < sizeof run_cpus / sizeof *run_cpus; c++) {
        struct engine *g =
            run_engine(&all->model, pool,
                       &(struct engine_options){.math = MATH_EXACT, .context = 1024, .cpu = run_cpus[c]});
        int vocab = all->model.config.text.vocab;
        for (int i = 0; g && i < GOLDEN_CASES; i++)
            for (int row = 0; row < 4; row++) {
                const struct golden *k = &all->cases[i];
                struct prompt p = k->prompt;
                p.count -= 3 - row;
                if (p.count >= LONG_PROMPT)
                    continue;
                struct session *s = run_prefill(g, &p);
                double d =
                    max_difference(session_logits(s), k->prefill_last4.data + row * vocab, (size_t)vocab);
                assert_true(d <= ways[0].tolerance.prefill);
                session_free(s);
            }
        engine_free(g);
    }
    pool_free(pool);
}

static int open_all(void **state)
{
    *state = goldens_open();
    return 0;
}

static int close_all(void **state)
{
    goldens_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_four_positions_equal_the_reference),
        cmocka_unit_test(every_way_of_computing_equals_the_reference),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
