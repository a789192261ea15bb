#include "plan/encoded.h"

#include "base/catalog.h"

/* Which part a slot's bytes count for. */
static uint64_t *part_of(struct encoded *n, const struct weights *w, const struct model_config *c,
                         const struct tensor *t)
{
    const char *at = (const char *)t;
    const char *encoder = (const char *)w->encoder, *decoder = (const char *)w->decoder;
    if (t == &w->embedding)
        return &n->embedding;
    if (t == &w->head || t == &w->final_norm)
        return &n->head;
    if (at >= decoder && at < (const char *)(w->decoder + c->text.layers))
        return &n->decoder;
    if (c->audio.layers && at >= encoder && at < (const char *)(w->encoder + c->audio.layers))
        return &n->encoder;
    if (t == &w->audio_norm.weight || t == &w->audio_norm.bias || t == &w->projector.weight ||
        t == &w->projector.bias)
        return &n->projector;
    return &n->front;
}

static void add(struct encoded *n, const struct weights *w, const struct model_config *c,
                const struct weight_slot *slot, enum dtype dtype)
{
    uint64_t bytes = tensor_bytes(dtype, slot->tensor->rows, slot->tensor->cols);
    *part_of(n, w, c, slot->tensor) += bytes;
    n->tensor_bytes += bytes;
}

static void tie(struct encoded *n, const struct model_config *c)
{
    n->tied = c->text.tied_head;
    if (n->tied)
        n->head += n->embedding;
}

void encoded_stored(struct encoded *n, const struct weights *w, const struct model_config *c,
                    const enum dtype *dtypes, uint64_t file_bytes)
{
    *n = (struct encoded){.name = N_("as stored"), .file_bytes = file_bytes};
    for (size_t i = 0; i < w->slot_count; i++)
        add(n, w, c, &w->slots[i], dtypes[i]);
    tie(n, c);
}

bool encoded_pack(struct encoded *n, const struct weights *w, const struct model_config *c,
                  const enum dtype *dtypes, enum pack_encoding encoding, struct arena *a, struct err *e)
{
    struct pack p;
    if (!pack_plan(&p, w, c, dtypes, encoding, NULL, a, e))
        return false;
    *n = (struct encoded){.name = pack_encoding_names[encoding], .file_bytes = p.bytes};
    for (const struct pack_tensor *t = p.tensors; t < p.tensors + p.count; t++)
        add(n, w, c, t->slot, t->stored);
    tie(n, c);
    return true;
}

uint64_t encoded_token_bytes(const struct encoded *n)
{
    return n->decoder + n->head;
}
