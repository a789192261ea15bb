#include "serve/request.h"

#include "serve/parse/base64.h"
#include "serve/parse/fields.h"
#include "serve/parse/sampling_fields.h"

#include <stdio.h>
#include <string.h>

/* What the tables below read into. */
struct reader {
    struct chat_request r;
    struct arena *a;
    const struct request_rules *rules;
    int max_completion_tokens;
    bool has_model;
    /* of the message and part being read */
    struct request_message *message;
    struct request_part *part;
};

enum { MAX_MESSAGES = 4096, MAX_PARTS = 1024, MAX_BIAS = 1 << 16 };

static bool no_room(const char *path, struct api_error *e)
{
    return api_refuse(e, ERR_MEMORY, path, "no memory left for this request");
}

/* ---- parts of a message ---- */

static bool read_part_text(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    return field_expect(json_is_string(v), path, v, "a string", e) &&
           field_copy(path, v, t->a, &t->part->text, &t->part->text_size, e);
}

static bool decode_audio(struct reader *t, const char *path, const char *text, size_t size,
                         struct api_error *e)
{
    unsigned char *bytes = arena_alloc(t->a, base64_room(size) + 1, 1);
    if (!bytes)
        return no_room(path, e);
    struct err why = {0};
    if (!base64_decode(bytes, &t->part->audio_size, text, size, &why))
        return api_refuse(e, ERR_CORRUPT, path, "%s", why.text);
    if (t->part->audio_size == 0)
        return api_refuse(e, ERR_USAGE, path,
                          "no audio in it, expected a wav, mp3, flac or ogg file in base64");
    t->part->audio = bytes;
    return true;
}

static bool read_audio_data(void *target, const char *path, json_t *v, struct api_error *e)
{
    if (!field_expect(json_is_string(v), path, v, "base64 in a string", e))
        return false;
    if (strncmp(json_string_value(v), "data:", 5) == 0)
        return api_refuse(e, ERR_USAGE, path,
                          "this is a data: URL, expected its base64 alone; an audio_url part takes the URL");
    return decode_audio(target, path, json_string_value(v), json_string_length(v), e);
}

static const struct field input_audio_fields[] = {
    {.name = "data", .kind = FIELD_CUSTOM, .read = read_audio_data},
    {.name = "format",
     .kind = FIELD_WORD,
     .words = "wav mp3 flac ogg",
     .why = "this format is not read here"},
};

static bool read_input_audio(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    if (!fields_read(input_audio_fields, sizeof input_audio_fields / sizeof *input_audio_fields, v, path, t,
                     e))
        return false;
    if (!t->part->audio)
        return api_refuse(e, ERR_USAGE, path, "the field data is missing, expected the file in base64");
    return true;
}

/* data:audio/wav;base64,… as in RFC 2397; anything that would have to be fetched is refused. */
static bool read_data_url(void *target, const char *path, json_t *v, struct api_error *e)
{
    if (!field_expect(json_is_string(v), path, v, "a data: URL", e))
        return false;
    const char *url = json_string_value(v), *comma = strchr(url, ',');
    if (strncmp(url, "data:", 5) != 0)
        return api_refuse(
            e, ERR_UNSUPPORTED, path,
            "this service fetches nothing; send the audio itself as data:audio/wav;base64,… or input_audio");
    if (!comma || comma - url < 12 || strncmp(comma - 7, ";base64", 7) != 0)
        return api_refuse(e, ERR_USAGE, path, "expected data:TYPE;base64,DATA");
    return decode_audio(target, path, comma + 1, json_string_length(v) - (size_t)(comma + 1 - url), e);
}

static const struct field audio_url_fields[] = {
    {.name = "url", .kind = FIELD_CUSTOM, .read = read_data_url},
};

static bool read_audio_url(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    if (json_is_string(v))
        return read_data_url(target, path, v, e);
    if (!fields_read(audio_url_fields, 1, v, path, t, e))
        return false;
    if (!t->part->audio)
        return api_refuse(e, ERR_USAGE, path, "the field url is missing, expected data:audio/wav;base64,…");
    return true;
}

static bool read_type(void *target, const char *path, json_t *v, struct api_error *e)
{
    (void)target; /* read_part looked at it already: it chose the table */
    return field_expect(json_is_string(v), path, v, "a string", e);
}

