#include "engine/layers/linear.h"

#include <string.h>

enum {
    /* Rows of W in one task: 48 is a multiple of every tile height. */
    BLOCK_ROWS = 48,
    /* Columns multiplied at a time, so that a block of W (48 rows) and of x (64 lanes) stay in a 1 MiB L2:
     * 192 + 256 KiB in bf16, the same in f32 with half the columns. Sums are cut here: changing it changes
     * results in their last bits. */
    BLOCK_COLS_BF16 = 2048,
    BLOCK_COLS_F32 = 1024,
    /* Bytes of W per decode task: long streams for the CPU's prefetcher, but enough of them (of all threads')
     * to share out evenly. */
    DOT_TASK_LEAST_BYTES = 64 << 10,
    DOT_TASK_MOST_BYTES = 1 << 20,
    DOT_TASKS_PER_THREAD = 8,
    DOT_ROW_STEP = 24, /* rows a dot kernel keeps sums of at a time */
    /* Elementwise work is shared out in this many rows of a panel; even, for pairs. */
    ROWS_PER_PIECE = 256,
};

size_t linear_scratch_bytes(int cols)
{
    size_t panel = (size_t)BLOCK_ROWS * BLOCK_COLS_BF16 * sizeof(float);
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
    }
}

/* --- packing ------------------------------------------------------------------------------------------- */

struct pack_job {
    const struct work *w;
    const float *x;
    bf16 *to;
    int features, pieces;
};

static void pack_piece(void *arg, size_t begin, size_t end, int thread)
{
    (void)thread;
    struct pack_job *j = arg;
    for (size_t i = begin; i < end; i++) {
        size_t panel = i / (size_t)j->pieces;
        int row = (int)(i % (size_t)j->pieces) * ROWS_PER_PIECE;
        int rows = j->features - row < ROWS_PER_PIECE ? j->features - row : ROWS_PER_PIECE;
        const float *from = j->x + (panel * (size_t)j->features + (size_t)row) * LANES;
        bf16 *to = j->to + (panel * (size_t)(j->features + j->features % 2) + (size_t)row) * LANES;
        j->w->k->pack_bf16(to, from, rows);
    }
}

