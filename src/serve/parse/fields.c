#include "serve/parse/fields.h"

#include <stdio.h>
#include <string.h>

static const char *const type_names[] = {
    [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
    [JSON_INTEGER] = "a number", [JSON_REAL] = "a number",  [JSON_TRUE] = "true",
    [JSON_FALSE] = "false",      [JSON_NULL] = "null",
};

bool field_expect(bool is, const char *path, json_t *value, const char *expected, struct api_error *e)
{
    if (is)
        return true;
    return api_refuse(e, ERR_USAGE, path, "got %s, expected %s", type_names[json_typeof(value)], expected);
}

bool field_int(const char *path, json_t *value, double min, double max, int *out, struct api_error *e)
{
    if (!field_expect(json_is_integer(value), path, value, "a whole number", e))
        return false;
    json_int_t v = json_integer_value(value);
    if ((double)v < min || (double)v > max)
        return api_refuse(e, ERR_USAGE, path, "%lld is out of range, expected %.0f to %.0f", (long long)v,
                          min, max);
    *out = (int)v;
    return true;
}

bool field_float(const char *path, json_t *value, double min, double max, float *out, struct api_error *e)
{
    if (!field_expect(json_is_number(value), path, value, "a number", e))
        return false;
    double v = json_number_value(value);
    if (!(v >= min && v <= max))
        return api_refuse(e, ERR_USAGE, path, "%g is out of range, expected %g to %g", v, min, max);
    *out = (float)v;
    return true;
}

bool field_is(const json_t *value, const char *s)
{
    return json_is_string(value) && json_string_length(value) == strlen(s) &&
           memcmp(json_string_value(value), s, strlen(s)) == 0;
}

static bool is_empty(json_t *v)
{
    return json_is_false(v) || (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_object(v) && json_object_size(v) == 0);
}

static bool is_word(json_t *v, const char *words)
{
    size_t n = json_string_length(v);
    for (const char *w = words; json_is_string(v) && *w; w += strspn(w, " ")) {
        size_t size = strcspn(w, " ");
        if (n == size && memcmp(json_string_value(v), w, size) == 0)
            return true;
        w += size;
    }
    return false;
}

static bool read_field(const struct field *f, const char *path, json_t *v, void *target, struct api_error *e)
{
    void *place = (char *)target + f->offset;
    switch (f->kind) {
    case FIELD_FLOAT:
        return field_float(path, v, f->min, f->max, place, e);
    case FIELD_INT:
        return field_int(path, v, f->min, f->max, place, e);
    case FIELD_BOOL:
        if (!field_expect(json_is_boolean(v), path, v, "true or false", e))
            return false;
        *(bool *)place = json_is_true(v);
        return true;
    case FIELD_CUSTOM:
        return f->read(target, path, v, e);
    case FIELD_IGNORED:
        return true;
    case FIELD_EMPTY:
        return is_empty(v) || api_refuse(e, ERR_UNSUPPORTED, path, "%s; leave the field out", f->why);
    case FIELD_WORD:
        return is_word(v, f->words) || api_refuse(e, ERR_UNSUPPORTED, path,
                                                  "%s; leave the field out (accepted: %s)", f->why, f->words);
    }
    return false;
}

bool fields_read(const struct field *table, size_t count, json_t *object, const char *where, void *target,
                 struct api_error *e)
{
    if (!json_is_object(object))
        return field_expect(false, where, object, "an object", e);
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        char path[FIELD_PATH];
        snprintf(path, sizeof path, "%s%s%.60s", where, *where ? "." : "", name);
        size_t i = 0;
        while (i < count && strcmp(table[i].name, name) != 0)
            i++;
        if (i == count)
            return api_refuse(e, ERR_USAGE, path, "this service does not know such a field; leave it out");
        if (!json_is_null(value) && !read_field(&table[i], path, value, target, e))
            return false;
    }
    return true;
}
