#include "model/config.h"

#include "base/arena.h"
#include "base/catalog.h"

#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Far above any known model, and low enough that no product of sizes leaves 64 bits. */
enum {
    MAX_FILE_BYTES = 4 << 20, /* of one JSON file; real ones are a few KB */
    MAX_WIDTH = 1 << 16,
    MAX_LAYERS = 1 << 10,
    MAX_HEADS = 1 << 10,
    MAX_FFN = 1 << 20,
    MAX_VOCAB = 1 << 22,
    MAX_POSITIONS = 1 << 24,
    MAX_MELS = 512,
    MAX_FRAMES = 1 << 15,
};

/* One JSON object and where it stands, for messages: "config.json: text_config.". NULL object: all absent. */
struct source {
    const json_t *object;
    const char *file, *path;
};

/* One number of a JSON object: where it goes, what it may be, what it is when absent or null. */
struct number {
    const char *key;
    enum { WHOLE, REAL } type;
    size_t offset; /* of an int, float or double */
    enum { TO_INT, TO_FLOAT, TO_DOUBLE } to;
    double least, most, missing;
};

/* A switch or word that changes what the model computes, and the one setting that is computed here. */
struct fixed {
    const char *key;
    const char *word; /* NULL: the boolean `yes` */
    bool yes;
};

/* clang-format off */
#define INT(k, type, member, least, most, missing) \
    {k, WHOLE, offsetof(type, member), TO_INT, least, most, missing}
#define REALS(k, type, member, to, least, most, missing) \
    {k, REAL, offsetof(type, member), to, least, most, missing}

/* Defaults: Qwen2Config. */
static const struct number text_numbers[] = {
    INT("hidden_size", struct text_config, hidden, 1, MAX_WIDTH, 4096),
    INT("num_hidden_layers", struct text_config, layers, 1, MAX_LAYERS, 32),
    INT("num_attention_heads", struct text_config, heads, 1, MAX_HEADS, 32),
    INT("num_key_value_heads", struct text_config, kv_heads, 1, MAX_HEADS, 0), /* 0: as many as heads */
    INT("intermediate_size", struct text_config, ffn, 1, MAX_FFN, 22016),
    INT("vocab_size", struct text_config, vocab, 1, MAX_VOCAB, 151936),
    INT("max_position_embeddings", struct text_config, max_positions, 1, MAX_POSITIONS, 32768),
    REALS("rms_norm_eps", struct text_config, rms_eps, TO_FLOAT, 1e-12, 0.1, 1e-6),
    REALS("rope_theta", struct text_config, rope_theta, TO_DOUBLE, 1.0, 1e15, 10000.0),
};

static const struct fixed text_fixed[] = {
    {"model_type", "qwen2", false},
    {"hidden_act", "silu", false},
    {"use_sliding_window", NULL, false},
    {"use_mrope", NULL, false},
};

/* Defaults: Qwen2AudioEncoderConfig. */
static const struct number audio_numbers[] = {
    INT("d_model", struct audio_config, width, 1, MAX_WIDTH, 1280),
    INT("encoder_layers", struct audio_config, layers, 1, MAX_LAYERS, 32),
    INT("encoder_attention_heads", struct audio_config, heads, 1, MAX_HEADS, 20),
    INT("encoder_ffn_dim", struct audio_config, ffn, 1, MAX_FFN, 5120),
    INT("num_mel_bins", struct audio_config, mel_bins, 1, MAX_MELS, 128),
    INT("max_source_positions", struct audio_config, max_positions, 2, MAX_FRAMES, 1500),
};

static const struct fixed audio_fixed[] = {
    {"model_type", "qwen2_audio_encoder", false},
    {"activation_function", "gelu", false},
};

/* Defaults: WhisperFeatureExtractor; feature_size is what the encoder takes. chunk_length comes in seconds and
 * is turned into samples below. */
static const struct number mel_numbers[] = {
    INT("sampling_rate", struct mel_config, sample_rate, 8000, 192000, 16000),
    INT("n_fft", struct mel_config, n_fft, 16, 1 << 13, 400),
    INT("hop_length", struct mel_config, hop, 1, 1 << 13, 160),
    INT("chunk_length", struct mel_config, window_samples, 1, 3600, 30),
    INT("feature_size", struct mel_config, bins, 1, MAX_MELS, 0), /* 0: as many as num_mel_bins */
};

