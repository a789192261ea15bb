#include "model/dtype.h"

#include "model/blocks.h"
#include "model/half.h"

#include <string.h>

/* https://github.com/huggingface/safetensors, enum Dtype. */
static const struct dtype_info types[] = {
    {"BF16", 16, true, DTYPE_BF16}, {"F16", 16, true, DTYPE_F16},   {"F32", 32, true, DTYPE_F32},
    {.name = "BOOL", .bits = 8},    {.name = "F4", .bits = 4},      {.name = "F6_E2M3", .bits = 6},
    {.name = "F6_E3M2", .bits = 6}, {.name = "U8", .bits = 8},      {.name = "I8", .bits = 8},
    {.name = "F8_E5M2", .bits = 8}, {.name = "F8_E4M3", .bits = 8}, {.name = "F8_E8M0", .bits = 8},
    {.name = "I16", .bits = 16},    {.name = "U16", .bits = 16},    {.name = "I32", .bits = 32},
    {.name = "U32", .bits = 32},    {.name = "C64", .bits = 64},    {.name = "F64", .bits = 64},
    {.name = "I64", .bits = 64},    {.name = "U64", .bits = 64},
};

const struct dtype_info *dtype_find(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

static const struct {
    const char *name;
    size_t bytes;
} computed[] = {
    [DTYPE_BF16] = {"BF16", 2}, [DTYPE_F16] = {"F16", 2},   [DTYPE_F32] = {"F32", 4},
    [DTYPE_Q8_0] = {"q8_0", 1}, [DTYPE_Q4_0] = {"q4_0", 1},
};

size_t dtype_bytes(enum dtype t)
{
    return computed[t].bytes;
}

const char *dtype_name(enum dtype t)
{
    return computed[t].name;
}

size_t tensor_bytes(enum dtype t, int rows, int cols)
{
    if (dtype_is_blocks(t))
        return (size_t)blocks_strips(rows) * blocks_strip_bytes(t, cols);
    return (size_t)rows * (size_t)cols * dtype_bytes(t);
}

void dtype_widen(enum dtype t, const void *values, size_t count, float *out)
{
    const unsigned char *bytes = values;
    if (t == DTYPE_F32) {
        memcpy(out, bytes, count * sizeof *out);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, bytes + i * sizeof half, sizeof half);
        out[i] = t == DTYPE_BF16 ? bf16_value(half) : f16_value(half);
    }
}
