/* A large object in parts that any thread sends in any order (XML multipart).
 *
 * A precondition is looked at when the upload begins and again before it is sealed: the XML calls know none.
 * A run that was killed while it sealed leaves no upload but perhaps the object: when something newer than at
 * the beginning stands there, a resumed upload counts every part as there, and its seal compares. */
#include "cloud/storage.h"
#include "store/place/object_name.h"
#include "store/upload/appeared.h"
#include "store/upload/upload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN "multipart:"

enum { LIST_BYTES = 4 << 20 };

struct multipart_upload {
    struct upload u;
    struct cloud *cloud;
    const char *bucket; /* the store's */
    struct arena *arena;
    const char *id;        /* NULL: none, an empty object */
    struct part_tag *tags; /* [count]; each written by who sends that part */
    int64_t before;        /* generation of what stood there when it began; 0: nothing */
    bool whole;            /* an earlier seal may have worked: the object is compared, nothing is sent */
};

static const struct upload_kind kind;

static bool put_part(struct upload *u, int part, const void *bytes, size_t size,
                     const volatile sig_atomic_t *stop, struct err *e)
{
    struct multipart_upload *m = (struct multipart_upload *)u;
    if (m->whole)
        return true;
    if (part >= MULTIPART_MAX_PARTS)
        return err_set(e, ERR_LIMIT, "gs://%s/%s: more than %d parts", m->bucket, u->spec.name,
                       MULTIPART_MAX_PARTS);
    return multipart_part(m->cloud, m->bucket, u->spec.name, m->id, part + 1, bytes, size, stop,
                          &m->tags[part], e) &&
           upload_mark_part(u, part, 0, e);
}

static bool print_token(const struct upload *u, char out[UPLOAD_TOKEN_BYTES])
{
    const struct multipart_upload *m = (const struct multipart_upload *)u;
    int n = snprintf(out, UPLOAD_TOKEN_BYTES, TOKEN "%" PRId64 ":%s", m->before, m->id ? m->id : "");
    if (n < UPLOAD_TOKEN_BYTES)
        return true;
    *out = 0;
    return false;
}

/* --- sealing --- */

static bool seal_empty(struct multipart_upload *m, struct arena *a, struct entry *out, struct err *e)
{
    struct err ignored = {0};
    if (m->id) /* begun before it was known that nothing would come */
        (void)!multipart_abort(m->cloud, m->bucket, m->u.spec.name, m->id, &ignored);
    return object_put_empty(m->cloud, m->bucket, &m->u.spec, a, out, e);
}

static bool seal(struct upload *u, uint32_t crc32c, struct arena *a, struct entry *out, struct err *e)
{
    struct multipart_upload *m = (struct multipart_upload *)u;
    int64_t now;
    if (m->whole)
        return object_appeared(m->cloud, m->bucket, &u->spec, crc32c, false, a, out, e);
    if (u->spec.size == 0)
        return seal_empty(m, a, out, e);
    return object_before(m->cloud, m->bucket, &u->spec, &now, e) &&
           multipart_seal(m->cloud, m->bucket, u->spec.name, m->id, m->tags, upload_count(u), e) &&
           object_appeared(m->cloud, m->bucket, &u->spec, crc32c, true, a, out, e);
}

/* --- beginning --- */

static bool begin_new(struct multipart_upload *m, struct err *e)
{
    const struct upload_spec *spec = &m->u.spec;
    if (!object_before(m->cloud, m->bucket, spec, &m->before, e))
        return false;
    if (spec->size == 0)
        return true;
    m->id = multipart_begin(m->cloud, m->bucket, spec->name, object_content_type(spec->name), m->arena, e);
    return m->id != NULL;
}

static bool read_token(struct multipart_upload *m, const char *token)
{
    int end = 0;
    if (sscanf(token, TOKEN "%" SCNd64 ":%n", &m->before, &end) != 1 || end == 0 ||
        m->u.spec.size == UPLOAD_SIZE_UNKNOWN)
        return false;
    m->id = arena_strndup(m->arena, token + end, strlen(token + end));
    return m->id != NULL;
}

