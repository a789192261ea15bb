/* multipart.c: an object in parts, by the XML API. */
#include "base/crc32c.h"
#include "cloud/storage/answer.h"
#include "cloud/storage/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int xml_flags = CLOUD_IDEMPOTENT | CLOUD_NO_QUOTA;

static void upload_url(struct url *u, struct cloud *c, const char *bucket, const char *name, const char *id)
{
    url_xml(u, c, bucket, name);
    url_literal(u, "?uploadId=");
    url_name(u, id);
}

/* An answer in XML, into b. Statuses that are not 2xx are the caller's to judge. */
static bool send_xml(struct cloud *c, const struct http_request *q, const struct url *u, struct body *b,
                     struct http_reply *r, struct err *e)
{
    struct retry retry = retry_start(cloud_retry(c), cloud_http(c), q->stop);
    struct http_request with_body = *q;
    bool ok;
    with_body.on_data = body_take;
    with_body.arg = b;
    if (!url_ready(u, e))
        return false;
    do {
        b->size = 0;
        ok = cloud_call(c, &with_body, xml_flags | CLOUD_ANY_STATUS | CLOUD_ONE_TRY, r, e);
    } while (retry_wanted(&retry, ok, r, e) && retry_wait(&retry));
    return ok;
}

/* What an endpoint without XML multipart says: emulators, proxies. A missing bucket says more. */
static bool explain_begin(const struct http_reply *r, struct err *e)
{
    bool no_bucket = strstr(r->problem, "NoSuchBucket") || strstr(r->problem, "UserProjectAccountProblem");
    bool none = r->status == 501 || r->status == 400 || r->status == 404 || r->status == 405;
    if (none && !no_bucket)
        return err_set(e, ERR_UNSUPPORTED, "HTTP %d: this endpoint has no XML multipart uploads", r->status);
    return cloud_explain(r, e);
}

char *multipart_begin(struct cloud *c, const char *bucket, const char *name, const char *content_type,
                      struct arena *a, struct err *e)
{
    struct body b = {.ceiling = JSON_MAX_BYTES};
    struct http_reply r = {0};
    struct err unheard = {0};
    struct url u;
    char id[UPLOAD_ID_ROOM], *out = NULL;

    e = e ? e : &unheard;
    url_xml(&u, c, bucket, name);
    url_literal(&u, "?uploads");
    /* A second upload that nobody uses is removed by the bucket's lifecycle, so trying again does no harm. */
    struct http_request q = {.method = "POST",
                             .url = u.text,
                             .body = "",
                             .content_type = content_type ? content_type : "application/octet-stream"};
    bool ok = send_xml(c, &q, &u, &b, &r, e) && (r.status / 100 == 2 || explain_begin(&r, e));
    if (ok && !answer_upload_id(b.bytes ? b.bytes : "", b.size, id, e)) {
        e->kind = ERR_UNSUPPORTED; /* 200 to everything: a web server that is not Cloud Storage */
        ok = false;
    }
    if (ok && !(out = arena_strndup(a, id, strlen(id))))
        err_set(e, ERR_MEMORY, "no memory for an upload's id");
    body_clear(&b);
    url_end(&u);
    if (!out)
        err_wrap(e, "gs://%s/%s", bucket, name);
    return out;
}

/* The answer names what has been stored: "crc32c=…", in one header of its own or beside md5. */
static bool check_part(const struct http_reply *r, uint32_t crc, struct err *e)
{
    char hash[200];
    uint32_t stored;
    const char *at = http_header(r, "x-goog-hash", hash, sizeof hash) ? strstr(hash, "crc32c=") : NULL;
    if (!at || strlen(at) < 15 || !crc32c_parse(at + 7, 8, &stored) || stored == crc)
        return true;
    return err_set(e, ERR_TRANSIENT, "crc32c %08x was sent and %08x is there", crc, stored);
}

static bool take_part(const struct http_reply *r, uint32_t crc, struct part_tag *out, struct err *e)
{
    if (!http_header(r, "etag", out->etag, sizeof out->etag) || !out->etag[0])
        return err_set(e, ERR_CORRUPT, "a part was stored without an ETag");
    if (strlen(out->etag) + 1 == sizeof out->etag)
        return err_set(e, ERR_CORRUPT, "an ETag of more than %zu bytes", sizeof out->etag - 2);
    return check_part(r, crc, e);
}

/* A part that arrived with another checksum is sent again like one that was lost. */
static bool send_part(struct cloud *c, const struct http_request *q, uint32_t crc, struct part_tag *out,
                      struct err *e)
{
    struct retry retry = retry_start(cloud_retry(c), cloud_http(c), q->stop);
    struct http_reply r;
    for (;;) {
        bool answered = cloud_call(c, q, xml_flags, &r, e);
        if (answered && take_part(&r, crc, out, e))
            return true;
        enum err_kind again =
            answered ? ERR_TRANSIENT : ERR_CORRUPT; /* of a hiccup the call has tried enough */
        if (e->kind != again || !retry_again(&retry))
            return false;
        if (!retry_wait(&retry))
            return err_set(e, ERR_CANCELLED, "interrupted");
    }
}

bool multipart_part(struct cloud *c, const char *bucket, const char *name, const char *id, int number,
                    const void *bytes, size_t size, const volatile sig_atomic_t *stop, struct part_tag *out,
                    struct err *e)
{
    struct err unheard = {0};
    struct url u;
    char hash[CRC32C_TEXT + 8] = "crc32c=";
    uint32_t crc = crc32c(0, bytes, size);

