/* avx2.c: AVX2 with FMA and F16C, the x86-64-v3 floor. It multiplies f32 only: fast mode is exact here, but
 * for weights in blocks. */
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

/* --- weights in blocks: 8 rows, or 8 lanes, in a vector ---------------------------------------------------
 */

/* Four bytes of each 32-bit lane as two pairs of 16 bits: the first and third, the second and fourth.
 * Unsigned weights, signed activations: products of pairs are added without saturating. */
struct pairs {
    __m256i even, odd;
};

INLINE struct pairs weight_pairs(__m256i bytes)
{
    return (struct pairs){_mm256_and_si256(bytes, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(bytes, 8)};
}

INLINE struct pairs activation_pairs(__m256i bytes)
{
    return (struct pairs){_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8)};
}

INLINE __m256i add_products(__m256i sum, struct pairs a, struct pairs b)
{
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a.even, b.even));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a.odd, b.odd));
}

INLINE __m256i quad_of(const void *bytes)
{
    int32_t quad;
    memcpy(&quad, bytes, sizeof quad);
    return _mm256_set1_epi32(quad);
}

INLINE __m256 block_scales(const uint8_t *scales, int block, int row)
{
    return _mm256_cvtph_ps(
        _mm_loadu_si128((const __m128i_u *)(scales + (block % TILE_BLOCKS * TILE_ROWS + row) * 2)));
}

/* R rows of one block by 8 lanes, added to c. */
INLINE void tile_q8(float *c, const uint8_t *q, const float *d, const struct i8_panel *x, int lane,
                    const int R)
{
    __m256i sum[4];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
        sum[r] = _mm256_loadu_si256((const __m256i_u *)(x->start + lane));
    for (int k = 0; k < BLOCK_COLS / 4; k++) {
        struct pairs a = activation_pairs(_mm256_loadu_si256((const __m256i_u *)x->q[k][lane]));
#pragma GCC unroll 4
        for (int r = 0; r < R; r++)
            sum[r] = add_products(sum[r], weight_pairs(quad_of(q + (k * TILE_ROWS + r) * 4)), a);
    }
    __m256 lane_d = _mm256_loadu_ps(x->d + lane);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        float *out = c + r * LANES + lane;
        __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(sum[r]), lane_d);
        _mm256_storeu_ps(out, _mm256_fmadd_ps(product, _mm256_set1_ps(d[r]), _mm256_loadu_ps(out)));
    }
}

/* Rows of one strip. */
static void strip_q8(float *c, const uint8_t *tiles, const struct i8_panel *x, int rows, int blocks,
                     int lanes)
{
    for (int b = 0; b < blocks; b++, x++) {
        const uint8_t *tile = tiles + (size_t)(b / TILE_BLOCKS) * Q8_TILE_BYTES;
        const uint8_t *q = tile + b % TILE_BLOCKS * Q8_BLOCK_BYTES;
        float d[TILE_ROWS];
        for (int r = 0; r < TILE_ROWS; r += 8)
            _mm256_storeu_ps(d + r, block_scales(tile + TILE_BLOCKS * Q8_BLOCK_BYTES, b, r));
        for (int l = 0; l < lanes; l += 8) {
            int r = 0;
            for (; rows - r >= 4; r += 4)
                tile_q8(c + r * LANES, q + r * 4, d + r, x, l, 4);
            for (; r < rows; r++)
                tile_q8(c + r * LANES, q + r * 4, d + r, x, l, 1);
        }
    }
}

static void panel_q8(float *c, const uint8_t *tiles, size_t strip_bytes, const struct i8_panel *x, int rows,
                     int blocks, int lanes, bool add)
{
    if (!add)
        memset(c, 0, (size_t)rows * LANES * sizeof *c);
    for (int r = 0; r < rows; r += TILE_ROWS, tiles += strip_bytes)
        strip_q8(c + r * LANES, tiles, x, rows - r < TILE_ROWS ? rows - r : TILE_ROWS, blocks, lanes);
}

/* A block's sums of 8 rows for one token. */
INLINE __m256i sums_q8(const uint8_t *q, const struct i8_row *x)
{
    __m256i sum = _mm256_set1_epi32(x->start);
    for (int k = 0; k < BLOCK_COLS; k += 4)
        sum = add_products(sum, weight_pairs(_mm256_loadu_si256((const __m256i_u *)(q + k * TILE_ROWS))),
                           activation_pairs(quad_of(x->q + k)));
    return sum;
}

