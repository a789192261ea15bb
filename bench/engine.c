/* The engine on a model folder: prefill, decode, encoder, each as a fraction of what this machine can do at
 * most, measured just before and after, and beside a peer where one is given. README.md says how to read it.
 */
#include "engine/engine.h"
#include "base/arena.h"
#include "base/clock.h"
#include "cost.h"
#include "engine/audio.h"
#include "engine/kernel/kernels.h"
#include "limits.h"
#include "model/blocks.h"
#include "options.h"
#include "peers.h"
#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_ROUNDS = 21,
    MOST_SEQUENCES = 8,
    SHORT_PROMPT = 16,   /* tokens before a decode that should see little KV */
    LONG_PROMPT = 4096,  /* and much */
    STEPS = 16,          /* of decode in one round */
    MEL_ARENA = 64 << 20 /* bytes; a window's frames take 1.5 MB */
};

static const char usage[] = //
    "usage: bench_engine --model FOLDER [options]\n"
    "  --math NAME                fast or exact (fast)\n"
    "  --kv NAME                  bf16, q8 or f32 (bf16 when fast, f32 when exact)\n"
    "  --cpu NAME                 ref, avx2 or avx512 (the best there is)\n"
    "  --threads N                (all CPUs)\n"
    "  --rounds N                 1 to 21 (3)\n"
    "  --only LIST                some of prefill,decode,long,encoder (all)\n"
    "  --llama-batched-bench PATH llama.cpp's tool, with --gguf FILE of the same weights\n"
    "  --llama-name TEXT          what to call it in the rows (llama.cpp)\n"
    "  --whisper-bench PATH       whisper.cpp's tool, with --whisper-model FILE of the same size\n"
    "  --whisper-name TEXT        what to call it in the rows (whisper.cpp)\n"
    "Peers may also come from FERRY_BENCH_LLAMA, FERRY_BENCH_GGUF, FERRY_BENCH_WHISPER and\n"
    "FERRY_BENCH_WHISPER_MODEL; without one its rows are left out.\n";

struct options {
    const char *model, *only;
    struct engine_options engine;
    int threads, rounds;
    struct peer llama, whisper;
};

struct bench {
    const struct options *o;
    struct rows rows;
    struct pool *pool;
    struct pages stream; /* what limits.h reads */
    struct model model;
    struct engine *engine;
    struct limits before, limits; /* before the round at hand; the mean of before and after it */
    enum kv_type kv;
    char way[24];
    int *ids; /* [LONG_PROMPT] random text tokens */
};

/* ---- what is compared ---- */

/* One number of ours over all rounds: the best; and the median of what it was in each round as a fraction of
 * a limit and of a peer's number. */
struct series {
    double best, of_limit[MAX_ROUNDS], of_peer[MAX_ROUNDS];
    int count;
    bool peer;
};

