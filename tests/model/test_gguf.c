#include "model/gguf.h"

#include "gguf_reader.h"
#include "model_files.h"

#include "model/blocks.h"
#include "model/chat_template.h"
#include "model/dtype.h"
#include "model/half.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const enum pack_encoding encodings[] = {PACK_BF16, PACK_Q8_0, PACK_Q4_0};
enum { ENCODINGS = sizeof encodings / sizeof *encodings };

/* --- files in memory -------------------------------------------------------------------------------------
 */

struct bytes {
    unsigned char *at;
    size_t size, room;
    int calls, fail_at; /* the call that fails; 0: none */
};

/* From the first byte to the last, without gaps. */
static bool collect(void *arg, uint64_t at, const void *bytes, size_t size, struct err *e)
{
    struct bytes *b = arg;
    if (++b->calls == b->fail_at)
        return err_set(e, ERR_IO, "no room");
    assert_int_equal(at, b->size);
    if (b->size + size > b->room) {
        b->room = 2 * (b->size + size);
        b->at = realloc(b->at, b->room);
        assert_non_null(b->at);
    }
    memcpy(b->at + b->size, bytes, size);
    b->size += size;
    return true;
}

static struct vocabulary_token tokens[] = {
    {"a", TOKEN_BASE},        {"\xc4\xa0the", TOKEN_BASE},
    {"", TOKEN_NONE},         {"<|im_end|>", TOKEN_SPECIAL},
    {"<think>", TOKEN_ADDED}, {"<|endoftext|>", TOKEN_SPECIAL},
};
static const char *merges[] = {"t h", "th e", "\xc4\xa0 the"};
static const struct vocabulary small_vocabulary = {tokens, 6, merges, 3};

static struct bytes make(const struct gguf_source *s, enum gguf_part part)
{
    struct bytes b = {0};
    struct err e = {0};
    struct gguf *g = gguf_new(s, part, &e);
    if (!g || !gguf_write(g, collect, &b, &e))
        fail_msg("%s", e.text);
    assert_int_equal(gguf_bytes(g), b.size);
    gguf_free(g);
    return b;
}

static void open_model(struct model *m, const char *path)
{
    struct err e = {0};
    if (!model_open(m, path, FOLDER_MAP, NULL, &e))
        fail_msg("%s", e.text);
}

static struct gguf_source source_of(const struct model *m, const enum pack_encoding *encoding)
{
    return (struct gguf_source){.model = m, .encoding = encoding, .vocabulary = &small_vocabulary};
}

/* --- tensors ---------------------------------------------------------------------------------------------
 */

