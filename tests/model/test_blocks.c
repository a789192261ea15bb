#include "model/blocks.h"
#include "model/half.h"

#include "block_values.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const enum dtype types[] = {DTYPE_Q8_0, DTYPE_Q4_0};
enum { TYPES = sizeof types / sizeof *types };

static size_t ggml_bytes(enum dtype t)
{
    return t == DTYPE_Q8_0 ? GGML_Q8_BYTES : GGML_Q4_BYTES;
}

static void *new_array(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    assert_non_null(p);
    return p;
}

/* A matrix in blocks, a strip at a time as the pack makes it. */
static uint8_t *encode(enum dtype t, const float *x, int rows, int cols)
{
    uint8_t *matrix = new_array(tensor_bytes(t, rows, cols), 1);
    for (int s = 0; s < blocks_strips(rows); s++) {
        int first = s * TILE_ROWS, count = rows - first < TILE_ROWS ? rows - first : TILE_ROWS;
        blocks_encode(t, x + (size_t)first * (size_t)cols, count, cols,
                      matrix + (size_t)s * blocks_strip_bytes(t, cols));
    }
    return matrix;
}

/* --- against ggml ----------------------------------------------------------------------------------------
 */

static uint8_t *read_golden(enum dtype t, size_t size)
{
    char path[80];
    snprintf(path, sizeof path, "data/blocks/%s.bin", dtype_name(t));
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s is missing", path);
    uint8_t *bytes = new_array(size + 1, 1);
    assert_int_equal(fread(bytes, 1, size + 1, f), size);
    fclose(f);
    return bytes;
}

static float *golden_values(void)
{
    float *x = new_array((size_t)VALUE_ROWS * VALUE_COLS, sizeof *x);
    for (int r = 0; r < VALUE_ROWS; r++)
        for (int c = 0; c < VALUE_COLS; c++)
            x[r * VALUE_COLS + c] = block_value(r, c);
    return x;
}

static void blocks_are_those_of_ggml_bit_for_bit(void **state)
{
    float *x = golden_values();
    (void)state;
    for (int i = 0; i < TYPES; i++) {
        enum dtype t = types[i];
        uint8_t *golden = read_golden(t, (size_t)VALUE_ROWS * VALUE_BLOCKS * ggml_bytes(t));
        uint8_t *matrix = encode(t, x, VALUE_ROWS, VALUE_COLS), *expected = golden;
        for (int r = 0; r < VALUE_ROWS; r++)
            for (int b = 0; b < VALUE_BLOCKS; b++, expected += ggml_bytes(t)) {
                uint8_t ours[GGML_Q8_BYTES];
                assert_int_equal(blocks_as_ggml(t, matrix, VALUE_COLS, r, b, ours), ggml_bytes(t));
                if (memcmp(ours, expected, ggml_bytes(t)) != 0)
                    fail_msg("%s: row %d, block %d differs, values of kind %d", dtype_name(t), r, b,
                             (int)value_kind(r, b));
            }
        free(matrix);
        free(golden);
    }
    free(x);
}

/* What a ggml block means, from its bytes alone. */
static float ggml_value(enum dtype t, const uint8_t *block, int k)
{
    uint16_t d;
    memcpy(&d, block, sizeof d);
    if (t == DTYPE_Q8_0)
        return f16_value(d) * (float)(int8_t)block[2 + k];
    int both = block[2 + k % 16];
    return f16_value(d) * (float)((k < 16 ? both & 15 : both >> 4) - 8);
}

static void decoding_gives_what_ggml_blocks_mean(void **state)
{
    float *x = golden_values();
    (void)state;
    for (int i = 0; i < TYPES; i++) {
        enum dtype t = types[i];
        uint8_t *golden = read_golden(t, (size_t)VALUE_ROWS * VALUE_BLOCKS * ggml_bytes(t));
        uint8_t *matrix = encode(t, x, VALUE_ROWS, VALUE_COLS);
        for (int r = 0; r < VALUE_ROWS; r++) {
            float row[VALUE_COLS];
            blocks_decode(t, matrix, VALUE_COLS, r, 0, VALUE_COLS, row);
            for (int c = 0; c < VALUE_COLS; c++) {
                size_t block = (size_t)(r * VALUE_BLOCKS + c / BLOCK_COLS);
                float expected = ggml_value(t, golden + block * ggml_bytes(t), c % BLOCK_COLS);
                assert_memory_equal(&row[c], &expected, sizeof expected);
            }
        }
        free(matrix);
        free(golden);
    }
    free(x);
}

