#include "model/outline.h"

#include <jansson.h>
#include <string.h>

/* Keys under which the text part stands, or which keep more per layer than keys and values (or less). */
static const char *const text_parts[] = {"text_config", "llm_config", "language_config"};
static const char *const other_states[] = {
    "kv_lora_rank",           "ssm_cfg",      "state_size",       "mamba_d_state",
    "linear_conv_kernel_dim", "rwkv_version", "attn_layer_period"};

enum { MOST = 1 << 24 }; /* no size of a model is larger; no product of two leaves 64 bits */

static int size_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    json_int_t n = json_integer_value(v);
    return json_is_integer(v) && n > 0 && n <= MOST ? (int)n : 0;
}

static const json_t *text_part(const json_t *root)
{
    for (size_t i = 0; i < sizeof text_parts / sizeof *text_parts; i++) {
        const json_t *part = json_object_get(root, text_parts[i]);
        if (json_is_object(part))
            return part;
    }
    return root;
}

static bool has_plain_cache(const json_t *text)
{
    for (size_t i = 0; i < sizeof other_states / sizeof *other_states; i++) {
        const json_t *v = json_object_get(text, other_states[i]);
        if (v && !json_is_null(v))
            return false;
    }
    return true;
}

/* A word as such configs have them: what it says reaches terminals and pages. */
static void copy_word(char out[OUTLINE_TYPE], const json_t *v)
{
    const char *word = json_is_string(v) ? json_string_value(v) : "";
    size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
    bool fits = word[n] == 0 && n < OUTLINE_TYPE;
    memcpy(out, fits ? word : "", fits ? n + 1 : 1);
}

static void read(struct model_outline *o, const json_t *root)
{
    const json_t *text = text_part(root), *dtype = json_object_get(root, "torch_dtype");
    int heads = size_of(text, "num_attention_heads"), hidden = size_of(text, "hidden_size");
    copy_word(o->type, json_object_get(root, "model_type"));
    copy_word(o->dtype, dtype ? dtype : json_object_get(root, "dtype"));
    o->layers = size_of(text, "num_hidden_layers");
    o->kv_heads = size_of(text, "num_key_value_heads");
    o->head_dim = size_of(text, "head_dim");
    o->max_positions = size_of(text, "max_position_embeddings");
    if (o->kv_heads == 0)
        o->kv_heads = heads;
    if (o->head_dim == 0 && heads > 0)
        o->head_dim = hidden / heads;
    o->plain_cache = o->layers && o->kv_heads && o->head_dim && has_plain_cache(text);
}

bool model_outline_parse(struct model_outline *o, const char *config, struct err *e)
{
    json_error_t at;
    json_t *root = json_loads(config, 0, &at);
    *o = (struct model_outline){0};
    bool ok = json_is_object(root);
    if (!root)
        err_set(e, ERR_CORRUPT, "config.json: line %d: %s, expected JSON", at.line, at.text);
    else if (!ok)
        err_set(e, ERR_CORRUPT, "config.json: a JSON object expected");
    else
        read(o, root);
    json_decref(root);
    return ok;
}
