#include "base/crc32c.h"

#include <string.h>
#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#endif

/* A CRC is a polynomial modulo P over GF(2), here as everywhere in this file with its bits reflected: bit 31
 * is x^0. 1 is therefore 0x80000000, and multiplying by x is a shift to the right. */
static const uint32_t polynomial = 0x82F63B78, one = 0x80000000, x_to_8 = 0x00800000;

/* What four bits that leave on the right leave behind: i * x^4 mod P. */
static const uint32_t nibble[16] = {
    0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
    0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9, 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75,
};

uint32_t crc32c_ref(uint32_t crc, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)
/* The instruction takes three cycles and a new one can begin in each, so three streams run side by side. */
enum { STREAM_BYTES = 2048, STREAMS_BYTES = 3 * STREAM_BYTES };

/* x^(8 * STREAM_BYTES - 33) mod P. The other 33: the carry-less product of two reflected 32-bit values stands
 * one place too low, and the instruction that reduces it multiplies by x^32. */
static const uint32_t stream_shift = 0xA51B6135;

__attribute__((target("sse4.2"))) static uint64_t add_8(uint64_t crc, const unsigned char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return _mm_crc32_u64(crc, word);
}

/* The register after STREAM_BYTES zero bytes. */
__attribute__((target("sse4.2,pclmul"))) static uint64_t skip_stream(uint64_t crc)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi64_si128(stream_shift), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

__attribute__((target("sse4.2,pclmul"))) static uint64_t add_streams(uint64_t a, const unsigned char *p)
{
    uint64_t b = 0, c = 0;
    for (size_t i = 0; i < STREAM_BYTES; i += 8) {
        a = add_8(a, p + i);
        b = add_8(b, p + STREAM_BYTES + i);
        c = add_8(c, p + 2 * STREAM_BYTES + i);
    }
    return skip_stream(skip_stream(a) ^ b) ^ c;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc32c_sse42(uint32_t crc, const unsigned char *p,
                                                                      size_t size)
{
    uint64_t state = ~crc;
    for (; size >= STREAMS_BYTES; p += STREAMS_BYTES, size -= STREAMS_BYTES)
        state = add_streams(state, p);
    for (; size >= 8; p += 8, size -= 8)
        state = add_8(state, p);
    for (; size; p++, size--)
        state = _mm_crc32_u8((uint32_t)state, *p);
    return ~(uint32_t)state;
}
#endif

uint32_t crc32c(uint32_t crc, const void *bytes, size_t size)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        return crc32c_sse42(crc, bytes, size);
#endif
    return crc32c_ref(crc, bytes, size);
}

static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = one; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b >> 1 ^ (b & 1 ? polynomial : 0);
    }
    return product;
}

uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t size_b)
{
    uint32_t shift = one, square = x_to_8; /* x^8, x^16, x^32, … */
    for (; size_b; size_b >>= 1) {
        if (size_b & 1)
            shift = multiply(shift, square);
        square = multiply(square, square);
    }
    return multiply(a, shift) ^ b; /* the start and final xors cancel out */
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void crc32c_print(uint32_t crc, char out[CRC32C_TEXT])
{
    uint64_t bits = (uint64_t)crc << 4; /* six digits of six bits, the last four bits empty */
    for (int i = 0; i < 6; i++)
        out[i] = digits[bits >> (30 - 6 * i) & 63];
    memcpy(out + 6, "==", 3);
}

bool crc32c_parse(const char *text, size_t size, uint32_t *crc)
{
    uint64_t bits = 0;
    if (size != 8 || memcmp(text + 6, "==", 2) != 0)
        return false;
    for (int i = 0; i < 6; i++) {
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
        if (!digit)
            return false;
        bits = bits << 6 | (uint64_t)(digit - digits);
    }
    if (bits & 15)
        return false;
    *crc = (uint32_t)(bits >> 4);
    return true;
}
