/* Computing behind weights that are still arriving: never too early, and bit for bit what it is with all of
 * them there. */
#include "golden.h"
#include "late_model.h"
#include "runs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { CONTEXT = 2400, PARALLEL = 8, STEPS = 3, LONG = 2300 };

struct fixture {
    struct goldens *goldens;
    struct pool *pool;
    int long_ids[LONG];
    struct prompt long_prompt; /* of text, more than one pass */
};

static const struct way {
    const char *name;
    enum math_mode math;
    enum kv_type kv;
} ways[] = {{"exact", MATH_EXACT, KV_AUTO}, {"fast", MATH_FAST, KV_AUTO}};

static struct engine *engine_of(const struct fixture *f, const struct model *m, const struct way *way)
{
    struct engine_options o = {way->math, way->kv, CONTEXT, PARALLEL, "avx2"};
    struct engine *g = run_engine(m, f->pool, &o);
    if (!g)
        skip();
    return g;
}

/* Text; one clip; 800 tokens: more than one chunk; two clips; 2300 tokens: more than one pass. */
enum { PROMPTS = 5 };
static const struct prompt *prompt_at(const struct fixture *f, int i)
{
    static const int cases[] = {0, 2, 3, 5};
    return i < 4 ? &f->goldens->cases[cases[i]].prompt : &f->long_prompt;
}

static size_t logit_bytes(const struct engine *g)
{
    return (size_t)engine_config(g)->text.vocab * sizeof(float);
}

static int token_at(int i, int step)
{
    return 40 + 31 * i + 7 * step;
}

/* Logits of every prompt and of STEPS tokens behind it, with all weights there:
 * [PROMPTS][1 + STEPS][vocab]. */
static float *wanted_logits(const struct fixture *f, const struct way *way)
{
    struct engine *g = engine_of(f, &f->goldens->model, way);
    size_t vocab = (size_t)engine_config(g)->text.vocab;
    float *want = malloc(PROMPTS * (1 + STEPS) * logit_bytes(g));
    assert_non_null(want);
    for (int i = 0; i < PROMPTS; i++) {
        struct session *s = run_prefill(g, prompt_at(f, i));
        for (int step = 0;; step++) {
            int token = token_at(i, step);
            memcpy(want + (size_t)(i * (1 + STEPS) + step) * vocab, session_logits(s), logit_bytes(g));
            if (step == STEPS)
                break;
            run_decode(g, &s, &token, 1);
        }
        session_free(s);
    }
    engine_free(g);
    return want;
}

/* --- bringing on another thread --- */

struct bringer {
    struct late_model *late;
    const int *order; /* [count] stages */
    int count;
    bool all; /* end with arrival_end */
    _Atomic bool stop;
    pthread_t thread;
};

static void pause_us(long us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static void *bring(void *arg)
{
    struct bringer *b = arg;
    for (int i = 0; i < b->count; i++) {
        pause_us(2000);
        late_wanted_rows(b->late);
        late_stage(b->late, b->order[i]);
    }
    if (b->all)
        late_end(b->late);
    while (!b->all && !atomic_load(&b->stop)) {
        late_wanted_rows(b->late);
        pause_us(500);
    }
    return NULL;
}

static void bring_on_thread(struct bringer *b)
{
    assert_int_equal(pthread_create(&b->thread, NULL, bring, b), 0);
}

/* Every prompt as fast as its weights come, in turns, layer by layer; then tokens behind each. */
static void run_behind(const struct fixture *f, struct engine *g, const float *want)
{
    size_t vocab = (size_t)engine_config(g)->text.vocab;
    struct session *s[PROMPTS];
    bool done[PROMPTS] = {false};
    struct err e = {0};
    for (int i = 0; i < PROMPTS; i++)
        s[i] = run_begin(g, prompt_at(f, i));
    for (int left = PROMPTS; left > 0;)
        for (int i = 0; i < PROMPTS; i++) {
            if (done[i])
                continue;
            if (!session_prefill(s[i], 0, &done[i], &e))
                fail_msg("%s", e.text);
            left -= done[i];
        }
    for (int step = 0;; step++) {
        int tokens[PROMPTS];
        for (int i = 0; i < PROMPTS; i++) {
            tokens[i] = token_at(i, step);
            assert_memory_equal(session_logits(s[i]), want + (size_t)(i * (1 + STEPS) + step) * vocab,
                                logit_bytes(g));
        }
        if (step == STEPS)
            break;
        run_decode(g, s, tokens, PROMPTS);
    }
    for (int i = 0; i < PROMPTS; i++)
        session_free(s[i]);
}

/* Orders in which stages of the tiny model (2 encoder, 3 decoder layers) come; -1 ends. */
static const int orders[][10] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, -1}, /* as a prompt with audio needs them */
    {4, 5, 6, 7, 0, 1, 2, 3, 8, -1}, /* as one of text does */
    {8, 7, 6, 5, 4, 3, 2, 1, 0, -1}, /* the worst */
    {0, 1, 2, 3, 4, 5, 6, 7, -1},    /* the embedding never comes as a whole */
};

static void answers_behind_arriving_weights_are_the_same_bits(void **state)
{
    const struct fixture *f = *state;
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        float *want = wanted_logits(f, &ways[w]);
        for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
            struct late_model late;
            struct bringer b = {.late = &late, .order = orders[o]};
            while (orders[o][b.count] >= 0)
                b.count++;
            b.all = b.count == 9;
            late_model_init(&late, &f->goldens->model);
            struct engine *g = engine_of(f, &late.model, &ways[w]);
            bring_on_thread(&b);
            run_behind(f, g, want);
            atomic_store(&b.stop, true);
            pthread_join(b.thread, NULL);
            engine_free(g);
            late_model_clear(&late);
        }
        free(want);
    }
}

