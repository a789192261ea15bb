#include "serve/service_config.h"

#include "serve/parse/fields.h"
#include "serve/parse/sampling_fields.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct service_config c;
    struct arena *a;
};

static bool read_system_prompt(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    return field_expect(json_is_string(v), path, v, "a string", e) &&
           field_copy(path, v, t->a, &t->c.system_prompt, NULL, e);
}

static bool read_top_k(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    return field_top_k(path, v, &t->c.top_k, e);
}

static bool read_repetition_penalty(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    return field_repetition_penalty(path, v, &t->c.repetition_penalty, e);
}

static bool read_seed(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    t->c.has_seed = true;
    return field_seed(path, v, &t->c.seed, e);
}

static bool read_stop(void *target, const char *path, json_t *v, struct api_error *e)
{
    struct reader *t = target;
    return field_stops(path, v, t->a, t->c.stops, &t->c.stop_count, e);
}

#define AT(member) offsetof(struct reader, c.member)

static const struct field fields[] = {
    {.name = "system_prompt", .kind = FIELD_CUSTOM, .read = read_system_prompt},
    {.name = "temperature", .kind = FIELD_FLOAT, .offset = AT(temperature), .max = FIELD_MAX_TEMPERATURE},
    {.name = "top_p", .kind = FIELD_FLOAT, .offset = AT(top_p), .max = 1},
    {.name = "top_k", .kind = FIELD_CUSTOM, .read = read_top_k},
    {.name = "min_p", .kind = FIELD_FLOAT, .offset = AT(min_p), .max = 1},
    {.name = "repetition_penalty", .kind = FIELD_CUSTOM, .read = read_repetition_penalty},
    {.name = "max_tokens", .kind = FIELD_INT, .offset = AT(max_tokens), .min = 1, .max = FIELD_MAX_TOKENS},
    {.name = "stop", .kind = FIELD_CUSTOM, .read = read_stop},
    {.name = "seed", .kind = FIELD_CUSTOM, .read = read_seed},
};

enum { FIELD_COUNT = sizeof fields / sizeof *fields };

void service_config_init(struct service_config *c)
{
    *c = (struct service_config){.json = "{}",
                                 .temperature = NAN,
                                 .top_p = NAN,
                                 .min_p = NAN,
                                 .repetition_penalty = NAN,
                                 .top_k = -1,
                                 .stop_count = -1};
}

static bool keep_json(struct reader *t, const json_t *object, struct api_error *e)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15));
    t->c.json = text ? arena_strndup(t->a, text, strlen(text)) : NULL;
    free(text);
    return t->c.json || api_refuse(e, ERR_MEMORY, "", "no memory for the configuration");
}

bool service_config_parse(struct service_config *c, const char *text, size_t size, struct arena *a,
                          struct err *e)
{
    struct reader t = {.a = a};
    struct api_error problem = {0};
    json_error_t at;
    if (size > SERVICE_CONFIG_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "%zu bytes, expected at most %d", size, SERVICE_CONFIG_MAX_BYTES);
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &at);
    if (!object)
        return err_set(e, ERR_USAGE, "not JSON: %s at line %d, column %d", at.text, at.line, at.column);
    service_config_init(&t.c);
    bool ok = fields_read(fields, FIELD_COUNT, object, "", &t, &problem) && keep_json(&t, object, &problem);
    json_decref(object);
    if (ok)
        *c = t.c;
    else
        *e = problem.err;
    return ok;
}

static void set_float(float *to, float value)
{
    if (!isnan(value))
        *to = value;
}

void service_config_apply(const struct service_config *c, struct chat_request *r)
{
    struct sampling *s = &r->sampling;
    r->system_prompt = c->system_prompt;
    set_float(&s->temperature, c->temperature);
    set_float(&s->top_p, c->top_p);
    set_float(&s->min_p, c->min_p);
    set_float(&s->repetition_penalty, c->repetition_penalty);
    if (c->top_k >= 0)
        s->top_k = c->top_k;
    if (c->max_tokens)
        r->max_tokens = c->max_tokens;
    if (c->has_seed) {
        r->has_seed = true;
        s->seed = c->seed;
    }
    if (c->stop_count >= 0) {
        memcpy(r->stops, c->stops, sizeof r->stops);
        r->stop_count = c->stop_count;
    }
}

/* --- from a command line --- */

bool service_config_knows(const char *name, struct err *e)
{
    char names[200] = "";
    for (size_t i = 0, n = 0; i < FIELD_COUNT; i++) {
        if (strcmp(fields[i].name, name) == 0)
            return true;
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", fields[i].name);
    }
    return err_set(e, ERR_USAGE, "there is no field \"%.60s\"; there are %s", name, names);
}

static bool is_text(const char *name, const char *text)
{
    return strcmp(name, "system_prompt") == 0 || (strcmp(name, "stop") == 0 && *text != '[');
}

json_t *service_config_value(const char *name, const char *text, struct err *e)
{
    json_error_t at;
    if (!service_config_knows(name, e))
        return NULL;
    json_t *value = is_text(name, text) ? json_string(text)
                                        : json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &at);
    if (!value && is_text(name, text))
        err_set(e, ERR_USAGE, "%s: not UTF-8", name);
    else if (!value)
        err_set(e, ERR_USAGE, "%s: \"%.60s\" is not JSON: %s", name, text, at.text);
    return value;
}
