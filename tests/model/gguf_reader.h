/* gguf_reader.h: reads GGUF files back, written from the format's description alone (docs/gguf.md of
 * https://github.com/ggml-org/ggml), so that it shares no mistake with what writes them. Anything that is
 * not as described fails the test. */
#ifndef FERRY_TESTS_MODEL_GGUF_READER_H
#define FERRY_TESTS_MODEL_GGUF_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { READER_KEYS = 64, READER_TENSORS = 200 };

struct reader_text {
    const char *at; /* not NUL-terminated */
    uint64_t size;
};

struct reader_key {
    struct reader_text name;
    uint32_t type, item_type; /* 9: an array of item_type */
    uint64_t count;           /* of items */
    const unsigned char *at;  /* of the value, of the first item */
};

struct reader_tensor {
    struct reader_text name;
    uint64_t dims[4];
    uint32_t dim_count, type;
    const unsigned char *data;
    size_t bytes, values;
};

struct reader {
    struct reader_key keys[READER_KEYS];
    struct reader_tensor tensors[READER_TENSORS];
    size_t key_count, tensor_count;
};

/* bytes must outlive it. Checks that tensors are aligned, in bounds, and do not overlap. */
void reader_open(struct reader *r, const unsigned char *bytes, size_t size);

const struct reader_key *reader_find_key(const struct reader *r, const char *name); /* or NULL */
const struct reader_tensor *reader_find_tensor(const struct reader *r, const char *name);

bool reader_same(struct reader_text t, const char *text);
/* The n-th text of an array. Linear in n. */
struct reader_text reader_item_text(const struct reader_key *k, uint64_t n);
/* A value as text: "42", "0.5", "true", "gpt2"; of an array "[3]". */
void reader_print(const struct reader_key *k, char *out, size_t room);

/* The value that element i of a tensor has. */
float reader_value(const struct reader_tensor *t, size_t i);

#endif
