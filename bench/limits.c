#include "limits.h"

#include "base/clock.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* clang-format off */
#define FOR_AVX2 __attribute__((target("avx2,fma")))
#define FOR_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define FOR_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#define FOR_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
/* clang-format on */

enum {
    /* Independent sums: the deepest unit here takes 6 cycles and starts 2 a cycle, 12 hide it. */
    SUMS = 16,
    ROUNDS = 2000000, /* of SUMS instructions: some milliseconds */
    TRIES = 25,       /* of each peak; the best counts */
    PASSES = 2,       /* over the buffer, for each way of reading it */
    LINE = 64,
    STRETCH = 1 << 20,   /* bytes between two looks at whether there is more to read */
    STAGGER = 5 * 1024,  /* between the starts of threads, so that they do not compete for the same banks */
    FAR_AHEAD = 4 * 1024 /* bytes; how far a prefetch runs ahead */
};

static const size_t buffer_bytes = (size_t)2 << 30;

/* ---- peaks ---- */

/* Each keeps its result where the compiler must compute it. */
struct sink {
    _Alignas(LINE) unsigned char bytes[LINE];
};

FOR_BF16 static void bf16_rounds(struct sink *out)
{
    __m512 sum[SUMS];
    __m512bh a = (__m512bh)_mm512_set1_epi32(0x3f803f80), b = (__m512bh)_mm512_set1_epi32(0x3c003c00);
    for (int i = 0; i < SUMS; i++)
        sum[i] = _mm512_set1_ps((float)i);
    for (int n = 0; n < ROUNDS; n++)
        for (int i = 0; i < SUMS; i++)
            sum[i] = _mm512_dpbf16_ps(sum[i], a, b);
    for (int i = 1; i < SUMS; i++)
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    _mm512_store_ps(out->bytes, sum[0]);
}

FOR_AVX512 static void f32_rounds_avx512(struct sink *out)
{
    __m512 sum[SUMS], a = _mm512_set1_ps(1.0f), b = _mm512_set1_ps(0.0078125f);
    for (int i = 0; i < SUMS; i++)
        sum[i] = _mm512_set1_ps((float)i);
    for (int n = 0; n < ROUNDS; n++)
        for (int i = 0; i < SUMS; i++)
            sum[i] = _mm512_fmadd_ps(a, b, sum[i]);
    for (int i = 1; i < SUMS; i++)
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    _mm512_store_ps(out->bytes, sum[0]);
}

FOR_AVX2 static void f32_rounds_avx2(struct sink *out)
{
    enum { FEWER = 12 }; /* of 16 registers */
    __m256 sum[FEWER], a = _mm256_set1_ps(1.0f), b = _mm256_set1_ps(0.0078125f);
    for (int i = 0; i < FEWER; i++)
        sum[i] = _mm256_set1_ps((float)i);
    for (int n = 0; n < ROUNDS; n++)
        for (int i = 0; i < FEWER; i++)
            sum[i] = _mm256_fmadd_ps(a, b, sum[i]);
    for (int i = 1; i < FEWER; i++)
        sum[0] = _mm256_add_ps(sum[0], sum[i]);
    _mm256_store_ps((float *)(void *)out->bytes, sum[0]);
}

FOR_VNNI static void int8_rounds(struct sink *out)
{
    __m512i sum[SUMS], a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(3);
    for (int i = 0; i < SUMS; i++)
        sum[i] = _mm512_set1_epi32(i);
    for (int n = 0; n < ROUNDS; n++)
        for (int i = 0; i < SUMS; i++)
            sum[i] = _mm512_dpbusd_epi32(sum[i], a, b);
    for (int i = 1; i < SUMS; i++)
        sum[0] = _mm512_add_epi32(sum[0], sum[i]);
    _mm512_store_si512(out->bytes, sum[0]);
}

struct peak {
    void (*rounds)(struct sink *out);
    double operations; /* of one call */
};

static void run_peak(void *arg, int thread)
{
    (void)thread;
    const struct peak *p = arg;
    struct sink sink;
    p->rounds(&sink);
}

