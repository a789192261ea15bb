/* Every kernel of every table this CPU runs, against its plain twin in ref.c: on sizes that fit no vector,
 * with inputs and outputs that end at a page that may not be touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/kernel/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST_GUARDED = 64 };

static struct {
    void *map;
    size_t size;
} guarded[MOST_GUARDED];
static int guarded_count;

/* n * size bytes, zeroed, that end where a page begins that traps. Freed by release(). */
static void *guard(size_t n, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = n * size, room = (bytes + page - 1) / page * page;
    assert_true(guarded_count < MOST_GUARDED);
    unsigned char *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mprotect(map + room, page, PROT_NONE), 0);
    guarded[guarded_count].map = map;
    guarded[guarded_count++].size = room + page;
    return map + room - bytes;
}

static void release(void)
{
    while (guarded_count) {
        guarded_count--;
        munmap(guarded[guarded_count].map, guarded[guarded_count].size);
    }
}

static uint32_t random_state = 12345;

static float uniform(void) /* -1..1 */
{
    random_state = random_state * 1664525u + 1013904223u;
    return (float)(int32_t)random_state / 2147483648.0f;
}

static float *floats(size_t n, float scale)
{
    float *x = guard(n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = uniform() * scale;
    return x;
}

static bf16 *halves(size_t n)
{
    bf16 *x = guard(n, sizeof *x);
    for (size_t i = 0; i < n; i++) {
        float f = uniform();
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        x[i] = (bf16)(bits >> 16);
    }
    return x;
}

static void assert_near(const char *what, const char *table, const float *got, const float *want, size_t n,
                        float most)
{
    for (size_t i = 0; i < n; i++) {
        if (!(fabsf(got[i] - want[i]) <= most * (1 + fabsf(want[i]))) && !(isnan(got[i]) && isnan(want[i])))
            fail_msg("%s of %s: value %zu is %.9g, ref has %.9g", what, table, i, (double)got[i],
                     (double)want[i]);
    }
}

static const char *const names[] = {"avx2", "avx512"};

/* Runs a check for each table that this CPU has. */
static void for_each_table(void (*check)(const struct kernels *k))
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct kernels *k = kernels_pick(names[i]);
        if (k)
            check(k);
        else
            print_message("this CPU does not run %s\n", names[i]);
    }
}

static const int sizes[] = {1, 2, 7, 16, 17, 31, 33, 64, 100, 259};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* --- products ----------------------------------------------------------------------------------------------
 */

static void check_panel(const struct kernels *k, int rows, int cols, int lanes, bool add, bool as_bf16)
{
    size_t lda = (size_t)cols + 6;
    float *want = floats((size_t)rows * LANES, 1), *got = guard((size_t)rows * LANES, sizeof *got);
    memcpy(got, want, (size_t)rows * LANES * sizeof *got);
    if (as_bf16) {
        bf16 *a = halves((size_t)(rows - 1) * lda + (size_t)cols), *x = halves((size_t)cols * LANES);
        kernels_ref.panel_bf16(want, a, lda, x, rows, cols, lanes, add);
        k->panel_bf16(got, a, lda, x, rows, cols, lanes, add);
    } else {
        float *a = floats((size_t)(rows - 1) * lda + (size_t)cols, 1), *x = floats((size_t)cols * LANES, 1);
        kernels_ref.panel_f32(want, a, lda, x, rows, cols, lanes, add);
        k->panel_f32(got, a, lda, x, rows, cols, lanes, add);
    }
    /* sums in another order: a few units in the last place of sums of `cols` values below 1 */
    for (int r = 0; r < rows; r++)
        assert_near(as_bf16 ? "panel_bf16" : "panel_f32", k->name, got + r * LANES, want + r * LANES,
                    (size_t)lanes, 1e-6f * sqrtf((float)cols) + 1e-6f);
    release();
}