/* What the files of llama.cpp's converter call them. */
static const struct {
    const char *ours, *theirs; /* %d: a layer */
    bool audio;
} names[] = {
    {"audio_tower.conv1.weight", "a.conv1d.1.weight", true},
    {"audio_tower.conv1.bias", "a.conv1d.1.bias", true},
    {"audio_tower.conv2.weight", "a.conv1d.2.weight", true},
    {"audio_tower.conv2.bias", "a.conv1d.2.bias", true},
    {"audio_tower.embed_positions.weight", "a.position_embd.weight", true},
    {"audio_tower.layers.%d.self_attn_layer_norm.weight", "a.blk.%d.ln1.weight", true},
    {"audio_tower.layers.%d.self_attn_layer_norm.bias", "a.blk.%d.ln1.bias", true},
    {"audio_tower.layers.%d.self_attn.q_proj.weight", "a.blk.%d.attn_q.weight", true},
    {"audio_tower.layers.%d.self_attn.q_proj.bias", "a.blk.%d.attn_q.bias", true},
    {"audio_tower.layers.%d.self_attn.k_proj.weight", "a.blk.%d.attn_k.weight", true},
    {"audio_tower.layers.%d.self_attn.v_proj.weight", "a.blk.%d.attn_v.weight", true},
    {"audio_tower.layers.%d.self_attn.v_proj.bias", "a.blk.%d.attn_v.bias", true},
    {"audio_tower.layers.%d.self_attn.out_proj.weight", "a.blk.%d.attn_out.weight", true},
    {"audio_tower.layers.%d.self_attn.out_proj.bias", "a.blk.%d.attn_out.bias", true},
    {"audio_tower.layers.%d.final_layer_norm.weight", "a.blk.%d.ln2.weight", true},
    {"audio_tower.layers.%d.final_layer_norm.bias", "a.blk.%d.ln2.bias", true},
    {"audio_tower.layers.%d.fc1.weight", "a.blk.%d.ffn_up.weight", true},
    {"audio_tower.layers.%d.fc1.bias", "a.blk.%d.ffn_up.bias", true},
    {"audio_tower.layers.%d.fc2.weight", "a.blk.%d.ffn_down.weight", true},
    {"audio_tower.layers.%d.fc2.bias", "a.blk.%d.ffn_down.bias", true},
    {"audio_tower.layer_norm.weight", "a.post_ln.weight", true},
    {"audio_tower.layer_norm.bias", "a.post_ln.bias", true},
    {"multi_modal_projector.linear.weight", "mm.a.fc.weight", true},
    {"multi_modal_projector.linear.bias", "mm.a.fc.bias", true},
    {"language_model.model.embed_tokens.weight", "token_embd.weight", false},
    {"language_model.model.layers.%d.input_layernorm.weight", "blk.%d.attn_norm.weight", false},
    {"language_model.model.layers.%d.self_attn.q_proj.weight", "blk.%d.attn_q.weight", false},
    {"language_model.model.layers.%d.self_attn.q_proj.bias", "blk.%d.attn_q.bias", false},
    {"language_model.model.layers.%d.self_attn.k_proj.weight", "blk.%d.attn_k.weight", false},
    {"language_model.model.layers.%d.self_attn.k_proj.bias", "blk.%d.attn_k.bias", false},
    {"language_model.model.layers.%d.self_attn.v_proj.weight", "blk.%d.attn_v.weight", false},
    {"language_model.model.layers.%d.self_attn.v_proj.bias", "blk.%d.attn_v.bias", false},
    {"language_model.model.layers.%d.self_attn.o_proj.weight", "blk.%d.attn_output.weight", false},
    {"language_model.model.layers.%d.post_attention_layernorm.weight", "blk.%d.ffn_norm.weight", false},
    {"language_model.model.layers.%d.mlp.gate_proj.weight", "blk.%d.ffn_gate.weight", false},
    {"language_model.model.layers.%d.mlp.up_proj.weight", "blk.%d.ffn_up.weight", false},
    {"language_model.model.layers.%d.mlp.down_proj.weight", "blk.%d.ffn_down.weight", false},
    {"language_model.model.norm.weight", "output_norm.weight", false},
    {"language_model.lm_head.weight", "output.weight", false},
};

enum { F32 = 0, F16 = 1, Q4_0 = 2, Q8_0 = 8, BF16 = 30 };

static uint32_t expected_type(const struct weight_slot *slot, bool audio, enum pack_encoding encoding)
{
    bool decoder = strstr(slot->name, "model.layers.") != NULL;
    if (slot->dims == 1 || strstr(slot->name, "embed_positions"))
        return F32;
    if (slot->dims == 3)
        return F16;
    if (encoding == PACK_BF16 || slot->tensor->cols % 32 != 0)
        return BF16;
    return encoding == PACK_Q4_0 && decoder && !audio ? Q4_0 : Q8_0;
}

/* Fastest first; a convolution's bias has one frame. */
static void check_dims(const struct reader_tensor *t, const struct weight_slot *slot)
{
    uint32_t extra = strncmp(slot->name, "audio_tower.conv", 16) == 0 && slot->dims == 1;
    assert_int_equal(t->dim_count, (uint32_t)slot->dims + extra);
    if (extra)
        assert_int_equal(t->dims[0], 1);
    for (int i = 0; i < slot->dims; i++)
        assert_int_equal(t->dims[(int)extra + i], slot->shape[slot->dims - 1 - i]);
}

static float source_value(const struct tensor *m, size_t i)
{
    float v;
    dtype_widen(m->dtype, (const unsigned char *)m->data + i * dtype_bytes(m->dtype), 1, &v);
    return v;
}

