/* The sampler against the reference's processors, against a plain one that sorts everything, and its seeds.
 */
#include "engine/sampler.h"
#include "engine/text/random.h"
#include "npy.h"
#include "text_data.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct sampling plain = {.temperature = 1, .top_p = 1, .repetition_penalty = 1};

static struct sampler *sampler_for(const struct sampling *o, int vocab, const int *prompt, int count)
{
    struct err e = {0};
    struct sampler *s = sampler_new(o, vocab, prompt, count, &e);
    if (!s)
        fail_msg("%s", e.text);
    return s;
}

static float number(const json_t *o, const char *key)
{
    return (float)json_number_value(json_object_get(o, key));
}

static void check_survivors(const char *name, const json_t *golden, const struct npy *logits,
                            const int *prompt, int count)
{
    struct sampling o = plain;
    o.temperature = number(golden, "temperature");
    o.top_p = number(golden, "top_p");
    o.top_k = (int)number(golden, "top_k");
    o.repetition_penalty = number(golden, "repetition_penalty");
    struct candidate got[64];
    struct sampler *s = sampler_for(&o, (int)logits->shape[1], prompt, count);
    size_t n = sampler_candidates(s, logits->data, got, 64);
    const json_t *ids = json_object_get(golden, "kept_ids"), *p = json_object_get(golden, "probabilities");
    if (n != json_array_size(ids))
        fail_msg("%s: %zu survive, expected %zu", name, n, json_array_size(ids));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got[i].id, json_integer_value(json_array_get(ids, i)));
        assert_true(fabs((double)got[i].p - json_number_value(json_array_get(p, i))) < 1e-5);
    }
    sampler_free(s);
}

static void check_case(const char *name)
{
    char path[128];
    int prompt[4096];
    size_t i;
    json_t *value;
    snprintf(path, sizeof path, "data/goldens/%s/step_logits.npy", name);
    struct npy logits = npy_read(path);
    snprintf(path, sizeof path, "data/goldens/%s/case.json", name);
    json_t *golden = text_data_json(path), *ids = json_object_get(golden, "input_ids");
    json_array_foreach(ids, i, value)
    {
        prompt[i] = (int)json_integer_value(value);
    }
    int count = (int)i;
    json_array_foreach(json_object_get(golden, "first_step_sampling"), i, value)
    {
        check_survivors(name, value, &logits, prompt, count);
    }
    assert_int_equal(i, 3);
    json_decref(golden);
    npy_free(&logits);
}

static void survivors_are_those_of_the_reference(void **state)
{
    static const char *const cases[] = {"a_text",       "b_short",      "c_12s",       "d_30s",
                                        "e_34s",        "f_two_audios", "g_multiturn", "h_one_token",
                                        "i_voice_only", "j_text_first"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case(cases[i]);
}

/* Logits of about the spread of a real model's. */
static void fill(float *logits, int n, struct random *r)
{
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < 4; k++)
            sum += random_unit(r) - 0.5;
        logits[i] = (float)(sum * 8);
    }
}

/* The same from the formulas, sorting everything. */
static int by_falling_score(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return x->p != y->p ? (x->p < y->p) - (x->p > y->p) : (x->id > y->id) - (x->id < y->id);
}

static int simple_candidates(const struct sampling *o, const float *logits, int n, struct candidate *c)
{
    double sum = 0, before = 0;
    int kept = n;
    for (int i = 0; i < n; i++)
        c[i] = (struct candidate){i, logits[i]};
    qsort(c, (size_t)n, sizeof *c, by_falling_score);
    if (o->top_k && o->top_k < n)
        for (kept = o->top_k; kept < n && c[kept].p == c[kept - 1].p; kept++)
            ;
    double best = (double)c[0].p;
    for (int i = 0; i < kept; i++) {
        c[i].p = (float)exp(((double)c[i].p - best) / (double)o->temperature);
        sum += (double)c[i].p;
    }
    int last = 0;
    for (; last < kept && (last == 0 || before < (double)o->top_p * sum); last++)
        before += (double)c[last].p;
    if (o->top_p < 1)
        kept = last;
    while (kept > 1 && c[kept - 1].p < o->min_p)
        kept--;
    return kept;
}