static void check_panels(const struct kernels *k)
{
    for (int i = 0; i < SIZES; i++) {
        for (int lanes = LANE_STEP; lanes <= LANES; lanes += LANE_STEP) {
            check_panel(k, sizes[i], sizes[SIZES - 1 - i], lanes, i % 2, false);
            if (k->panel_bf16)
                check_panel(k, sizes[i], sizes[SIZES - 1 - i] + sizes[SIZES - 1 - i] % 2, lanes, i % 2, true);
        }
    }
}

static void panel_products_equal_the_plain_ones(void **state)
{
    (void)state;
    for_each_table(check_panels);
}

static void check_dot(const struct kernels *k, int rows, int cols, int tokens)
{
    size_t ldw = (size_t)cols + 3, ldy = (size_t)rows + 2;
    size_t padded = (size_t)(cols + DOT_STEP - 1) / DOT_STEP * DOT_STEP * (size_t)tokens;
    size_t weights = (size_t)(rows - 1) * ldw + (size_t)cols,
           values = (size_t)(tokens - 1) * ldy + (size_t)rows;
    bf16 *wh = halves(weights), *xh = halves(padded);
    float *wf = floats(weights, 1), *xf = floats(padded, 1);
    for (int i = cols; i < (cols + DOT_STEP - 1) / DOT_STEP * DOT_STEP; i++) { /* zeros behind the columns */
        for (int t = 0; t < tokens; t++) {
            xh[(i / DOT_STEP * tokens + t) * DOT_STEP + i % DOT_STEP] = 0;
            xf[(i / DOT_STEP * tokens + t) * DOT_STEP + i % DOT_STEP] = 0;
        }
    }
    float *want = guard(values, sizeof *want), *got = guard(values, sizeof *got);
    float most = 1e-6f * sqrtf((float)cols) + 1e-6f;
    kernels_ref.dot_f32(want, ldy, wf, ldw, xf, rows, cols, tokens);
    k->dot_f32(got, ldy, wf, ldw, xf, rows, cols, tokens);
    assert_near("dot_f32", k->name, got, want, values, most);
    kernels_ref.dot_bf16_f32(want, ldy, wh, ldw, xf, rows, cols, tokens);
    k->dot_bf16_f32(got, ldy, wh, ldw, xf, rows, cols, tokens);
    assert_near("dot_bf16_f32", k->name, got, want, values, most);
    if (k->dot_bf16) {
        kernels_ref.dot_bf16(want, ldy, wh, ldw, xh, rows, cols, tokens);
        k->dot_bf16(got, ldy, wh, ldw, xh, rows, cols, tokens);
        assert_near("dot_bf16", k->name, got, want, values, most);
    }
    release();
}

static void check_dots(const struct kernels *k)
{
    for (int tokens = 1; tokens <= DOT_TOKENS; tokens++) {
        for (int i = 0; i < SIZES; i++)
            check_dot(k, sizes[i], sizes[(i + tokens) % SIZES], tokens);
        check_dot(k, 5, 4099, tokens); /* more columns than one piece */
    }
}

static void dot_products_equal_the_plain_ones(void **state)
{
    (void)state;
    for_each_table(check_dots);
}

/* --- weights in blocks ------------------------------------------------------------------------------------
 */

static const int block_cols[] = {32, 64, 96, 160, 416};
enum { BLOCK_SIZES = sizeof block_cols / sizeof *block_cols };

/* rows x cols of random weights in blocks, scales of both signs and of odd sizes. */
static uint8_t *block_weights(enum dtype type, int rows, int cols)
{
    float strip[TILE_ROWS * 416];
    size_t bytes = tensor_bytes(type, rows, cols);
    uint8_t *w = guard(bytes, 1);
    for (int r = 0; r < rows; r += TILE_ROWS) {
        int n = rows - r < TILE_ROWS ? rows - r : TILE_ROWS;
        for (int i = 0; i < n * cols; i++)
            strip[i] = uniform() * (i / 32 % 5 ? 1 : 0.01f);
        blocks_encode(type, strip, n, cols, w + (size_t)(r / TILE_ROWS) * blocks_strip_bytes(type, cols));
    }
    return w;
}

