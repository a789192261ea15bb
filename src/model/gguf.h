/* gguf.h: a model as the GGUF files that llama.cpp and its relatives read, so that other tools can check
 * ours: the language model with its tokenizer, and the audio tower with the projector ("mmproj") in a second
 * file.
 *
 * Names of keys and tensors are those that llama.cpp's "qwen2" and "clip" architectures look for. Matrices
 * have the values and, in blocks, the very blocks of a pack of that encoding (model/pack.h); vectors and
 * positions are F32, convolutions F16, which is all that llama.cpp computes them in. Tensors stand in the
 * order of the slots. */
#ifndef FERRY_MODEL_GGUF_H
#define FERRY_MODEL_GGUF_H

#include "base/err.h"
#include "model/folder.h"
#include "model/pack.h"
#include "model/vocabulary.h"

enum gguf_part { GGUF_LANGUAGE, GGUF_AUDIO };

struct gguf_source {
    const struct model *model;
    const enum pack_encoding *encoding;  /* NULL: matrices as the folder has them; a pack has no other way */
    const struct vocabulary *vocabulary; /* for GGUF_LANGUAGE */
    const char *chat_template;           /* NULL: none */
};

/* One file, planned: its header and where each tensor will lie. */
struct gguf;

/* s and what it points to must outlive it. NULL with *e set: the model has no audio tower, or is encoded
 * already and `encoding` asks for something; no memory. */
struct gguf *gguf_new(const struct gguf_source *s, enum gguf_part part, struct err *e);
void gguf_free(struct gguf *g); /* NULL is fine */
uint64_t gguf_bytes(const struct gguf *g);
enum dtype gguf_matrices(const struct gguf *g); /* what most of its matrices are */

/* The whole file to out, from its first byte to its last, without gaps. False with *e set: what out said; a
 * value that its type cannot hold (ERR_CORRUPT, with its place); no memory. */
bool gguf_write(const struct gguf *g, pack_out_fn out, void *arg, struct err *e);

#endif
