/* model_texts.h: the small files of a Hugging Face folder with Qwen2-Audio-7B's layer sizes. */
#ifndef FERRY_BENCH_MODEL_TEXTS_H
#define FERRY_BENCH_MODEL_TEXTS_H

#include "base/err.h"
#include "model/config.h"

struct model_shape {
    int layers;         /* of the decoder */
    int encoder_layers; /* unused when text_only */
    bool text_only;     /* Qwen2ForCausalLM instead of Qwen2-Audio */
};

/* Writes config.json, generation_config.json and preprocessor_config.json to folder and copies the tokenizer
 * files there; *c is what the folder then says. False with *e set. */
bool model_texts_write(const char *folder, const char *tokenizer, const struct model_shape *shape,
                       struct model_config *c, struct err *e);

#endif
