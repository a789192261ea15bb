/* storage_upload.c: uploads of the JSON API: in one request (media, multipart/related) and resumable. */
#include "hash.h"
#include "storage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { UNIT = 256 << 10, HEAD_ROOM = 64 << 10, SESSION_WAIT_MS = 10000 };

static bool upload_type_is(const struct exchange *x, const char *type)
{
    const char *given = argument(x, "uploadType");
    return given && !strcmp(given, type);
}

void begin_upload(struct exchange *x)
{
    if (!authorized_json(x))
        return;
    if (upload_type_is(x, "multipart") || upload_type_is(x, "media"))
        body_to_blob(x);
    else if (!upload_type_is(x, "resumable"))
        fail_json(x, 400, "invalid", "Upload requests must include an uploadType.");
}

/* ---- the object at the end of each way ---- */

/* What was said of an object before its bytes. */
struct plan {
    const char *bucket, *name;
    const json_t *resource;
    struct preconditions conditions;
};

/* Hashing does not keep others waiting: the lock is let go meanwhile. NULL: answered. */
static struct object *seal_locked(struct exchange *x, const struct plan *p, struct blob *b, uint64_t offset,
                                  uint64_t size)
{
    struct world *w = x->service->world;
    blob_hold_locked(b);
    world_unlock(w);
    uint32_t crc;
    unsigned char md5[MD5_BYTES];
    int fd = blob_open(w, b, O_RDONLY);
    bool hashed = hash_file(fd, offset, size, &(struct file_hashes){.crc32c = &crc, .md5 = md5});
    close(fd);
    world_lock(w);
    struct bucket *bucket = bucket_find_locked(w, p->bucket);
    json_t *fields = object_fields(p->resource);
    struct object *o = object_new(p->bucket, p->name, fields);
    json_decref(fields);
    object_add_segment_locked(o, b, offset, size);
    blob_drop_locked(w, b);
    o->crc32c = crc;
    o->has_md5 = hashed;
    memcpy(o->md5, md5, sizeof md5);
    if (hashed && bucket && hashes_match(x, o, p->resource, false) &&
        preconditions_hold(x, &p->conditions, object_find_locked(w, p->bucket, p->name))) {
        object_publish_locked(w, bucket, o);
        return o;
    }
    object_drop_locked(w, o);
    return NULL;
}

static bool check_plan_locked(struct exchange *x, const struct plan *p)
{
    struct world *w = x->service->world;
    if (!p->resource)
        fail_json(x, 400, "parseError", "Parse Error");
    else if (!bucket_find_locked(w, p->bucket))
        fail_json(x, 404, "notFound", "The specified bucket does not exist.");
    else if (!p->name || !*p->name)
        fail_json(x, 400, "required", "Required");
    else if (strlen(p->name) > 1024)
        fail_json(x, 400, "invalid", "The object name is too long (1024 bytes at most).");
    else
        return preconditions_hold(x, &p->conditions, object_find_locked(w, p->bucket, p->name));
    return false;
}

static struct plan plan_of(struct exchange *x, const json_t *resource)
{
    const char *name = argument(x, "name");
    return (struct plan){.bucket = x->captures[0],
                         .name = name ? name : json_string_value(json_object_get(resource, "name")),
                         .resource = resource,
                         .conditions = preconditions_of(x, "if")};
}

/* ---- one request ---- */

static void publish(struct exchange *x, const json_t *resource, uint64_t offset, uint64_t size)
{
    struct world *w = x->service->world;
    struct plan p = plan_of(x, resource);
    world_lock(w);
    struct object *o = check_plan_locked(x, &p) ? seal_locked(x, &p, x->body.blob, offset, size) : NULL;
    if (o)
        answer_json(x, 200, object_resource(x, o));
    world_unlock(w);
}

