#include "cmd/ask.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const char *magic;
    size_t size;
} formats[] = {
    {"wav", "RIFF", 4},     {"flac", "fLaC", 4},    {"ogg", "OggS", 4},     {"mp3", "ID3", 3},
    {"mp3", "\xff\xfb", 2}, {"mp3", "\xff\xf3", 2}, {"mp3", "\xff\xf2", 2}, {"mp3", "\xff\xfa", 2},
};

const char *ask_audio_format(const char *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (size >= formats[i].size && memcmp(bytes, formats[i].magic, formats[i].size) == 0)
            return formats[i].name;
    return NULL;
}

/* RFC 4648, section 4. From malloc; NULL: no memory. */
static char *base64(const char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = (const unsigned char *)bytes;
    char *text = malloc((size + 2) / 3 * 4 + 1), *out = text;

    for (size_t i = 0; text && i < size; i += 3) {
        size_t left = size - i;
        unsigned bits = (unsigned)in[i] << 16 | (left > 1 ? in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[bits & 63] : '=';
    }
    if (text)
        *out = 0;
    return text;
}

static bool add_audio(json_t *parts, const struct ask_audio *audio, struct err *e)
{
    const char *format = ask_audio_format(audio->bytes, audio->size);
    if (!format)
        return err_set(e, ERR_UNSUPPORTED, "%s: neither wav, mp3, flac nor ogg by its first bytes",
                       audio->path);
    char *data = base64(audio->bytes, audio->size);
    json_t *part = data ? json_pack("{s:s, s:{s:s, s:s}}", "type", "input_audio", "input_audio", "data", data,
                                    "format", format)
                        : NULL;
    free(data);
    if (part && json_array_append_new(parts, part) == 0)
        return true;
    return err_set(e, ERR_MEMORY, "%s: no memory for %zu bytes", audio->path, audio->size);
}

/* The user's message: recordings first, as the model was taught. */
static json_t *user_parts(const struct ask *q, struct err *e)
{
    json_t *parts = json_array();
    for (int i = 0; i < q->audio_count; i++)
        if (!add_audio(parts, &q->audio[i], e))
            goto fail;
    if (!q->question)
        return parts;
    if (json_array_append_new(parts, json_pack("{s:s, s:s}", "type", "text", "text", q->question)) == 0)
        return parts;
    err_set(e, ERR_USAGE, "the question is not valid UTF-8");
fail:
    json_decref(parts);
    return NULL;
}

/* The fields that the command line set. */
static bool set_sampling(json_t *request, const struct ask_settings *s)
{
    bool ok = true;
    if (s->max_tokens)
        ok = ok && json_object_set_new(request, "max_tokens", json_integer(s->max_tokens)) == 0;
    if (s->seed != ASK_SEED_UNSET)
        ok = ok && json_object_set_new(request, "seed", json_integer(s->seed)) == 0;
    if (s->temperature >= 0)
        ok = ok && json_object_set_new(request, "temperature", json_real(s->temperature)) == 0;
    return ok;
}

char *ask_json(const struct ask *q, const char *model, struct err *e)
{
    const char *system = q->settings.system;
    json_t *parts = user_parts(q, e), *messages = json_array(), *request = NULL;
    char *text = NULL;

    if (!parts)
        goto done;
    if (system &&
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "system", "content", system)) != 0) {
        err_set(e, ERR_USAGE, "--system: not valid UTF-8");
        goto done;
    }
    json_array_append_new(messages, json_pack("{s:s, s:O}", "role", "user", "content", parts));
    request = json_pack("{s:s, s:O, s:b, s:{s:b}}", "model", model, "messages", messages, "stream", 1,
                        "stream_options", "include_usage", 1);
    if (request && set_sampling(request, &q->settings))
        text = json_dumps(request, JSON_COMPACT);
    if (!text)
        err_set(e, ERR_MEMORY, "no memory for the request");
done:
    json_decref(request);
    json_decref(messages);
    json_decref(parts);
    return text;
}
