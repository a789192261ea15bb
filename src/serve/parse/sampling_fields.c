#include "serve/parse/sampling_fields.h"

#include "engine/stop.h"
#include "serve/parse/fields.h"

#include <stdio.h>
#include <string.h>

static const double least_penalty = 0.01, most_penalty = 100; /* what the sampler takes (engine/sampler.h) */

bool field_top_k(const char *path, json_t *value, int *out, struct api_error *e)
{
    int k;
    if (!field_int(path, value, -1, FIELD_MAX_TOKENS, &k, e))
        return false;
    *out = k < 0 ? 0 : k; /* -1: off, as vLLM's clients spell it */
    return true;
}

bool field_repetition_penalty(const char *path, json_t *value, float *out, struct api_error *e)
{
    return field_float(path, value, least_penalty, most_penalty, out, e);
}

bool field_seed(const char *path, json_t *value, uint64_t *out, struct api_error *e)
{
    if (!field_expect(json_is_integer(value), path, value, "a whole number", e))
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

bool field_copy(const char *path, const json_t *value, struct arena *a, const char **out, size_t *size,
                struct api_error *e)
{
    size_t n = json_string_length(value);
    *out = arena_strndup(a, json_string_value(value), n);
    if (size)
        *size = n;
    return *out || api_refuse(e, ERR_MEMORY, path, "no memory left for this request");
}

static bool read_stop(const char *path, const json_t *value, struct arena *a, const char **out,
                      struct api_error *e)
{
    size_t size = json_string_length(value);
    if (!json_is_string(value) || size == 0 || strlen(json_string_value(value)) != size)
        return api_refuse(e, ERR_USAGE, path, "expected a string that is not empty and has no NUL in it");
    if (size > STOP_MAX_BYTES)
        return api_refuse(e, ERR_USAGE, path, "%zu bytes, expected at most %d", size, STOP_MAX_BYTES);
    return field_copy(path, value, a, out, NULL, e);
}

bool field_stops(const char *path, json_t *value, struct arena *a, const char *stops[REQUEST_MAX_STOPS],
                 int *count, struct api_error *e)
{
    *count = 0;
    if (json_is_string(value))
        return read_stop(path, value, a, &stops[(*count)++], e);
    if (!field_expect(json_is_array(value), path, value, "a string or an array of strings", e))
        return false;
    if (json_array_size(value) > REQUEST_MAX_STOPS)
        return api_refuse(e, ERR_USAGE, path, "%zu strings, expected at most %d", json_array_size(value),
                          REQUEST_MAX_STOPS);
    for (size_t i = 0; i < json_array_size(value); i++) {
        char where[FIELD_PATH];
        snprintf(where, sizeof where, "%s[%zu]", path, i);
        if (!read_stop(where, json_array_get(value, i), a, &stops[(*count)++], e))
            return false;
    }
    return true;
}
