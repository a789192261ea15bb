/* ref.c: every kernel as its formula. Slow, and the meaning of all the others. */
#include "engine/kernel/kernels.h"

#include <math.h>
#include <string.h>

static float from_bf16(bf16 v)
{
    uint32_t bits = (uint32_t)v << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static bf16 to_bf16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (isnan(f))
        return (bf16)(bits >> 16 | 0x40);
    return (bf16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16); /* nearest, ties to even */
}

static float from_f16(uint16_t h)
{
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    float f = exponent == 31 ? (mantissa ? NAN : INFINITY)
              : exponent     ? ldexpf((float)(1024 + mantissa), exponent - 25)
                             : ldexpf((float)mantissa, -24);
    return h & 0x8000 ? -f : f;
}

static void panel_f32(float *c, const float *a, size_t lda, const float *x, int rows, int cols, int lanes,
                      bool add)
{
    for (int r = 0; r < rows; r++) {
        for (int l = 0; l < lanes; l++) {
            float sum = 0;
            for (int k = 0; k < cols; k++)
                sum += a[(size_t)r * lda + (size_t)k] * x[k * LANES + l];
            float *out = &c[r * LANES + l];
            *out = add ? *out + sum : sum;
        }
    }
}

static void panel_bf16(float *c, const bf16 *a, size_t lda, const bf16 *x, int rows, int cols, int lanes,
                       bool add)
{
    for (int r = 0; r < rows; r++) {
        for (int l = 0; l < lanes; l++) {
            float sum = 0;
            for (int k = 0; k < cols; k++)
                sum +=
                    from_bf16(a[(size_t)r * lda + (size_t)k]) * from_bf16(x[(k / 2 * LANES + l) * 2 + k % 2]);
            float *out = &c[r * LANES + l];
            *out = add ? *out + sum : sum;
        }
    }
}

static int token_at(int k, int t, int tokens)
{
    return (k / DOT_STEP * tokens + t) * DOT_STEP + k % DOT_STEP;
}

static void dot_f32(float *y, size_t ldy, const float *w, size_t ldw, const float *x, int rows, int cols,
                    int tokens)
{
    for (int t = 0; t < tokens; t++) {
        for (int r = 0; r < rows; r++) {
            float sum = 0;
            for (int k = 0; k < cols; k++)
                sum += w[(size_t)r * ldw + (size_t)k] * x[token_at(k, t, tokens)];
            y[(size_t)t * ldy + (size_t)r] = sum;
        }
    }
}

static void dot_bf16_f32(float *y, size_t ldy, const bf16 *w, size_t ldw, const float *x, int rows, int cols,
                         int tokens)
{
    for (int t = 0; t < tokens; t++) {
        for (int r = 0; r < rows; r++) {
            float sum = 0;
            for (int k = 0; k < cols; k++)
                sum += from_bf16(w[(size_t)r * ldw + (size_t)k]) * x[token_at(k, t, tokens)];
            y[(size_t)t * ldy + (size_t)r] = sum;
        }
    }
}

static void dot_bf16(float *y, size_t ldy, const bf16 *w, size_t ldw, const bf16 *x, int rows, int cols,
                     int tokens)
{
    for (int t = 0; t < tokens; t++) {
        for (int r = 0; r < rows; r++) {
            float sum = 0;
            for (int k = 0; k < cols; k++)
                sum += from_bf16(w[(size_t)r * ldw + (size_t)k]) * from_bf16(x[token_at(k, t, tokens)]);
            y[(size_t)t * ldy + (size_t)r] = sum;
        }
    }
}

static void bf16_to_f32(float *y, const bf16 *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = from_bf16(x[i]);
}

static void f16_to_f32(float *y, const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = from_f16(x[i]);
}

static void f32_to_bf16(bf16 *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = to_bf16(x[i]);
}

static void q8_to_f32(float *y, const int8_t *x, const float *scale, int step, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)x[i] * scale[step ? i : 0];
}

static void pack_bf16(bf16 *y, const float *x, int n)
{
    for (int i = 0; i < n + n % 2; i++)
        for (int l = 0; l < LANES; l++)
            y[(i / 2 * LANES + l) * 2 + i % 2] = i < n ? to_bf16(x[i * LANES + l]) : 0;
}

static void rms_norm(float *y, const float *x, const float *weight, int n, float eps)
{
    for (int l = 0; l < LANES; l++) {
        float squares = 0;
        for (int i = 0; i < n; i++)
            squares += x[i * LANES + l] * x[i * LANES + l];
        float scale = 1 / sqrtf(squares / (float)n + eps);
        for (int i = 0; i < n; i++)
            y[i * LANES + l] = x[i * LANES + l] * scale * weight[i];
    }
}

