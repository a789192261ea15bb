#include "model/blocks.h"

#include "model/half.h"

#include <float.h>
#include <math.h>

bool dtype_is_blocks(enum dtype t)
{
    return t == DTYPE_Q8_0 || t == DTYPE_Q4_0;
}

bool blocks_fit(int cols)
{
    return cols > 0 && cols % BLOCK_COLS == 0;
}

int blocks_strips(int rows)
{
    return (rows + TILE_ROWS - 1) / TILE_ROWS;
}

int blocks_tiles(int cols)
{
    return (cols + TILE_COLS - 1) / TILE_COLS;
}

size_t blocks_tile_bytes(enum dtype t)
{
    return t == DTYPE_Q8_0 ? Q8_TILE_BYTES : Q4_TILE_BYTES;
}

size_t blocks_strip_bytes(enum dtype t, int cols)
{
    return (size_t)blocks_tiles(cols) * blocks_tile_bytes(t);
}

float blocks_most(enum dtype t)
{
    const float f16 = 65504;
    return f16 * (t == DTYPE_Q8_0 ? 127 : 8);
}

static size_t block_bytes(enum dtype t)
{
    return t == DTYPE_Q8_0 ? Q8_BLOCK_BYTES : Q4_BLOCK_BYTES;
}

/* --- encoding --------------------------------------------------------------------------------------------
 */

/* Half away from zero, as C's roundf; without a call, so that loops of it become vectors. */
static int32_t nearest(float v)
{
    int32_t whole = (int32_t)v;
    float rest = v - (float)whole; /* exact */
    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

/* Of a d so small that it is 0 as an f16 and that 1 / d would be infinite: 0, as of 0. */
static float inverse_of(float d)
{
    float inverse = 1 / d;
    return fabsf(inverse) <= FLT_MAX ? inverse : 0;
}

/* d = most |w| / 127, q = nearest(w / d); the quotient is a product with f32 1 / d, as ggml computes it. */
static float encode_q8(const float *w, int32_t q[BLOCK_COLS])
{
    float most = 0;
    for (int i = 0; i < BLOCK_COLS; i++)
        most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
    float d = most / 127, inverse = inverse_of(d);
    for (int i = 0; i < BLOCK_COLS; i++)
        q[i] = nearest(w[i] * inverse) + Q8_OFFSET;
    return d;
}

/* d = (the w of largest |w|, the first of equals) / -8, so that it becomes -8 exactly, the one end of the
 * range that the other lacks; q = w / d rounded to the nearest of -8..7, plus 8. */
static float encode_q4(const float *w, int32_t q[BLOCK_COLS])
{
    float extreme = 0;
    for (int i = 0; i < BLOCK_COLS; i++)
        extreme = fabsf(w[i]) > fabsf(extreme) ? w[i] : extreme;
    float d = extreme / -8, inverse = inverse_of(d);
    for (int i = 0; i < BLOCK_COLS; i++) {
        int32_t v = (int32_t)(w[i] * inverse + 8.5f);
        q[i] = v < 15 ? v : 15;
    }
    return d;
}

static void put_q8(uint8_t *block, int row, const int32_t q[BLOCK_COLS])
{
    for (int k = 0; k < BLOCK_COLS; k++)
        block[(k / 4 * TILE_ROWS + row) * 4 + k % 4] = (uint8_t)q[k];
}

static void put_q4(uint8_t *block, int row, const int32_t q[BLOCK_COLS])
{
    enum { HALF = BLOCK_COLS / 2 };
    for (int k = 0; k < HALF; k++)
        block[(k / 4 * TILE_ROWS + row) * 4 + k % 4] = (uint8_t)(q[k] | q[k + HALF] << 4);
}

static void put_scale(enum dtype t, uint8_t *tile, int block, int row, float d)
{
    uint16_t half = f16_nearest(d);
    memcpy(tile + TILE_BLOCKS * block_bytes(t) + (size_t)(block * TILE_ROWS + row) * 2, &half, sizeof half);
}

void blocks_encode(enum dtype t, const float *x, int rows, int cols, void *strip)
{
    memset(strip, 0, blocks_strip_bytes(t, cols));
    for (int b = 0; b < cols / BLOCK_COLS; b++) {
        uint8_t *tile = (uint8_t *)strip + (size_t)(b / TILE_BLOCKS) * blocks_tile_bytes(t);
        uint8_t *block = tile + (size_t)(b % TILE_BLOCKS) * block_bytes(t);
        for (int r = 0; r < rows; r++) {
            int32_t q[BLOCK_COLS];
            const float *w = x + (size_t)r * (size_t)cols + (size_t)b * BLOCK_COLS;
            float d = t == DTYPE_Q8_0 ? encode_q8(w, q) : encode_q4(w, q);
            if (t == DTYPE_Q8_0)
                put_q8(block, r, q);
            else
                put_q4(block, r, q);
            put_scale(t, tile, b % TILE_BLOCKS, r, d);
        }
    }
}

/* --- decoding --------------------------------------------------------------------------------------------
 */

/* Where one block of one row lies. */
struct place {
    const uint8_t *q;     /* of its row: 4 bytes, the next 4 columns 64 bytes further on */
    const uint8_t *scale; /* an f16 */
};

static struct place find(enum dtype t, const void *matrix, int cols, int row, int block)
{
    const uint8_t *tile = (const uint8_t *)matrix + (size_t)(row / TILE_ROWS) * blocks_strip_bytes(t, cols) +
                          (size_t)(block / TILE_BLOCKS) * blocks_tile_bytes(t);
    size_t r = (size_t)(row % TILE_ROWS), b = (size_t)(block % TILE_BLOCKS);
    return (struct place){tile + b * block_bytes(t) + r * 4,
                          tile + TILE_BLOCKS * block_bytes(t) + (b * TILE_ROWS + r) * 2};
}

static uint16_t scale_of(struct place p)
{
    uint16_t half;
    memcpy(&half, p.scale, sizeof half);
    return half;
}

static int quantum(enum dtype t, struct place p, int k)
{
    if (t == DTYPE_Q8_0)
        return p.q[k / 4 * TILE_ROWS * 4 + k % 4] - Q8_OFFSET;
    int low = k % (BLOCK_COLS / 2), both = p.q[low / 4 * TILE_ROWS * 4 + low % 4];
    return (k == low ? both & 15 : both >> 4) - Q4_OFFSET;
}

void blocks_decode(enum dtype t, const void *matrix, int cols, int row, int col, int n, float *out)
{
    while (n > 0) {
        int k = col % BLOCK_COLS, end = k + n < BLOCK_COLS ? k + n : BLOCK_COLS;
        struct place p = find(t, matrix, cols, row, col / BLOCK_COLS);
        float d = f16_value(scale_of(p));
        col += end - k;
        n -= end - k;
        for (; k < end; k++)
            *out++ = d * (float)quantum(t, p, k);
    }
}

size_t blocks_as_ggml(enum dtype t, const void *matrix, int cols, int row, int block, uint8_t *out)
{
    struct place p = find(t, matrix, cols, row, block);
    memcpy(out, p.scale, 2);
    out += 2;
    if (t == DTYPE_Q8_0) {
        for (int k = 0; k < BLOCK_COLS; k++)
            *out++ = (uint8_t)quantum(t, p, k);
        return GGML_Q8_BYTES;
    }
    for (int k = 0; k < BLOCK_COLS / 2; k++)
        *out++ = p.q[k / 4 * TILE_ROWS * 4 + k % 4];
    return GGML_Q4_BYTES;
}