static struct i8_row *random_rows(int blocks, int tokens)
{
    struct i8_row *x = guard((size_t)(blocks * tokens), sizeof *x);
    float *values = floats((size_t)(blocks * BLOCK_COLS), 3);
    for (int t = 0; t < tokens; t++)
        kernels_ref.pack_i8_row(x + t, tokens, values, blocks * BLOCK_COLS);
    return x;
}

static void check_dot_blocks(const struct kernels *k, enum dtype type, int rows, int cols, int tokens)
{
    size_t ldy = (size_t)rows + 1, values = (size_t)(tokens - 1) * ldy + (size_t)rows;
    uint8_t *w = block_weights(type, rows, cols);
    struct i8_row *x = random_rows(cols / BLOCK_COLS, tokens);
    float *want = guard(values, sizeof *want), *got = guard(values, sizeof *got);
    bool eight = type == DTYPE_Q8_0;
    (eight ? kernels_ref.dot_q8 : kernels_ref.dot_q4)(want, ldy, w, x, rows, cols, tokens);
    (eight ? k->dot_q8 : k->dot_q4)(got, ldy, w, x, rows, cols, tokens);
    assert_near(dtype_name(type), k->name, got, want, values, 1e-5f);
    release();
}

static void check_dots_of_blocks(const struct kernels *k)
{
    for (int tokens = 1; tokens <= DOT_TOKENS; tokens++) {
        for (int i = 0; i < SIZES; i++) {
            check_dot_blocks(k, DTYPE_Q8_0, sizes[i], block_cols[(i + tokens) % BLOCK_SIZES], tokens);
            check_dot_blocks(k, DTYPE_Q4_0, sizes[i], block_cols[(i + tokens) % BLOCK_SIZES], tokens);
        }
    }
}

static void check_panel_blocks(const struct kernels *k, int rows, int cols, int lanes, bool add)
{
    uint8_t *w = block_weights(DTYPE_Q8_0, rows, cols);
    int blocks = cols / BLOCK_COLS;
    size_t strip = blocks_strip_bytes(DTYPE_Q8_0, cols);
    struct i8_panel *x = guard((size_t)blocks, sizeof *x);
    kernels_ref.pack_i8(x, floats((size_t)cols * LANES, 2), cols);
    float *want = floats((size_t)rows * LANES, 1), *got = guard((size_t)rows * LANES, sizeof *got);
    memcpy(got, want, (size_t)rows * LANES * sizeof *got);
    kernels_ref.panel_q8(want, w, strip, x, rows, blocks, lanes, add);
    k->panel_q8(got, w, strip, x, rows, blocks, lanes, add);
    for (int r = 0; r < rows; r++)
        assert_near("panel_q8", k->name, got + r * LANES, want + r * LANES, (size_t)lanes, 1e-5f);
    release();
}

static void check_panels_of_blocks(const struct kernels *k)
{
    for (int rows = 1; rows <= 3 * TILE_ROWS + 1; rows++)
        for (int lanes = LANE_STEP; lanes <= LANES; lanes += LANE_STEP)
            check_panel_blocks(k, rows, block_cols[rows % BLOCK_SIZES], lanes, rows % 2);
}

static void products_of_blocks_equal_the_plain_ones(void **state)
{
    (void)state;
    for_each_table(check_dots_of_blocks);
    for_each_table(check_panels_of_blocks);
}

static void check_widening(const struct kernels *k)
{
    enum { TILES = 3 };
    uint8_t *w = block_weights(DTYPE_Q4_0, TILE_ROWS, TILES * TILE_COLS);
    uint8_t *want = guard(TILES, Q8_TILE_BYTES), *got = guard(TILES, Q8_TILE_BYTES);
    float a, b;
    kernels_ref.q4_to_q8(want, w, TILES);
    k->q4_to_q8(got, w, TILES);
    assert_memory_equal(want, got, TILES * Q8_TILE_BYTES);
    for (int row = 0; row < TILE_ROWS; row++) {
        for (int col = 0; col < TILES * TILE_COLS; col++) {
            blocks_decode(DTYPE_Q4_0, w, TILES * TILE_COLS, row, col, 1, &a);
            blocks_decode(DTYPE_Q8_0, got, TILES * TILE_COLS, row, col, 1, &b);
            assert_true(a == b);
        }
    }
    release();
}

