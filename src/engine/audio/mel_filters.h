/* mel_filters.h: triangles on the Slaney mel scale, as transformers.audio_utils.mel_filter_bank makes them
 * with norm="slaney" and mel_scale="slaney". */
#ifndef FERRY_ENGINE_AUDIO_MEL_FILTERS_H
#define FERRY_ENGINE_AUDIO_MEL_FILTERS_H

#include "base/err.h"

#include <stdbool.h>

/* The non-zero stretch of one filter: weights[0..count) belong to FFT bins first, first + 1, … */
struct mel_filter {
    int first, count;
    const float *weights;
};

struct mel_bank {
    struct mel_filter *filters; /* [bins] */
    float *weights;             /* of all filters, one after the other */
    int bins;
};

/* bins filters over the n_fft / 2 + 1 frequencies 0 .. sample_rate / 2. Built in double, rounded once. */
bool mel_bank_init(struct mel_bank *b, int bins, int n_fft, int sample_rate, struct err *e);
void mel_bank_clear(struct mel_bank *b); /* a zeroed one is fine */

#endif
