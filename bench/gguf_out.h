/* gguf_out.h: the language model of a folder as one GGUF file, with the same values, for llama.cpp and its
 * relatives. Written from the format's description (docs/gguf.md of github.com/ggml-org/ggml, version 3) and
 * the names that their "qwen2" architecture asks for. */
#ifndef FERRY_BENCH_GGUF_OUT_H
#define FERRY_BENCH_GGUF_OUT_H

#include "base/err.h"
#include "base/pool.h"
#include "model/config.h"
#include "model/weights.h"

/* tokenizer: a folder with vocab.json, merges.txt and tokenizer_config.json. False with *e set. */
bool gguf_out_write(const char *path, const char *tokenizer, const struct model_config *c,
                    const struct weights *w, struct pool *pool, struct err *e);

#endif
