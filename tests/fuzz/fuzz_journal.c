/* Any bytes as a journal; and as the lines of one, each with its right checksum. The lines that count, alone,
 * are as many again. */
#include "base/crc32c.h"
#include "transfer/journal.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t size)
{
    int lines, again;
    struct err e = {0};
    if (!journal_check(text, size, &lines, &e))
        abort();
    size_t good = 0;
    for (int i = 0; i < lines; i++)
        good = (size_t)((const char *)memchr(text + good, '\n', size - good) - text) + 1;
    if (!journal_check(text, good, &again, &e) || again != lines)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { CHECK = 12 };
    char *input = malloc(size + 1), *text = malloc((size + 1) * CHECK + size);
    size_t n = 0;
    if (!input || !text)
        abort();
    if (size)
        memcpy(input, data, size);
    input[size] = 0;
    check(input, size);
    for (size_t at = 0; at < size;) {
        const char *end = memchr(input + at, '\n', size - at);
        size_t length = end ? (size_t)(end - (input + at)) : size - at;
        memcpy(text + n, input + at, length);
        n += length;
        n += (size_t)sprintf(text + n, " =%08x\n", crc32c(0, input + at, length));
        at += length + 1;
    }
    check(text, n);
    free(input);
    free(text);
    return 0;
}
