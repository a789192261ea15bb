#include "gguf_out.h"

#include "base/arena.h"
#include "base/file.h"
#include "random_weights.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VERSION = 3, ALIGNMENT = 32, MAX_NAME = 64, MERGES_CEILING = 64 << 20 };

/* Types of metadata values, of tensors, and of tokens, by their numbers in the format. */
enum value_type { VALUE_U32 = 4, VALUE_I32 = 5, VALUE_F32 = 6, VALUE_STRING = 8, VALUE_ARRAY = 9 };
enum tensor_type { TENSOR_F32 = 0, TENSOR_BF16 = 30 };
enum token_type { TOKEN_NORMAL = 1, TOKEN_CONTROL = 3, TOKEN_UNUSED = 5 };

/* Little-endian values; every count and length of the format has 8 bytes. */
static void put(FILE *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        fputc((int)(value >> (8 * i) & 0xff), out);
}

static void put_string(FILE *out, const char *s, size_t size)
{
    put(out, size, 8);
    fwrite(s, 1, size, out);
}

/* Metadata: each pair a key, a type and a value; `pairs` counts them for the file's header. */
struct metadata {
    FILE *out;
    uint64_t pairs;
};

static void put_key(struct metadata *m, const char *key, enum value_type type)
{
    m->pairs++;
    put_string(m->out, key, strlen(key));
    put(m->out, type, 4);
}

static void put_u32(struct metadata *m, const char *key, int value)
{
    put_key(m, key, VALUE_U32);
    put(m->out, (uint32_t)value, 4);
}

static void put_f32(struct metadata *m, const char *key, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(m, key, VALUE_F32);
    put(m->out, bits, 4);
}

static void put_text(struct metadata *m, const char *key, const char *value)
{
    put_key(m, key, VALUE_STRING);
    put_string(m->out, value, strlen(value));
}

static void put_array(struct metadata *m, const char *key, enum value_type type, size_t count)
{
    put_key(m, key, VALUE_ARRAY);
    put(m->out, type, 4);
    put(m->out, count, 8);
}

static void put_sizes(struct metadata *m, const struct text_config *c)
{
    const struct {
        const char *key;
        int value;
    } sizes[] = {
        {"qwen2.block_count", c->layers},         {"qwen2.context_length", c->max_positions},
        {"qwen2.embedding_length", c->hidden},    {"qwen2.feed_forward_length", c->ffn},
        {"qwen2.attention.head_count", c->heads}, {"qwen2.attention.head_count_kv", c->kv_heads},
    };
    put_text(m, "general.architecture", "qwen2");
    put_text(m, "general.name", "random weights");
    put_u32(m, "general.alignment", ALIGNMENT);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        put_u32(m, sizes[i].key, sizes[i].value);
    put_f32(m, "qwen2.rope.freq_base", (float)c->rope_theta);
    put_f32(m, "qwen2.attention.layer_norm_rms_epsilon", c->rms_eps);
}

/* A token's text and type by its id. */
struct token {
    const char *text; /* NULL: the vocabulary leaves it empty */
    enum token_type type;
};

static bool read_tokens(struct token *tokens, int vocab, json_t *base, json_t *added, struct err *e)
{
    const char *key;
    json_t *value;
    json_object_foreach(base, key, value)
    {
        json_int_t id = json_integer_value(value);
        if (id < 0 || id >= vocab)
            return err_set(e, ERR_CORRUPT, "vocab.json: \"%s\" has an id outside 0 to %d", key, vocab - 1);
        tokens[id] = (struct token){key, TOKEN_NORMAL};
    }
    json_object_foreach(json_object_get(added, "added_tokens_decoder"), key, value)
    {
        const char *text = json_string_value(json_object_get(value, "content"));
        int id = atoi(key);
        if (!text || id < 0 || id >= vocab)
            return err_set(e, ERR_CORRUPT, "tokenizer_config.json: added token %s: no text, or no such id",
                           key);
        tokens[id] = (struct token){text, TOKEN_CONTROL};
    }
    return true;
}

