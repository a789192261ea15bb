#include "cost.h"

#include <string.h>

double cost_prefill(const struct text_config *c, int tokens)
{
    double hidden = c->hidden, queries = (double)c->heads * c->head_dim,
           keys = (double)c->kv_heads * c->head_dim;
    double layer = hidden * (2 * queries + 2 * keys + 3.0 * c->ffn); /* values of its matrices */
    double seen = 0.5 * tokens * (tokens + 1.0);                     /* keys that all queries see */
    return c->layers * (2 * layer * tokens + 4 * queries * seen) + 2 * hidden * c->vocab;
}

double cost_encoder(const struct model_config *c, int mel_frames)
{
    const struct audio_config *a = &c->audio;
    double width = a->width, frames = (mel_frames + 1) / 2, tokens = (mel_frames + 1) / 2 / 2;
    double conv = 2 * 3 * width * (2 * frames * a->mel_bins + frames * width);
    double layer = 2 * frames * width * (4 * width + 2.0 * a->ffn) + 4 * frames * frames * width;
    return conv + a->layers * layer + 2 * tokens * width * c->text.hidden;
}

static bool of_audio(const char *name)
{
    return strncmp(name, "audio_tower.", 12) == 0 || strncmp(name, "multi_modal_projector.", 22) == 0;
}

double cost_decode_weights(const struct weights *w)
{
    const struct tensor *head = &w->head;
    double bytes = (double)tensor_bytes(head->dtype, head->rows, head->cols);
    for (size_t i = 0; i < w->slot_count; i++) {
        const struct tensor *t = w->slots[i].tensor;
        if (t != &w->embedding && t != head && !of_audio(w->slots[i].name))
            bytes += (double)tensor_bytes(t->dtype, t->rows, t->cols);
    }
    return bytes;
}

double cost_decode_kv(const struct text_config *c, enum kv_type kv, int length)
{
    double heads = 2.0 * c->layers * c->kv_heads * length; /* vectors of keys and values */
    switch (kv) {
    case KV_F32:
        return heads * c->head_dim * 4;
    case KV_Q8:
        return heads * (c->head_dim + 4);
    case KV_BF16:
    case KV_AUTO:
        break;
    }
    return heads * c->head_dim * 2;
}
