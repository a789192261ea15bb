/* resumable.c: an object in one long upload that can be taken up again. The session's URL is a credential: it
 * goes into no message. */
#include "base/crc32c.h"
#include "cloud/storage/request.h"
#include "net/content_range.h"
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSION_ROOM = 3000, RANGE_ROOM = 100 };

/* The URL needs no token, and its statuses (308, 499) are its own. */
static const int session_flags =
    CLOUD_IDEMPOTENT | CLOUD_ANY_STATUS | CLOUD_ONE_TRY | CLOUD_NO_BEARER | CLOUD_NO_QUOTA;

static char *describe(const char *bucket, const char *name, const char *type)
{
    json_t *json = json_pack("{s:s, s:s, s:s}", "bucket", bucket, "name", name, "contentType", type);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

/* Where the bytes will go, without the token: to be TLS where the endpoint is. */
static char *take_session(struct cloud *c, const struct http_reply *r, struct arena *a, struct err *e)
{
    char text[SESSION_ROOM + 1], origin[URL_ORIGIN_BYTES];
    if (!http_header(r, "location", text, sizeof text)) {
        err_set(e, ERR_CORRUPT, "an upload session without its address");
        return NULL;
    }
    bool plain = strncmp(cloud_endpoint(c, "storage"), "http://", 7) == 0;
    if (strlen(text) == SESSION_ROOM || !url_origin(text, origin, sizeof origin) ||
        (!plain && strncmp(origin, "https://", 8) != 0)) {
        err_set(e, ERR_CORRUPT, "an upload session whose address is not an https:// one");
        return NULL;
    }
    char *out = arena_strndup(a, text, strlen(text));
    if (!out)
        err_set(e, ERR_MEMORY, "no memory for an upload session");
    return out;
}

char *resumable_begin(struct cloud *c, const char *bucket, const char *name, const char *content_type,
                      uint64_t total, int64_t if_generation, struct arena *a, struct err *e)
{
    const char *type = content_type ? content_type : "application/octet-stream";
    char *body = describe(bucket, name, type), length[24], *out = NULL;
    struct http_reply r;
    struct url u;

    snprintf(length, sizeof length, "%llu", (unsigned long long)total);
    url_start(&u, c);
    url_literal(&u, "/upload/storage/v1/b/");
    url_name(&u, bucket);
    url_literal(&u, "/o?uploadType=resumable");
    url_generation(&u, '&', if_generation);
    struct http_request q = {
        .method = "POST",
        .url = u.text,
        .content_type = "application/json; charset=UTF-8",
        .body = body,
        .body_size = body ? strlen(body) : 0,
        .headers = {{"X-Upload-Content-Type", type},
                    {"X-Upload-Content-Length", total == RESUMABLE_UNKNOWN ? NULL : length}}};
    if (!body || !*name)
        err_set(e, ERR_USAGE, "the name is empty or not UTF-8, or no memory is left");
    else if (url_ready(&u, e) && cloud_call(c, &q, CLOUD_IDEMPOTENT | CLOUD_NO_QUOTA, &r, e))
        out = take_session(c, &r, a, e); /* a session that nobody uses ends after a week */
    free(body);
    url_end(&u);
    if (!out)
        err_wrap(e, "gs://%s/%s", bucket, name);
    return out;
}

/* What an answer to a PUT on the session means. */
static bool judge(const struct http_reply *r, uint64_t total, uint64_t *held, bool *done, struct err *e)
{
    char text[RANGE_ROOM];
    *done = r->status == 200 || r->status == 201;
    if (*done) {
        *held = total;
        return true;
    }
    if (r->status == 308)
        return range_held_parse(http_header(r, "range", text, sizeof text), held) ||
               err_set(e, ERR_CORRUPT, "an upload session that holds \"%.60s\"", text);
    if (r->status == 404 || r->status == 410 || r->status == 499)
        return err_set(e, ERR_NOT_FOUND, "HTTP %d: the upload session is gone", r->status);
    return cloud_explain(r, e);
}

/* hash: of the whole, when its last byte is under way or there: asking may be what ends the upload, and then
 * it has to be checked as well. */
static bool ask_held(struct cloud *c, const char *session, uint64_t total, const char *hash,
                     const volatile sig_atomic_t *stop, uint64_t *held, bool *done, struct err *e)
{
    struct retry retry = retry_start(cloud_retry(c), cloud_http(c), stop);
    struct http_reply r;
    char range[RANGE_ROOM] = "bytes */*";
    bool sent;
    if (total != RESUMABLE_UNKNOWN)
        snprintf(range, sizeof range, "bytes */%llu", (unsigned long long)total);
    struct http_request q = {.method = "PUT",
                             .url = session,
                             .body = "",
                             .content_type = "application/octet-stream",
                             .headers = {{"Content-Range", range}, {"X-Goog-Hash", hash}},
                             .stop = stop};
    do
        sent = cloud_call(c, &q, session_flags, &r, e);
    while (retry_wanted(&retry, sent, &r, e) && retry_wait(&retry));
    return sent && judge(&r, total, held, done, e);
}

bool resumable_held(struct cloud *c, const char *session, uint64_t total, uint64_t *held, bool *done,
                    struct err *e)
{
    struct err unheard = {0};
    return ask_held(c, session, total, NULL, NULL, held, done, e ? e : &unheard) ||
           err_wrap(e, "upload session");
}

/* One resumable_send while it runs. */
struct chunk {
    struct cloud *c;
    const char *session;
    const char *bytes;
    uint64_t offset, end, total; /* of the whole: bytes[0] is at offset */
    uint64_t held;
    bool done;
    char hash[CRC32C_TEXT + 8]; /* "crc32c=…" of the whole */
    const volatile sig_atomic_t *stop;
};

static bool is_last(const struct chunk *k)
{
    return k->end == k->total;
}

/* "bytes 0-99/200", "bytes 0-99/\*" while the total is open, "bytes *\/0" where there is nothing to send. */
static void print_range(const struct chunk *k, char out[RANGE_ROOM])
{
    char total[24] = "*";
    if (k->total != RESUMABLE_UNKNOWN)
        snprintf(total, sizeof total, "%llu", (unsigned long long)k->total);
    if (k->held == k->end)
        snprintf(out, RANGE_ROOM, "bytes */%s", total);
    else
        snprintf(out, RANGE_ROOM, "bytes %llu-%llu/%s", (unsigned long long)k->held,
                 (unsigned long long)k->end - 1, total);
}

/* What is missing of the chunk, once. False with *e set when no answer came. */
static bool send_missing(struct chunk *k, struct http_reply *r, struct err *e)
{
    char range[RANGE_ROOM];
    size_t from = (size_t)(k->held - k->offset), size = (size_t)(k->end - k->held);
    print_range(k, range);
    struct http_request q = {
        .method = "PUT",
        .url = k->session,
        .body = size ? k->bytes + from : "",
        .body_size = size,
        .content_type = "application/octet-stream",
        .headers = {{"Content-Range", range}, {"X-Goog-Hash", is_last(k) ? k->hash : NULL}},
        .stop = k->stop};
    return cloud_call(k->c, &q, session_flags, r, e);
}

/* What it holds has to lie within what we can still send. */
static bool check_held(const struct chunk *k, struct err *e)
{
    if (k->done && !is_last(k))
        return err_set(e, ERR_CORRUPT, "the upload ended before its last byte was sent");
    if (k->held < k->offset)
        return err_set(e, ERR_NOT_FOUND, "the upload session has lost bytes: it holds %llu, expected %llu",
                       (unsigned long long)k->held, (unsigned long long)k->offset);
    if (k->held > k->end)
        return err_set(e, ERR_CORRUPT, "the upload session holds %llu bytes, expected %llu to %llu",
                       (unsigned long long)k->held, (unsigned long long)k->offset,
                       (unsigned long long)k->end);
    return true;
}

static bool ask_again(struct chunk *k, struct err *e)
{
    return ask_held(k->c, k->session, k->total, is_last(k) ? k->hash : NULL, k->stop, &k->held, &k->done, e);
}

/* A refusal (400) may mean that the session holds less than it did. Else *e stays as it is. Always false. */
static bool blame_loss(struct chunk *k, struct err *e)
{
    struct err ignored = {0};
    if (ask_again(k, &ignored) && k->held < k->offset)
        return check_held(k, e);
    return false;
}

static bool is_stored(const struct chunk *k)
{
    return is_last(k) ? k->done : k->held == k->end;
}

/* After a break nobody but the session knows how much of it arrived. */
static bool send_and_ask(struct chunk *k, struct retry *retry, struct err *e)
{
    struct http_reply r;
    uint64_t before = k->held;
    bool sent = send_missing(k, &r, e);
    bool broken = sent ? retry_wanted(retry, sent, &r, e) : e->kind == ERR_TRANSIENT && retry_again(retry);

    if (!broken && (!sent || !judge(&r, k->total, &k->held, &k->done, e)))
        return sent && r.status == 400 ? blame_loss(k, e) : false;
    if (broken && !retry_wait(retry))
        return err_set(e, ERR_CANCELLED, "interrupted");
    if (broken && !ask_again(k, e))
        return false;
    if (!check_held(k, e))
        return false;
    if (k->held > before)
        retry_progress(retry);
    if (broken || is_stored(k) || k->held > before)
        return true;
    /* An answer that took nothing, over and over, must end some time. */
    err_set(e, ERR_TRANSIENT, "the upload session takes no bytes");
    return retry_again(retry) && (retry_wait(retry) || err_set(e, ERR_CANCELLED, "interrupted"));
}

bool resumable_send(struct cloud *c, const char *session, uint64_t offset, const void *bytes, size_t size,
                    uint64_t total, uint32_t crc32c, const volatile sig_atomic_t *stop, struct err *e)
{
    struct err unheard = {0};
    struct retry retry = retry_start(cloud_retry(c), cloud_http(c), stop);
    struct chunk k = {.c = c,
                      .session = session,
                      .bytes = bytes,
                      .offset = offset,
                      .end = offset + size,
                      .total = total,
                      .held = offset,
                      .hash = "crc32c=",
                      .stop = stop};
    bool ok = true;
    e = e ? e : &unheard;
    crc32c_print(crc32c, k.hash + strlen(k.hash));
    if (k.end < offset || (total != RESUMABLE_UNKNOWN && k.end > total))
        return err_set(e, ERR_USAGE, "more bytes than the upload's total");
    if (size == 0 && !is_last(&k))
        return true; /* nothing to send, and it is not the end */
    while (ok && !is_stored(&k))
        ok = send_and_ask(&k, &retry, e);
    return ok || err_wrap(e, "upload session");
}

bool resumable_cancel(struct cloud *c, const char *session, struct err *e)
{
    struct http_reply r = {0};
    struct http_request q = {.method = "DELETE", .url = session, .body = ""};
    /* 499 is what a cancelled session answers; 404 and 410 one that was gone. */
    if (!cloud_call(c, &q, session_flags & ~CLOUD_ONE_TRY, &r, e))
        return err_wrap(e, "upload session");
    bool gone = r.status / 100 == 2 || r.status == 499 || r.status == 404 || r.status == 410;
    return gone || cloud_explain(&r, e) || err_wrap(e, "upload session");
}