/* --- there and back --------------------------------------------------------------------------------------
 */

/* Half a step, where the scale's own rounding to f16 (2^-11 of it, times the largest q) is added; the
 * positive end of q4_0 lacks one step: what would be 8 becomes 7. */
static float tolerance(enum dtype t, float most)
{
    float d = t == DTYPE_Q8_0 ? most / 127 : most / 8;
    float step = t == DTYPE_Q8_0 ? 0.5f : 1.0f, reach = t == DTYPE_Q8_0 ? 127 : 8;
    return d * (step + reach * 0x1p-11f) * 1.0001f;
}

static void check_round_trip(enum dtype t, int rows, int cols)
{
    float *x = new_array((size_t)rows * (size_t)cols, sizeof *x),
          *back = new_array((size_t)cols, sizeof *back);
    for (int i = 0; i < rows * cols; i++)
        x[i] = spread((uint32_t)i) * 0.25f;
    uint8_t *matrix = encode(t, x, rows, cols);
    for (int r = 0; r < rows; r++) {
        blocks_decode(t, matrix, cols, r, 0, cols, back);
        for (int c = 0; c < cols; c++) {
            const float *block = x + r * cols + c / BLOCK_COLS * BLOCK_COLS;
            float most = 0;
            for (int k = 0; k < BLOCK_COLS; k++)
                most = fmaxf(most, fabsf(block[k]));
            if (!(fabsf(back[c] - x[r * cols + c]) <= tolerance(t, most)))
                fail_msg("%s %d x %d: [%d][%d] %g became %g", dtype_name(t), rows, cols, r, c,
                         (double)x[r * cols + c], (double)back[c]);
        }
    }
    free(matrix);
    free(back);
    free(x);
}

static void values_come_back_within_half_a_step(void **state)
{
    static const int sizes[][2] = {{1, 32},  {1, 64},  {2, 96},   {15, 32},  {16, 64},
                                   {17, 96}, {31, 32}, {33, 160}, {64, 416}, {5, 4096}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int k = 0; k < TYPES; k++)
            check_round_trip(types[k], sizes[i][0], sizes[i][1]);
}

static void encoding_what_was_decoded_changes_nothing(void **state)
{
    enum { ROWS = 18, COLS = 96 };
    float x[ROWS * COLS], back[ROWS * COLS];
    (void)state;
    for (int i = 0; i < ROWS * COLS; i++)
        x[i] = spread((uint32_t)i + 77);
    for (int k = 0; k < TYPES; k++) {
        enum dtype t = types[k];
        uint8_t *once = encode(t, x, ROWS, COLS);
        for (int r = 0; r < ROWS; r++)
            blocks_decode(t, once, COLS, r, 0, COLS, back + r * COLS);
        uint8_t *twice = encode(t, back, ROWS, COLS);
        assert_memory_equal(once, twice, tensor_bytes(t, ROWS, COLS));
        free(once);
        free(twice);
    }
}

static void any_piece_of_a_row_decodes_as_in_the_whole_row(void **state)
{
    enum { ROWS = 17, COLS = 160 };
    float x[ROWS * COLS], whole[COLS], piece[COLS];
    (void)state;
    for (int i = 0; i < ROWS * COLS; i++)
        x[i] = spread((uint32_t)i);
    for (int k = 0; k < TYPES; k++) {
        uint8_t *matrix = encode(types[k], x, ROWS, COLS);
        blocks_decode(types[k], matrix, COLS, ROWS - 1, 0, COLS, whole);
        for (int from = 0; from < COLS; from += 7)
            for (int n = 0; from + n <= COLS; n++) {
                blocks_decode(types[k], matrix, COLS, ROWS - 1, from, n, piece);
                assert_memory_equal(piece, whole + from, (size_t)n * sizeof *piece);
            }
        free(matrix);
    }
}

