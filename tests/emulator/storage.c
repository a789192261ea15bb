#include "storage.h"

#include "hash.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- who asks ---- */

static bool token_is_good(const struct exchange *x)
{
    const char *token = bearer_token(x);
    return token && token_good(x->service->tokens, token, service_now_us(x->service));
}

bool authorized_json(struct exchange *x)
{
    if (token_is_good(x))
        return true;
    if (bearer_token(x))
        fail_json(x, 401, "authError", "Invalid Credentials");
    else
        fail_json(x, 401, "required",
                  "Anonymous caller does not have storage access to the Google Cloud Storage "
                  "resource. Permission denied on resource (or it may not exist).");
    return false;
}

bool authorized_xml(struct exchange *x)
{
    if (token_is_good(x))
        return true;
    if (bearer_token(x))
        fail_xml(x, 401, "AuthenticationRequired", "Authentication required.");
    else
        fail_xml(x, 401, "AccessDenied", "Access denied. Anonymous caller does not have storage access.");
    return false;
}

/* ---- an object as the JSON API tells it ---- */

static const char *const kept_fields[] = {"contentType",     "cacheControl", "contentDisposition",
                                          "contentEncoding", "customTime",   "contentLanguage",
                                          "storageClass",    "metadata"};

json_t *object_fields(const json_t *resource)
{
    json_t *fields = json_object();
    for (size_t i = 0; i < sizeof kept_fields / sizeof *kept_fields; i++) {
        json_t *value = json_object_get(resource, kept_fields[i]);
        if (value)
            json_object_set(fields, kept_fields[i], value);
    }
    return fields;
}

const char *object_content_type(const struct object *o)
{
    const char *type = json_string_value(json_object_get(o->fields, "contentType"));
    return type ? type : "application/octet-stream";
}

const char *object_etag(struct exchange *x, const struct object *o)
{
    char text[BASE64_ROOM(16)];
    int64_t both[2] = {o->generation, o->metageneration};
    base64_encode(both, sizeof both, text);
    return arena_strndup(x->arena, text, strlen(text));
}

static void set_text(json_t *j, const char *key, const char *value)
{
    json_object_set_new(j, key, json_string(value));
}

static void set_number_text(struct exchange *x, json_t *j, const char *key, int64_t value)
{
    set_text(j, key, arena_printf(x->arena, "%lld", (long long)value));
}

json_t *object_resource(struct exchange *x, const struct object *o)
{
    char text[BASE64_ROOM(16)];
    const char *name = encode_percent(x->arena, o->name), *created = time_text(x->arena, o->created_us);
    json_t *j = json_deep_copy(o->fields);
    set_text(j, "kind", "storage#object");
    set_text(j, "id", arena_printf(x->arena, "%s/%s/%lld", o->bucket, o->name, (long long)o->generation));
    set_text(j, "selfLink", arena_printf(x->arena, "%s/storage/v1/b/%s/o/%s", x->origin, o->bucket, name));
    set_text(j, "mediaLink",
             arena_printf(x->arena, "%s/download/storage/v1/b/%s/o/%s?generation=%lld&alt=media", x->origin,
                          o->bucket, name, (long long)o->generation));
    set_text(j, "name", o->name);
    set_text(j, "bucket", o->bucket);
    set_number_text(x, j, "generation", o->generation);
    set_number_text(x, j, "metageneration", o->metageneration);
    if (!json_object_get(j, "storageClass"))
        set_text(j, "storageClass", "STANDARD");
    set_number_text(x, j, "size", (int64_t)o->size);
    base64_crc32c(o->crc32c, text);
    set_text(j, "crc32c", text);
    if (o->has_md5) {
        base64_encode(o->md5, sizeof o->md5, text);
        set_text(j, "md5Hash", text);
    }
    if (o->components)
        json_object_set_new(j, "componentCount", json_integer(o->components));
    set_text(j, "etag", object_etag(x, o));
    set_text(j, "timeCreated", created);
    set_text(j, "timeStorageClassUpdated", created);
    set_text(j, "updated", time_text(x->arena, o->updated_us));
    return j;
}

/* ---- preconditions ---- */

static const char *const conditions[] = {"GenerationMatch", "GenerationNotMatch", "MetagenerationMatch",
                                         "MetagenerationNotMatch"};

struct preconditions preconditions_of(const struct exchange *x, const char *prefix)
{
    struct preconditions p = {0};
    for (int i = 0; i < 4; i++)
        p.has[i] = argument_number(x, arena_printf(x->arena, "%s%s", prefix, conditions[i]), &p.value[i]);
    return p;
}

json_t *preconditions_json(const struct preconditions *p)
{
    json_t *j = json_object();
    for (int i = 0; i < 4; i++)
        if (p->has[i])
            json_object_set_new(j, conditions[i], json_integer(p->value[i]));
    return j;
}

struct preconditions preconditions_from(const json_t *j)
{
    struct preconditions p = {0};
    for (int i = 0; i < 4; i++) {
        const json_t *n = json_object_get(j, conditions[i]);
        p.has[i] = n != NULL;
        p.value[i] = json_integer_value(n);
    }
    return p;
}

int preconditions_check(const struct preconditions *p, const struct object *o)
{
    int64_t generation = o ? o->generation : 0, metageneration = o ? o->metageneration : 0;
    if ((p->has[0] && p->value[0] != generation) || (p->has[2] && p->value[2] != metageneration))
        return 412;
    return (p->has[1] && p->value[1] == generation) || (p->has[3] && p->value[3] == metageneration) ? 304 : 0;
}

