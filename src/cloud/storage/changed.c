/* changed.c: a small object again and again, of which mostly nothing but "still the same" is heard. */
#include "cloud/storage/request.h"

#include "base/crc32c.h"

#include <stdlib.h>
#include <string.h>

enum { CONNECT_SECONDS = 5, STALL_SECONDS = 10 };

static bool read_number(const struct http_reply *r, const char *name, uint64_t *out)
{
    char text[40], *end;
    if (!http_header(r, name, text, sizeof text) || *text < '0' || *text > '9')
        return false;
    *out = strtoull(text, &end, 10);
    return *end == 0;
}

static bool read_generation(const struct http_reply *r, struct storage_change *out, struct err *e)
{
    uint64_t generation;
    if (!read_number(r, "x-goog-generation", &generation) || generation == 0 || generation > INT64_MAX)
        return err_set(e, ERR_CORRUPT, "an answer that does not say which generation it is of");
    out->changed = true;
    out->generation = (int64_t)generation;
    return true;
}

/* X-Goog-Hash: crc32c=4waSgw==,md5=… */
static bool check_crc32c(const struct http_reply *r, const void *bytes, size_t size, struct err *e)
{
    char text[200];
    const char *found = http_header(r, "x-goog-hash", text, sizeof text) ? strstr(text, "crc32c=") : NULL;
    uint32_t told;
    if (!found || !crc32c_parse(found + 7, strcspn(found + 7, ","), &told) || told == crc32c(0, bytes, size))
        return true;
    return err_set(e, ERR_TRANSIENT, "its bytes changed on the way: crc32c %08x, expected %08x",
                   crc32c(0, bytes, size), told);
}

/* The body did not fit: what its head says has to do. */
static bool take_head(const struct http_reply *r, size_t room, struct storage_change *out, struct err *e)
{
    if (!read_number(r, "x-goog-stored-content-length", &out->size) || out->size <= room)
        out->size = (uint64_t)room + 1;
    return read_generation(r, out, e);
}

static bool ask(struct cloud *c, const struct http_request *q, struct storage_change *out, struct err *e)
{
    struct http_reply r;
    struct err problem = {0};
    if (!cloud_call(c, q, CLOUD_IDEMPOTENT | CLOUD_ANY_STATUS | CLOUD_NO_QUOTA, &r, &problem)) {
        if (problem.kind == ERR_LIMIT && r.status == 200)
            return take_head(&r, q->into_room, out, e);
        if (e)
            *e = problem;
        return false;
    }
    if (r.status == 304)
        return true;
    if (r.status != 200)
        return cloud_explain(&r, e);
    out->size = r.size;
    return read_generation(&r, out, e) && check_crc32c(&r, q->into, r.size, e);
}

bool storage_read_changed(struct cloud *c, const char *bucket, const char *name, int64_t known, void *into,
                          size_t room, const volatile sig_atomic_t *stop, struct storage_change *out,
                          struct err *e)
{
    struct url u;
    url_start(&u, c);
    url_literal(&u, "/download/storage/v1/b/");
    url_name(&u, bucket);
    url_literal(&u, "/o/");
    url_name(&u, name);
    url_literal(&u, "?alt=media");
    if (known > 0)
        url_number(&u, "&ifGenerationNotMatch=", known);
    struct http_request q = {.method = "GET",
                             .url = u.text,
                             .into = into,
                             .into_room = room,
                             .stop = stop,
                             .connect_seconds = CONNECT_SECONDS,
                             .stall_seconds = STALL_SECONDS,
                             .headers = {{"Accept-Encoding", "gzip"}}}; /* as it is stored: see read.c */
    *out = (struct storage_change){0};
    bool ok = url_ready(&u, e) && ask(c, &q, out, e);
    url_end(&u);
    return ok || err_wrap(e, "gs://%s/%s", bucket, name);
}
