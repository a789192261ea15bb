/* From messages to text, as the reference's generate(): prompts rendered to its ids, greedy runs with and
 * without repetition penalty, what its samplers would draw from, and the text that comes out. */
#include "golden.h"
#include "runs.h"

#include "engine/chat.h"
#include "engine/sampler.h"
#include "engine/tokenizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_PARTS = 8, MAX_MESSAGES = 8, MAX_STEPS = 24 };

struct fixture {
    struct goldens *goldens;
    struct tokenizer *tokenizer;
};

/* --- prompts -- */

struct conversation {
    struct chat_message messages[MAX_MESSAGES];
    struct chat_part parts[MAX_MESSAGES][MAX_PARTS];
    int count;
};

static struct chat_part text_part(const json_t *text)
{
    return (struct chat_part){.text = json_string_value(text), .text_size = json_string_length(text)};
}

/* Content is a string or a list of parts; the case's clips stand in the order of its audio parts. */
static void read_messages(struct conversation *out, const struct golden *g)
{
    const json_t *messages = json_object_get(g->json, "messages");
    int clips = 0;
    out->count = (int)json_array_size(messages);
    assert_in_range(out->count, 1, MAX_MESSAGES);
    for (int i = 0; i < out->count; i++) {
        const json_t *message = json_array_get(messages, (size_t)i),
                     *content = json_object_get(message, "content");
        struct chat_part *parts = out->parts[i];
        int count = json_is_string(content) ? 1 : (int)json_array_size(content);
        assert_in_range(count, 1, MAX_PARTS);
        if (json_is_string(content))
            parts[0] = text_part(content);
        for (int k = 0; json_is_array(content) && k < count; k++) {
            const json_t *text = json_object_get(json_array_get(content, (size_t)k), "text");
            parts[k] =
                text ? text_part(text) : (struct chat_part){.clips = &g->clips[clips++], .clip_count = 1};
        }
        out->messages[i] =
            (struct chat_message){json_string_value(json_object_get(message, "role")), parts, count};
    }
    assert_int_equal(clips, g->prompt.clip_count);
}

static void prompts_render_to_the_reference_ids(void **state)
{
    const struct fixture *f = *state;
    for (int i = 0; i < GOLDEN_CASES; i++) {
        const struct golden *g = &f->goldens->cases[i];
        struct conversation c;
        struct chat chat = {0};
        struct err e = {0};
        read_messages(&c, g);
        if (!chat_render(&chat, f->tokenizer, &f->goldens->model.config, c.messages, c.count, NULL, &e))
            fail_msg("%s: %s", g->name, e.text);
        assert_int_equal(chat.prompt.count, g->prompt.count);
        assert_memory_equal(chat.prompt.ids, g->prompt.ids, (size_t)g->prompt.count * sizeof(int));
        assert_int_equal(chat.prompt.clip_count, g->prompt.clip_count);
        for (int k = 0; k < chat.prompt.clip_count; k++)
            assert_ptr_equal(chat.prompt.clips[k].data, g->clips[k].data);
        char *text = chat_text(f->goldens->arena, c.messages, c.count, NULL, &e);
        assert_string_equal(text, json_string_value(json_object_get(g->json, "prompt")));
        chat_clear(&chat);
    }
}

/* --- greedy runs -- */

struct run {
    const char *key; /* of case.json */
    float repetition_penalty;
};

static const struct run runs[] = {{"greedy", 1}, {"greedy_repetition_penalty_1.1", 1.1f}};

static bool is_stop(const struct model_config *c, int id)
{
    for (int i = 0; i < c->generation.stop_count; i++)
        if (c->generation.stop_ids[i] == id)
            return true;
    return false;
}

/* Generates at most MAX_STEPS ids, a stop id included. */
static int generate(struct engine *g, const struct prompt *p, const struct sampling *how, int *ids)
{
    struct err e = {0};
    int count = 0, vocab = engine_config(g)->text.vocab;
    struct session *s = run_prefill(g, p);
    struct sampler *sampler = sampler_new(how, vocab, p->ids, p->count, &e);
    assert_non_null(sampler);
    while (count < MAX_STEPS) {
        ids[count] = sampler_pick(sampler, session_logits(s));
        if (is_stop(engine_config(g), ids[count++]))
            break;
        if (count < MAX_STEPS)
            run_decode(g, &s, &ids[count - 1], 1);
    }
    sampler_free(sampler);
    session_free(s);
    return count;
}

