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
    for (int byte = 0; byte < 256; byte++)
        a->byte_of[printable(byte) ? byte : next++] = (short)byte;
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