/* The folder's own value as that type holds it; in blocks what our blocks of that row mean. */
static void check_values(const struct reader_tensor *t, const struct weight_slot *slot)
{
    const struct tensor *m = slot->tensor;
    size_t cols = (size_t)m->cols;
    float *row = calloc(cols, sizeof *row);
    enum dtype blocks = t->type == Q8_0 ? DTYPE_Q8_0 : DTYPE_Q4_0;
    void *strip = calloc(blocks_strip_bytes(blocks, m->cols), 1);
    assert_true(row && strip);
    for (size_t r = 0; r < (size_t)m->rows; r++) {
        for (size_t c = 0; c < cols; c++)
            row[c] = source_value(m, r * cols + c);
        if (t->type == Q8_0 || t->type == Q4_0) {
            blocks_encode(blocks, row, 1, m->cols, strip);
            blocks_decode(blocks, strip, m->cols, 0, 0, m->cols, row);
        }
        for (size_t c = 0; c < cols; c++) {
            float expected = t->type == F16    ? f16_value(f16_nearest(row[c]))
                             : t->type == BF16 ? bf16_value(bf16_nearest(row[c]))
                                               : row[c];
            if (reader_value(t, r * cols + c) != expected)
                fail_msg("%s [%zu][%zu] is %g, expected %g", slot->name, r, c,
                         (double)reader_value(t, r * cols + c), (double)expected);
        }
    }
    free(row);
    free(strip);
}

static void fill_name(char out[120], const char *pattern, int layer)
{
    const char *at = strstr(pattern, "%d");
    if (at)
        snprintf(out, 120, "%.*s%d%s", (int)(at - pattern), pattern, layer, at + 2);
    else
        snprintf(out, 120, "%s", pattern);
}

/* Every tensor of the table, in the file where it belongs; how many those are. */
static size_t check_tensors(const struct reader *r, const struct model *m, bool audio,
                            enum pack_encoding encoding)
{
    size_t found = 0;
    int layers = audio ? m->config.audio.layers : m->config.text.layers;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int layer = 0; names[i].audio == audio && layer < (strstr(names[i].ours, "%d") ? layers : 1);
             layer++) {
            char ours[120], theirs[120];
            fill_name(ours, names[i].ours, layer);
            fill_name(theirs, names[i].theirs, layer);
            const struct weight_slot *slot = weights_find(m->weights, ours);
            const struct reader_tensor *t = reader_find_tensor(r, theirs);
            if (!slot || !t)
                fail_msg("%s, %s: missing", ours, theirs);
            if (t->type != expected_type(slot, audio, encoding))
                fail_msg("%s has type %u, expected %u", theirs, t->type,
                         expected_type(slot, audio, encoding));
            check_dims(t, slot);
            check_values(t, slot);
            found++;
        }
    return found;
}

static void files_hold_every_tensor_of_the_folder_in_each_encoding(void **state)
{
    static struct reader r;
    struct model m;
    (void)state;
    open_model(&m, TINY_AUDIO);
    for (int i = 0; i < ENCODINGS; i++) {
        struct gguf_source s = source_of(&m, &encodings[i]);
        size_t found = 0;
        for (int part = 0; part < 2; part++) {
            struct bytes b = make(&s, (enum gguf_part)part);
            reader_open(&r, b.at, b.size);
            size_t here = check_tensors(&r, &m, part == GGUF_AUDIO, encodings[i]);
            assert_int_equal(r.tensor_count, here);
            found += here;
            free(b.at);
        }
        assert_int_equal(found, m.weights->slot_count);
    }
    model_close(&m);
}

