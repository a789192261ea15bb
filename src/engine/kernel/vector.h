/* vector.h: the kernels that run along the lanes, written once with the compiler's vector types and compiled
 * by avx2.c and avx512.c, each with its own VECTOR_BYTES and flags. Private to those two files.
 *
 * Twins of ref.c; exp and erf are polynomials instead of libm's, good to about 2e-7. */
#ifndef FERRY_ENGINE_KERNEL_VECTOR_H
#define FERRY_ENGINE_KERNEL_VECTOR_H

#include "engine/kernel/kernels.h"

#include <math.h>
#include <string.h>

enum { VW = VECTOR_BYTES / 4, VPL = LANES / VW }; /* floats in a vector, vectors in a row of lanes */

typedef float vf __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t vi __attribute__((vector_size(VECTOR_BYTES)));
typedef float vf_any __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef uint16_t vh __attribute__((vector_size(VECTOR_BYTES / 2)));
typedef uint16_t vh_any __attribute__((vector_size(VECTOR_BYTES / 2), aligned(2), may_alias));
typedef int8_t vb __attribute__((vector_size(VECTOR_BYTES / 4)));
typedef int8_t vb_any __attribute__((vector_size(VECTOR_BYTES / 4), aligned(1), may_alias));
typedef int32_t vi_any __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vf load(const float *p)
{
    return *(const vf_any *)p;
}

INLINE void store(float *p, vf v)
{
    *(vf_any *)p = v;
}

INLINE vf all(float v)
{
    return v - (vf){0};
}

INLINE vf select_vf(vi mask, vf yes, vf no) /* mask lanes are 0 or -1 */
{
    return (vf)(((vi)yes & mask) | ((vi)no & ~mask));
}

INLINE vf max_vf(vf a, vf b)
{
    return select_vf(a > b, a, b);
}

/* e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2; ln 2 in two parts keeps r exact (Cody and Waite);
 * e^r by its Taylor series to r^7, off by less than 1e-8 there. Below -87 the answer is 0. */
INLINE vf exp_vf(vf x)
{
    const float round_to_int = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    vi underflow = x < all(-87.0f);
    x = select_vf(x > all(88.0f), all(88.0f), x);
    vf biased = x * 1.44269504f + round_to_int;
    vf n = biased - round_to_int;
    vf r = x - n * 0.693145752f;
    r = r - n * 1.42860677e-6f;
    vf p = all(1.0f / 5040);
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    vi power =
        ((vi)biased + 127) << 23; /* the low bits of `biased` hold n; its upper bits leave by the shift */
    return (vf)((vi)(p * (vf)power) & ~underflow);
}

/* 1 - erf(|x|) times e^(x*x), Abramowitz and Stegun 7.1.26, off by less than 1.5e-7. */
INLINE vf gelu_vf(vf x)
{
    vf z = x * 0.70710678f;
    vf a = (vf)((vi)z & 0x7fffffff);
    vf t = 1.0f / (1.0f + 0.3275911f * a);
    vf p = all(1.061405429f);
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    vf tail = p * t * exp_vf(-z * z);                             /* erfc(|z|) */
    vf phi = select_vf(x < all(0), 0.5f * tail, 1 - 0.5f * tail); /* normal distribution up to x */
    return x * phi;
}

INLINE vf silu_vf(vf x)
{
    return x / (1.0f + exp_vf(-x));
}

/* The bits of f32 rounded to bf16, in the lower half. NaN stays NaN as long as its upper half says so, which
 * holds for every NaN that arithmetic makes. */
INLINE vi bf16_bits(vf v)
{
    vi bits = (vi)v;
    vi odd = (bits >> 16) & 1;
    return ((bits + 0x7fff + odd) >> 16) & 0xffff;
}

static inline void vec_pack_bf16(bf16 *y, const float *x, int n)
{
    for (int i = 0; i < n; i += 2) {
        for (int v = 0; v < VPL; v++) {
            vi low = bf16_bits(load(x + i * LANES + v * VW));
            vi high = i + 1 < n ? bf16_bits(load(x + (i + 1) * LANES + v * VW)) : (vi){0};
            *(vi_any *)(y + (i / 2 * LANES + v * VW) * 2) = low | high << 16;
        }
    }
}

