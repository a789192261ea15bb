/* From an audio file to log-mel frames, on one thread: the time a request waits before its encoder starts. */
#include "rows.h"

#include "base/clock.h"
#include "engine/audio.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 16000, RUNS = 15 };

static const int seconds[] = {1, 3, 10, 30};

static const struct mel_config whisper = {.sample_rate = RATE,
                                          .n_fft = 400,
                                          .hop = 160,
                                          .window_samples = 30 * RATE,
                                          .window_frames = 3000,
                                          .bins = 128};

static void put(unsigned char *p, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (unsigned char)(v >> 8 * i);
}

/* A 16-bit wav of noise. */
static unsigned char *make_wav(int rate, int channels, int length, size_t *size)
{
    uint32_t frame = 2 * (uint32_t)channels, data = (uint32_t)(rate * length) * frame, random = 1;
    *size = 44 + data;
    unsigned char *b = calloc(1, *size);
    if (!b)
        return NULL;
    memcpy(b, "RIFF", 4);
    put(b + 4, data + 36, 4);
    memcpy(b + 8, "WAVEfmt \x10\0\0\0\1", 13);
    put(b + 22, (uint32_t)channels, 2);
    put(b + 24, (uint32_t)rate, 4);
    put(b + 28, (uint32_t)rate * frame, 4);
    put(b + 32, frame, 2);
    put(b + 34, 16, 2);
    memcpy(b + 36, "data", 4);
    put(b + 40, data, 4);
    for (size_t i = 44; i < *size; i++)
        b[i] = (unsigned char)((random = random * 1664525 + 1013904223) >> 24);
    return b;
}

/* The best of some runs of decoding; the last run's samples stay in *out. */
static double decode_ms(struct audio *out, const void *wav, size_t size, struct err *e)
{
    double best = INFINITY;
    for (int i = 0; i < RUNS; i++) {
        audio_clear(out);
        double start = clock_ms();
        if (!audio_decode(out, wav, size, RATE, 60, e))
            return NAN;
        best = fmin(best, clock_ms() - start);
    }
    return best;
}

static double mel_ms(const struct mel_plan *plan, const struct audio *audio, struct err *e)
{
    double best = INFINITY;
    for (int i = 0; i < RUNS; i++) {
        struct arena *a = arena_new(16 << 20);
        struct mel mel;
        double start = clock_ms();
        bool ok = a && mel_compute(plan, audio->samples, audio->count, a, &mel, e);
        best = fmin(best, clock_ms() - start);
        arena_free(a);
        if (!ok)
            return NAN;
    }
    return best;
}

static bool measure(const struct rows *rows, const struct mel_plan *plan, int length, struct err *e)
{
    static const struct {
        int rate, channels;
    } sources[] = {{RATE, 1}, {44100, 2}};
    struct audio audio = {0};
    char setting[64];
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof sources / sizeof *sources; i++) {
        size_t size;
        unsigned char *wav = make_wav(sources[i].rate, sources[i].channels, length, &size);
        double ms = wav ? decode_ms(&audio, wav, size, e) : NAN;
        snprintf(setting, sizeof setting, "decode %d s of %d Hz x %d", length, sources[i].rate,
                 sources[i].channels);
        rows_value(rows, setting, ms, "ms");
        free(wav);
        ok = !isnan(ms);
    }
    if (ok && audio.count > (size_t)whisper.window_samples)
        audio.count = (size_t)whisper.window_samples;
    double ms = ok ? mel_ms(plan, &audio, e) : NAN;
    snprintf(setting, sizeof setting, "mel %d s", length);
    if (!isnan(ms))
        rows_value(rows, setting, ms, "ms");
    audio_clear(&audio);
    return !isnan(ms);
}

int main(void)
{
    struct rows rows;
    struct err e = {0};
    rows_begin(&rows, "audio");
    struct mel_plan *plan = mel_plan_new(&whisper, &e);
    bool ok = plan;
    for (size_t i = 0; ok && i < sizeof seconds / sizeof *seconds; i++)
        ok = measure(&rows, plan, seconds[i], &e);
    mel_plan_free(plan);
    if (!ok)
        fprintf(stderr, "audio: %s\n", e.text);
    return !ok;
}
