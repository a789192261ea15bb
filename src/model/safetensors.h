/* safetensors.h: the header of a safetensors file, checked whole before a byte of data is looked at.
 *
 * The file: 8 bytes little-endian header length, that many bytes of JSON, the data. Offsets in the JSON count
 * from the end of the header; here they are turned into positions in the file. As in the reference
 * (https://github.com/huggingface/safetensors) the tensors must cover the data exactly: no overlap, no hole,
 * no rest. Beyond it each tensor must start at a multiple of its element size, so that it can be used where
 * it lies, and a file may hold at most SAFETENSORS_MAX_TENSORS. */
#ifndef FERRY_MODEL_SAFETENSORS_H
#define FERRY_MODEL_SAFETENSORS_H

#include "base/err.h"
#include "model/dtype.h"

#include <stddef.h>
#include <stdint.h>

enum {
    SAFETENSORS_LENGTH_BYTES = 8,
    SAFETENSORS_MAX_HEADER = 100000000, /* bytes; the reference's limit */
    SAFETENSORS_MAX_TENSORS = 100000,   /* per file; the largest known models have some thousands in each */
    SAFETENSORS_MAX_DIMS = 8,
};

struct safetensor {
    const char *name; /* lives as long as the struct safetensors */
    const struct dtype_info *dtype;
    uint64_t shape[SAFETENSORS_MAX_DIMS];
    int dims;
    uint64_t begin, end; /* bytes in the file */
};

struct safetensors {
    struct safetensor *tensors; /* [count], in file order */
    size_t count;
    void *json; /* owns the names */
};

/* The JSON's length from the first 8 bytes of a file of file_bytes. */
bool safetensors_header_bytes(const unsigned char first[SAFETENSORS_LENGTH_BYTES], uint64_t file_bytes,
                              size_t *header_bytes, struct err *e);

/* The JSON of that length (no NUL needed behind it). False with *e set and *s empty; the message names the
 * tensor, what is wrong with it and what was expected. */
bool safetensors_parse(struct safetensors *s, const char *header, size_t header_bytes, uint64_t file_bytes,
                       struct err *e);
/* A value of "__metadata__", or NULL. Lives as long as the struct. */
const char *safetensors_metadata(const struct safetensors *s, const char *key);
void safetensors_clear(struct safetensors *s); /* a zeroed one is fine */

#endif
