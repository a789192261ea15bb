/* Models of other dimensions and dtypes than the tiny checkpoint's: the fast kernels against the plain ones,
 * and batches against single sessions. */
#include "npy.h"
#include "random_model.h"
#include "runs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SESSIONS = 3, STEPS = 3 };

static const struct dimensions all_dimensions[] = {
    {"one head, f32, tied", DTYPE_F32, true, 64, 1, 1, 72, 1000, 0, 0, 0, 0, 0},
    {"odd ffn, prime vocabulary, f16", DTYPE_F16, false, 80, 4, 1, 101, 1031, 0, 0, 0, 0, 0},
    {"heads of 20, bf16", DTYPE_BF16, false, 80, 4, 2, 136, 1031, 40, 2, 72, 80, 60},
    {"three heads, f32", DTYPE_F32, false, 192, 3, 1, 328, 1000, 48, 3, 104, 64, 200},
    {"heads of 16, f16, tied", DTYPE_F16, true, 64, 4, 1, 200, 1031, 36, 1, 99, 5, 130},
    {"heads of 32, bf16", DTYPE_BF16, false, 96, 3, 3, 328, 1000, 64, 1, 40, 128, 300},
    {"heads of 2, bf16", DTYPE_BF16, false, 6, 3, 1, 5, 17, 4, 2, 3, 3, 8},
    {"one head of 514, bf16, tied", DTYPE_BF16, true, 514, 1, 1, 1030, 40, 0, 0, 0, 0, 0},
};

/* What a session is given: random ids, and a clip of noise where the model hears. */
struct input {
    struct prompt prompt;
    struct mel clip;
    float *frames;
    int *ids;
};

static void input_init(struct input *in, const struct model_config *c, int text, int frames, uint32_t seed)
{
    *in = (struct input){.clip = {.bins = c->audio.mel_bins, .frames = frames, .stride = frames + 2}};
    int audio = c->audio.width ? mel_tokens(frames) : 0, count = text + audio;
    in->ids = malloc((size_t)count * sizeof *in->ids);
    in->frames = calloc((size_t)(in->clip.bins * in->clip.stride) + 1, sizeof *in->frames);
    for (int i = 0; i < count; i++) {
        int id = (int)((random_next(&seed) + 1) / 2 * (float)(c->text.vocab - 6)) + 6;
        in->ids[i] = i >= 2 && i < 2 + audio ? c->audio_token_id : id;
    }
    for (int i = 0; i < in->clip.bins * in->clip.stride; i++)
        in->frames[i] = random_next(&seed);
    in->clip.data = in->frames;
    in->prompt = (struct prompt){in->ids, count, &in->clip, c->audio.width ? 1 : 0};
}

static void input_clear(struct input *in)
{
    free(in->ids);
    free(in->frames);
}

static void inputs_init(struct input in[SESSIONS], const struct model_config *c)
{
    static const int texts[SESSIONS] = {9, 300, 70};
    int window = 2 * c->audio.max_positions;
    for (int i = 0; i < SESSIONS; i++)
        input_init(&in[i], c, texts[i], i == 0 ? window : window / (i + 1) - 1, (uint32_t)i + 3);
}

/* Logits after every prompt and each of STEPS tokens, each session alone: [SESSIONS][STEPS + 1][vocab]. The
 * same again in one batch must be the same bits. NULL without the kernel table. */
static float *run(const struct model *m, struct pool *pool, const char *cpu, enum math_mode math,
                  const struct input *in)
{
    struct engine_options o = {.math = math, .context = 700, .parallel = 2 * SESSIONS, .cpu = cpu};
    struct engine *g = run_engine(m, pool, &o);
    if (!g)
        return NULL;
    size_t vocab = (size_t)m->config.text.vocab;
    float *out = malloc(SESSIONS * (STEPS + 1) * vocab * sizeof *out);
    struct session *alone[SESSIONS], *batch[SESSIONS];
    for (int i = 0; i < SESSIONS; i++) {
        alone[i] = run_prefill(g, &in[i].prompt);
        assert_non_null(batch[i] = session_fork(alone[i], NULL));
    }
    for (int step = 0; step <= STEPS; step++) {
        int tokens[SESSIONS];
        for (int i = 0; i < SESSIONS; i++) {
            memcpy(out + (size_t)(i * (STEPS + 1) + step) * vocab, session_logits(alone[i]),
                   vocab * sizeof *out);
            assert_memory_equal(session_logits(batch[i]), session_logits(alone[i]), vocab * sizeof *out);
            tokens[i] = 6 + (3 * i + step) % 11;
            if (step < STEPS)
                run_decode(g, &alone[i], &tokens[i], 1);
        }
        if (step < STEPS)
            run_decode(g, batch, tokens, SESSIONS);
    }
    for (int i = 0; i < SESSIONS; i++) {
        session_free(alone[i]);
        session_free(batch[i]);
    }
    engine_free(g);
    return out;
}

static double largest(const float *x, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabsf(x[i]));
    return most;
}

struct way {
    const char *name;
    enum math_mode math;
    double tolerance; /* of logits, as a part of the largest; about twice what was measured */
};

static const struct way ways[] = {
    {"exact", MATH_EXACT, 2e-6},
    {"fast", MATH_FAST, 0.01},
};

static void check_dimensions(const struct dimensions *d, struct pool *pool)
{
    struct random_model m;
    struct input in[SESSIONS];
    random_model_init(&m, d);
    inputs_init(in, &m.model.config);
    size_t count = SESSIONS * (STEPS + 1) * (size_t)d->vocab;
    float *want = run(&m.model, pool, "ref", MATH_EXACT, in);
    double scale = largest(want, count);
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
        for (size_t c = 0; c < sizeof run_cpus / sizeof *run_cpus; c++) {
            float *got = run(&m.model, pool, run_cpus[c], ways[w].math, in);
            if (got) {
                double off = max_difference(got, want, count) / scale;
                print_message("%-32s %-6s %-5s %.1e of %.1f\n", d->name, run_cpus[c], ways[w].name, off,
                              scale);
                assert_true(off <= ways[w].tolerance);
            }
            free(got);
        }
    free(want);
    for (int i = 0; i < SESSIONS; i++)
        input_clear(&in[i]);
    random_model_clear(&m);
}

static void fast_kernels_equal_plain_ones_whatever_the_dimensions(void **state)
{
    (void)state;
    struct err e = {0};
    struct pool *pool = pool_new(2, &e);
    for (size_t i = 0; i < sizeof all_dimensions / sizeof *all_dimensions; i++)
        check_dimensions(&all_dimensions[i], pool);
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_kernels_equal_plain_ones_whatever_the_dimensions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
