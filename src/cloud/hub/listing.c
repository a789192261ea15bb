/* listing.c: what a repository holds, out of the hub's JSON. */
#include "cloud/hub.h"

#include "base/utf8.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 1000000, SHA256_DIGITS = 64, SHA1_DIGITS = 40 };

static bool is_hex(const char *text, size_t digits)
{
    return text && strlen(text) == digits && strspn(text, "0123456789abcdef") == digits;
}

static bool is_step(const char *at, size_t size)
{
    return size == 0 || (size == 1 && at[0] == '.') || (size == 2 && at[0] == '.' && at[1] == '.');
}

/* The name may become a path on a disk: nothing that leads out of the folder, nothing that is not text. */
static bool is_safe_path(const json_t *value)
{
    const char *path = json_string_value(value);
    if (!path || !*path || strlen(path) != json_string_length(value))
        return false;
    for (const char *p = path; *p; p += utf8_length(p))
        if ((unsigned char)*p < 0x20 || *p == '\\' || *p == 0x7f || !utf8_length(p))
            return false;
    for (const char *p = path;; p++) {
        size_t n = strcspn(p, "/");
        if (is_step(p, n))
            return false;
        p += n;
        if (!*p)
            return true;
    }
}

static const char *keep(struct arena *a, const char *text)
{
    return arena_strndup(a, text, strlen(text));
}

static bool take_file(const json_t *item, struct arena *a, struct hub_file *out, struct err *e)
{
    const json_t *path = json_object_get(item, "rfilename"), *size = json_object_get(item, "size");
    const json_t *lfs = json_object_get(item, "lfs");
    const char *sha256 = json_string_value(json_object_get(lfs, "sha256"));
    const char *blob = json_string_value(json_object_get(item, "blobId"));

    if (!is_safe_path(path))
        return err_set(e, ERR_CORRUPT, "the hub lists a file with an impossible name");
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return err_set(e, ERR_CORRUPT, "the hub does not say how large %.300s is", json_string_value(path));
    if (json_is_object(lfs) ? !is_hex(sha256, SHA256_DIGITS) : !is_hex(blob, SHA1_DIGITS))
        return err_set(e, ERR_CORRUPT, "the hub does not say what checksum %.300s has",
                       json_string_value(path));
    *out = (struct hub_file){.path = keep(a, json_string_value(path)),
                             .size = (uint64_t)json_integer_value(size)};
    if (json_is_object(lfs))
        out->sha256 = keep(a, sha256);
    else
        out->git_blob = keep(a, blob);
    return (out->path && (out->sha256 || out->git_blob)) ||
           err_set(e, ERR_MEMORY, "no memory for a listing of the hub");
}

static int by_path(const void *a, const void *b)
{
    const struct hub_file *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static bool take_files(const json_t *siblings, struct arena *a, struct hub_repo *out, struct err *e)
{
    size_t n = json_array_size(siblings);
    if (!json_is_array(siblings) || n > MAX_FILES)
        return err_set(e, ERR_CORRUPT, "the hub lists no files, or more than %d", MAX_FILES);
    out->files = arena_alloc(a, n + 1, sizeof *out->files);
    if (!out->files)
        return err_set(e, ERR_MEMORY, "no memory for a listing of the hub");
    for (size_t i = 0; i < n; i++)
        if (!take_file(json_array_get(siblings, i), a, &out->files[i], e))
            return false;
    qsort(out->files, n, sizeof *out->files, by_path);
    for (size_t i = 1; i < n; i++)
        if (by_path(&out->files[i - 1], &out->files[i]) == 0)
            return err_set(e, ERR_CORRUPT, "the hub lists %.300s twice", out->files[i].path);
    out->count = (int)n;
    return true;
}

static bool take(const json_t *json, struct arena *a, struct hub_repo *out, struct err *e)
{
    const char *commit = json_string_value(json_object_get(json, "sha"));
    const char *id = json_string_value(json_object_get(json, "id"));
    if (json_is_true(json_object_get(json, "disabled")))
        return err_set(e, ERR_AUTH, "the hub has disabled this repository");
    if (!is_hex(commit, SHA1_DIGITS))
        return err_set(e, ERR_CORRUPT, "the hub does not name the commit of this revision");
    out->commit = keep(a, commit);
    out->name = keep(a, id ? id : "");
    return out->commit && out->name ? take_files(json_object_get(json, "siblings"), a, out, e)
                                    : err_set(e, ERR_MEMORY, "no memory for a listing of the hub");
}

bool hub_parse(const char *text, size_t size, struct arena *a, struct hub_repo *out, struct err *e)
{
    json_error_t at;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &at);
    *out = (struct hub_repo){.count = 0};
    bool ok = json ? take(json, a, out, e)
                   : err_set(e, ERR_CORRUPT, "the hub's answer is not JSON (line %d)", at.line);
    json_decref(json);
    return ok;
}
