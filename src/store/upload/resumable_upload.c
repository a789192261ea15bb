/* A large object through a resumable session: parts in order, by one thread. The last part makes the object
 * appear, so it waits for the seal, which sends it with the crc32c of the whole for Cloud Storage to check.
 */
#include "cloud/storage.h"
#include "store/place/object_name.h"
#include "store/upload/appeared.h"
#include "store/upload/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSION_BYTES = 64 << 10 };

struct resumable_upload {
    struct upload u;
    struct cloud *cloud;
    const char *bucket; /* the store's */
    struct arena *arena;
    const char *session; /* NULL: none, an empty object */
    uint64_t held;       /* bytes that the session has */
    bool done;           /* an earlier run has sent the last part: the object is compared, nothing is sent */
    const void *last;    /* the caller's, until the seal */
};

static const struct upload_kind kind;

/* The part's bytes from what is not there yet. A session holds whole units; what it has already it passes
 * over. */
static bool send_rest(struct resumable_upload *r, int part, const void *bytes, uint32_t crc32c,
                      const volatile sig_atomic_t *stop, struct err *e)
{
    uint64_t begin = (uint64_t)part * r->u.spec.part_size, end = begin + upload_part_bytes(&r->u, part);
    uint64_t from = r->held > begin ? r->held - r->held % RESUMABLE_UNIT : begin;
    if (from < begin)
        from = begin;
    if (!resumable_send(r->cloud, r->session, from, (const char *)bytes + (from - begin),
                        (size_t)(end - from), r->u.spec.size, crc32c, stop, e))
        return err_wrap(e, "gs://%s/%s", r->bucket, r->u.spec.name);
    r->held = end;
    return true;
}

static bool is_last(const struct upload *u, int part)
{
    return u->spec.size != UPLOAD_SIZE_UNKNOWN && part == upload_count(u) - 1;
}

static bool put_part(struct upload *u, int part, const void *bytes, size_t size,
                     const volatile sig_atomic_t *stop, struct err *e)
{
    struct resumable_upload *r = (struct resumable_upload *)u;
    uint64_t begin = (uint64_t)part * u->spec.part_size;
    if (r->done)
        return true;
    if (begin > r->held)
        return err_set(e, ERR_USAGE, "gs://%s/%s: part %d before its turn", r->bucket, u->spec.name, part);
    if (is_last(u, part))
        r->last = bytes;
    else if (begin + size > r->held && !send_rest(r, part, bytes, 0, stop, e))
        return false;
    return upload_mark_part(u, part, 0, e);
}

static bool print_token(const struct upload *u, char out[UPLOAD_TOKEN_BYTES])
{
    const struct resumable_upload *r = (const struct resumable_upload *)u;
    int n = snprintf(out, UPLOAD_TOKEN_BYTES, RESUMABLE_TOKEN "%s", r->session ? r->session : "");
    if (n < UPLOAD_TOKEN_BYTES)
        return true;
    *out = 0;
    return false;
}

/* --- sealing --- */

static bool seal_empty(struct resumable_upload *r, struct arena *a, struct entry *out, struct err *e)
{
    struct err ignored = {0};
    if (r->session) /* begun before it was known that nothing would come */
        (void)!resumable_cancel(r->cloud, r->session, &ignored);
    return object_put_empty(r->cloud, r->bucket, &r->u.spec, a, out, e);
}

static bool seal(struct upload *u, uint32_t crc32c, struct arena *a, struct entry *out, struct err *e)
{
    struct resumable_upload *r = (struct resumable_upload *)u;
    if (u->spec.size == 0)
        return seal_empty(r, a, out, e);
    if (!r->done && !send_rest(r, upload_count(u) - 1, r->last, crc32c, NULL, e))
        return false;
    return object_appeared(r->cloud, r->bucket, &u->spec, crc32c, !r->done, a, out, e);
}

/* --- beginning --- */

static bool check_parts(const struct resumable_upload *r, struct err *e)
{
    const struct upload_spec *spec = &r->u.spec;
    return spec->size <= spec->part_size || spec->part_size % RESUMABLE_UNIT == 0 ||
           err_set(e, ERR_USAGE, "gs://%s/%s: parts of %llu bytes, expected a multiple of %d", r->bucket,
                   spec->name, (unsigned long long)spec->part_size, RESUMABLE_UNIT);
}

static bool begin_new(struct resumable_upload *r, struct err *e)
{
    const struct upload_spec *spec = &r->u.spec;
    uint64_t total = spec->size == UPLOAD_SIZE_UNKNOWN ? RESUMABLE_UNKNOWN : spec->size;
    if (spec->size == 0)
        return true;
    r->session = resumable_begin(r->cloud, r->bucket, spec->name, object_content_type(spec->name), total,
                                 spec->if_generation, r->arena, e);
    return r->session != NULL;
}

static bool mark_held(struct resumable_upload *r, struct err *e)
{
    for (int i = 0; i + 1 < upload_count(&r->u); i++)
        if ((uint64_t)(i + 1) * r->u.spec.part_size <= r->held && !upload_mark_part(&r->u, i, 0, e))
            return false;
    return true;
}

static bool begin_again(struct resumable_upload *r, const char *token, struct err *e)
{
    size_t n = strlen(RESUMABLE_TOKEN);
    if (strncmp(token, RESUMABLE_TOKEN, n) != 0 || r->u.spec.size == UPLOAD_SIZE_UNKNOWN)
        return err_set(e, ERR_NOT_FOUND, "gs://%s/%s: not the token of an upload to a bucket", r->bucket,
                       r->u.spec.name);
    if (r->u.spec.size == 0)
        return true;
    r->session = arena_strndup(r->arena, token + n, strlen(token + n));
    if (!r->session)
        return err_set(e, ERR_MEMORY, "gs://%s/%s: no memory for an upload", r->bucket, r->u.spec.name);
    if (!resumable_held(r->cloud, r->session, r->u.spec.size, &r->held, &r->done, e))
        return err_wrap(e, "gs://%s/%s", r->bucket, r->u.spec.name);
    return r->done ? upload_mark_all(&r->u, e) : mark_held(r, e);
}

/* --- end --- */

static bool forget(struct upload *u, struct err *e)
{
    struct resumable_upload *r = (struct resumable_upload *)u;
    return r->done || !r->session || resumable_cancel(r->cloud, r->session, e);
}

static void resumable_free(struct upload *u)
{
    arena_free(((struct resumable_upload *)u)->arena);
    upload_clear(u);
}

static const struct upload_kind kind = {.ordered = true,
                                        .token = print_token,
                                        .part = put_part,
                                        .seal = seal,
                                        .abort = forget,
                                        .free = resumable_free};

struct upload *resumable_upload_begin(struct cloud *c, const char *bucket, const struct upload_spec *spec,
                                      const char *resume, struct err *e)
{
    struct resumable_upload *r = upload_new(&kind, sizeof *r, spec, e);
    if (!r)
        return NULL;
    r->cloud = c;
    r->bucket = bucket;
    if (!(r->arena = arena_new(SESSION_BYTES)))
        err_set(e, ERR_MEMORY, "gs://%s/%s: no memory for an upload", bucket, spec->name);
    else if (check_parts(r, e) && (resume ? begin_again(r, resume, e) : begin_new(r, e)))
        return &r->u;
    resumable_free(&r->u);
    return NULL;
}
