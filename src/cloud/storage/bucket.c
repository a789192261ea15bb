/* bucket.c: buckets as JSON; what stands in it is the caller's business. */
#include "cloud/call/rest.h"
#include "cloud/label.h"
#include "cloud/storage/request.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

json_t *bucket_get(struct cloud *c, const char *bucket, struct err *e)
{
    struct url u;
    struct http_reply r;
    url_start(&u, c);
    url_literal(&u, "/storage/v1/b/");
    url_name(&u, bucket);
    url_literal(&u, "?projection=noAcl");
    struct http_request q = {.method = "GET", .url = u.text, .accept = "application/json"};
    json_t *json = url_ready(&u, e) ? cloud_json(c, &q, CLOUD_IDEMPOTENT | CLOUD_NO_QUOTA, &r, e) : NULL;
    url_end(&u);
    if (!json)
        err_wrap(e, "gs://%s", bucket);
    return json;
}

/* A request with a JSON body. */
static json_t *send_body(struct cloud *c, const char *method, const struct url *u, const json_t *body,
                         int flags, struct http_reply *r, int *tries, struct err *e)
{
    char *text = json_dumps(body, JSON_COMPACT);
    json_t *json = NULL;
    struct http_request q = {.method = method,
                             .url = u->text,
                             .content_type = "application/json",
                             .accept = "application/json",
                             .body = text,
                             .body_size = text ? strlen(text) : 0};
    if (!text)
        err_set(e, ERR_MEMORY, "no memory for a request");
    else if (url_ready(u, e))
        json = cloud_json_counted(c, &q, flags | CLOUD_NO_QUOTA, r, tries, e);
    free(text);
    return json;
}

json_t *bucket_create(struct cloud *c, const char *project, const json_t *body, struct err *e)
{
    const char *bucket = json_string_value(json_object_get(body, "name"));
    struct http_reply r = {0};
    struct url u;
    int tries = 0;
    url_start(&u, c);
    url_literal(&u, "/storage/v1/b?projection=noAcl&project=");
    url_name(&u, project);
    /* A bucket's name is a precondition by itself. */
    json_t *json = send_body(c, "POST", &u, body, CLOUD_IDEMPOTENT, &r, &tries, e);
    url_end(&u);
    if (!json && r.status == 409 && tries > 1 && bucket)
        return bucket_get(c, bucket, e); /* an earlier try had worked, if it is one that we may read */
    if (!json)
        err_wrap(e, "gs://%s", bucket ? bucket : "");
    return json;
}

/* Whether all that the patch wants is so; the service adds fields of its own to what it keeps. */
static bool says(const json_t *is, const json_t *wanted);

static bool array_says(const json_t *is, const json_t *wanted)
{
    size_t count = json_array_size(wanted);
    if (!json_is_array(is) || json_array_size(is) != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!says(json_array_get(is, i), json_array_get(wanted, i)))
            return false;
    return true;
}

static bool object_says(const json_t *is, const json_t *wanted)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)wanted, key, value)
    {
        if (!says(json_object_get(is, key), value))
            return false;
    }
    return json_is_object(is);
}

static bool says(const json_t *is, const json_t *wanted)
{
    if (json_is_array(wanted))
        return array_says(is, wanted);
    if (json_is_object(wanted))
        return object_says(is, wanted);
    return json_is_null(wanted) ? !is : json_equal(is, wanted);
}

/* After a try whose answer was lost, the precondition fails on our own change. */
static json_t *changed_by_us(struct cloud *c, const char *bucket, const json_t *body)
{
    struct err ignored = {0};
    json_t *json = bucket_get(c, bucket, &ignored);
    if (says(json, body))
        return json;
    json_decref(json);
    return NULL;
}

json_t *bucket_patch(struct cloud *c, const char *bucket, int64_t if_metageneration, const json_t *body,
                     struct err *e)
{
    struct http_reply r = {0};
    struct url u;
    int tries = 0;
    url_start(&u, c);
    url_literal(&u, "/storage/v1/b/");
    url_name(&u, bucket);
    url_literal(&u, "?projection=noAcl");
    if (if_metageneration > 0)
        url_number(&u, "&ifMetagenerationMatch=", if_metageneration);
    json_t *json =
        send_body(c, "PATCH", &u, body, if_metageneration > 0 ? CLOUD_IDEMPOTENT : 0, &r, &tries, e);
    url_end(&u);
    if (!json && r.status == 412 && tries > 1)
        json = changed_by_us(c, bucket, body);
    if (!json)
        err_wrap(e, "gs://%s", bucket);
    return json;
}

/* --- all of a project --- */

struct finding {
    bucket_fn fn;
    void *arg;
};

/* "ASIA-NORTHEAST1" is what others call "asia-northeast1". */
static void take_small(const json_t *item, const char *name, char *out, size_t room)
{
    const char *text = json_string_value(json_object_get(item, name));
    snprintf(out, room, "%s", text ? text : "");
    for (; *out; out++)
        *out = (char)tolower((unsigned char)*out);
}

static bool take_bucket(void *arg, const json_t *item, struct err *e)
{
    enum { DAY_SECONDS = 86400 };
    const struct finding *f = arg;
    const json_t *soft_delete = json_object_get(item, "softDeletePolicy");
    const char *seconds = json_string_value(json_object_get(soft_delete, "retentionDurationSeconds"));
    struct bucket_found b = {.name = json_string_value(json_object_get(item, "name")),
                             .ours = label_is_ours(item),
                             .soft_delete_days = seconds ? strtoll(seconds, NULL, 10) / DAY_SECONDS : 0};
    if (!b.name)
        return err_set(e, ERR_CORRUPT, "a bucket without a name");
    take_small(item, "location", b.location, sizeof b.location);
    take_small(item, "storageClass", b.storage_class, sizeof b.storage_class);
    return f->fn(f->arg, &b, e);
}

bool bucket_each(struct cloud *c, const char *project, bucket_fn fn, void *arg, struct err *e)
{
    struct rest q = {.api = "storage",
                     .method = "GET",
                     .path = "/storage/v1/b?projection=noAcl&maxResults=1000&project={}",
                     .names = {project},
                     .flags = CLOUD_NO_QUOTA};
    return rest_each(c, &q, "items", take_bucket, &(struct finding){fn, arg}, e) ||
           err_wrap(e, "buckets of %s", project);
}

bool bucket_delete(struct cloud *c, const char *bucket, struct err *e)
{
    struct rest q = {.api = "storage",
                     .method = "DELETE",
                     .path = "/storage/v1/b/{}",
                     .names = {bucket},
                     .flags = CLOUD_IDEMPOTENT | CLOUD_NO_QUOTA};
    json_t *gone = rest_delete(c, &q, e);
    json_decref(gone);
    return gone || err_wrap(e, "gs://%s", bucket);
}