static void put_tokens(struct metadata *m, const struct token *tokens, int vocab)
{
    put_text(m, "tokenizer.ggml.model", "gpt2");
    put_text(m, "tokenizer.ggml.pre", "qwen2");
    put_array(m, "tokenizer.ggml.tokens", VALUE_STRING, (size_t)vocab);
    for (int i = 0; i < vocab; i++) {
        char empty[32];
        snprintf(empty, sizeof empty, "[PAD%d]", i);
        const char *text = tokens[i].text ? tokens[i].text : empty;
        put_string(m->out, text, strlen(text));
    }
    put_array(m, "tokenizer.ggml.token_type", VALUE_I32, (size_t)vocab);
    for (int i = 0; i < vocab; i++)
        put(m->out, tokens[i].text ? tokens[i].type : TOKEN_UNUSED, 4);
}

/* Lines of merges.txt, a "#version" line apart. */
static bool put_merges(struct metadata *m, const char *folder, struct err *e)
{
    char path[4096];
    size_t size, count = 0;
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    struct arena *arena = arena_new(MERGES_CEILING + 1);
    const char *text = arena ? file_read(arena, path, MERGES_CEILING, &size, e) : NULL;
    if (!text) {
        arena_free(arena);
        return arena ? false : err_set(e, ERR_MEMORY, "no memory for %s", path);
    }
    const char *first = strncmp(text, "#version", 8) == 0 ? strchrnul(text, '\n') + 1 : text;
    for (const char *p = first; *p; p++)
        count += *p == '\n';
    put_array(m, "tokenizer.ggml.merges", VALUE_STRING, count);
    for (const char *p = first, *end; (end = strchr(p, '\n')) != NULL; p = end + 1)
        put_string(m->out, p, (size_t)(end - p));
    arena_free(arena);
    return true;
}

static json_t *load(const char *folder, const char *name, struct err *e)
{
    char path[4096];
    json_error_t why;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    json_t *root = json_load_file(path, 0, &why);
    if (!root)
        err_set(e, ERR_CORRUPT, "%s:%d: %s", path, why.line, why.text);
    return root;
}

static bool put_tokenizer(struct metadata *m, const char *folder, const struct model_config *c, struct err *e)
{
    int vocab = c->text.vocab;
    struct token *tokens = calloc((size_t)vocab, sizeof *tokens);
    json_t *base = load(folder, "vocab.json", e);
    json_t *added = base ? load(folder, "tokenizer_config.json", e) : NULL;
    bool ok = false;
    if (!tokens)
        err_set(e, ERR_MEMORY, "no memory for %d tokens", vocab);
    else if (added && read_tokens(tokens, vocab, base, added, e)) {
        put_tokens(m, tokens, vocab);
        put_u32(m, "tokenizer.ggml.eos_token_id", c->generation.stop_ids[c->generation.stop_count - 1]);
        put_u32(m, "tokenizer.ggml.padding_token_id", c->generation.stop_ids[0]);
        ok = put_merges(m, folder, e);
    }
    free(tokens);
    json_decref(base);
    json_decref(added);
    return ok;
}

/* Names, by what a slot's name ends with. */
static const struct {
    const char *ours, *theirs;
    bool layered; /* theirs begins with the layer */
} names[] = {
    {"self_attn.q_proj.weight", "attn_q.weight", true},
    {"self_attn.q_proj.bias", "attn_q.bias", true},
    {"self_attn.k_proj.weight", "attn_k.weight", true},
    {"self_attn.k_proj.bias", "attn_k.bias", true},
    {"self_attn.v_proj.weight", "attn_v.weight", true},
    {"self_attn.v_proj.bias", "attn_v.bias", true},
    {"self_attn.o_proj.weight", "attn_output.weight", true},
    {"input_layernorm.weight", "attn_norm.weight", true},
    {"post_attention_layernorm.weight", "ffn_norm.weight", true},
    {"mlp.gate_proj.weight", "ffn_gate.weight", true},
    {"mlp.up_proj.weight", "ffn_up.weight", true},
    {"mlp.down_proj.weight", "ffn_down.weight", true},
    {"model.embed_tokens.weight", "token_embd.weight", false},
    {"model.norm.weight", "output_norm.weight", false},
    {"lm_head.weight", "output.weight", false},
};

/* The name a slot has in GGUF; false when it is no part of the language model. */
static bool gguf_name(const struct weight_slot *slot, char out[MAX_NAME])
{
    const char *layers = strstr(slot->name, "model.layers.");
    size_t length = strlen(slot->name);
    if (strncmp(slot->name, "audio_tower.", 12) == 0 || strncmp(slot->name, "multi_modal_", 12) == 0)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t end = strlen(names[i].ours);
        if (names[i].layered != (layers != NULL) || end > length ||
            strcmp(slot->name + length - end, names[i].ours) != 0)
            continue;
        if (layers)
            snprintf(out, MAX_NAME, "blk.%d.%s", atoi(layers + strlen("model.layers.")), names[i].theirs);
        else
            snprintf(out, MAX_NAME, "%s", names[i].theirs);
        return true;
    }
    return false;
}

