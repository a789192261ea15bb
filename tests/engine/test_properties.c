/* A session's logits do not depend on how its prompt was cut, on who else is in the batch, or on whether it
 * was forked: bit by bit. */
#include "golden.h"
#include "runs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PROMPTS = 8, STEPS = 4, CONTEXT = 900 };

struct way {
    const char *name;
    enum math_mode math;
    enum kv_type kv;
};

static const struct way ways[] = {
    {"exact", MATH_EXACT, KV_AUTO},
    {"fast", MATH_FAST, KV_AUTO},
    {"fast, KV q8", MATH_FAST, KV_Q8},
};

/* Calls check for every kernel table and way, on two threads and with room for two sessions per prompt. */
static void for_every_engine(const struct goldens *all,
                             void (*check)(struct engine *g, const struct goldens *all))
{
    struct err e = {0};
    struct pool *pool = pool_new(2, &e);
    assert_non_null(pool);
    for (size_t c = 0; c < sizeof run_cpus / sizeof *run_cpus; c++)
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            struct engine_options o = {ways[w].math, ways[w].kv, CONTEXT, 2 * PROMPTS, run_cpus[c]};
            struct engine *g = run_engine(&all->model, pool, &o);
            if (g) {
                print_message("%s, %s\n", run_cpus[c], ways[w].name);
                check(g, all);
            }
            engine_free(g);
        }
    pool_free(pool);
}

static size_t logit_bytes(const struct engine *g)
{
    return (size_t)engine_config(g)->text.vocab * sizeof(float);
}

/* The eight prompts of the goldens that are shorter than a full window: 44 to 357 tokens. */
static const struct prompt *prompt_at(const struct goldens *all, int i)
{
    static const int shorter[PROMPTS] = {0, 1, 2, 5, 6, 7, 8, 9};
    return &all->cases[shorter[i]].prompt;
}

/* The token every test feeds to session i at a step. */
static int token_at(int i, int step)
{
    return 40 + 31 * i + 7 * step;
}

/* --- pieces -- */

/* Works on one session until its prompt is done, piece by piece; `between` decodes meanwhile. */
static int prefill_in_pieces(struct engine *g, struct session *s, struct session *between)
{
    struct err e = {0};
    bool done = false;
    int pieces = 0;
    double progress = 0;
    for (; !done; pieces++) {
        int token = token_at(0, pieces);
        assert_true(session_prefill(s, 0, &done, &e));
        assert_true(session_progress(s) >= progress && session_progress(s) <= 1);
        progress = session_progress(s);
        run_decode(g, &between, &token, 1);
    }
    assert_true(progress == 1);
    return pieces;
}

static void check_pieces(struct engine *g, const struct goldens *all)
{
    static const int cases[] = {2, 3, 5}; /* one clip; 800 tokens: several chunks; two clips */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct prompt *p = &all->cases[cases[i]].prompt;
        struct session *whole = run_prefill(g, p), *other = run_prefill(g, prompt_at(all, 0));
        struct session *cut = run_begin(g, p);
        int least = p->clip_count * engine_config(g)->audio.layers + engine_config(g)->text.layers;
        assert_true(prefill_in_pieces(g, cut, other) >= least);
        assert_memory_equal(session_logits(cut), session_logits(whole), logit_bytes(g));
        for (int step = 0; step < STEPS; step++) {
            int token = token_at(1, step);
            run_decode(g, &whole, &token, 1);
            run_decode(g, &cut, &token, 1);
            assert_memory_equal(session_logits(cut), session_logits(whole), logit_bytes(g));
        }
        session_free(whole);
        session_free(other);
        session_free(cut);
    }
}

static void prompt_in_pieces_equals_prompt_at_once(void **state)
{
    for_every_engine(*state, check_pieces);
}

/* Two prompts take turns, layer by layer. */
static void check_turns(struct engine *g, const struct goldens *all)
{
    const struct prompt *p[2] = {prompt_at(all, 3), prompt_at(all, 2)};
    struct session *alone[2] = {run_prefill(g, p[0]), run_prefill(g, p[1])};
    struct session *turns[2] = {run_begin(g, p[0]), run_begin(g, p[1])};
    bool done[2] = {false, false};
    while (!done[0] || !done[1])
        for (int i = 0; i < 2; i++)
            if (!done[i])
                assert_true(session_prefill(turns[i], 0, &done[i], NULL));
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(session_logits(turns[i]), session_logits(alone[i]), logit_bytes(g));
        session_free(turns[i]);
        session_free(alone[i]);
    }
}

static void prompts_that_take_turns_equal_each_alone(void **state)
{
    for_every_engine(*state, check_turns);
}

/* --- batches -- */