    e = e ? e : &unheard;
    crc32c_print(crc, hash + strlen(hash));
    upload_url(&u, c, bucket, name, id);
    url_number(&u, "&partNumber=", number);
    struct http_request q = {.method = "PUT",
                             .url = u.text,
                             .content_type = "application/octet-stream",
                             .body = size ? bytes : "",
                             .body_size = size,
                             .headers = {{"X-Goog-Hash", hash}},
                             .stop = stop};
    *out = (struct part_tag){.number = number, .size = size};
    bool ok = url_ready(&u, e) && send_part(c, &q, crc, out, e);
    url_end(&u);
    return ok || err_wrap(e, "gs://%s/%s: part %d", bucket, name, number);
}

static bool list_page(struct cloud *c, const char *bucket, const char *name, const char *id,
                      struct part_list *l, struct err *e)
{
    struct body b = {.ceiling = JSON_MAX_BYTES};
    struct http_reply r = {0};
    struct url u;
    upload_url(&u, c, bucket, name, id);
    url_literal(&u, "&max-parts=1000");
    if (l->marker)
        url_number(&u, "&part-number-marker=", l->marker);
    struct http_request q = {.method = "GET", .url = u.text};
    bool ok = send_xml(c, &q, &u, &b, &r, e) && (r.status / 100 == 2 || cloud_explain(&r, e)) &&
              answer_parts(l, b.bytes ? b.bytes : "", b.size, e);
    body_clear(&b);
    url_end(&u);
    return ok;
}

bool multipart_list(struct cloud *c, const char *bucket, const char *name, const char *id, struct arena *a,
                    struct part_tag **out, int *count, struct err *e)
{
    struct part_list l = {.parts = NULL};
    struct err unheard = {0};
    bool ok;
    e = e ? e : &unheard;
    *out = NULL;
    *count = 0;
    do
        ok = list_page(c, bucket, name, id, &l, e);
    while (ok && l.more);
    if (ok && !(*out = arena_alloc(a, (size_t)l.count + 1, sizeof **out)))
        ok = err_set(e, ERR_MEMORY, "no memory for a list of parts");
    if (ok && l.count)
        memcpy(*out, l.parts, (size_t)l.count * sizeof **out);
    if (ok)
        *count = l.count;
    free(l.parts);
    return ok || err_wrap(e, "gs://%s/%s", bucket, name);
}

/* The upload is gone. Either an earlier seal had worked, and the object is there, or it was aborted. */
static bool sealed_before(struct cloud *c, const char *bucket, const char *name, const struct part_tag *parts,
                          int count)
{
    struct err ignored = {0};
    struct object o;
    uint64_t size = 0;
    struct arena *a = arena_new(SCRATCH_BYTES);
    for (int i = 0; i < count; i++)
        size += parts[i].size;
    bool there = a && storage_stat(c, bucket, name, a, &o, &ignored) && o.size == size;
    arena_free(a);
    return there;
}

/* One try and its judgement; a 200 may carry an error, so the body decides. */
static bool seal(struct cloud *c, const struct http_request *q, const struct url *u, struct http_reply *r,
                 struct err *e)
{
    struct retry retry = retry_start(cloud_retry(c), cloud_http(c), NULL);
    struct body b = {.ceiling = JSON_MAX_BYTES};
    bool ok;
    for (;;) {
        ok = send_xml(c, q, u, &b, r, e) && (r->status / 100 == 2 || cloud_explain(r, e));
        bool answered = ok;
        ok = ok && answer_sealed(b.bytes ? b.bytes : "", b.size, e);
        if (ok || !answered || e->kind != ERR_TRANSIENT || !retry_again(&retry) || !retry_wait(&retry))
            break;
    }
    body_clear(&b);
    return ok;
}

bool multipart_seal(struct cloud *c, const char *bucket, const char *name, const char *id,
                    const struct part_tag *parts, int count, struct err *e)
{
    struct err unheard = {0};
    struct http_reply r = {0};
    struct url u;
    char *text = answer_seal_request(parts, count);
    if (!text)
        return err_set(e, ERR_MEMORY, "no memory for a list of parts");
    e = e ? e : &unheard;
    upload_url(&u, c, bucket, name, id);
    struct http_request q = {.method = "POST",
                             .url = u.text,
                             .content_type = "application/xml",
                             .stall_seconds = MOVE_STALL_SECONDS,
                             .body = text,
                             .body_size = strlen(text)};
    bool ok = seal(c, &q, &u, &r, e);
    if (!ok && r.status == 404)
        ok = sealed_before(c, bucket, name, parts, count);
    free(text);
    url_end(&u);
    return ok || err_wrap(e, "gs://%s/%s", bucket, name);
}

bool multipart_abort(struct cloud *c, const char *bucket, const char *name, const char *id, struct err *e)
{
    struct http_reply r = {0};
    struct url u;
    upload_url(&u, c, bucket, name, id);
    struct http_request q = {.method = "DELETE", .url = u.text};
    bool ok = url_ready(&u, e) && (cloud_call(c, &q, xml_flags, &r, e) || r.status == 404);
    url_end(&u);
    return ok || err_wrap(e, "gs://%s/%s", bucket, name);
}
