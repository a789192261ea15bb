#include "engine/layers/linear.h"

#include <string.h>

enum {
    /* Rows of W in one task: 48 is a multiple of every tile height. */
    TASK_ROWS = 48,
    /* Columns multiplied at a time, so that a block of W (48 rows) and of x (64 lanes) stay in a 1 MiB L2:
     * 192 + 256 KiB in bf16, the same in f32 with half the columns. Sums are cut here: changing it changes
     * results in their last bits. */
    PIECE_COLS_BF16 = 2048,
    PIECE_COLS_F32 = 1024,
    PIECE_COLS_I8 = 4096, /* 204 KiB of W and 320 of x; cutting here changes no bit */
    /* Bytes of W per decode task: long streams for the CPU's prefetcher, but enough of them (of all threads')
     * to share out evenly. */
    DOT_TASK_LEAST_BYTES = 64 << 10,
    DOT_TASK_MOST_BYTES = 1 << 20,
    DOT_TASKS_PER_THREAD = 8,
    DOT_ROW_STEP = 48, /* whole strips, and whole groups of the rows that a dot kernel keeps sums of */
    /* Elementwise work is shared out in this many rows of a panel; whole blocks. */
    ROWS_PER_PIECE = 256,
};

size_t linear_scratch_bytes(int cols)
{
    size_t panel = (size_t)TASK_ROWS * PIECE_COLS_BF16 * sizeof(float); /* more than strips widened to q8_0 */
    size_t dot_row = (size_t)cols * sizeof(float) * 4;
    return (panel > dot_row ? panel : dot_row) + 4096;
}

void tensor_to_f32(const struct kernels *k, const struct tensor *t, size_t first, size_t n, float *out)
{
    switch (t->dtype) {
    case DTYPE_BF16:
        k->bf16_to_f32(out, (const bf16 *)t->data + first, n);
        break;
    case DTYPE_F16:
        k->f16_to_f32(out, (const uint16_t *)t->data + first, n);
        break;
    case DTYPE_F32:
        memcpy(out, (const float *)t->data + first, n * sizeof *out);
        break;
    case DTYPE_Q8_0:
    case DTYPE_Q4_0:
        blocks_decode(t->dtype, t->data, t->cols, (int)(first / (size_t)t->cols),
                      (int)(first % (size_t)t->cols), (int)n, out);
        break;
    }
}

/* --- packing ------------------------------------------------------------------------------------------- */

struct pack_job {
    const struct work *w;
    const float *x;
    void *to;
    enum input as;
    int features, pieces;
};

static void pack_rows(const struct pack_job *j, size_t panel, int row, int rows)
{
    size_t features = (size_t)j->features;
    const float *from = j->x + (panel * features + (size_t)row) * LANES;
    if (j->as == INPUT_I8)
        j->w->k->pack_i8((struct i8_panel *)j->to + (panel * features + (size_t)row) / BLOCK_COLS, from,
                         rows);
    else
        j->w->k->pack_bf16((bf16 *)j->to + (panel * (features + features % 2) + (size_t)row) * LANES, from,
                           rows);
}

static void pack_piece(void *arg, size_t begin, size_t end, int thread)
{
    (void)thread;
    struct pack_job *j = arg;
    for (size_t i = begin; i < end; i++) {
        int row = (int)(i % (size_t)j->pieces) * ROWS_PER_PIECE;
        int rows = j->features - row < ROWS_PER_PIECE ? j->features - row : ROWS_PER_PIECE;
        pack_rows(j, i / (size_t)j->pieces, row, rows);
    }
}

