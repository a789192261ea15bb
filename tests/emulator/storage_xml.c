/* storage_xml.c: the XML API, path-style: objects, and multipart uploads as S3 has them. */
#include "hash.h"
#include "storage.h"
#include "xml.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MIN_PART = 5 << 20, MAX_PARTS = 10000, PARTS_PAGE = 1000 };
#define MAX_PART (UINT64_C(5) << 30)

void begin_xml(struct exchange *x)
{
    (void)authorized_xml(x);
}

void begin_xml_put(struct exchange *x)
{
    if (authorized_xml(x))
        body_to_blob(x);
}

static struct bucket *find_bucket_locked(struct exchange *x)
{
    struct bucket *b = bucket_find_locked(x->service->world, x->captures[0]);
    if (!b)
        fail_xml(x, 404, "NoSuchBucket", "The specified bucket does not exist.");
    return b;
}

static struct object *find_object_locked(struct exchange *x)
{
    int64_t generation;
    struct object *o =
        find_bucket_locked(x) ? object_find_locked(x->service->world, x->captures[0], x->captures[1]) : NULL;
    if (o && argument_number(x, "generation", &generation) && generation != o->generation)
        o = NULL;
    if (!o)
        fail_xml(x, 404, "NoSuchKey", "The specified key does not exist.");
    return o;
}

/* x-goog-if-generation-match and x-goog-if-metageneration-match. */
static bool conditions_hold(struct exchange *x, const struct object *o)
{
    const char *generation = request_header(x, "x-goog-if-generation-match");
    const char *metageneration = request_header(x, "x-goog-if-metageneration-match");
    struct preconditions p = {{generation != NULL, false, metageneration != NULL, false},
                              {generation ? strtoll(generation, NULL, 10) : 0, 0,
                               metageneration ? strtoll(metageneration, NULL, 10) : 0, 0}};
    if (preconditions_check(&p, o) == 0)
        return true;
    fail_xml(x, 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold.");
    return false;
}

static struct upload *find_upload_locked(struct exchange *x)
{
    struct upload *u =
        upload_find_locked(x->service->world, x->captures[0], x->captures[1], argument(x, "uploadId"));
    if (!u)
        fail_xml(x, 404, "NoSuchUpload", "The requested upload was not found.");
    return u;
}

static void answer_xml(struct exchange *x, const char *text)
{
    answer_text(x, 200, "application/xml; charset=UTF-8", text);
}

/* ---- reading ---- */

static void list_parts_locked(struct exchange *x, const struct upload *u)
{
    int64_t after = 0, room = PARTS_PAGE;
    argument_number(x, "part-number-marker", &after);
    if (!argument_number(x, "max-parts", &room) || room < 1 || room > PARTS_PAGE)
        room = PARTS_PAGE;
    struct text out = {0};
    int i = 0, last = 0;
    while (i < u->count && u->parts[i].number <= after)
        i++;
    for (; i < u->count && room > 0; i++, room--) {
        const struct part *p = &u->parts[i];
        text_add(&out,
                 "<Part><PartNumber>%d</PartNumber><LastModified>%s</LastModified><ETag>%s</ETag>"
                 "<Size>%llu</Size></Part>",
                 p->number, time_text(x->arena, p->updated_us), p->etag, (unsigned long long)p->bytes.size);
        last = p->number;
    }
    answer_xml(
        x, arena_printf(x->arena,
                        "<?xml version='1.0' encoding='UTF-8'?><ListPartsResult "
                        "xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Bucket>%s</Bucket><Key>%s</Key>"
                        "<UploadId>%s</UploadId><StorageClass>STANDARD</StorageClass><PartNumberMarker>%lld"
                        "</PartNumberMarker><NextPartNumberMarker>%d</NextPartNumberMarker><MaxParts>1000"
                        "</MaxParts><IsTruncated>%s</IsTruncated>%s</ListPartsResult>",
                        u->bucket, xml_escape(x->arena, u->name), u->id, (long long)after, last,
                        i < u->count ? "true" : "false", out.bytes ? out.bytes : ""));
    free(out.bytes);
}

void xml_get(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    if (argument(x, "uploadId")) {
        const struct upload *u = find_upload_locked(x);
        if (u)
            list_parts_locked(x, u);
    } else {
        strike_object_locked(x, object_find_locked(w, x->captures[0], x->captures[1]));
        struct object *o = find_object_locked(x);
        if (o && conditions_hold(x, o))
            answer_object_locked(x, o, true);
    }
    world_unlock(w);
}

static void list_uploads_locked(struct exchange *x, const char *bucket)
{
    size_t count;
    struct text out = {0};
    struct upload *const *all = uploads_locked(x->service->world, &count);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(all[i]->bucket, bucket))
            text_add(&out, "<Upload><Key>%s</Key><UploadId>%s</UploadId></Upload>",
                     xml_escape(x->arena, all[i]->name), all[i]->id);
    answer_xml(x, arena_printf(x->arena,
                               "<?xml version='1.0' encoding='UTF-8'?><ListMultipartUploadsResult><Bucket>%s"
                               "</Bucket><IsTruncated>false</IsTruncated>%s</ListMultipartUploadsResult>",
                               bucket, out.bytes ? out.bytes : ""));
    free(out.bytes);
}