static void q4_blocks_widen_to_the_same_weights(void **state)
{
    (void)state;
    for_each_table(check_widening);
}

/* Ties may fall to either side by the order of operations: q within 1, everything else the same. */
static void check_i8(const struct kernels *k, float *x, int cols)
{
    size_t blocks = (size_t)(cols / BLOCK_COLS);
    struct i8_panel *want = guard(blocks, sizeof *want), *got = guard(blocks, sizeof *got);
    kernels_ref.pack_i8(want, x, cols);
    k->pack_i8(got, x, cols);
    for (size_t b = 0; b < blocks; b++) {
        assert_near("pack_i8", k->name, got[b].d, want[b].d, LANES, 0);
        for (int l = 0; l < LANES; l++) {
            int32_t sum = 0;
            for (int i = 0; i < BLOCK_COLS; i++) {
                assert_in_range(got[b].q[i / 4][l][i % 4] - want[b].q[i / 4][l][i % 4] + 1, 0, 2);
                sum += got[b].q[i / 4][l][i % 4];
            }
            assert_int_equal(got[b].start[l], -Q8_OFFSET * sum);
        }
    }
}

static void check_roundings(const struct kernels *k)
{
    enum { COLS = 96 };
    float *x = floats(COLS * LANES, 5);
    for (int i = 0; i < BLOCK_COLS; i++) {
        x[i * LANES + 3] = 0;         /* all 0 */
        x[i * LANES + 4] *= 1e-36f;   /* too small to count */
        x[i * LANES + 5] = i - 15.5f; /* ties */
    }
    x[7 * LANES + 6] = NAN;
    x[9 * LANES + 7] = INFINITY;
    x[9 * LANES + 8] = -INFINITY;
    check_i8(k, x, COLS);
    struct i8_panel *p = guard(COLS / BLOCK_COLS, sizeof *p);
    k->pack_i8(p, x, COLS);
    assert_true(isnan(p->d[6]) && isnan(p->d[7]) && isnan(p->d[8]));
    release();
}

static void activations_are_rounded_alike(void **state)
{
    (void)state;
    for_each_table(check_roundings);
}

/* A token alone, beside others, in a panel or as a row: the same bits. */
static void check_row_equals_lane(const struct kernels *k)
{
    enum { ROWS = 16, COLS = 416, BLOCKS = COLS / BLOCK_COLS };
    uint8_t *w = block_weights(DTYPE_Q8_0, ROWS, COLS);
    float *x = floats(COLS * LANES, 2), *token = guard(COLS, sizeof *token);
    struct i8_panel *panel = guard(BLOCKS, sizeof *panel);
    struct i8_row *rows = guard(BLOCKS * 3, sizeof *rows);
    float *c = guard(ROWS * LANES, sizeof *c), *y = guard(ROWS * 3, sizeof *y);
    k->pack_i8(panel, x, COLS);
    size_t strip = blocks_strip_bytes(DTYPE_Q8_0, COLS);
    k->panel_q8(c, w, strip, panel, ROWS, BLOCKS, LANES, false);
    for (int lane = 0; lane < LANES; lane += 9) {
        for (int i = 0; i < COLS; i++)
            token[i] = x[i * LANES + lane];
        for (int t = 0; t < 3; t++)
            k->pack_i8_row(rows + t, 3, token, COLS);
        k->dot_q8(y, ROWS, w, rows, ROWS, COLS, 3);
        for (int r = 0; r < ROWS; r++)
            for (int t = 0; t < 3; t++)
                assert_true(y[t * ROWS + r] == c[r * LANES + lane]);
    }
    /* columns in two calls */
    float *again = guard(ROWS * LANES, sizeof *again);
    k->panel_q8(again, w, strip, panel, ROWS, 4, LANES, false);
    k->panel_q8(again, w + 2 * Q8_TILE_BYTES, strip, panel + 4, ROWS, BLOCKS - 4, LANES, true);
    assert_memory_equal(again, c, ROWS * LANES * sizeof *c);
    release();
}

