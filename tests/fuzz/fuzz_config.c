/* config.json, generation_config.json and preprocessor_config.json, one behind the other with NULs between.
 * What is accepted must keep the promises of config.h, and its slots must have sizes that do not wrap. */
#include "base/checked.h"
#include "model/weights.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_config(const struct model_config *c)
{
    const struct text_config *t = &c->text;
    check(t->head_dim > 0 && t->head_dim % 2 == 0 && t->head_dim * t->heads == t->hidden);
    check(t->kv_heads > 0 && t->heads % t->kv_heads == 0 && t->layers > 0);
    check(t->rope_theta >= 1 && t->rms_eps > 0);
    check(c->generation.stop_count >= 0 && c->generation.stop_count <= MODEL_MAX_STOP_IDS);
    for (int i = 0; i < c->generation.stop_count; i++)
        check(c->generation.stop_ids[i] >= 0 && c->generation.stop_ids[i] < t->vocab);
    if (c->family == MODEL_QWEN2)
        return;
    check(c->audio_token_id >= 0 && c->audio_token_id < t->vocab);
    check(c->audio.head_dim * c->audio.heads == c->audio.width);
    check(c->mel.window_frames == 2 * c->audio.max_positions && c->mel.bins == c->audio.mel_bins);
}

static void check_slots(const struct model_config *c)
{
    struct weights *w = weights_new(c, NULL);
    size_t total = 0;
    if (!w)
        return;
    for (size_t i = 0; i < w->slot_count; i++) {
        const struct weight_slot *s = &w->slots[i];
        size_t bytes = sizeof(float);
        check(s->tensor->rows > 0 && s->tensor->cols > 0 && weights_find(w, s->name) == s);
        check(checked_mul(bytes, (size_t)s->tensor->rows, &bytes));
        check(checked_mul(bytes, (size_t)s->tensor->cols, &bytes) && checked_add(total, bytes, &total));
    }
    weights_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *texts[3] = {NULL, NULL, NULL};
    char *copy = malloc(size + 1);
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    copy[size] = '\0';
    for (size_t i = 0, at = 0; i < 3 && at <= size; i++) {
        texts[i] = copy + at;
        at += strlen(copy + at) + 1;
    }
    struct model_config c;
    struct err e = {0};
    if (model_config_parse(&c, texts[0], texts[1], texts[2], &e)) {
        check_config(&c);
        check_slots(&c);
    } else {
        check(e.kind != ERR_NONE && e.text[0] && !strchr(e.text, '\n'));
    }
    free(copy);
    return 0;
}