static void finish_media(struct exchange *x)
{
    const char *type = request_header(x, "Content-Type");
    json_t *resource = json_pack("{s:s}", "contentType", type ? type : "application/octet-stream");
    publish(x, resource, 0, x->body.taken);
    json_decref(resource);
}

/* The boundary parameter, quoted or not (gcloud quotes it with '). NULL: none. */
static const char *boundary_of(struct exchange *x)
{
    const char *type = request_header(x, "Content-Type");
    const char *at = type && !strncasecmp(type, "multipart/related", 17) ? strstr(type, "boundary=") : NULL;
    if (!at)
        return NULL;
    at += 9;
    char quote = *at == '"' || *at == '\'' ? *at++ : 0;
    size_t size = quote ? strcspn(at, (char[]){quote, 0}) : strcspn(at, "; ");
    return arena_printf(x->arena, "--%.*s", (int)size, at);
}

/* Past the empty line that ends a part's headers; NULL: there is none. Lines end with CRLF or LF alone. */
static const char *skip_headers(const char *at)
{
    const char *crlf = strstr(at, "\r\n\r\n"), *lf = strstr(at, "\n\n");
    if (crlf && (!lf || crlf < lf))
        return crlf + 4;
    return lf ? lf + 2 : NULL;
}

/* Where the last delimiter begins, with the line end before it; 0: nowhere. */
static uint64_t find_end(const struct exchange *x, int fd, const char *boundary)
{
    char tail[600];
    size_t want = strlen(boundary) + 8, size = x->body.taken < want ? (size_t)x->body.taken : want;
    if (want > sizeof tail || pread(fd, tail, size, (off_t)(x->body.taken - size)) != (ssize_t)size)
        return 0;
    for (size_t i = size; i-- > 0;)
        if (size - i >= strlen(boundary) && !memcmp(tail + i, boundary, strlen(boundary))) {
            if (i && tail[i - 1] == '\n')
                i--;
            if (i && tail[i - 1] == '\r')
                i--;
            return x->body.taken - size + i;
        }
    return 0;
}

/* The JSON part and where the bytes of the second lie. NULL: not of that form. */
static json_t *read_multipart(struct exchange *x, uint64_t *offset, uint64_t *size)
{
    const char *boundary = boundary_of(x);
    int fd = blob_open(x->service->world, x->body.blob, O_RDONLY);
    char *head = arena_alloc(x->arena, HEAD_ROOM + 1, 1);
    ssize_t n = boundary ? pread(fd, head, HEAD_ROOM, 0) : -1;
    uint64_t end = n > 0 ? find_end(x, fd, boundary) : 0;
    close(fd);
    const char *json = n > 0 ? skip_headers(head) : NULL;
    const char *second = json ? strstr(json, boundary) : NULL;
    const char *bytes = second ? skip_headers(second) : NULL;
    if (!bytes || end < (uint64_t)(bytes - head))
        return NULL;
    *offset = (uint64_t)(bytes - head);
    *size = end - *offset;
    return json_loadb(json, (size_t)(second - json), JSON_REJECT_DUPLICATES, NULL);
}

static void finish_multipart(struct exchange *x)
{
    uint64_t offset = 0, size = 0;
    struct err e = {0};
    x->json = read_multipart(x, &offset, &size);
    if (!x->json)
        fail_json(x, 400, "badContent", "Malformed multipart body.");
    else if (!api_check_json(&x->call, x->json, &e))
        refuse_invalid(x, &e);
    else
        publish(x, x->json, offset, size);
}

/* ---- a resumable session begins ---- */