static const struct field text_part_fields[] = {
    {.name = "type", .kind = FIELD_CUSTOM, .read = read_type},
    {.name = "text", .kind = FIELD_CUSTOM, .read = read_part_text},
    {.name = "prompt_cache_breakpoint", .kind = FIELD_IGNORED},
};
static const struct field input_audio_part_fields[] = {
    {.name = "type", .kind = FIELD_CUSTOM, .read = read_type},
    {.name = "input_audio", .kind = FIELD_CUSTOM, .read = read_input_audio},
    {.name = "prompt_cache_breakpoint", .kind = FIELD_IGNORED},
};
static const struct field audio_url_part_fields[] = {
    {.name = "type", .kind = FIELD_CUSTOM, .read = read_type},
    {.name = "audio_url", .kind = FIELD_CUSTOM, .read = read_audio_url},
    {.name = "prompt_cache_breakpoint", .kind = FIELD_IGNORED},
};

#define FIELDS(table) table, sizeof table / sizeof *table

static const struct part_type {
    const char *name;
    const struct field *fields;
    size_t field_count;
    const char *needs; /* the field that carries the content; NULL: refused */
    bool audio;
} part_types[] = {
    {"text", FIELDS(text_part_fields), "text", false},
    {"input_audio", FIELDS(input_audio_part_fields), "input_audio", true},
    {"audio_url", FIELDS(audio_url_part_fields), "audio_url", true},
    {"image_url", NULL, 0, NULL, false},
    {"file", NULL, 0, NULL, false},
    {"refusal", NULL, 0, NULL, false},
};

static const struct part_type *find_part_type(const json_t *name)
{
    for (size_t i = 0; i < sizeof part_types / sizeof *part_types; i++) {
        if (field_is(name, part_types[i].name))
            return &part_types[i];
    }
    return NULL;
}

static bool may_carry_audio(struct reader *t, const char *path, struct api_error *e)
{
    if (strcmp(t->message->role, "user") != 0)
        return api_refuse(e, ERR_UNSUPPORTED, path,
                          "audio in a message of role %s; only user messages may carry audio",
                          t->message->role);
    if (!t->rules->audio)
        return api_refuse(e, ERR_UNSUPPORTED, path, "the model %s reads text only, it cannot hear audio",
                          t->rules->model);
    return true;
}

static bool read_part(struct reader *t, const char *path, json_t *v, struct api_error *e)
{
    if (!field_expect(json_is_object(v), path, v, "an object", e))
        return false;
    char where[FIELD_PATH];
    snprintf(where, sizeof where, "%.80s.type", path);
    const struct part_type *type = find_part_type(json_object_get(v, "type"));
    if (!type)
        return api_refuse(e, ERR_USAGE, where, "missing or unknown, expected text, input_audio or audio_url");
    if (!type->needs)
        return api_refuse(e, ERR_UNSUPPORTED, where,
                          "this model takes no %s parts, only text, input_audio and audio_url", type->name);
    if (type->audio && !may_carry_audio(t, path, e))
        return false;
    if (!fields_read(type->fields, type->field_count, v, path, t, e))
        return false;
    if (!t->part->text && !t->part->audio)
        return api_refuse(e, ERR_USAGE, path, "the field %s is missing", type->needs);
    return true;
}

/* ---- messages ---- */

static bool read_content(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    struct request_message *m = t->message;
    if (!field_expect(json_is_string(v) || json_is_array(v), path, v, "a string or an array of parts", e))
        return false;
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (n == 0 || n > MAX_PARTS)
        return api_refuse(e, ERR_USAGE, path, "%zu parts, expected 1 to %d", n, MAX_PARTS);
    if (!(m->parts = arena_alloc(t->a, n, sizeof *m->parts)))
        return no_room(path, e);
    m->part_count = (int)n;
    t->part = m->parts;
    if (json_is_string(v))
        return read_part_text(t, path, v, e);
    for (size_t i = 0; i < n; i++) {
        char where[FIELD_PATH];
        snprintf(where, sizeof where, "%.80s[%zu]", path, i);
        t->part = &m->parts[i];
        if (!read_part(t, where, json_array_get(v, i), e))
            return false;
    }
    return true;
}

static bool refuse_value(void *target, const char *path, json_t *v, struct api_error *e)
{
    (void)target, (void)v;
    return api_refuse(e, ERR_UNSUPPORTED, path, "cannot be honoured here; leave the field out");
}

static const struct field message_fields[] = {
    {.name = "role", .kind = FIELD_CUSTOM, .read = read_type}, /* read_message looked at it */
    {.name = "content", .kind = FIELD_CUSTOM, .read = read_content},
    {.name = "name", .kind = FIELD_CUSTOM, .read = refuse_value},
    {.name = "refusal", .kind = FIELD_CUSTOM, .read = refuse_value},
    {.name = "audio", .kind = FIELD_CUSTOM, .read = refuse_value},
    {.name = "tool_calls", .kind = FIELD_EMPTY, .why = "this model calls no tools"},
    {.name = "function_call", .kind = FIELD_EMPTY, .why = "this model calls no functions"},
    {.name = "annotations", .kind = FIELD_IGNORED}, /* clients send answers back as they got them */
};

