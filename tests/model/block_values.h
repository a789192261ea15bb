/* block_values.h: the numbers that tests/data/blocks was made from, and what they try. Exact in f32 with any
 * compiler: integers, powers of two and single products. */
#ifndef FERRY_TESTS_MODEL_BLOCK_VALUES_H
#define FERRY_TESTS_MODEL_BLOCK_VALUES_H

#include <stdint.h>

/* No multiples of the 16 rows and 64 columns of a tile. */
enum { VALUE_ROWS = 35, VALUE_COLS = 96, VALUE_BLOCKS = VALUE_COLS / 32 };

enum value_kind {
    VALUES_EVEN,      /* all of -1..1 */
    VALUES_SMALL,     /* weights of a usual size */
    VALUES_TAILS,     /* a few much larger than the rest */
    VALUES_ZERO,      /* of both signs */
    VALUES_LONELY,    /* one that is not zero */
    VALUES_EQUAL,     /* all the same */
    VALUES_OPPOSED,   /* the largest twice, with either sign: the first counts */
    VALUES_HALVES_Q8, /* d is 1, so every q lies between two whole numbers */
    VALUES_HALVES_Q4,
    VALUES_SUBNORMAL, /* d is a subnormal f16 */
    VALUES_VANISHING, /* d is 0 as an f16 */
    VALUES_LARGE,     /* d is near the largest f16 */
    VALUES_OVERFLOW,  /* d is infinite as an f16 */
    VALUE_KINDS,
};

/* -1 to 1, evenly, 2^-23 apart. */
static inline float spread(uint32_t i)
{
    uint32_t h = i * 2654435761u;
    h = (h ^ h >> 15) * 2246822519u;
    h = (h ^ h >> 13) * 3266489917u;
    return (float)((int32_t)(h ^ h >> 16) >> 8) * 0x1p-23f;
}

static inline enum value_kind value_kind(int row, int block)
{
    return (enum value_kind)((row * VALUE_BLOCKS + block) % VALUE_KINDS);
}

static inline float block_value(int row, int col)
{
    int k = col % 32;
    float v = spread((uint32_t)(row * VALUE_COLS + col));
    switch (value_kind(row, col / 32)) {
    case VALUES_EVEN:
        return v;
    case VALUES_SMALL:
        return v * 0x1p-6f;
    case VALUES_TAILS:
        return v * v * v * v * v * 8;
    case VALUES_ZERO:
        return k % 2 ? -0.0f : 0.0f;
    case VALUES_LONELY:
        return k == row % 32 ? v : 0;
    case VALUES_EQUAL:
        return spread((uint32_t)row);
    case VALUES_OPPOSED:
        return k == 9 ? 1.0f : k == 20 ? -1.0f : v * 0.5f;
    case VALUES_HALVES_Q8:
        return k == 0 ? -127.0f : (float)(k * 7 - 112) + 0.5f;
    case VALUES_HALVES_Q4:
        return k == 31 ? -8.0f : (float)(k % 16 - 8) + 0.5f;
    case VALUES_SUBNORMAL:
        return v * 0x1p-14f;
    case VALUES_VANISHING:
        return v * 0x1p-30f;
    case VALUES_LARGE:
        return v * 0x1p19f;
    case VALUES_OVERFLOW:
        return v * 0x1p24f;
    case VALUE_KINDS:
        break;
    }
    return 0;
}

#endif