const void *linear_pack(const struct work *w, const struct tensor *weight, const float *x, int tokens,
                        void *room)
{
    enum input as = input_of(w, weight);
    if (as == INPUT_F32)
        return x;
    struct pack_job j = {w, x, room, as, weight->cols, (weight->cols + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE};
    pool_each(w->pool, (size_t)panel_count(tokens) * (size_t)j.pieces, 1, pack_piece, &j);
    return room;
}

/* --- panels -------------------------------------------------------------------------------------------- */

struct panels_job {
    const struct work *w;
    const struct tensor *weight;
    const void *x;
    float *y;
    int tokens;
    bool add;
};

/* rows x cols of W from (row, col), converted to f32 rows of PIECE_COLS_F32 unless they are that already. */
static const float *block_f32(const struct panels_job *j, int row, int rows, int col, int cols,
                              float *scratch, size_t *lda)
{
    const struct tensor *t = j->weight;
    size_t first = (size_t)row * (size_t)t->cols + (size_t)col;
    if (t->dtype == DTYPE_F32) {
        *lda = (size_t)t->cols;
        return (const float *)t->data + first;
    }
    *lda = PIECE_COLS_F32;
    for (int r = 0; r < rows; r++)
        tensor_to_f32(j->w->k, t, first + (size_t)r * (size_t)t->cols, (size_t)cols,
                      scratch + r * PIECE_COLS_F32);
    return scratch;
}

static void rows_f32(const struct panels_job *j, int row, int rows, float *scratch)
{
    int cols = j->weight->cols, panels = panel_count(j->tokens);
    for (int col = 0; col < cols; col += PIECE_COLS_F32) {
        int n = cols - col < PIECE_COLS_F32 ? cols - col : PIECE_COLS_F32;
        size_t lda;
        const float *a = block_f32(j, row, rows, col, n, scratch, &lda);
        for (int p = 0; p < panels; p++) {
            const float *x = (const float *)j->x + ((size_t)p * (size_t)cols + (size_t)col) * LANES;
            float *c = j->y + ((size_t)p * (size_t)j->weight->rows + (size_t)row) * LANES;
            j->w->k->panel_f32(c, a, lda, x, rows, n, panel_lanes(j->tokens, p), j->add || col > 0);
        }
    }
}

/* An odd number of columns leaves half a pair at the end: those rows are copied with a zero behind them. */
static const bf16 *even_rows(const struct panels_job *j, int row, int rows, int col, int cols, bf16 *scratch,
                             size_t *lda)
{
    size_t width = (size_t)j->weight->cols;
    const bf16 *a = (const bf16 *)j->weight->data + (size_t)row * width + (size_t)col;
    *lda = width;
    if (cols % 2 == 0)
        return a;
    for (int r = 0; r < rows; r++) {
        bf16 *to = scratch + (size_t)r * PIECE_COLS_BF16;
        memcpy(to, a + (size_t)r * width, (size_t)cols * sizeof *to);
        to[cols] = 0;
    }
    *lda = PIECE_COLS_BF16;
    return scratch;
}

static void rows_bf16(const struct panels_job *j, int row, int rows, bf16 *scratch)
{
    int cols = j->weight->cols, even = cols + cols % 2, panels = panel_count(j->tokens);
    for (int col = 0; col < cols; col += PIECE_COLS_BF16) {
        int n = cols - col < PIECE_COLS_BF16 ? cols - col : PIECE_COLS_BF16;
        size_t lda;
        const bf16 *a = even_rows(j, row, rows, col, n, scratch, &lda);
        for (int p = 0; p < panels; p++) {
            const bf16 *x = (const bf16 *)j->x + ((size_t)p * (size_t)even + (size_t)col) * LANES;
            float *c = j->y + ((size_t)p * (size_t)j->weight->rows + (size_t)row) * LANES;
            j->w->k->panel_bf16(c, a, lda, x, rows, n + n % 2, panel_lanes(j->tokens, p), j->add || col > 0);
        }
    }
}

/* Strips of W from (row, col) on, as q8_0. */
static const uint8_t *strips_q8(const struct panels_job *j, int row, int rows, int col, int cols,
                                uint8_t *scratch, size_t *strip_bytes)
{
    const struct tensor *t = j->weight;
    size_t stored = blocks_strip_bytes(t->dtype, t->cols), widened = blocks_strip_bytes(DTYPE_Q8_0, cols);
    const uint8_t *tiles = (const uint8_t *)t->data + (size_t)(row / TILE_ROWS) * stored +
                           (size_t)(col / TILE_COLS) * blocks_tile_bytes(t->dtype);
    *strip_bytes = t->dtype == DTYPE_Q8_0 ? stored : widened;
    if (t->dtype == DTYPE_Q8_0)
        return tiles;
    for (int r = 0; r < rows; r += TILE_ROWS, tiles += stored)
        j->w->k->q4_to_q8(scratch + (size_t)(r / TILE_ROWS) * widened, tiles, blocks_tiles(cols));
    return scratch;
}

static void rows_i8(const struct panels_job *j, int row, int rows, uint8_t *scratch)
{
    int cols = j->weight->cols, panels = panel_count(j->tokens);
    for (int col = 0; col < cols; col += PIECE_COLS_I8) {
        int n = cols - col < PIECE_COLS_I8 ? cols - col : PIECE_COLS_I8;
        size_t strip_bytes;
        const uint8_t *strips = strips_q8(j, row, rows, col, n, scratch, &strip_bytes);
        for (int p = 0; p < panels; p++) {
            const struct i8_panel *x =
                (const struct i8_panel *)j->x + ((size_t)p * (size_t)cols + (size_t)col) / BLOCK_COLS;
            float *c = j->y + ((size_t)p * (size_t)j->weight->rows + (size_t)row) * LANES;
            j->w->k->panel_q8(c, strips, strip_bytes, x, rows, n / BLOCK_COLS, panel_lanes(j->tokens, p),
                              j->add || col > 0);
        }
    }
}

static void panels_piece(void *arg, size_t begin, size_t end, int thread)
{
    struct panels_job *j = arg;
    void *scratch = work_scratch(j->w, thread);
    switch (input_of(j->w, j->weight)) {
    case INPUT_I8:
        rows_i8(j, (int)begin, (int)(end - begin), scratch);
        break;
    case INPUT_BF16:
        rows_bf16(j, (int)begin, (int)(end - begin), scratch);
        break;
    case INPUT_F32:
        rows_f32(j, (int)begin, (int)(end - begin), scratch);
        break;
    }
}

void linear_panels(const struct work *w, const struct tensor *weight, const void *x, float *y, int tokens,
                   bool add)
{
    struct panels_job j = {w, weight, x, y, tokens, add};
    pool_each(w->pool, (size_t)weight->rows, TASK_ROWS, panels_piece, &j);
}

struct bias_job {
    const struct work *w;
    const struct tensor *bias;
    float *y;
    int rows;
};

static void bias_panel(void *arg, size_t begin, size_t end, int thread)
{
    struct bias_job *j = arg;
    float *bias = work_scratch(j->w, thread);
    for (int row = 0; row < j->rows; row += ROWS_PER_PIECE) {
        int n = j->rows - row < ROWS_PER_PIECE ? j->rows - row : ROWS_PER_PIECE;
        tensor_to_f32(j->w->k, j->bias, (size_t)row, (size_t)n, bias);
        for (size_t p = begin; p < end; p++)
            j->w->k->add_bias(j->y + (p * (size_t)j->rows + (size_t)row) * LANES, bias, n);
    }
}

void linear_bias(const struct work *w, const struct tensor *bias, float *y, int rows, int tokens)
{
    if (!bias->data)
        return;
    struct bias_job j = {w, bias, y, rows};
    pool_each(w->pool, (size_t)panel_count(tokens), 1, bias_panel, &j);
}

/* --- decode -------------------------------------------------------------------------------------------- */

struct dots_job {
    const struct work *w;
    const struct dot *dots;
    int tokens;
    int task_rows[4]; /* per dot */
    size_t first_task[5];
};

static size_t dot_cols(int cols)
{
    return (size_t)(cols + DOT_STEP - 1) / DOT_STEP * DOT_STEP;
}

size_t dot_input_bytes(int cols, int tokens)
{
    return dot_cols(cols) * (size_t)tokens * sizeof(float);
}

/* DOT_STEP columns from k on of token t of a group, zeros behind the last. */
static void step_in(const struct work *w, enum input as, const float *from, int n, size_t at, void *out)
{
    if (as == INPUT_BF16) {
        bf16 *to = (bf16 *)out + at;
        w->k->f32_to_bf16(to, from, (size_t)n);
        memset(to + n, 0, (size_t)(DOT_STEP - n) * sizeof *to);
    } else {
        float *to = (float *)out + at;
        memcpy(to, from, (size_t)n * sizeof *to);
        memset(to + n, 0, (size_t)(DOT_STEP - n) * sizeof *to);
    }
}

void linear_dot_input(const struct work *w, enum input as, const float *x, size_t ldx, int cols, int tokens,
                      void *out)
{
    size_t padded = dot_cols(cols);
    for (int token = 0; token < tokens; token++) {
        int group = token / DOT_TOKENS * DOT_TOKENS, t = token - group;
        int size = tokens - group < DOT_TOKENS ? tokens - group : DOT_TOKENS;
        const float *from = x + (size_t)token * ldx;
        if (as == INPUT_I8) {
            struct i8_row *to = (struct i8_row *)out + (size_t)group * padded / BLOCK_COLS;
            w->k->pack_i8_row(to + t, size, from, cols);
            continue;
        }
        for (int k = 0; k < cols; k += DOT_STEP)
            step_in(w, as, from + k, cols - k < DOT_STEP ? cols - k : DOT_STEP,
                    (size_t)group * padded + (size_t)(k * size + t * DOT_STEP), out);
    }
}

/* One group of tokens: n of them, from `token` on. */
static void dot_group(const struct dots_job *j, const struct dot *d, int row, int rows, int token, int n,
                      float *scratch)
{
    const struct kernels *k = j->w->k;
    const struct tensor *t = &d->linear->weight;
    size_t cols = (size_t)t->cols, first = (size_t)row * cols, at = (size_t)token * dot_cols(t->cols);
    float *y = d->y + (size_t)token * d->ldy + row;
    const float *x = (const float *)d->x + at;
    const bf16 *rows_bf16 = (const bf16 *)t->data + first;
    enum input as = input_of(j->w, t);
    if (as == INPUT_I8) {
        const uint8_t *strips =
            (const uint8_t *)t->data + (size_t)(row / TILE_ROWS) * blocks_strip_bytes(t->dtype, t->cols);
        (t->dtype == DTYPE_Q8_0 ? k->dot_q8 : k->dot_q4)(
            y, d->ldy, strips, (const struct i8_row *)d->x + at / BLOCK_COLS, rows, t->cols, n);
    } else if (as == INPUT_BF16) {
        k->dot_bf16(y, d->ldy, rows_bf16, cols, (const bf16 *)d->x + at, rows, t->cols, n);
    } else if (t->dtype == DTYPE_BF16) {
        k->dot_bf16_f32(y, d->ldy, rows_bf16, cols, x, rows, t->cols, n);
    } else if (t->dtype == DTYPE_F32) {
        k->dot_f32(y, d->ldy, (const float *)t->data + first, cols, x, rows, t->cols, n);
    } else {
        for (int r = 0; r < rows; r++) {
            tensor_to_f32(k, t, first + (size_t)r * cols, cols, scratch);
            k->dot_f32(y + r, d->ldy, scratch, cols, x, 1, t->cols, n);
        }
    }
}

static void dot_rows(const struct dots_job *j, const struct dot *d, int row, int rows, int thread)
{
    for (int token = 0; token < j->tokens; token += DOT_TOKENS) {
        int n = j->tokens - token < DOT_TOKENS ? j->tokens - token : DOT_TOKENS;
        dot_group(j, d, row, rows, token, n, work_scratch(j->w, thread));
    }
}

static void dots_piece(void *arg, size_t begin, size_t end, int thread)
{
    struct dots_job *j = arg;
    (void)end; /* one task at a time */
    int i = 0;
    while (begin >= j->first_task[i + 1])
        i++;
    const struct dot *d = &j->dots[i];
    int row = (int)(begin - j->first_task[i]) * j->task_rows[i], left = d->linear->weight.rows - row;
    int rows = left < j->task_rows[i] ? left : j->task_rows[i];
    dot_rows(j, d, row, rows, thread);
    const struct tensor *bias = &d->linear->bias;
    if (!bias->data)
        return;
    float values[64];
    for (int r = 0; r < rows; r += 64) {
        int n = rows - r < 64 ? rows - r : 64;
        tensor_to_f32(j->w->k, bias, (size_t)(row + r), (size_t)n, values);
        for (int t = 0; t < j->tokens; t++)
            for (int k = 0; k < n; k++)
                d->y[(size_t)t * d->ldy + (size_t)(row + r + k)] += values[k];
    }
}

static size_t bytes_of(const struct tensor *t)
{
    return tensor_bytes(t->dtype, t->rows, t->cols);
}

static size_t dot_task_bytes(const struct work *w, const struct dot *dots, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += bytes_of(&dots[i].linear->weight);
    bytes /= (size_t)pool_threads(w->pool) * DOT_TASKS_PER_THREAD;
    return bytes < DOT_TASK_LEAST_BYTES  ? DOT_TASK_LEAST_BYTES
           : bytes > DOT_TASK_MOST_BYTES ? DOT_TASK_MOST_BYTES
                                         : bytes;
}

void linear_dots(const struct work *w, const struct dot *dots, int count, int tokens)
{
    struct dots_job j = {.w = w, .dots = dots, .tokens = tokens};
    size_t task_bytes = dot_task_bytes(w, dots, count);
    for (int i = 0; i < count; i++) {
        const struct tensor *t = &dots[i].linear->weight;
        size_t rows = task_bytes * (size_t)t->rows / bytes_of(t);
        j.task_rows[i] = rows < DOT_ROW_STEP ? DOT_ROW_STEP : (int)(rows - rows % DOT_ROW_STEP);
        size_t tasks = ((size_t)t->rows + (size_t)j.task_rows[i] - 1) / (size_t)j.task_rows[i];
        j.first_task[i + 1] = j.first_task[i] + tasks;
    }
    pool_each(w->pool, j.first_task[count], 1, dots_piece, &j);
}