static void finish_resumable(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *resource = body_json(x);
    struct plan p = plan_of(x, resource);
    const char *type = request_header(x, "X-Upload-Content-Type"),
               *size = request_header(x, "X-Upload-Content-Length");
    if (resource && type && !json_object_get(resource, "contentType"))
        json_object_set_new(resource, "contentType", json_string(type));
    world_lock(w);
    if (check_plan_locked(x, &p)) {
        json_t *head = json_pack("{s:s,s:s,s:O,s:o,s:I}", "bucket", p.bucket, "name", p.name, "resource",
                                 resource, "conditions", preconditions_json(&p.conditions), "total",
                                 (json_int_t)(size ? strtoll(size, NULL, 10) : -1));
        struct session *s = session_new_locked(w, head);
        answer_header(x, "X-GUploader-UploadID", "%s", s->id);
        answer_header(x, "Location", "%s%s?uploadType=resumable&name=%s&upload_id=%s", x->origin, x->path,
                      encode_percent(x->arena, p.name), s->id);
        answer_empty(x, 200);
    }
    world_unlock(w);
    json_decref(resource);
}

void finish_upload(struct exchange *x)
{
    if (upload_type_is(x, "multipart"))
        finish_multipart(x);
    else if (upload_type_is(x, "media"))
        finish_media(x);
    else
        finish_resumable(x);
}

/* ---- bytes for a session ---- */

/* "bytes a-b/total", "bytes a-b/" and "*", "bytes *" and "/total", "bytes" and the two stars; no header is
 * the whole. */
struct stretch {
    bool query; /* no bytes: how far is it? */
    uint64_t begin, size;
    int64_t total; /* -1: not known yet */
};

static bool read_stretch(const struct exchange *x, struct stretch *s)
{
    const char *text = request_header(x, "Content-Range"), *length = request_header(x, "Content-Length");
    unsigned long long begin, last;
    char total[32];
    *s = (struct stretch){.total = -1};
    if (!text) {
        s->size = length ? strtoull(length, NULL, 10) : 0;
        s->total = (int64_t)s->size;
        return length != NULL;
    }
    if (sscanf(text, "bytes */%31s", total) == 1) {
        s->query = true;
    } else if (sscanf(text, "bytes %llu-%llu/%31s", &begin, &last, total) == 3 && begin <= last) {
        s->begin = begin;
        s->size = last - begin + 1;
    } else {
        return false;
    }
    if (strcmp(total, "*") != 0)
        s->total = strtoll(total, NULL, 10);
    return s->total < 0 || s->query || s->begin + s->size <= (uint64_t)s->total;
}

/* The session, once no other request writes to it. Answers what is gone. */
static struct session *take_session_locked(struct exchange *x)
{
    struct world *w = x->service->world;
    const char *id = argument(x, "upload_id");
    struct session *s = id ? session_find_locked(w, id) : NULL;
    for (int ms = 0; s && s->busy && ms < SESSION_WAIT_MS; ms += 100)
        world_wait_locked(w, 100); /* a connection that broke is noticed soon */
    if (s && s->busy)
        fail_json(x, 503, "backendError", "Another request is writing to this session.");
    else if (!s || s->gone)
        fail_json(x, s ? s->gone : 404, "notFound", "The upload session is gone.");
    return x->answer.status ? NULL : s;
}

static void strike_session_locked(struct exchange *x, struct session *s)
{
    int gone = (int)fault_number(x->fault, "forget_session", 0);
    if (gone && !s->object)
        session_end_locked(x->service->world, s, NULL, gone);
    if (fault_is(x->fault, "empty_session") && s->blob) {
        int fd = blob_open(x->service->world, s->blob, O_WRONLY | O_TRUNC);
        close(fd);
        s->held = 0;
    }
}

static void receive_into_locked(struct exchange *x, struct session *s, const struct stretch *r)
{
    struct body *b = &x->body;
    s->busy = true;
    b->session = s;
    b->sink = SINK_SESSION;
    b->fd = blob_open(x->service->world, s->blob, O_WRONLY);
    b->at = s->held;
    b->skip = s->held - r->begin; /* bytes already stored are ignored when sent again */
}