static void token_in_a_panel_equals_the_token_alone(void **state)
{
    (void)state;
    for_each_table(check_row_equals_lane);
}

/* --- independence: what batching and chunking rely on
 * --------------------------------------------------------- */

static void check_panel_independence(const struct kernels *k)
{
    enum { ROWS = 67, COLS = 98 };
    float *a = floats(ROWS * COLS, 1), *x = floats(COLS * LANES, 1);
    float *whole = guard(ROWS * LANES, sizeof *whole), *alone = guard(LANES, sizeof *alone);
    k->panel_f32(whole, a, COLS, x, ROWS, COLS, LANES, false);
    for (int lanes = LANE_STEP; lanes <= LANES; lanes += LANE_STEP) {
        for (int r = 0; r < ROWS; r += 5) {
            k->panel_f32(alone, a + r * COLS, COLS, x, 1, COLS, lanes, false);
            assert_memory_equal(alone, whole + r * LANES, (size_t)lanes * sizeof *alone);
        }
    }
    if (k->panel_bf16) {
        bf16 *ah = halves(ROWS * COLS), *xh = halves(COLS * LANES);
        k->panel_bf16(whole, ah, COLS, xh, ROWS, COLS, LANES, false);
        for (int lanes = LANE_STEP; lanes <= LANES; lanes += LANE_STEP) {
            for (int r = 0; r < ROWS; r += 5) {
                k->panel_bf16(alone, ah + r * COLS, COLS, xh, 1, COLS, lanes, false);
                assert_memory_equal(alone, whole + r * LANES, (size_t)lanes * sizeof *alone);
            }
        }
    }
    release();
}

static void a_panel_value_is_the_same_bits_whatever_is_computed_beside_it(void **state)
{
    (void)state;
    check_panel_independence(&kernels_ref);
    for_each_table(check_panel_independence);
}

/* Token t of an interleaved input, as an input of its own. */
static void take_token(float *one, const float *x, int padded, int tokens, int t)
{
    for (int i = 0; i < padded; i++)
        one[i] = x[(i / DOT_STEP * tokens + t) * DOT_STEP + i % DOT_STEP];
}

static void check_dot_independence(const struct kernels *k)
{
    enum { ROWS = 29, COLS = 3000, PADDED = (COLS + DOT_STEP - 1) / DOT_STEP * DOT_STEP };
    bf16 *w = halves(ROWS * COLS), *xh = halves(PADDED * DOT_TOKENS), *oneh = guard(PADDED, sizeof *oneh);
    float *x = floats(PADDED * DOT_TOKENS, 1), *one = guard(PADDED, sizeof *one);
    float *all = guard(ROWS * DOT_TOKENS, sizeof *all), *alone = guard(ROWS, sizeof *alone);
    for (int tokens = 2; tokens <= DOT_TOKENS; tokens++) {
        for (int t = 0; t < tokens; t++) {
            k->dot_bf16_f32(all, ROWS, w, COLS, x, ROWS, COLS, tokens);
            take_token(one, x, PADDED, tokens, t);
            k->dot_bf16_f32(alone, ROWS, w, COLS, one, ROWS, COLS, 1);
            assert_memory_equal(alone, all + t * ROWS, ROWS * sizeof *alone);
            if (!k->dot_bf16)
                continue;
            k->dot_bf16(all, ROWS, w, COLS, xh, ROWS, COLS, tokens);
            for (int i = 0; i < PADDED; i++)
                oneh[i] = xh[(i / DOT_STEP * tokens + t) * DOT_STEP + i % DOT_STEP];
            k->dot_bf16(alone, ROWS, w, COLS, oneh, ROWS, COLS, 1);
            assert_memory_equal(alone, all + t * ROWS, ROWS * sizeof *alone);
        }
    }
    release();
}

static void a_dot_value_is_the_same_bits_however_many_tokens_are_beside_it(void **state)
{
    (void)state;
    check_dot_independence(&kernels_ref);
    for_each_table(check_dot_independence);
}

