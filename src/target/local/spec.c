#include "target/local/spec.h"

#include "target/target.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FIELDS = 8 };

static bool bad(struct err *e, const char *field, const char *expected)
{
    return err_set(e, ERR_CORRUPT, "%s: expected %s", field, expected);
}

static bool take_text(const json_t *json, const char *field, const char **out, struct err *e)
{
    const char *text = json_string_value(json_object_get(json, field));
    if (!text || !*text || strlen(text) != json_string_length(json_object_get(json, field)))
        return bad(e, field, "a text");
    *out = text;
    return true;
}

static bool take_port(const json_t *json, int *out, struct err *e)
{
    const json_t *value = json_object_get(json, "port");
    json_int_t port = json_integer_value(value);
    if (!json_is_integer(value) || port < 0 || port > 65535)
        return bad(e, "port", "a number from 0 to 65535");
    *out = (int)port;
    return true;
}

static bool take_idle(const json_t *json, double *out, struct err *e)
{
    const json_t *value = json_object_get(json, "idle_seconds");
    *out = json_number_value(value);
    if (!json_is_number(value) || !(*out > 0) || !(*out <= 1e9))
        return bad(e, "idle_seconds", "a number over 0");
    return true;
}

static bool take_memory(const json_t *json, uint64_t *out, struct err *e)
{
    const json_t *value = json_object_get(json, "memory_bytes");
    json_int_t bytes = json_integer_value(value);
    if (!json_is_integer(value) || bytes < 0)
        return bad(e, "memory_bytes", "a number of bytes, or 0");
    *out = (uint64_t)bytes;
    return true;
}

/* The name of a variable, up to =; 0: it has none. */
static size_t name_size(const char *variable)
{
    size_t n = strspn(variable, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    return variable[n] == '=' ? n : 0;
}

static bool take_environment(const json_t *json, struct spec *s, struct err *e)
{
    const json_t *list = json_object_get(json, "environment");
    if (!json_is_array(list) || json_array_size(list) > SPEC_MAX_VARIABLES)
        return bad(e, "environment", "a list of at most 64 variables");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *text = json_string_value(item);
        if (!text || !name_size(text) || strlen(text) != json_string_length(item))
            return bad(e, "environment", "NAME=VALUE");
        s->environment[i] = text;
    }
    return true;
}

static bool take_fields(struct spec *s, const json_t *json, struct err *e)
{
    if (!json_is_object(json) || json_object_size(json) != FIELDS)
        return err_set(e, ERR_CORRUPT, "expected an object of %d fields", FIELDS);
    return take_text(json, "name", &s->name, e) && target_check_name(s->name, e) &&
           take_text(json, "model", &s->model, e) && take_text(json, "program", &s->program, e) &&
           take_text(json, "host", &s->host, e) && take_port(json, &s->port, e) &&
           take_idle(json, &s->idle_seconds, e) && take_memory(json, &s->memory_bytes, e) &&
           take_environment(json, s, e);
}

bool spec_take(struct spec *s, json_t *json, struct err *e)
{
    *s = (struct spec){0};
    if (!take_fields(s, json, e)) {
        *s = (struct spec){0};
        return false;
    }
    s->json = json_incref(json);
    return true;
}

bool spec_parse(struct spec *s, const char *bytes, size_t size, struct err *e)
{
    json_error_t problem;
    json_t *json = size <= SPEC_MAX_BYTES ? json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &problem) : NULL;
    *s = (struct spec){0};
    if (!json)
        return err_set(e, ERR_CORRUPT, "no JSON of at most %d bytes", SPEC_MAX_BYTES);
    bool ok = spec_take(s, json, e);
    json_decref(json);
    return ok;
}

void spec_clear(struct spec *s)
{
    json_decref(s->json);
    *s = (struct spec){0};
}

const char *spec_variable(const struct spec *s, const char *name)
{
    size_t n = strlen(name);
    for (const char *const *v = s->environment; *v; v++)
        if (strncmp(*v, name, n) == 0 && (*v)[n] == '=')
            return *v + n + 1;
    return NULL;
}

const char *spec_url(const struct spec *s, char out[SPEC_URL])
{
    bool any = strcmp(s->host, "0.0.0.0") == 0 || strcmp(s->host, "::") == 0;
    const char *host = any ? "127.0.0.1" : s->host;
    bool six = strchr(host, ':') != NULL;
    snprintf(out, SPEC_URL, "http://%s%.255s%s:%d", six ? "[" : "", host, six ? "]" : "", s->port);
    return out;
}
