/* storage.h: what the parts of the emulated Cloud Storage share. */
#ifndef FERRY_EMULATOR_STORAGE_H
#define FERRY_EMULATOR_STORAGE_H

#include "exchange.h"

/* Answers 401 and is false when the request has no good token. The first thing every begin asks. */
bool authorized_json(struct exchange *x);
bool authorized_xml(struct exchange *x);

json_t *object_resource(struct exchange *x, const struct object *o);
const char *object_etag(struct exchange *x, const struct object *o); /* of the JSON API */
const char *object_content_type(const struct object *o);

/* ifGenerationMatch and its three siblings, from the query ("if", "ifSource") or a JSON object, against an
 * object that is there (or NULL). 0: they hold; else 412 or 304. */
struct preconditions {
    bool has[4];
    int64_t value[4]; /* GenerationMatch, GenerationNotMatch, MetagenerationMatch, MetagenerationNotMatch */
};
struct preconditions preconditions_of(const struct exchange *x, const char *prefix);
json_t *preconditions_json(const struct preconditions *p);
struct preconditions preconditions_from(const json_t *j);
int preconditions_check(const struct preconditions *p, const struct object *o);
bool preconditions_hold(struct exchange *x, const struct preconditions *p,
                        const struct object *o); /* or answers */

/* Its bytes, or a range of them, with the headers that tell of them; x holds the object. */
void answer_object_locked(struct exchange *x, struct object *o, bool xml);

/* The fields of a request's resource that an object keeps. */
json_t *object_fields(const json_t *resource);

/* CRC and MD5 of a one-blob object against what the client said: the resource's crc32c and md5Hash,
 * X-Goog-Hash and Content-MD5. False: answered with 400. */
bool hashes_match(struct exchange *x, const struct object *o, const json_t *resource, bool xml);

/* "fault" words that touch the object a request is about. */
void strike_object_locked(struct exchange *x, struct object *o);

/* storage_json.c */
void bucket_list(struct exchange *x);
void bucket_insert(struct exchange *x);
void bucket_get(struct exchange *x);
void bucket_patch(struct exchange *x);
void bucket_delete(struct exchange *x);
void bucket_policy_get(struct exchange *x);
void bucket_policy_set(struct exchange *x);
void bucket_test_permissions(struct exchange *x);
void object_list(struct exchange *x);
void object_get(struct exchange *x);
void object_media(struct exchange *x);
void object_patch(struct exchange *x);
void object_delete(struct exchange *x);
void object_compose(struct exchange *x);
void object_rewrite(struct exchange *x);
void begin_json(struct exchange *x);
bool bucket_make(struct world *w, const char *name); /* as buckets.insert would; false: it is there */

/* storage_upload.c */
void begin_upload(struct exchange *x);
void finish_upload(struct exchange *x);
void begin_session_put(struct exchange *x);
void finish_session_put(struct exchange *x);
void begin_session_delete(struct exchange *x);
void finish_session_delete(struct exchange *x);

/* storage_xml.c */
void begin_xml(struct exchange *x);
void begin_xml_put(struct exchange *x);
void xml_get(struct exchange *x);
void xml_put(struct exchange *x);
void xml_post(struct exchange *x);
void xml_delete(struct exchange *x);
void xml_bucket_get(struct exchange *x);

#endif
