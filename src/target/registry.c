#include "target/registry.h"

#include "target/registry/problem.h"
#include "target/registry/upload.h"

#include <string.h>

enum { ARENA_BYTES = 16 << 20 };

static void tell(const struct push_options *o, const struct image_blob *b, enum push_state state)
{
    if (o->on_blob)
        o->on_blob(o->arg, b, state);
}

static bool push_blob(struct session *s, const struct image_blob *b, const struct push_options *o,
                      struct err *e)
{
    static const enum push_state states[] = {
        [UPLOAD_WAS_THERE] = PUSH_WAS_THERE, [UPLOAD_MOUNTED] = PUSH_MOUNTED, [UPLOAD_SENT] = PUSH_SENT};
    enum upload_way way;
    tell(o, b, PUSH_SENDING);
    if (!upload_blob(s, b, s->to->google ? 0 : o->chunk_bytes, &way, e))
        return err_wrap(e, "%s (%.19s…)", b->name, b->digest);
    tell(o, b, states[way]);
    return true;
}

/* --- the manifest --- */

static char *manifest_url(struct session *s, struct err *e)
{
    return session_url(s, e, "/manifests/%s", s->to->tag);
}

/* Whether the tag names this very image already. Who may not look may still push. */
static bool tag_is_ours(struct session *s, const struct image_blob *m, bool *ours, struct err *e)
{
    struct http_reply r;
    char digest[200];
    struct http_request q = {.method = "HEAD", .url = manifest_url(s, e), .accept = IMAGE_MANIFEST_TYPE};
    if (!q.url || !session_send(s, &q, 0, &r, e))
        return false;
    const char *is = http_header(&r, "docker-content-digest", digest, sizeof digest);
    *ours = r.status == 200 && is && strcmp(is, m->digest) == 0;
    return true;
}

static bool put_manifest(struct session *s, const struct image_blob *m, struct err *e)
{
    struct http_reply r;
    char digest[200];
    struct http_request q = {.method = "PUT",
                             .url = manifest_url(s, e),
                             .content_type = IMAGE_MANIFEST_TYPE,
                             .body = m->bytes,
                             .body_size = m->size};
    if (!q.url || !session_send(s, &q, 0, &r, e))
        return false;
    if (r.status / 100 != 2)
        return problem_explain(s, &r, e);
    const char *is = http_header(&r, "docker-content-digest", digest, sizeof digest);
    if (is && strcmp(is, m->digest) != 0)
        return err_set(e, ERR_CORRUPT, "the registry has stored %.80s instead of %s", is, m->digest);
    return true;
}

static bool push_manifest(struct session *s, const struct image_blob *m, const struct push_options *o,
                          struct err *e)
{
    bool ours;
    tell(o, m, PUSH_SENDING);
    if (!tag_is_ours(s, m, &ours, e) || (!ours && !put_manifest(s, m, e)))
        return err_wrap(e, "tag %s", s->to->tag);
    tell(o, m, ours ? PUSH_WAS_THERE : PUSH_SENT);
    return true;
}

/* --- the whole --- */

static bool push(struct session *s, const struct image *im, const struct push_options *o, struct err *e)
{
    for (int i = 0; i < IMAGE_LAYERS; i++) {
        if (!push_blob(s, &im->layers[i].blob, o, e))
            return false;
    }
    return push_blob(s, &im->config, o, e) && push_manifest(s, &im->manifest, o, e);
}

bool registry_push(struct cloud *c, const struct image *im, const struct push_options *o, struct err *e)
{
    struct session s = {.cloud = c,
                        .to = o->to,
                        .mount_from = o->mount_from,
                        .given = {o->user, o->password},
                        .policy = o->retry ? o->retry : &retry_default,
                        .stop = o->stop,
                        .arena = arena_new(ARENA_BYTES)};
    if (!s.arena)
        return err_set(e, ERR_MEMORY, "no memory");
    bool ok = push(&s, im, o, e) || err_wrap(e, "%s/%s", o->to->registry, o->to->repository);
    session_clear(&s);
    arena_free(s.arena);
    return ok;
}

/* --- what would be asked --- */

struct plan {
    struct push_request *out;
    int count, room;
    size_t chunk;
    struct session s;
    bool complete;
};

static void plan_request(struct plan *p, const char *method, const char *url, const char *type, uint64_t size)
{
    p->complete = p->complete && url && p->count < p->room;
    if (p->complete)
        p->out[p->count++] = (struct push_request){method, url, type, size};
}

static void plan_blob(struct plan *p, const struct image_blob *b)
{
    const char *from = p->s.mount_from;
    char *begin = from ? session_url(&p->s, NULL, "/blobs/uploads/?mount=%s&from=%s", b->digest, from)
                       : session_url(&p->s, NULL, "/blobs/uploads/");
    plan_request(p, "HEAD", session_url(&p->s, NULL, "/blobs/%s", b->digest), NULL, 0);
    plan_request(p, "POST", begin, NULL, 0);
    for (size_t at = 0; p->chunk && at < b->size; at += p->chunk)
        plan_request(p, "PATCH", session_url(&p->s, NULL, "/blobs/uploads/…"), UPLOAD_TYPE,
                     b->size - at < p->chunk ? b->size - at : p->chunk);
    plan_request(p, "PUT", session_url(&p->s, NULL, "/blobs/uploads/…?digest=%s", b->digest), UPLOAD_TYPE,
                 p->chunk ? 0 : b->size);
}

static int most_requests(const struct image *im, size_t chunk)
{
    enum { BLOBS = IMAGE_LAYERS + 1, EACH = 3, MANIFEST = 2 };
    return BLOBS * EACH + MANIFEST + (chunk ? (int)(image_size(im) / chunk) + BLOBS : 0);
}

const struct push_request *registry_plan(const struct image *im, const struct push_options *o,
                                         struct arena *a, int *count, struct err *e)
{
    size_t chunk = o->to->google ? 0 : o->chunk_bytes;
    struct plan p = {.room = most_requests(im, chunk),
                     .chunk = chunk,
                     .s = {.to = o->to, .mount_from = o->mount_from, .arena = a}};
    p.out = arena_alloc(a, (size_t)p.room, sizeof *p.out);
    p.complete = p.out != NULL;
    for (int i = 0; i < IMAGE_LAYERS; i++)
        plan_blob(&p, &im->layers[i].blob);
    plan_blob(&p, &im->config);
    plan_request(&p, "HEAD", manifest_url(&p.s, NULL), NULL, 0);
    plan_request(&p, "PUT", manifest_url(&p.s, NULL), IMAGE_MANIFEST_TYPE, im->manifest.size);
    *count = p.count;
    if (!p.complete)
        err_set(e, ERR_MEMORY, "no memory for the requests");
    return p.complete ? p.out : NULL;
}