static void partial_selection_equals_sorting_everything(void **state)
{
    static const struct sampling settings[] = {
        {.temperature = 1, .top_p = 0.9f, .repetition_penalty = 1},
        {.temperature = 0.3f, .top_p = 0.999f, .repetition_penalty = 1},
        {.temperature = 5, .top_p = 0.5f, .repetition_penalty = 1},
        {.temperature = 1, .top_p = 0, .repetition_penalty = 1},
        {.temperature = 1, .top_p = 1, .top_k = 1, .repetition_penalty = 1},
        {.temperature = 0.7f, .top_p = 0.5f, .top_k = 20, .repetition_penalty = 1},
        {.temperature = 2, .top_p = 1, .top_k = 700, .repetition_penalty = 1},
        {.temperature = 1, .top_p = 1, .min_p = 0.2f, .repetition_penalty = 1},
        {.temperature = 1, .top_p = 0.95f, .min_p = 0.05f, .top_k = 100, .repetition_penalty = 1},
        {.temperature = 1, .top_p = 1, .repetition_penalty = 1},
        {.temperature = 0.001f, .top_p = 0.5f, .repetition_penalty = 1},
    };
    enum { VOCAB = 1031, SETTINGS = sizeof settings / sizeof *settings };
    static float logits[VOCAB];
    static struct candidate got[VOCAB], want[VOCAB];
    struct random r;
    (void)state;
    random_seed(&r, 1);
    for (int round = 0; round < 20 * SETTINGS; round++) {
        const struct sampling *o = &settings[round % SETTINGS];
        fill(logits, VOCAB, &r);
        for (int i = 0; i < round % 50; i++)
            logits[random_next(&r) % VOCAB] = round % 2 ? 3.0f : -INFINITY; /* ties, and ids ruled out */
        struct sampler *s = sampler_for(o, VOCAB, NULL, 0);
        size_t n = sampler_candidates(s, logits, got, VOCAB);
        size_t m = (size_t)simple_candidates(o, logits, VOCAB, want);
        while (m > 0 && want[m - 1].p <= 0)
            m--;
        assert_int_equal(n, m);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(got[i].id, want[i].id);
        sampler_free(s);
    }
}

static void ties_with_the_kth_are_kept(void **state)
{
    static const float logits[] = {1, 3, 2, 2, 2, 0};
    struct sampling o = plain;
    struct candidate got[6];
    (void)state;
    o.top_k = 2;
    struct sampler *s = sampler_for(&o, 6, NULL, 0);
    assert_int_equal(sampler_candidates(s, logits, got, 6), 4);
    assert_int_equal(got[0].id, 1);
    assert_int_equal(got[1].id, 2);
    assert_int_equal(got[3].id, 4);
    sampler_free(s);
}

