#include "engine/audio.h"
#include "engine/audio/mel_filters.h"

#include <kiss_fftr.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct mel_plan {
    struct mel_config config;
    struct mel_bank bank;
    float *window; /* [n_fft] */
};

/* What one mel_compute works with; of its own, so that the plan stays read-only. */
struct mel_work {
    kiss_fftr_cfg fft; /* has a scratch buffer inside */
    float *frame;      /* [n_fft] */
    kiss_fft_cpx *spectrum;
    float *power; /* both [n_fft / 2 + 1] */
};

static const float energy_floor = 1e-10f; /* of WhisperFeatureExtractor; its log10 is silence */
static const float silence_log = -10;
static const float dynamic_range = 8; /* in log10: 80 dB under the loudest value of the window */

static bool check_config(const struct mel_config *c, struct err *e)
{
    if (c->n_fft < 2 || c->n_fft % 2 != 0)
        return err_set(e, ERR_UNSUPPORTED, "mel: n_fft %d, expected an even number", c->n_fft);
    if (c->hop < 1 || c->bins < 1 || c->sample_rate < 1)
        return err_set(e, ERR_UNSUPPORTED, "mel: hop %d, %d bins, %d Hz: expected positive numbers", c->hop,
                       c->bins, c->sample_rate);
    if (c->window_samples <= c->n_fft / 2)
        return err_set(e, ERR_UNSUPPORTED, "mel: window of %d samples, expected more than half of n_fft %d",
                       c->window_samples, c->n_fft);
    if (c->window_frames < 1 || c->window_frames > c->window_samples / c->hop)
        return err_set(e, ERR_UNSUPPORTED, "mel: %d frames in a window, expected 1 to %d", c->window_frames,
                       c->window_samples / c->hop);
    return true;
}

struct mel_plan *mel_plan_new(const struct mel_config *c, struct err *e)
{
    if (!check_config(c, e))
        return NULL;
    struct mel_plan *p = calloc(1, sizeof *p);
    float *window = calloc((size_t)c->n_fft, sizeof *window);
    if (!p || !window || !mel_bank_init(&p->bank, c->bins, c->n_fft, c->sample_rate, e)) {
        err_set(e, ERR_MEMORY, "mel: no memory for a plan");
        free(window);
        free(p);
        return NULL;
    }
    p->config = *c;
    p->window = window;
    for (int i = 0; i < c->n_fft; i++) /* periodic Hann */
        window[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * i / c->n_fft));
    return p;
}

void mel_plan_free(struct mel_plan *p)
{
    if (!p)
        return;
    mel_bank_clear(&p->bank);
    free(p->window);
    free(p);
}

static void work_clear(struct mel_work *w)
{
    kiss_fftr_free(w->fft);
    free(w->frame);
    free(w->spectrum);
    free(w->power);
}

static bool work_init(struct mel_work *w, int n_fft, struct err *e)
{
    size_t bins = (size_t)n_fft / 2 + 1;
    *w = (struct mel_work){.fft = kiss_fftr_alloc(n_fft, 0, NULL, NULL),
                           .frame = calloc((size_t)n_fft, sizeof *w->frame),
                           .spectrum = calloc(bins, sizeof *w->spectrum),
                           .power = calloc(bins, sizeof *w->power)};
    if (w->fft && w->frame && w->spectrum && w->power)
        return true;
    work_clear(w);
    return err_set(e, ERR_MEMORY, "mel: no memory for a transform of %d", n_fft);
}

/* Sample i of the window as the transform sees it: zeros behind the clip, both borders of the window
 * mirrored without repeating the edge sample. */
static float padded_sample(const struct mel_config *c, const float *samples, size_t count, int i)
{
    if (i < 0)
        i = -i;
    if (i >= c->window_samples)
        i = 2 * (c->window_samples - 1) - i;
    return (size_t)i < count ? samples[i] : 0;
}

