/* body.c: a JSON body against the schema of the method's request. */
#include "api/schema.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where in the body: "lifecycle.rule[0].condition". On the stack, innermost first. */
struct place {
    const struct place *above;
    const char *name; /* NULL: of an array */
    size_t index;
};

struct check {
    const struct api_call *call;
    bool nulls; /* a patch takes a field away so */
    struct err *e;
};

static bool value_fits(const struct check *c, const json_t *schema, const json_t *value,
                       const struct place *at);

static void print_place(const struct place *at, char *out, size_t room)
{
    *out = 0;
    if (!at)
        return;
    print_place(at->above, out, room);
    size_t n = strlen(out);
    if (at->name)
        snprintf(out + n, room - n, "%s%s", n ? "." : "", at->name);
    else
        snprintf(out + n, room - n, "[%zu]", at->index);
}

static bool wrong_value(const struct check *c, const json_t *schema, const json_t *value,
                        const struct place *at)
{
    char where[400], *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *format = schema_text(schema, "format");
    print_place(at, where, sizeof where);
    err_set(c->e, ERR_USAGE, "Invalid value at '%s' (%s%s%s), %.100s", where, schema_text(schema, "type"),
            *format ? " " : "", format, text ? text : "");
    free(text);
    return false;
}

static bool unknown_name(const struct check *c, const char *name, const struct place *at)
{
    char where[400];
    print_place(at, where, sizeof where);
    return err_set(c->e, ERR_USAGE,
                   "Invalid JSON payload received. Unknown name \"%.100s\"%s%s%s: Cannot find field.", name,
                   at ? " at '" : "", where, at ? "'" : "");
}

/* --- kinds of values --- */

/* A property that this method must be given. */
static bool is_required(const struct check *c, const json_t *property)
{
    const json_t *by = json_object_get(property, "required");
    for (size_t i = 0; i < json_array_size(by); i++)
        if (strcmp(json_string_value(json_array_get(by, i)), c->call->id) == 0)
            return true;
    return false;
}

static bool has_required(const struct check *c, const json_t *properties, const json_t *value,
                         const struct place *at)
{
    const char *name;
    json_t *property;
    char where[400];
    json_object_foreach((json_t *)(uintptr_t)properties, name, property)
    {
        struct place here = {.above = at, .name = name};
        if (!is_required(c, property) || json_object_get(value, name))
            continue;
        print_place(&here, where, sizeof where);
        return err_set(c->e, ERR_USAGE, "Required: %s", where);
    }
    return true;
}

static bool object_fits(const struct check *c, const json_t *schema, const json_t *value,
                        const struct place *at)
{
    const json_t *properties = json_object_get(schema, "properties");
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)value, name, v)
    {
        const json_t *s = json_object_get(properties, name);
        if (!s)
            s = json_object_get(schema, "additionalProperties");
        if (!s)
            return unknown_name(c, name, at);
        if (!value_fits(c, s, v, &(struct place){.above = at, .name = name}))
            return false;
    }
    return has_required(c, properties, value, at);
}

static bool array_fits(const struct check *c, const json_t *schema, const json_t *value,
                       const struct place *at)
{
    const json_t *items = json_object_get(schema, "items");
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!value_fits(c, items, json_array_get(value, i), &(struct place){.above = at, .index = i}))
            return false;
    return true;
}

static bool integer_fits(const json_t *schema, const json_t *value)
{
    const char *format = schema_text(schema, "format");
    json_int_t n = json_integer_value(value);
    if (strcmp(format, "uint32") == 0)
        return n >= 0 && n <= UINT32_MAX;
    return strcmp(format, "int32") != 0 || (n >= INT32_MIN && n <= INT32_MAX);
}

static bool string_fits(const json_t *schema, const json_t *value)
{
    const char *text = json_string_value(value);
    return text && schema_allows(schema, text);
}

static bool scalar_fits(const char *type, const json_t *schema, const json_t *value)
{
    if (strcmp(type, "string") == 0)
        return string_fits(schema, value);
    if (strcmp(type, "integer") == 0)
        return json_is_integer(value) && integer_fits(schema, value);
    if (strcmp(type, "number") == 0)
        return json_is_number(value);
    if (strcmp(type, "boolean") == 0)
        return json_is_boolean(value);
    return strcmp(type, "any") == 0;
}

static bool value_fits(const struct check *c, const json_t *schema, const json_t *value,
                       const struct place *at)
{
    schema = schema_resolve(c->call->api, schema);
    const char *type = schema_text(schema, "type");
    if (json_is_null(value) && c->nulls)
        return true;
    if (strcmp(type, "object") == 0 && json_is_object(value))
        return object_fits(c, schema, value, at);
    if (strcmp(type, "array") == 0 && json_is_array(value))
        return array_fits(c, schema, value, at);
    return scalar_fits(type, schema, value) || wrong_value(c, schema, value, at);
}

/* --- the whole --- */

bool api_check_json(const struct api_call *c, const json_t *body, struct err *e)
{
    struct check check = {.call = c, .e = e};
    const json_t *schema = schema_named(c->api, json_string_value(json_object_get(c->method, "request")));
    check.nulls = strcmp(schema_text(c->method, "httpMethod"), "PATCH") == 0;
    if (!schema)
        return err_set(e, ERR_USAGE, "%s takes no body", c->id);
    if (!json_is_object(body))
        return err_set(e, ERR_USAGE, "Invalid JSON payload received: an object was expected.");
    return value_fits(&check, schema, body, NULL);
}

static bool is_json_type(const char *type)
{
    size_t n = strlen("application/json");
    return type && strncasecmp(type, "application/json", n) == 0 && strchr("; ", type[n]);
}

bool api_check_body(const struct api_call *c, const char *type, const char *bytes, size_t size, json_t **out,
                    struct err *e)
{
    json_error_t problem;
    *out = NULL;
    if (!size && !json_object_get(c->method, "request"))
        return true;
    if (size && !is_json_type(type))
        return err_set(e, ERR_USAGE, "a body of Content-Type \"%s\", expected application/json",
                       type ? type : "");
    *out = size ? json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &problem) : NULL;
    if (size && !*out)
        return err_set(e, ERR_USAGE, "Invalid JSON payload received. %s", problem.text);
    json_t *none = json_object();
    bool ok = api_check_json(c, *out ? *out : none, e);
    json_decref(none);
    return ok;
}