static void greedy_takes_the_first_of_equal_scores(void **state)
{
    static const float logits[] = {-1, 5, 5, 4};
    struct sampling o = plain;
    (void)state;
    o.temperature = 0;
    struct sampler *s = sampler_for(&o, 4, NULL, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(sampler_pick(s, logits), 1);
    sampler_free(s);
}

static void repetition_penalty_counts_prompt_and_output_once_per_id(void **state)
{
    static const float logits[] = {4.0f, 3.9f, -1.0f, 3.0f};
    static const int prompt[] = {0, 0, 2};
    struct sampling o = plain;
    struct candidate got[4];
    (void)state;
    o.repetition_penalty = 2;
    o.top_k = 1;
    struct sampler *s = sampler_for(&o, 4, prompt, 3);
    assert_int_equal(sampler_pick(s, logits), 1); /* 0 is at 4 / 2 */
    assert_int_equal(sampler_pick(s, logits), 3); /* 1 is at 3.9 / 2 now */
    sampler_free(s);
    o.top_k = 0;
    s = sampler_for(&o, 4, prompt, 3);
    assert_int_equal(sampler_candidates(s, logits, got, 4), 4);
    assert_int_equal(got[3].id, 2); /* -1 * 2 */
    assert_true(fabs(log((double)got[0].p / (double)got[3].p) - 5.9) < 1e-4);
    sampler_free(s);
}

static void frequency_and_presence_count_the_output_only(void **state)
{
    static const float logits[] = {1.0f, 0.9f};
    static const int prompt[] = {0, 0, 0};
    struct sampling o = plain;
    struct candidate got[2];
    (void)state;
    o.frequency_penalty = 0.5f;
    o.presence_penalty = 0.25f;
    o.top_p = 0;
    struct sampler *s = sampler_for(&o, 2, prompt, 3);
    assert_int_equal(sampler_pick(s, logits), 0);
    assert_int_equal(sampler_pick(s, logits), 1); /* 0 is at 1 - 0.5 - 0.25 */
    assert_int_equal(sampler_pick(s, logits), 0); /* 1 is at 0.15 */
    assert_int_equal(sampler_candidates(s, logits, got, 2), 1);
    assert_int_equal(got[0].id, 1); /* 0 is at 1 - 1 - 0.25 */
    sampler_free(s);
}

static void bias_is_added(void **state)
{
    static const float logits[] = {1, 0, 0};
    static const struct logit_bias bias[] = {{2, 100}, {0, -100}};
    struct sampling o = plain;
    (void)state;
    o.bias = bias;
    o.bias_count = 2;
    struct sampler *s = sampler_for(&o, 3, NULL, 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(sampler_pick(s, logits), 2);
    sampler_free(s);
}

static void the_same_seed_gives_the_same_ids(void **state)
{
    enum { VOCAB = 500, PICKS = 200 };
    static float logits[PICKS][VOCAB];
    struct random r;
    int same = 0;
    (void)state;
    random_seed(&r, 7);
    fill(logits[0], PICKS * VOCAB, &r);
    struct sampling one = plain, other = plain;
    one.seed = 11;
    other.seed = 12;
    struct sampler *a = sampler_for(&one, VOCAB, NULL, 0), *b = sampler_for(&one, VOCAB, NULL, 0);
    struct sampler *c = sampler_for(&other, VOCAB, NULL, 0);
    for (int i = 0; i < PICKS; i++) {
        int id = sampler_pick(a, logits[i]);
        assert_int_equal(sampler_pick(b, logits[i]), id);
        same += sampler_pick(c, logits[i]) == id;
        sampler_candidates(b, logits[i], NULL, 0); /* does not advance */
    }
    assert_true(same < PICKS / 2);
    sampler_free(a);
    sampler_free(b);
    sampler_free(c);
}

/* xoshiro256** from the state {1, 2, 3, 4}: the first numbers its description leads to by hand. */
static void random_stream_is_the_described_one(void **state)
{
    static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240};
    struct random r = {{1, 2, 3, 4}};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_true(random_next(&r) == want[i]);
}

static void draws_follow_the_probabilities(void **state)
{
    enum { DRAWS = 100000 };
    const float logits[] = {logf(0.5f), logf(0.3f), logf(0.15f), logf(0.05f)};
    static const double p[] = {0.5, 0.3, 0.15, 0.05};
    int seen[4] = {0};
    (void)state;
    struct sampler *s = sampler_for(&plain, 4, NULL, 0);
    for (int i = 0; i < DRAWS; i++)
        seen[sampler_pick(s, logits)]++;
    for (int i = 0; i < 4; i++) /* five standard deviations */
        assert_true(fabs(seen[i] - DRAWS * p[i]) < 5 * sqrt(DRAWS * p[i] * (1 - p[i])));
    sampler_free(s);
}

static void scores_that_are_no_numbers_pick_nothing(void **state)
{
    static const float bad[][3] = {{0, NAN, 1}, {INFINITY, 0, 0}, {-INFINITY, -INFINITY, -INFINITY}};
    (void)state;
    for (int greedy = 0; greedy < 2; greedy++) {
        struct sampling o = plain;
        o.temperature = greedy ? 0 : 1;
        struct sampler *s = sampler_for(&o, 3, NULL, 0);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            assert_int_equal(sampler_pick(s, bad[i]), -1);
        sampler_free(s);
    }
}

struct refusal {
    struct sampling o;
    int prompt_id;
    const char *message;
};

static void values_out_of_range_are_refused(void **state)
{
    static const struct logit_bias far = {10, 0}, strong = {1, 101};
    static const struct refusal refusals[] = {
        {{.temperature = -1, .top_p = 1, .repetition_penalty = 1}, 0, "temperature is -1, expected 0 to 100"},
        {{.temperature = NAN, .top_p = 1, .repetition_penalty = 1},
         0,
         "temperature is nan, expected 0 to 100"},
        {{.top_p = 1.5f, .repetition_penalty = 1}, 0, "top_p is 1.5, expected 0 to 1"},
        {{.top_p = 1, .min_p = -0.5f, .repetition_penalty = 1}, 0, "min_p is -0.5, expected 0 to 1"},
        {{.top_p = 1, .top_k = -1, .repetition_penalty = 1}, 0, "top_k is -1, expected 0 to 2.14748e+09"},
        {{.top_p = 1}, 0, "repetition_penalty is 0, expected 0.01 to 100"},
        {{.top_p = 1, .repetition_penalty = 1}, 10, "the prompt has token id 10, expected 0 to 9"},
        {{.top_p = 1, .repetition_penalty = 1}, -1, "the prompt has token id -1, expected 0 to 9"},
        {{.top_p = 1, .repetition_penalty = 1, .bias = &far, .bias_count = 1},
         0,
         "logit_bias has token id 10, expected 0 to 9"},
        {{.top_p = 1, .repetition_penalty = 1, .bias = &strong, .bias_count = 1},
         0,
         "logit_bias of token id 1 is 101, expected -100 to 100"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct err e = {0};
        assert_null(sampler_new(&refusals[i].o, 10, &refusals[i].prompt_id, 1, &e));
        assert_int_equal(e.kind, ERR_USAGE);
        assert_string_equal(e.text, refusals[i].message);
    }
}

static void logprobs_are_those_of_the_raw_softmax(void **state)
{
    enum { VOCAB = 1031, TOP = 20 };
    static float logits[VOCAB];
    static struct candidate want[VOCAB];
    struct token_logprob chosen, top[TOP];
    struct random r;
    double sum = 0;
    (void)state;
    random_seed(&r, 3);
    fill(logits, VOCAB, &r);
    logits[5] = -INFINITY;
    logits[17] = logits[900] = 30.5f;
    for (int i = 0; i < VOCAB; i++)
        sum += exp((double)logits[i]);
    simple_candidates(&plain, logits, VOCAB, want);
    logprobs_top(logits, VOCAB, 700, &chosen, top, TOP);
    assert_int_equal(chosen.id, 700);
    assert_true(fabs((double)chosen.logprob - ((double)logits[700] - log(sum))) < 1e-4);
    for (int i = 0; i < TOP; i++) {
        assert_int_equal(top[i].id, want[i].id);
        assert_true(fabs((double)top[i].logprob - ((double)logits[top[i].id] - log(sum))) < 1e-4);
    }
    logprobs_top(logits, 2, 0, &chosen, top, 3);
    assert_int_equal(top[2].id, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(scores_that_are_no_numbers_pick_nothing),
        cmocka_unit_test(survivors_are_those_of_the_reference),
        cmocka_unit_test(partial_selection_equals_sorting_everything),
        cmocka_unit_test(ties_with_the_kth_are_kept),
        cmocka_unit_test(greedy_takes_the_first_of_equal_scores),
        cmocka_unit_test(repetition_penalty_counts_prompt_and_output_once_per_id),
        cmocka_unit_test(frequency_and_presence_count_the_output_only),
        cmocka_unit_test(bias_is_added),
        cmocka_unit_test(the_same_seed_gives_the_same_ids),
        cmocka_unit_test(random_stream_is_the_described_one),
        cmocka_unit_test(draws_follow_the_probabilities),
        cmocka_unit_test(logprobs_are_those_of_the_raw_softmax),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