/* What a block of activations is multiplied with before it is rounded, and its d; most: of |x|, spoiled: 0,
 * or NaN for a block with an infinity or a NaN. */
INLINE vf i8_inverse(vf most, vf spoiled, vf *d)
{
    *d = most / 127.0f + spoiled;
    return select_vf((most > all(I8_LEAST)) & (spoiled == all(0)), 127.0f / most, all(0));
}

/* The nearest whole numbers, ties to even; 0 where inverse is. */
INLINE vi i8_nearest(vf x, vf inverse)
{
    const float round_to_int = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    vi bits = (vi)(x * inverse + round_to_int) - (vi)all(round_to_int);
    return bits & (inverse > all(0));
}

static inline void vec_pack_i8(struct i8_panel *y, const float *x, int n)
{
    for (int b = 0; b < n / BLOCK_COLS; b++, y++, x += BLOCK_COLS * LANES) {
        for (int v = 0; v < VPL; v++) {
            vf most = {0}, spoiled = {0}, d;
            for (int i = 0; i < BLOCK_COLS; i++) {
                vf a = load(x + i * LANES + v * VW);
                most = max_vf((vf)((vi)a & 0x7fffffff), most);
                spoiled += a * 0.0f;
            }
            vf inverse = i8_inverse(most, spoiled, &d);
            vi sum = {0};
            for (int k = 0; k < BLOCK_COLS / 4; k++) {
                vi quad = {0};
                for (int c = 0; c < 4; c++) {
                    vi q = i8_nearest(load(x + (4 * k + c) * LANES + v * VW), inverse);
                    sum += q;
                    quad |= (q & 0xff) << 8 * c;
                }
                *(vi_any *)&y->q[k][v * VW] = quad;
            }
            store(y->d + v * VW, d);
            *(vi_any *)(y->start + v * VW) = sum * -Q8_OFFSET;
        }
    }
}

static inline void vec_pack_i8_row(struct i8_row *y, int step, const float *x, int n)
{
    for (int b = 0; b < n / BLOCK_COLS; b++, y += step, x += BLOCK_COLS) {
        vf tops = {0}, spoils = {0}, d;
        float most = 0, spoiled = 0;
        for (int i = 0; i < BLOCK_COLS; i += VW) {
            tops = max_vf((vf)((vi)load(x + i) & 0x7fffffff), tops);
            spoils += load(x + i) * 0.0f;
        }
        for (int l = 0; l < VW; l++) {
            most = tops[l] > most ? tops[l] : most;
            spoiled += spoils[l];
        }
        vf inverse = i8_inverse(all(most), all(spoiled), &d);
        vi sums = {0};
        int32_t sum = 0;
        for (int i = 0; i < BLOCK_COLS; i += VW) {
            vi q = i8_nearest(load(x + i), inverse);
            sums += q;
            *(vb_any *)(y->q + i) = __builtin_convertvector(q, vb);
        }
        for (int l = 0; l < VW; l++)
            sum += sums[l];
        y->d = d[0];
        y->start = -Q8_OFFSET * sum;
    }
}

static inline void vec_rms_norm(float *y, const float *x, const float *weight, int n, float eps)
{
    for (int v = 0; v < VPL; v++) {
        vf squares[2] = {{0}};
        for (int i = 0; i < n; i++) {
            vf a = load(x + i * LANES + v * VW);
            squares[i & 1] += a * a;
        }
        vf mean = (squares[0] + squares[1]) / (float)n + eps, scale;
        for (int l = 0; l < VW; l++)
            scale[l] = 1 / sqrtf(mean[l]);
        for (int i = 0; i < n; i++)
            store(y + i * LANES + v * VW, load(x + i * LANES + v * VW) * scale * weight[i]);
    }
}