const void *linear_pack(const struct work *w, const float *x, int features, int tokens, void *room)
{
    if (!w->bf16)
        return x;
    struct pack_job j = {w, x, room, features, (features + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE};
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

/* rows x cols of W from (row, col), converted to f32 rows of BLOCK_COLS_F32 unless they are that already. */
static const float *block_f32(const struct panels_job *j, int row, int rows, int col, int cols,
                              float *scratch, size_t *lda)
{
    const struct tensor *t = j->weight;
    size_t first = (size_t)row * (size_t)t->cols + (size_t)col;
    if (t->dtype == DTYPE_F32) {
        *lda = (size_t)t->cols;
        return (const float *)t->data + first;
    }
    *lda = BLOCK_COLS_F32;
    for (int r = 0; r < rows; r++)
        tensor_to_f32(j->w->k, t, first + (size_t)r * (size_t)t->cols, (size_t)cols,
                      scratch + r * BLOCK_COLS_F32);
    return scratch;
}

static void rows_f32(const struct panels_job *j, int row, int rows, float *scratch)
{
    int cols = j->weight->cols, panels = panel_count(j->tokens);
    for (int col = 0; col < cols; col += BLOCK_COLS_F32) {
        int n = cols - col < BLOCK_COLS_F32 ? cols - col : BLOCK_COLS_F32;
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
        bf16 *to = scratch + (size_t)r * BLOCK_COLS_BF16;
        memcpy(to, a + (size_t)r * width, (size_t)cols * sizeof *to);
        to[cols] = 0;
    }
    *lda = BLOCK_COLS_BF16;
    return scratch;
}

static void rows_bf16(const struct panels_job *j, int row, int rows, bf16 *scratch)
{
    int cols = j->weight->cols, even = cols + cols % 2, panels = panel_count(j->tokens);
    for (int col = 0; col < cols; col += BLOCK_COLS_BF16) {
        int n = cols - col < BLOCK_COLS_BF16 ? cols - col : BLOCK_COLS_BF16;
        size_t lda;
        const bf16 *a = even_rows(j, row, rows, col, n, scratch, &lda);
        for (int p = 0; p < panels; p++) {
            const bf16 *x = (const bf16 *)j->x + ((size_t)p * (size_t)even + (size_t)col) * LANES;
            float *c = j->y + ((size_t)p * (size_t)j->weight->rows + (size_t)row) * LANES;
            j->w->k->panel_bf16(c, a, lda, x, rows, n + n % 2, panel_lanes(j->tokens, p), j->add || col > 0);
        }
    }
}

static void panels_piece(void *arg, size_t begin, size_t end, int thread)
{
    struct panels_job *j = arg;
    void *scratch = work_scratch(j->w, thread);
    if (j->w->bf16)
        rows_bf16(j, (int)begin, (int)(end - begin), scratch);
    else
        rows_f32(j, (int)begin, (int)(end - begin), scratch);
}

void linear_panels(const struct work *w, const struct tensor *weight, const void *x, float *y, int tokens,
                   bool add)
{
    struct panels_job j = {w, weight, x, y, tokens, add};
    pool_each(w->pool, (size_t)weight->rows, BLOCK_ROWS, panels_piece, &j);
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

void linear_dot_input(const struct work *w, bool as_bf16, const float *x, size_t ldx, int cols, int tokens,
                      void *out)
{
    size_t padded = dot_cols(cols);
    for (int token = 0; token < tokens; token++) {
        int group = token / DOT_TOKENS * DOT_TOKENS, t = token - group;
        int size = tokens - group < DOT_TOKENS ? tokens - group : DOT_TOKENS;
        const float *from = x + (size_t)token * ldx;
        for (int k = 0; k < cols; k += DOT_STEP) {
            int n = cols - k < DOT_STEP ? cols - k : DOT_STEP;
            size_t at = (size_t)group * padded + (size_t)(k * size + t * DOT_STEP);
            if (as_bf16) {
                bf16 *to = (bf16 *)out + at;
                w->k->f32_to_bf16(to, from + k, (size_t)n);
                memset(to + n, 0, (size_t)(DOT_STEP - n) * sizeof *to);
            } else {
                float *to = (float *)out + at;
                memcpy(to, from + k, (size_t)n * sizeof *to);
                memset(to + n, 0, (size_t)(DOT_STEP - n) * sizeof *to);
            }
        }
    }
}

static void dot_rows(const struct dots_job *j, const struct dot *d, int row, int rows, int thread)
{
    const struct kernels *k = j->w->k;
    const struct tensor *t = &d->linear->weight;
    size_t cols = (size_t)t->cols, first = (size_t)row * cols, padded = dot_cols(t->cols);
    const bf16 *rows_bf16 = (const bf16 *)t->data + first;
    float *scratch = work_scratch(j->w, thread);
    for (int token = 0; token < j->tokens; token += DOT_TOKENS) {
        int n = j->tokens - token < DOT_TOKENS ? j->tokens - token : DOT_TOKENS;
        float *y = d->y + (size_t)token * d->ldy + row;
        const bf16 *x_bf16 = (const bf16 *)d->x + (size_t)token * padded;
        const float *x = (const float *)d->x + (size_t)token * padded;
        if (j->w->bf16) {
            k->dot_bf16(y, d->ldy, rows_bf16, cols, x_bf16, rows, t->cols, n);
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

static size_t tensor_bytes(const struct tensor *t)
{
    return (size_t)t->rows * (size_t)t->cols * dtype_bytes(t->dtype);
}

static size_t dot_task_bytes(const struct work *w, const struct dot *dots, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += tensor_bytes(&dots[i].linear->weight);
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
        size_t rows = task_bytes / ((size_t)t->cols * dtype_bytes(t->dtype));
        j.task_rows[i] = rows < DOT_ROW_STEP ? DOT_ROW_STEP : (int)(rows - rows % DOT_ROW_STEP);
        size_t tasks = ((size_t)t->rows + (size_t)j.task_rows[i] - 1) / (size_t)j.task_rows[i];
        j.first_task[i + 1] = j.first_task[i] + tasks;
    }
    pool_each(w->pool, j.first_task[count], 1, dots_piece, &j);
}
