/* encoded.h: what a model's weights come to in one encoding, part by part in the order the forward pass needs
 * them (model/pack.h). */
#ifndef FERRY_PLAN_ENCODED_H
#define FERRY_PLAN_ENCODED_H

#include "base/arena.h"
#include "model/pack.h"
#include "model/weights.h"

#include <stdint.h>

/* All in bytes. */
struct encoded {
    const char *name; /* "as stored", "bf16", "q8_0", "q4_0" */
    uint64_t
        file_bytes; /* of all files, headers and padding with them: what is fetched, and held in memory */
    uint64_t tensor_bytes;
    uint64_t front;     /* audio tower up to its first layer: convolutions, positions */
    uint64_t encoder;   /* its layers together */
    uint64_t projector; /* its last norm, projector */
    uint64_t embedding;
    uint64_t decoder; /* the decoder's layers together */
    uint64_t head;    /* last norm and head; of a tied head the embedding again, which lies there once */
    bool tied;
};

/* The files as they are: dtypes[i] is slot i's. */
void encoded_stored(struct encoded *n, const struct weights *w, const struct model_config *c,
                    const enum dtype *dtypes, uint64_t file_bytes);

/* The pack that `ferry stage --encode` makes of them. False with *e set: what pack_plan says. */
bool encoded_pack(struct encoded *n, const struct weights *w, const struct model_config *c,
                  const enum dtype *dtypes, enum pack_encoding encoding, struct arena *a, struct err *e);

/* Bytes of weights that every decoded token reads, for however many sequences: decoder, last norm, head. */
uint64_t encoded_token_bytes(const struct encoded *n);

#endif