INLINE __m256i sums_q4(const uint8_t *q, const struct i8_row *x)
{
    const __m256i low = _mm256_set1_epi8(15);
    __m256i sum = _mm256_set1_epi32(x->start / (Q8_OFFSET / Q4_OFFSET));
    for (int k = 0; k < BLOCK_COLS / 2; k += 4) {
        __m256i both = _mm256_loadu_si256((const __m256i_u *)(q + k * TILE_ROWS));
        __m256i first = _mm256_and_si256(both, low),
                second = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
        sum = add_products(sum, weight_pairs(first), activation_pairs(quad_of(x->q + k)));
        sum = add_products(sum, weight_pairs(second), activation_pairs(quad_of(x->q + k + BLOCK_COLS / 2)));
    }
    return sum;
}

/* 8 rows of a strip times one token. */
#define DOT_EIGHT(name, sums, BYTES)                                                                         \
    INLINE __m256 name(const uint8_t *strip, int row, const struct i8_row *x, int step, int blocks)          \
    {                                                                                                        \
        __m256 total = _mm256_setzero_ps();                                                                  \
        for (int b = 0; b < blocks; b++, x += step) {                                                        \
            const uint8_t *tile =                                                                            \
                strip + (size_t)(b / TILE_BLOCKS) * (TILE_BLOCKS * BYTES + TILE_SCALE_BYTES);                \
            __m256i sum = sums(tile + b % TILE_BLOCKS * BYTES + row * 4, x);                                 \
            __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_set1_ps(x->d));                   \
            total = _mm256_fmadd_ps(product, block_scales(tile + TILE_BLOCKS * BYTES, b, row), total);       \
        }                                                                                                    \
        return total;                                                                                        \
    }

DOT_EIGHT(eight_q8, sums_q8, Q8_BLOCK_BYTES)
DOT_EIGHT(eight_q4, sums_q4, Q4_BLOCK_BYTES)

#define DOT_BLOCKS(name, eight, type)                                                                        \
    static void name(float *y, size_t ldy, const uint8_t *strips, const struct i8_row *x, int rows,          \
                     int cols, int tokens)                                                                   \
    {                                                                                                        \
        for (int r = 0; r < rows; r += 8) {                                                                  \
            const uint8_t *strip = strips + (size_t)(r / TILE_ROWS) * blocks_strip_bytes(type, cols);        \
            for (int t = 0; t < tokens; t++) {                                                               \
                float out[8];                                                                                \
                _mm256_storeu_ps(out, eight(strip, r % TILE_ROWS, x + t, tokens, cols / BLOCK_COLS));        \
                memcpy(y + (size_t)t * ldy + r, out, (size_t)(rows - r < 8 ? rows - r : 8) * sizeof *out);   \
            }                                                                                                \
        }                                                                                                    \
    }

DOT_BLOCKS(dot_q8, eight_q8, DTYPE_Q8_0)
DOT_BLOCKS(dot_q4, eight_q4, DTYPE_Q4_0)

static void q4_to_q8(uint8_t *to, const uint8_t *tiles, int count)
{
    const __m256i low = _mm256_set1_epi8(15), shift = _mm256_set1_epi8(Q8_OFFSET - Q4_OFFSET);
    for (; count > 0; count--, to += Q8_TILE_BYTES, tiles += Q4_TILE_BYTES) {
        for (int i = 0; i < TILE_BLOCKS * Q4_BLOCK_BYTES; i += 32) {
            int at = i / Q4_BLOCK_BYTES * Q8_BLOCK_BYTES + i % Q4_BLOCK_BYTES;
            __m256i both = _mm256_loadu_si256((const __m256i_u *)(tiles + i));
            __m256i first = _mm256_and_si256(both, low),
                    second = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
            _mm256_storeu_si256((__m256i_u *)(to + at), _mm256_add_epi8(first, shift));
            _mm256_storeu_si256((__m256i_u *)(to + at + Q8_BLOCK_BYTES / 2), _mm256_add_epi8(second, shift));
        }
        memcpy(to + TILE_BLOCKS * Q8_BLOCK_BYTES, tiles + TILE_BLOCKS * Q4_BLOCK_BYTES, TILE_SCALE_BYTES);
    }
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
    .panel_q8 = panel_q8,
    .dot_q8 = dot_q8,
    .dot_q4 = dot_q4,
    .q4_to_q8 = q4_to_q8,
    .f16_to_f32 = f16_to_f32,
    VECTOR_KERNELS,
};
