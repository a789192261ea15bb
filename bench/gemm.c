/* Our products beside oneDNN's on the model's shapes, taken in turns in one run.
 *
 * y = x W^T: W [N][K] in bf16 as it lies in a model file, x [M][K]. "bf16" multiplies bf16 by bf16, "f32"
 * multiplies in f32 (oneDNN then has its weights in f32). M up to 8 goes the way of decode, more the way of
 * prefill. Both sides get their input ready-made: ours in panels, oneDNN's in rows with packed weights. W
 * changes from call to call, so that small products read it from memory, as a forward pass does. */
#include "base/clock.h"
#include "base/pages.h"
#include "engine/layers/linear.h"
#include "onednn.h"
#include "options.h"
#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_TURNS = 31,
    TURN_MS = 40,              /* at least that long before the other's turn comes */
    WEIGHTS_BYTES = 256 << 20, /* of all matrices together: several times the caches */
};

static const char usage[] = //
    "usage: bench_gemm [options]\n"
    "  --threads N   only that many (1 and all CPUs)\n"
    "  --cpu NAME    ref, avx2 or avx512 (the best there is)\n"
    "  --math NAME   bf16 or f32 (both)\n"
    "  --turns N     for each side and setting, 1 to 31 (5)\n";

struct options {
    int threads, turns;
    const char *cpu, *math;
};

/* K and N of the decoder's and the encoder's products. */
static const struct shape {
    int cols, rows;
} shapes[] = {{4096, 4096}, {4096, 11008}, {11008, 4096}, {1280, 1280}, {1280, 5120}};

static const int token_counts[] = {1, 8, 32, 128, 512, 1500};

/* Everything one setting needs. */
struct setting {
    struct onednn_shape shape;
    struct work work;
    struct linear *linears; /* [matrices] */
    struct pages weights;   /* bf16, all matrices */
    float *x;               /* [tokens][cols], plain rows */
    float *lanes;           /* x in panels */
    void *input;            /* what our product reads */
    float *y;
    struct onednn *peer;
    int calls; /* per turn */
};

static bool by_rows(const struct setting *s) /* the way of decode */
{
    return s->shape.tokens <= DOT_TOKENS;
}

static void run_ours(const struct setting *s, int matrix)
{
    if (by_rows(s)) {
        struct dot d = {&s->linears[matrix], s->input, s->y, (size_t)s->shape.rows};
        linear_dots(&s->work, &d, 1, s->shape.tokens);
    } else {
        linear_panels(&s->work, &s->linears[matrix].weight, s->input, s->y, s->shape.tokens, false);
    }
}

static float our_y(const struct setting *s, int token, int row)
{
    if (by_rows(s))
        return s->y[(size_t)token * (size_t)s->shape.rows + (size_t)row];
    return s->y[((size_t)(token / LANES) * (size_t)s->shape.rows + (size_t)row) * LANES +
                (size_t)(token % LANES)];
}

static void *allocate(size_t count, size_t size, struct err *e)
{
    void *p = calloc(count, size);
    if (!p)
        err_set(e, ERR_MEMORY, "no memory for %zu values", count);
    return p;
}

/* Uniform in -1..1, by a linear congruential generator (Knuth's MMIX constants). */
static float uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(*state >> 32) * 0x1p-31f;
}

static void random_values(struct setting *s)
{
    uint64_t state = 1;
    uint16_t *weights = s->weights.data;
    const struct onednn_shape *n = &s->shape;
    size_t cols = (size_t)n->cols, matrix = cols * (size_t)n->rows;
    for (size_t i = 0; i < matrix * (size_t)n->matrices; i++) {
        uint32_t bits;
        float v = uniform(&state);
        memcpy(&bits, &v, sizeof bits);
        weights[i] = (uint16_t)(bits >> 16);
    }
    for (int t = 0; t < n->tokens; t++)
        for (size_t k = 0; k < cols; k++) {
            float v = uniform(&state);
            s->x[(size_t)t * cols + k] = v;
            s->lanes[((size_t)(t / LANES) * cols + k) * LANES + (size_t)(t % LANES)] = v;
        }
    for (int i = 0; i < n->matrices; i++)
        s->linears[i].weight = (struct tensor){weights + (size_t)i * matrix, n->rows, n->cols, DTYPE_BF16};
}