static void without_an_encoding_matrices_stay_what_they_are(void **state)
{
    static const struct {
        enum dtype dtype;
        uint32_t type;
    } cases[] = {{DTYPE_BF16, BF16}, {DTYPE_F16, F16}, {DTYPE_F32, F32}};
    static struct reader r;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model m;
        struct scratch *dir = scratch_new();
        scratch_write_model(dir, tiny_text_config, cases[i].dtype, NULL);
        open_model(&m, scratch_path(dir));
        struct tensor *up = &m.weights->decoder[1].up.weight;
        size_t count = (size_t)up->rows * (size_t)up->cols;
        /* the values of made files are any bits at all */
        unsigned char *values = calloc(count, dtype_bytes(up->dtype));
        for (size_t k = 0; k < count * dtype_bytes(up->dtype); k++)
            values[k] = k % dtype_bytes(up->dtype) == dtype_bytes(up->dtype) - 1 ? 0x3c : (unsigned char)k;
        up->data = values;
        struct gguf_source s = source_of(&m, NULL);
        struct bytes b = make(&s, GGUF_LANGUAGE);
        reader_open(&r, b.at, b.size);
        const struct reader_tensor *t = reader_find_tensor(&r, "blk.1.ffn_up.weight");
        assert_non_null(t);
        assert_int_equal(t->type, cases[i].type);
        for (size_t k = 0; k < count; k++)
            assert_true(reader_value(t, k) == source_value(up, k));
        assert_null(reader_find_tensor(&r, "output.weight")); /* tied */
        free(b.at);
        free(values);
        model_close(&m);
        scratch_free(dir);
    }
}

/* --- packs -----------------------------------------------------------------------------------------------
 */

/* The model's pack as the folder `dir`. */
static void write_pack(const struct scratch *dir, const struct model *m, enum pack_encoding encoding)
{
    struct arena *a = arena_new(SIZE_MAX);
    enum dtype *dtypes = arena_alloc(a, m->weights->slot_count, sizeof *dtypes);
    struct bytes b = {0};
    struct pack p;
    struct err e = {0};
    for (size_t i = 0; i < m->weights->slot_count; i++)
        dtypes[i] = m->weights->slots[i].tensor->dtype;
    assert_true(pack_plan(&p, m->weights, &m->config, dtypes, encoding, NULL, a, &e));
    assert_true(collect(&b, 0, p.header, p.header_bytes, &e));
    struct pack_encoder *n = pack_encoder_new(collect, &b, &e);
    static const char zeros[PACK_ALIGNMENT];
    for (size_t i = 0; i < p.count; i++) {
        const struct tensor *t = p.tensors[i].slot->tensor;
        assert_true(collect(&b, b.size, zeros, p.tensors[i].begin - b.size, &e));
        assert_true(pack_encoder_begin(n, &p.tensors[i], &e));
        assert_true(pack_encoder_push(n, t->data, tensor_bytes(t->dtype, t->rows, t->cols), &e));
    }
    assert_true(collect(&b, b.size, zeros, p.bytes - b.size, &e));
    scratch_write(dir, "model.safetensors", b.at, b.size);
    pack_encoder_free(n);
    free(b.at);
    arena_free(a);
}

static void copy_json(const struct scratch *dir, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, TINY_AUDIO "/%s", name);
    json_t *json = load_json_file(path);
    scratch_write_json(dir, name, json);
    json_decref(json);
}

static void a_pack_gives_the_files_that_its_model_gives(void **state)
{
    struct model m, packed;
    (void)state;
    open_model(&m, TINY_AUDIO);
    for (int i = 0; i < ENCODINGS; i++) {
        struct scratch *dir = scratch_new();
        write_pack(dir, &m, encodings[i]);
        copy_json(dir, "config.json");
        copy_json(dir, "generation_config.json");
        open_model(&packed, scratch_path(dir));
        memcpy(packed.name, m.name, sizeof m.name);
        struct gguf_source whole = source_of(&m, &encodings[i]), pack = source_of(&packed, NULL);
        for (int part = 0; part < 2; part++) {
            struct bytes expected = make(&whole, (enum gguf_part)part), b = make(&pack, (enum gguf_part)part);
            assert_int_equal(b.size, expected.size);
            assert_memory_equal(b.at, expected.at, b.size);
            free(expected.at);
            free(b.at);
        }
        model_close(&packed);
        scratch_free(dir);
    }
    model_close(&m);
}

/* --- metadata --------------------------------------------------------------------------------------------
 */

struct expected_key {
    const char *name, *value;
};

