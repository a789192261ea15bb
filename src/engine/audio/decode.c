#include "engine/audio.h"
#include "engine/audio/ogg_headers.h"
#include "engine/audio/resample.h"
#include "engine/audio/sniff.h"
#include "engine/audio/source.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BLOCK_FRAMES = 4096,
    MAX_CHANNELS = 64,
    MIN_RATE = 1000, /* of the source; below it nothing of speech is left */
    MAX_RATE = 768000,
    /* Float files may pass full scale, some by the factor of a forgotten division by 32768. Beyond this (and
     * NaN) it is no sound, and its power would leave f32 further on. */
    MAX_SAMPLE = 65536,
};

static bool check_header(const struct source *s, struct err *e)
{
    if (s->channels < 1 || s->channels > MAX_CHANNELS)
        return err_set(e, ERR_UNSUPPORTED, "%d channels, expected 1 to %d", s->channels, MAX_CHANNELS);
    if (s->rate < MIN_RATE || s->rate > MAX_RATE)
        return err_set(e, ERR_UNSUPPORTED, "sample rate %d Hz, expected %d to %d", s->rate, MIN_RATE,
                       MAX_RATE);
    return true;
}

/* Mixes interleaved frames down in place (the mean): frames[i] is written after frame i was read. False when
 * a value is not a sample. */
static bool mix_down(float *frames, size_t count, int channels)
{
    bool sound = true;
    for (size_t i = 0; i < count; i++) {
        const float *frame = frames + i * (size_t)channels;
        float sum = 0;
        for (int c = 0; c < channels; c++) {
            sound &= fabsf(frame[c]) <= MAX_SAMPLE;
            sum += frame[c];
        }
        frames[i] = sum / (float)channels;
    }
    return sound;
}

/* Reads block by block into the resampler; the block is all that is held of the source. */
static bool read_blocks(struct source *s, float *block, double max_seconds, struct resampler *r,
                        struct err *e)
{
    double rate = s->rate;
    int64_t n, done = 0;
    while ((n = source_read(s, block, BLOCK_FRAMES, e)) > 0) {
        if ((double)(done + n) > max_seconds * rate)
            return err_set(e, ERR_LIMIT, "longer than %g seconds, the most that is taken here", max_seconds);
        if (!mix_down(block, (size_t)n, s->channels))
            return err_set(e, ERR_CORRUPT, "a sample near %.2f s is not a number, or far beyond full scale",
                           (double)done / rate);
        if (!resampler_push(r, block, (size_t)n, e))
            return false;
        done += n;
    }
    if (n < 0)
        return err_wrap(e, "broken after %.2f s", (double)done / rate);
    if (done < s->frames)
        return err_set(e, ERR_CORRUPT, "cut off: ends after %lld of %lld frames; send the whole file",
                       (long long)done, (long long)s->frames);
    return resampler_finish(r, e);
}

/* Decodes an open file into *out. */
static bool decode(struct audio *out, struct source *s, int rate, double max_seconds, struct err *e)
{
    if (!check_header(s, e))
        return false;
    struct resampler r = {0};
    float *block = malloc((size_t)BLOCK_FRAMES * (size_t)s->channels * sizeof *block);
    bool ok = block ? resampler_init(&r, s->rate, rate, e)
                    : err_set(e, ERR_MEMORY, "no memory for a block of samples");
    ok = ok && read_blocks(s, block, max_seconds, &r, e);
    if (ok && r.count == 0)
        ok = err_set(e, ERR_CORRUPT, "no samples in it");
    if (ok) {
        *out = (struct audio){r.out, r.count, s->rate, s->channels, ""};
        r.out = NULL;
    }
    free(block);
    resampler_clear(&r);
    return ok;
}

bool audio_decode(struct audio *out, const void *bytes, size_t size, int rate, double max_seconds,
                  struct err *e)
{
    *out = (struct audio){0};
    const struct container *c = sniff_container(bytes, size, e);
    if (!c)
        return false;
    struct source s = {.memory = {.bytes = bytes, .size = (int64_t)size}};
    if ((c->check && !c->check(bytes, size, e)) || !source_open(&s, c->kind, e))
        return err_wrap(e, "audio: %s", c->name);
    bool ok = decode(out, &s, rate, max_seconds, e) || err_wrap(e, "audio: %s", c->name);
    source_close(&s);
    if (ok)
        snprintf(out->source_format, sizeof out->source_format, "%s", c->name);
    return ok;
}

void audio_clear(struct audio *a)
{
    free(a->samples);
    *a = (struct audio){0};
}
