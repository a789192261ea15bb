#include "engine/audio/mel_filters.h"

#include <math.h>
#include <stdlib.h>

/* WhisperFeatureExtractor passes max_frequency=8000 whatever the sampling rate. */
static const double max_hz = 8000;

/* Slaney's scale: 3 mel per 200 Hz up to 1 kHz, then 27 mel per factor of 6.4. */
static const double knee_hz = 1000, knee_mel = 15, mel_per_hz = 3.0 / 200;

static double hz_to_mel(double hz)
{
    return hz < knee_hz ? hz * mel_per_hz : knee_mel + log(hz / knee_hz) * (27 / log(6.4));
}

static double mel_to_hz(double mel)
{
    return mel < knee_mel ? mel / mel_per_hz : knee_hz * exp((mel - knee_mel) * (log(6.4) / 27));
}

/* Edge i of bins + 2, evenly spaced in mel from 0. */
static double edge_hz(int i, int bins)
{
    return mel_to_hz(hz_to_mel(max_hz) * i / (bins + 1));
}

/* The triangle left-centre-right at hz, with an area of 1 Hz (Slaney's norm). */
static double triangle(double hz, double left, double centre, double right)
{
    double rise = (hz - left) / (centre - left), fall = (right - hz) / (right - centre);
    return fmax(0, fmin(rise, fall)) * 2 / (right - left);
}

/* Writes the stretch of filter i that is not zero to `weights`; returns its length. */
static int build_filter(struct mel_filter *f, float *weights, int i, int bins, int n_fft, int sample_rate)
{
    double left = edge_hz(i, bins), centre = edge_hz(i + 1, bins), right = edge_hz(i + 2, bins);
    *f = (struct mel_filter){.weights = weights};
    for (int k = 0; k <= n_fft / 2; k++) {
        double hz = (double)sample_rate * k / n_fft;
        float w = (float)triangle(hz, left, centre, right);
        if (w > 0 && f->count == 0)
            f->first = k;
        if (w > 0)
            weights[f->count++] = w;
    }
    return f->count;
}

bool mel_bank_init(struct mel_bank *b, int bins, int n_fft, int sample_rate, struct err *e)
{
    /* A frequency lies under two triangles at most. */
    size_t room = 2 * ((size_t)n_fft / 2 + 1);
    *b = (struct mel_bank){.bins = bins,
                           .filters = calloc((size_t)bins, sizeof *b->filters),
                           .weights = calloc(room, sizeof *b->weights)};
    if (!b->filters || !b->weights) {
        mel_bank_clear(b);
        return err_set(e, ERR_MEMORY, "mel: no memory for %d filters", bins);
    }
    float *at = b->weights;
    for (int i = 0; i < bins; i++)
        at += build_filter(&b->filters[i], at, i, bins, n_fft, sample_rate);
    return true;
}

void mel_bank_clear(struct mel_bank *b)
{
    free(b->filters);
    free(b->weights);
    *b = (struct mel_bank){0};
}
