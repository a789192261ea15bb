#include "serve/parse/base64.h"

#include <stdint.h>

enum { BAD = 0xff };

/* The six bits of a character, or BAD. */
static inline unsigned bits_of(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26u;
    if (c >= '0' && c <= '9')
        return c - '0' + 52u;
    return c == '+' ? 62 : c == '/' ? 63 : BAD;
}

static bool name_bad_character(const char *text, size_t begin, size_t end, struct err *e)
{
    for (size_t i = begin; i < end; i++) {
        unsigned char c = (unsigned char)text[i];
        if (bits_of(c) == BAD)
            return err_set(e, ERR_CORRUPT,
                           "character 0x%02x at %zu is not base64 (A-Z a-z 0-9 + / and = at the end)", c, i);
    }
    return false;
}

/* The last four characters, of which one or two may be padding. */
static bool decode_tail(unsigned char *out, size_t *n, const char *text, size_t at, struct err *e)
{
    const char *t = text + at;
    int chars = t[3] != '=' ? 4 : t[2] != '=' ? 3 : 2;
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        unsigned b = i < chars ? bits_of((unsigned char)t[i]) : 0;
        if (b == BAD)
            return name_bad_character(text, at, at + (size_t)chars, e);
        v = v << 6 | b;
    }
    if (v & ((1u << 8 * (4 - chars)) - 1))
        return err_set(e, ERR_CORRUPT,
                       "the unused bits of the last character are not zero: was the text cut?");
    for (int i = 0; i < chars - 1; i++)
        out[(*n)++] = (unsigned char)(v >> (16 - 8 * i));
    return true;
}

bool base64_decode(unsigned char *out, size_t *out_size, const char *text, size_t size, struct err *e)
{
    *out_size = 0;
    if (size % 4)
        return err_set(e, ERR_CORRUPT,
                       "%zu characters are not a multiple of 4: was padding (=) left out, or the text cut?",
                       size);
    size_t n = 0;
    for (size_t i = 0; i + 4 < size; i += 4) {
        const unsigned char *t = (const unsigned char *)text + i;
        unsigned a = bits_of(t[0]), b = bits_of(t[1]), c = bits_of(t[2]), d = bits_of(t[3]);
        if ((a | b | c | d) & 0xc0)
            return name_bad_character(text, i, i + 4, e);
        uint32_t v = a << 18 | b << 12 | c << 6 | d;
        out[n++] = (unsigned char)(v >> 16);
        out[n++] = (unsigned char)(v >> 8);
        out[n++] = (unsigned char)v;
    }
    if (size && !decode_tail(out, &n, text, size - 4, e))
        return false;
    *out_size = n;
    return true;
}
