#include "model/dtype.h"

#include <string.h>

/* https://github.com/huggingface/safetensors, enum Dtype. The first rows stand in the order of enum dtype. */
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

size_t dtype_bytes(enum dtype t)
{
    return (size_t)types[t].bits / 8;
}

const char *dtype_name(enum dtype t)
{
    return types[t].name;
}