static const struct expected_key language_keys[] = {
    {"general.architecture", "qwen2"},
    {"general.type", "model"},
    {"general.name", "tiny-qwen2-audio"},
    {"general.alignment", "32"},
    {"general.file_type", "7"},
    {"general.quantization_version", "2"},
    {"qwen2.block_count", "3"},
    {"qwen2.context_length", "8192"},
    {"qwen2.embedding_length", "96"},
    {"qwen2.feed_forward_length", "200"},
    {"qwen2.attention.head_count", "6"},
    {"qwen2.attention.head_count_kv", "2"},
    {"qwen2.vocab_size", "1088"},
    {"qwen2.rope.freq_base", "10000"},
    {"qwen2.attention.layer_norm_rms_epsilon", "9.99999975e-06"},
    {"tokenizer.ggml.model", "gpt2"},
    {"tokenizer.ggml.pre", "qwen2"},
    {"tokenizer.ggml.tokens", "[6]"},
    {"tokenizer.ggml.token_type", "[6]"},
    {"tokenizer.ggml.merges", "[3]"},
    {"tokenizer.ggml.add_bos_token", "false"},
    {"tokenizer.ggml.eos_token_id", "1026"},
    {"tokenizer.ggml.bos_token_id", "5"},
    {"tokenizer.ggml.padding_token_id", "5"},
    {"tokenizer.chat_template", "{{ messages }}"},
};

static const struct expected_key audio_keys[] = {
    {"general.architecture", "clip"},
    {"general.type", "mmproj"},
    {"general.name", "tiny-qwen2-audio"},
    {"general.alignment", "32"},
    {"general.file_type", "7"},
    {"general.quantization_version", "2"},
    {"clip.has_audio_encoder", "true"},
    {"clip.projector_type", "qwen2a"},
    {"clip.audio.block_count", "2"},
    {"clip.audio.embedding_length", "64"},
    {"clip.audio.feed_forward_length", "152"},
    {"clip.audio.attention.head_count", "4"},
    {"clip.audio.num_mel_bins", "128"},
    {"clip.audio.projection_dim", "96"},
    {"clip.audio.attention.layer_norm_epsilon", "9.99999975e-06"},
};

static void check_keys(const struct reader *r, const struct expected_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char value[100];
        const struct reader_key *k = reader_find_key(r, keys[i].name);
        if (!k)
            fail_msg("%s is missing", keys[i].name);
        reader_print(k, value, sizeof value);
        if (strcmp(value, keys[i].value) != 0)
            fail_msg("%s is %s, expected %s", keys[i].name, value, keys[i].value);
    }
    assert_int_equal(r->key_count, count);
}

#define COUNT(t) (sizeof(t) / sizeof *(t))

static void keys_say_what_the_config_says(void **state)
{
    static struct reader r;
    struct model m;
    (void)state;
    open_model(&m, TINY_AUDIO);
    struct gguf_source s = source_of(&m, &encodings[1]);
    s.chat_template = "{{ messages }}";
    struct bytes b = make(&s, GGUF_LANGUAGE);
    reader_open(&r, b.at, b.size);
    check_keys(&r, language_keys, COUNT(language_keys));
    free(b.at);
    b = make(&s, GGUF_AUDIO);
    reader_open(&r, b.at, b.size);
    check_keys(&r, audio_keys, COUNT(audio_keys));
    free(b.at);
    model_close(&m);
}

static void tokens_keep_their_spelling_and_their_kind(void **state)
{
    static const char *const texts[] = {"a",          "\xc4\xa0the", "[PAD2]",
                                        "<|im_end|>", "<think>",     "<|endoftext|>"};
    static const unsigned char types[] = {1, 1, 5, 3, 4, 3};
    static struct reader r;
    struct model m;
    (void)state;
    open_model(&m, TINY_AUDIO);
    struct gguf_source s = source_of(&m, NULL);
    struct bytes b = make(&s, GGUF_LANGUAGE);
    reader_open(&r, b.at, b.size);
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_true(reader_same(reader_item_text(reader_find_key(&r, "tokenizer.ggml.tokens"), i), texts[i]));
        assert_int_equal(reader_find_key(&r, "tokenizer.ggml.token_type")->at[i * 4], types[i]);
    }
    for (size_t i = 0; i < COUNT(merges); i++)
        assert_true(
            reader_same(reader_item_text(reader_find_key(&r, "tokenizer.ggml.merges"), i), merges[i]));
    free(b.at);
    model_close(&m);
}