static void series_add(struct series *s, double ours, double limit, double theirs)
{
    s->best = ours > s->best ? ours : s->best;
    s->peer = theirs > 0;
    s->of_limit[s->count] = limit > 0 ? ours / limit : 0;
    s->of_peer[s->count++] = s->peer ? ours / theirs : 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

static void print_against_peer(const struct bench *b, const char *setting, struct series *s, const char *unit,
                               const struct peer *p)
{
    if (s->peer)
        rows_ratio(&b->rows, setting, s->best, unit, median(s->of_peer, s->count), p->name);
    else
        rows_value(&b->rows, setting, s->best, unit);
}

/* The best again as operations or bytes: `scale` of them (in 1e9) for each of the series' units. */
static void print_against_limit(const struct bench *b, const char *setting, struct series *s, double scale,
                                const char *unit, const char *limit)
{
    rows_ratio(&b->rows, setting, s->best * scale, unit, median(s->of_limit, s->count) * scale, limit);
}

/* "fast", "exact", of weights in blocks "fast q8_0": what the settings of all rows end with. */
static void name_way(struct bench *b)
{
    enum dtype weights = b->model.weights->decoder[0].q.weight.dtype;
    bool blocks = dtype_is_blocks(weights);
    snprintf(b->way, sizeof b->way, "%s%s%s", b->o->engine.math == MATH_EXACT ? "exact" : "fast",
             blocks ? " " : "", blocks ? dtype_name(weights) : "");
}

/* The peak of the arithmetic that products use here. */
static bool uses_bf16(const struct bench *b)
{
    return b->o->engine.math == MATH_FAST && kernels_pick(engine_cpu(b->engine))->multiplies_bf16;
}

static bool uses_int8(const struct bench *b)
{
    return b->o->engine.math == MATH_FAST && b->limits.int8_gop_s > 0 &&
           dtype_is_blocks(b->model.weights->decoder[0].q.weight.dtype);
}

static double peak(const struct bench *b)
{
    return uses_int8(b)   ? b->limits.int8_gop_s
           : uses_bf16(b) ? b->limits.bf16_gflop_s
                          : b->limits.f32_gflop_s;
}

static const char *peak_name(const struct bench *b)
{
    return uses_int8(b) ? "int8 peak" : uses_bf16(b) ? "bf16 peak" : "f32 peak";
}

static void limits_before(struct bench *b)
{
    limits_sample(&b->before, &b->stream, b->pool);
}

static void limits_after(struct bench *b)
{
    struct limits after;
    limits_sample(&after, &b->stream, b->pool);
    b->limits = limits_mean(&b->before, &after);
}

static bool wanted(const struct bench *b, const char *part)
{
    return !b->o->only || strstr(b->o->only, part);
}

/* ---- prefill ---- */

static bool prefill(struct session *s, const struct prompt *p, double *ms, struct err *e)
{
    bool done = false;
    double start = clock_ms();
    if (!session_begin(s, p, e) || !session_prefill(s, INFINITY, &done, e))
        return false;
    *ms = clock_ms() - start;
    return done || err_set(e, ERR_CORRUPT, "prefill stopped half way");
}

static bool prefill_tokens(struct bench *b, int tokens, double *per_s, struct err *e)
{
    struct prompt p = {.ids = b->ids, .count = tokens};
    struct session *s = session_new(b->engine, e);
    double ms;
    bool ok = s && prefill(s, &p, &ms, e);
    if (ok)
        *per_s = tokens * 1e3 / ms;
    session_free(s);
    return ok;
}

static bool bench_prefill_of(struct bench *b, int tokens, struct err *e)
{
    const int one = 1;
    struct series speed = {0};
    char setting[64];
    for (int i = 0; i < b->o->rounds; i++) {
        double ours = 0;
        struct llama_row theirs = {0};
        if (b->o->llama.path && !peer_llama(&b->o->llama, tokens, 1, &one, 1, &theirs, e))
            return false;
        limits_before(b);
        if (!prefill_tokens(b, tokens, &ours, e))
            return false;
        limits_after(b);
        series_add(&speed, ours, peak(b), theirs.prefill_per_s);
    }
    snprintf(setting, sizeof setting, "prefill %d %s", tokens, b->way);
    print_against_peer(b, setting, &speed, "tokens/s", &b->o->llama);
    double gflop = cost_prefill(&b->model.config.text, tokens) / tokens * 1e-9;
    print_against_limit(b, setting, &speed, gflop, "GFLOP/s", peak_name(b));
    return true;
}

static bool bench_prefill(struct bench *b, struct err *e)
{
    static const int counts[] = {32, 128, 512};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (!bench_prefill_of(b, counts[i], e))
            return false;
    return true;
}

/* ---- decode ---- */

/* n sessions with a prompt each. */
static bool open_sessions(struct bench *b, struct session **s, int n, int prompt, struct err *e)
{
    struct prompt p = {.ids = b->ids, .count = prompt};
    for (int i = 0; i < n; i++) {
        double ms;
        s[i] = session_new(b->engine, e);
        if (!s[i] || !prefill(s[i], &p, &ms, e))
            return false;
    }
    return true;
}

static void close_sessions(struct session **s, int n)
{
    for (int i = 0; i < n; i++)
        session_free(s[i]);
}

/* STEPS tokens for each session after one to warm up; tokens per second of all of them together. */
static bool decode_steps(struct bench *b, struct session **s, int n, double *per_s, struct err *e)
{
    double start = 0;
    for (int step = -1; step < STEPS; step++) {
        int tokens[MOST_SEQUENCES];
        for (int i = 0; i < n; i++)
            tokens[i] = b->ids[(step + 1 + i) % LONG_PROMPT];
        if (step == 0)
            start = clock_ms();
        if (!engine_decode(b->engine, s, tokens, n, e))
            return false;
    }
    *per_s = n * STEPS * 1e3 / (clock_ms() - start);
    return true;
}

static bool decode_round(struct bench *b, int n, double *per_s, struct err *e)
{
    struct session *s[MOST_SEQUENCES] = {0};
    bool ok = open_sessions(b, s, n, SHORT_PROMPT, e) && decode_steps(b, s, n, per_s, e);
    close_sessions(s, n);
    return ok;
}

/* GB that one token of one of n sequences costs. */
static double decode_gb(const struct bench *b, int n, int length)
{
    double kv = cost_decode_kv(&b->model.config.text, b->kv, length + STEPS / 2);
    return (cost_decode_weights(b->model.weights) / n + kv) * 1e-9;
}

static const int sequence_counts[] = {1, 2, 4, MOST_SEQUENCES};
enum { COUNTS = sizeof sequence_counts / sizeof *sequence_counts };

static void print_decode(const struct bench *b, struct series *speed)
{
    for (int i = 0; i < COUNTS; i++) {
        char setting[64];
        int n = sequence_counts[i];
        snprintf(setting, sizeof setting, "decode %d sequences %s", n, b->way);
        print_against_peer(b, setting, &speed[i], "tokens/s", &b->o->llama);
        print_against_limit(b, setting, &speed[i], decode_gb(b, n, SHORT_PROMPT), "GB/s", "read");
        if (n > 1)
            rows_ratio(&b->rows, setting, speed[i].best, "tokens/s", speed[i].best / speed[0].best,
                       "1 sequence");
    }
}

static bool bench_decode(struct bench *b, struct err *e)
{
    struct series speed[COUNTS] = {0};
    for (int round = 0; round < b->o->rounds; round++) {
        struct llama_row theirs[COUNTS] = {0};
        if (b->o->llama.path &&
            !peer_llama(&b->o->llama, SHORT_PROMPT, STEPS, sequence_counts, COUNTS, theirs, e))
            return false;
        for (int i = 0; i < COUNTS; i++) {
            double ours = 0;
            limits_before(b);
            if (!decode_round(b, sequence_counts[i], &ours, e))
                return false;
            limits_after(b);
            series_add(&speed[i], ours, b->limits.read_gb_s, theirs[i].decode_per_s);
        }
    }
    print_decode(b, speed);
    return true;
}

static bool bench_long(struct bench *b, struct err *e)
{
    const int one = 1;
    struct session *s[1] = {0};
    struct series speed = {0};
    struct llama_row theirs = {0};
    char setting[64];
    if (b->o->llama.path && !peer_llama(&b->o->llama, LONG_PROMPT, STEPS, &one, 1, &theirs, e))
        return false;
    bool ok = open_sessions(b, s, 1, LONG_PROMPT, e);
    for (int i = 0; ok && i < b->o->rounds; i++) {
        double ours = 0;
        limits_before(b);
        ok = decode_steps(b, s, 1, &ours, e);
        limits_after(b);
        series_add(&speed, ours, b->limits.read_gb_s, theirs.decode_per_s);
    }
    close_sessions(s, 1);
    snprintf(setting, sizeof setting, "decode 1 sequences at %d tokens %s", LONG_PROMPT, b->way);
    if (ok) {
        print_against_peer(b, setting, &speed, "tokens/s", &b->o->llama);
        print_against_limit(b, setting, &speed, decode_gb(b, 1, LONG_PROMPT), "GB/s", "read");
    }
    return ok;
}

/* ---- encoder ---- */

/* A clip of so many seconds: a rising tone, so that every mel band has something. */
static bool make_clip(const struct mel_config *c, double seconds, struct arena *a, struct mel *out,
                      struct err *e)
{
    size_t count = (size_t)(seconds * c->sample_rate);
    float *samples = arena_alloc(a, count, sizeof *samples);
    struct mel_plan *plan = samples ? mel_plan_new(c, e) : NULL;
    for (size_t i = 0; samples && i < count; i++) {
        double t = (double)i / c->sample_rate;
        samples[i] = 0.3f * (float)sin(t * (200 + 100 * t) * 6.283185);
    }
    bool ok = plan && mel_compute(plan, samples, count, a, out, e);
    mel_plan_free(plan);
    return ok || (samples ? false : err_set(e, ERR_MEMORY, "no memory for %g s of audio", seconds));
}

/* The encoder's steps alone: without a budget session_prefill does one step a call, a clip's come first, and
 * they are its layers, its convolutions and its projector. */
static bool encode(struct bench *b, const struct mel *clip, double *ms, struct err *e)
{
    int tokens = mel_tokens(clip->frames), steps = b->model.config.audio.layers + 2;
    int *ids = calloc((size_t)tokens + 1, sizeof *ids);
    struct prompt p = {.ids = ids, .count = tokens + 1, .clips = clip, .clip_count = 1};
    struct session *s = ids ? session_new(b->engine, e) : NULL;
    for (int i = 0; ids && i < tokens; i++)
        ids[i + 1] = b->model.config.audio_token_id;
    bool done = false, ok = s && session_begin(s, &p, e);
    double start = clock_ms();
    for (int i = 0; ok && i < steps; i++)
        ok = session_prefill(s, 0, &done, e);
    *ms = clock_ms() - start;
    session_free(s);
    free(ids);
    return ok || (ids ? false : err_set(e, ERR_MEMORY, "no memory for a prompt"));
}

static const int clip_seconds[] = {1, 3, 10, 30};
enum { CLIPS = sizeof clip_seconds / sizeof *clip_seconds, WINDOW = CLIPS - 1 };

static void print_encoder(const struct bench *b, const struct mel *clips, struct series *speed)
{
    for (int i = 0; i < CLIPS; i++) {
        char setting[64];
        double gflop = cost_encoder(&b->model.config, clips[i].frames) * 1e-9;
        snprintf(setting, sizeof setting, "encoder %d s %s", clip_seconds[i], b->way);
        print_against_peer(b, setting, &speed[i], "clips/s", &b->o->whisper);
        print_against_limit(b, setting, &speed[i], gflop, "GFLOP/s", peak_name(b));
        rows_ratio(&b->rows, setting, 1e3 / speed[i].best, "ms", speed[WINDOW].best / speed[i].best, "30 s");
    }
}

/* The peer always computes a whole window, whatever the clip. */
static bool encoder_rounds(struct bench *b, const struct mel *clips, struct err *e)
{
    struct series speed[CLIPS] = {0};
    for (int round = 0; round < b->o->rounds; round++) {
        double theirs = 0;
        if (b->o->whisper.path && !peer_whisper(&b->o->whisper, &theirs, e))
            return false;
        for (int i = 0; i < CLIPS; i++) {
            double ms = 0;
            limits_before(b);
            if (!encode(b, &clips[i], &ms, e))
                return false;
            limits_after(b);
            series_add(&speed[i], 1e3 / ms, peak(b), theirs > 0 ? 1e3 / theirs : 0);
        }
    }
    print_encoder(b, clips, speed);
    return true;
}

static bool bench_encoder(struct bench *b, struct err *e)
{
    struct mel clips[CLIPS];
    struct arena *a = arena_new(MEL_ARENA);
    bool ok = a || err_set(e, ERR_MEMORY, "no memory for clips");
    for (int i = 0; ok && i < CLIPS; i++)
        ok = make_clip(&b->model.config.mel, clip_seconds[i], a, &clips[i], e);
    ok = ok && encoder_rounds(b, clips, e);
    arena_free(a);
    return ok;
}

/* ---- the whole ---- */

static void print_limits(const struct bench *b, const struct limits *l)
{
    if (l->bf16_gflop_s > 0)
        rows_value(&b->rows, "limit bf16 peak", l->bf16_gflop_s, "GFLOP/s");
    if (uses_int8(b))
        rows_value(&b->rows, "limit int8 peak", l->int8_gop_s, "GOP/s");
    rows_value(&b->rows, "limit f32 peak", l->f32_gflop_s, "GFLOP/s");
    rows_value(&b->rows, "limit read", l->read_gb_s, "GB/s");
}

static bool all_parts(struct bench *b, struct err *e)
{
    double warm;
    if (!prefill_tokens(b, 32, &warm, e) || (wanted(b, "prefill") && !bench_prefill(b, e)))
        return false;
    if ((wanted(b, "decode") && !bench_decode(b, e)) || (wanted(b, "long") && !bench_long(b, e)))
        return false;
    if (b->model.config.family == MODEL_QWEN2_AUDIO && wanted(b, "encoder") && !bench_encoder(b, e))
        return false;
    limits_before(b);
    print_limits(b, &b->before);
    return true;
}

static bool make_ids(struct bench *b, struct err *e)
{
    uint64_t state = 7;
    b->ids = calloc(LONG_PROMPT, sizeof *b->ids);
    if (!b->ids)
        return err_set(e, ERR_MEMORY, "no memory for a prompt");
    for (int i = 0; i < LONG_PROMPT; i++) { /* any ids but the placeholder's; Knuth's MMIX generator */
        state = state * 6364136223846793005u + 1442695040888963407u;
        b->ids[i] = (int)((state >> 33) % (uint64_t)b->model.config.text.vocab);
        if (b->ids[i] == b->model.config.audio_token_id)
            b->ids[i] = 0;
    }
    return true;
}

static bool run(const struct options *o, struct err *e)
{
    struct bench b = {.o = o};
    struct engine_options eo = o->engine;
    eo.parallel = MOST_SEQUENCES;
    b.kv = eo.kv != KV_AUTO ? eo.kv : eo.math == MATH_EXACT ? KV_F32 : KV_BF16;
    bool ok = (b.pool = pool_new(o->threads, e)) != NULL && limits_buffer(&b.stream, b.pool, e) &&
              model_open(&b.model, o->model, FOLDER_AUTO, b.pool, e) &&
              (b.engine = engine_new(&b.model, b.pool, &eo, e)) != NULL && make_ids(&b, e);
    if (ok) {
        rows_begin(&b.rows, "engine");
        name_way(&b);
        ok = all_parts(&b, e);
    }
    free(b.ids);
    engine_free(b.engine);
    model_close(&b.model);
    pages_free(&b.stream);
    pool_free(b.pool);
    return ok;
}

/* A peer needs its tool and a model for it. */
static bool complete(struct peer *p, const char *path, const char *model, int threads)
{
    p->path = p->path ? p->path : getenv(path);
    p->model = p->model ? p->model : getenv(model);
    p->threads = threads;
    return !p->path || p->model;
}

static bool parse(int argc, char **argv, struct options *o)
{
    static const char *const maths[] = {[MATH_FAST] = "fast", [MATH_EXACT] = "exact"};
    static const char *const kvs[] = {
        [KV_AUTO] = "auto", [KV_BF16] = "bf16", [KV_Q8] = "q8", [KV_F32] = "f32"};
    const char *math = "fast", *kv = "auto";
    *o = (struct options){
        .rounds = 3, .threads = rows_cpus(), .llama.name = "llama.cpp", .whisper.name = "whisper.cpp"};
    const struct option_row rows[] = {
        {"model", OPTION_TEXT, &o->model},
        {"math", OPTION_TEXT, &math},
        {"kv", OPTION_TEXT, &kv},
        {"cpu", OPTION_TEXT, &o->engine.cpu},
        {"threads", OPTION_NUMBER, &o->threads},
        {"rounds", OPTION_NUMBER, &o->rounds},
        {"only", OPTION_TEXT, &o->only},
        {"llama-batched-bench", OPTION_TEXT, &o->llama.path},
        {"gguf", OPTION_TEXT, &o->llama.model},
        {"llama-name", OPTION_TEXT, &o->llama.name},
        {"whisper-bench", OPTION_TEXT, &o->whisper.path},
        {"whisper-model", OPTION_TEXT, &o->whisper.model},
        {"whisper-name", OPTION_TEXT, &o->whisper.name},
    };
    if (!options_parse(argc, argv, rows, sizeof rows / sizeof *rows, NULL))
        return false;
    int chosen_math = options_choose(math, maths, sizeof maths / sizeof *maths);
    int chosen_kv = options_choose(kv, kvs, sizeof kvs / sizeof *kvs);
    o->engine.math = (enum math_mode)chosen_math;
    o->engine.kv = (enum kv_type)chosen_kv;
    return o->model && chosen_math >= 0 && chosen_kv >= 0 && o->rounds <= MAX_ROUNDS &&
           complete(&o->llama, "FERRY_BENCH_LLAMA", "FERRY_BENCH_GGUF", o->threads) &&
           complete(&o->whisper, "FERRY_BENCH_WHISPER", "FERRY_BENCH_WHISPER_MODEL", o->threads);
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
        fprintf(stderr, "bench_engine: %s\n", e.text);
        return 1;
    }
    return 0;
}
