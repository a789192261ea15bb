/* resample.h: a growing mono signal at one rate, fed in pieces at another. */
#ifndef FERRY_ENGINE_AUDIO_RESAMPLE_H
#define FERRY_ENGINE_AUDIO_RESAMPLE_H

#include "base/err.h"

#include <soxr.h>
#include <stddef.h>

/* Zeroed is nothing; resampler_clear after a successful or failed init is fine. */
struct resampler {
    soxr_t soxr; /* NULL when the rates are equal: samples are copied unchanged */
    float *out;  /* [count], malloc'ed; the caller may take it and put NULL here */
    size_t count, room;
};

bool resampler_init(struct resampler *r, int from_rate, int to_rate, struct err *e);
bool resampler_push(struct resampler *r, const float *in, size_t n, struct err *e);
bool resampler_finish(struct resampler *r,
                      struct err *e); /* what the filter still holds; gives spare room back */
void resampler_clear(struct resampler *r);

#endif
