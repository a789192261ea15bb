#include "random_weights.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PIECE = 4 << 20,  /* elements that one task makes and writes */
    QUANTILES = 4096, /* entries of the table that turns 12 random bits into a normal value */
};

static const double bias_deviation = 0.02;

struct writer {
    const struct placement *list;
    struct piece {
        size_t placement;
        uint64_t first; /* element */
    } * pieces;
    size_t count;
    float quantiles[QUANTILES]; /* of the unit normal distribution, rising */
    _Atomic int failed;         /* errno of a write that failed */
};

uint64_t slot_elements(const struct weight_slot *slot)
{
    uint64_t n = 1;
    for (int i = 0; i < slot->dims; i++)
        n *= (uint64_t)slot->shape[i];
    return n;
}

static uint64_t name_hash(const char *name) /* FNV-1a */
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}

/* xoshiro256++ (Blackman and Vigna), seeded by splitmix64 as its authors advise. */
struct random {
    uint64_t s[4];
};

static void random_seed(struct random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->s[i] = z ^ (z >> 31);
    }
}

static inline uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline uint64_t random_next(struct random *r)
{
    uint64_t *s = r->s, out = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return out;
}

/* The value that a unit normal variable stays under with probability p. */
static double normal_quantile(double p)
{
    double low = -6, high = 6;
    for (int i = 0; i < 40; i++) {
        double middle = (low + high) / 2;
        if (0.5 * erfc(-middle / sqrt(2)) < p)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

static uint16_t to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/* Mean and deviation of a tensor's values. */
static void distribution(const struct weight_slot *slot, double *mean, double *deviation)
{
    bool bias = strstr(slot->name, ".bias") != NULL;
    *mean = slot->dims == 1 && !bias ? 1 : 0;
    *deviation = bias ? bias_deviation : 0;
    if (slot->dims > 1)
        *deviation = 1 / sqrt((double)slot_elements(slot) / slot->shape[0]);
}

static void make_piece(const struct writer *w, const struct placement *p, uint64_t first, size_t n,
                       uint16_t *out)
{
    double mean, deviation;
    uint16_t table[QUANTILES];
    distribution(p->slot, &mean, &deviation);
    for (int i = 0; i < QUANTILES; i++)
        table[i] = to_bf16((float)(mean + deviation * w->quantiles[i]));

    struct random r;
    random_seed(&r, name_hash(p->slot->name) + first);
    for (size_t i = 0; i < n; i += 4) { /* the buffer has room for whole fours */
        uint64_t bits = random_next(&r);
        for (int k = 0; k < 4; k++, bits >>= 16)
            out[i + (size_t)k] = table[bits % QUANTILES];
    }
}

static bool write_all(int fd, const unsigned char *bytes, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, bytes, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return true;
}

static void write_pieces(void *arg, size_t begin, size_t end, int thread)
{
    (void)thread;
    struct writer *w = arg;
    void *buffer = malloc(PIECE * dtype_bytes(DTYPE_BF16));
    for (size_t i = begin; buffer && i < end && !atomic_load(&w->failed); i++) {
        const struct placement *p = &w->list[w->pieces[i].placement];
        uint64_t first = w->pieces[i].first, left = slot_elements(p->slot) - first;
        size_t n = left < PIECE ? (size_t)left : PIECE, bytes = dtype_bytes(DTYPE_BF16);
        make_piece(w, p, first, n, buffer);
        if (!write_all(p->fd, buffer, n * bytes, p->offset + first * bytes))
            atomic_store(&w->failed, errno ? errno : EIO);
    }
    if (!buffer)
        atomic_store(&w->failed, ENOMEM);
    free(buffer);
}

static bool cut_pieces(struct writer *w, size_t count)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++)
        room += (size_t)(slot_elements(w->list[i].slot) / PIECE) + 1;
    w->pieces = calloc(room ? room : 1, sizeof *w->pieces);
    for (size_t i = 0; w->pieces && i < count; i++)
        for (uint64_t at = 0; at < slot_elements(w->list[i].slot); at += PIECE)
            w->pieces[w->count++] = (struct piece){i, at};
    return w->pieces != NULL;
}

bool random_weights_write(const struct placement *list, size_t count, struct pool *pool, struct err *e)
{
    struct writer *w = calloc(1, sizeof *w);
    int failed = ENOMEM;
    if (w) {
        w->list = list;
        for (int i = 0; i < QUANTILES; i++)
            w->quantiles[i] = (float)normal_quantile((i + 0.5) / QUANTILES);
        if (cut_pieces(w, count)) {
            pool_each(pool, w->count, 1, write_pieces, w);
            failed = atomic_load(&w->failed);
        }
        free(w->pieces);
        free(w);
    }
    errno = failed;
    return failed == 0 || err_errno(e, "writing random weights");
}
