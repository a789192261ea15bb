/* apis.c: the descriptions, and which method a request calls. */
#include "api/schema.h"

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct apis {
    json_t **all;
    size_t count;
};

static bool load(struct apis *a, const char *path, struct err *e)
{
    json_error_t problem;
    json_t *j = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
    if (!j)
        return err_set(e, ERR_IO, "%s: line %d: %s", path, problem.line, problem.text);
    a->all[a->count++] = j;
    return (json_is_object(json_object_get(j, "methods")) && *schema_text(j, "servicePath") == '/') ||
           err_set(e, ERR_CORRUPT, "%s: not a description made by tools/apis/trim.mjs", path);
}

struct apis *apis_load(const char *folder, struct err *e)
{
    struct apis *a = calloc(1, sizeof *a);
    char pattern[600];
    glob_t found = {0};
    snprintf(pattern, sizeof pattern, "%s/*.json", folder);
    bool ok =
        a && glob(pattern, 0, NULL, &found) == 0 && (a->all = calloc(found.gl_pathc, sizeof *a->all)) != NULL;
    if (!ok)
        err_set(e, ERR_IO, "%s: no descriptions of APIs there", folder);
    for (size_t i = 0; ok && i < found.gl_pathc; i++)
        ok = load(a, found.gl_pathv[i], e);
    globfree(&found);
    if (ok)
        return a;
    apis_free(a);
    return NULL;
}

void apis_free(struct apis *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->count; i++)
        json_decref(a->all[i]);
    free(a->all);
    free(a);
}

/* --- paths --- */

static int hex(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10 : -1;
}

static bool decode(const char *text, size_t size, char *out, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++, n++) {
        int low = text[i] == '%' && i + 2 < size && hex(text[i + 1]) >= 0 ? hex(text[i + 2]) : -1;
        if (n + 1 >= room)
            return false;
        out[n] = low < 0 ? text[i] : (char)(hex(text[i + 1]) << 4 | low);
        i += low < 0 ? 0 : 2;
    }
    out[n] = 0;
    return true;
}

/* What stands at {name}: not empty, and of its pattern where it has one. */
static bool value_fits(const json_t *method, const char *name, size_t name_size, const char *text,
                       size_t size)
{
    char value[4096];
    const json_t *p = json_object_getn(json_object_get(method, "parameters"), name, name_size);
    return size && p && decode(text, size, value, sizeof value) && schema_allows(p, value);
}

/* "/storage/v1/b/{bucket}/o", "/v1/projects/{resource}:getIamPolicy", "/v2/{+name}:run": {x} is of one
 * segment, {+x} of any number; neither takes the words that follow it. */
static bool path_fits(const json_t *method, const char *pattern, const char *path)
{
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        bool many = pattern[1] == '+';
        const char *name = pattern + 1 + many, *end = strchr(pattern, '}');
        size_t all = many ? strlen(path) : strcspn(path, "/");
        size_t rest = many ? strlen(end + 1) : strcspn(end + 1, "/");
        size_t size = all > rest ? all - rest : 0;
        if (!value_fits(method, name, (size_t)(end - name), path, size))
            return false;
        pattern = end + 1;
        path += size;
    }
    return !*path;
}

static bool any_fits(const json_t *method, const char *key, const char *path)
{
    const json_t *patterns = json_object_get(method, key);
    for (size_t i = 0; i < json_array_size(patterns); i++)
        if (path_fits(method, json_string_value(json_array_get(patterns, i)), path))
            return true;
    return false;
}

static bool is_called(struct api_call *c, const char *http_method, const char *path)
{
    if (strcmp(schema_text(c->method, "httpMethod"), http_method) != 0)
        return false;
    c->upload = any_fits(c->method, "uploads", path);
    c->download = any_fits(c->method, "downloads", path);
    return c->upload || c->download || path_fits(c->method, schema_text(c->method, "path"), path);
}

/* "/storage/v1/", also behind "/upload", "/resumable/upload" and "/download". */
static bool is_below(const json_t *api, const char *path)
{
    static const char *const ways[] = {"", "/upload", "/resumable/upload", "/download"};
    const char *root = schema_text(api, "servicePath");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        size_t n = strlen(ways[i]);
        if (root[1] && strncmp(path, ways[i], n) == 0 && strncmp(path + n, root, strlen(root)) == 0)
            return true;
    }
    return false;
}

/* "/v2/{+resource}:getIamPolicy" goes before "/v2/{+name}", whose pattern takes the verb for a part of the
 * name. */
static bool has_verb(const json_t *method)
{
    return strchr(schema_text(method, "path"), ':') != NULL;
}

enum api_match api_find(const struct apis *a, const char *http_method, const char *path, struct api_call *out)
{
    enum api_match found = API_NONE;
    *out = (struct api_call){0};
    for (size_t i = 0; i < a->count; i++) {
        const char *id;
        json_t *method;
        json_object_foreach(json_object_get(a->all[i], "methods"), id, method)
        {
            struct api_call c = {.id = id, .method = method, .api = a->all[i]};
            bool called = is_called(&c, http_method, path);
            if (called && (found != API_METHOD || has_verb(method)))
                *out = c;
            found = called ? API_METHOD : found;
        }
        if (found == API_NONE && is_below(a->all[i], path))
            found = API_UNKNOWN;
    }
    return found;
}
