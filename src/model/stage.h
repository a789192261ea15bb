/* stage.h: the parts of a model in the order in which the forward pass needs them.
 *
 *   audio front (conv1, conv2, positions), encoder layers, projector (with the norm before it),
 *   decoder layers, head (with the norm before it), embedding
 *
 * The embedding is last although its rows are needed early: of its thousands of rows a prompt needs a few,
 * which can be asked for singly (arrival.h). A model without ears has the audio stages too: they are empty.
 */
#ifndef FERRY_MODEL_STAGE_H
#define FERRY_MODEL_STAGE_H

#include "model/config.h"
#include "model/weights.h"

enum stage_kind { STAGE_FRONT, STAGE_ENCODER, STAGE_PROJECTOR, STAGE_DECODER, STAGE_HEAD, STAGE_EMBEDDING };

static inline int stage_encoder(int layer)
{
    return 1 + layer;
}
static inline int stage_projector(const struct model_config *c)
{
    return 1 + c->audio.layers;
}
static inline int stage_decoder(const struct model_config *c, int layer)
{
    return 2 + c->audio.layers + layer;
}
static inline int stage_head(const struct model_config *c)
{
    return 2 + c->audio.layers + c->text.layers;
}
static inline int stage_embedding(const struct model_config *c)
{
    return stage_head(c) + 1;
}
static inline int stage_count(const struct model_config *c)
{
    return stage_head(c) + 2;
}

struct stage_place {
    enum stage_kind kind;
    int layer; /* of STAGE_ENCODER and STAGE_DECODER, else 0 */
};
struct stage_place stage_at(const struct model_config *c, int stage);

/* The stage that needs a slot's bytes. A tied head is the embedding: its bytes then belong to the head. */
int stage_of_slot(const struct model_config *c, const struct weights *w, const struct weight_slot *slot);

enum { STAGE_NAME = 32 };
/* "audio front", "encoder layer 3", "head". */
const char *stage_name(const struct model_config *c, int stage, char out[STAGE_NAME]);

#endif
