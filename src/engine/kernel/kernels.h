/* kernels.h: the arithmetic, one table of functions per instruction set.
 *
 * Two shapes of work, two layouts:
 *
 *   panel   prefill and encoder. Up to LANES tokens stand side by side; a value of all of them is one row of
 *           LANES floats, so x[feature][lane]. Norms, softmax, activations and matrix products all run along
 *           the lanes: no sum ever crosses a vector, and a weight row is read as it lies in the file, one
 *           value at a time, multiplied with all tokens at once.
 *   dot     decode. Few tokens, each a contiguous vector; a weight row is streamed once from memory and
 *           multiplied with each of them.
 *
 * A result depends only on its own row, its own token and the number of columns, never on how many rows or
 * tokens are computed beside it: batching and cutting prompts change no bit.
 *
 * `ref` is the plain twin of every function; tests hold the others against it. bf16 values are the upper half
 * of an f32. Pointers need no alignment beyond their type. Stateless; any thread. */
#ifndef FERRY_ENGINE_KERNEL_KERNELS_H
#define FERRY_ENGINE_KERNEL_KERNELS_H

#include "model/blocks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LANES = 64,     /* tokens in a panel: 4 AVX-512 vectors; a 6 x 64 tile fills 24 of 32 registers */
    LANE_STEP = 16, /* panels are computed in this many lanes at least */
    DOT_STEP = 32,  /* columns of one token side by side in a dot call's input: one vector of bf16 */
    DOT_TOKENS = 8, /* most tokens in one dot call */
};

typedef uint16_t bf16;

/* Activations beside weights in blocks: int8 with a scale for each BLOCK_COLS columns of each token, x = d *
 * q, q in -127..127, the nearest (ties to even). With an infinity or a NaN among them d is NaN. `start` is
 * -Q8_OFFSET times the sum of the q's: what a sum of products of stored bytes, which are Q8_OFFSET above
 * theirs, begins with. */
#define I8_LEAST 1e-30f /* a block of smaller ones is all 0: 127 / x would be infinite */

struct i8_panel {
    int8_t q[BLOCK_COLS / 4][LANES][4];
    float d[LANES];
    int32_t start[LANES];
};
struct i8_row {
    int8_t q[BLOCK_COLS];
    float d;
    int32_t start;
};

struct kernels {
    const char *name;     /* "ref", "avx2", "avx512" */
    bool multiplies_bf16; /* panel_bf16 and dot_bf16 are there: fast mode rounds activations to bf16 */

    /* c[r][l] = (add ? c[r][l] : 0) + sum over k of a[r*lda + k] * x[k][l], for r < rows, l < lanes.
     * c: row stride LANES. lanes: a multiple of LANE_STEP, at most LANES. */
    void (*panel_f32)(float *c, const float *a, size_t lda, const float *x, int rows, int cols, int lanes,
                      bool add);

    /* The same with both sides in bf16 and f32 sums. x is packed in pairs of columns, [cols/2][LANES][2];
     * cols is even. */
    void (*panel_bf16)(float *c, const bf16 *a, size_t lda, const bf16 *x, int rows, int cols, int lanes,
                       bool add);

    /* y[t*ldy + r] = sum over k of w[r*ldw + k] * x[t][k], for r < rows, t < tokens <= DOT_TOKENS.
     * x is interleaved, [(cols + DOT_STEP - 1) / DOT_STEP][tokens][DOT_STEP] with zeros behind cols: the
     * pieces that are needed together lie together, instead of in lines that compete for the same cache sets.
     */
    void (*dot_f32)(float *y, size_t ldy, const float *w, size_t ldw, const float *x, int rows, int cols,
                    int tokens);
    void (*dot_bf16_f32)(float *y, size_t ldy, const bf16 *w, size_t ldw, const float *x, int rows, int cols,
                         int tokens);
    void (*dot_bf16)(float *y, size_t ldy, const bf16 *w, size_t ldw, const bf16 *x, int rows, int cols,
                     int tokens);