static void what_lies_outside_the_matrix_is_zero(void **state)
{
    enum { ROWS = 3, COLS = 96 };
    float x[ROWS * COLS], row[BLOCK_COLS];
    (void)state;
    for (int i = 0; i < ROWS * COLS; i++)
        x[i] = 1;
    for (int k = 0; k < TYPES; k++) {
        enum dtype t = types[k];
        uint8_t *strip = new_array(blocks_strip_bytes(t, COLS), 1);
        memset(strip, 0xee, blocks_strip_bytes(t, COLS));
        blocks_encode(t, x, ROWS, COLS, strip);
        for (int r = 0; r < TILE_ROWS; r++)
            for (int b = 0; b < blocks_tiles(COLS) * TILE_BLOCKS; b++) {
                bool inside = r < ROWS && b < COLS / BLOCK_COLS;
                /* a tile's last block has a column number as if the matrix went on */
                blocks_decode(t, strip, COLS, r, b * BLOCK_COLS, BLOCK_COLS, row);
                for (int i = 0; i < BLOCK_COLS; i++)
                    assert_true(inside ? fabsf(row[i] - 1) < 0.13f : row[i] == 0);
            }
        free(strip);
    }
}

static void extreme_values_stay_what_they_can(void **state)
{
    static const struct {
        float value, q8, q4; /* all of a block; what comes back */
    } cases[] = {
        {0, 0, 0},
        {-0.0f, 0, 0},
        {FLT_TRUE_MIN, 0, 0},           /* 1 / d would be infinite */
        {-FLT_MIN, 0, 0},               /* as an f16 the scale is 0 */
        {127, 127, 127.0f},             /* 127 / 8 is an f16 */
        {-1016, -1016, -1016},          /* 8 and 127 are whole there */
        {65504 * 8, 524160, 65504 * 8}, /* the largest f16; q8_0: 4127.24 is 4128 as an f16 */
        {FLT_MAX, INFINITY, INFINITY},
        {-FLT_MAX, -INFINITY, -INFINITY},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int k = 0; k < TYPES; k++) {
            float x[BLOCK_COLS], back[BLOCK_COLS], expected = k == 0 ? cases[i].q8 : cases[i].q4;
            for (int c = 0; c < BLOCK_COLS; c++)
                x[c] = cases[i].value;
            uint8_t *matrix = encode(types[k], x, 1, BLOCK_COLS);
            blocks_decode(types[k], matrix, BLOCK_COLS, 0, 0, BLOCK_COLS, back);
            for (int c = 0; c < BLOCK_COLS; c++)
                if (!(isinf(expected) ? back[c] == expected
                                      : fabsf(back[c] - expected) <= 0x1p-9f * fabsf(expected)))
                    fail_msg("%s: %g became %g, expected %g", dtype_name(types[k]), (double)cases[i].value,
                             (double)back[c], (double)expected);
            free(matrix);
        }
}

static void only_whole_blocks_are_encoded(void **state)
{
    static const struct {
        int cols;
        bool fit;
    } cases[] = {{-32, false}, {0, false}, {1, false}, {31, false}, {33, false},
                 {200, false}, {32, true}, {96, true}, {4096, true}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(blocks_fit(cases[i].cols), cases[i].fit);
}

/* --- halves ----------------------------------------------------------------------------------------------
 */

enum { HALVES = 1 << 16, F16_INFINITE = 0x7c00, BF16_INFINITE = 0x7f80 };

/* The definition: (-1)^s * 2^(e - 15) * 1.m, below e = 1 as 2^-14 * 0.m. */
static double f16_by_definition(int h)
{
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double value = exponent == 31  ? (mantissa ? NAN : INFINITY)
                   : exponent == 0 ? ldexp(mantissa, -24)
                                   : ldexp(1024 + mantissa, exponent - 25);
    return h & 0x8000 ? -value : value;
}

static void every_f16_has_its_value(void **state)
{
    (void)state;
    for (int h = 0; h < HALVES; h++) {
        double expected = f16_by_definition(h);
        float value = f16_value((uint16_t)h);
        if (isnan(expected) ? !isnan(value)
                            : (double)value != expected || !!signbit(value) != !!signbit(expected))
            fail_msg("%04x is %g, expected %g", h, (double)value, expected);
    }
}

static void every_bf16_is_the_upper_half_of_its_value(void **state)
{
    (void)state;
    for (int h = 0; h < HALVES; h++) {
        float value = bf16_value((uint16_t)h);
        assert_int_equal(bits_of_f32(value), (uint32_t)h << 16);
    }
}

struct format {
    const char *name;
    float (*value)(uint16_t);
    uint16_t (*nearest)(float);
    int infinite; /* the bits of infinity; those above, without the sign, are no numbers */
};

static const struct format formats[] = {
    {"f16", f16_value, f16_nearest, F16_INFINITE},
    {"bf16", bf16_value, bf16_nearest, BF16_INFINITE},
};

static bool is_nan(const struct format *f, int h)
{
    return (h & 0x7fff) > f->infinite;
}

static void a_half_rounds_to_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        for (int h = 0; h < HALVES; h++) {
            const struct format *f = &formats[i];
            uint16_t back = f->nearest(f->value((uint16_t)h));
            if (is_nan(f, h) ? !is_nan(f, back) : back != h)
                fail_msg("%s %04x became %04x", f->name, h, back);
        }
}

