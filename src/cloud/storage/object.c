/* object.c: what is said about objects: one, or a listing of them. */
#include "cloud/storage/request.h"

#include "base/crc32c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OBJECT_FIELDS "name,size,generation,metageneration,crc32c,updated,contentType,etag"

/* Cloud Storage writes 64-bit numbers as strings. Digits only; most: what it may be. */
static bool take_number(const json_t *json, const char *name, uint64_t most, uint64_t *out, struct err *e)
{
    const char *text = json_string_value(json_object_get(json, name));
    char *end;
    errno = 0;
    uint64_t n = text ? strtoull(text, &end, 10) : 0;
    if (!text || !*text || strspn(text, "0123456789") != strlen(text) || errno || n > most)
        return err_set(e, ERR_CORRUPT, "an object whose \"%s\" is not a number", name);
    *out = n;
    return true;
}

static bool take_string(const json_t *json, const char *name, const char **out, struct err *e)
{
    const json_t *value = json_object_get(json, name);
    const char *text = json_string_value(value);
    if (value && (!text || strlen(text) != json_string_length(value)))
        return err_set(e, ERR_CORRUPT, "an object whose \"%s\" is not text", name);
    *out = text ? text : "";
    return true;
}

static bool take_crc32c(const json_t *json, struct object *out, struct err *e)
{
    const char *text = "";
    if (!take_string(json, "crc32c", &text, e))
        return false;
    out->has_crc32c = *text != 0;
    return !*text || crc32c_parse(text, strlen(text), &out->crc32c) ||
           err_set(e, ERR_CORRUPT, "an object whose \"crc32c\" is not one");
}

/* Not everybody writes numbers that are 0 (protobuf's JSON leaves them out): the checksum of no bytes says it
 * as well. */
static bool take_size(const json_t *json, struct object *out, struct err *e)
{
    if (!json_object_get(json, "size") && out->has_crc32c && out->crc32c == crc32c(0, "", 0))
        return true;
    return take_number(json, "size", UINT64_MAX, &out->size, e);
}

bool object_read(const json_t *json, struct object *out, struct err *e)
{
    uint64_t generation, metageneration = 0;
    *out = (struct object){0};
    if (!json_is_object(json))
        return err_set(e, ERR_CORRUPT, "an object was expected, and something else came");
    if (!take_string(json, "name", &out->name, e) || !take_string(json, "updated", &out->updated, e) ||
        !take_string(json, "contentType", &out->content_type, e) || !take_string(json, "etag", &out->etag, e))
        return false;
    if (!*out->name)
        return err_set(e, ERR_CORRUPT, "an object without a name");
    if (!take_crc32c(json, out, e) || !take_size(json, out, e) ||
        !take_number(json, "generation", INT64_MAX, &generation, e))
        return false;
    if (json_object_get(json, "metageneration") &&
        !take_number(json, "metageneration", INT64_MAX, &metageneration, e))
        return false;
    out->generation = (int64_t)generation;
    out->metageneration = (int64_t)metageneration;
    return true;
}

static const char *keep(struct arena *a, const char *text)
{
    return arena_strndup(a, text, strlen(text));
}

bool object_keep(const json_t *json, struct arena *a, struct object *out, struct err *e)
{
    if (!object_read(json, out, e))
        return false;
    out->name = keep(a, out->name);
    out->updated = keep(a, out->updated);
    out->content_type = keep(a, out->content_type);
    out->etag = keep(a, out->etag);
    return (out->name && out->updated && out->content_type && out->etag) ||
           err_set(e, ERR_MEMORY, "no memory for an object's names");
}

/* --- a listing --- */

static bool tell_object(const json_t *item, const struct storage_list *l, struct err *e)
{
    struct object o;
    return object_read(item, &o, e) && l->on_object(l->arg, &o, e);
}

static bool tell_prefix(const json_t *item, const struct storage_list *l, struct err *e)
{
    const char *text = json_string_value(item);
    if (!text || !*text || strlen(text) != json_string_length(item))
        return err_set(e, ERR_CORRUPT, "a listing with a prefix that is not text");
    return !l->on_prefix || l->on_prefix(l->arg, text, e);
}

/* NULL comes last. */
static int order(const json_t *item, const json_t *prefix)
{
    const char *a = json_string_value(json_object_get(item, "name")), *b = json_string_value(prefix);
    if (!item || !prefix)
        return item ? -1 : 1;
    return strcmp(a ? a : "", b ? b : "");
}

