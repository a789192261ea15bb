/* dtype.h: every element type a safetensors file may name, and which of them Ferry computes with. */
#ifndef FERRY_MODEL_DTYPE_H
#define FERRY_MODEL_DTYPE_H

#include "model/weights.h"

#include <stdbool.h>

struct dtype_info {
    const char *name; /* as safetensors spells it */
    int bits;         /* of one element; some are smaller than a byte */
    bool computed;    /* weights may have it; dtype says which one it is */
    enum dtype dtype;
};

/* NULL when the format knows no such type. */
const struct dtype_info *dtype_find(const char *name);

/* BF16, F16 or F32 to f32, exactly; `values` need no alignment. */
void dtype_widen(enum dtype t, const void *values, size_t count, float *out);

#endif
