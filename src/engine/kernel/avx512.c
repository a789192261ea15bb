/* avx512.c: AVX-512 with BF16 (Zen 4 and Cooper Lake upwards). Compiled with those flags; pick.c decides. */
#define VECTOR_BYTES 64
#include "engine/kernel/vector.h"

#include <immintrin.h>

enum { MOST_SUMS = 24 };

/* A tile of R rows by V vectors of lanes keeps its R * V sums in registers while it walks the columns. 24
 * sums hide the latency of two products per cycle and leave room for the lanes and one broadcast weight. The
 * loops over r and v are unrolled by the compiler, R and V being constants. */
INLINE void tile_bf16(float *c, const bf16 *a, size_t lda, const bf16 *x, int pairs, bool add, const int R,
                      const int V)
{
    __m512 sum[MOST_SUMS];
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            sum[r * V + v] = _mm512_setzero_ps();
    for (int p = 0; p < pairs; p++) {
        __m512bh lanes[VPL];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            lanes[v] = (__m512bh)_mm512_loadu_si512(x + (p * LANES + v * VW) * 2);
#pragma GCC unroll 16
        for (int r = 0; r < R; r++) {
            int32_t pair;
            memcpy(&pair, a + (size_t)r * lda + 2 * p, sizeof pair);
            __m512bh weight = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++)
                sum[r * V + v] = _mm512_dpbf16_ps(sum[r * V + v], weight, lanes[v]);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            float *out = c + r * LANES + v * VW;
            _mm512_storeu_ps(out, add ? _mm512_add_ps(_mm512_loadu_ps(out), sum[r * V + v]) : sum[r * V + v]);
        }
}

INLINE void tile_f32(float *c, const float *a, size_t lda, const float *x, int cols, bool add, const int R,
                     const int V)
{
    __m512 sum[MOST_SUMS];
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            sum[r * V + v] = _mm512_setzero_ps();
    for (int k = 0; k < cols; k++) {
        __m512 lanes[VPL];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            lanes[v] = _mm512_loadu_ps(x + k * LANES + v * VW);
#pragma GCC unroll 16
        for (int r = 0; r < R; r++) {
            __m512 weight = _mm512_set1_ps(a[(size_t)r * lda + (size_t)k]);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++)
                sum[r * V + v] = _mm512_fmadd_ps(weight, lanes[v], sum[r * V + v]);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            float *out = c + r * LANES + v * VW;
            _mm512_storeu_ps(out, add ? _mm512_add_ps(_mm512_loadu_ps(out), sum[r * V + v]) : sum[r * V + v]);
        }
}

/* All rows with V vectors of lanes, MOST rows a tile; what is left over in smaller tiles. */
#define PANEL_ROWS(tile, V, MOST)                                                                            \
    for (; rows - r >= (MOST); r += (MOST))                                                                  \
        tile(c + r * LANES, a + (size_t)r * lda, lda, x, n, add, MOST, V);                                   \
    for (; rows - r >= 4; r += 4)                                                                            \
        tile(c + r * LANES, a + (size_t)r * lda, lda, x, n, add, 4, V);                                      \
    for (; rows - r >= 1; r += 1)                                                                            \
        tile(c + r * LANES, a + (size_t)r * lda, lda, x, n, add, 1, V);

static void panel_bf16(float *c, const bf16 *a, size_t lda, const bf16 *x, int rows, int cols, int lanes,
                       bool add)
{
    int r = 0, n = cols / 2;
    switch (lanes / VW) {
    case 4:
        PANEL_ROWS(tile_bf16, 4, 6)
        break;
    case 3:
        PANEL_ROWS(tile_bf16, 3, 8)
        break;
    case 2:
        PANEL_ROWS(tile_bf16, 2, 12)
        break;
    default:
        PANEL_ROWS(tile_bf16, 1, 16)
        break;
    }
}

static void panel_f32(float *c, const float *a, size_t lda, const float *x, int rows, int cols, int lanes,
                      bool add)
{
    int r = 0, n = cols;
    switch (lanes / VW) {
    case 4:
        PANEL_ROWS(tile_f32, 4, 6)
        break;
    case 3:
        PANEL_ROWS(tile_f32, 3, 8)
        break;
    case 2:
        PANEL_ROWS(tile_f32, 2, 12)
        break;
    default:
        PANEL_ROWS(tile_f32, 1, 16)
        break;
    }
}

