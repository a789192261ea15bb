/* half.h: f16 (IEEE 754 binary16) and bf16 (the upper half of an f32), without help of the CPU: for encoding
 * and for places that are not hot. */
#ifndef FERRY_MODEL_HALF_H
#define FERRY_MODEL_HALF_H

#include <stdint.h>
#include <string.h>

static inline float f32_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t bits_of_f32(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float bf16_value(uint16_t h)
{
    return f32_of_bits((uint32_t)h << 16);
}

/* Nearest, ties to even; a NaN stays one. */
static inline uint16_t bf16_nearest(float f)
{
    uint32_t bits = bits_of_f32(f);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Every f16 is an f32: the exponent is moved, by a product where it may be subnormal. */
static inline float f16_value(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = (uint32_t)(h & 0x7fff) << 13;
    if (rest >= 0x0f800000) /* infinite or not a number */
        return f32_of_bits(sign | rest | 0x7f800000);
    return f32_of_bits(bits_of_f32(f32_of_bits(rest) * 0x1p112f) | sign);
}

/* Nearest, ties to even; too large is infinite. */
static inline uint16_t f16_nearest(float f)
{
    uint32_t bits = bits_of_f32(f), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    if (rest > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (rest >= 0x47800000) /* 2^16 */
        return (uint16_t)(sign | 0x7c00);
    if (rest < 0x38800000) { /* below 2^-14: a subnormal is a multiple of 2^-24, which adding 0.5 rounds to */
        uint32_t subnormal = bits_of_f32(f32_of_bits(rest) + 0.5f) - bits_of_f32(0.5f);
        return (uint16_t)(sign | subnormal);
    }
    rest += 0xfff + (rest >> 13 & 1);
    return (uint16_t)(sign | ((rest - 0x38000000) >> 13));
}

#endif
