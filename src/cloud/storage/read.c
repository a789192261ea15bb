/* read.c: the bytes of an object. */
#include "cloud/call/ranged.h"
#include "cloud/storage/request.h"

/* One answer, and what to do after it: *again when another try makes sense. */
static bool read_some(struct cloud *c, const struct http_request *q, struct ranged *g, struct http_reply *r,
                      struct retry *retry, struct err *e)
{
    static const int flags = CLOUD_IDEMPOTENT | CLOUD_ANY_STATUS | CLOUD_ONE_TRY | CLOUD_NO_QUOTA;
    bool sent = cloud_call(c, q, flags, r, e);

    if (sent && r->status / 100 != 2) {
        bool again = retry_wanted(retry, sent, r, e);
        return again ? retry_wait(retry) || err_set(e, ERR_CANCELLED, "interrupted") : cloud_explain(r, e);
    }
    if (ranged_take(g, sent, r, e))
        return true;
    if (g->moved)
        retry_progress(retry);
    if (g->refused || e->kind != ERR_TRANSIENT || !retry_again(retry))
        return false;
    return retry_wait(retry) || err_set(e, ERR_CANCELLED, "interrupted");
}

static bool read_range(struct cloud *c, const char *bucket, const char *name, struct ranged *g,
                       const volatile sig_atomic_t *stop, struct err *e)
{
    struct retry retry = retry_start(cloud_retry(c), cloud_http(c), stop);
    struct err unheard = {0};
    struct http_reply r;
    struct url u;
    bool ok;

    url_start(&u, c);
    url_literal(&u, "/download/storage/v1/b/");
    url_name(&u, bucket);
    url_literal(&u, "/o/");
    url_name(&u, name);
    url_literal(&u, "?alt=media");
    if (g->generation > 0)
        url_number(&u, "&generation=", g->generation);
    /* Whoever takes gzip gets an object that was stored with Content-Encoding: gzip as its bytes are, in
     * ranges; else it is unpacked on the way, and ranges are ignored. Nothing here unpacks. */
    struct http_request q = {
        .method = "GET", .url = u.text, .stop = stop, .headers = {{"Accept-Encoding", "gzip"}}};
    e = e ? e : &unheard;
    ok = url_ready(&u, e);
    while (ok && ranged_wanted(g, &q, &r))
        ok = read_some(c, &q, g, &r, &retry, e);
    if (!ok && retry.tries > 1)
        err_wrap(e, "after %d tries", retry.tries);
    url_end(&u);
    return ok || err_wrap(e, "gs://%s/%s", bucket, name);
}

bool storage_read(struct cloud *c, const char *bucket, const char *name, int64_t generation, uint64_t offset,
                  size_t size, void *into, const volatile sig_atomic_t *stop, struct err *e)
{
    struct ranged g = {.offset = offset, .size = size, .generation = generation, .into = into};
    return read_range(c, bucket, name, &g, stop, e);
}

bool storage_pour(struct cloud *c, const char *bucket, const char *name, int64_t generation, uint64_t offset,
                  uint64_t size, http_data_fn take, void *arg, const volatile sig_atomic_t *stop,
                  struct err *e)
{
    struct ranged g = {.offset = offset, .size = size, .generation = generation, .take = take, .arg = arg};
    return read_range(c, bucket, name, &g, stop, e);
}
