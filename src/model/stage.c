#include "model/stage.h"

#include <stdio.h>

struct stage_place stage_at(const struct model_config *c, int stage)
{
    if (stage == 0)
        return (struct stage_place){STAGE_FRONT, 0};
    if (stage < stage_projector(c))
        return (struct stage_place){STAGE_ENCODER, stage - stage_encoder(0)};
    if (stage == stage_projector(c))
        return (struct stage_place){STAGE_PROJECTOR, 0};
    if (stage < stage_head(c))
        return (struct stage_place){STAGE_DECODER, stage - stage_decoder(c, 0)};
    return (struct stage_place){stage == stage_head(c) ? STAGE_HEAD : STAGE_EMBEDDING, 0};
}

/* Which of count structures of `size` bytes from `first` on a member lies in; -1: none. */
static int layer_of(const void *first, size_t size, int count, const struct tensor *member)
{
    uintptr_t begin = (uintptr_t)first, at = (uintptr_t)member;
    return at >= begin && at < begin + size * (size_t)count ? (int)((at - begin) / size) : -1;
}

int stage_of_slot(const struct model_config *c, const struct weights *w, const struct weight_slot *slot)
{
    const struct tensor *t = slot->tensor;
    int layer = layer_of(w->encoder, sizeof *w->encoder, c->audio.layers, t);
    if (layer >= 0)
        return stage_encoder(layer);
    layer = layer_of(w->decoder, sizeof *w->decoder, c->text.layers, t);
    if (layer >= 0)
        return stage_decoder(c, layer);
    if (t == &w->embedding)
        return c->text.tied_head ? stage_head(c) : stage_embedding(c);
    if (t == &w->final_norm || t == &w->head)
        return stage_head(c);
    bool behind_encoder = t == &w->audio_norm.weight || t == &w->audio_norm.bias ||
                          t == &w->projector.weight || t == &w->projector.bias;
    return behind_encoder ? stage_projector(c) : 0;
}

const char *stage_name(const struct model_config *c, int stage, char out[STAGE_NAME])
{
    static const char *const names[] = {
        [STAGE_FRONT] = "audio front",   [STAGE_ENCODER] = "encoder layer",
        [STAGE_PROJECTOR] = "projector", [STAGE_DECODER] = "decoder layer",
        [STAGE_HEAD] = "head",           [STAGE_EMBEDDING] = "embedding",
    };
    struct stage_place s = stage_at(c, stage);
    bool layered = s.kind == STAGE_ENCODER || s.kind == STAGE_DECODER;
    if (layered)
        snprintf(out, STAGE_NAME, "%s %d", names[s.kind], s.layer);
    else
        snprintf(out, STAGE_NAME, "%s", names[s.kind]);
    return out;
}
