/* read.c: the bytes of an object. */
#include "cloud/call/ranged.h"
#include "cloud/storage/request.h"

#include <stdlib.h>
#include <string.h>

/* Whoever answers with another generation answers about another object. */
static bool check_generation(const struct http_reply *r, int64_t generation, struct err *e)
{
    char text[40];
    if (generation <= 0 || r->status / 100 != 2 || !http_header(r, "x-goog-generation", text, sizeof text) ||
        strtoll(text, NULL, 10) == generation)
        return true;
    return err_set(e, ERR_BUSY, "it was replaced meanwhile: generation %.30s, expected %lld", text,
                   (long long)generation);
}

/* One answer, and what to do after it: *again when another try makes sense. */
static bool read_some(struct cloud *c, const struct http_request *q, struct ranged *g, struct retry *retry,
                      int64_t generation, struct err *e)
{
    static const int flags = CLOUD_IDEMPOTENT | CLOUD_ANY_STATUS | CLOUD_ONE_TRY | CLOUD_NO_QUOTA;
    struct http_reply r;
    bool sent = cloud_call(c, q, flags, &r, e);

    if (!check_generation(&r, generation, e))
        return false;
    if (sent && r.status / 100 != 2) {
        bool again = retry_wanted(retry, sent, &r, e);
        return again ? retry_wait(retry) || err_set(e, ERR_CANCELLED, "interrupted") : cloud_explain(&r, e);
    }
    if (ranged_take(g, sent, &r, e))
        return true;
    if (g->moved)
        retry_progress(retry);
    if (e->kind != ERR_TRANSIENT || !retry_again(retry))
        return false;
    return retry_wait(retry) || err_set(e, ERR_CANCELLED, "interrupted");
}

bool storage_read(struct cloud *c, const char *bucket, const char *name, int64_t generation, uint64_t offset,
                  size_t size, void *into, const volatile sig_atomic_t *stop, struct err *e)
{
    struct ranged g = {.offset = offset, .size = size, .into = into};
    struct retry retry = retry_start(cloud_retry(c), cloud_http(c), stop);
    struct err unheard = {0};
    struct url u;
    bool ok;

    url_start(&u, c);
    url_literal(&u, "/download/storage/v1/b/");
    url_name(&u, bucket);
    url_literal(&u, "/o/");
    url_name(&u, name);
    url_literal(&u, "?alt=media");
    if (generation > 0)
        url_number(&u, "&generation=", generation);
    /* Whoever takes gzip gets an object that was stored with Content-Encoding: gzip as its bytes are, in
     * ranges; else it is unpacked on the way, and ranges are ignored. Nothing here unpacks. */
    struct http_request q = {.method = "GET",
                             .url = u.text,
                             .stall_seconds = READ_STALL_SECONDS,
                             .stop = stop,
                             .headers = {{"Accept-Encoding", "gzip"}}};
    e = e ? e : &unheard;
    ok = url_ready(&u, e);
    while (ok && ranged_wanted(&g, &q))
        ok = read_some(c, &q, &g, &retry, generation, e);
    if (!ok && retry.tries > 1)
        err_wrap(e, "after %d tries", retry.tries);
    url_end(&u);
    return ok || err_wrap(e, "gs://%s/%s", bucket, name);
}
