/* A safetensors file. What is accepted must cover its data exactly, in order. */
#include "model/safetensors.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors s;
    struct err e = {0};
    size_t n;
    if (size < SAFETENSORS_LENGTH_BYTES || !safetensors_header_bytes(data, size, &n, &e))
        return 0;
    if (!safetensors_parse(&s, (const char *)data + SAFETENSORS_LENGTH_BYTES, n, size, &e)) {
        check(e.kind != ERR_NONE && e.text[0] && !strchr(e.text, '\n'));
        return 0;
    }
    uint64_t at = SAFETENSORS_LENGTH_BYTES + n;
    for (size_t i = 0; i < s.count; i++) {
        const struct safetensor *t = &s.tensors[i];
        uint64_t bits = (uint64_t)t->dtype->bits;
        for (int d = 0; d < t->dims; d++)
            bits *= t->shape[d];
        check(t->begin == at && t->end >= t->begin && bits == 8 * (t->end - t->begin));
        at = t->end;
    }
    check(at == size);
    safetensors_clear(&s);
    return 0;
}