static inline void vec_layer_norm(float *y, const float *x, const float *weight, const float *bias, int n,
                                  float eps)
{
    for (int v = 0; v < VPL; v++) {
        vf sum = {0}, squares = {0};
        for (int i = 0; i < n; i++)
            sum += load(x + i * LANES + v * VW);
        vf mean = sum / (float)n;
        for (int i = 0; i < n; i++) {
            vf d = load(x + i * LANES + v * VW) - mean;
            squares += d * d;
        }
        vf variance = squares / (float)n + eps, scale;
        for (int l = 0; l < VW; l++)
            scale[l] = 1 / sqrtf(variance[l]);
        for (int i = 0; i < n; i++)
            store(y + i * LANES + v * VW,
                  (load(x + i * LANES + v * VW) - mean) * scale * weight[i] + bias[i]);
    }
}

static inline void vec_add_bias(float *x, const float *bias, int n)
{
    for (int i = 0; i < n; i++)
        for (int v = 0; v < VPL; v++)
            store(x + i * LANES + v * VW, load(x + i * LANES + v * VW) + bias[i]);
}

static inline void vec_gelu_bias(float *x, const float *bias, int n)
{
    for (int i = 0; i < n; i++)
        for (int v = 0; v < VPL; v++)
            store(x + i * LANES + v * VW, gelu_vf(load(x + i * LANES + v * VW) + bias[i]));
}

static inline void vec_silu_mul(float *gate, const float *up, int n)
{
    for (int i = 0; i < n * LANES; i += VW)
        store(gate + i, silu_vf(load(gate + i)) * load(up + i));
}

static inline void vec_silu_mul_row(float *gate, const float *up, int n)
{
    int i = 0;
    for (; i + VW <= n; i += VW)
        store(gate + i, silu_vf(load(gate + i)) * load(up + i));
    float g[VW] = {0}, u[VW] = {0};
    for (int j = 0; i + j < n; j++)
        g[j] = gate[i + j], u[j] = up[i + j];
    store(g, silu_vf(load(g)) * load(u));
    for (int j = 0; i + j < n; j++)
        gate[i + j] = g[j];
}

static inline void vec_rope(float *x, const float *cosines, const float *sines, int n)
{
    int half = n / 2;
    for (int i = 0; i < half * LANES; i += VW) {
        vf a = load(x + i), b = load(x + half * LANES + i);
        vf c = load(cosines + i), s = load(sines + i);
        store(x + i, a * c - b * s);
        store(x + half * LANES + i, b * c + a * s);
    }
}

static inline void vec_scale_lanes(float *x, const float *scale, int n)
{
    for (int i = 0; i < n; i++)
        for (int v = 0; v < VPL; v++)
            store(x + i * LANES + v * VW, load(x + i * LANES + v * VW) * load(scale + v * VW));
}

INLINE vi visible_vi(const int32_t *visible, int v)
{
    return *(const vi_any *)(visible + v * VW);
}

static inline void vec_softmax_block(float *s, int n, float scale, const int32_t *visible, float *max,
                                     float *sum, float *rescale)
{
    int32_t least = n;
    for (int l = 0; l < LANES; l++)
        least = visible[l] < least ? visible[l] : least;
    least = least < 0 ? 0 : least; /* rows below it are seen by every lane */
    const vf nothing = all(-INFINITY);
    for (int v = 0; v < VPL; v++) {
        vi seen = visible_vi(visible, v);
        vf old = load(max + v * VW), top = old;
        int i = 0;
        for (; i < least; i++)
            top = max_vf(top, load(s + i * LANES + v * VW) * scale);
        for (; i < n; i++)
            top = max_vf(top, select_vf(seen > i, load(s + i * LANES + v * VW) * scale, nothing));
        store(max + v * VW, top);
        vf safe = select_vf(top > nothing, top, all(0)); /* a lane that has seen nothing yet */
        vf factor = select_vf(old == top, all(1), exp_vf(old - safe));
        store(rescale + v * VW, factor);
        vf total = load(sum + v * VW) * factor;
        for (i = 0; i < least; i++) {
            vf p = exp_vf(load(s + i * LANES + v * VW) * scale - safe);
            store(s + i * LANES + v * VW, p);
            total += p;
        }
        for (; i < n; i++) {
            vf p = exp_vf(load(s + i * LANES + v * VW) * scale - safe);
            p = (vf)((vi)p & (seen > i));
            store(s + i * LANES + v * VW, p);
            total += p;
        }
        store(sum + v * VW, total);
    }
}

