#include "store/manifest.h"

#include "base/catalog.h"
#include "base/crc32c.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* --- reading --- */

struct reader {
    struct manifest *m;
    struct arena *a;
    struct err *e;
};

static bool no_memory(struct reader *r)
{
    return err_set(r->e, ERR_MEMORY, "no memory for what the manifest says");
}

static bool is_hex(const char *text, size_t digits)
{
    return strspn(text, "0123456789abcdef") == digits && text[digits] == '\0';
}

/* A string member into the arena; NULL where it may be missing and is. */
static bool read_string(struct reader *r, const json_t *object, const char *key, bool needed,
                        size_t hex_digits, const char **out)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    *out = NULL;
    if (!value && !needed)
        return true;
    if (!text)
        return err_set(r->e, ERR_CORRUPT, "%s is %s, expected a string", key,
                       value ? _("something else") : _("missing"));
    if (hex_digits && !is_hex(text, hex_digits))
        return err_set(r->e, ERR_CORRUPT, "%s is %.100s, expected %zu hexadecimal digits", key, text,
                       hex_digits);
    *out = arena_strndup(r->a, text, json_string_length(value));
    return *out || no_memory(r);
}

static bool read_number(struct reader *r, const json_t *object, const char *key, json_int_t least,
                        json_int_t most, json_int_t *out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        return err_set(r->e, ERR_CORRUPT, "%s is missing or no whole number", key);
    *out = json_integer_value(value);
    if (*out < least || *out > most)
        return err_set(r->e, ERR_CORRUPT, "%s is %lld, expected %lld to %lld", key, (long long)*out,
                       (long long)least, (long long)most);
    return true;
}

static bool read_crc(struct reader *r, const json_t *value, const char *what, uint32_t *out)
{
    const char *text = json_string_value(value);
    if (!text || !crc32c_parse(text, json_string_length(value), out))
        return err_set(r->e, ERR_CORRUPT, "%s is %.20s, expected a CRC32C such as 4waSgw==", what,
                       text ? text : _("no string"));
    return true;
}

/* What can be put behind a folder without leading out of it. */
static bool is_safe(const char *name)
{
    for (const char *at = name;; at++) {
        size_t n = strcspn(at, "/");
        if (n == 0 || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        at += n;
        if (!*at)
            return true;
    }
}

static bool read_name(struct reader *r, const json_t *object, struct manifest_file *f)
{
    if (!read_string(r, object, "name", true, 0, &f->name))
        return false;
    return is_safe(f->name) || err_set(r->e, ERR_CORRUPT, "name %.200s leads out of its folder", f->name);
}

static uint64_t count_ranges(const struct manifest *m, uint64_t size)
{
    return size / m->range_bytes + (size % m->range_bytes != 0);
}

static bool read_ranges(struct reader *r, const json_t *list, struct manifest_file *f)
{
    uint64_t left = f->size;
    uint32_t whole = 0;
    if (!json_is_array(list) || json_array_size(list) != count_ranges(r->m, f->size))
        return err_set(r->e, ERR_CORRUPT, "ranges are %zu, expected %llu", json_array_size(list),
                       (unsigned long long)count_ranges(r->m, f->size));
    f->range_count = (int)json_array_size(list);
    f->ranges = arena_alloc(r->a, (size_t)f->range_count + 1, sizeof *f->ranges);
    if (!f->ranges)
        return no_memory(r);
    for (int i = 0; i < f->range_count; i++) {
        uint64_t size = left < r->m->range_bytes ? left : r->m->range_bytes;
        if (!read_crc(r, json_array_get(list, (size_t)i), "a range", &f->ranges[i]))
            return false;
        whole = crc32c_combine(whole, f->ranges[i], size);
        left -= size;
    }
    return whole == f->crc32c || err_set(r->e, ERR_CORRUPT, "the ranges do not add up to crc32c");
}

static bool read_file(struct reader *r, const json_t *object, struct manifest_file *f)
{
    json_int_t size = 0;
    *f = (struct manifest_file){0};
    if (!json_is_object(object))
        return err_set(r->e, ERR_CORRUPT, "not an object");
    if (!read_name(r, object, f))
        return false;
    if (!read_number(r, object, "size", 0, INT64_MAX, &size))
        return err_wrap(r->e, "%.200s", f->name);
    f->size = (uint64_t)size;
    if (!read_string(r, object, "sha256", false, 64, &f->sha256) ||
        !read_string(r, object, "git_blob", false, 40, &f->git_blob) ||
        !read_crc(r, json_object_get(object, "crc32c"), "crc32c", &f->crc32c) ||
        !read_ranges(r, json_object_get(object, "ranges"), f))
        return err_wrap(r->e, "%.200s", f->name);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct manifest_file *)a)->name, ((const struct manifest_file *)b)->name);
}