/* Roles of the API and what the chat template calls them. */
static const struct role {
    const char *name, *template_name; /* NULL: refused */
} roles[] = {
    {"system", "system"},       {"developer", "system"}, {"user", "user"},
    {"assistant", "assistant"}, {"tool", NULL},          {"function", NULL},
};

static bool read_role(struct reader *t, const char *path, const json_t *v, struct api_error *e)
{
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (!field_is(v, roles[i].name))
            continue;
        if (!roles[i].template_name)
            return api_refuse(e, ERR_UNSUPPORTED, path,
                              "this model calls no tools, so it takes no %s messages", roles[i].name);
        t->message->role = roles[i].template_name;
        return true;
    }
    return api_refuse(e, ERR_USAGE, path,
                      "missing or unknown, expected system, developer, user or assistant");
}

static bool read_message(struct reader *t, const char *path, json_t *v, struct api_error *e)
{
    char where[FIELD_PATH];
    if (!field_expect(json_is_object(v), path, v, "an object", e))
        return false;
    snprintf(where, sizeof where, "%.80s.role", path);
    if (!read_role(t, where, json_object_get(v, "role"), e) ||
        !fields_read(FIELDS(message_fields), v, path, t, e))
        return false;
    snprintf(where, sizeof where, "%.80s.content", path);
    return t->message->parts ||
           api_refuse(e, ERR_USAGE, where, "missing, expected a string or an array of parts");
}

static bool read_messages(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    if (!field_expect(json_is_array(v), path, v, "an array", e))
        return false;
    size_t n = json_array_size(v);
    if (n == 0 || n > MAX_MESSAGES)
        return api_refuse(e, ERR_USAGE, path, "%zu messages, expected 1 to %d", n, MAX_MESSAGES);
    if (!(t->r.messages = arena_alloc(t->a, n, sizeof *t->r.messages)))
        return no_room(path, e);
    t->r.message_count = (int)n;
    for (size_t i = 0; i < n; i++) {
        char where[FIELD_PATH];
        snprintf(where, sizeof where, "%s[%zu]", path, i);
        t->message = &t->r.messages[i];
        if (!read_message(t, where, json_array_get(v, i), e))
            return false;
    }
    return true;
}

/* ---- the rest of the request ---- */

static bool read_model(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    if (!field_expect(json_is_string(v), path, v, "a string", e))
        return false;
    t->has_model = true;
    if (field_is(v, t->rules->model))
        return true;
    e->code = "model_not_found";
    return api_refuse(e, ERR_NOT_FOUND, path, "there is no model '%.200s' here, only '%s'",
                      json_string_value(v), t->rules->model);
}

static bool read_top_k(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    return field_top_k(path, v, &t->r.sampling.top_k, e);
}

static bool read_repetition_penalty(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    return field_repetition_penalty(path, v, &t->r.sampling.repetition_penalty, e);
}

static bool read_seed(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    t->r.has_seed = true;
    return field_seed(path, v, &t->r.sampling.seed, e);
}

static bool read_stop(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    return field_stops(path, v, t->a, t->r.stops, &t->r.stop_count, e);
}

/* A token id as logit_bias spells its keys; -1 when it is none. */
static int token_id(const char *key, int vocab)
{
    long id = 0;
    size_t n = strspn(key, "0123456789");
    if (n == 0 || n > 9 || key[n])
        return -1;
    for (const char *c = key; *c; c++)
        id = id * 10 + (*c - '0');
    return id < vocab ? (int)id : -1;
}

static bool read_logit_bias(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    if (!field_expect(json_is_object(v), path, v, "an object of token ids and numbers", e))
        return false;
    size_t n = json_object_size(v);
    if (n > MAX_BIAS)
        return api_refuse(e, ERR_USAGE, path, "%zu tokens, expected at most %d", n, MAX_BIAS);
    struct logit_bias *bias = arena_alloc(t->a, n ? n : 1, sizeof *bias);
    if (!bias)
        return no_room(path, e);
    int count = 0;
    const char *key;
    json_t *value;
    json_object_foreach(v, key, value)
    {
        char where[FIELD_PATH];
        snprintf(where, sizeof where, "%s.%.20s", path, key);
        bias[count].id = token_id(key, t->rules->vocab);
        if (bias[count].id < 0)
            return api_refuse(e, ERR_USAGE, where, "not a token id, expected 0 to %d", t->rules->vocab - 1);
        if (!field_float(where, value, -100, 100, &bias[count++].bias, e))
            return false;
    }
    t->r.sampling.bias = bias;
    t->r.sampling.bias_count = count;
    return true;
}

