/* utf8_piece.h: bytes taken apart into characters, with Python's idea of what is wrong with them. */
#ifndef FERRY_ENGINE_TEXT_UTF8_PIECE_H
#define FERRY_ENGINE_TEXT_UTF8_PIECE_H

#include <stddef.h>
#include <stdint.h>

enum utf8_kind {
    UTF8_CHARACTER,
    UTF8_INVALID,    /* a maximal invalid part (Unicode 15, 3.9, U+FFFD substitution of maximal subparts) */
    UTF8_UNFINISHED, /* right so far, but the character needs more bytes than there are */
};

struct utf8_piece {
    enum utf8_kind kind;
    size_t size; /* bytes it takes, at least 1 */
};

/* What s[0..n) begins with, n >= 1. Reads no further than it must, never past n. */
static inline struct utf8_piece utf8_piece(const unsigned char *s, size_t n)
{
    unsigned char c = s[0];
    if (c < 0x80)
        return (struct utf8_piece){UTF8_CHARACTER, 1};
    size_t length = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (length == 0)
        return (struct utf8_piece){UTF8_INVALID, 1};
    /* The second byte's range rules out overlong forms, surrogates and what lies over U+10FFFF (RFC 3629). */
    unsigned char least = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    unsigned char most = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < length; i++) {
        if (i == n)
            return (struct utf8_piece){UTF8_UNFINISHED, n};
        if (s[i] < least || s[i] > most)
            return (struct utf8_piece){UTF8_INVALID, i};
        least = 0x80;
        most = 0xbf;
    }
    return (struct utf8_piece){UTF8_CHARACTER, length};
}

/* The code point that valid UTF-8 begins with; *size: its bytes. */
static inline int32_t utf8_code(const unsigned char *s, size_t *size)
{
    if (s[0] < 0x80) {
        *size = 1;
        return s[0];
    }
    *size = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    int32_t code = s[0] & (0x7f >> *size);
    for (size_t i = 1; i < *size; i++)
        code = code << 6 | (s[i] & 0x3f);
    return code;
}

/* How many bytes at the beginning are whole characters; n when all are. */
static inline size_t utf8_valid(const unsigned char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        struct utf8_piece p = utf8_piece(s + i, n - i);
        if (p.kind != UTF8_CHARACTER)
            break;
        i += p.size;
    }
    return i;
}

#endif