static const struct fixed mel_fixed[] = {
    {"feature_extractor_type", "WhisperFeatureExtractor", false},
    {"padding_side", "right", false},
};

/* Defaults: GenerationConfig. */
static const struct number generation_numbers[] = {
    REALS("temperature", struct generation_config, temperature, TO_FLOAT, 0.0, 100.0, 1.0),
    REALS("top_p", struct generation_config, top_p, TO_FLOAT, 0.0, 1.0, 1.0),
    REALS("repetition_penalty", struct generation_config, repetition_penalty, TO_FLOAT, 0.01, 100.0, 1.0),
    INT("top_k", struct generation_config, top_k, 0, MAX_VOCAB, 50),
};

static const struct {
    const char *model_type, *architecture;
    enum model_family family;
} families[] = {
    {"qwen2_audio", "Qwen2AudioForConditionalGeneration", MODEL_QWEN2_AUDIO},
    {"qwen2", "Qwen2ForCausalLM", MODEL_QWEN2},
};
/* clang-format on */

#define SUPPORTED "Ferry runs qwen2_audio and qwen2; \"ferry exec\" hands other models to another server"
#define COUNT(table) (sizeof(table) / sizeof *(table))

/* The value of a key; NULL when absent or null, which mean the same to the reference. */
static const json_t *value_of(const struct source *s, const char *key)
{
    const json_t *v = json_object_get(s->object, key);
    return json_is_null(v) ? NULL : v;
}

/* "config.json: text_config.hidden_size is -3, expected …". Always false. */
static bool bad_value(struct err *e, enum err_kind kind, const struct source *s, const char *key,
                      const char *expected)
{
    char *text = json_dumps(value_of(s, key), JSON_ENCODE_ANY | JSON_COMPACT);
    bool is_long = text && strlen(text) > 60;
    err_set(e, kind, "%s: %s%s is %.60s%s, expected %s", s->file, s->path, key, text ? text : _("absent"),
            is_long ? "..." : "", expected);
    free(text);
    return false;
}

static bool number_fits(const struct number *n, const json_t *v)
{
    if (n->type == WHOLE ? !json_is_integer(v) : !json_is_number(v))
        return false;
    double x = json_number_value(v);
    return x >= n->least && x <= n->most;
}

static bool read_number(void *out, const struct number *n, const struct source *s, struct err *e)
{
    const json_t *v = value_of(s, n->key);
    if (v && !number_fits(n, v)) {
        char expected[200];
        snprintf(expected, sizeof expected,
                 n->type == WHOLE ? _("a whole number from %.15g to %.15g")
                                  : _("a number from %.15g to %.15g"),
                 n->least, n->most);
        return bad_value(e, ERR_CORRUPT, s, n->key, expected);
    }
    double x = v ? json_number_value(v) : n->missing;
    void *place = (char *)out + n->offset;
    if (n->to == TO_INT)
        *(int *)place = (int)x;
    else if (n->to == TO_FLOAT)
        *(float *)place = (float)x;
    else
        *(double *)place = x;
    return true;
}

static bool read_numbers(void *out, const struct number *table, size_t count, const struct source *s,
                         struct err *e)
{
    for (size_t i = 0; i < count; i++)
        if (!read_number(out, &table[i], s, e))
            return false;
    return true;
}

static bool read_bool(bool *out, const struct source *s, const char *key, struct err *e)
{
    const json_t *v = value_of(s, key);
    *out = json_is_true(v);
    return !v || json_is_boolean(v) || bad_value(e, ERR_CORRUPT, s, key, _("true or false"));
}

static bool check_fixed(const struct fixed *table, size_t count, const struct source *s, struct err *e)
{
    for (const struct fixed *f = table; f < table + count; f++) {
        const json_t *v = value_of(s, f->key);
        const char *word = json_string_value(v);
        if (!v ||
            (f->word ? word && strcmp(word, f->word) == 0 : json_is_boolean(v) && json_is_true(v) == f->yes))
            continue;
        char expected[200];
        snprintf(expected, sizeof expected, _("%s: nothing else is supported"),
                 f->word  ? f->word
                 : f->yes ? "true"
                          : "false");
        return bad_value(e, ERR_UNSUPPORTED, s, f->key, expected);
    }
    return true;
}

