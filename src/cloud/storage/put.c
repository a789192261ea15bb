/* put.c: a small object in one request. */
#include "cloud/storage/request.h"

#include "base/crc32c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BOUNDARY_ROOM = 40, FRAME_ROOM = 512 };

/* The body: metadata, bytes, and a boundary that does not occur in them. */
struct related {
    char boundary[BOUNDARY_ROOM];
    char *body;
    size_t size;
};

static bool choose_boundary(struct related *b, const void *bytes, size_t size, struct err *e)
{
    do {
        unsigned long long chance[2];
        if (getrandom(chance, sizeof chance, 0) != sizeof chance)
            return err_errno(e, "getrandom");
        snprintf(b->boundary, sizeof b->boundary, "ferry%016llx%016llx", chance[0], chance[1]);
    } while (size && memmem(bytes, size, b->boundary, strlen(b->boundary)));
    return true;
}

static const char *type_of(const struct storage_put *p)
{
    return p->content_type ? p->content_type : "application/octet-stream";
}

static bool assemble(struct related *b, const struct storage_put *p, const char *metadata, struct err *e)
{
    size_t room = p->size + strlen(metadata) + strlen(type_of(p)) + FRAME_ROOM;
    b->body = malloc(room);
    if (!b->body)
        return err_set(e, ERR_MEMORY, "no memory for an upload of %zu bytes", p->size);
    int head = snprintf(b->body, room,
                        "--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n%s\r\n"
                        "--%s\r\nContent-Type: %s\r\n\r\n",
                        b->boundary, metadata, b->boundary, type_of(p));
    b->size = (size_t)head;
    if (p->size)
        memcpy(b->body + b->size, p->bytes, p->size);
    b->size += p->size;
    b->size += (size_t)snprintf(b->body + b->size, room - b->size, "\r\n--%s--\r\n", b->boundary);
    return true;
}

/* With the checksum in it Cloud Storage refuses bytes that changed on the way. */
static char *describe(const struct storage_put *p, uint32_t crc)
{
    char text[CRC32C_TEXT];
    crc32c_print(crc, text);
    json_t *json = json_pack("{s:s, s:s, s:s, s:s}", "bucket", p->bucket, "name", p->name, "contentType",
                             type_of(p), "crc32c", text);
    char *out = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return out;
}

static json_t *send_put(struct cloud *c, const struct storage_put *p, const struct related *b,
                        struct http_reply *r, int *tries, struct err *e)
{
    struct url u;
    char type[BOUNDARY_ROOM + 40];
    snprintf(type, sizeof type, "multipart/related; boundary=%s", b->boundary);
    url_start(&u, c);
    url_literal(&u, "/upload/storage/v1/b/");
    url_name(&u, p->bucket);
    url_literal(&u, "/o?uploadType=multipart&projection=noAcl");
    url_generation(&u, '&', p->if_generation);
    struct http_request q = {.method = "POST",
                             .url = u.text,
                             .content_type = type,
                             .accept = "application/json",
                             .body = b->body,
                             .body_size = b->size};
    /* Idempotent: the same bytes to the same name. */
    json_t *json =
        url_ready(&u, e) ? cloud_json_counted(c, &q, CLOUD_IDEMPOTENT | CLOUD_NO_QUOTA, r, tries, e) : NULL;
    url_end(&u);
    return json;
}

/* After a try whose answer was lost, the precondition fails on our own object. */
static bool is_ours(struct cloud *c, const struct storage_put *p, uint32_t crc, struct arena *a,
                    struct object *out)
{
    struct err ignored = {0};
    return storage_stat(c, p->bucket, p->name, a, out, &ignored) && out->size == p->size && out->has_crc32c &&
           out->crc32c == crc;
}

static bool check_object(const struct object *o, const struct storage_put *p, uint32_t crc, struct err *e)
{
    if (o->size != p->size)
        return err_set(e, ERR_CORRUPT, "%zu bytes were sent and %llu are there", p->size,
                       (unsigned long long)o->size);
    if (o->has_crc32c && o->crc32c != crc)
        return err_set(e, ERR_CORRUPT, "crc32c %08x was sent and %08x is there", crc, o->crc32c);
    return true;
}

/* Bytes that changed on the way go once more. */
static json_t *send_again(struct cloud *c, const struct storage_put *p, const struct related *b,
                          struct http_reply *r, int *tries, struct err *e)
{
    struct err first = {0};
    json_t *json = send_put(c, p, b, r, tries, &first);
    if (!json && first.kind == ERR_CORRUPT)
        return send_put(c, p, b, r, tries, e);
    if (!json && e)
        *e = first;
    return json;
}

static bool put(struct cloud *c, const struct storage_put *p, const struct related *b, uint32_t crc,
                struct arena *a, struct object *out, struct err *e)
{
    struct http_reply r = {0};
    int tries = 0;
    json_t *json = send_again(c, p, b, &r, &tries, e);
    bool ok = json && object_keep(json, a, out, e) && check_object(out, p, crc, e);
    json_decref(json);
    if (!ok && r.status == 412 && tries > 1)
        ok = is_ours(c, p, crc, a, out);
    return ok;
}

bool storage_put(struct cloud *c, const struct storage_put *p, struct arena *a, struct object *out,
                 struct err *e)
{
    struct related b = {.body = NULL};
    struct object mine;
    struct arena *own = out ? NULL : arena_new(SCRATCH_BYTES); /* who wants no object may have no arena */
    uint32_t crc = crc32c(0, p->bytes, p->size);
    char *metadata = p->name[0] ? describe(p, crc) : NULL;
    bool ok = false;

    if (!p->name[0])
        err_set(e, ERR_USAGE, "an object without a name");
    else if (!metadata || (!out && !own))
        err_set(e, ERR_USAGE, "the name is not UTF-8, or no memory is left");
    else
        ok = choose_boundary(&b, p->bytes, p->size, e) && assemble(&b, p, metadata, e) &&
             put(c, p, &b, crc, out ? a : own, out ? out : &mine, e);
    free(metadata);
    free(b.body);
    arena_free(own);
    return ok || err_wrap(e, "gs://%s/%s", p->bucket, p->name);
}
