/* Any text decodes to what encodes to exactly that text, or is refused with a message. */
#include "serve/parse/base64.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(char *out, const unsigned char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        size_t n = size - i < 3 ? size - i : 3;
        uint32_t v =
            (uint32_t)bytes[i] << 16 | (n > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) | (n > 2 ? bytes[i + 2] : 0);
        for (size_t k = 0; k < 4; k++)
            *out++ = k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *bytes = malloc(base64_room(size) + 1);
    char *text = malloc(size + 4), *input = malloc(size + 1);
    if (!bytes || !text || !input)
        abort();
    if (size)
        memcpy(input, data, size);
    size_t n;
    struct err e = {0};
    if (base64_decode(bytes, &n, input, size, &e)) {
        encode(text, bytes, n);
        if ((n + 2) / 3 * 4 != size || memcmp(text, input, size) != 0)
            abort();
    } else if (e.kind == ERR_NONE || !*e.text) {
        abort();
    }
    free(bytes);
    free(text);
    free(input);
    return 0;
}