/* The object under a key. Absent: a source whose keys are all absent. */
static bool read_object(struct source *child, const char *path, const struct source *s, const char *key,
                        struct err *e)
{
    const json_t *v = value_of(s, key);
    *child = (struct source){.object = v, .file = s->file, .path = path};
    return !v || json_is_object(v) || bad_value(e, ERR_CORRUPT, s, key, _("an object"));
}

/* rope_scaling (and rope_parameters, its name since 5.0) may name a rule that stretches positions. */
static bool check_rope_type(const struct source *rope, struct err *e)
{
    static const char *const keys[] = {"rope_type", "type"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        const char *type = json_string_value(value_of(rope, keys[i]));
        if (value_of(rope, keys[i]) && (!type || strcmp(type, "default") != 0))
            return bad_value(e, ERR_UNSUPPORTED, rope, keys[i],
                             _("default or none: positions are not stretched here"));
    }
    return true;
}

static bool read_rope(struct text_config *t, const struct source *s, struct err *e)
{
    char scaling_path[64], parameters_path[64];
    snprintf(scaling_path, sizeof scaling_path, "%srope_scaling.", s->path);
    snprintf(parameters_path, sizeof parameters_path, "%srope_parameters.", s->path);
    struct source scaling, parameters;
    if (!read_object(&scaling, scaling_path, s, "rope_scaling", e) ||
        !read_object(&parameters, parameters_path, s, "rope_parameters", e) ||
        !check_rope_type(&scaling, e) || !check_rope_type(&parameters, e))
        return false;
    if (scaling.object && !value_of(&scaling, "rope_type") && !value_of(&scaling, "type"))
        return bad_value(e, ERR_UNSUPPORTED, s, "rope_scaling", _("none: positions are not stretched here"));
    const struct number theta = {
        "rope_theta", REAL, offsetof(struct text_config, rope_theta), TO_DOUBLE, 1.0, 1e15, t->rope_theta};
    return read_number(t, &theta, &parameters, e);
}

/* Newer configs list the kind of attention of each layer. */
static bool check_layer_types(const struct source *s, struct err *e)
{
    const json_t *list = value_of(s, "layer_types");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *type = json_string_value(json_array_get(list, i));
        if (!type || strcmp(type, "full_attention") != 0)
            return bad_value(e, ERR_UNSUPPORTED, s, "layer_types", _("full_attention in every layer"));
    }
    return true;
}

static bool check_heads(struct text_config *t, const struct source *s, struct err *e)
{
    if (t->kv_heads == 0)
        t->kv_heads = t->heads;
    if (t->hidden % t->heads || t->hidden / t->heads % 2)
        return err_set(e, ERR_CORRUPT,
                       "%s: %shidden_size %d over num_attention_heads %d, expected an even whole number",
                       s->file, s->path, t->hidden, t->heads);
    if (t->heads % t->kv_heads)
        return err_set(e, ERR_CORRUPT,
                       "%s: %snum_attention_heads is %d, expected a multiple of num_key_value_heads %d",
                       s->file, s->path, t->heads, t->kv_heads);
    t->head_dim = t->hidden / t->heads;
    const json_t *given = value_of(s, "head_dim");
    if (given && (!json_is_integer(given) || json_integer_value(given) != t->head_dim))
        return bad_value(e, ERR_UNSUPPORTED, s, "head_dim", "hidden_size / num_attention_heads");
    return true;
}

static bool read_text(struct text_config *t, const struct source *s, struct err *e)
{
    return read_numbers(t, text_numbers, COUNT(text_numbers), s, e) &&
           read_bool(&t->tied_head, s, "tie_word_embeddings", e) &&
           check_fixed(text_fixed, COUNT(text_fixed), s, e) && read_rope(t, s, e) &&
           check_layer_types(s, e) && check_heads(t, s, e);
}

static bool read_audio(struct audio_config *a, const struct source *s, struct err *e)
{
    if (!read_numbers(a, audio_numbers, COUNT(audio_numbers), s, e) ||
        !check_fixed(audio_fixed, COUNT(audio_fixed), s, e))
        return false;
    if (a->width % a->heads)
        return err_set(e, ERR_CORRUPT,
                       "%s: %sd_model is %d, expected a multiple of encoder_attention_heads %d", s->file,
                       s->path, a->width, a->heads);
    a->head_dim = a->width / a->heads;
    return true;
}

