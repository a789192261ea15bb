/* Log-mel frames against the reference's, and the edges of the window. */
#include "engine/audio.h"
#include "engine/audio/mel_filters.h"
#include "npy.h"

#include "base/file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct mel_config whisper = {.sample_rate = 16000,
                                          .n_fft = 400,
                                          .hop = 160,
                                          .window_samples = 480000,
                                          .window_frames = 3000,
                                          .bins = 128};
static const size_t ceiling = 64 << 20;
static const double tolerance = 2e-4; /* goldens/README.md */

static struct mel_plan *plan_for(const struct mel_config *c)
{
    struct err e = {0};
    struct mel_plan *p = mel_plan_new(c, &e);
    if (!p)
        fail_msg("%s", e.text);
    return p;
}

static struct mel compute(const struct mel_plan *p, const float *samples, size_t count, struct arena *a)
{
    struct err e = {0};
    struct mel m;
    if (!mel_compute(p, samples, count, a, &m, &e))
        fail_msg("%s", e.text);
    return m;
}

static float at(const struct mel *m, int bin, int frame)
{
    return m->data[bin * m->stride + frame];
}

/* One golden array: every `step`-th frame of an audio file. */
struct golden {
    const char *array, *audio;
    int step;
};

static const struct golden goldens[] = {
    {"b_short/mel0.npy", "short_1p3s.wav", 1},
    {"c_12s/mel0_every_10th_frame.npy", "mid_12s.wav", 10},
    {"d_30s/mel0_every_10th_frame.npy", "full_30s.wav", 10},
    {"e_34s/mel0_every_10th_frame.npy", "long_34s.wav", 10},
    {"f_two_audios/mel0_every_10th_frame.npy", "two_a_2s.wav", 10},
    {"f_two_audios/mel1_every_10th_frame.npy", "two_b_3p7s.wav", 10},
    {"g_multiturn/mel0_every_10th_frame.npy", "short_1p3s.wav", 10},
    {"g_multiturn/mel1_every_10th_frame.npy", "turn_b_1s.wav", 10},
    {"h_one_token/mel0_frames_0_16.npy", "one_token.wav", 1},
    {"i_voice_only/mel0_every_10th_frame.npy", "turn_b_1s.wav", 10},
    {"j_text_first/mel0_every_10th_frame.npy", "two_a_2s.wav", 10},
};

static struct audio decode_golden(const char *name)
{
    char path[200];
    struct file_map file = {0};
    struct audio audio = {0};
    struct err e = {0};
    snprintf(path, sizeof path, "data/goldens/audio/%s", name);
    if (!file_map(&file, path, &e) || !audio_decode(&audio, file.data, file.size, 16000, 60, &e))
        fail_msg("%s: %s", path, e.text);
    file_unmap(&file);
    if (audio.count > 480000) /* e_34s: what the reference does with more than a window */
        audio.count = 480000;
    return audio;
}

static void check_golden(const struct mel_plan *p, const struct golden *g)
{
    char path[200];
    snprintf(path, sizeof path, "data/goldens/%s", g->array);
    struct npy want = npy_read(path);
    struct audio audio = decode_golden(g->audio);
    struct arena *a = arena_new(ceiling);
    struct mel m = compute(p, audio.samples, audio.count, a);

    assert_int_equal(want.shape[0], m.bins);
    double most = 0;
    for (int bin = 0; bin < m.bins; bin++)
        for (int i = 0; i < (int)want.shape[1] && i * g->step < m.stride; i++) {
            if (i * g->step >= 3000) /* stored, but past the window */
                continue;
            float got = at(&m, bin, i * g->step);
            most = fmax(most, max_difference(&got, &want.data[(size_t)bin * want.shape[1] + (size_t)i], 1));
        }
    print_message("%-42s %4d frames, largest difference %.1e\n", g->array, m.frames, most);
    assert_true(most <= tolerance);
    audio_clear(&audio);
    arena_free(a);
    npy_free(&want);
}

static void frames_equal_the_reference(void **state)
{
    (void)state;
    struct mel_plan *p = plan_for(&whisper);
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++)
        check_golden(p, &goldens[i]);
    mel_plan_free(p);
}