static bool read_files(struct reader *r, const json_t *list)
{
    struct manifest *m = r->m;
    if (!json_is_array(list))
        return err_set(r->e, ERR_CORRUPT, "files is missing or no list");
    if (json_array_size(list) > MANIFEST_MAX_FILES)
        return err_set(r->e, ERR_CORRUPT, "%zu files, at most %d expected", json_array_size(list),
                       MANIFEST_MAX_FILES);
    m->files = arena_alloc(r->a, json_array_size(list) + 1, sizeof *m->files);
    if (!m->files)
        return no_memory(r);
    for (; m->count < (int)json_array_size(list); m->count++)
        if (!read_file(r, json_array_get(list, (size_t)m->count), &m->files[m->count]))
            return err_wrap(r->e, "files[%d]", m->count);
    qsort(m->files, (size_t)m->count, sizeof *m->files, by_name);
    for (int i = 1; i < m->count; i++)
        if (strcmp(m->files[i - 1].name, m->files[i].name) == 0)
            return err_set(r->e, ERR_CORRUPT, "%.200s is there twice", m->files[i].name);
    return true;
}

static bool read_all(struct reader *r, const json_t *json)
{
    json_int_t range_bytes = 0;
    if (!json_is_object(json))
        return err_set(r->e, ERR_CORRUPT, "not an object, expected {\"ferry\": …, \"files\": […]}");
    if (!read_string(r, json, "ferry", true, 0, &r->m->ferry) ||
        !read_string(r, json, "source", true, 0, &r->m->source) ||
        !read_string(r, json, "commit", false, 40, &r->m->commit) ||
        !read_string(r, json, "encoding", false, 0, &r->m->encoding) ||
        !read_string(r, json, "created", true, 0, &r->m->created) ||
        !read_number(r, json, "range_bytes", 1, UINT32_MAX, &range_bytes))
        return false;
    r->m->range_bytes = (uint32_t)range_bytes;
    return read_files(r, json_object_get(json, "files"));
}

bool manifest_parse(struct manifest *m, const char *text, size_t size, struct arena *a, struct err *e)
{
    struct reader r = {m, a, e};
    json_error_t at;
    *m = (struct manifest){0};
    if (size > MANIFEST_MAX_BYTES)
        return err_set(e, ERR_CORRUPT, "%zu bytes, at most %d expected", size, MANIFEST_MAX_BYTES);
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &at);
    bool ok =
        json ? read_all(&r, json) : err_set(e, ERR_CORRUPT, "line %d: %s, expected JSON", at.line, at.text);
    json_decref(json);
    return ok;
}

const struct manifest_file *manifest_find(const struct manifest *m, const char *name)
{
    struct manifest_file key = {.name = name};
    return m->count ? bsearch(&key, m->files, (size_t)m->count, sizeof key, by_name) : NULL;
}

/* --- writing --- */

static json_t *print_crc(uint32_t crc)
{
    char text[CRC32C_TEXT];
    crc32c_print(crc, text);
    return json_string(text);
}

static json_t *print_file(const struct manifest_file *f)
{
    json_t *ranges = json_array();
    for (int i = 0; i < f->range_count; i++)
        if (json_array_append_new(ranges, print_crc(f->ranges[i])) != 0) {
            json_decref(ranges);
            return NULL;
        }
    return json_pack("{ss sI ss* ss* so so}", "name", f->name, "size", (json_int_t)f->size, "sha256",
                     f->sha256, "git_blob", f->git_blob, "crc32c", print_crc(f->crc32c), "ranges", ranges);
}

static json_t *print_files(const struct manifest *m)
{
    json_t *files = json_array();
    for (int i = 0; files && i < m->count; i++)
        if (json_array_append_new(files, print_file(&m->files[i])) != 0) {
            json_decref(files);
            return NULL;
        }
    return files;
}

char *manifest_print(const struct manifest *m, struct err *e)
{
    json_t *files = print_files(m);
    json_t *json = files ? json_pack("{ss ss ss* ss* ss sI so}", "ferry", m->ferry, "source", m->source,
                                     "commit", m->commit, "encoding", m->encoding, "created", m->created,
                                     "range_bytes", (json_int_t)m->range_bytes, "files", files)
                         : NULL;
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text)
        err_set(e, ERR_MEMORY, "no manifest: no memory, or a name that is not UTF-8");
    else if (strlen(text) > MANIFEST_MAX_BYTES || m->count > MANIFEST_MAX_FILES) {
        err_set(e, ERR_LIMIT, "a manifest of %zu bytes and %d files, at most %d and %d expected",
                strlen(text), m->count, MANIFEST_MAX_BYTES, MANIFEST_MAX_FILES);
        free(text);
        return NULL;
    }
    return text;
}