/* The encoder adds one stored position to each conv frame, two mel frames each: a window must fit exactly. */
static bool read_mel(struct mel_config *m, const struct audio_config *a, const struct source *s,
                     struct err *e)
{
    if (!read_numbers(m, mel_numbers, COUNT(mel_numbers), s, e) ||
        !check_fixed(mel_fixed, COUNT(mel_fixed), s, e))
        return false;
    m->window_samples *= m->sample_rate;
    m->window_frames = m->window_samples / m->hop;
    if (m->bins == 0)
        m->bins = a->mel_bins;
    if (m->bins != a->mel_bins)
        return err_set(e, ERR_CORRUPT, "%s: feature_size is %d, expected num_mel_bins %d of config.json",
                       s->file, m->bins, a->mel_bins);
    if (m->window_frames != 2 * a->max_positions)
        return err_set(e, ERR_CORRUPT,
                       "%s: chunk_length * sampling_rate / hop_length is %d frames, expected twice "
                       "max_source_positions %d of config.json",
                       s->file, m->window_frames, a->max_positions);
    return true;
}

static bool read_stop_id(struct generation_config *g, const json_t *id, int vocab, const struct source *s,
                         struct err *e)
{
    char expected[160];
    snprintf(expected, sizeof expected, _("token ids from 0 to %d"), vocab - 1);
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= vocab)
        return bad_value(e, ERR_CORRUPT, s, "eos_token_id", expected);
    if (g->stop_count == MODEL_MAX_STOP_IDS)
        return err_set(e, ERR_LIMIT, "%s: %seos_token_id has %zu ids, expected at most %d", s->file, s->path,
                       json_array_size(value_of(s, "eos_token_id")), MODEL_MAX_STOP_IDS);
    g->stop_ids[g->stop_count++] = (int)json_integer_value(id);
    return true;
}

/* eos_token_id: a number or a list of numbers. */
static bool read_stop_ids(struct generation_config *g, int vocab, const struct source *s, struct err *e)
{
    const json_t *v = value_of(s, "eos_token_id");
    if (!v)
        return true;
    if (!json_is_array(v))
        return read_stop_id(g, v, vocab, s, e);
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!read_stop_id(g, json_array_get(v, i), vocab, s, e))
            return false;
    return true;
}

/* generation_config.json's stop ids win over config.json's, as in generate(). */
static bool read_generation(struct generation_config *g, int vocab, const struct source *generation,
                            const struct source *text, const struct source *config, struct err *e)
{
    const struct source *by_rank[] = {generation, text, config};
    if (!read_numbers(g, generation_numbers, COUNT(generation_numbers), generation, e) ||
        !read_bool(&g->do_sample, generation, "do_sample", e))
        return false;
    for (size_t i = 0; i < COUNT(by_rank) && g->stop_count == 0; i++)
        if (!read_stop_ids(g, vocab, by_rank[i], e))
            return false;
    return true;
}

/* audio_token_index, since 5.0 audio_token_id. Default: Qwen2AudioConfig. */
static bool read_audio_token(struct model_config *c, const struct source *s, struct err *e)
{
    const char *key = value_of(s, "audio_token_id") ? "audio_token_id" : "audio_token_index";
    const struct number id = INT(key, struct model_config, audio_token_id, 0, c->text.vocab - 1, 151646);
    if (!read_number(c, &id, s, e))
        return false;
    return c->audio_token_id < c->text.vocab ||
           err_set(e, ERR_CORRUPT,
                   "%s: audio_token_index is absent and its default 151646 is beyond vocab_size %d", s->file,
                   c->text.vocab);
}

static bool has_architecture(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *each = json_string_value(json_array_get(list, i));
        if (each && strcmp(each, name) == 0)
            return true;
    }
    return false;
}

