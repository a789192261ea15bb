/* audio.h: from the bytes of an audio file to log-mel frames.
 *
 *   audio_decode  wav, flac, ogg (vorbis, opus), mp3 -> 16 kHz mono f32     libsndfile, libmpg123, soxr
 *   mel_compute   at most one window of samples -> struct mel               WhisperFeatureExtractor
 *
 * audio_decode is stateless; a mel_plan is read-only after mel_plan_new: any thread may use either. */
#ifndef FERRY_ENGINE_AUDIO_H
#define FERRY_ENGINE_AUDIO_H

#include "base/arena.h"
#include "base/err.h"
#include "engine/prompt.h"
#include "model/config.h"

#include <stdbool.h>
#include <stddef.h>

struct audio {
    float *samples; /* [count] mono f32, nominally -1..1, at the rate asked for; malloc'ed */
    size_t count;
    int source_rate, source_channels;
    char source_format[32]; /* "WAV", "FLAC", "OGG", "MP3" */
};

/* Decodes a whole wav, flac, ogg (vorbis, opus) or mp3 file in memory, mixes its channels down (mean) and
 * resamples it to `rate` (soxr, high quality). 16-bit mono input at `rate` comes out as exactly int16 /
 * 32768. max_seconds caps the decoded length, while decoding.
 *
 * False with *e set: any other kind of file (ERR_UNSUPPORTED, with the list of those that work), no samples,
 * too long (ERR_LIMIT), a broken stream, a wav or flac that is cut off, a sample that is NaN, infinite or
 * beyond 65536 (ERR_CORRUPT). An mp3 or ogg does not say how long it is: one that was cut off is read as far
 * as it goes. */
bool audio_decode(struct audio *out, const void *bytes, size_t size, int rate, double max_seconds,
                  struct err *e);
void audio_clear(struct audio *a); /* a zeroed one is fine */

struct mel_plan;

/* Filter bank, window and FFT for this front end. NULL with *e set. */
struct mel_plan *mel_plan_new(const struct mel_config *c, struct err *e);
void mel_plan_free(struct mel_plan *p); /* NULL is fine */

/* Log-mel of count <= window_samples samples, identical to the reference's first frames of the zero-padded
 * window (the maximum that sets the floor is taken over the whole padded window). The frames live in the
 * arena. False with *e set: too many samples, no memory. */
bool mel_compute(const struct mel_plan *p, const float *samples, size_t count, struct arena *a,
                 struct mel *out, struct err *e);

#endif