    /* Weights in blocks (model/blocks.h), the first `blocks` of each row, times activations in int8. Within a
     * block sums are whole numbers; then (sum * activations' d) * weights' d is added up in f32, block by
     * block: panels and dots give the same bits.
     *
     * c[r][l] (+)= …, for rows of q8_0 strips that lie strip_bytes apart; blocks may begin in the middle of
     * them, at a tile. */
    void (*panel_q8)(float *c, const uint8_t *tiles, size_t strip_bytes, const struct i8_panel *x, int rows,
                     int blocks, int lanes, bool add);
    /* y[t*ldy + r] = …, whole strips of cols columns; x[block][tokens]. */
    void (*dot_q8)(float *y, size_t ldy, const uint8_t *strips, const struct i8_row *x, int rows, int cols,
                   int tokens);
    void (*dot_q4)(float *y, size_t ldy, const uint8_t *strips, const struct i8_row *x, int rows, int cols,
                   int tokens);
    /* The same weights in q8_0 tiles: q - Q4_OFFSET + Q8_OFFSET, the same d. */
    void (*q4_to_q8)(uint8_t *to, const uint8_t *tiles, int count);
    /* [n][LANES] or one token's n values, n a whole number of blocks, to int8. */
    void (*pack_i8)(struct i8_panel *y, const float *x, int n);
    void (*pack_i8_row)(struct i8_row *y, int step, const float *x, int n); /* y[i * step] */

    /* Conversions; to bf16 rounds to nearest even. */
    void (*bf16_to_f32)(float *y, const bf16 *x, size_t n);
    void (*f16_to_f32)(float *y, const uint16_t *x, size_t n);
    void (*f32_to_bf16)(bf16 *y, const float *x, size_t n);

    /* y[i] = x[i] * scale[i * step]; step is 0 or 1. */
    void (*q8_to_f32)(float *y, const int8_t *x, const float *scale, int step, size_t n);

    /* Whole panels, [n][LANES], all lanes. */
    void (*pack_bf16)(bf16 *y, const float *x,
                      int n); /* [n][LANES] -> [(n+1)/2][LANES][2], zero behind an odd n */
    void (*rms_norm)(float *y, const float *x, const float *weight, int n, float eps);
    void (*layer_norm)(float *y, const float *x, const float *weight, const float *bias, int n, float eps);
    void (*add_bias)(float *x, const float *bias, int n);  /* x[i][l] += bias[i] */
    void (*gelu_bias)(float *x, const float *bias, int n); /* x = gelu(x + bias), the erf form */
    void (*silu_mul)(float *gate, const float *up, int n); /* gate = silu(gate) * up */
    void (*rope)(float *x, const float *cos, const float *sin,
                 int n);                                      /* x[n], cos, sin [n/2]: pairs (i, i+n/2) */
    void (*scale_lanes)(float *x, const float *scale, int n); /* x[i][l] *= scale[l] */

    /* One block of attention scores [n][LANES], lane l seeing the first visible[l] rows: scales them,
     * replaces them by exp(score - max), 0 where unseen, and updates each lane's running maximum and sum;
     * rescale[l] is what earlier sums must be multiplied with. max starts at -INFINITY, sum at 0. */
    void (*softmax_block)(float *s, int n, float scale, const int32_t *visible, float *max, float *sum,
                          float *rescale);

    /* One token's attention scores [n], contiguous: scaled, exp(score - max), not divided. Returns the sum,
     * and the maximum of the scaled scores in *max. */
    float (*softmax_row)(float *s, int n, float scale, float *max);

    /* One token's vector, contiguous. */
    void (*rms_norm_row)(float *y, const float *x, const float *weight, int n, float eps);
    void (*silu_mul_row)(float *gate, const float *up, int n);
};

/* The table of that name, or the best when name is NULL. NULL: unknown, or this CPU cannot run it. */
const struct kernels *kernels_pick(const char *name);

extern const struct kernels kernels_ref, kernels_avx2, kernels_avx512;

#endif
