/* gguf_keys.h: what GGUF files of a model say beside their tensors. Part of model/gguf.h. */
#ifndef FERRY_MODEL_GGUF_KEYS_H
#define FERRY_MODEL_GGUF_KEYS_H

#include "model/gguf.h"
#include "model/gguf_file.h"

/* Sizes, tokenizer and template. matrices: what most of them are stored as. */
void gguf_put_language(struct gguf_file *f, const struct gguf_source *s, enum dtype matrices);
void gguf_put_audio(struct gguf_file *f, const struct model *m, enum dtype matrices);

#endif