void xml_bucket_get(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    if (find_bucket_locked(x) && argument(x, "uploads"))
        list_uploads_locked(x, x->captures[0]);
    else
        fail_xml(x, 501, "NotImplemented", "The emulator lists objects by the JSON API only.");
    world_unlock(w);
}

/* ---- writing ---- */

struct measured {
    uint32_t crc32c;
    unsigned char md5[MD5_BYTES];
};

/* MD5 only where it is asked for or shown: a part's tag is made from its CRC, since tags are opaque. */
static bool measure(struct exchange *x, struct measured *m, bool md5)
{
    int fd = blob_open(x->service->world, x->body.blob, O_RDONLY);
    struct file_hashes want = {.crc32c = &m->crc32c, .md5 = md5 ? m->md5 : NULL};
    bool ok = hash_file(fd, 0, x->body.taken, &want);
    close(fd);
    return ok;
}

static bool put_part_is_valid(struct exchange *x, int64_t *number)
{
    if (!argument_number(x, "partNumber", number) || *number < 1 || *number > MAX_PARTS)
        fail_xml(x, 400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive.");
    else if (x->body.taken > MAX_PART)
        fail_xml(x, 400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.");
    return !x->answer.status;
}

static void put_part(struct exchange *x)
{
    struct world *w = x->service->world;
    struct measured m;
    int64_t number;
    bool md5 = request_header(x, "Content-MD5");
    if (!put_part_is_valid(x, &number) || !measure(x, &m, md5))
        return;
    struct object like = {.crc32c = m.crc32c, .has_md5 = md5};
    memcpy(like.md5, m.md5, sizeof like.md5);
    if (!hashes_match(x, &like, NULL, true))
        return;
    world_lock(w);
    struct upload *u = find_upload_locked(x);
    if (u) {
        struct part p = {.number = (int)number,
                         .bytes = {x->body.blob, 0, x->body.taken},
                         .crc32c = m.crc32c,
                         .updated_us = world_generation_locked(w)};
        char crc[BASE64_ROOM(4)];
        base64_crc32c(m.crc32c, crc);
        snprintf(p.etag, sizeof p.etag, "\"%08x%08x%016llx\"", m.crc32c, (unsigned)number,
                 (unsigned long long)p.updated_us);
        upload_put_locked(w, u, &p);
        answer_header(x, "ETag", "%s", p.etag);
        answer_header(x, "x-goog-hash", "crc32c=%s", crc);
        answer_empty(x, 200);
    }
    world_unlock(w);
}

static json_t *fields_from_headers(const struct exchange *x)
{
    const char *type = request_header(x, "Content-Type");
    json_t *fields = json_pack("{s:s}", "contentType", type ? type : "application/octet-stream"),
           *metadata = NULL;
    const char *key;
    json_t *value;
    json_object_foreach(x->headers, key, value) if (!strncmp(key, "x-goog-meta-", 12))
    {
        if (!metadata)
            json_object_set_new(fields, "metadata", metadata = json_object());
        json_object_set(metadata, key + 12, value);
    }
    return fields;
}

static void put_object(struct exchange *x)
{
    struct world *w = x->service->world;
    struct measured m;
    if (!measure(x, &m, true))
        return;
    json_t *fields = fields_from_headers(x);
    world_lock(w);
    struct bucket *b = find_bucket_locked(x);
    struct object *o = object_new(x->captures[0], x->captures[1], fields);
    object_add_segment_locked(o, x->body.blob, 0, x->body.taken);
    o->crc32c = m.crc32c;
    o->has_md5 = true;
    memcpy(o->md5, m.md5, sizeof o->md5);
    if (b && hashes_match(x, o, NULL, true) &&
        conditions_hold(x, object_find_locked(w, x->captures[0], x->captures[1]))) {
        object_publish_locked(w, b, o);
        answer_header(x, "ETag", "\"%s\"", object_etag(x, o));
        answer_header(x, "x-goog-generation", "%lld", (long long)o->generation);
        answer_empty(x, 200);
    } else {
        object_drop_locked(w, o);
    }
    world_unlock(w);
    json_decref(fields);
}

void xml_put(struct exchange *x)
{
    if (argument(x, "uploadId"))
        put_part(x);
    else
        put_object(x);
}

/* ---- an upload begins, completes, is given up ---- */

static void begin_multipart(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    if (find_bucket_locked(x)) {
        const struct upload *u = upload_new_locked(w, x->captures[0], x->captures[1], fields_from_headers(x));
        answer_xml(x,
                   arena_printf(x->arena,
                                "<?xml version='1.0' encoding='UTF-8'?><InitiateMultipartUploadResult "
                                "xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Bucket>%s</Bucket><Key>%s"
                                "</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>",
                                u->bucket, xml_escape(x->arena, u->name), u->id));
    }
    world_unlock(w);
}

static const struct part *find_part(const struct upload *u, int number)
{
    for (int i = 0; i < u->count; i++)
        if (u->parts[i].number == number)
            return &u->parts[i];
    return NULL;
}

/* The tag may come without its quotes. */
static bool same_tag(const char *ours, const char *theirs)
{
    size_t size = strlen(ours) - 2;
    return !strcmp(ours, theirs) || (strlen(theirs) == size && !strncmp(ours + 1, theirs, size));
}

/* Everything S3 checks: the order first, then that each part is there, then sizes. */
static bool parts_fit(struct exchange *x, const struct upload *u, const struct xml_part *named, int count)
{
    for (int i = 1; i < count; i++)
        if (named[i].number <= named[i - 1].number)
            fail_xml(x, 400, "InvalidPartOrder", "The list of parts was not in ascending order.");
    for (int i = 0; i < count; i++) {
        const struct part *p = find_part(u, named[i].number);
        if (!p || !same_tag(p->etag, named[i].etag))
            fail_xml(x, 400, "InvalidPart", "One or more of the specified parts could not be found: %d.",
                     named[i].number);
    }
    for (int i = 0; i + 1 < count && !x->answer.status; i++)
        if (find_part(u, named[i].number)->bytes.size < MIN_PART)
            fail_xml(x, 400, "EntityTooSmall", "Part %d is smaller than the minimum allowed size.",
                     named[i].number);
    return !x->answer.status;
}

static void complete_locked(struct exchange *x, struct upload *u, const struct xml_part *named, int count)
{
    struct world *w = x->service->world;
    struct object *o = object_new(u->bucket, u->name, u->fields);
    for (int i = 0; i < count; i++) {
        const struct part *p = find_part(u, named[i].number);
        object_add_segment_locked(o, p->bytes.blob, p->bytes.offset, p->bytes.size);
        o->crc32c = hash_crc32c_join(o->crc32c, p->crc32c, p->bytes.size);
    }
    o->components = count;
    object_publish_locked(w, bucket_find_locked(w, u->bucket), o);
    answer_xml(
        x, arena_printf(x->arena,
                        "<?xml version='1.0' encoding='UTF-8'?><CompleteMultipartUploadResult "
                        "xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Location>%s%s</Location><Bucket>%s"
                        "</Bucket><Key>%s</Key><ETag>\"%s\"</ETag></CompleteMultipartUploadResult>",
                        x->origin, x->path, u->bucket, xml_escape(x->arena, u->name), object_etag(x, o)));
    upload_remove_locked(w, u);
}

static void complete_multipart(struct exchange *x)
{
    struct world *w = x->service->world;
    int count = 0;
    struct xml_part *named =
        x->body.size ? xml_parts(x->arena, x->body.bytes, x->body.size, MAX_PARTS, &count) : NULL;
    world_lock(w);
    struct upload *u = find_upload_locked(x);
    if (u && (!named || !count))
        fail_xml(x, 400, "MalformedXML", "The XML you provided was not well-formed or did not validate.");
    else if (u && find_bucket_locked(x) && parts_fit(x, u, named, count) &&
             conditions_hold(x, object_find_locked(w, u->bucket, u->name)))
        complete_locked(x, u, named, count);
    world_unlock(w);
}

void xml_post(struct exchange *x)
{
    if (argument(x, "uploads"))
        begin_multipart(x);
    else if (argument(x, "uploadId"))
        complete_multipart(x);
    else
        fail_xml(x, 400, "InvalidArgument", "POST needs uploads or uploadId.");
}

void xml_delete(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    if (argument(x, "uploadId")) {
        struct upload *u = find_upload_locked(x);
        if (u)
            upload_remove_locked(w, u);
    } else {
        struct object *o = find_object_locked(x);
        if (o && conditions_hold(x, o))
            object_remove_locked(w, bucket_find_locked(w, x->captures[0]), o);
    }
    answer_empty(x, 204);
    world_unlock(w);
}