static inline float vec_softmax_row(float *s, int n, float scale, float *max)
{
    float top = -INFINITY;
    vf tops = all(-INFINITY), sums = {0};
    int i = 0;
    for (; i + VW <= n; i += VW)
        tops = max_vf(tops, load(s + i) * scale);
    for (int j = i; j < n; j++)
        top = fmaxf(top, s[j] * scale);
    for (int l = 0; l < VW; l++)
        top = fmaxf(top, tops[l]);
    for (i = 0; i + VW <= n; i += VW) {
        vf p = exp_vf(load(s + i) * scale - top);
        store(s + i, p);
        sums += p;
    }
    float rest[VW], sum = 0;
    for (int j = 0; j < VW; j++)
        rest[j] = i + j < n ? s[i + j] * scale - top : -INFINITY;
    vf p = exp_vf(load(rest));
    sums += p;
    for (int j = 0; i + j < n; j++)
        s[i + j] = p[j];
    for (int l = 0; l < VW; l++)
        sum += sums[l];
    *max = top;
    return sum;
}

static inline void vec_rms_norm_row(float *y, const float *x, const float *weight, int n, float eps)
{
    vf squares = {0};
    float sum = 0;
    int i = 0;
    for (; i + VW <= n; i += VW)
        squares += load(x + i) * load(x + i);
    for (; i < n; i++)
        sum += x[i] * x[i];
    for (int l = 0; l < VW; l++)
        sum += squares[l];
    float scale = 1 / sqrtf(sum / (float)n + eps);
    for (i = 0; i < n; i++)
        y[i] = x[i] * scale * weight[i];
}

static inline void vec_bf16_to_f32(float *y, const bf16 *x, size_t n)
{
    size_t i = 0;
    for (; i + VW <= n; i += VW)
        store(y + i, (vf)(__builtin_convertvector(*(const vh_any *)(x + i), vi) << 16));
    for (; i < n; i++)
        y[i] = ((vf)((vi){0} + (int32_t)((uint32_t)x[i] << 16)))[0];
}

static inline void vec_f32_to_bf16(bf16 *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + VW <= n; i += VW)
        *(vh_any *)(y + i) = __builtin_convertvector(bf16_bits(load(x + i)), vh);
    for (; i < n; i++)
        y[i] = (bf16)bf16_bits(all(x[i]))[0];
}

static inline void vec_q8_to_f32(float *y, const int8_t *x, const float *scale, int step, size_t n)
{
    size_t i = 0;
    for (; i + VW <= n; i += VW) {
        vf s = step ? load(scale + i) : all(*scale);
        store(y + i, __builtin_convertvector(*(const vb_any *)(x + i), vf) * s);
    }
    for (; i < n; i++)
        y[i] = (float)x[i] * scale[step ? i : 0];
}

/* What avx2.c and avx512.c share of their tables. */
#define VECTOR_KERNELS                                                                                       \
    .bf16_to_f32 = vec_bf16_to_f32, .f32_to_bf16 = vec_f32_to_bf16, .q8_to_f32 = vec_q8_to_f32,              \
    .pack_i8 = vec_pack_i8, .pack_i8_row = vec_pack_i8_row, .pack_bf16 = vec_pack_bf16,                      \
    .rms_norm = vec_rms_norm, .layer_norm = vec_layer_norm, .add_bias = vec_add_bias,                        \
    .gelu_bias = vec_gelu_bias, .silu_mul = vec_silu_mul, .rope = vec_rope, .scale_lanes = vec_scale_lanes,  \
    .softmax_block = vec_softmax_block, .softmax_row = vec_softmax_row, .rms_norm_row = vec_rms_norm_row,    \
    .silu_mul_row = vec_silu_mul_row

#endif
