/* bench_sound.c: recordings of any length. */
#include "cmd/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 16000, HEADER = 44, HARMONICS = 12 };

/* A buzz of 120 Hz and its harmonics, four syllables a second: what an encoder has as much work with as with
 * a voice, and what is nobody's. */
static double voice(size_t i)
{
    double t = (double)i / RATE, sum = 0;
    for (int k = 1; k <= HARMONICS; k++)
        sum += sin(2 * M_PI * 120 * k * t) / k;
    double syllable = 0.5 - 0.5 * cos(2 * M_PI * 4 * t);
    return 0.15 * syllable * sum;
}

static void put(unsigned char *at, unsigned value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

/* RIFF, WAVE, one chunk that says how (PCM, 1 channel, 16 bits) and one with the samples. */
static void header(unsigned char *at, unsigned data_bytes)
{
    memcpy(at, "RIFF....WAVEfmt ", 16);
    put(at + 4, HEADER - 8 + data_bytes, 4);
    put(at + 16, 16, 4);
    put(at + 20, 1, 2);
    put(at + 22, 1, 2);
    put(at + 24, RATE, 4);
    put(at + 28, RATE * 2, 4);
    put(at + 32, 2, 2);
    put(at + 34, 16, 2);
    memcpy(at + 36, "data", 4);
    put(at + 40, data_bytes, 4);
}

char *bench_wav(const float *samples, size_t count, double seconds, size_t *size)
{
    size_t n = (size_t)lround(seconds * RATE);
    unsigned char *wav = malloc(HEADER + n * 2);
    if (!wav)
        return NULL;
    header(wav, (unsigned)(n * 2));
    for (size_t i = 0; i < n; i++) {
        double value = fmin(fmax(count ? (double)samples[i % count] : voice(i), -1), 1);
        put(wav + HEADER + i * 2, (unsigned)(int)lround(value * 32767), 2);
    }
    *size = HEADER + n * 2;
    return (char *)wav;
}
