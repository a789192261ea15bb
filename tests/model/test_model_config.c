#include "model/config.h"

#include "model_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define REAL_CONFIG "data/models/qwen2-audio-7b-instruct.reconstructed.json"

enum file { CONFIG, GENERATION, PREPROCESSOR, FILES };

static const char *const file_names[FILES] = {"config.json", "generation_config.json",
                                              "preprocessor_config.json"};

/* Parses three JSON values; NULL is a file that is not there. */
static bool parse(struct model_config *c, json_t *const files[FILES], struct err *e)
{
    char *texts[FILES];
    for (int i = 0; i < FILES; i++)
        texts[i] = files[i] ? json_dumps(files[i], 0) : NULL;
    bool ok = model_config_parse(c, texts[CONFIG], texts[GENERATION], texts[PREPROCESSOR], e);
    for (int i = 0; i < FILES; i++)
        free(texts[i]);
    return ok;
}

static void load_tiny_audio(json_t *files[FILES])
{
    for (int i = 0; i < FILES; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", TINY_AUDIO, file_names[i]);
        files[i] = load_json_file(path);
    }
}

static void drop(json_t *files[FILES])
{
    for (int i = 0; i < FILES; i++)
        json_decref(files[i]);
}

/* One value of the tiny model replaced (NULL: removed), and what must be said about it. */
static const struct refused {
    enum file file;
    const char *path, *value;
    enum err_kind kind;
    const char *message;
} refused[] = {
    /* wrong types and ranges */
    {CONFIG, "text_config.hidden_size", "-96", ERR_CORRUPT,
     "config.json: text_config.hidden_size is -96, expected a whole number from 1 to 65536"},
    {CONFIG, "text_config.hidden_size", "96.0", ERR_CORRUPT,
     "config.json: text_config.hidden_size is 96.0, expected a whole number from 1 to 65536"},
    {CONFIG, "text_config.hidden_size", "9223372036854775807", ERR_CORRUPT,
     "config.json: text_config.hidden_size is 9223372036854775807, expected a whole number from 1 to 65536"},
    {CONFIG, "text_config.num_hidden_layers", "0", ERR_CORRUPT,
     "config.json: text_config.num_hidden_layers is 0, expected a whole number from 1 to 1024"},
    {CONFIG, "text_config.vocab_size", "\"1088\"", ERR_CORRUPT,
     "config.json: text_config.vocab_size is \"1088\", expected a whole number from 1 to 4194304"},
    {CONFIG, "text_config.intermediate_size", "[200]", ERR_CORRUPT,
     "config.json: text_config.intermediate_size is [200], expected a whole number from 1 to 1048576"},
    {CONFIG, "text_config.num_attention_heads", "true", ERR_CORRUPT,
     "config.json: text_config.num_attention_heads is true, expected a whole number from 1 to 1024"},
    {CONFIG, "text_config.max_position_embeddings", "16777217", ERR_CORRUPT,
     "config.json: text_config.max_position_embeddings is 16777217, expected a whole number from 1 to "
     "16777216"},
    {CONFIG, "text_config.rms_norm_eps", "0", ERR_CORRUPT,
     "config.json: text_config.rms_norm_eps is 0, expected a number from 1e-12 to 0.1"},
    {CONFIG, "text_config.rope_theta", "-10000.0", ERR_CORRUPT,
     "config.json: text_config.rope_theta is -10000.0, expected a number from 1 to 1e+15"},
    {CONFIG, "text_config.tie_word_embeddings", "1", ERR_CORRUPT,
     "config.json: text_config.tie_word_embeddings is 1, expected true or false"},
    {CONFIG, "text_config", "[]", ERR_CORRUPT, "config.json: text_config is [], expected an object"},
    {CONFIG, "audio_config", "7", ERR_CORRUPT, "config.json: audio_config is 7, expected an object"},
    {CONFIG, "audio_config.d_model", "65537", ERR_CORRUPT,
     "config.json: audio_config.d_model is 65537, expected a whole number from 1 to 65536"},
    {CONFIG, "audio_config.encoder_layers", "{}", ERR_CORRUPT,
     "config.json: audio_config.encoder_layers is {}, expected a whole number from 1 to 1024"},
    {CONFIG, "audio_token_index", "1088", ERR_CORRUPT,
     "config.json: audio_token_index is 1088, expected a whole number from 0 to 1087"},
    {CONFIG, "audio_token_id", "-1", ERR_CORRUPT,
     "config.json: audio_token_id is -1, expected a whole number from 0 to 1087"},
    {CONFIG, "audio_token_index", NULL, ERR_CORRUPT,
     "config.json: audio_token_index is absent and its default 151646 is beyond vocab_size 1088"},
    {GENERATION, "temperature", "\"hot\"", ERR_CORRUPT,
     "generation_config.json: temperature is \"hot\", expected a number from 0 to 100"},
    {GENERATION, "top_p", "1.5", ERR_CORRUPT,
     "generation_config.json: top_p is 1.5, expected a number from 0 to 1"},
    {GENERATION, "top_k", "-1", ERR_CORRUPT,
     "generation_config.json: top_k is -1, expected a whole number from 0 to 4194304"},
    {GENERATION, "repetition_penalty", "0", ERR_CORRUPT,
     "generation_config.json: repetition_penalty is 0, expected a number from 0.01 to 100"},
    {GENERATION, "do_sample", "\"yes\"", ERR_CORRUPT,
     "generation_config.json: do_sample is \"yes\", expected true or false"},
    {GENERATION, "eos_token_id", "1088", ERR_CORRUPT,
     "generation_config.json: eos_token_id is 1088, expected token ids from 0 to 1087"},
    {GENERATION, "eos_token_id", "[1026, \"x\"]", ERR_CORRUPT,
     "generation_config.json: eos_token_id is [1026,\"x\"], expected token ids from 0 to 1087"},
    {GENERATION, "eos_token_id", "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]", ERR_LIMIT,
     "generation_config.json: eos_token_id has 17 ids, expected at most 16"},
    {PREPROCESSOR, "sampling_rate", "0", ERR_CORRUPT,
     "preprocessor_config.json: sampling_rate is 0, expected a whole number from 8000 to 192000"},
    {PREPROCESSOR, "hop_length", "0", ERR_CORRUPT,
     "preprocessor_config.json: hop_length is 0, expected a whole number from 1 to 8192"},

    /* numbers that do not fit together */
    {CONFIG, "text_config.num_attention_heads", "5", ERR_CORRUPT,
     "config.json: text_config.hidden_size 96 over num_attention_heads 5, expected an even whole number"},
    {CONFIG, "text_config.num_attention_heads", "32", ERR_CORRUPT,
     "config.json: text_config.hidden_size 96 over num_attention_heads 32, expected an even whole number"},
    {CONFIG, "text_config.num_key_value_heads", "4", ERR_CORRUPT,
     "config.json: text_config.num_attention_heads is 6, expected a multiple of num_key_value_heads 4"},
    {CONFIG, "text_config.num_key_value_heads", "12", ERR_CORRUPT,
     "config.json: text_config.num_attention_heads is 6, expected a multiple of num_key_value_heads 12"},
    {CONFIG, "audio_config.encoder_attention_heads", "5", ERR_CORRUPT,
     "config.json: audio_config.d_model is 64, expected a multiple of encoder_attention_heads 5"},
    {CONFIG, "audio_config.num_mel_bins", "80", ERR_CORRUPT,
     "preprocessor_config.json: feature_size is 128, expected num_mel_bins 80 of config.json"},
    {PREPROCESSOR, "chunk_length", "20", ERR_CORRUPT,
     "preprocessor_config.json: chunk_length * sampling_rate / hop_length is 2000 frames, expected twice "
     "max_source_positions 1500 of config.json"},

    /* what the model would compute and Ferry does not */
    {CONFIG, "model_type", NULL, ERR_CORRUPT,
     "config.json: model_type is absent, expected a supported model: Ferry runs qwen2_audio and qwen2; "
     "\"ferry exec\" "
     "hands other models to another server"},
    {CONFIG, "model_type", "\"llama\"", ERR_UNSUPPORTED,
     "config.json: model_type is \"llama\", expected a supported model: Ferry runs qwen2_audio and qwen2; "
     "\"ferry exec\" "
     "hands other models to another server"},
    {CONFIG, "architectures", "[\"Qwen2AudioEncoder\"]", ERR_UNSUPPORTED,
     "config.json: architectures is [\"Qwen2AudioEncoder\"], expected Qwen2AudioForConditionalGeneration"},
    {CONFIG, "text_config.model_type", "\"qwen2_moe\"", ERR_UNSUPPORTED,
     "config.json: text_config.model_type is \"qwen2_moe\", expected qwen2: nothing else is supported"},
    {CONFIG, "text_config.hidden_act", "\"gelu\"", ERR_UNSUPPORTED,
     "config.json: text_config.hidden_act is \"gelu\", expected silu: nothing else is supported"},
    {CONFIG, "text_config.use_sliding_window", "true", ERR_UNSUPPORTED,
     "config.json: text_config.use_sliding_window is true, expected false: nothing else is supported"},
    {CONFIG, "text_config.use_mrope", "true", ERR_UNSUPPORTED,
     "config.json: text_config.use_mrope is true, expected false: nothing else is supported"},
    {CONFIG, "text_config.rope_scaling", "{\"type\": \"yarn\", \"factor\": 4.0}", ERR_UNSUPPORTED,
     "config.json: text_config.rope_scaling.type is \"yarn\", expected default or none: positions are not "
     "stretched "
     "here"},
    {CONFIG, "text_config.rope_scaling", "{\"factor\": 4.0}", ERR_UNSUPPORTED,
     "config.json: text_config.rope_scaling is {\"factor\":4.0}, expected none: positions are not stretched "
     "here"},
    {CONFIG, "text_config.rope_parameters", "{\"rope_type\": \"llama3\"}", ERR_UNSUPPORTED,
     "config.json: text_config.rope_parameters.rope_type is \"llama3\", expected default or none: positions "
     "are not "
     "stretched here"},
    {CONFIG, "text_config.rope_parameters", "{\"rope_theta\": \"big\"}", ERR_CORRUPT,
     "config.json: text_config.rope_parameters.rope_theta is \"big\", expected a number from 1 to 1e+15"},
    {CONFIG, "text_config.layer_types", "[\"full_attention\", \"sliding_attention\"]", ERR_UNSUPPORTED,
     "config.json: text_config.layer_types is [\"full_attention\",\"sliding_attention\"], expected "
     "full_attention in "
     "every layer"},
    {CONFIG, "text_config.head_dim", "32", ERR_UNSUPPORTED,
     "config.json: text_config.head_dim is 32, expected hidden_size / num_attention_heads"},
    {CONFIG, "quantization_config", "{\"quant_method\": \"awq\"}", ERR_UNSUPPORTED,
     "config.json: quantization_config is awq, expected none: take the BF16, F16 or F32 folder of the model"},
    {CONFIG, "audio_config.activation_function", "\"relu\"", ERR_UNSUPPORTED,
     "config.json: audio_config.activation_function is \"relu\", expected gelu: nothing else is supported"},
    {PREPROCESSOR, "padding_side", "\"left\"", ERR_UNSUPPORTED,
     "preprocessor_config.json: padding_side is \"left\", expected right: nothing else is supported"},
    {PREPROCESSOR, "feature_extractor_type", "\"ClapFeatureExtractor\"", ERR_UNSUPPORTED,
     "preprocessor_config.json: feature_extractor_type is \"ClapFeatureExtractor\", expected "
     "WhisperFeatureExtractor: "
     "nothing else is supported"},
    {CONFIG, "architectures", "[\"0123456789012345678901234567890123456789012345678901234567890123456789\"]",
     ERR_UNSUPPORTED,
     "config.json: architectures is [\"0123456789012345678901234567890123456789012345678901234567..., "
     "expected "
     "Qwen2AudioForConditionalGeneration"},
};

