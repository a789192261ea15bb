/* ref.c: every kernel as its formula. Slow, and the meaning of all the others. */
#include "engine/kernel/kernels.h"

#include "model/half.h"

#include <math.h>
#include <string.h>

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
                sum += bf16_value(a[(size_t)r * lda + (size_t)k]) *
                       bf16_value(x[(k / 2 * LANES + l) * 2 + k % 2]);
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
                sum += bf16_value(w[(size_t)r * ldw + (size_t)k]) * x[token_at(k, t, tokens)];
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
                sum += bf16_value(w[(size_t)r * ldw + (size_t)k]) * bf16_value(x[token_at(k, t, tokens)]);
            y[(size_t)t * ldy + (size_t)r] = sum;
        }
    }
}

/* --- weights in blocks --- */

static float scale_at(const uint8_t *scales, int block, int row)
{
    uint16_t half;
    memcpy(&half, scales + (size_t)(block % TILE_BLOCKS * TILE_ROWS + row) * sizeof half, sizeof half);
    return f16_value(half);
}

/* The stored byte of column k of a block's row. */
static int byte_at(const uint8_t *block, int row, int k)
{
    return block[(k / 4 * TILE_ROWS + row) * 4 + k % 4];
}

static int q4_at(const uint8_t *block, int row, int k)
{
    int half = BLOCK_COLS / 2, both = byte_at(block, row, k % half);
    return k < half ? both & 15 : both >> 4;
}

/* One row by one lane, added up from `total` on. */
static float panel_blocks(float total, const uint8_t *strip, int row, const struct i8_panel *x, int lane,
                          int blocks)
{
    for (int b = 0; b < blocks; b++, x++) {
        const uint8_t *tile = strip + (size_t)(b / TILE_BLOCKS) * Q8_TILE_BYTES;
        int32_t sum = x->start[lane];
        for (int k = 0; k < BLOCK_COLS; k++)
            sum += byte_at(tile + b % TILE_BLOCKS * Q8_BLOCK_BYTES, row, k) * x->q[k / 4][lane][k % 4];
        total += (float)sum * x->d[lane] * scale_at(tile + TILE_BLOCKS * Q8_BLOCK_BYTES, b, row);
    }
    return total;
}

static void panel_q8(float *c, const uint8_t *tiles, size_t strip_bytes, const struct i8_panel *x, int rows,
                     int blocks, int lanes, bool add)
{
    for (int r = 0; r < rows; r++)
        for (int l = 0; l < lanes; l++) {
            float *out = &c[r * LANES + l];
            *out = panel_blocks(add ? *out : 0, tiles + (size_t)(r / TILE_ROWS) * strip_bytes, r % TILE_ROWS,
                                x, l, blocks);
        }
}

static float dot_blocks(enum dtype type, const uint8_t *strip, int row, const struct i8_row *x, int step,
                        int blocks)
{
    bool eight = type == DTYPE_Q8_0;
    size_t block_bytes = eight ? Q8_BLOCK_BYTES : Q4_BLOCK_BYTES;
    float total = 0;
    for (int b = 0; b < blocks; b++) {
        const uint8_t *tile = strip + (size_t)(b / TILE_BLOCKS) * blocks_tile_bytes(type);
        const uint8_t *block = tile + (size_t)(b % TILE_BLOCKS) * block_bytes;
        const struct i8_row *a = &x[b * step];
        int32_t sum = 0;
        for (int k = 0; k < BLOCK_COLS; k++)
            sum += (eight ? byte_at(block, row, k) - Q8_OFFSET : q4_at(block, row, k) - Q4_OFFSET) * a->q[k];
        total += (float)sum * a->d * scale_at(tile + TILE_BLOCKS * block_bytes, b, row);
    }
    return total;
}

static void dot_rows(enum dtype type, float *y, size_t ldy, const uint8_t *strips, const struct i8_row *x,
                     int rows, int cols, int tokens)
{
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < rows; r++)
            y[(size_t)t * ldy + (size_t)r] =
                dot_blocks(type, strips + (size_t)(r / TILE_ROWS) * blocks_strip_bytes(type, cols),
                           r % TILE_ROWS, x + t, tokens, cols / BLOCK_COLS);
}