INLINE __m512 widen(__m256i v)
{
    return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16);
}

/* Dot products walk the columns with one sum per row and token, so that its order does not depend on how many
 * of either there are. A tile does R rows and T tokens from column k to `end`, its sums resumed from and left
 * in sums[R][T], so that a call can stop after some columns and do the next rows while these tokens are still
 * in L1. From three tokens on that breaks the rows into pieces too short for the CPU's own prefetcher, so the
 * next tile's are fetched ahead (8 tokens, both cores of a Zen 5 machine: 33 -> 50 GB/s; two tokens lose by
 * it). */
#define DOT_TILE(name, weight_type, token_type, STEP, columns)                                               \
    INLINE void name(__m512 *sums, const weight_type *w, size_t ldw, const token_type *x, int k, int end,    \
                     const int R, const int T)                                                               \
    {                                                                                                        \
        __m512 sum[MOST_SUMS];                                                                               \
        _Pragma("GCC unroll 24") for (int i = 0; i < R * T; i++) sum[i] = k ? sums[i] : _mm512_setzero_ps(); \
        for (; k + STEP <= end; k += STEP) {                                                                 \
            _Pragma("GCC unroll 4") for (int r = 0; T > 2 && r < R; r++)                                     \
                _mm_prefetch((const char *)(w + (size_t)(R + r) * ldw + k), _MM_HINT_T1);                    \
            columns(sum, w, ldw, x, k, STEP, R, T);                                                          \
        }                                                                                                    \
        if (k < end)                                                                                         \
            columns(sum, w, ldw, x, k, end - k, R, T);                                                       \
        _Pragma("GCC unroll 24") for (int i = 0; i < R * T; i++) sums[i] = sum[i];                           \
    }

/* Where 16 f32 of token t from column k on lie, k a multiple of 16. */
INLINE int token_at(int k, int t, const int T)
{
    return (k / DOT_STEP * T + t) * DOT_STEP + k % DOT_STEP;
}

INLINE void columns_bf16(__m512 *sum, const bf16 *w, size_t ldw, const bf16 *x, int k, int n, const int R,
                         const int T)
{
    __m512bh rows[4];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        const bf16 *row = w + (size_t)r * ldw + k;
        rows[r] = (__m512bh)(n == 32 ? _mm512_loadu_si512(row)
                                     : _mm512_maskz_loadu_epi16((__mmask32)((1u << n) - 1), row));
    }
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) {
        __m512bh token = (__m512bh)_mm512_loadu_si512(x + (k * T + t * DOT_STEP));
#pragma GCC unroll 4
        for (int r = 0; r < R; r++)
            sum[r * T + t] = _mm512_dpbf16_ps(sum[r * T + t], rows[r], token);
    }
}

INLINE void columns_bf16_f32(__m512 *sum, const bf16 *w, size_t ldw, const float *x, int k, int n,
                             const int R, const int T)
{
    __m512 rows[4];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        const bf16 *row = w + (size_t)r * ldw + k;
        rows[r] = widen(n == 16 ? _mm256_loadu_si256((const __m256i_u *)row)
                                : _mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), row));
    }
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) {
        __m512 token = _mm512_loadu_ps(x + token_at(k, t, T));
#pragma GCC unroll 4
        for (int r = 0; r < R; r++)
            sum[r * T + t] = _mm512_fmadd_ps(rows[r], token, sum[r * T + t]);
    }
}

INLINE void columns_f32(__m512 *sum, const float *w, size_t ldw, const float *x, int k, int n, const int R,
                        const int T)
{
    __m512 rows[4];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        const float *row = w + (size_t)r * ldw + k;
        rows[r] = n == 16 ? _mm512_loadu_ps(row) : _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), row);
    }
#pragma GCC unroll 8
    for (int t = 0; t < T; t++) {
        __m512 token = _mm512_loadu_ps(x + token_at(k, t, T));
#pragma GCC unroll 4
        for (int r = 0; r < R; r++)
            sum[r * T + t] = _mm512_fmadd_ps(rows[r], token, sum[r * T + t]);
    }
}

DOT_TILE(dot_bf16_tile, bf16, bf16, 32, columns_bf16)
DOT_TILE(dot_bf16_f32_tile, bf16, float, 16, columns_bf16_f32)
DOT_TILE(dot_f32_tile, float, float, 16, columns_f32)