bool preconditions_hold(struct exchange *x, const struct preconditions *p, const struct object *o)
{
    switch (preconditions_check(p, o)) {
    case 412:
        fail_json(x, 412, "conditionNotMet",
                  "At least one of the pre-conditions you specified did not hold.");
        return false;
    case 304:
        answer_empty(x, 304);
        return false;
    default:
        return true;
    }
}

/* ---- bytes ---- */

static void object_headers(struct exchange *x, const struct object *o, bool xml)
{
    char crc[BASE64_ROOM(4)], md5[BASE64_ROOM(16)];
    base64_crc32c(o->crc32c, crc);
    answer_header(x, "x-goog-hash", "crc32c=%s", crc);
    if (o->has_md5) {
        base64_encode(o->md5, sizeof o->md5, md5);
        answer_header(x, "x-goog-hash", "md5=%s", md5);
    } else {
        answer_header(x, "x-goog-component-count", "%d", o->components);
    }
    answer_header(x, "x-goog-generation", "%lld", (long long)o->generation);
    answer_header(x, "x-goog-metageneration", "%lld", (long long)o->metageneration);
    answer_header(x, "x-goog-storage-class", "STANDARD");
    answer_header(x, "x-goog-stored-content-encoding", "identity");
    answer_header(x, "x-goog-stored-content-length", "%llu", (unsigned long long)o->size);
    answer_header(x, "ETag", xml ? "\"%s\"" : "%s", object_etag(x, o));
    answer_header(x, "Last-Modified", "%s", time_http(x->arena, o->updated_us / 1000000));
}

void answer_object_locked(struct exchange *x, struct object *o, bool xml)
{
    struct piece *pieces = arena_alloc(x->arena, (size_t)o->segment_count + 1, sizeof *pieces);
    for (int i = 0; i < o->segment_count; i++) {
        blob_path(x->service->world, o->segments[i].blob, pieces[i].path, sizeof pieces[i].path);
        pieces[i].offset = o->segments[i].offset;
        pieces[i].size = o->segments[i].size;
    }
    object_hold_locked(o);
    x->answer.object = o;
    object_headers(x, o, xml);
    answer_header(x, "Content-Type", "%s", object_content_type(o));
    answer_bytes(x, pieces, o->segment_count, o->size);
}

/* ---- checksums the client sends ---- */

static bool same_crc(const struct object *o, const char *text)
{
    char crc[BASE64_ROOM(4)];
    base64_crc32c(o->crc32c, crc);
    return !strncmp(text, crc, strlen(crc));
}

static bool same_md5(const struct object *o, const char *text)
{
    char md5[BASE64_ROOM(16)];
    base64_encode(o->md5, sizeof o->md5, md5);
    return !o->has_md5 || !strncmp(text, md5, strlen(md5));
}

bool hashes_match(struct exchange *x, const struct object *o, const json_t *resource, bool xml)
{
    const char *crc = json_string_value(json_object_get(resource, "crc32c"));
    const char *md5 = json_string_value(json_object_get(resource, "md5Hash"));
    const char *header = request_header(x, "X-Goog-Hash"), *content_md5 = request_header(x, "Content-MD5");
    const char *header_crc = header ? strstr(header, "crc32c=") : NULL;
    const char *header_md5 = header ? strstr(header, "md5=") : NULL;
    const char *wrong = NULL;
    if ((crc && !same_crc(o, crc)) || (header_crc && !same_crc(o, header_crc + 7)))
        wrong = "CRC32C";
    if ((md5 && !same_md5(o, md5)) || (header_md5 && !same_md5(o, header_md5 + 4)) ||
        (content_md5 && !same_md5(o, content_md5)))
        wrong = "MD5";
    if (wrong && xml)
        fail_xml(x, 400, "BadDigest", "The %s you specified did not match what we computed.", wrong);
    else if (wrong)
        fail_json(x, 400, "invalid", "Provided %s \"…\" doesn't match calculated %s \"…\".", wrong, wrong);
    return !wrong;
}

/* ---- faults ---- */

/* A blob with every byte of the object inverted: whoever mixes old and new bytes is found out. */
static struct blob *inverted_locked(struct exchange *x, const struct object *o)
{
    struct world *w = x->service->world;
    struct blob *b = blob_new_locked(w);
    int to = blob_open(w, b, O_WRONLY);
    char *buffer = malloc(1 << 20);
    for (int i = 0; buffer && i < o->segment_count; i++) {
        int from = blob_open(w, o->segments[i].blob, O_RDONLY);
        for (uint64_t at = 0; at < o->segments[i].size;) {
            uint64_t left = o->segments[i].size - at;
            ssize_t n = pread(from, buffer, left < 1 << 20 ? (size_t)left : 1 << 20,
                              (off_t)(o->segments[i].offset + at));
            for (ssize_t k = 0; k < n; k++)
                buffer[k] = (char)~buffer[k];
            if (n <= 0 || write(to, buffer, (size_t)n) != n)
                abort();
            at += (uint64_t)n;
        }
        close(from);
    }
    free(buffer);
    close(to);
    return b;
}

void strike_object_locked(struct exchange *x, struct object *o)
{
    struct world *w = x->service->world;
    if (!o || !fault_is(x->fault, "change_object"))
        return;
    struct object *other = object_new(o->bucket, o->name, o->fields);
    struct blob *b = inverted_locked(x, o);
    object_add_segment_locked(other, b, 0, o->size);
    int fd = blob_open(w, b, O_RDONLY);
    struct file_hashes want = {.crc32c = &other->crc32c, .md5 = other->md5};
    other->has_md5 = hash_file(fd, 0, o->size, &want);
    close(fd);
    blob_drop_locked(w, b);
    object_publish_locked(w, bucket_find_locked(w, o->bucket), other);
}