/* Streams ids through the detokenizer. */
static void check_text(const struct tokenizer *t, const int *ids, int count, const char *want)
{
    struct detokenizer d = {0};
    char text[4096];
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        size_t size;
        const char *bytes = tokenizer_bytes(t, ids[i], &size);
        assert_true(at + detokenizer_room(size) < sizeof text);
        at += detokenizer_push(&d, bytes, size, text + at);
    }
    at += detokenizer_finish(&d, text + at);
    text[at] = 0;
    assert_string_equal(text, want);
}

static void check_runs(struct engine *g, const struct fixture *f, const struct golden *c)
{
    for (size_t r = 0; r < sizeof runs / sizeof *runs; r++) {
        struct sampling how = {.top_p = 1, .repetition_penalty = runs[r].repetition_penalty};
        const json_t *run = json_object_get(c->json, runs[r].key);
        int ids[MAX_STEPS], want_count, count = generate(g, &c->prompt, &how, ids);
        const int *want = golden_ids(f->goldens->arena, json_object_get(run, "ids"), &want_count);
        assert_int_equal(count, want_count);
        assert_memory_equal(ids, want, (size_t)count * sizeof *ids);
        check_text(f->tokenizer, ids, count, json_string_value(json_object_get(run, "text")));
    }
}

static void greedy_ids_and_texts_equal_the_reference(void **state)
{
    const struct fixture *f = *state;
    struct err e = {0};
    struct pool *pool = pool_new(2, &e);
    for (size_t c = 0; c < sizeof run_cpus / sizeof *run_cpus; c++) {
        struct engine_options o = {.math = MATH_EXACT, .context = 1024, .cpu = run_cpus[c]};
        struct engine *g = run_engine(&f->goldens->model, pool, &o);
        for (int i = 0; g && i < GOLDEN_CASES; i++)
            check_runs(g, f, &f->goldens->cases[i]);
        engine_free(g);
    }
    pool_free(pool);
}

/* --- sampling -- */

static double probability_of(const json_t *set, int id)
{
    const json_t *ids = json_object_get(set, "kept_ids"), *p = json_object_get(set, "probabilities");
    for (size_t i = 0; i < json_array_size(ids); i++)
        if (json_integer_value(json_array_get(ids, i)) == id)
            return json_number_value(json_array_get(p, i));
    return -1;
}

static double number(const json_t *set, const char *key)
{
    return json_number_value(json_object_get(set, key));
}

/* The stored logits of the prompt's last position, so that only the sampler is tested. */
static void check_sampling(const struct golden *g, const json_t *set)
{
    int vocab = (int)g->step_logits.shape[1];
    struct sampling how = {.temperature = (float)number(set, "temperature"),
                           .top_p = (float)number(set, "top_p"),
                           .top_k = (int)number(set, "top_k"),
                           .repetition_penalty = (float)number(set, "repetition_penalty")};
    struct err e = {0};
    struct sampler *s = sampler_new(&how, vocab, g->prompt.ids, g->prompt.count, &e);
    struct candidate *kept = calloc((size_t)vocab, sizeof *kept);
    size_t count = sampler_candidates(s, g->step_logits.data, kept, (size_t)vocab);
    assert_int_equal(count, json_array_size(json_object_get(set, "kept_ids")));
    for (size_t i = 0; i < count; i++) {
        double want = probability_of(set, kept[i].id);
        assert_true(want >= 0 && fabs((double)kept[i].p - want) < 1e-5);
        assert_true(i == 0 || kept[i].p <= kept[i - 1].p);
    }
    free(kept);
    sampler_free(s);
}

static void samplers_keep_what_the_reference_keeps(void **state)
{
    const struct fixture *f = *state;
    for (int i = 0; i < GOLDEN_CASES; i++) {
        const struct golden *g = &f->goldens->cases[i];
        const json_t *sets = json_object_get(g->json, "first_step_sampling");
        assert_true(json_array_size(sets) == 3);
        for (size_t k = 0; k < json_array_size(sets); k++)
            check_sampling(g, json_array_get(sets, k));
    }
}

static int open_all(void **state)
{
    static struct fixture f;
    struct err e = {0};
    f.goldens = goldens_open();
    const struct file_source files = file_source_folder(f.goldens->model.path);
    f.tokenizer = tokenizer_new(&files, f.goldens->model.config.text.vocab, &e);
    if (!f.tokenizer)
        fail_msg("%s", e.text);
    *state = &f;
    return 0;
}

static int close_all(void **state)
{
    struct fixture *f = *state;
    tokenizer_free(f->tokenizer);
    goldens_close(f->goldens);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_render_to_the_reference_ids),
        cmocka_unit_test(samplers_keep_what_the_reference_keeps),
        cmocka_unit_test(greedy_ids_and_texts_equal_the_reference),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
