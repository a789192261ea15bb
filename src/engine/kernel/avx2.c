/* avx2.c: AVX2 with FMA and F16C, the x86-64-v3 floor. It multiplies f32 only: fast mode is exact here. */
#define VECTOR_BYTES 32
#include "engine/kernel/vector.h"

#include <immintrin.h>

/* R rows by V vectors of lanes; 6 x 2 sums, two lane vectors and a broadcast fill 15 of 16 registers. */
INLINE void tile_f32(float *c, const float *a, size_t lda, const float *x, int cols, bool add, const int R,
                     const int V)
{
    __m256 sum[12];
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
#pragma GCC unroll 2
        for (int v = 0; v < V; v++)
            sum[r * V + v] = _mm256_setzero_ps();
    for (int k = 0; k < cols; k++) {
        __m256 lanes[2];
#pragma GCC unroll 2
        for (int v = 0; v < V; v++)
            lanes[v] = _mm256_loadu_ps(x + k * LANES + v * VW);
#pragma GCC unroll 6
        for (int r = 0; r < R; r++) {
            __m256 weight = _mm256_broadcast_ss(a + (size_t)r * lda + (size_t)k);
#pragma GCC unroll 2
            for (int v = 0; v < V; v++)
                sum[r * V + v] = _mm256_fmadd_ps(weight, lanes[v], sum[r * V + v]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < R; r++)
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) {
            float *out = c + r * LANES + v * VW;
            _mm256_storeu_ps(out, add ? _mm256_add_ps(_mm256_loadu_ps(out), sum[r * V + v]) : sum[r * V + v]);
        }
}

static void panel_f32(float *c, const float *a, size_t lda, const float *x, int rows, int cols, int lanes,
                      bool add)
{
    for (int l = 0; l < lanes; l += LANE_STEP) {
        int r = 0;
        for (; rows - r >= 6; r += 6)
            tile_f32(c + r * LANES + l, a + (size_t)r * lda, lda, x + l, cols, add, 6, 2);
        for (; rows - r >= 1; r++)
            tile_f32(c + r * LANES + l, a + (size_t)r * lda, lda, x + l, cols, add, 1, 2);
    }
}

INLINE __m256 widen(__m128i v)
{
    return (__m256)_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16);
}

INLINE float sum_of(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

/* Where token t's column k lies. */
INLINE int token_at(int k, int t, const int T)
{
    return (k / DOT_STEP * T + t) * DOT_STEP + k % DOT_STEP;
}

/* Rows of bf16 or f32 against T tokens, one sum per row and token. `row8` reads 8 weights as f32. */
#define DOT_TILE(name, type, row8, one)                                                                      \
    INLINE void name(float *y, size_t ldy, const type *w, const float *x, int cols, const int T)             \
    {                                                                                                        \
        __m256 sum[DOT_TOKENS];                                                                              \
        _Pragma("GCC unroll 8") for (int t = 0; t < T; t++) sum[t] = _mm256_setzero_ps();                    \
        int k = 0;                                                                                           \
        for (; k + 8 <= cols; k += 8) {                                                                      \
            __m256 row = row8(w + k);                                                                        \
            _Pragma("GCC unroll 8") for (int t = 0; t < T; t++) sum[t] =                                     \
                _mm256_fmadd_ps(row, _mm256_loadu_ps(x + token_at(k, t, T)), sum[t]);                        \
        }                                                                                                    \
        _Pragma("GCC unroll 8") for (int t = 0; t < T; t++)                                                  \
        {                                                                                                    \
            float total = sum_of(sum[t]);                                                                    \
            for (int j = k; j < cols; j++)                                                                   \
                total += one(w[j]) * x[token_at(j, t, T)];                                                   \
            y[(size_t)t * ldy] = total;                                                                      \
        }                                                                                                    \
    }

INLINE __m256 row8_bf16(const bf16 *w)
{
    return widen(_mm_loadu_si128((const __m128i_u *)w));
}

INLINE float one_bf16(bf16 v)
{
    uint32_t bits = (uint32_t)v << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

INLINE float one_f32(float v)
{
    return v;
}

DOT_TILE(dot_bf16_f32_tile, bf16, row8_bf16, one_bf16)
DOT_TILE(dot_f32_tile, float, _mm256_loadu_ps, one_f32)

#define DOT_CASE(tile, T)                                                                                    \
    case T:                                                                                                  \
        for (int r = 0; r < rows; r++)                                                                       \
            tile(y + r, ldy, w + (size_t)r * ldw, x, cols, T);                                               \
        break;

#define DOT_SWITCH(tile)                                                                                     \
    switch (tokens) {                                                                                        \
        DOT_CASE(tile, 1)                                                                                    \
        DOT_CASE(tile, 2)                                                                                    \
        DOT_CASE(tile, 3)                                                                                    \
        DOT_CASE(tile, 4)                                                                                    \
        DOT_CASE(tile, 5)                                                                                    \
        DOT_CASE(tile, 6)                                                                                    \
        DOT_CASE(tile, 7)                                                                                    \
        DOT_CASE(tile, 8)                                                                                    \
    }

static void dot_bf16_f32(float *y, size_t ldy, const bf16 *w, size_t ldw, const float *x, int rows, int cols,
                         int tokens)
{
    DOT_SWITCH(dot_bf16_f32_tile)
}

static void dot_f32(float *y, size_t ldy, const float *w, size_t ldw, const float *x, int rows, int cols,
                    int tokens)
{
    DOT_SWITCH(dot_f32_tile)
}

static void f16_to_f32(float *y, const uint16_t *x, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u *)(x + i))));
    for (; i < n; i++)
        y[i] = _cvtsh_ss(x[i]);
}

const struct kernels kernels_avx2 = {
    .name = "avx2",
    .multiplies_bf16 = false,
    .panel_f32 = panel_f32,
    .dot_f32 = dot_f32,
    .dot_bf16_f32 = dot_bf16_f32,
    .f16_to_f32 = f16_to_f32,
    VECTOR_KERNELS,
};