enum {
    DOT_ROWS = 24,           /* rows whose sums are kept between pieces of columns; a multiple of 3 and 4 */
    DOT_L1_BYTES = 16 << 10, /* of the tokens' columns in one piece: a third of L1 */
};

/* rows <= DOT_ROWS rows of T tokens, MOST rows a tile, piece by piece of columns. */
#define DOT_BLOCK(tile, T, MOST)                                                                             \
    case T:                                                                                                  \
        for (int k = 0; k < cols; k += piece) {                                                              \
            int end = cols - k < piece ? cols : k + piece, r = 0;                                            \
            for (; rows - r >= (MOST); r += (MOST))                                                          \
                tile(sums + r * (T), w + (size_t)r * ldw, ldw, x, k, end, MOST, T);                          \
            for (; r < rows; r++)                                                                            \
                tile(sums + r * (T), w + (size_t)r * ldw, ldw, x, k, end, 1, T);                             \
        }                                                                                                    \
        break;

#define DOT_KERNEL(name, tile, weight_type, token_type)                                                      \
    static void name##_block(__m512 *sums, const weight_type *w, size_t ldw, const token_type *x, int rows,  \
                             int cols, int tokens)                                                           \
    {                                                                                                        \
        int piece = DOT_L1_BYTES / (int)sizeof *x / tokens / DOT_STEP * DOT_STEP;                            \
        switch (tokens) {                                                                                    \
            DOT_BLOCK(tile, 1, 4)                                                                            \
            DOT_BLOCK(tile, 2, 4)                                                                            \
            DOT_BLOCK(tile, 3, 4)                                                                            \
            DOT_BLOCK(tile, 4, 4)                                                                            \
            DOT_BLOCK(tile, 5, 4)                                                                            \
            DOT_BLOCK(tile, 6, 3)                                                                            \
            DOT_BLOCK(tile, 7, 3)                                                                            \
            DOT_BLOCK(tile, 8, 3)                                                                            \
        }                                                                                                    \
    }                                                                                                        \
    static void name(float *y, size_t ldy, const weight_type *w, size_t ldw, const token_type *x, int rows,  \
                     int cols, int tokens)                                                                   \
    {                                                                                                        \
        __m512 sums[DOT_ROWS * DOT_TOKENS];                                                                  \
        for (int row = 0; row < rows; row += DOT_ROWS) {                                                     \
            int n = rows - row < DOT_ROWS ? rows - row : DOT_ROWS;                                           \
            name##_block(sums, w + (size_t)row * ldw, ldw, x, n, cols, tokens);                              \
            for (int r = 0; r < n; r++)                                                                      \
                for (int t = 0; t < tokens; t++)                                                             \
                    y[(size_t)t * ldy + (size_t)(row + r)] = _mm512_reduce_add_ps(sums[r * tokens + t]);     \
        }                                                                                                    \
    }

DOT_KERNEL(dot_bf16, dot_bf16_tile, bf16, bf16)
DOT_KERNEL(dot_bf16_f32, dot_bf16_f32_tile, bf16, float)
DOT_KERNEL(dot_f32, dot_f32_tile, float, float)

/* --- weights in blocks ------------------------------------------------------------------------------------
 */

/* The d of a block's 16 rows. */
INLINE __m512 block_scales(const uint8_t *scales, int block)
{
    return _mm512_cvtph_ps(
        _mm256_loadu_si256((const __m256i_u *)(scales + block % TILE_BLOCKS * TILE_ROWS * 2)));
}

enum {
    PIECE_BLOCKS = 8,   /* of x at a time: 20 KiB, so that they stay in L1 for all rows */
    PANEL_ROWS_I8 = 48, /* most rows whose scales are widened together */
};

/* R rows by V vectors of lanes: R * V sums of whole numbers and as many totals stay in registers through the
 * blocks of a piece. d[block][PANEL_ROWS_I8] are the rows' scales. Rows may lie in different strips. */
