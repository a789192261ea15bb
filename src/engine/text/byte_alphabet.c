#include "engine/text/byte_alphabet.h"

static bool printable(int byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

void byte_alphabet_init(struct byte_alphabet *a)
{
    for (int code = 0; code < BYTE_ALPHABET_CODES; code++)
        a->byte_of[code] = -1;
    int next = 256;
    for (int byte = 0; byte < 256; byte++) {
        a->code_of[byte] = (short)(printable(byte) ? byte : next++);
        a->byte_of[a->code_of[byte]] = (short)byte;
    }
}

bool byte_alphabet_decode(const struct byte_alphabet *a, const char *text, size_t size, unsigned char *out,
                          size_t *out_size)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        int code = s[i];
        if (code >= 0xc2 && code < 0xe0 && i + 1 < size && (s[i + 1] & 0xc0) == 0x80)
            code = (code & 0x1f) << 6 | (s[++i] & 0x3f); /* the alphabet has no longer characters */
        else if (code >= 0x80)
            return false;
        if (code >= BYTE_ALPHABET_CODES || a->byte_of[code] < 0)
            return false;
        out[n++] = (unsigned char)a->byte_of[code];
    }
    *out_size = n;
    return true;
}

void byte_alphabet_encode(const struct byte_alphabet *a, const unsigned char *bytes, size_t size, char *out)
{
    for (size_t i = 0; i < size; i++) {
        int code = a->code_of[bytes[i]];
        if (code >= 0x80)
            *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(code >= 0x80 ? 0x80 | (code & 0x3f) : code);
    }
    *out = '\0';
}