/* --- everything else ---------------------------------------------------------------------------------------
 */

static void check_conversions(const struct kernels *k)
{
    for (int i = 0; i < SIZES; i++) {
        size_t n = (size_t)sizes[i];
        bf16 *h = halves(n), *got_h = guard(n, sizeof *got_h), *want_h = guard(n, sizeof *want_h);
        float *f = floats(n, 100), *got = guard(n, sizeof *got), *want = guard(n, sizeof *want);
        uint16_t *f16 = guard(n, sizeof *f16);
        int8_t *q = guard(n, 1);
        for (size_t j = 0; j < n; j++) {
            f16[j] = (uint16_t)(random_state = random_state * 1664525u + 1013904223u) & 0xfbff; /* no NaN */
            q[j] = (int8_t)(j * 37);
        }
        f[0] = 1.00390625f; /* halfway between two bf16 values: to the even one */
        k->bf16_to_f32(got, h, n), kernels_ref.bf16_to_f32(want, h, n);
        assert_memory_equal(got, want, n * sizeof *got);
        k->f32_to_bf16(got_h, f, n), kernels_ref.f32_to_bf16(want_h, f, n);
        assert_memory_equal(got_h, want_h, n * sizeof *got_h);
        k->f16_to_f32(got, f16, n), kernels_ref.f16_to_f32(want, f16, n);
        assert_memory_equal(got, want, n * sizeof *got);
        for (int step = 0; step < 2; step++) {
            k->q8_to_f32(got, q, f, step, n), kernels_ref.q8_to_f32(want, q, f, step, n);
            assert_memory_equal(got, want, n * sizeof *got);
        }
        release();
    }
}

static void conversions_are_exactly_the_plain_ones(void **state)
{
    (void)state;
    for_each_table(check_conversions);
}

