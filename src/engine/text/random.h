/* random.h: a random stream of one's own: xoshiro256** 1.0, seeded by splitmix64, as described by Blackman
 * and Vigna, "Scrambled Linear Pseudorandom Number Generators" (2021), https://prng.di.unimi.it. The same
 * seed gives the same numbers on every machine. */
#ifndef FERRY_ENGINE_TEXT_RANDOM_H
#define FERRY_ENGINE_TEXT_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t s[4];
};

static inline void random_seed(struct random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        r->s[i] = z ^ z >> 31;
    }
}

static inline uint64_t random_rotate(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

static inline uint64_t random_next(struct random *r)
{
    uint64_t *s = r->s, result = random_rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = random_rotate(s[3], 45);
    return result;
}

/* 0 <= u < 1, a multiple of 2^-53. */
static inline double random_unit(struct random *r)
{
    return (double)(random_next(r) >> 11) * 0x1p-53;
}

#endif