/* Logits of each prompt decoded alone: [PROMPTS][STEPS][vocab]. origins stay at the end of their prompts. */
static float *decode_alone(struct engine *g, struct session *const *origins, int prompts)
{
    size_t vocab = (size_t)engine_config(g)->text.vocab;
    float *want = malloc((size_t)prompts * STEPS * logit_bytes(g));
    assert_non_null(want);
    for (int i = 0; i < prompts; i++) {
        struct session *s = session_fork(origins[i], NULL);
        assert_non_null(s);
        for (int step = 0; step < STEPS; step++) {
            int token = token_at(i, step);
            run_decode(g, &s, &token, 1);
            memcpy(want + (size_t)(i * STEPS + step) * vocab, session_logits(s), logit_bytes(g));
        }
        session_free(s);
    }
    return want;
}

/* A batch of n that starts with prompt `first`, against the same prompts alone. */
static void check_batch(struct engine *g, struct session *const *origins, int prompts, int first, int n,
                        const float *want)
{
    size_t vocab = (size_t)engine_config(g)->text.vocab;
    struct session *batch[PROMPTS];
    int tokens[PROMPTS];
    for (int i = 0; i < n; i++)
        assert_non_null(batch[i] = session_fork(origins[(first + i) % prompts], NULL));
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < n; i++)
            tokens[i] = token_at((first + i) % prompts, step);
        run_decode(g, batch, tokens, n);
        for (int i = 0; i < n; i++) {
            const float *alone = want + (size_t)((first + i) % prompts * STEPS + step) * vocab;
            assert_memory_equal(session_logits(batch[i]), alone, logit_bytes(g));
        }
    }
    for (int i = 0; i < n; i++)
        session_free(batch[i]);
}

static void check_batches(struct engine *g, const struct goldens *all)
{
    struct session *origins[PROMPTS];
    for (int i = 0; i < PROMPTS; i++)
        origins[i] = run_prefill(g, prompt_at(all, i));
    float *want = decode_alone(g, origins, PROMPTS);
    for (int n = 1; n <= PROMPTS; n++)
        check_batch(g, origins, PROMPTS, n * 3 % PROMPTS, n, want);
    free(want);
    for (int i = 0; i < PROMPTS; i++)
        session_free(origins[i]);
}

static void decoded_together_equals_decoded_alone(void **state)
{
    for_every_engine(*state, check_batches);
}

/* --- forks -- */

static void check_fork(struct engine *g, const struct goldens *all)
{
    struct session *first = run_prefill(g, prompt_at(all, 2)), *second = run_prefill(g, prompt_at(all, 2));
    struct session *fork = session_fork(first, NULL);
    assert_non_null(fork);
    assert_int_equal(session_length(fork), session_length(first));
    assert_memory_equal(session_logits(fork), session_logits(first), logit_bytes(g));
    for (int step = 0; step < STEPS; step++) {
        int same = token_at(1, step), other = token_at(2, step);
        run_decode(g, &first, &other, 1); /* the original goes another way */
        run_decode(g, &second, &same, 1);
        run_decode(g, &fork, &same, 1);
        assert_memory_equal(session_logits(fork), session_logits(second), logit_bytes(g));
    }
    session_free(first);
    struct session *reused = run_prefill(g, prompt_at(all, 1)); /* lies where the original did */
    int token = token_at(3, 0);
    run_decode(g, &second, &token, 1);
    run_decode(g, &fork, &token, 1);
    assert_memory_equal(session_logits(fork), session_logits(second), logit_bytes(g));
    session_free(reused);
    session_free(second);
    session_free(fork);
}

static void fork_goes_on_as_the_original_would(void **state)
{
    for_every_engine(*state, check_fork);
}

/* --- limits -- */

static void full_context_is_refused_and_changes_nothing(void **state)
{
    const struct goldens *all = *state;
    struct err e = {0};
    struct pool *pool = pool_new(1, &e);
    struct engine_options o = {.math = MATH_EXACT, .context = 45, .parallel = 2, .cpu = "ref"};
    struct engine *g = run_engine(&all->model, pool, &o);
    struct prompt shorter = *prompt_at(all, 0);
    shorter.count = 43;
    struct session *both[2] = {run_prefill(g, &shorter), run_prefill(g, prompt_at(all, 0))};
    int tokens[2] = {50, 60};
    assert_int_equal(session_length(both[1]), 44);
    run_decode(g, both, tokens, 2);
    float *before = malloc(logit_bytes(g));
    memcpy(before, session_logits(both[0]), logit_bytes(g));
    assert_false(engine_decode(g, both, tokens, 2, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.text, "session 1 of the batch has filled its context of 45 tokens");
    assert_int_equal(session_length(both[0]), 44);
    assert_memory_equal(session_logits(both[0]), before, logit_bytes(g));

    assert_null(session_new(g, &e));
    assert_int_equal(e.kind, ERR_BUSY);
    free(before);
    session_free(both[0]);
    session_free(both[1]);
    engine_free(g);
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
        cmocka_unit_test(full_context_is_refused_and_changes_nothing),
        cmocka_unit_test(prompt_in_pieces_equals_prompt_at_once),
        cmocka_unit_test(prompts_that_take_turns_equal_each_alone),
        cmocka_unit_test(decoded_together_equals_decoded_alone),
        cmocka_unit_test(fork_goes_on_as_the_original_would),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