/* Parts as long as they have to be count; others are sent again. */
static bool take_parts(struct multipart_upload *m, const struct part_tag *tags, int count, struct err *e)
{
    for (int i = 0; i < count; i++) {
        int part = tags[i].number - 1;
        if (part < 0 || part >= upload_count(&m->u) || tags[i].size != upload_part_bytes(&m->u, part))
            continue;
        m->tags[part] = tags[i];
        if (!upload_mark_part(&m->u, part, 0, e))
            return false;
    }
    return true;
}

static bool look_for_object(struct multipart_upload *m, struct err *e)
{
    struct upload_spec any = m->u.spec;
    int64_t now;
    any.if_generation = STORAGE_ANY_GENERATION;
    if (!object_before(m->cloud, m->bucket, &any, &now, e))
        return false;
    if (now == 0 || now == m->before)
        return err_set(e, ERR_NOT_FOUND, "gs://%s/%s: what an earlier run sent is gone", m->bucket, any.name);
    m->whole = true;
    return upload_mark_all(&m->u, e);
}

static bool begin_again(struct multipart_upload *m, const char *token, struct err *e)
{
    const char *name = m->u.spec.name;
    struct err problem = {0};
    struct part_tag *tags;
    int count;
    if (!read_token(m, token))
        return err_set(e, ERR_NOT_FOUND, "gs://%s/%s: not the token of an upload to a bucket", m->bucket,
                       name);
    if (m->u.spec.size == 0)
        return true;
    if (multipart_list(m->cloud, m->bucket, name, m->id, m->arena, &tags, &count, &problem))
        return take_parts(m, tags, count, e);
    if (problem.kind == ERR_NOT_FOUND)
        return look_for_object(m, e);
    if (e)
        *e = problem;
    return false;
}

/* --- end --- */

static bool forget(struct upload *u, struct err *e)
{
    struct multipart_upload *m = (struct multipart_upload *)u;
    return m->whole || !m->id || multipart_abort(m->cloud, m->bucket, u->spec.name, m->id, e);
}

static void multipart_free(struct upload *u)
{
    struct multipart_upload *m = (struct multipart_upload *)u;
    free(m->tags);
    arena_free(m->arena);
    upload_clear(u);
}

static const struct upload_kind kind = {
    .token = print_token, .part = put_part, .seal = seal, .abort = forget, .free = multipart_free};

static bool take_memory(struct multipart_upload *m, struct err *e)
{
    const struct upload_spec *spec = &m->u.spec;
    int count = upload_count(&m->u);
    if (spec->size != UPLOAD_SIZE_UNKNOWN && count > MULTIPART_MAX_PARTS)
        return err_set(e, ERR_LIMIT, "gs://%s/%s: %d parts, Cloud Storage takes at most %d", m->bucket,
                       spec->name, count, MULTIPART_MAX_PARTS);
    m->tags = calloc(MULTIPART_MAX_PARTS, sizeof *m->tags); /* touched as far as used */
    m->arena = arena_new(LIST_BYTES);
    return (m->tags && m->arena) ||
           err_set(e, ERR_MEMORY, "gs://%s/%s: no memory for an upload", m->bucket, spec->name);
}

struct upload *multipart_upload_begin(struct cloud *c, const char *bucket, const struct upload_spec *spec,
                                      const char *resume, struct err *e)
{
    struct multipart_upload *m = upload_new(&kind, sizeof *m, spec, e);
    if (!m)
        return NULL;
    m->cloud = c;
    m->bucket = bucket;
    if (take_memory(m, e) && (resume ? begin_again(m, resume, e) : begin_new(m, e)))
        return &m->u;
    multipart_free(&m->u);
    return NULL;
}
