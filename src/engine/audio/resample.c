#include "engine/audio/resample.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 4096 }; /* room made before each call of soxr */

bool resampler_init(struct resampler *r, int from_rate, int to_rate, struct err *e)
{
    *r = (struct resampler){0};
    if (from_rate == to_rate)
        return true;
    soxr_error_t failed = NULL;
    soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
    r->soxr = soxr_create(from_rate, to_rate, 1, &failed, &io, &quality, &runtime);
    if (!r->soxr)
        return err_set(e, ERR_UNSUPPORTED, "audio: cannot resample %d Hz to %d Hz: %s", from_rate, to_rate,
                       soxr_strerror(failed));
    return true;
}

static bool make_room(struct resampler *r, size_t n, struct err *e)
{
    if (r->room - r->count >= n)
        return true;
    size_t room = r->room + r->room / 2 + n;
    float *out = room < SIZE_MAX / sizeof *out ? realloc(r->out, room * sizeof *out) : NULL;
    if (!out)
        return err_set(e, ERR_MEMORY, "audio: no memory for %zu samples", room);
    r->out = out;
    r->room = room;
    return true;
}

/* in NULL: the end. Runs until soxr has taken all input and has no more to give for it. */
static bool process(struct resampler *r, const float *in, size_t n, struct err *e)
{
    for (;;) {
        size_t taken = 0, made = 0;
        if (!make_room(r, PIECE, e))
            return false;
        soxr_error_t failed = soxr_process(r->soxr, in, n, &taken, r->out + r->count, PIECE, &made);
        if (failed)
            return err_set(e, ERR_MEMORY, "audio: resampling failed: %s", soxr_strerror(failed));
        r->count += made;
        if (in) {
            in += taken;
            n -= taken;
        }
        if (made < PIECE && n == 0)
            return true;
    }
}

bool resampler_push(struct resampler *r, const float *in, size_t n, struct err *e)
{
    if (n == 0)
        return true;
    if (r->soxr)
        return process(r, in, n, e);
    if (!make_room(r, n, e))
        return false;
    memcpy(r->out + r->count, in, n * sizeof *in);
    r->count += n;
    return true;
}

bool resampler_finish(struct resampler *r, struct err *e)
{
    if (r->soxr && !process(r, NULL, 0, e))
        return false;
    float *fitted = r->count > 0 ? realloc(r->out, r->count * sizeof *fitted) : NULL;
    if (fitted) {
        r->out = fitted;
        r->room = r->count;
    }
    return true;
}

void resampler_clear(struct resampler *r)
{
    soxr_delete(r->soxr);
    free(r->out);
    *r = (struct resampler){0};
}
