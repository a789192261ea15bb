#include "model_texts.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

/* The real config.json leaves the main sizes to Qwen2Config's defaults; only the depth is spelled out. */
static const char audio_config[] = //
    "{\n"
    "  \"architectures\": [\"Qwen2AudioForConditionalGeneration\"],\n"
    "  \"audio_config\": {\n"
    "    \"model_type\": \"qwen2_audio_encoder\",\n"
    "    \"activation_function\": \"gelu\",\n"
    "    \"d_model\": 1280,\n"
    "    \"encoder_layers\": %d,\n"
    "    \"encoder_attention_heads\": 20,\n"
    "    \"encoder_ffn_dim\": 5120,\n"
    "    \"num_mel_bins\": 128,\n"
    "    \"max_source_positions\": 1500,\n"
    "    \"scale_embedding\": false\n"
    "  },\n"
    "  \"audio_token_index\": 151646,\n"
    "  \"ignore_index\": -100,\n"
    "  \"model_type\": \"qwen2_audio\",\n"
    "  \"text_config\": {\n"
    "    \"model_type\": \"qwen2\",\n"
    "    \"bos_token_id\": 151643,\n"
    "    \"eos_token_id\": 151645,\n"
    "    \"num_hidden_layers\": %d,\n"
    "    \"intermediate_size\": 11008,\n"
    "    \"max_position_embeddings\": 8192,\n"
    "    \"rms_norm_eps\": 1e-05,\n"
    "    \"rope_theta\": 10000,\n"
    "    \"sliding_window\": 32768,\n"
    "    \"torch_dtype\": \"bfloat16\",\n"
    "    \"use_mrope\": false,\n"
    "    \"vocab_size\": 156032\n"
    "  },\n"
    "  \"torch_dtype\": \"bfloat16\",\n"
    "  \"vocab_size\": 156032\n"
    "}\n";

static const char text_config[] = //
    "{\n"
    "  \"architectures\": [\"Qwen2ForCausalLM\"],\n"
    "  \"model_type\": \"qwen2\",\n"
    "  \"bos_token_id\": 151643,\n"
    "  \"eos_token_id\": 151645,\n"
    "  \"hidden_act\": \"silu\",\n"
    "  \"hidden_size\": 4096,\n"
    "  \"num_hidden_layers\": %d,\n"
    "  \"num_attention_heads\": 32,\n"
    "  \"num_key_value_heads\": 32,\n"
    "  \"intermediate_size\": 11008,\n"
    "  \"max_position_embeddings\": 8192,\n"
    "  \"rms_norm_eps\": 1e-05,\n"
    "  \"rope_theta\": 10000,\n"
    "  \"tie_word_embeddings\": false,\n"
    "  \"torch_dtype\": \"bfloat16\",\n"
    "  \"vocab_size\": 156032\n"
    "}\n";

static const char generation_config[] = //
    "{\n"
    "  \"do_sample\": true,\n"
    "  \"eos_token_id\": [151643, 151645],\n"
    "  \"pad_token_id\": 151643,\n"
    "  \"repetition_penalty\": 1.1,\n"
    "  \"temperature\": 0.7,\n"
    "  \"top_k\": 20,\n"
    "  \"top_p\": 0.5\n"
    "}\n";

static const char preprocessor_config[] = //
    "{\n"
    "  \"chunk_length\": 30,\n"
    "  \"feature_extractor_type\": \"WhisperFeatureExtractor\",\n"
    "  \"feature_size\": 128,\n"
    "  \"hop_length\": 160,\n"
    "  \"n_fft\": 400,\n"
    "  \"n_samples\": 480000,\n"
    "  \"nb_max_frames\": 3000,\n"
    "  \"padding_side\": \"right\",\n"
    "  \"padding_value\": 0.0,\n"
    "  \"processor_class\": \"Qwen2AudioProcessor\",\n"
    "  \"return_attention_mask\": true,\n"
    "  \"sampling_rate\": 16000\n"
    "}\n";

static bool write_file(const char *folder, const char *name, const void *bytes, size_t size, struct err *e)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f)
        return err_errno(e, "%s", path);
    bool ok = fwrite(bytes, 1, size, f) == size;
    ok = fclose(f) == 0 && ok;
    return ok || err_errno(e, "%s", path);
}

static bool copy_file(const char *from, const char *to, const char *name, struct err *e)
{
    char path[4096];
    struct file_map m = {0};
    snprintf(path, sizeof path, "%s/%s", from, name);
    bool ok = file_map(&m, path, e) && write_file(to, name, m.data, m.size, e);
    file_unmap(&m);
    return ok;
}

static bool copy_tokenizer(const char *from, const char *to, struct err *e)
{
    static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer_config.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!copy_file(from, to, names[i], e))
            return err_wrap(e, "tokenizer");
    return true;
}

bool model_texts_write(const char *folder, const char *tokenizer, const struct model_shape *shape,
                       struct model_config *c, struct err *e)
{
    char config[2048];
    if (shape->text_only)
        snprintf(config, sizeof config, text_config, shape->layers);
    else
        snprintf(config, sizeof config, audio_config, shape->encoder_layers, shape->layers);

    if (!write_file(folder, "config.json", config, strlen(config), e) ||
        !write_file(folder, "generation_config.json", generation_config, strlen(generation_config), e))
        return false;
    if (!shape->text_only &&
        !write_file(folder, "preprocessor_config.json", preprocessor_config, strlen(preprocessor_config), e))
        return false;
    const struct file_source files = file_source_folder(folder);
    return copy_tokenizer(tokenizer, folder, e) && model_config_read(c, &files, e);
}
