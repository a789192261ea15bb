#include "target/knative/yaml.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A text that no reader of YAML, 1.1 or 1.2, takes for anything else: a word that begins with a letter or a
 * slash and is none of those that mean a value. */
static bool is_plain(const char *text)
{
    static const char *const values[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./_-";
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strcasecmp(text, values[i]) == 0)
            return false;
    bool begins = *text == '/' || (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
    return begins && text[strspn(text, letters)] == 0;
}

static void put_scalar(FILE *f, json_t *json)
{
    const char *text = json_string_value(json);
    if (text && is_plain(text))
        fputs(text, f);
    else
        json_dumpf(json, f, JSON_ENCODE_ANY | JSON_COMPACT);
}

static void put_line(FILE *f, json_t *json)
{
    put_scalar(f, json);
    fputc('\n', f);
}

static void put_indent(FILE *f, int depth)
{
    fprintf(f, "%*s", 2 * depth, "");
}

static void put_value(FILE *f, json_t *json, int depth);

/* first: the line is begun already, behind "- ". */
static void put_members(FILE *f, json_t *json, int depth, bool first)
{
    const char *name;
    json_t *value;
    json_object_foreach(json, name, value)
    {
        if (!first)
            put_indent(f, depth);
        first = false;
        json_t *key = json_string(name);
        put_scalar(f, key);
        json_decref(key);
        fputc(':', f);
        put_value(f, value, depth);
    }
}

static void put_items(FILE *f, json_t *json, int depth)
{
    for (size_t i = 0; i < json_array_size(json); i++) {
        json_t *item = json_array_get(json, i);
        put_indent(f, depth);
        fputc('-', f);
        if (json_object_size(item) > 0) {
            fputc(' ', f);
            put_members(f, item, depth + 1, true);
        } else {
            put_value(f, item, depth);
        }
    }
}

/* Behind "name:" or "-", with the end of the line. */
static void put_value(FILE *f, json_t *json, int depth)
{
    if (json_object_size(json) > 0) {
        fputc('\n', f);
        put_members(f, json, depth + 1, false);
    } else if (json_array_size(json) > 0) {
        fputc('\n', f);
        put_items(f, json, depth + 1);
    } else {
        fputc(' ', f);
        put_line(f, json);
    }
}

char *yaml_text(json_t *json)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    if (json_object_size(json) > 0)
        put_members(f, json, 0, false);
    else if (json_array_size(json) > 0)
        put_items(f, json, 0);
    else
        put_line(f, json);
    bool ok = !ferror(f);
    ok = fclose(f) == 0 && ok;
    if (ok)
        return text;
    free(text);
    return NULL;
}
