#include "serve/parse/transcription_form.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct transcription_request r;
    const char *model;
    bool has_model;
};

static bool is(const struct form_value *v, const char *s)
{
    return v->size == strlen(s) && memcmp(v->data, s, v->size) == 0;
}

static bool read_file(struct reader *t, const struct form_value *v, struct api_error *e)
{
    if (v->size == 0)
        return api_refuse(e, ERR_USAGE, v->name, "empty, expected a wav, mp3, flac or ogg file");
    t->r.file = v->data;
    t->r.file_size = v->size;
    return true;
}

static bool read_model(struct reader *t, const struct form_value *v, struct api_error *e)
{
    t->has_model = true;
    if (is(v, t->model))
        return true;
    e->code = "model_not_found";
    return api_refuse(e, ERR_NOT_FOUND, v->name, "there is no model '%.*s' here, only '%s'",
                      (int)(v->size < 200 ? v->size : 200), v->data, t->model);
}

static bool read_prompt(struct reader *t, const struct form_value *v, struct api_error *e)
{
    if (v->size && memchr(v->data, '\0', v->size))
        return api_refuse(e, ERR_USAGE, v->name, "a NUL in it, expected text");
    t->r.prompt = v->size ? v->data : NULL;
    t->r.prompt_size = v->size;
    return true;
}

/* It becomes part of the instruction, so only what languages and their codes are made of. */
static bool read_language(struct reader *t, const struct form_value *v, struct api_error *e)
{
    bool ok = v->size < sizeof t->r.language;
    for (size_t i = 0; ok && i < v->size; i++)
        ok = isalpha((unsigned char)v->data[i]) || v->data[i] == '-' || v->data[i] == ' ';
    if (!ok)
        return api_refuse(e, ERR_USAGE, v->name,
                          "expected the code or name of a language, such as ja or Japanese");
    snprintf(t->r.language, sizeof t->r.language, "%.*s", (int)v->size, v->size ? v->data : "");
    return true;
}

static const char *const format_names[] = {"json", "text", "verbose_json"};

static bool read_format(struct reader *t, const struct form_value *v, struct api_error *e)
{
    for (int i = TRANSCRIPT_JSON; i <= TRANSCRIPT_VERBOSE_JSON; i++) {
        if (is(v, format_names[i])) {
            t->r.format = (enum transcript_format)i;
            return true;
        }
    }
    return api_refuse(
        e, ERR_UNSUPPORTED, v->name,
        "'%.*s' is not written here (the model gives no word times), expected json, text or verbose_json",
        (int)(v->size < 40 ? v->size : 40), v->size ? v->data : "");
}

static bool read_temperature(struct reader *t, const struct form_value *v, struct api_error *e)
{
    char text[32], *end;
    snprintf(text, sizeof text, "%.*s", (int)(v->size < 31 ? v->size : 31), v->size ? v->data : "");
    float x = strtof(text, &end);
    if (end == text || *end || !(x >= 0 && x <= 1))
        return api_refuse(e, ERR_USAGE, v->name, "'%s' is out of range, expected 0 to 1", text);
    t->r.temperature = x;
    return true;
}

static bool read_stream(struct reader *t, const struct form_value *v, struct api_error *e)
{
    t->r.stream = is(v, "true");
    return t->r.stream || is(v, "false") || api_refuse(e, ERR_USAGE, v->name, "expected true or false");
}

static bool read_include(struct reader *t, const struct form_value *v, struct api_error *e)
{
    t->r.logprobs = true;
    return is(v, "logprobs") || api_refuse(e, ERR_UNSUPPORTED, v->name, "expected logprobs");
}

static bool read_granularity(struct reader *t, const struct form_value *v, struct api_error *e)
{
    (void)t;
    return is(v, "segment") ||
           api_refuse(e, ERR_UNSUPPORTED, v->name, "the model gives no word times, expected segment");
}

static bool read_chunking(struct reader *t, const struct form_value *v, struct api_error *e)
{
    (void)t;
    return is(v, "auto") ||
           api_refuse(e, ERR_UNSUPPORTED, v->name, "expected auto; audio is cut into whole windows");
}

static bool refuse(struct reader *t, const struct form_value *v, struct api_error *e)
{
    (void)t;
    return api_refuse(e, ERR_UNSUPPORTED, v->name, "cannot be honoured here; leave the field out");
}

/* openai/openai-openapi, CreateTranscriptionRequest, 2026-08. */
static const struct {
    const char *name;
    bool (*read)(struct reader *t, const struct form_value *v, struct api_error *e);
} fields[] = {
    {"file", read_file},
    {"model", read_model},
    {"prompt", read_prompt},
    {"language", read_language},
    {"response_format", read_format},
    {"temperature", read_temperature},
    {"stream", read_stream},
    {"include", read_include},
    {"timestamp_granularities", read_granularity},
    {"chunking_strategy", read_chunking},
    {"languages", refuse},
    {"keywords", refuse},
    {"known_speaker_names", refuse},
    {"known_speaker_references", refuse},
};

static bool read_value(struct reader *t, const struct form_value *v, struct api_error *e)
{
    size_t n = strlen(v->name);
    if (n > 2 && strcmp(v->name + n - 2, "[]") == 0)
        n -= 2; /* how form encodings spell lists */
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strlen(fields[i].name) == n && memcmp(fields[i].name, v->name, n) == 0)
            return fields[i].read(t, v, e);
    }
    return api_refuse(e, ERR_USAGE, v->name, "this service does not know such a field; leave it out");
}

bool transcription_request_read(struct transcription_request *r, const struct form_value *values, int count,
                                const char *model, struct api_error *e)
{
    struct reader t = {.model = model};
    for (int i = 0; i < count; i++) {
        if (!read_value(&t, &values[i], e))
            return false;
    }
    if (!t.has_model)
        return api_refuse(e, ERR_USAGE, "model", "missing, expected '%s'", model);
    if (!t.r.file)
        return api_refuse(e, ERR_USAGE, "file", "missing, expected a wav, mp3, flac or ogg file");
    if (t.r.logprobs && t.r.format != TRANSCRIPT_JSON)
        return api_refuse(e, ERR_USAGE, "include", "logprobs come only with response_format json");
    *r = t.r;
    return true;
}