static void dot_q8(float *y, size_t ldy, const uint8_t *strips, const struct i8_row *x, int rows, int cols,
                   int tokens)
{
    dot_rows(DTYPE_Q8_0, y, ldy, strips, x, rows, cols, tokens);
}

static void dot_q4(float *y, size_t ldy, const uint8_t *strips, const struct i8_row *x, int rows, int cols,
                   int tokens)
{
    dot_rows(DTYPE_Q4_0, y, ldy, strips, x, rows, cols, tokens);
}

static void q4_to_q8(uint8_t *to, const uint8_t *tiles, int count)
{
    for (; count > 0; count--, to += Q8_TILE_BYTES, tiles += Q4_TILE_BYTES) {
        for (int b = 0; b < TILE_BLOCKS; b++)
            for (int r = 0; r < TILE_ROWS; r++)
                for (int k = 0; k < BLOCK_COLS; k++)
                    to[b * Q8_BLOCK_BYTES + (k / 4 * TILE_ROWS + r) * 4 + k % 4] =
                        (uint8_t)(q4_at(tiles + b * Q4_BLOCK_BYTES, r, k) - Q4_OFFSET + Q8_OFFSET);
        memcpy(to + TILE_BLOCKS * Q8_BLOCK_BYTES, tiles + TILE_BLOCKS * Q4_BLOCK_BYTES, TILE_SCALE_BYTES);
    }
}

/* x[i * step], BLOCK_COLS of them, to q[i]; returns d. */
static float round_block(const float *x, int step, int8_t q[BLOCK_COLS])
{
    float most = 0, spoiled = 0;
    for (int i = 0; i < BLOCK_COLS; i++) {
        most = fmaxf(most, fabsf(x[i * step]));
        spoiled += x[i * step] * 0; /* NaN for an infinity or a NaN */
    }
    float inverse = most > I8_LEAST && spoiled == 0 ? 127 / most : 0;
    for (int i = 0; i < BLOCK_COLS; i++)
        q[i] = inverse > 0 ? (int8_t)rintf(x[i * step] * inverse) : 0;
    return most / 127 + spoiled;
}

static int32_t start_of(const int8_t q[BLOCK_COLS])
{
    int32_t sum = 0;
    for (int i = 0; i < BLOCK_COLS; i++)
        sum += q[i];
    return -Q8_OFFSET * sum;
}

static void pack_i8(struct i8_panel *y, const float *x, int n)
{
    for (int b = 0; b < n / BLOCK_COLS; b++) {
        for (int l = 0; l < LANES; l++) {
            int8_t q[BLOCK_COLS];
            y[b].d[l] = round_block(x + b * BLOCK_COLS * LANES + l, LANES, q);
            y[b].start[l] = start_of(q);
            for (int k = 0; k < BLOCK_COLS; k++)
                y[b].q[k / 4][l][k % 4] = q[k];
        }
    }
}

static void pack_i8_row(struct i8_row *y, int step, const float *x, int n)
{
    for (int b = 0; b < n / BLOCK_COLS; b++) {
        struct i8_row *to = &y[b * step];
        to->d = round_block(x + b * BLOCK_COLS, 1, to->q);
        to->start = start_of(to->q);
    }
}

static void bf16_to_f32(float *y, const bf16 *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = bf16_value(x[i]);
}

static void f16_to_f32(float *y, const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = f16_value(x[i]);
}

static void f32_to_bf16(bf16 *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = bf16_nearest(x[i]);
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
            y[(i / 2 * LANES + l) * 2 + i % 2] = i < n ? bf16_nearest(x[i * LANES + l]) : 0;
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
    .panel_q8 = panel_q8,
    .dot_q8 = dot_q8,
    .dot_q4 = dot_q4,
    .q4_to_q8 = q4_to_q8,
    .pack_i8 = pack_i8,
    .pack_i8_row = pack_i8_row,
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