static void filters_equal_the_reference(void **state)
{
    (void)state;
    struct npy want = npy_read("data/goldens/mel_filters.npy"); /* [128][201] */
    struct mel_bank bank;
    struct err e = {0};
    assert_true(mel_bank_init(&bank, 128, 400, 16000, &e));
    assert_int_equal(want.count, 128 * 201);
    for (int b = 0; b < 128; b++)
        for (int k = 0; k < 201; k++) {
            const struct mel_filter *f = &bank.filters[b];
            int i = k - f->first;
            float got = i >= 0 && i < f->count ? f->weights[i] : 0;
            assert_float_equal(got, want.data[b * 201 + k], 1e-8);
        }
    mel_bank_clear(&bank);
    npy_free(&want);
}

struct length {
    size_t samples;
    int frames;
};

static const struct length lengths[] = {
    {0, 0}, {1, 1}, {160, 1}, {161, 2}, {320, 2}, {321, 3}, {479840, 2999}, {479841, 3000}, {480000, 3000},
};

static void silence_is_minus_one_and_a_half_at_every_length(void **state)
{
    (void)state;
    struct mel_plan *p = plan_for(&whisper);
    float *samples = calloc(480000, sizeof *samples);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct arena *a = arena_new(ceiling);
        struct mel m = compute(p, samples, lengths[i].samples, a);
        assert_int_equal(m.frames, lengths[i].frames);
        assert_int_equal(m.stride, lengths[i].frames + 2);
        assert_int_equal(m.bins, 128);
        for (int b = 0; b < m.bins; b++)
            for (int f = 0; f < m.stride; f++)
                assert_true(at(&m, b, f) == (f < 3000 ? -1.5f : 0)); /* past the window: the padding's zero */
        arena_free(a);
    }
    free(samples);
    mel_plan_free(p);
}

/* A clip is the head of the zero-padded window, so appending the zeros by hand changes nothing. */
static void padding_by_hand_changes_no_frame(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 159, 320, 321, 800, 16000, 479801, 479999};
    struct mel_plan *p = plan_for(&whisper);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        float *padded = calloc(480000, sizeof *padded);
        for (size_t s = 0; s < counts[i]; s++)
            padded[s] = 0.5f * sinf((float)s * 0.7f) + (s == counts[i] - 1 ? 0.4f : 0);
        float *exact = malloc(counts[i] * sizeof *exact); /* a read past the clip is seen */
        memcpy(exact, padded, counts[i] * sizeof *exact);
        struct arena *a = arena_new(ceiling);
        struct mel head = compute(p, exact, counts[i], a), full = compute(p, padded, 480000, a);
        for (int b = 0; b < head.bins; b++)
            assert_memory_equal(head.data + b * head.stride, full.data + b * full.stride,
                                (size_t)head.stride * sizeof(float));
        arena_free(a);
        free(exact);
        free(padded);
    }
    mel_plan_free(p);
}

/* The formula, frame by frame, with a transform summed in double. */
static void slow_mel(const struct mel_config *c, const float *samples, size_t count, double *out)
{
    struct mel_bank bank;
    assert_true(mel_bank_init(&bank, c->bins, c->n_fft, c->sample_rate, NULL));
    double most = -10;
    double *power = calloc((size_t)c->n_fft, sizeof *power);
    for (int f = 0; f < c->window_frames; f++) {
        for (int k = 0; k <= c->n_fft / 2; k++) {
            double re = 0, im = 0;
            for (int n = 0; n < c->n_fft; n++) {
                int i = abs(f * c->hop - c->n_fft / 2 + n);
                i = i < c->window_samples ? i : 2 * (c->window_samples - 1) - i;
                double x = (size_t)i < count ? samples[i] : 0;
                x *= 0.5 - 0.5 * cos(2 * M_PI * n / c->n_fft);
                re += x * cos(2 * M_PI * k * n / c->n_fft);
                im += x * sin(2 * M_PI * k * n / c->n_fft);
            }
            power[k] = re * re + im * im;
        }
        for (int b = 0; b < c->bins; b++) {
            double sum = 0;
            for (int k = 0; k < bank.filters[b].count; k++)
                sum += (double)bank.filters[b].weights[k] * power[bank.filters[b].first + k];
            double *x = &out[b * c->window_frames + f];
            *x = log10(fmax(sum, 1e-10));
            most = fmax(most, *x);
        }
    }
    for (int i = 0; i < c->bins * c->window_frames; i++)
        out[i] = (fmax(out[i], most - 8) + 4) / 4;
    free(power);
    mel_bank_clear(&bank);
}