INLINE void tile_q8(float *c, const uint8_t *const *rows, const float *d, const struct i8_panel *x, int lane,
                    int blocks, const int R, const int V)
{
    __m512 total[MOST_SUMS / 2];
#pragma GCC unroll 12
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            total[r * V + v] = _mm512_loadu_ps(c + r * LANES + lane + v * VW);
    for (int b = 0; b < blocks; b++, x++, d += PANEL_ROWS_I8) {
        size_t at = (size_t)(b / TILE_BLOCKS) * Q8_TILE_BYTES + (size_t)(b % TILE_BLOCKS) * Q8_BLOCK_BYTES;
        __m512i sum[MOST_SUMS / 2];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            __m512i start = _mm512_loadu_si512(x->start + lane + v * VW);
#pragma GCC unroll 12
            for (int r = 0; r < R; r++)
                sum[r * V + v] = start;
        }
#pragma GCC unroll 8
        for (int k = 0; k < BLOCK_COLS / 4; k++) {
            __m512i lanes[VPL];
#pragma GCC unroll 4
            for (int v = 0; v < V; v++)
                lanes[v] = _mm512_loadu_si512(x->q[k][lane + v * VW]);
#pragma GCC unroll 12
            for (int r = 0; r < R; r++) {
                int32_t quad;
                memcpy(&quad, rows[r] + at + k * TILE_ROWS * 4, sizeof quad);
                __m512i weight = _mm512_set1_epi32(quad);
#pragma GCC unroll 4
                for (int v = 0; v < V; v++)
                    sum[r * V + v] = _mm512_dpbusd_epi32(sum[r * V + v], weight, lanes[v]);
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            __m512 lane_d = _mm512_loadu_ps(x->d + lane + v * VW);
#pragma GCC unroll 12
            for (int r = 0; r < R; r++) {
                __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[r * V + v]), lane_d);
                total[r * V + v] = _mm512_fmadd_ps(product, _mm512_set1_ps(d[r]), total[r * V + v]);
            }
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            _mm512_storeu_ps(c + r * LANES + lane + v * VW, total[r * V + v]);
}

/* Asks for what these rows' part of the next piece is of its strips: a short prompt would else wait for
 * memory, and a burst of such requests for each other. (32 tokens, both cores of Zen 5: 560 Gop/s without,
 * 610 in a burst, 780 spread out; 128 tokens: 1,080, 1,150, 1,310.) */
INLINE void ask_ahead(const uint8_t *const *row, int r, int count, int rows)
{
    const size_t bytes = PIECE_BLOCKS / TILE_BLOCKS * Q8_TILE_BYTES;
    size_t begin = bytes * (size_t)r / (size_t)rows / 64 * 64,
           end = bytes * (size_t)(r + count) / (size_t)rows;
    for (int strip = 0; strip < rows; strip += TILE_ROWS)
        for (size_t at = begin; at < end; at += 64)
            _mm_prefetch((const char *)(row[strip] + bytes + at), _MM_HINT_T1);
}

#define PANEL_ROWS_OF(V, MOST)                                                                               \
    for (; rows - r >= (MOST); r += (MOST)) {                                                                \
        if (lane == 0)                                                                                       \
            ask_ahead(row, r, MOST, rows);                                                                   \
        tile_q8(c + r * LANES, row + r, d + r, x, lane, blocks, MOST, V);                                    \
    }                                                                                                        \
    for (; r < rows; r++)                                                                                    \
        tile_q8(c + r * LANES, row + r, d + r, x, lane, blocks, 1, V);

/* At most PANEL_ROWS_I8 rows, at most PIECE_BLOCKS blocks. Two vectors of lanes by 6 rows are 24 % faster
 * than four by 3, whose sums, totals and inputs leave no register free. */
static void piece_q8(float *c, const uint8_t *tiles, size_t strip_bytes, const struct i8_panel *x, int rows,
                     int blocks, int lanes)
{
    const uint8_t *row[PANEL_ROWS_I8];
    float d[PIECE_BLOCKS * PANEL_ROWS_I8];
    for (int r = 0; r < rows; r++)
        row[r] = tiles + (size_t)(r / TILE_ROWS) * strip_bytes + r % TILE_ROWS * 4;
    for (int b = 0; b < blocks; b++)
        for (int r = 0; r < rows; r += TILE_ROWS)
            _mm512_storeu_ps(d + b * PANEL_ROWS_I8 + r,
                             block_scales(tiles + (size_t)(r / TILE_ROWS) * strip_bytes +
                                              (size_t)(b / TILE_BLOCKS) * Q8_TILE_BYTES +
                                              TILE_BLOCKS * Q8_BLOCK_BYTES,
                                          b));
    for (int lane = 0; lane < lanes; lane += 2 * VW) {
        int r = 0;
        if (lanes - lane >= 2 * VW) {
            PANEL_ROWS_OF(2, 6)
        } else {
            PANEL_ROWS_OF(1, 12)
        }
    }
}

