/* gguf_file.h: the beginning of a GGUF file: metadata, and the list of tensors with their places.
 *
 * The format: docs/gguf.md of https://github.com/ggml-org/ggml, version 3. All little-endian: "GGUF",
 * version, number of tensors and of keys; each key with the type of its value; each tensor with its name,
 * dimensions (the fastest first), type and place counted from where the data begins; then the data, each
 * tensor at a multiple of 32. Its bytes are the caller's business: this knows no weights. One thread. */
#ifndef FERRY_MODEL_GGUF_FILE_H
#define FERRY_MODEL_GGUF_FILE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { GGUF_ALIGNMENT = 32, GGUF_MAX_DIMS = 4 };

/* By their numbers in the format. */
enum gguf_value { GGUF_U32 = 4, GGUF_I32 = 5, GGUF_REAL32 = 6, GGUF_BOOL = 7, GGUF_TEXT = 8, GGUF_ARRAY = 9 };
enum gguf_type { GGUF_F32 = 0, GGUF_F16 = 1, GGUF_Q4_0 = 2, GGUF_Q8_0 = 8, GGUF_BF16 = 30 };

struct gguf_file;

struct gguf_file *gguf_file_new(struct err *e); /* NULL: no memory */
void gguf_file_free(struct gguf_file *f);       /* NULL is fine */

void gguf_put_u32(struct gguf_file *f, const char *key, uint32_t value);
void gguf_put_real(struct gguf_file *f, const char *key, float value);
void gguf_put_bool(struct gguf_file *f, const char *key, bool value);
void gguf_put_text(struct gguf_file *f, const char *key, const char *value);

/* An array's key, then exactly count items of that type. */
void gguf_put_array(struct gguf_file *f, const char *key, enum gguf_value type, size_t count);
void gguf_item_text(struct gguf_file *f, const char *value);
void gguf_item_i32(struct gguf_file *f, int32_t value);

/* The next tensor; dims [count]. Its place, counted from where the data begins. */
uint64_t gguf_add_tensor(struct gguf_file *f, const char *name, const uint64_t *dims, int count,
                         enum gguf_type type, uint64_t bytes);

/* All of that as bytes, up to where the data begins: *size, a multiple of the alignment. The file's until it
 * is freed; nothing may be put any more. NULL with *e set: no memory. */
const char *gguf_file_header(struct gguf_file *f, size_t *size, struct err *e);
uint64_t gguf_data_bytes(const struct gguf_file *f); /* of all tensors, a multiple of the alignment */

#endif