/* --- one step after another --- */

static void session_waits_until_the_stage_of_its_next_step_is_there(void **state)
{
    const struct fixture *f = *state;
    struct late_model late;
    struct err e = {0};
    bool done = false;
    late_model_init(&late, &f->goldens->model);
    struct engine *g = engine_of(f, &late.model, &ways[0]);
    struct session *s = run_begin(g, prompt_at(f, 1));
    for (int stage = 0; stage <= stage_head(engine_config(g)); stage++) {
        assert_true(session_waits(s));
        late_stage(&late, stage);
        if (stage == stage_decoder(engine_config(g), 0)) {
            assert_true(session_waits(s)); /* for the rows of its tokens */
            assert_in_range(late_wanted(&late), 1, 60);
            late_wanted_rows(&late);
        }
        assert_false(session_waits(s));
        assert_true(session_prefill(s, 0, &done, &e));
    }
    assert_true(done);
    assert_false(session_waits(s));
    assert_false(arrival_has(late.model.arrival, stage_embedding(engine_config(g))));
    session_free(s);
    engine_free(g);
    late_model_clear(&late);
}

static void prompt_of_text_needs_no_audio_stage(void **state)
{
    const struct fixture *f = *state;
    struct late_model late;
    late_model_init(&late, &f->goldens->model);
    struct engine *g = engine_of(f, &late.model, &ways[0]);
    struct session *s = run_begin(g, prompt_at(f, 0));
    assert_int_equal(arrival_asked(late.model.arrival).text, 1);
    assert_int_equal(arrival_asked(late.model.arrival).audio, 0);
    late_wanted_rows(&late);
    for (int stage = stage_decoder(engine_config(g), 0); stage <= stage_head(engine_config(g)); stage++)
        late_stage(&late, stage);
    struct err e = {0};
    bool done = false;
    assert_true(session_prefill(s, INFINITY, &done, &e));
    assert_true(done);
    assert_int_equal(arrival_asked(late.model.arrival).text, 0);
    session_free(s);
    engine_free(g);
    late_model_clear(&late);
}

static void session_given_up_asks_for_nothing_any_more(void **state)
{
    const struct fixture *f = *state;
    struct late_model late;
    late_model_init(&late, &f->goldens->model);
    struct engine *g = engine_of(f, &late.model, &ways[0]);
    struct session *s = run_begin(g, prompt_at(f, 1));
    assert_int_equal(arrival_asked(late.model.arrival).audio, 1);
    session_free(s);
    assert_int_equal(arrival_asked(late.model.arrival).audio, 0);
    engine_free(g);
    late_model_clear(&late);
}

/* --- when they will not come --- */

static void *fail_soon(void *arg)
{
    struct late_model *late = arg;
    struct err why = {0};
    pause_us(20000);
    err_set(&why, ERR_CORRUPT, "shard 3 is damaged");
    arrival_fail(late->model.arrival, &why);
    return NULL;
}

static void load_that_fails_ends_prompts_and_answers_with_its_reason(void **state)
{
    const struct fixture *f = *state;
    struct late_model late;
    struct err e = {0};
    pthread_t thread;
    bool done = false;
    late_model_init(&late, &f->goldens->model);
    struct engine *g = engine_of(f, &late.model, &ways[0]);
    struct session *s = run_begin(g, prompt_at(f, 0)), *waiting = run_begin(g, prompt_at(f, 1));
    late_wanted_rows(&late);
    for (int stage = stage_decoder(engine_config(g), 0); stage <= stage_head(engine_config(g)); stage++)
        late_stage(&late, stage);
    assert_true(session_prefill(s, INFINITY, &done, &e));
    pthread_create(&thread, NULL, fail_soon, &late);
    assert_false(session_prefill(waiting, INFINITY, &done, &e));
    assert_string_equal(e.text, "shard 3 is damaged");
    e = (struct err){0};
    assert_false(engine_decode(g, &s, (int[]){77}, 1, &e)); /* its row never came */
    assert_string_equal(e.text, "shard 3 is damaged");
    assert_int_equal(e.kind, ERR_CORRUPT);
    pthread_join(thread, NULL);
    session_free(s);
    session_free(waiting);
    engine_free(g);
    late_model_clear(&late);
}

static int open_all(void **state)
{
    static struct fixture f;
    struct err e = {0};
    f.goldens = goldens_open();
    f.pool = pool_new(2, &e);
    for (int i = 0; i < LONG; i++)
        f.long_ids[i] = (i * 37 + i / 50) % 1000;
    f.long_prompt = (struct prompt){.ids = f.long_ids, .count = LONG};
    *state = &f;
    return f.pool ? 0 : -1;
}

static int close_all(void **state)
{
    struct fixture *f = *state;
    goldens_close(f->goldens);
    pool_free(f->pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_that_fails_ends_prompts_and_answers_with_its_reason),
        cmocka_unit_test(session_given_up_asks_for_nothing_any_more),
        cmocka_unit_test(session_waits_until_the_stage_of_its_next_step_is_there),
        cmocka_unit_test(prompt_of_text_needs_no_audio_stage),
        cmocka_unit_test(answers_behind_arriving_weights_are_the_same_bits),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