/* Objects and prefixes each come in byte order; together, too, for who listens. */
bool page_read(const json_t *page, const struct storage_list *l, const char **next, struct err *e)
{
    const json_t *items = json_object_get(page, "items"), *prefixes = json_object_get(page, "prefixes");
    size_t i = 0, k = 0;

    *next = json_string_value(json_object_get(page, "nextPageToken"));
    if (!json_is_object(page) || (items && !json_is_array(items)) || (prefixes && !json_is_array(prefixes)))
        return err_set(e, ERR_CORRUPT, "a listing was expected, and something else came");
    while (i < json_array_size(items) || k < json_array_size(prefixes)) {
        const json_t *item = json_array_get(items, i), *prefix = json_array_get(prefixes, k);
        bool object = order(item, prefix) < 0;
        if (!(object ? tell_object(item, l, e) : tell_prefix(prefix, l, e)))
            return false;
        i += object;
        k += !object;
    }
    return true;
}

static json_t *get_page(struct cloud *c, const struct storage_list *l, const char *token, struct err *e)
{
    struct url u;
    struct http_reply r;
    url_start(&u, c);
    url_literal(&u, "/storage/v1/b/");
    url_name(&u, l->bucket);
    url_literal(&u, "/o?projection=noAcl&maxResults=1000&fields=");
    url_name(&u, "prefixes,nextPageToken,items(" OBJECT_FIELDS ")");
    if (l->delimited)
        url_literal(&u, "&delimiter=%2F");
    if (l->prefix && *l->prefix) {
        url_literal(&u, "&prefix=");
        url_name(&u, l->prefix);
    }
    if (token) {
        url_literal(&u, "&pageToken=");
        url_name(&u, token);
    }
    struct http_request q = {.method = "GET", .url = u.text, .accept = "application/json"};
    json_t *page = url_ready(&u, e) ? cloud_json(c, &q, CLOUD_IDEMPOTENT | CLOUD_NO_QUOTA, &r, e) : NULL;
    url_end(&u);
    return page;
}

bool storage_list(struct cloud *c, const struct storage_list *l, struct err *e)
{
    json_t *page = NULL;
    const char *token = NULL;
    bool ok = true;
    do {
        json_t *next = get_page(c, l, token, e);
        const char *before = token; /* the old page's, which is still there */
        ok = next != NULL || err_wrap(e, "gs://%s", l->bucket);
        if (ok) {
            ok = page_read(next, l, &token, e);
            if (ok && token && before && strcmp(token, before) == 0)
                ok = err_set(e, ERR_CORRUPT, "gs://%s: the listing does not go on: the same page again",
                             l->bucket);
        }
        json_decref(page);
        page = next;
    } while (ok && token && *token);
    json_decref(page);
    return ok;
}

bool storage_stat(struct cloud *c, const char *bucket, const char *name, struct arena *a, struct object *out,
                  struct err *e)
{
    struct url u;
    struct http_reply r;
    url_object(&u, c, bucket, name);
    url_literal(&u, "?projection=noAcl&fields=");
    url_name(&u, OBJECT_FIELDS);
    struct http_request q = {.method = "GET", .url = u.text, .accept = "application/json"};
    json_t *json = url_ready(&u, e) ? cloud_json(c, &q, CLOUD_IDEMPOTENT | CLOUD_NO_QUOTA, &r, e) : NULL;
    bool ok = json && object_keep(json, a, out, e);
    json_decref(json);
    url_end(&u);
    return ok || err_wrap(e, "gs://%s/%s", bucket, name);
}

bool storage_delete(struct cloud *c, const char *bucket, const char *name, int64_t if_generation,
                    struct err *e)
{
    struct url u;
    struct http_reply r;
    int tries = 0;
    url_object(&u, c, bucket, name);
    url_generation(&u, '?', if_generation);
    struct http_request q = {.method = "DELETE", .url = u.text};
    bool ok = url_ready(&u, e) && cloud_call_counted(c, &q, CLOUD_IDEMPOTENT | CLOUD_NO_QUOTA, &r, &tries, e);
    if (!ok && tries > 1 && r.status == 404)
        ok = true; /* an earlier try had worked */
    url_end(&u);
    return ok || err_wrap(e, "gs://%s/%s", bucket, name);
}
