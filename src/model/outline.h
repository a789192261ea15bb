/* outline.h: the few sizes that nearly every config.json states, for planning with models that Ferry itself
 * does not compute. What is missing or makes no sense is 0: unknown. */
#ifndef FERRY_MODEL_OUTLINE_H
#define FERRY_MODEL_OUTLINE_H

#include "base/err.h"

enum { OUTLINE_TYPE = 64 };

struct model_outline {
    char type[OUTLINE_TYPE];  /* model_type; "" */
    char dtype[OUTLINE_TYPE]; /* torch_dtype or dtype: "bfloat16"; "" */
    /* Of the part that writes: of the object itself, of text_config, llm_config or language_config in it. */
    int layers, kv_heads, head_dim;
    int max_positions;
    bool plain_cache; /* keys and values of every position in every layer: what layers, kv_heads and head_dim
                         say. Not so when they are compressed (kv_lora_rank) or layers have other states */
};

/* False with *e set (ERR_CORRUPT): no JSON object. */
bool model_outline_parse(struct model_outline *o, const char *config, struct err *e);

#endif