/* Operations per nanosecond, over all threads: the best of several tries. */
static double peak_rate(struct pool *pool, struct peak p)
{
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        uint64_t start = clock_ns();
        pool_run(pool, run_peak, &p);
        double rate = p.operations * pool_threads(pool) / (double)(clock_ns() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

/* Two operations for each product of SUMS vectors of `products` a round. */
#define OPERATIONS(products, sums) (2.0 * (products) * (sums)*ROUNDS)

static void sample_peaks(struct limits *l, struct pool *pool)
{
    if (__builtin_cpu_supports("avx512f"))
        l->f32_gflop_s = peak_rate(pool, (struct peak){f32_rounds_avx512, OPERATIONS(16, SUMS)});
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        l->f32_gflop_s = peak_rate(pool, (struct peak){f32_rounds_avx2, OPERATIONS(8, 12)});
    if (__builtin_cpu_supports("avx512bf16"))
        l->bf16_gflop_s = peak_rate(pool, (struct peak){bf16_rounds, OPERATIONS(32, SUMS)});
    if (__builtin_cpu_supports("avx512vnni"))
        l->int8_gop_s = peak_rate(pool, (struct peak){int8_rounds, OPERATIONS(64, SUMS)});
}

/* ---- reading ---- */

struct read {
    const unsigned char *data;
    size_t bytes;
    int threads, streams; /* streams: how many places one thread reads in turn */
    bool wide;            /* 512 bits at a time */
    bool ahead;           /* with prefetches */
};

/* `bytes` from each of `streams` places that lie `apart` bytes from one another. */
FOR_AVX512 static void read_avx512(const unsigned char *p, size_t bytes, const struct read *r, size_t apart)
{
    __m512i sum[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                      _mm512_setzero_si512()};
    for (size_t at = 0; at < bytes; at += 4 * LINE)
        for (int s = 0; s < r->streams; s++)
            for (int i = 0; i < 4; i++) {
                const unsigned char *line = p + (size_t)s * apart + at + (size_t)i * LINE;
                if (r->ahead)
                    _mm_prefetch((const char *)line + FAR_AHEAD, _MM_HINT_T0);
                sum[i] = _mm512_or_si512(sum[i], _mm512_loadu_si512(line));
            }
    for (int i = 0; i < 4; i++)
        __asm__ volatile("" : : "v"(sum[i]));
}

FOR_AVX2 static void read_avx2(const unsigned char *p, size_t bytes, const struct read *r, size_t apart)
{
    __m256i sum[8];
    for (int i = 0; i < 8; i++)
        sum[i] = _mm256_setzero_si256();
    for (size_t at = 0; at < bytes; at += 4 * LINE)
        for (int s = 0; s < r->streams; s++)
            for (int i = 0; i < 8; i++) {
                const unsigned char *half = p + (size_t)s * apart + at + (size_t)i * LINE / 2;
                if (r->ahead && i % 2 == 0)
                    _mm_prefetch((const char *)half + FAR_AHEAD, _MM_HINT_T0);
                sum[i] = _mm256_or_si256(sum[i], _mm256_loadu_si256((const __m256i *)(const void *)half));
            }
    for (int i = 0; i < 8; i++)
        __asm__ volatile("" : : "x"(sum[i]));
}

/* The plain twin, for CPUs before AVX2. */
static void read_words(const unsigned char *p, size_t bytes, const struct read *r, size_t apart)
{
    uint64_t sum = 0, word;
    for (size_t at = 0; at < bytes; at += sizeof word)
        for (int s = 0; s < r->streams; s++) {
            memcpy(&word, p + (size_t)s * apart + at, sizeof word);
            sum |= word;
        }
    __asm__ volatile("" : : "r"(sum));
}

/* What one thread reads in one pass: whole stretches, minus one at the end that prefetches may run into. */
static size_t share_bytes(const struct read *r)
{
    size_t share = r->bytes / (size_t)r->threads / (size_t)r->streams / STRETCH - 1;
    return share * STRETCH * (size_t)r->streams;
}

static void read_share(void *arg, int thread)
{
    const struct read *r = arg;
    size_t apart = share_bytes(r) / (size_t)r->streams;
    const unsigned char *p = r->data + (size_t)thread * (share_bytes(r) + STAGGER);
    for (size_t at = 0; at < apart; at += STRETCH) {
        if (r->wide)
            read_avx512(p + at, STRETCH, r, apart);
        else if (__builtin_cpu_supports("avx2"))
            read_avx2(p + at, STRETCH, r, apart);
        else
            read_words(p + at, STRETCH, r, apart);
    }
}

/* Bytes per nanosecond over all passes. */
static double read_rate(struct read r, struct pool *pool)
{
    uint64_t start = clock_ns();
    for (int i = 0; i < PASSES; i++)
        pool_run(pool, read_share, &r);
    return PASSES * (double)share_bytes(&r) * r.threads / (double)(clock_ns() - start);
}

static void touch(void *arg, size_t begin, size_t end, int thread)
{
    (void)thread;
    memset((unsigned char *)arg + begin, 0x5a, end - begin);
}

bool limits_buffer(struct pages *buffer, struct pool *pool, struct err *e)
{
    if (!pages_alloc(buffer, buffer_bytes, e))
        return err_wrap(e, "buffer to measure the memory's speed");
    pool_each(pool, buffer_bytes, (size_t)16 << 20, touch, buffer->data);
    return true;
}

void limits_sample(struct limits *out, const struct pages *buffer, struct pool *pool)
{
    static const struct {
        int streams;
        bool ahead;
    } ways[] = {{1, false}, {1, true}, {2, false}, {4, false}, {4, true}};

    *out = (struct limits){0};
    struct read r = {.data = buffer->data,
                     .bytes = buffer->size,
                     .threads = pool_threads(pool),
                     .wide = __builtin_cpu_supports("avx512f")};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        r.streams = ways[i].streams;
        r.ahead = ways[i].ahead;
        double rate = read_rate(r, pool);
        out->read_gb_s = rate > out->read_gb_s ? rate : out->read_gb_s;
    }
    sample_peaks(out, pool);
}

struct limits limits_mean(const struct limits *a, const struct limits *b)
{
    return (struct limits){
        .read_gb_s = (a->read_gb_s + b->read_gb_s) / 2,
        .bf16_gflop_s = (a->bf16_gflop_s + b->bf16_gflop_s) / 2,
        .f32_gflop_s = (a->f32_gflop_s + b->f32_gflop_s) / 2,
        .int8_gop_s = (a->int8_gop_s + b->int8_gop_s) / 2,
    };
}