static void check_panel_functions(const struct kernels *k)
{
    for (int i = 0; i < SIZES; i++) {
        int n = sizes[i], even = n + n % 2;
        size_t values = (size_t)n * LANES;
        float *x = floats(values, 9), *up = floats(values, 3), *weight = floats((size_t)n, 1),
              *bias = floats((size_t)n, 1);
        float *got = guard(values, sizeof *got), *want = guard(values, sizeof *want);
        bf16 *got_h = guard((size_t)even * LANES, sizeof *got_h),
             *want_h = guard((size_t)even * LANES, sizeof *want_h);
        k->pack_bf16(got_h, x, n), kernels_ref.pack_bf16(want_h, x, n);
        assert_memory_equal(got_h, want_h, (size_t)even * LANES * sizeof *got_h);
        k->rms_norm(got, x, weight, n, 1e-5f), kernels_ref.rms_norm(want, x, weight, n, 1e-5f);
        assert_near("rms_norm", k->name, got, want, values, 2e-6f);
        k->layer_norm(got, x, weight, bias, n, 1e-5f),
            kernels_ref.layer_norm(want, x, weight, bias, n, 1e-5f);
        assert_near("layer_norm", k->name, got, want, values, 1e-5f);
#define IN_PLACE(call, most)                                                                                 \
    do {                                                                                                     \
        memcpy(got, x, values * sizeof *got);                                                                \
        memcpy(want, x, values * sizeof *want);                                                              \
        {                                                                                                    \
            const struct kernels *t = k;                                                                     \
            float *y = got;                                                                                  \
            t->call;                                                                                         \
            t = &kernels_ref, y = want;                                                                      \
            t->call;                                                                                         \
        }                                                                                                    \
        assert_near(#call, k->name, got, want, values, most);                                                \
    } while (0)
        IN_PLACE(add_bias(y, bias, n), 0);
        IN_PLACE(gelu_bias(y, bias, n), 1e-6f);
        IN_PLACE(silu_mul(y, up, n), 1e-6f);
        IN_PLACE(scale_lanes(y, up, n), 0);
        IN_PLACE(silu_mul_row(y, up, n), 1e-6f);
        if (n % 2 == 0)
            IN_PLACE(rope(y, up, up + values / 2, n), 1e-6f);
        k->rms_norm_row(got, x, weight, n, 1e-5f), kernels_ref.rms_norm_row(want, x, weight, n, 1e-5f);
        assert_near("rms_norm_row", k->name, got, want, (size_t)n, 2e-6f);
        release();
    }
}

static void norms_and_activations_equal_the_plain_ones(void **state)
{
    (void)state;
    for_each_table(check_panel_functions);
}

static void check_softmax(const struct kernels *k)
{
    for (int i = 0; i < SIZES; i++) {
        int n = sizes[i];
        size_t values = (size_t)n * LANES;
        int32_t *visible = guard(LANES, sizeof *visible);
        float *state[2][3]; /* max, sum, rescale of k and of ref */
        for (int t = 0; t < 2; t++) {
            for (int j = 0; j < 3; j++)
                state[t][j] = guard(LANES, sizeof(float));
            for (int l = 0; l < LANES; l++)
                state[t][0][l] = -INFINITY;
        }
        float *got = guard(values, sizeof *got), *want = guard(values, sizeof *want);
        for (int block = 0; block < 3; block++) {
            for (int l = 0; l < LANES; l++) /* none, some, all, more than there are */
                visible[l] = l == 0 ? -5 : l == 1 ? 0 : l == 2 ? 4 * n : (l * 7 + block) % (n + 2);
            for (size_t j = 0; j < values; j++)
                got[j] = want[j] = uniform() * 30;
            k->softmax_block(got, n, 0.3f, visible, state[0][0], state[0][1], state[0][2]);
            kernels_ref.softmax_block(want, n, 0.3f, visible, state[1][0], state[1][1], state[1][2]);
            assert_near("softmax_block", k->name, got, want, values, 1e-6f);
            for (int j = 0; j < 3; j++) {
                for (int l = 0; l < LANES; l++) {
                    if (isfinite(state[1][j][l]))
                        assert_near("softmax_block's state", k->name, &state[0][j][l], &state[1][j][l], 1,
                                    1e-5f);
                    else
                        assert_true(state[0][j][l] == state[1][j][l]);
                }
            }
        }
        float *row = floats((size_t)n, 20), *same = guard((size_t)n, sizeof *same), max[2];
        memcpy(same, row, (size_t)n * sizeof *row);
        float got_sum = k->softmax_row(row, n, 0.5f, &max[0]);
        float want_sum = kernels_ref.softmax_row(same, n, 0.5f, &max[1]);
        assert_near("softmax_row", k->name, row, same, (size_t)n, 1e-6f);
        assert_near("softmax_row's sum", k->name, &got_sum, &want_sum, 1, 1e-5f);
        assert_true(max[0] == max[1]);
        release();
    }
}

static void softmax_in_blocks_equals_the_plain_one(void **state)
{
    (void)state;
    for_each_table(check_softmax);
}

static void an_unknown_table_is_not_picked(void **state)
{
    (void)state;
    assert_null(kernels_pick("avx1024"));
    assert_null(kernels_pick(""));
    assert_ptr_equal(kernels_pick("ref"), &kernels_ref);
    assert_non_null(kernels_pick(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_table_is_not_picked),
        cmocka_unit_test(panel_products_equal_the_plain_ones),
        cmocka_unit_test(dot_products_equal_the_plain_ones),
        cmocka_unit_test(products_of_blocks_equal_the_plain_ones),
        cmocka_unit_test(q4_blocks_widen_to_the_same_weights),
        cmocka_unit_test(activations_are_rounded_alike),
        cmocka_unit_test(token_in_a_panel_equals_the_token_alone),
        cmocka_unit_test(a_panel_value_is_the_same_bits_whatever_is_computed_beside_it),
        cmocka_unit_test(a_dot_value_is_the_same_bits_however_many_tokens_are_beside_it),
        cmocka_unit_test(conversions_are_exactly_the_plain_ones),
        cmocka_unit_test(norms_and_activations_equal_the_plain_ones),
        cmocka_unit_test(softmax_in_blocks_equals_the_plain_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