static const struct field stream_options_fields[] = {
    {.name = "include_usage", .kind = FIELD_BOOL, .offset = offsetof(struct reader, r.include_usage)},
    {.name = "include_obfuscation",
     .kind = FIELD_IGNORED}, /* padding against length analysis of TLS records */
};

static bool read_stream_options(void *target, const char *path, json_t *v, struct api_error *e)
{
    return fields_read(FIELDS(stream_options_fields), v, path, target, e);
}

static bool read_response_format(void *target, const char *path, json_t *v, struct api_error *e)
{
    (void)target;
    if (!field_expect(json_is_object(v), path, v, "an object", e))
        return false;
    if (json_object_size(v) == 1 && field_is(json_object_get(v, "type"), "text"))
        return true;
    return api_refuse(e, ERR_UNSUPPORTED, path,
                      "this service answers in plain text only, expected {\"type\": \"text\"}");
}

static bool read_modalities(void *target, const char *path, json_t *v, struct api_error *e)
{
    (void)target;
    if (!field_expect(json_is_array(v), path, v, "an array", e))
        return false;
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (!field_is(json_array_get(v, i), "text"))
            return api_refuse(e, ERR_UNSUPPORTED, path,
                              "this model answers in text only, expected [\"text\"]");
    }
    return true;
}

static const char *const long_audio_names[] = {"split", "truncate", "refuse"};

static bool read_long_audio(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    for (int i = LONG_AUDIO_SPLIT; i <= LONG_AUDIO_REFUSE; i++) {
        if (field_is(v, long_audio_names[i])) {
            t->r.long_audio = (enum long_audio)i;
            return true;
        }
    }
    return api_refuse(e, ERR_USAGE, path, "expected split, truncate or refuse");
}

static const struct field ferry_fields[] = {
    {.name = "long_audio", .kind = FIELD_CUSTOM, .read = read_long_audio},
};

static bool read_ferry(void *target, const char *path, json_t *v, struct api_error *e)
{
    return fields_read(FIELDS(ferry_fields), v, path, target, e);
}

#define AT(member) offsetof(struct reader, r.member)

/* openai/openai-openapi, CreateChatCompletionRequest, 2026-08; then what other clients send. */
static const struct field request_fields[] = {
    {.name = "model", .kind = FIELD_CUSTOM, .read = read_model},
    {.name = "messages", .kind = FIELD_CUSTOM, .read = read_messages},
    {.name = "max_completion_tokens",
     .kind = FIELD_INT,
     .offset = offsetof(struct reader, max_completion_tokens),
     .min = 1,
     .max = FIELD_MAX_TOKENS},
    {.name = "max_tokens", .kind = FIELD_INT, .offset = AT(max_tokens), .min = 1, .max = FIELD_MAX_TOKENS},
    {.name = "temperature",
     .kind = FIELD_FLOAT,
     .offset = AT(sampling.temperature),
     .min = 0,
     .max = FIELD_MAX_TEMPERATURE},
    {.name = "top_p", .kind = FIELD_FLOAT, .offset = AT(sampling.top_p), .min = 0, .max = 1},
    {.name = "n", .kind = FIELD_INT, .offset = AT(choices), .min = 1, .max = REQUEST_MAX_CHOICES},
    {.name = "stop", .kind = FIELD_CUSTOM, .read = read_stop},
    {.name = "frequency_penalty",
     .kind = FIELD_FLOAT,
     .offset = AT(sampling.frequency_penalty),
     .min = -2,
     .max = 2},
    {.name = "presence_penalty",
     .kind = FIELD_FLOAT,
     .offset = AT(sampling.presence_penalty),
     .min = -2,
     .max = 2},
    {.name = "logit_bias", .kind = FIELD_CUSTOM, .read = read_logit_bias},
    {.name = "logprobs", .kind = FIELD_BOOL, .offset = AT(logprobs)},
    {.name = "top_logprobs",
     .kind = FIELD_INT,
     .offset = AT(top_logprobs),
     .min = 0,
     .max = REQUEST_MAX_TOP_LOGPROBS},
    {.name = "seed", .kind = FIELD_CUSTOM, .read = read_seed},
    {.name = "stream", .kind = FIELD_BOOL, .offset = AT(stream)},
    {.name = "stream_options", .kind = FIELD_CUSTOM, .read = read_stream_options},
    {.name = "response_format", .kind = FIELD_CUSTOM, .read = read_response_format},
    {.name = "modalities", .kind = FIELD_CUSTOM, .read = read_modalities},
    {.name = "tools", .kind = FIELD_EMPTY, .why = "this model calls no tools"},
    {.name = "tool_choice", .kind = FIELD_WORD, .words = "none auto", .why = "this model calls no tools"},
    {.name = "functions", .kind = FIELD_EMPTY, .why = "this model calls no functions"},
    {.name = "function_call",
     .kind = FIELD_WORD,
     .words = "none auto",
     .why = "this model calls no functions"},
    {.name = "audio", .kind = FIELD_EMPTY, .why = "this model does not speak"},
    {.name = "prediction", .kind = FIELD_EMPTY, .why = "predicted output is not supported"},
    {.name = "web_search_options", .kind = FIELD_CUSTOM, .read = refuse_value},
    {.name = "moderation", .kind = FIELD_EMPTY, .why = "this service moderates nothing"},
    {.name = "reasoning_effort",
     .kind = FIELD_WORD,
     .words = "none",
     .why = "this model has no reasoning to set"},
    {.name = "verbosity",
     .kind = FIELD_WORD,
     .words = "medium",
     .why = "this model's verbosity cannot be set"},
    {.name = "parallel_tool_calls", .kind = FIELD_IGNORED}, /* without tools it says nothing */
    {.name = "store", .kind = FIELD_IGNORED},
    {.name = "metadata", .kind = FIELD_IGNORED},
    {.name = "user", .kind = FIELD_IGNORED},
    {.name = "safety_identifier", .kind = FIELD_IGNORED},
    {.name = "service_tier", .kind = FIELD_IGNORED},
    {.name = "prompt_cache_key", .kind = FIELD_IGNORED},
    {.name = "prompt_cache_retention", .kind = FIELD_IGNORED},
    {.name = "prompt_cache_options", .kind = FIELD_IGNORED},
    {.name = "top_k", .kind = FIELD_CUSTOM, .read = read_top_k},
    {.name = "min_p", .kind = FIELD_FLOAT, .offset = AT(sampling.min_p), .min = 0, .max = 1},
    {.name = "repetition_penalty", .kind = FIELD_CUSTOM, .read = read_repetition_penalty},
    {.name = "ferry", .kind = FIELD_CUSTOM, .read = read_ferry},
};