static void panel_q8(float *c, const uint8_t *tiles, size_t strip_bytes, const struct i8_panel *x, int rows,
                     int blocks, int lanes, bool add)
{
    if (!add)
        memset(c, 0, (size_t)rows * LANES * sizeof *c);
    for (int r = 0; r < rows; r += PANEL_ROWS_I8) {
        int n = rows - r < PANEL_ROWS_I8 ? rows - r : PANEL_ROWS_I8;
        const uint8_t *strips = tiles + (size_t)(r / TILE_ROWS) * strip_bytes;
        for (int b = 0; b < blocks; b += PIECE_BLOCKS)
            piece_q8(c + r * LANES, strips + (size_t)(b / TILE_BLOCKS) * Q8_TILE_BYTES, strip_bytes, x + b, n,
                     blocks - b < PIECE_BLOCKS ? blocks - b : PIECE_BLOCKS, lanes);
    }
}

INLINE __m512i four_of(const struct i8_row *x, int k)
{
    int32_t quad;
    memcpy(&quad, x->q + k, sizeof quad);
    return _mm512_set1_epi32(quad);
}

/* How far ahead of what is multiplied weights are asked for. The CPU's own prefetcher keeps less than one
 * core's share of the memory's speed in flight: two cores of Zen 5 read 8 tokens' q8_0 at 0.64 of the speed
 * of plain reading without this, at 1.0 with it (4 KiB: 0.88, 16 KiB: 1.0), one token's q4_0 at 0.90
 * and 1.08. */
enum { AHEAD_BYTES = 9 << 10 };

INLINE __m512i next_weights(const uint8_t *q)
{
    _mm_prefetch((const char *)(q + AHEAD_BYTES), _MM_HINT_T0);
    return _mm512_loadu_si512(q);
}

/* A block's sums of 16 rows for T tokens: the lanes of a vector are the rows. */
INLINE void sums_q8(__m512i *sum, const uint8_t *q, const struct i8_row *x, const int T)
{
#pragma GCC unroll 8
    for (int t = 0; t < T; t++)
        sum[t] = _mm512_set1_epi32(x[t].start);
#pragma GCC unroll 8
    for (int k = 0; k < BLOCK_COLS; k += 4) {
        __m512i w = next_weights(q + k * TILE_ROWS);
#pragma GCC unroll 8
        for (int t = 0; t < T; t++)
            sum[t] = _mm512_dpbusd_epi32(sum[t], w, four_of(&x[t], k));
    }
}

INLINE void sums_q4(__m512i *sum, const uint8_t *q, const struct i8_row *x, const int T)
{
    const __m512i low = _mm512_set1_epi8(15);
#pragma GCC unroll 8
    for (int t = 0; t < T; t++)
        sum[t] = _mm512_set1_epi32(x[t].start / (Q8_OFFSET / Q4_OFFSET));
#pragma GCC unroll 4
    for (int k = 0; k < BLOCK_COLS / 2; k += 4) {
        __m512i both = next_weights(q + k * TILE_ROWS);
        __m512i first = _mm512_and_si512(both, low),
                second = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
#pragma GCC unroll 8
        for (int t = 0; t < T; t++) {
            sum[t] = _mm512_dpbusd_epi32(sum[t], first, four_of(&x[t], k));
            sum[t] = _mm512_dpbusd_epi32(sum[t], second, four_of(&x[t], k + BLOCK_COLS / 2));
        }
    }
}

#define DOT_STRIP(name, sums, BYTES)                                                                         \
    INLINE void name(float *y, size_t ldy, const uint8_t *strip, const struct i8_row *x, int rows,           \
                     int blocks, const int T)                                                                \
    {                                                                                                        \
        __m512 total[DOT_TOKENS];                                                                            \
        _Pragma("GCC unroll 8") for (int t = 0; t < T; t++) total[t] = _mm512_setzero_ps();                  \
        for (int b = 0; b < blocks; b++, x += T) {                                                           \
            const uint8_t *tile =                                                                            \
                strip + (size_t)(b / TILE_BLOCKS) * (TILE_BLOCKS * BYTES + TILE_SCALE_BYTES);                \
            __m512i sum[DOT_TOKENS];                                                                         \
            sums(sum, tile + b % TILE_BLOCKS * BYTES, x, T);                                                 \
            __m512 d = block_scales(tile + TILE_BLOCKS * BYTES, b);                                          \
            _Pragma("GCC unroll 8") for (int t = 0; t < T; t++)                                              \
            {                                                                                                \
                __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[t]), _mm512_set1_ps(x[t].d));          \
                total[t] = _mm512_fmadd_ps(product, d, total[t]);                                            \
            }                                                                                                \
        }                                                                                                    \
        __mmask16 there = (__mmask16)((1u << rows) - 1);                                                     \
        _Pragma("GCC unroll 8") for (int t = 0; t < T; t++)                                                  \
            _mm512_mask_storeu_ps(y + (size_t)t * ldy, there, total[t]);                                     \
    }

