/* weights.h: every tensor a model has, by role, each with the place where its bytes lie.
 *
 * weights_new makes the empty slots that a config asks for, in the order the forward pass needs them:
 * audio tower (conv1, conv2, positions, layers 0..), projector, embedding, layers 0.., final norm, head.
 * Whoever has the bytes (model/folder.h now, the loader later) fills them with weights_fill, which checks
 * dtype, shape and size. */
#ifndef FERRY_MODEL_WEIGHTS_H
#define FERRY_MODEL_WEIGHTS_H

#include "base/err.h"
#include "model/config.h"

#include <stddef.h>
#include <stdint.h>

enum dtype {
    DTYPE_BF16,
    DTYPE_F16,
    DTYPE_F32,
    DTYPE_Q8_0, /* blocks in tiles: model/blocks.h */
    DTYPE_Q4_0,
};

size_t dtype_bytes(enum dtype t);     /* of a value; 1, their alignment, for blocks */
const char *dtype_name(enum dtype t); /* "BF16", "F16", "F32" as safetensors spells them; "q8_0", "q4_0" */

/* A row-major matrix (in blocks: tiles), or a vector (rows == 1), or a convolution [rows = out][cols = in *
 * kernel]. data is NULL until filled; aligned to at least its dtype. Whoever filled it owns the bytes. */
struct tensor {
    const void *data;
    int rows, cols;
    enum dtype dtype;
};

/* What a matrix of that dtype takes; blocks_fit(cols) must hold for blocks. */
size_t tensor_bytes(enum dtype t, int rows, int cols);

/* y = x W^T + b. bias.data == NULL with bias.cols == 0: there is none. */
struct linear {
    struct tensor weight; /* [out][in] */
    struct tensor bias;   /* [out] */
};

struct layer_norm {
    struct tensor weight, bias;
};

struct encoder_layer {
    struct layer_norm attention_norm;
    struct linear q, k, v, out; /* k has no bias */
    struct layer_norm ffn_norm;
    struct linear fc1, fc2;
};

struct decoder_layer {
    struct tensor attention_norm; /* [hidden] */
    struct linear q, k, v, o;     /* o has no bias */
    struct tensor ffn_norm;
    struct linear gate, up, down; /* no biases */
};

/* One slot: a tensor of the structures below under its name in the files. */
struct weight_slot {
    char name[96];         /* "language_model.model.layers.3.mlp.up_proj.weight" */
    struct tensor *tensor; /* shape is what the config asks for */
    int shape[3], dims;    /* as stored; conv weights have 3 dimensions */
};

struct weights {
    struct linear conv1, conv2;    /* audio tower; unused members stay zero without one */
    struct tensor audio_positions; /* [max_positions][width] */
    struct encoder_layer *encoder; /* [audio.layers] */
    struct layer_norm audio_norm;
    struct linear projector;       /* [hidden][width] */
    struct tensor embedding;       /* [vocab][hidden] */
    struct decoder_layer *decoder; /* [text.layers] */
    struct tensor final_norm;      /* [hidden] */
    struct tensor head;            /* [vocab][hidden]; the embedding's bytes when tied */

    struct weight_slot *slots; /* [slot_count], execution order; a tied head has none */
    size_t slot_count;
};

/* Empty slots for this config. NULL with *e set when memory is short. */
struct weights *weights_new(const struct model_config *c, struct err *e);
void weights_free(struct weights *w); /* NULL is fine; the bytes are not touched */

/* The slot of that name, or NULL. Not linear in the number of slots. */
struct weight_slot *weights_find(const struct weights *w, const char *name);

/* Whether a tensor is one that the forward pass has no use for: rotary frequencies, which old files carry as
 * a buffer, and the stored twin of a tied head. */
bool weights_ignore(const struct model_config *c, const char *name);

/* Points a slot at its bytes. False with *e set when it is filled already, or dtype, shape or size are not
 * what the config asks for ("tensor X: shape [96, 64], expected [96, 200]"). */
bool weights_fill(struct weight_slot *slot, enum dtype dtype, const uint64_t *shape, int dims,
                  const void *data, uint64_t bytes, struct err *e);

/* The same for a matrix in blocks, whose stored shape is [strips][tiles][bytes of a tile] (model/blocks.h).
 */
bool weights_fill_blocks(struct weight_slot *slot, enum dtype dtype, const uint64_t *shape, int dims,
                         const void *data, struct err *e);

/* True when every slot is filled (and ties a tied head); else *e names the first that is not. */
bool weights_complete(struct weights *w, const struct model_config *c, struct err *e);

/* Bytes of all filled slots. */
uint64_t weights_bytes(const struct weights *w);

#endif
