/* config.h: what a model folder's JSON files say, checked.
 *
 * Every value is read from config.json, generation_config.json and preprocessor_config.json; a missing one
 * takes the default of the Hugging Face classes (Qwen2Config, Qwen2AudioEncoderConfig), which the real
 * checkpoint relies on for its main sizes. null means missing. */
#ifndef FERRY_MODEL_CONFIG_H
#define FERRY_MODEL_CONFIG_H

#include "base/err.h"
#include "base/file_source.h"

#include <stdbool.h>

enum model_family {
    MODEL_QWEN2,       /* Qwen2ForCausalLM: text in, text out */
    MODEL_QWEN2_AUDIO, /* Qwen2AudioForConditionalGeneration: audio and text in, text out */
};

enum { MODEL_MAX_STOP_IDS = 16 };

struct text_config {
    int hidden, layers, heads, kv_heads, head_dim; /* heads % kv_heads == 0, head_dim even */
    int ffn;                                       /* intermediate_size */
    int vocab;                                     /* rows of embedding and head */
    int max_positions;
    float rms_eps;
    double rope_theta;
    bool tied_head; /* tie_word_embeddings: the head is the embedding table */
};

struct audio_config {
    int width; /* d_model */
    int layers, heads, head_dim, ffn;
    int mel_bins;
    int max_positions; /* conv frames in a full window */
};

/* preprocessor_config.json: WhisperFeatureExtractor. */
struct mel_config {
    int sample_rate;    /* Hz */
    int n_fft, hop;     /* samples */
    int window_samples; /* of one window: chunk_length * sample_rate */
    int window_frames;  /* window_samples / hop; max_positions * 2 */
    int bins;
};

struct generation_config {
    bool do_sample;
    float temperature, top_p, repetition_penalty;
    int top_k;
    int stop_ids[MODEL_MAX_STOP_IDS]; /* generation_config's eos_token_id, else config's */
    int stop_count;
};

struct model_config {
    enum model_family family;
    struct text_config text;
    struct audio_config audio; /* zero for MODEL_QWEN2 */
    struct mel_config mel;     /* zero for MODEL_QWEN2 */
    struct generation_config generation;
    int audio_token_id; /* -1 for MODEL_QWEN2 */
};

/* Reads the three files. generation_config.json may be missing; preprocessor_config.json too
 * (its defaults are Whisper's, with as many mel bins as the encoder takes). False with *e set: the file, the
 * key, what was there, what was expected. */
bool model_config_read(struct model_config *c, const struct file_source *files, struct err *e);

/* The same from texts in memory (config.json needed, the others may be NULL): for fuzzing, and for
 * configurations that come over the network. */
bool model_config_parse(struct model_config *c, const char *config, const char *generation,
                        const char *preprocessor, struct err *e);

#endif