static bool prepare_input(struct setting *s, struct err *e)
{
    const struct onednn_shape *n = &s->shape;
    size_t dots = dot_input_bytes(n->cols, n->tokens), panels = packed_bytes(false, n->cols, n->tokens);
    s->input = allocate(dots > panels ? dots : panels, 1, e);
    if (!s->input)
        return false;
    if (by_rows(s)) {
        linear_dot_input(&s->work, input_of(&s->work, &s->linears->weight), s->x, (size_t)n->cols, n->cols,
                         n->tokens, s->input);
    } else if (s->work.bf16) {
        linear_pack(&s->work, &s->linears->weight, s->lanes, n->tokens, s->input);
    } else {
        memcpy(s->input, s->lanes, panels);
    }
    return true;
}

static void setting_clear(struct setting *s)
{
    onednn_free(s->peer);
    free(s->work.thread_scratch);
    free(s->linears);
    pages_free(&s->weights);
    free(s->x);
    free(s->lanes);
    free(s->input);
    free(s->y);
}

static bool setting_init(struct setting *s, const struct onednn_shape *shape, const struct kernels *k,
                         struct pool *pool, struct err *e)
{
    size_t cols = (size_t)shape->cols, rows = (size_t)shape->rows;
    size_t padded = (size_t)panel_count(shape->tokens) * LANES;
    *s = (struct setting){.shape = *shape, .work = {.k = k, .pool = pool, .bf16 = shape->bf16}};
    s->work.thread_scratch_bytes = linear_scratch_bytes(shape->cols);
    s->work.thread_scratch = allocate((size_t)shape->threads, s->work.thread_scratch_bytes, e);
    s->linears = allocate((size_t)shape->matrices, sizeof *s->linears, e);
    s->x = allocate(padded * cols, sizeof *s->x, e);
    s->lanes = allocate(padded * cols, sizeof *s->lanes, e);
    s->y = allocate(padded * rows, sizeof *s->y, e);
    if (!s->work.thread_scratch || !s->linears || !s->x || !s->lanes || !s->y)
        return false;
    if (!pages_alloc(&s->weights, (size_t)shape->matrices * rows * cols * sizeof(uint16_t), e))
        return false;
    random_values(s);
    s->peer = onednn_new(shape, s->weights.data, s->x, e);
    return s->peer && prepare_input(s, e);
}

/* A fast wrong product is worth nothing: the two must agree. Sums of K products of values below 1 differ by
 * rounding alone when they are within 1e-4 of sqrt(K). */
static bool agree(struct setting *s, struct err *e)
{
    run_ours(s, 0);
    if (!onednn_run(s->peer, 0, e))
        return false;
    const float *y = onednn_y(s->peer);
    double bound = 1e-4 * sqrt(s->shape.cols);
    for (int t = 0; t < s->shape.tokens; t++)
        for (int r = 0; r < s->shape.rows; r++) {
            double theirs = y[(size_t)t * (size_t)s->shape.rows + (size_t)r], ours = our_y(s, t, r);
            if (!(fabs(ours - theirs) <= bound))
                return err_set(e, ERR_CORRUPT, "token %d row %d: %g here, %g by oneDNN", t, r, ours, theirs);
        }
    return true;
}

/* Milliseconds of one call, averaged over a turn. */
static bool turn(struct setting *s, bool ours, double *ms, struct err *e)
{
    double start = clock_ms();
    for (int i = 0; i < s->calls; i++) {
        int matrix = i % s->shape.matrices;
        if (ours)
            run_ours(s, matrix);
        else if (!onednn_run(s->peer, matrix, e))
            return false;
    }
    *ms = (clock_ms() - start) / s->calls;
    if (!ours)
        onednn_settle();
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const struct setting *s, const struct rows *rows, double ours, double theirs, double ratio)
{
    char name[96], peer[32], setting[128];
    const struct onednn_shape *n = &s->shape;
    double gflop = 2e-9 * n->rows * n->cols * n->tokens, weights_gb = 2e-9 * n->rows * n->cols;
    snprintf(name, sizeof name, "%s K=%d N=%d M=%d %d threads", n->bf16 ? "bf16" : "f32", n->cols, n->rows,
             n->tokens, n->threads);
    rows_ratio(rows, name, gflop / ours * 1e3, "GFLOP/s", ratio, onednn_name(peer));
    snprintf(setting, sizeof setting, "%s %s", peer, name);
    rows_value(rows, setting, gflop / theirs * 1e3, "GFLOP/s");
    if (by_rows(s))
        rows_value(rows, name, weights_gb / ours * 1e3, "GB/s");
}

