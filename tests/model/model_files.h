/* model_files.h: model folders made for tests: right ones from a config, and ones that are wrong in one
 * place. */
#ifndef FERRY_TESTS_MODEL_MODEL_FILES_H
#define FERRY_TESTS_MODEL_MODEL_FILES_H

#include "model/weights.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define TINY_AUDIO "data/models/tiny-qwen2-audio"

/* A tiny Qwen2ForCausalLM: grouped keys, tied head, another rope_theta. */
extern const char tiny_text_config[];

/* A folder under $TMPDIR or /tmp. NULL when it cannot be made. scratch_free removes it with all files in it.
 */
struct scratch;
struct scratch *scratch_new(void);
void scratch_free(struct scratch *s);
const char *scratch_path(const struct scratch *s);
void scratch_file(const struct scratch *s, char *path, size_t room, const char *name);
void scratch_write(const struct scratch *s, const char *name, const void *bytes, size_t size);
void scratch_write_json(const struct scratch *s, const char *name, const json_t *json);

json_t *load_json_file(const char *path);

/* Replaces the value at a dotted path ("text_config.hidden_size"); value NULL removes it. */
void json_patch(json_t *root, const char *path, const char *value);

/* Tensors laid out one behind the other, in the order of their names, as the reference writes them. */
struct layout {
    json_t *header;
    size_t bytes; /* of data */
};
void layout_begin(struct layout *l);
void layout_add(struct layout *l, const char *name, const char *dtype, int bits, const int *shape, int dims);
void layout_end(struct layout *l); /* frees the header */

/* The file: length, JSON (padded with spaces to 8 bytes), data_bytes bytes in which byte i is i * 31 % 256.
 */
void scratch_write_safetensors(const struct scratch *s, const char *name, const json_t *header,
                               size_t data_bytes);

/* One tensor of a model written otherwise than the config asks for. */
struct model_change {
    const char *tensor; /* NULL: none, only `extra` */
    bool skip;
    const char *name, *dtype; /* NULL: as it should be */
    int bits;                 /* of one element of `dtype` */
    int shape[3], dims;       /* 0 dims: as it should be */
    const char *extra;        /* a tensor of two F32 that is added */
};

/* config.json and model.safetensors with every tensor that the config asks for, all of one dtype.
 * change: NULL for none. */
void scratch_write_model(const struct scratch *s, const char *config, enum dtype dtype,
                         const struct model_change *change);

/* The tiny audio model as links: one file can then be replaced. */
void scratch_link_tiny_audio(const struct scratch *s);

#endif