static void layer_norm(float *y, const float *x, const float *weight, const float *bias, int n, float eps)
{
    for (int l = 0; l < LANES; l++) {
        float sum = 0, squares = 0;
        for (int i = 0; i < n; i++)
            sum += x[i * LANES + l];
        float mean = sum / (float)n;
        for (int i = 0; i < n; i++)
            squares += (x[i * LANES + l] - mean) * (x[i * LANES + l] - mean);
        float scale = 1 / sqrtf(squares / (float)n + eps);
        for (int i = 0; i < n; i++)
            y[i * LANES + l] = (x[i * LANES + l] - mean) * scale * weight[i] + bias[i];
    }
}

static void add_bias(float *x, const float *bias, int n)
{
    for (int i = 0; i < n; i++)
        for (int l = 0; l < LANES; l++)
            x[i * LANES + l] += bias[i];
}

static void gelu_bias(float *x, const float *bias, int n)
{
    for (int i = 0; i < n; i++) {
        for (int l = 0; l < LANES; l++) {
            float v = x[i * LANES + l] + bias[i];
            x[i * LANES + l] = 0.5f * v * (1 + erff(v * (float)M_SQRT1_2));
        }
    }
}

static void silu_mul_row(float *gate, const float *up, int n)
{
    for (int i = 0; i < n; i++)
        gate[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

static void silu_mul(float *gate, const float *up, int n)
{
    silu_mul_row(gate, up, n * LANES);
}

static void rope(float *x, const float *cosines, const float *sines, int n)
{
    int half = n / 2;
    for (int i = 0; i < half; i++) {
        for (int l = 0; l < LANES; l++) {
            float a = x[i * LANES + l], b = x[(i + half) * LANES + l];
            float c = cosines[i * LANES + l], s = sines[i * LANES + l];
            x[i * LANES + l] = a * c - b * s;
            x[(i + half) * LANES + l] = b * c + a * s;
        }
    }
}

static void scale_lanes(float *x, const float *scale, int n)
{
    for (int i = 0; i < n; i++)
        for (int l = 0; l < LANES; l++)
            x[i * LANES + l] *= scale[l];
}

static void softmax_block(float *s, int n, float scale, const int32_t *visible, float *max, float *sum,
                          float *rescale)
{
    for (int l = 0; l < LANES; l++) {
        int seen = visible[l] < n ? visible[l] : n;
        float top = max[l];
        for (int i = 0; i < seen; i++)
            top = fmaxf(top, s[i * LANES + l] * scale);
        rescale[l] = seen > 0 ? expf(max[l] - top) : 1;
        max[l] = top;
        sum[l] *= rescale[l];
        for (int i = 0; i < n; i++) {
            float p = i < seen ? expf(s[i * LANES + l] * scale - top) : 0;
            s[i * LANES + l] = p;
            sum[l] += p;
        }
    }
}

static float softmax_row(float *s, int n, float scale, float *max)
{
    float top = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++)
        top = fmaxf(top, s[i] * scale);
    for (int i = 0; i < n; i++) {
        s[i] = expf(s[i] * scale - top);
        sum += s[i];
    }
    *max = top;
    return sum;
}

static void rms_norm_row(float *y, const float *x, const float *weight, int n, float eps)
{
    float squares = 0;
    for (int i = 0; i < n; i++)
        squares += x[i] * x[i];
    float scale = 1 / sqrtf(squares / (float)n + eps);
    for (int i = 0; i < n; i++)
        y[i] = x[i] * scale * weight[i];
}

const struct kernels kernels_ref = {
    .name = "ref",
    .multiplies_bf16 = true,
    .panel_f32 = panel_f32,
    .panel_bf16 = panel_bf16,
    .dot_f32 = dot_f32,
    .dot_bf16_f32 = dot_bf16_f32,
    .dot_bf16 = dot_bf16,
    .bf16_to_f32 = bf16_to_f32,
    .f16_to_f32 = f16_to_f32,
    .f32_to_bf16 = f32_to_bf16,
    .q8_to_f32 = q8_to_f32,
    .pack_bf16 = pack_bf16,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .add_bias = add_bias,
    .gelu_bias = gelu_bias,
    .silu_mul = silu_mul,
    .rope = rope,
    .scale_lanes = scale_lanes,
    .softmax_block = softmax_block,
    .softmax_row = softmax_row,
    .rms_norm_row = rms_norm_row,
    .silu_mul_row = silu_mul_row,
};
