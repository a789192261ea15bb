/* query.c: the names and values behind the question mark. */
#include "api/schema.h"

#include <string.h>

static const json_t *parameter(const struct api_call *c, const char *name)
{
    const json_t *p = json_object_get(json_object_get(c->method, "parameters"), name);
    if (!p)
        p = json_object_get(json_object_get(c->api, "parameters"), name);
    return strcmp(schema_text(p, "location"), "query") == 0 ? p : NULL;
}

static int times_given(const struct api_argument *arguments, int count, const char *name)
{
    int n = 0;
    for (int i = 0; i < count; i++)
        n += strcmp(arguments[i].name, name) == 0;
    return n;
}

static bool check_one(const struct api_call *c, const struct api_argument *a, int times, struct err *e)
{
    const json_t *p = parameter(c, a->name);
    if (!p)
        return err_set(e, ERR_USAGE,
                       "Invalid JSON payload received. Unknown name \"%s\": Cannot bind query parameter. "
                       "Field '%s' could not be found in request message.",
                       a->name, a->name);
    if (times > 1 && !json_is_true(json_object_get(p, "repeated")))
        return err_set(e, ERR_USAGE, "Invalid value for '%s': given %d times, it is not repeated", a->name,
                       times);
    return schema_allows(p, a->value) ||
           err_set(e, ERR_USAGE, "Invalid value at '%s' (%s%s%s), \"%s\"", a->name, schema_text(p, "type"),
                   *schema_text(p, "format") ? " " : "", schema_text(p, "format"), a->value);
}

/* What must be there: required ones, and with a path for uploads how it is done. */
static bool check_missing(const struct api_call *c, const struct api_argument *arguments, int count,
                          struct err *e)
{
    const char *name;
    json_t *p;
    json_object_foreach(json_object_get(c->method, "parameters"), name, p)
    {
        if (json_is_true(json_object_get(p, "required")) && !strcmp(schema_text(p, "location"), "query") &&
            !times_given(arguments, count, name))
            return err_set(e, ERR_USAGE, "Required parameter: %s", name);
    }
    return !c->upload || times_given(arguments, count, "uploadType") ||
           err_set(e, ERR_USAGE, "Required parameter: uploadType");
}

static bool check_mask(const struct api_call *c, const char *mask, struct err *e)
{
    const json_t *answer = schema_named(c->api, json_string_value(json_object_get(c->method, "response")));
    return mask_check(c->api, answer, mask, e);
}

bool api_check_query(const struct api_call *c, const struct api_argument *arguments, int count, struct err *e)
{
    for (int i = 0; i < count; i++) {
        const struct api_argument *a = &arguments[i];
        if (!check_one(c, a, times_given(arguments, count, a->name), e) ||
            (strcmp(a->name, "fields") == 0 && !check_mask(c, a->value, e)))
            return false;
    }
    return check_missing(c, arguments, count, e);
}
