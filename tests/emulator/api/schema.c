#include "api/schema.h"

#include <regex.h>
#include <string.h>

const char *schema_text(const json_t *schema, const char *key)
{
    const char *text = json_string_value(json_object_get(schema, key));
    return text ? text : "";
}

const json_t *schema_named(const json_t *api, const char *name)
{
    return name ? json_object_get(json_object_get(api, "schemas"), name) : NULL;
}

const json_t *schema_resolve(const json_t *api, const json_t *schema)
{
    while (schema && *schema_text(schema, "$ref"))
        schema = schema_named(api, schema_text(schema, "$ref"));
    return schema;
}

bool pattern_hits(const char *pattern, const char *text)
{
    regex_t r;
    if (regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool hit = regexec(&r, text, 0, NULL, 0) == 0;
    regfree(&r);
    return hit;
}

#define TIME                                                                                                 \
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"

/* What a discovery document calls format, and what the text of such a value looks like. */
static const struct {
    const char *name, *pattern;
} formats[] = {
    {"int64", "^-?[0-9]{1,19}$"},
    {"uint64", "^[0-9]{1,20}$"},
    {"int32", "^-?[0-9]{1,10}$"},
    {"uint32", "^[0-9]{1,10}$"},
    {"double", "^-?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?$"},
    {"float", "^-?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?$"},
    {"byte", "^[A-Za-z0-9+/_-]*={0,2}$"},
    {"date", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    {"date-time", TIME},
    {"google-datetime", TIME},
    {"google-duration", "^-?[0-9]+(\\.[0-9]{1,9})?s$"},
    {"google-fieldmask", "^[A-Za-z0-9_.*]+(,[A-Za-z0-9_.*]+)*$"},
};

static bool has_format(const char *format, const char *text)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, format) == 0)
            return pattern_hits(formats[i].pattern, text);
    return true;
}

static bool is_of_enum(const json_t *words, const char *text)
{
    for (size_t i = 0; i < json_array_size(words); i++)
        if (strcmp(json_string_value(json_array_get(words, i)), text) == 0)
            return true;
    return !words;
}

bool schema_allows(const json_t *schema, const char *text)
{
    const char *pattern = schema_text(schema, "pattern");
    /* gcloud writes "False" */
    if (!strcmp(schema_text(schema, "type"), "boolean") && !pattern_hits("^([Tt]rue|[Ff]alse)$", text))
        return false;
    return has_format(schema_text(schema, "format"), text) &&
           is_of_enum(json_object_get(schema, "enum"), text) && (!*pattern || pattern_hits(pattern, text));
}