void begin_session_put(struct exchange *x)
{
    struct world *w = x->service->world;
    struct stretch r;
    const char *id = argument(x, "upload_id");
    if (!id) {
        fail_json(x, 400, "required", "Required parameter: upload_id");
        return;
    }
    x->body.sink = SINK_NOTHING; /* for a question, and for bytes of a session that is done */
    world_lock(w);
    struct session *s = take_session_locked(x);
    if (s)
        strike_session_locked(x, s);
    if (s && s->gone)
        fail_json(x, s->gone, "notFound", "The upload session is gone.");
    else if (s && !read_stretch(x, &r))
        fail_json(x, 400, "invalid", "Failed to parse Content-Range header.");
    else if (s && !s->object && !r.query && r.begin > s->held)
        fail_json(x, 400, "invalid",
                  "Invalid request. According to the Content-Range header, the upload offset is %llu "
                  "byte(s), which "
                  "exceeds already uploaded size of %llu byte(s).",
                  (unsigned long long)r.begin, (unsigned long long)s->held);
    else if (s && !s->object && !r.query)
        receive_into_locked(x, s, &r);
    world_unlock(w);
}

static void answer_incomplete(struct exchange *x, const struct session *s)
{
    const char *no_308 = request_header(x, "X-GUploader-No-308");
    if (s->held)
        answer_header(x, "Range", "bytes=0-%llu", (unsigned long long)s->held - 1);
    answer_header(x, "X-GUploader-UploadID", "%s", s->id);
    if (no_308 && !strcmp(no_308, "yes")) {
        answer_header(x, "X-HTTP-Status-Code-Override", "308");
        answer_empty(x, 200);
        return;
    }
    answer_empty(x, 308);
}

static void seal_session_locked(struct exchange *x, struct session *s)
{
    struct world *w = x->service->world;
    int64_t promised = json_integer_value(json_object_get(s->head, "total"));
    struct plan p = {json_string_value(json_object_get(s->head, "bucket")),
                     json_string_value(json_object_get(s->head, "name")),
                     json_object_get(s->head, "resource"),
                     preconditions_from(json_object_get(s->head, "conditions"))};
    if (promised >= 0 && (uint64_t)promised != s->held) {
        fail_json(x, 400, "invalid", "X-Upload-Content-Length was %lld, but %llu bytes came.",
                  (long long)promised, (unsigned long long)s->held);
        return;
    }
    struct object *o = seal_locked(x, &p, s->blob, 0, s->held);
    if (!o)
        return;
    json_t *resource = object_resource(x, o);
    session_end_locked(w, s, resource, 0);
    answer_json(x, 200, resource);
}

static void take_stretch_locked(struct exchange *x, struct session *s, const struct stretch *r)
{
    bool last = r->total >= 0 && r->begin + r->size == (uint64_t)r->total;
    if (!last && !r->query && (r->begin + r->size) % UNIT) {
        x->body.at = s->held; /* none of it counts */
        fail_json(x, 400, "invalid", "Every chunk but the last must be a multiple of 262144 bytes.");
        return;
    }
    if (!r->query && x->body.at > s->held)
        s->held = x->body.at;
    if (r->total >= 0 && s->held == (uint64_t)r->total)
        seal_session_locked(x, s);
    else
        answer_incomplete(x, s);
}

void finish_session_put(struct exchange *x)
{
    struct world *w = x->service->world;
    struct stretch r;
    world_lock(w);
    struct session *s = x->body.session ? x->body.session : take_session_locked(x);
    if (s && s->object)
        answer_json(x, 200, json_deep_copy(s->object));
    else if (s && read_stretch(x, &r))
        take_stretch_locked(x, s, &r);
    world_unlock(w);
}

void begin_session_delete(struct exchange *x)
{
    if (!argument(x, "upload_id"))
        fail_json(x, 400, "required", "Required parameter: upload_id");
}

void finish_session_delete(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    struct session *s = take_session_locked(x);
    if (s && !s->object)
        session_end_locked(w, s, NULL, 499);
    world_unlock(w);
    answer_empty(x, 499);
}
