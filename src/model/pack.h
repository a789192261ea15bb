/* pack.h: a model's weights in one safetensors file, in the order the forward pass needs them, encoded.
 *
 *   audio tower, projector, decoder layers, final norm, head, embedding; each tensor at a multiple of 64
 * bytes
 *
 * It is a plain safetensors file, which any reader can list: vectors, convolutions and position tables as
 * they are; matrices as BF16, or, in blocks (model/blocks.h), as U8 [strips][tiles][bytes of a tile]. Its
 * metadata:
 *
 *   ferry.pack       "1"
 *   ferry.encoding   "bf16", "q8_0" or "q4_0"
 *   ferry.source, ferry.commit   where the weights come from, when known
 *   q8_0:NAME, q4_0:NAME         "[rows, columns]" of each tensor in blocks
 *
 * What is encoded how: bf16 rounds matrices and convolutions of other types; q8_0 encodes every matrix of
 * whole blocks; q4_0 does so in the decoder layers, with q8_0 for what costs more in quality than in size:
 * audio tower, projector, head and embedding. Tensors named "pad.N" fill up to the next multiple of 64. */
#ifndef FERRY_MODEL_PACK_H
#define FERRY_MODEL_PACK_H

#include "base/arena.h"
#include "base/err.h"
#include "model/safetensors.h"
#include "model/weights.h"

enum pack_encoding { PACK_BF16, PACK_Q8_0, PACK_Q4_0 };
enum { PACK_ALIGNMENT = 64 };

extern const char *const pack_encoding_names[]; /* by enum */

struct pack_tensor {
    const struct weight_slot *slot;
    enum dtype source, stored;
    uint64_t begin, end; /* bytes in the file */
};

struct pack {
    struct pack_tensor *tensors; /* [count], in file order */
    size_t count;
    char *header; /* [header_bytes] what the file begins with: length and JSON */
    size_t header_bytes;
    uint64_t bytes; /* of the whole file */
};

struct pack_origin {
    const char *source, *commit; /* NULL: not known */
};

/* What the pack of these weights looks like; source[i] is the dtype that slot i has there. Everything in the
 * arena; the slots are w's. False with *e set: a source that is in blocks already, no memory. */
bool pack_plan(struct pack *p, const struct weights *w, const struct model_config *c,
               const enum dtype *source, enum pack_encoding encoding, const struct pack_origin *origin,
               struct arena *a, struct err *e);

/* The tensor of that slot. */
const struct pack_tensor *pack_find(const struct pack *p, const struct weight_slot *slot);

/* Encoding, as bytes pass: the source's bytes of one tensor after the other, cut anywhere, come out as the
 * bytes of the pack. One thread. */
struct pack_encoder;

/* Takes encoded bytes [at, at + size) of the file. False with *e set ends it. */
typedef bool (*pack_out_fn)(void *arg, uint64_t at, const void *bytes, size_t size, struct err *e);

struct pack_encoder *pack_encoder_new(pack_out_fn out, void *arg, struct err *e);
void pack_encoder_free(struct pack_encoder *n); /* NULL is fine */

/* Begins a tensor; the one before must be complete. */
bool pack_encoder_begin(struct pack_encoder *n, const struct pack_tensor *t, struct err *e);
/* The next bytes of its source. False with *e set: more than the tensor has; a value in a matrix
 * that no block can hold (ERR_CORRUPT, with its place); what out said. */
bool pack_encoder_push(struct pack_encoder *n, const void *bytes, size_t size, struct err *e);

/* What a tensor of a safetensors file of a pack is, by its metadata: DTYPE_Q8_0, DTYPE_Q4_0, or false. */
bool pack_blocks_of(const struct safetensors *s, const char *name, enum dtype *t);
/* Whether a tensor only fills up. */
bool pack_is_padding(const struct safetensors *s, const char *name);

#endif
