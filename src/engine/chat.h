/* chat.h: a conversation rendered as the reference's chat template does, straight to ids.
 *
 *   <|im_start|>role\ncontent<|im_end|>\n …  <|im_start|>assistant\n
 *
 * An audio part becomes "Audio N: <|audio_bos|><|AUDIO|>…<|audio_eos|>\n", N counting through the whole
 * conversation from 1. Without a leading system message "You are a helpful assistant." is put first.
 * What users write is encoded with specials as text: spelling <|im_end|> ends nothing. Text-only families use
 * the same ChatML without audio. */
#ifndef FERRY_ENGINE_CHAT_H
#define FERRY_ENGINE_CHAT_H

#include "base/arena.h"
#include "base/err.h"
#include "engine/prompt.h"
#include "engine/tokenizer.h"
#include "model/config.h"

#include <stddef.h>

struct chat_part {
    const char *text; /* NULL for an audio part */
    size_t text_size;
    const struct mel *clips; /* audio part: its windows, each an audio segment of its own */
    int clip_count;
};

struct chat_message {
    const char *role; /* "system", "user", "assistant", … */
    const struct chat_part *parts;
    int part_count;
};

/* ids of one prompt; prompt points into it. Zeroed is empty; chat_clear frees. */
struct chat {
    struct prompt prompt;
    struct ids ids;
    struct mel *clips; /* copies of the parts' clips, in order; the frames stay the caller's */
    int audio_tokens;
};

/* Renders and encodes. default_system: NULL for the template's own words. False with *e set: an unknown role,
 * audio for a model without ears, special tokens that the tokenizer lacks, no memory. */
bool chat_render(struct chat *out, const struct tokenizer *t, const struct model_config *c,
                 const struct chat_message *messages, int count, const char *default_system, struct err *e);
void chat_clear(struct chat *c);

/* The same as text with one placeholder per clip, as the reference's template prints it: for tests, logs.
 * NULL with *e set. */
char *chat_text(struct arena *a, const struct chat_message *messages, int count, const char *default_system,
                struct err *e);

#endif