static void wrong_value_is_refused_with_file_key_and_expectation(void **state)
{
    (void)state;
    for (const struct refused *r = refused; r < refused + sizeof refused / sizeof *refused; r++) {
        json_t *files[FILES];
        struct model_config c;
        struct err e = {0};
        load_tiny_audio(files);
        json_patch(files[r->file], r->path, r->value);
        assert_false(parse(&c, files, &e));
        assert_string_equal(e.text, r->message);
        assert_int_equal(e.kind, r->kind);
        drop(files);
    }
}

static void broken_json_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *config, *generation, *message;
    } cases[] = {
        {"", NULL, "config.json: line 1: '[' or '{' expected near end of file, expected JSON"},
        {"[]", NULL, "config.json: a JSON object expected, found an array"},
        {"{\"a\": 1,\n \"a\": 2}", NULL,
         "config.json: line 2: duplicate object key near '\"a\"', expected JSON"},
        {"{\"model_type\": \"qwen2\"", NULL,
         "config.json: line 1: '}' expected near end of file, expected JSON"},
        {tiny_text_config, "{} x",
         "generation_config.json: line 1: end of file expected near 'x', expected JSON"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_config c;
        struct err e = {0};
        assert_false(model_config_parse(&c, cases[i].config, cases[i].generation, NULL, &e));
        assert_string_equal(e.text, cases[i].message);
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
}

static void real_config_takes_defaults_where_it_is_silent(void **state)
{
    json_t *all = load_json_file(REAL_CONFIG), *files[FILES];
    struct model_config c;
    struct err e = {0};
    (void)state;
    for (int i = 0; i < FILES; i++)
        files[i] = json_object_get(all, file_names[i]);
    assert_true(parse(&c, files, &e));
    assert_int_equal(c.family, MODEL_QWEN2_AUDIO);
    assert_int_equal(c.audio_token_id, 151646);
    assert_int_equal(c.text.hidden, 4096);
    assert_int_equal(c.text.layers, 32);
    assert_int_equal(c.text.heads, 32);
    assert_int_equal(c.text.kv_heads, 32);
    assert_int_equal(c.text.head_dim, 128);
    assert_int_equal(c.text.ffn, 11008);
    assert_int_equal(c.text.vocab, 156032);
    assert_int_equal(c.text.max_positions, 8192);
    assert_true(c.text.rms_eps == 1e-5f);
    assert_true(c.text.rope_theta == 10000);
    assert_false(c.text.tied_head);
    assert_int_equal(c.audio.width, 1280);
    assert_int_equal(c.audio.layers, 32);
    assert_int_equal(c.audio.heads, 20);
    assert_int_equal(c.audio.head_dim, 64);
    assert_int_equal(c.audio.ffn, 5120);
    assert_int_equal(c.audio.mel_bins, 128);
    assert_int_equal(c.audio.max_positions, 1500);
    assert_int_equal(c.mel.sample_rate, 16000);
    assert_int_equal(c.mel.n_fft, 400);
    assert_int_equal(c.mel.hop, 160);
    assert_int_equal(c.mel.window_samples, 480000);
    assert_int_equal(c.mel.window_frames, 3000);
    assert_int_equal(c.mel.bins, 128);
    assert_true(c.generation.do_sample);
    assert_true(c.generation.temperature == 0.7f);
    assert_true(c.generation.top_p == 0.5f);
    assert_true(c.generation.repetition_penalty == 1.1f);
    assert_int_equal(c.generation.top_k, 20);
    assert_int_equal(c.generation.stop_count, 2);
    assert_int_equal(c.generation.stop_ids[0], 151643);
    assert_int_equal(c.generation.stop_ids[1], 151645);
    json_decref(all);
}

static void audio_model_without_sizes_is_the_default_one(void **state)
{
    struct model_config c;
    struct err e = {0};
    (void)state;
    assert_true(model_config_parse(&c, "{\"model_type\": \"qwen2_audio\"}", NULL, NULL, &e));
    assert_int_equal(c.text.ffn, 22016);
    assert_int_equal(c.text.max_positions, 32768);
    assert_true(c.text.rms_eps == 1e-6f);
    assert_int_equal(c.text.vocab, 151936);
    assert_int_equal(c.audio.width, 1280);
    assert_int_equal(c.audio_token_id, 151646);
    assert_int_equal(c.mel.window_frames, 3000);
    assert_int_equal(c.mel.bins, 128);
    assert_false(c.generation.do_sample);
    assert_int_equal(c.generation.top_k, 50);
    assert_int_equal(c.generation.stop_count, 0);
}

static void text_only_model_is_read_from_the_top_level(void **state)
{
    struct model_config c;
    struct err e = {0};
    (void)state;
    assert_true(model_config_parse(&c, tiny_text_config, NULL, NULL, &e));
    assert_int_equal(c.family, MODEL_QWEN2);
    assert_int_equal(c.audio_token_id, -1);
    assert_int_equal(c.audio.width, 0);
    assert_int_equal(c.mel.bins, 0);
    assert_int_equal(c.text.hidden, 48);
    assert_int_equal(c.text.heads, 6);
    assert_int_equal(c.text.kv_heads, 3);
    assert_int_equal(c.text.head_dim, 8);
    assert_true(c.text.rope_theta == 1e6);
    assert_true(c.text.tied_head);
    assert_int_equal(c.generation.stop_count, 1);
    assert_int_equal(c.generation.stop_ids[0], 7);
}

/* Other spellings of the same model: what they change, and what they must not. */
static void newer_and_older_spellings_are_read(void **state)
{
    static const struct {
        const char *path, *value;
        double theta;
        int kv_heads, audio_token;
    } cases[] = {
        {"text_config.rope_parameters", "{\"rope_theta\": 500000, \"rope_type\": \"default\"}", 500000, 2,
         1027},
        {"text_config.rope_scaling", "{\"rope_type\": \"default\"}", 10000, 2, 1027},
        {"text_config.rope_scaling", "null", 10000, 2, 1027},
        {"text_config.num_key_value_heads", "null", 10000, 6, 1027},
        {"text_config.num_key_value_heads", "1", 10000, 1, 1027},
        {"text_config.head_dim", "16", 10000, 2, 1027},
        {"text_config.layer_types", "[\"full_attention\", \"full_attention\", \"full_attention\"]", 10000, 2,
         1027},
        {"audio_token_id", "5", 10000, 2, 5},
        {"text_config.dtype", "\"float16\"", 10000, 2, 1027},
        {"quantization_config", "null", 10000, 2, 1027},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *files[FILES];
        struct model_config c;
        struct err e = {0};
        load_tiny_audio(files);
        json_patch(files[CONFIG], cases[i].path, cases[i].value);
        if (!parse(&c, files, &e))
            fail_msg("%s", e.text);
        assert_true(c.text.rope_theta == cases[i].theta);
        assert_int_equal(c.text.kv_heads, cases[i].kv_heads);
        assert_int_equal(c.audio_token_id, cases[i].audio_token);
        drop(files);
    }
}

static void stop_ids_come_from_the_first_file_that_has_them(void **state)
{
    static const struct {
        const char *generation, *text, *top; /* eos_token_id of each; NULL: absent */
        int count, first;
    } cases[] = {
        {"[3, 4]", "5", "6", 2, 3},     {"3", "5", "6", 1, 3},   {"null", "5", "6", 1, 5},
        {NULL, "[5, 5, 6]", "6", 3, 5}, {NULL, NULL, "6", 1, 6}, {NULL, NULL, NULL, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *files[FILES];
        struct model_config c;
        struct err e = {0};
        load_tiny_audio(files);
        json_patch(files[GENERATION], "eos_token_id", cases[i].generation);
        json_patch(files[CONFIG], "text_config.eos_token_id", cases[i].text);
        json_patch(files[CONFIG], "eos_token_id", cases[i].top);
        assert_true(parse(&c, files, &e));
        assert_int_equal(c.generation.stop_count, cases[i].count);
        assert_int_equal(c.generation.stop_ids[0], cases[i].first);
        drop(files);
    }
}

static bool read_folder(struct model_config *c, const char *path, struct err *e)
{
    const struct file_source files = file_source_folder(path);
    return model_config_read(c, &files, e);
}

static void folder_without_the_optional_files_is_read(void **state)
{
    struct model_config c;
    struct err e = {0};
    struct scratch *s = scratch_new();
    char path[600];
    (void)state;
    scratch_link_tiny_audio(s);
    scratch_file(s, path, sizeof path, "generation_config.json");
    unlink(path);
    scratch_file(s, path, sizeof path, "preprocessor_config.json");
    unlink(path);
    assert_true(read_folder(&c, scratch_path(s), &e));
    assert_int_equal(c.mel.window_frames, 3000);
    assert_int_equal(c.generation.stop_ids[0], 1026);
    scratch_free(s);
}

static void refused_file_of_a_folder_is_named_with_its_path(void **state)
{
    struct model_config c;
    struct err e = {0};
    struct scratch *s = scratch_new();
    char expected[700];
    (void)state;
    assert_false(read_folder(&c, scratch_path(s), &e));
    snprintf(expected, sizeof expected, "%s/config.json: No such file or directory", scratch_path(s));
    assert_string_equal(e.text, expected);
    assert_int_equal(e.kind, ERR_NOT_FOUND);

    scratch_write(s, "config.json", "{}\0{}", 5);
    assert_false(read_folder(&c, scratch_path(s), &e));
    snprintf(expected, sizeof expected, "%s/config.json: NUL at byte 2, expected JSON", scratch_path(s));
    assert_string_equal(e.text, expected);

    scratch_write(s, "config.json", "[]", 2);
    assert_false(read_folder(&c, scratch_path(s), &e));
    snprintf(expected, sizeof expected, "%s: config.json: a JSON object expected, found an array",
             scratch_path(s));
    assert_string_equal(e.text, expected);
    scratch_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_value_is_refused_with_file_key_and_expectation),
        cmocka_unit_test(broken_json_is_refused_with_its_line),
        cmocka_unit_test(real_config_takes_defaults_where_it_is_silent),
        cmocka_unit_test(audio_model_without_sizes_is_the_default_one),
        cmocka_unit_test(text_only_model_is_read_from_the_top_level),
        cmocka_unit_test(newer_and_older_spellings_are_read),
        cmocka_unit_test(stop_ids_come_from_the_first_file_that_has_them),
        cmocka_unit_test(folder_without_the_optional_files_is_read),
        cmocka_unit_test(refused_file_of_a_folder_is_named_with_its_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