/* What no single field shows. */
static bool check_together(struct reader *t, const json_t *body, struct api_error *e)
{
    struct chat_request *r = &t->r;
    if (!t->has_model)
        return api_refuse(e, ERR_USAGE, "model", "missing, expected '%s'", t->rules->model);
    if (!r->messages)
        return api_refuse(e, ERR_USAGE, "messages", "missing, expected an array of messages");
    if (r->top_logprobs && !r->logprobs)
        return api_refuse(e, ERR_USAGE, "top_logprobs", "only with \"logprobs\": true");
    if (json_is_object(json_object_get(body, "stream_options")) && !r->stream)
        return api_refuse(e, ERR_USAGE, "stream_options", "only with \"stream\": true");
    if (t->max_completion_tokens && r->max_tokens && t->max_completion_tokens != r->max_tokens)
        return api_refuse(e, ERR_USAGE, "max_tokens",
                          "%d differs from max_completion_tokens, %d; send one of them", r->max_tokens,
                          t->max_completion_tokens);
    if (t->max_completion_tokens)
        r->max_tokens = t->max_completion_tokens;
    return true;
}

void chat_request_init(struct chat_request *r, const struct model_config *c)
{
    const struct generation_config *g = &c->generation;
    *r = (struct chat_request){
        .choices = 1,
        .sampling = {.temperature = g->do_sample ? g->temperature : 0,
                     .top_p = g->top_p,
                     .top_k = g->top_k,
                     .repetition_penalty = g->repetition_penalty},
    };
}

bool chat_request_parse(struct chat_request *r, struct arena *a, const struct request_rules *rules,
                        const char *json, size_t size, struct api_error *e)
{
    json_error_t where;
    json_t *body = json_loadb(json, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    if (!body)
        return api_refuse(e, ERR_USAGE, "", "the body is not JSON: %s at line %d, column %d", where.text,
                          where.line, where.column);
    struct reader t = {.r = *r, .a = a, .rules = rules};
    t.r.max_tokens = 0; /* the request's two spellings are compared with each other alone */
    bool ok = fields_read(FIELDS(request_fields), body, "", &t, e) && check_together(&t, body, e);
    json_decref(body);
    if (!ok)
        return false;
    if (t.r.max_tokens == 0)
        t.r.max_tokens = r->max_tokens;
    *r = t.r;
    return true;
}