static uint64_t aligned(uint64_t at)
{
    return (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* The list of tensors, and their places counted from the start of the data. Vectors are stored in f32, as
 * llama.cpp adds and multiplies them. */
static uint64_t put_tensors(FILE *out, const struct weights *w, struct placement *list, uint64_t *count)
{
    uint64_t at = 0;
    *count = 0;
    for (size_t i = 0; i < w->slot_count; i++) {
        char name[MAX_NAME];
        const struct weight_slot *slot = &w->slots[i];
        if (!gguf_name(slot, name))
            continue;
        struct placement *p = &list[(*count)++];
        *p = (struct placement){slot, slot->dims == 1 ? DTYPE_F32 : DTYPE_BF16, -1, at};
        put_string(out, name, strlen(name));
        put(out, (uint64_t)slot->dims, 4);
        for (int k = slot->dims - 1; k >= 0; k--) /* fastest dimension first */
            put(out, (uint64_t)slot->shape[k], 8);
        put(out, p->dtype == DTYPE_F32 ? TENSOR_F32 : TENSOR_BF16, 4);
        put(out, at, 8);
        at = aligned(at + placement_bytes(p));
    }
    return at;
}

/* A text being built in memory. */
struct buffer {
    char *bytes;
    size_t size;
    FILE *out;
};

static bool buffer_open(struct buffer *b, struct err *e)
{
    b->out = open_memstream(&b->bytes, &b->size);
    return b->out || err_errno(e, "memory for the header");
}

static void buffer_close(struct buffer *b)
{
    if (b->out)
        fclose(b->out);
    free(b->bytes);
}

/* Header, metadata, tensor list and padding; returns where the data begins, 0 when it failed. */
static uint64_t write_start(FILE *file, const struct buffer *metadata, uint64_t pairs,
                            const struct buffer *tensors, uint64_t tensor_count)
{
    fwrite("GGUF", 1, 4, file);
    put(file, VERSION, 4);
    put(file, tensor_count, 8);
    put(file, pairs, 8);
    fwrite(metadata->bytes, 1, metadata->size, file);
    fwrite(tensors->bytes, 1, tensors->size, file);
    while (ftell(file) % ALIGNMENT != 0)
        fputc(0, file);
    return fflush(file) == 0 ? (uint64_t)ftell(file) : 0;
}

static bool write_file(const char *path, const struct buffer *metadata, uint64_t pairs,
                       const struct buffer *tensors, struct placement *list, uint64_t count,
                       uint64_t data_bytes, struct pool *pool, struct err *e)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return err_errno(e, "%s", path);
    uint64_t start = write_start(file, metadata, pairs, tensors, count);
    bool ok = start > 0 && ftruncate(fileno(file), (off_t)(start + data_bytes)) == 0;
    if (!ok)
        err_errno(e, "%s", path);
    for (uint64_t i = 0; i < count; i++) {
        list[i].fd = fileno(file);
        list[i].offset += start;
    }
    ok = ok && (random_weights_write(list, count, pool, e) || err_wrap(e, "%s", path));
    return (fclose(file) == 0 || err_errno(ok ? e : NULL, "%s", path)) && ok;
}

bool gguf_out_write(const char *path, const char *tokenizer, const struct model_config *c,
                    const struct weights *w, struct pool *pool, struct err *e)
{
    struct buffer text = {0}, tensors = {0};
    struct metadata m = {0};
    uint64_t count = 0;
    struct placement *list = calloc(w->slot_count, sizeof *list);
    bool ok = list || err_set(e, ERR_MEMORY, "no memory for a list of tensors");
    ok = ok && buffer_open(&text, e) && buffer_open(&tensors, e);
    m.out = text.out;
    if (ok) {
        put_sizes(&m, &c->text);
        ok = put_tokenizer(&m, tokenizer, c, e);
    }
    if (ok) {
        uint64_t bytes = put_tensors(tensors.out, w, list, &count);
        fflush(text.out);
        fflush(tensors.out);
        ok = write_file(path, &text, m.pairs, &tensors, list, count, bytes, pool, e);
    }
    buffer_close(&text);
    buffer_close(&tensors);
    free(list);
    return ok;
}
