#include "engine/audio.h"
#include "engine/audio/resample.h"
#include "engine/audio/sniff.h"

#include <math.h>
#include <sndfile.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_FRAMES = 4096,
    MAX_CHANNELS = 64,
    MIN_RATE = 1000, /* of the source; below it nothing of speech is left */
    MAX_RATE = 768000,
    /* Float files may pass full scale, some by the factor of a forgotten division by 32768. Beyond this (and
     * NaN) it is no sound, and its power would leave f32 further on. */
    MAX_SAMPLE = 65536,
};

/* A file in memory, as libsndfile reads it. */
struct memory_file {
    const unsigned char *bytes;
    sf_count_t size, at;
};

static sf_count_t memory_size(void *user)
{
    return ((struct memory_file *)user)->size;
}

static sf_count_t memory_tell(void *user)
{
    return ((struct memory_file *)user)->at;
}

static sf_count_t memory_seek(sf_count_t offset, int whence, void *user)
{
    struct memory_file *m = user;
    sf_count_t base = whence == SEEK_CUR ? m->at : whence == SEEK_END ? m->size : 0;
    if (offset < -base || offset > m->size - base)
        return -1;
    return m->at = base + offset;
}

static sf_count_t memory_read(void *to, sf_count_t count, void *user)
{
    struct memory_file *m = user;
    sf_count_t left = m->size - m->at, n = count < left ? count : left;
    if (n <= 0)
        return 0;
    memcpy(to, m->bytes + m->at, (size_t)n);
    m->at += n;
    return n;
}

static bool check_header(const SF_INFO *info, struct err *e)
{
    if (info->channels < 1 || info->channels > MAX_CHANNELS)
        return err_set(e, ERR_UNSUPPORTED, "%d channels, expected 1 to %d", info->channels, MAX_CHANNELS);
    if (info->samplerate < MIN_RATE || info->samplerate > MAX_RATE)
        return err_set(e, ERR_UNSUPPORTED, "sample rate %d Hz, expected %d to %d", info->samplerate, MIN_RATE,
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
static bool read_blocks(SNDFILE *file, const SF_INFO *info, float *block, double max_seconds,
                        struct resampler *r, struct err *e)
{
    double rate = info->samplerate, most = max_seconds * rate;
    sf_count_t done = 0;
    for (;;) {
        sf_count_t n = sf_readf_float(file, block, BLOCK_FRAMES);
        if (n <= 0)
            break;
        done += n;
        if ((double)done > most)
            return err_set(e, ERR_LIMIT, "longer than %g seconds, the most that is taken here", max_seconds);
        if (!mix_down(block, (size_t)n, info->channels))
            return err_set(e, ERR_CORRUPT, "a sample near %.2f s is not a number, or far beyond full scale",
                           (double)(done - n) / rate);
        if (!resampler_push(r, block, (size_t)n, e))
            return false;
    }
    if (sf_error(file) != SF_ERR_NO_ERROR)
        return err_set(e, ERR_CORRUPT, "broken after %.2f s: %s", (double)done / rate, sf_strerror(file));
    /* FLAC states its length; other compressed formats only estimate it. */
    if ((info->format & SF_FORMAT_TYPEMASK) == SF_FORMAT_FLAC && info->frames < SF_COUNT_MAX &&
        done < info->frames)
        return err_set(e, ERR_CORRUPT, "cut off: ends after %lld of %lld frames; send the whole file",
                       (long long)done, (long long)info->frames);
    return resampler_finish(r, e);
}

/* Decodes an open file into *out. */
static bool decode(struct audio *out, SNDFILE *file, const SF_INFO *info, int rate, double max_seconds,
                   struct err *e)
{
    if (!check_header(info, e))
        return false;
    struct resampler r = {0};
    float *block = malloc((size_t)BLOCK_FRAMES * (size_t)info->channels * sizeof *block);
    bool ok = block ? resampler_init(&r, info->samplerate, rate, e)
                    : err_set(e, ERR_MEMORY, "no memory for a block of samples");
    ok = ok && read_blocks(file, info, block, max_seconds, &r, e);
    if (ok && r.count == 0)
        ok = err_set(e, ERR_CORRUPT, "no samples in it");
    if (ok) {
        out->samples = r.out;
        out->count = r.count;
        out->source_rate = info->samplerate;
        out->source_channels = info->channels;
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
    const char *container = sniff_container(bytes, size, e);
    if (!container || !sniff_wav_is_whole(bytes, size, e))
        return false;

    SF_VIRTUAL_IO io = {
        .get_filelen = memory_size, .seek = memory_seek, .read = memory_read, .tell = memory_tell};
    struct memory_file memory = {.bytes = bytes, .size = (sf_count_t)size};
    SF_INFO info = {0};
    SNDFILE *file = sf_open_virtual(&io, SFM_READ, &info, &memory);
    if (!file) /* why is in a global of libsndfile that other threads write too */
        return err_set(e, ERR_CORRUPT,
                       "audio: %s whose header is broken, or whose codec is not read; "
                       "expected for example 16-bit PCM",
                       container);
    bool ok = decode(out, file, &info, rate, max_seconds, e) || err_wrap(e, "audio: %s", container);
    sf_close(file);
    if (ok)
        snprintf(out->source_format, sizeof out->source_format, "%s", container);
    return ok;
}

void audio_clear(struct audio *a)
{
    free(a->samples);
    *a = (struct audio){0};
}