static bool read_family(enum model_family *family, const struct source *s, struct err *e)
{
    const char *type = json_string_value(value_of(s, "model_type"));
    for (size_t i = 0; type && i < COUNT(families); i++) {
        if (strcmp(type, families[i].model_type) != 0)
            continue;
        const json_t *list = value_of(s, "architectures");
        if (list && !has_architecture(list, families[i].architecture))
            return bad_value(e, ERR_UNSUPPORTED, s, "architectures", families[i].architecture);
        *family = families[i].family;
        return true;
    }
    return bad_value(e, type ? ERR_UNSUPPORTED : ERR_CORRUPT, s, "model_type",
                     _("a supported model: " SUPPORTED));
}

/* AWQ, GPTQ and the like store other tensors under the same names. */
static bool check_unquantized(const struct source *s, struct err *e)
{
    const json_t *q = value_of(s, "quantization_config");
    if (!q)
        return true;
    const char *method = json_string_value(json_object_get(q, "quant_method"));
    return err_set(
        e, ERR_UNSUPPORTED,
        "%s: quantization_config is %.40s, expected none: take the BF16, F16 or F32 folder of the model",
        s->file, method ? method : _("present"));
}

static bool read_model(struct model_config *c, const struct source *config, const struct source *generation,
                       const struct source *preprocessor, struct err *e)
{
    struct source text = *config, audio;
    if (!read_family(&c->family, config, e) || !check_unquantized(config, e))
        return false;
    bool hears = c->family == MODEL_QWEN2_AUDIO;
    c->audio_token_id = -1;
    if (hears && (!read_object(&text, "text_config.", config, "text_config", e) ||
                  !read_object(&audio, "audio_config.", config, "audio_config", e)))
        return false;
    if (!read_text(&c->text, &text, e) ||
        !read_generation(&c->generation, c->text.vocab, generation, &text, config, e))
        return false;
    return !hears || (read_audio(&c->audio, &audio, e) && read_mel(&c->mel, &c->audio, preprocessor, e) &&
                      read_audio_token(c, config, e));
}

/* text NULL: an empty source. */
static bool load_source(struct source *s, json_t **root, const char *file, const char *text, struct err *e)
{
    json_error_t at;
    *s = (struct source){.file = file, .path = ""};
    *root = text ? json_loads(text, JSON_REJECT_DUPLICATES, &at) : NULL;
    s->object = *root;
    if (text && !*root)
        return err_set(e, ERR_CORRUPT, "%s: line %d: %s, expected JSON", file, at.line, at.text);
    return !text || json_is_object(*root) ||
           err_set(e, ERR_CORRUPT, "%s: a JSON object expected, found an array", file);
}

bool model_config_parse(struct model_config *c, const char *config, const char *generation,
                        const char *preprocessor, struct err *e)
{
    json_t *roots[3] = {NULL};
    struct source s[3];
    *c = (struct model_config){0};
    bool ok = load_source(&s[0], &roots[0], "config.json", config, e) &&
              load_source(&s[1], &roots[1], "generation_config.json", generation, e) &&
              load_source(&s[2], &roots[2], "preprocessor_config.json", preprocessor, e) &&
              read_model(c, &s[0], &s[1], &s[2], e);
    for (size_t i = 0; i < COUNT(roots); i++)
        json_decref(roots[i]);
    return ok;
}

static bool check_text(const char *text, size_t size, const char *where, const char *name, struct err *e)
{
    return !text || strlen(text) == size ||
           err_set(e, ERR_CORRUPT, "%s/%s: NUL at byte %zu, expected JSON", where, name, strlen(text));
}

bool model_config_read(struct model_config *c, const struct file_source *files, struct err *e)
{
    static const char *const names[] = {"config.json", "generation_config.json", "preprocessor_config.json"};
    const char *texts[COUNT(names)] = {NULL};
    size_t size;
    struct arena *a = arena_new(4 * (size_t)MAX_FILE_BYTES);
    bool ok = a || err_set(e, ERR_MEMORY, "%s: no memory for its config", files->where);
    for (size_t i = 0; ok && i < COUNT(names); i++)
        ok = (i == 0 ? file_source_need : files->read)(files, names[i], MAX_FILE_BYTES, a, &texts[i], &size,
                                                       e) &&
             check_text(texts[i], size, files->where, names[i], e);
    if (ok && !model_config_parse(c, texts[0], texts[1], texts[2], e))
        ok = err_wrap(e, "%s", files->where);
    arena_free(a);
    return ok;
}