/* Turns of both; the values are each side's best turn, the ratio is the median over pairs of turns. */
static bool compare(struct setting *s, int turns, const struct rows *rows, struct err *e)
{
    double first, ours = INFINITY, theirs = INFINITY, ratios[MAX_TURNS];
    s->calls = 1;
    if (!agree(s, e) || !turn(s, true, &first, e))
        return false;
    s->calls = first < TURN_MS ? (int)(TURN_MS / first) + 1 : 1;
    for (int i = 0; i < turns; i++) {
        double a, b;
        if (!turn(s, false, &b, e) || !turn(s, true, &a, e))
            return false;
        ratios[i] = b / a;
        ours = a < ours ? a : ours;
        theirs = b < theirs ? b : theirs;
    }
    qsort(ratios, (size_t)turns, sizeof *ratios, by_value);
    print(s, rows, ours, theirs, ratios[turns / 2]);
    return true;
}

static bool one_setting(const struct options *o, const struct onednn_shape *shape, const struct kernels *k,
                        struct pool *pool, const struct rows *rows, struct err *e)
{
    struct setting s;
    bool ok = setting_init(&s, shape, k, pool, e) && compare(&s, o->turns, rows, e);
    setting_clear(&s);
    return ok || err_wrap(e, "K=%d N=%d M=%d", shape->cols, shape->rows, shape->tokens);
}

static bool all_settings(const struct options *o, const struct kernels *k, bool in_bf16, int threads,
                         const struct rows *rows, struct err *e)
{
    struct pool *pool = pool_new(threads, e);
    bool ok = pool != NULL;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t j = 0; ok && j < sizeof token_counts / sizeof *token_counts; j++) {
            size_t bytes = 2 * (size_t)shapes[i].rows * (size_t)shapes[i].cols;
            struct onednn_shape shape = {.rows = shapes[i].rows,
                                         .cols = shapes[i].cols,
                                         .tokens = token_counts[j],
                                         .matrices = (int)(WEIGHTS_BYTES / bytes) + 1,
                                         .threads = threads,
                                         .bf16 = in_bf16};
            ok = one_setting(o, &shape, k, pool, rows, e);
        }
    pool_free(pool);
    return ok;
}

static bool run(const struct options *o, struct err *e)
{
    struct rows rows;
    const struct kernels *k = kernels_pick(o->cpu);
    if (!k)
        return err_set(e, ERR_USAGE, "--cpu %s: not a kernel table that this CPU runs", o->cpu);
    rows_begin(&rows, "gemm");
    for (int in_bf16 = 1; in_bf16 >= 0; in_bf16--) {
        if ((in_bf16 && !k->multiplies_bf16) || (o->math && strcmp(o->math, in_bf16 ? "bf16" : "f32") != 0))
            continue;
        for (int threads = 1; threads <= rows_cpus(); threads++)
            if (o->threads ? threads == o->threads : threads == 1 || threads == rows_cpus())
                if (!all_settings(o, k, in_bf16, threads, &rows, e))
                    return false;
    }
    return true;
}

static bool parse(int argc, char **argv, struct options *o)
{
    *o = (struct options){.turns = 5};
    const struct option_row rows[] = {
        {"threads", OPTION_NUMBER, &o->threads},
        {"cpu", OPTION_TEXT, &o->cpu},
        {"math", OPTION_TEXT, &o->math},
        {"turns", OPTION_NUMBER, &o->turns},
    };
    return options_parse(argc, argv, rows, sizeof rows / sizeof *rows, NULL) && o->turns <= MAX_TURNS;
}

int main(int argc, char **argv)
{
    struct options o;
    struct err e = {0};
    if (!parse(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    if (!run(&o, &e)) {
        fprintf(stderr, "bench_gemm: %s\n", e.text);
        return 1;
    }
    return 0;
}