static void cut_frame(const struct mel_plan *p, float *frame, const float *samples, size_t count, int f)
{
    const struct mel_config *c = &p->config;
    int start = f * c->hop - c->n_fft / 2;
    bool inside = start >= 0 && (size_t)(start + c->n_fft) <= count;
    for (int i = 0; i < c->n_fft; i++)
        frame[i] = p->window[i] * (inside ? samples[start + i] : padded_sample(c, samples, count, start + i));
}

/* Mel energies of frame f to out[0], out[stride], … */
static void frame_energies(const struct mel_plan *p, struct mel_work *w, const float *samples, size_t count,
                           int f, float *out, size_t stride)
{
    cut_frame(p, w->frame, samples, count, f);
    kiss_fftr(w->fft, w->frame, w->spectrum);
    for (int k = 0; k <= p->config.n_fft / 2; k++)
        w->power[k] = w->spectrum[k].r * w->spectrum[k].r + w->spectrum[k].i * w->spectrum[k].i;
    for (int b = 0; b < p->bank.bins; b++) {
        const struct mel_filter *filter = &p->bank.filters[b];
        float sum = 0;
        for (int k = 0; k < filter->count; k++)
            sum += filter->weights[k] * w->power[filter->first + k];
        out[(size_t)b * stride] = sum;
    }
}

/* Energies to log10, in place; the largest of them and `most`. */
static float log_energies(float *x, size_t n, float most)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = log10f(fmaxf(x[i], energy_floor));
        most = fmaxf(most, x[i]);
    }
    return most;
}

static void normalise(float *x, size_t n, float most)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (fmaxf(x[i], most - dynamic_range) + 4) / 4;
}

static int ceil_div(size_t a, int b)
{
    return (int)((a + (size_t)b - 1) / (size_t)b);
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* Fills data [bins][stride]; `stored` frames are real, those behind stay zero. Frames that no sample reaches
 * are silence, which is never above the maximum and needs no transform. With a hop shorter than n_fft / 4
 * some frames behind the stored ones hear the clip's end: `spare` [bins] takes them, for the maximum alone.
 */
static void fill(const struct mel_plan *p, struct mel_work *w, const float *samples, size_t count,
                 float *data, int stride, int stored, float *spare)
{
    int reached = count == 0 ? 0 : ceil_div(count + (size_t)p->config.n_fft / 2, p->config.hop);
    reached = min_int(reached, p->config.window_frames);
    for (int f = 0; f < min_int(reached, stored); f++)
        frame_energies(p, w, samples, count, f, data + f, (size_t)stride);

    float most = silence_log;
    for (int f = stored; f < reached; f++) {
        frame_energies(p, w, samples, count, f, spare, 1);
        most = log_energies(spare, (size_t)p->bank.bins, most);
    }
    for (int b = 0; b < p->bank.bins; b++)
        most = log_energies(data + (size_t)b * (size_t)stride, (size_t)stored, most);
    for (int b = 0; b < p->bank.bins; b++)
        normalise(data + (size_t)b * (size_t)stride, (size_t)stored, most);
}

bool mel_compute(const struct mel_plan *p, const float *samples, size_t count, struct arena *a,
                 struct mel *out, struct err *e)
{
    const struct mel_config *c = &p->config;
    *out = (struct mel){0};
    if (count > (size_t)c->window_samples)
        return err_set(e, ERR_LIMIT, "mel: %zu samples, expected at most %d (one window of %g seconds)",
                       count, c->window_samples, (double)c->window_samples / c->sample_rate);
    int frames = min_int(ceil_div(count, c->hop), c->window_frames), stride = frames + 2;
    float *data = arena_alloc(a, (size_t)c->bins * (size_t)stride, sizeof *data);
    float *spare = data ? calloc((size_t)c->bins, sizeof *spare) : NULL;
    if (!spare)
        return err_set(e, ERR_MEMORY, "mel: no memory for %d frames of %d bins", stride, c->bins);
    struct mel_work w;
    bool ok = work_init(&w, c->n_fft, e);
    if (ok) {
        fill(p, &w, samples, count, data, stride, min_int(stride, c->window_frames), spare);
        work_clear(&w);
        *out = (struct mel){.data = data, .stride = stride, .bins = c->bins, .frames = frames};
    }
    free(spare);
    return ok;
}