DOT_STRIP(strip_q8, sums_q8, Q8_BLOCK_BYTES)
DOT_STRIP(strip_q4, sums_q4, Q4_BLOCK_BYTES)

#define DOT_CASE(strip, T)                                                                                   \
    case T:                                                                                                  \
        strip(y + r, ldy, strips, x, n, cols / BLOCK_COLS, T);                                               \
        break;

#define DOT_BLOCKS(name, strip, type)                                                                        \
    static void name(float *y, size_t ldy, const uint8_t *strips, const struct i8_row *x, int rows,          \
                     int cols, int tokens)                                                                   \
    {                                                                                                        \
        for (int r = 0; r < rows; r += TILE_ROWS, strips += blocks_strip_bytes(type, cols)) {                \
            int n = rows - r < TILE_ROWS ? rows - r : TILE_ROWS;                                             \
            switch (tokens) {                                                                                \
                DOT_CASE(strip, 1)                                                                           \
                DOT_CASE(strip, 2)                                                                           \
                DOT_CASE(strip, 3)                                                                           \
                DOT_CASE(strip, 4)                                                                           \
                DOT_CASE(strip, 5)                                                                           \
                DOT_CASE(strip, 6)                                                                           \
                DOT_CASE(strip, 7)                                                                           \
                DOT_CASE(strip, 8)                                                                           \
            }                                                                                                \
        }                                                                                                    \
    }

DOT_BLOCKS(dot_q8, strip_q8, DTYPE_Q8_0)
DOT_BLOCKS(dot_q4, strip_q4, DTYPE_Q4_0)

static void q4_to_q8(uint8_t *to, const uint8_t *tiles, int count)
{
    const __m512i low = _mm512_set1_epi8(15), shift = _mm512_set1_epi8(Q8_OFFSET - Q4_OFFSET);
    for (; count > 0; count--, to += Q8_TILE_BYTES, tiles += Q4_TILE_BYTES) {
        for (int i = 0; i < TILE_BLOCKS * Q4_BLOCK_BYTES; i += 64) {
            int at = i / Q4_BLOCK_BYTES * Q8_BLOCK_BYTES + i % Q4_BLOCK_BYTES;
            __m512i both = _mm512_loadu_si512(tiles + i);
            __m512i first = _mm512_and_si512(both, low),
                    second = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
            _mm512_storeu_si512(to + at, _mm512_add_epi8(first, shift));
            _mm512_storeu_si512(to + at + Q8_BLOCK_BYTES / 2, _mm512_add_epi8(second, shift));
        }
        memcpy(to + TILE_BLOCKS * Q8_BLOCK_BYTES, tiles + TILE_BLOCKS * Q4_BLOCK_BYTES, TILE_SCALE_BYTES);
    }
}

static void f16_to_f32(float *y, const uint16_t *x, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(y + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i_u *)(x + i))));
    if (i < n) {
        __mmask16 rest = (__mmask16)((1u << (n - i)) - 1);
        _mm512_mask_storeu_ps(y + i, rest, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(rest, x + i)));
    }
}

const struct kernels kernels_avx512 = {
    .name = "avx512",
    .multiplies_bf16 = true,
    .panel_f32 = panel_f32,
    .panel_bf16 = panel_bf16,
    .dot_f32 = dot_f32,
    .dot_bf16_f32 = dot_bf16_f32,
    .dot_bf16 = dot_bf16,
    .panel_q8 = panel_q8,
    .dot_q8 = dot_q8,
    .dot_q4 = dot_q4,
    .q4_to_q8 = q4_to_q8,
    .f16_to_f32 = f16_to_f32,
    VECTOR_KERNELS,
};