static void the_token_that_ends_a_message_is_the_one_that_ends_an_answer(void **state)
{
    static const struct {
        int ids[2], count;
        const char *expected; /* NULL: the key is not there */
    } cases[] = {
        {{5, 3}, 2, "3"}, {{3, 5}, 2, "3"}, {{5}, 1, "5"}, {{1, 5}, 2, "1"}, {{0}, 0, NULL},
    };
    static struct reader r;
    struct model m;
    (void)state;
    open_model(&m, TINY_AUDIO);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct gguf_source s = source_of(&m, NULL);
        memcpy(m.config.generation.stop_ids, cases[i].ids, sizeof cases[i].ids);
        m.config.generation.stop_count = cases[i].count;
        struct bytes b = make(&s, GGUF_LANGUAGE);
        char value[20] = "";
        reader_open(&r, b.at, b.size);
        const struct reader_key *k = reader_find_key(&r, "tokenizer.ggml.eos_token_id");
        assert_int_equal(k != NULL, cases[i].expected != NULL);
        if (k) {
            reader_print(k, value, sizeof value);
            assert_string_equal(value, cases[i].expected);
        }
        free(b.at);
    }
    model_close(&m);
}

/* --- what goes wrong -------------------------------------------------------------------------------------
 */

static void text_model_has_no_second_file(void **state)
{
    struct scratch *dir = scratch_new();
    struct model m;
    struct err e = {0};
    (void)state;
    scratch_write_model(dir, tiny_text_config, DTYPE_BF16, NULL);
    open_model(&m, scratch_path(dir));
    struct gguf_source s = source_of(&m, NULL);
    assert_null(gguf_new(&s, GGUF_AUDIO, &e));
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "has no audio tower"));
    model_close(&m);
    scratch_free(dir);
}

static void a_pack_is_not_encoded_again(void **state)
{
    struct scratch *dir = scratch_new();
    struct model m, packed;
    struct err e = {0};
    (void)state;
    open_model(&m, TINY_AUDIO);
    write_pack(dir, &m, PACK_Q8_0);
    copy_json(dir, "config.json");
    open_model(&packed, scratch_path(dir));
    struct gguf_source s = source_of(&packed, &encodings[2]);
    assert_null(gguf_new(&s, GGUF_LANGUAGE, &e));
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "is encoded already (q8_0)"));
    model_close(&packed);
    model_close(&m);
    scratch_free(dir);
}

