/* rewrite.c: copies that Cloud Storage makes itself. */
#include "cloud/storage/request.h"

#include "base/catalog.h"

#include <stdlib.h>
#include <string.h>

/* What one call moves between places; within one it makes the whole copy at once. As gcloud has it. */
#define PER_CALL "&maxBytesRewrittenPerCall=104857600"

static void rewrite_url(struct url *u, struct cloud *c, const struct storage_rewrite *w, const char *token)
{
    url_object(u, c, w->from_bucket, w->from->name);
    url_literal(u, "/rewriteTo/b/");
    url_name(u, w->bucket);
    url_literal(u, "/o/");
    url_name(u, w->name);
    url_literal(u, "?projection=noAcl" PER_CALL);
    if (w->from->generation > 0)
        url_number(u, "&sourceGeneration=", w->from->generation);
    url_generation(u, '&', w->if_generation);
    if (*token) {
        url_literal(u, "&rewriteToken=");
        url_name(u, token);
    }
}

static json_t *call(struct cloud *c, const struct storage_rewrite *w, const char *token, struct http_reply *r,
                    int *tries, struct err *e)
{
    struct url u;
    rewrite_url(&u, c, w, token);
    struct http_request q = {.method = "POST",
                             .url = u.text,
                             .accept = "application/json",
                             .body = "",
                             .stall_seconds = MOVE_STALL_SECONDS,
                             .stop = w->stop};
    /* Idempotent: the same bytes to the same name. */
    json_t *json =
        url_ready(&u, e) ? cloud_json_counted(c, &q, CLOUD_IDEMPOTENT | CLOUD_NO_QUOTA, r, tries, e) : NULL;
    url_end(&u);
    return json;
}

static bool is_copy(const struct object *from, const struct object *o)
{
    return o->size == from->size && (!from->has_crc32c || !o->has_crc32c || o->crc32c == from->crc32c);
}

/* What is not the source's is deleted again; that it may still be there is added. */
static bool check_copy(struct cloud *c, const struct storage_rewrite *w, const struct object *o,
                       struct err *e)
{
    struct err ignored = {0};
    if (is_copy(w->from, o))
        return true;
    bool gone = storage_delete(c, w->bucket, w->name, o->generation, &ignored);
    return err_set(e, ERR_CORRUPT, "the copy has %llu bytes with crc32c %08x, the source %llu with %08x; %s",
                   (unsigned long long)o->size, o->crc32c, (unsigned long long)w->from->size, w->from->crc32c,
                   gone ? _("deleted again") : _("could not be deleted again"));
}

static bool take_progress(const json_t *json, struct rewrite_state *at, struct err *e)
{
    const char *rewritten = json_string_value(json_object_get(json, "totalBytesRewritten"));
    const char *token = json_string_value(json_object_get(json, "rewriteToken"));
    at->rewritten = rewritten ? strtoull(rewritten, NULL, 10) : 0;
    if (!token || !*token)
        return err_set(e, ERR_CORRUPT, "a copy that is neither done nor goes on");
    if (strlen(token) >= sizeof at->token)
        return err_set(e, ERR_CORRUPT, "a copy whose token has more than %zu bytes", sizeof at->token - 1);
    memcpy(at->token, token, strlen(token) + 1);
    return true;
}

/* After a try whose answer was lost, the precondition fails on our own copy. */
static bool is_ours(struct cloud *c, const struct storage_rewrite *w, struct arena *a, struct object *out)
{
    struct err ignored = {0};
    return storage_stat(c, w->bucket, w->name, a, out, &ignored) && out->has_crc32c && is_copy(w->from, out);
}

static bool rewrite(struct cloud *c, const struct storage_rewrite *w, struct rewrite_state *at,
                    struct arena *a, struct object *out, struct err *e)
{
    struct http_reply r = {0};
    int tries = 0;
    json_t *json = call(c, w, at->token, &r, &tries, e);
    if (!json)
        return at->done = r.status == 412 && tries > 1 && is_ours(c, w, a, out);
    bool done = json_is_true(json_object_get(json, "done"));
    bool ok = done ? object_keep(json_object_get(json, "resource"), a, out, e) && check_copy(c, w, out, e)
                   : take_progress(json, at, e);
    at->done = ok && done;
    json_decref(json);
    return ok;
}

bool storage_rewrite(struct cloud *c, const struct storage_rewrite *w, struct rewrite_state *at,
                     struct arena *a, struct object *out, struct err *e)
{
    return rewrite(c, w, at, a, out, e) ||
           err_wrap(e, "gs://%s/%s to gs://%s/%s", w->from_bucket, w->from->name, w->bucket, w->name);
}
