/* byte_alphabet.h: byte-level BPE writes each byte of a token as one printable character (GPT-2's
 * bytes_to_unicode): "Ġthe" in the files is " the". */
#ifndef FERRY_ENGINE_TEXT_BYTE_ALPHABET_H
#define FERRY_ENGINE_TEXT_BYTE_ALPHABET_H

#include <stdbool.h>
#include <stddef.h>

enum {
    BYTE_ALPHABET_CODES = 256 + 68, /* 68 bytes have no printable character of their own */
    BYTE_ALPHABET_WIDEST = 2,       /* bytes that a character takes at most */
};

struct byte_alphabet {
    short byte_of[BYTE_ALPHABET_CODES]; /* by code point; -1: none */
    short code_of[256];
};

void byte_alphabet_init(struct byte_alphabet *a);

/* text[0..size) in the alphabet to bytes (at most size of them) at out. False at a character outside it. */
bool byte_alphabet_decode(const struct byte_alphabet *a, const char *text, size_t size, unsigned char *out,
                          size_t *out_size);

/* The other way: BYTE_ALPHABET_WIDEST * size + 1 bytes at out are enough. */
void byte_alphabet_encode(const struct byte_alphabet *a, const unsigned char *bytes, size_t size, char *out);

#endif