static void values_that_a_type_cannot_hold_are_refused_by_place(void **state)
{
    static const struct {
        const char *tensor;
        enum gguf_part part;
        enum pack_encoding encoding;
        float value;
        const char *message;
    } cases[] = {
        {"audio_tower.conv1.weight", GGUF_AUDIO, PACK_BF16, 65536,
         "row 1, column 2 is 65536, which F16 cannot hold"},
        {"audio_tower.conv1.weight", GGUF_AUDIO, PACK_BF16, -INFINITY, "is -inf, which F16 cannot hold"},
        {"language_model.lm_head.weight", GGUF_LANGUAGE, PACK_Q8_0, NAN, "nan, which q8_0 cannot hold"},
        {"language_model.lm_head.weight", GGUF_LANGUAGE, PACK_Q4_0, 8388608,
         "row 1, column 2 is 8.38861e+06, which q8_0 cannot hold"},
        {"language_model.model.layers.2.mlp.up_proj.weight", GGUF_LANGUAGE, PACK_Q4_0, -524288,
         "row 1, column 2 is -524288, which q4_0 cannot hold"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct model m;
        struct err e = {0};
        struct bytes b = {0};
        open_model(&m, TINY_AUDIO);
        struct tensor *t = weights_find(m.weights, cases[i].tensor)->tensor;
        size_t bytes = tensor_bytes(t->dtype, t->rows, t->cols);
        uint16_t *values = malloc(bytes);
        assert_int_equal(t->dtype, DTYPE_BF16);
        memcpy(values, t->data, bytes);
        values[t->cols + 2] = bf16_nearest(cases[i].value);
        t->data = values;
        struct gguf_source s = source_of(&m, &cases[i].encoding);
        struct gguf *g = gguf_new(&s, cases[i].part, &e);
        assert_non_null(g);
        assert_false(gguf_write(g, collect, &b, &e));
        assert_int_equal(e.kind, ERR_CORRUPT);
        if (!strstr(e.text, cases[i].tensor) || !strstr(e.text, cases[i].message))
            fail_msg("%s, expected: %s", e.text, cases[i].message);
        gguf_free(g);
        free(b.at);
        free(values);
        model_close(&m);
    }
}

static void what_stops_the_output_stops_the_file(void **state)
{
    struct model m;
    struct err e = {0};
    int calls = 1;
    bool ok = false;
    (void)state;
    open_model(&m, TINY_AUDIO);
    struct gguf_source s = source_of(&m, &encodings[1]);
    struct gguf *g = gguf_new(&s, GGUF_AUDIO, &e);
    for (; !ok; calls++) {
        struct bytes b = {.fail_at = calls};
        e = (struct err){0};
        ok = gguf_write(g, collect, &b, &e);
        if (!ok)
            assert_string_equal(e.text, "no room");
        assert_int_equal(b.calls, ok ? calls - 1 : calls);
        free(b.at);
    }
    assert_true(calls > 50);
    gguf_free(g);
    model_close(&m);
}

/* --- the template ----------------------------------------------------------------------------------------
 */

static void the_chat_template_is_the_one_that_the_reference_takes(void **state)
{
    static const struct {
        const char *own, *tokenizer; /* files; NULL: not there */
        const char *text;            /* NULL: none */
        const char *problem;         /* NULL: fine */
    } cases[] = {
        {"{\"chat_template\": \"x\"}", "{\"chat_template\": \"y\"}", "x", NULL},
        {NULL, "{\"chat_template\": \"y\"}", "y", NULL},
        {"{}", "{\"chat_template\": \"y\"}", "y", NULL},
        {"{\"chat_template\": null}", "{}", NULL, NULL},
        {NULL, NULL, NULL, NULL},
        {"{\"chat_template\": [\"x\"]}", NULL, NULL,
         "chat_template.json: expected an object with a chat_template that is text"},
        {"[1]", NULL, NULL, "chat_template.json: expected an object"},
        {"{", NULL, NULL, "chat_template.json: line 1: "},
        {NULL, "{\"chat_template\": 3}", NULL, "tokenizer_config.json: expected an object"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scratch *dir = scratch_new();
        struct arena *a = arena_new(1 << 16);
        const char *text = "?";
        struct err e = {0};
        if (cases[i].own)
            scratch_write(dir, "chat_template.json", cases[i].own, strlen(cases[i].own));
        if (cases[i].tokenizer)
            scratch_write(dir, "tokenizer_config.json", cases[i].tokenizer, strlen(cases[i].tokenizer));
        assert_int_equal(chat_template_read(&text, scratch_path(dir), a, &e), cases[i].problem == NULL);
        if (cases[i].problem && !strstr(e.text, cases[i].problem))
            fail_msg("%s, expected: %s", e.text, cases[i].problem);
        if (!cases[i].problem && cases[i].text)
            assert_string_equal(text, cases[i].text);
        if (!cases[i].problem && !cases[i].text)
            assert_null(text);
        arena_free(a);
        scratch_free(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_hold_every_tensor_of_the_folder_in_each_encoding),
        cmocka_unit_test(without_an_encoding_matrices_stay_what_they_are),
        cmocka_unit_test(a_pack_gives_the_files_that_its_model_gives),
        cmocka_unit_test(keys_say_what_the_config_says),
        cmocka_unit_test(tokens_keep_their_spelling_and_their_kind),
        cmocka_unit_test(the_token_that_ends_a_message_is_the_one_that_ends_an_answer),
        cmocka_unit_test(text_model_has_no_second_file),
        cmocka_unit_test(a_pack_is_not_encoded_again),
        cmocka_unit_test(values_that_a_type_cannot_hold_are_refused_by_place),
        cmocka_unit_test(what_stops_the_output_stops_the_file),
        cmocka_unit_test(the_chat_template_is_the_one_that_the_reference_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