static void check_rounding(const struct format *f, float value, int expected)
{
    uint16_t up = f->nearest(value), down = f->nearest(-value);
    if (up != expected || down != (expected | 0x8000))
        fail_msg("%s: %a became %04x and %04x, expected %04x", f->name, (double)value, up, down, expected);
}

/* Between each two neighbours: the middle goes to the even one, what is above or below it to the nearer. The
 * last one's neighbour is where infinity begins: one step above the largest number. */
static void values_between_halves_round_to_the_nearest_ties_to_even(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const struct format *f = &formats[i];
        for (int h = 0; h < f->infinite; h++) {
            double low = (double)f->value((uint16_t)h), below = (double)f->value((uint16_t)(h ? h - 1 : 0));
            double high = h + 1 < f->infinite ? (double)f->value((uint16_t)(h + 1)) : low + (low - below);
            float middle = (float)((low + high) / 2);
            check_rounding(f, middle, h % 2 ? h + 1 : h);
            check_rounding(f, nextafterf(middle, 0), h);
            check_rounding(f, nextafterf(middle, INFINITY), h + 1);
        }
    }
}

static void what_is_no_half_becomes_zero_or_infinite_or_stays_no_number(void **state)
{
    (void)state;
    check_rounding(&formats[0], FLT_TRUE_MIN, 0);
    check_rounding(&formats[0], 0x1p-25f, 0); /* half the least f16: a tie, and 0 is even */
    check_rounding(&formats[0], 65519.996f, 0x7bff);
    check_rounding(&formats[0], 65520, F16_INFINITE);
    check_rounding(&formats[0], FLT_MAX, F16_INFINITE);
    check_rounding(&formats[1], FLT_MAX, BF16_INFINITE);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        check_rounding(&formats[i], INFINITY, formats[i].infinite);
        assert_true(is_nan(&formats[i], formats[i].nearest(NAN)));
        assert_true(is_nan(&formats[i], formats[i].nearest(f32_of_bits(0x7f800001)))); /* only low bits set */
        assert_true(is_nan(&formats[i], formats[i].nearest(f32_of_bits(0xffffffff))));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_those_of_ggml_bit_for_bit),
        cmocka_unit_test(decoding_gives_what_ggml_blocks_mean),
        cmocka_unit_test(values_come_back_within_half_a_step),
        cmocka_unit_test(encoding_what_was_decoded_changes_nothing),
        cmocka_unit_test(any_piece_of_a_row_decodes_as_in_the_whole_row),
        cmocka_unit_test(what_lies_outside_the_matrix_is_zero),
        cmocka_unit_test(extreme_values_stay_what_they_can),
        cmocka_unit_test(only_whole_blocks_are_encoded),
        cmocka_unit_test(every_f16_has_its_value),
        cmocka_unit_test(every_bf16_is_the_upper_half_of_its_value),
        cmocka_unit_test(a_half_rounds_to_itself),
        cmocka_unit_test(values_between_halves_round_to_the_nearest_ties_to_even),
        cmocka_unit_test(what_is_no_half_becomes_zero_or_infinite_or_stays_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
