/* Any bytes as an audio file, and what comes out of them as log-mel frames of a short window. */
#include "engine/audio.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compute_mel(const struct audio *audio)
{
    static const struct mel_config front_end = {.sample_rate = 16000,
                                                .n_fft = 400,
                                                .hop = 160,
                                                .window_samples = 1600,
                                                .window_frames = 10,
                                                .bins = 8};
    struct mel_plan *p = mel_plan_new(&front_end, NULL);
    struct arena *a = arena_new(1 << 20);
    struct mel m;
    size_t count = audio->count < 1600 ? audio->count : 1600;
    if (p && a && mel_compute(p, audio->samples, count, a, &m, NULL))
        for (int i = 0; i < m.bins * m.stride; i++)
            if (!(m.data[i] > -3 && m.data[i] < 10)) /* NaN too */
                abort();
    arena_free(a);
    mel_plan_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct audio audio;
    struct err e = {0};
    if (audio_decode(&audio, data, size, 16000, 0.5, &e)) {
        if (audio.count == 0 || audio.count > 16000 / 2 + 1)
            abort();
        compute_mel(&audio);
    }
    audio_clear(&audio);
    return 0;
}
