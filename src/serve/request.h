/* request.h: what a chat completion was asked for, read from OpenAI's JSON or filled in by hand.
 *
 *   struct chat_request r;
 *   chat_request_init(&r, engine_config(engine));        the model's own sampling defaults
 *   if (!chat_request_parse(&r, arena, &rules, body, size, &error)) …
 *
 * Every field of the OpenAI reference is in one table (request.c) that says what happens to it: honoured;
 * ignored because it cannot change the answer (user, metadata, store, service_tier, …); refused by name when
 * it asks for what this service does not do (tools, images, JSON mode, spoken output, …). A field that is in
 * no table is refused by name too. null counts as left out. Beyond OpenAI's fields: top_k, min_p,
 * repetition_penalty, audio_url parts with data: URLs, and
 *
 *   "ferry": {"long_audio": "split" | "truncate" | "refuse"}      audio longer than the model's window */
#ifndef FERRY_SERVE_REQUEST_H
#define FERRY_SERVE_REQUEST_H

#include "base/arena.h"
#include "engine/sampler.h"
#include "model/config.h"
#include "serve/api_error.h"

#include <stdbool.h>
#include <stddef.h>

enum long_audio {
    LONG_AUDIO_SPLIT,    /* consecutive windows, each an audio segment of the same message */
    LONG_AUDIO_TRUNCATE, /* the first window only, as the reference does; the response carries a warning */
    LONG_AUDIO_REFUSE,
};

enum { REQUEST_MAX_STOPS = 4, REQUEST_MAX_CHOICES = 128, REQUEST_MAX_TOP_LOGPROBS = 20 };

struct request_part {
    const char *text; /* NULL for audio */
    size_t text_size;
    const void *audio; /* the file's bytes: wav, flac, ogg, mp3; the content decides, not the name */
    size_t audio_size;
};

struct request_message {
    const char *role; /* "system", "user", "assistant" */
    struct request_part *parts;
    int part_count;
};

struct chat_request {
    struct request_message *messages;
    int message_count;
    const char
        *system_prompt; /* stands first unless messages[0] is of role system; NULL: the template's words */
    struct sampling sampling; /* seed: see has_seed; bias points into the arena */
    bool has_seed;            /* else whoever runs it draws one */
    int choices;              /* n */
    int max_tokens;           /* 0: until the context is full */
    const char *stops[REQUEST_MAX_STOPS];
    int stop_count;
    bool logprobs;
    int top_logprobs;
    bool stream, include_usage;
    enum long_audio long_audio;
};

/* What the service behind the request can do. */
struct request_rules {
    const char *model; /* the only accepted name */
    int vocab;
    bool audio; /* the model has ears */
};

/* Defaults of generation_config; one choice, no messages. What the fields hold before chat_request_parse is
 * what the request leaves out (service_config.h). */
void chat_request_init(struct chat_request *r, const struct model_config *c);

/* Overwrites the fields that the JSON names. What r points to lives in the arena; the JSON is copied. False
 * with *e set, param naming the field. */
bool chat_request_parse(struct chat_request *r, struct arena *a, const struct request_rules *rules,
                        const char *json, size_t size, struct api_error *e);

#endif