static const struct mel_config other_front_ends[] = {
    {.sample_rate = 16000, .n_fft = 400, .hop = 160, .window_samples = 1600, .window_frames = 10, .bins = 80},
    {.sample_rate = 16000, .n_fft = 400, .hop = 30, .window_samples = 900, .window_frames = 30, .bins = 40},
    {.sample_rate = 24000, .n_fft = 512, .hop = 256, .window_samples = 2600, .window_frames = 10, .bins = 24},
    {.sample_rate = 8000, .n_fft = 254, .hop = 100, .window_samples = 128, .window_frames = 1, .bins = 7},
    {.sample_rate = 16000, .n_fft = 2, .hop = 1, .window_samples = 9, .window_frames = 9, .bins = 3},
};

static void other_front_ends_follow_the_formula(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof other_front_ends / sizeof *other_front_ends; i++) {
        const struct mel_config *c = &other_front_ends[i];
        struct mel_plan *p = plan_for(c);
        size_t size = (size_t)(c->bins * c->window_frames);
        double *want = calloc(size, sizeof *want);
        float *samples = calloc((size_t)c->window_samples, sizeof *samples);
        for (int s = 0; s < c->window_samples;
             s++) /* the loudest part last, so that the tail sets the floor */
            samples[s] = sinf((float)s * 0.3f) * (float)s / (float)c->window_samples;
        for (int count = 1; count <= c->window_samples; count += 1 + c->window_samples / 7) {
            struct arena *a = arena_new(ceiling);
            struct mel m = compute(p, samples, (size_t)count, a);
            slow_mel(c, samples, (size_t)count, want);
            for (int b = 0; b < c->bins; b++)
                for (int f = 0; f < m.stride; f++) {
                    double expected = f < c->window_frames ? want[b * c->window_frames + f] : 0;
                    assert_true(fabs(at(&m, b, f) - expected) < tolerance);
                }
            arena_free(a);
        }
        free(samples);
        free(want);
        mel_plan_free(p);
    }
}

struct bad_config {
    struct mel_config config;
    const char *message;
};

static const struct bad_config bad_configs[] = {
    {{.sample_rate = 16000,
      .n_fft = 401,
      .hop = 160,
      .window_samples = 480000,
      .window_frames = 3000,
      .bins = 128},
     "mel: n_fft 401, expected an even number"},
    {{.sample_rate = 16000,
      .n_fft = 400,
      .hop = 0,
      .window_samples = 480000,
      .window_frames = 3000,
      .bins = 128},
     "mel: hop 0, 128 bins, 16000 Hz: expected positive numbers"},
    {{.sample_rate = 16000, .n_fft = 400, .hop = 160, .window_samples = 200, .window_frames = 1, .bins = 128},
     "mel: window of 200 samples, expected more than half of n_fft 400"},
    {{.sample_rate = 16000,
      .n_fft = 400,
      .hop = 160,
      .window_samples = 480000,
      .window_frames = 3001,
      .bins = 128},
     "mel: 3001 frames in a window, expected 1 to 3000"},
};

static void front_end_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_configs / sizeof *bad_configs; i++) {
        struct err e = {0};
        assert_null(mel_plan_new(&bad_configs[i].config, &e));
        assert_string_equal(e.text, bad_configs[i].message);
    }
}

static void more_than_a_window_is_refused(void **state)
{
    (void)state;
    struct mel_plan *p = plan_for(&whisper);
    struct arena *a = arena_new(ceiling);
    struct err e = {0};
    struct mel m;
    static const float samples[480001];
    assert_false(mel_compute(p, samples, 480001, a, &m, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.text, "mel: 480001 samples, expected at most 480000 (one window of 30 seconds)");
    arena_free(a);
    mel_plan_free(p);
}

static void arena_without_room_is_refused(void **state)
{
    (void)state;
    struct mel_plan *p = plan_for(&whisper);
    struct arena *a = arena_new(1000);
    struct err e = {0};
    struct mel m;
    float sample = 0.5f;
    assert_false(mel_compute(p, &sample, 1, a, &m, &e));
    assert_int_equal(e.kind, ERR_MEMORY);
    assert_string_equal(e.text, "mel: no memory for 3 frames of 128 bins");
    arena_free(a);
    mel_plan_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(front_end_that_makes_no_sense_is_refused),
        cmocka_unit_test(more_than_a_window_is_refused),
        cmocka_unit_test(arena_without_room_is_refused),
        cmocka_unit_test(filters_equal_the_reference),
        cmocka_unit_test(frames_equal_the_reference),
        cmocka_unit_test(silence_is_minus_one_and_a_half_at_every_length),
        cmocka_unit_test(padding_by_hand_changes_no_frame),
        cmocka_unit_test(other_front_ends_follow_the_formula),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
