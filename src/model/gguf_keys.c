#include "model/gguf_keys.h"

#include <stdio.h>
#include <string.h>

/* general.file_type (llama.h, enum llama_ftype): what most matrices are. */
static const uint32_t file_types[] = {
    [DTYPE_F32] = 0, [DTYPE_F16] = 1, [DTYPE_Q4_0] = 2, [DTYPE_Q8_0] = 7, [DTYPE_BF16] = 32};

enum { BLOCKS_VERSION = 2 /* general.quantization_version: that of q8_0 and q4_0 since May 2023 */ };

struct size {
    const char *key;
    int value;
};

static void put_sizes(struct gguf_file *f, const struct size *sizes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        gguf_put_u32(f, sizes[i].key, (uint32_t)sizes[i].value);
}

static void put_general(struct gguf_file *f, const char *architecture, const char *type, const char *name,
                        enum dtype matrices)
{
    gguf_put_text(f, "general.architecture", architecture);
    gguf_put_text(f, "general.type", type);
    gguf_put_text(f, "general.name", name);
    gguf_put_u32(f, "general.alignment", GGUF_ALIGNMENT);
    gguf_put_u32(f, "general.file_type", file_types[matrices]);
    gguf_put_u32(f, "general.quantization_version", BLOCKS_VERSION);
}

/* --- the tokenizer ---------------------------------------------------------------------------------------
 */

/* tokenizer.ggml.token_type (llama.h, enum llama_token_type). */
static const int32_t token_types[] = {
    [TOKEN_BASE] = 1, [TOKEN_SPECIAL] = 3, [TOKEN_ADDED] = 4, [TOKEN_NONE] = 5 /* unused */};

static int find_special(const struct vocabulary *v, const char *text)
{
    for (int i = 0; i < v->count; i++)
        if (v->tokens[i].kind == TOKEN_SPECIAL && strcmp(v->tokens[i].text, text) == 0)
            return i;
    return -1;
}

/* The format has room for one that ends an answer: of several the one that ends a message. llama.cpp knows
 * the others by their texts. */
static int stop_token(const struct vocabulary *v, const struct generation_config *g)
{
    int end = find_special(v, "<|im_end|>");
    for (int i = 0; i < g->stop_count; i++)
        if (g->stop_ids[i] == end)
            return end;
    return g->stop_count ? g->stop_ids[0] : -1;
}

/* Qwen2 begins texts with nothing, but readers take token 11 for "nothing" unless told. */
static void put_special_tokens(struct gguf_file *f, const struct vocabulary *v,
                               const struct generation_config *g)
{
    int stop = stop_token(v, g), padding = find_special(v, "<|endoftext|>");
    gguf_put_bool(f, "tokenizer.ggml.add_bos_token", false);
    if (stop >= 0)
        gguf_put_u32(f, "tokenizer.ggml.eos_token_id", (uint32_t)stop);
    if (padding >= 0) {
        gguf_put_u32(f, "tokenizer.ggml.bos_token_id", (uint32_t)padding);
        gguf_put_u32(f, "tokenizer.ggml.padding_token_id", (uint32_t)padding);
    }
}

/* Readers want a text of its own for every id. */
static void put_tokens(struct gguf_file *f, const struct vocabulary *v)
{
    gguf_put_array(f, "tokenizer.ggml.tokens", GGUF_TEXT, (size_t)v->count);
    for (int i = 0; i < v->count; i++) {
        char none[24];
        snprintf(none, sizeof none, "[PAD%d]", i);
        gguf_item_text(f, v->tokens[i].kind == TOKEN_NONE ? none : v->tokens[i].text);
    }
    gguf_put_array(f, "tokenizer.ggml.token_type", GGUF_I32, (size_t)v->count);
    for (int i = 0; i < v->count; i++)
        gguf_item_i32(f, token_types[v->tokens[i].kind]);
}

static void put_tokenizer(struct gguf_file *f, const struct gguf_source *s)
{
    const struct vocabulary *v = s->vocabulary;
    gguf_put_text(f, "tokenizer.ggml.model", "gpt2"); /* byte-level BPE */
    gguf_put_text(f, "tokenizer.ggml.pre", "qwen2");  /* its pretokenizer's pattern */
    put_tokens(f, v);
    gguf_put_array(f, "tokenizer.ggml.merges", GGUF_TEXT, v->merge_count);
    for (size_t i = 0; i < v->merge_count; i++)
        gguf_item_text(f, v->merges[i]);
    put_special_tokens(f, v, &s->model->config.generation);
    if (s->chat_template)
        gguf_put_text(f, "tokenizer.chat_template", s->chat_template);
}

/* --- the two files ---------------------------------------------------------------------------------------
 */

void gguf_put_language(struct gguf_file *f, const struct gguf_source *s, enum dtype matrices)
{
    const struct text_config *c = &s->model->config.text;
    const struct size sizes[] = {
        {"qwen2.block_count", c->layers},         {"qwen2.context_length", c->max_positions},
        {"qwen2.embedding_length", c->hidden},    {"qwen2.feed_forward_length", c->ffn},
        {"qwen2.attention.head_count", c->heads}, {"qwen2.attention.head_count_kv", c->kv_heads},
        {"qwen2.vocab_size", c->vocab},
    };
    put_general(f, "qwen2", "model", s->model->name, matrices);
    put_sizes(f, sizes, sizeof sizes / sizeof *sizes);
    gguf_put_real(f, "qwen2.rope.freq_base", (float)c->rope_theta);
    gguf_put_real(f, "qwen2.attention.layer_norm_rms_epsilon", c->rms_eps);
    put_tokenizer(f, s);
}

/* The layer norms' eps is PyTorch's default and in no file of the model (docs/model.md). */
void gguf_put_audio(struct gguf_file *f, const struct model *m, enum dtype matrices)
{
    const struct audio_config *c = &m->config.audio;
    const struct size sizes[] = {
        {"clip.audio.block_count", c->layers},      {"clip.audio.embedding_length", c->width},
        {"clip.audio.feed_forward_length", c->ffn}, {"clip.audio.attention.head_count", c->heads},
        {"clip.audio.num_mel_bins", c->mel_bins},   {"clip.audio.projection_dim", m->config.text.hidden},
    };
    put_general(f, "clip", "mmproj", m->name, matrices);
    gguf_put_bool(f, "clip.has_audio_encoder", true);
    gguf_put_text(f, "clip.projector_type", "qwen2a");
    put_sizes(f, sizes, sizeof sizes / sizeof *sizes);
    gguf_put_real(f, "clip.audio.attention.layer_norm_epsilon", 1e-5f);
}
