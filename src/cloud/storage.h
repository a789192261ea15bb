/* storage.h: the Cloud Storage calls that Ferry makes, JSON and XML (facts: docs/design.md, "Cloud Storage").
 *
 * Names are given as they are, and encoded here. Each call answers false (or NULL) with *e set in
 * cloud_explain's words, the bucket or object in front. Any thread. */
#ifndef FERRY_CLOUD_STORAGE_H
#define FERRY_CLOUD_STORAGE_H

#include "base/arena.h"
#include "base/err.h"
#include "cloud/cloud.h"

#include <signal.h>
#include <stdint.h>

enum { STORAGE_ANY_GENERATION = -1, STORAGE_ABSENT = 0 }; /* preconditions: none; create only */

struct object {
    const char *name;
    uint64_t size;
    int64_t generation, metageneration;
    bool has_crc32c;
    uint32_t crc32c;
    const char *updated, *content_type, *etag; /* RFC 3339; "" when not said */
};

/* Objects under a prefix, and with delimiter "/" the "folders" as well, page by page. fn's strings live until
 * it returns; false from it ends the listing. */
typedef bool (*object_fn)(void *arg, const struct object *o, struct err *e);
typedef bool (*prefix_fn)(void *arg, const char *prefix, struct err *e);
struct storage_list {
    const char *bucket, *prefix;
    bool delimited; /* one level: what lies deeper comes as prefixes */
    object_fn on_object;
    prefix_fn on_prefix; /* may be NULL */
    void *arg;
};
bool storage_list(struct cloud *c, const struct storage_list *l, struct err *e);

/* Strings live in the arena. Not there: ERR_NOT_FOUND. */
bool storage_stat(struct cloud *c, const char *bucket, const char *name, struct arena *a, struct object *out,
                  struct err *e);

/* size bytes from offset of that generation, into memory. Goes on after breaks by asking for the rest. An
 * answer of 200, another Content-Range or another generation is not taken: ERR_TRANSIENT, ERR_BUSY. */
bool storage_read(struct cloud *c, const char *bucket, const char *name, int64_t generation, uint64_t offset,
                  size_t size, void *into, const volatile sig_atomic_t *stop, struct err *e);

/* The same, handed to take as it comes, in order, each byte once; the connection waits while take is at it.
 * What take says ends it. */
bool storage_pour(struct cloud *c, const char *bucket, const char *name, int64_t generation, uint64_t offset,
                  uint64_t size, http_data_fn take, void *arg, const volatile sig_atomic_t *stop,
                  struct err *e);

/* A whole small object, unless it still has the generation `known` (0: no matter which): then *changed is
 * false, and one short answer (304) told so. Where it has more than room bytes only generation and size are
 * told. Quick to give up: connecting may take 5 s, silence 10 s. Not there: ERR_NOT_FOUND. */
struct storage_change {
    bool changed;
    int64_t generation;
    uint64_t size;
};
bool storage_read_changed(struct cloud *c, const char *bucket, const char *name, int64_t known, void *into,
                          size_t room, const volatile sig_atomic_t *stop, struct storage_change *out,
                          struct err *e);

/* A whole small object in one request (multipart/related), checked by its crc32c. generation: the
 * precondition. out may be NULL. A 412 after a try whose answer was lost is success when size and crc32c are
 * ours. */
struct storage_put {
    const char *bucket, *name, *content_type;
    const void *bytes;
    size_t size;
    int64_t if_generation;
};
bool storage_put(struct cloud *c, const struct storage_put *p, struct arena *a, struct object *out,
                 struct err *e);

bool storage_delete(struct cloud *c, const char *bucket, const char *name, int64_t if_generation,
                    struct err *e);

/* A copy that Cloud Storage makes itself ("rewrite"), of that generation of `from`, compared with its size
 * and crc32c: what differs is deleted again, ERR_CORRUPT. Between places it takes several calls; each moves
 * it on, and *at (zeroed at first) knows how far it is, for a week and in another process too. A source that
 * was replaced is ERR_NOT_FOUND. */
enum { REWRITE_TOKEN_BYTES = 2048 };
struct storage_rewrite {
    const char *from_bucket;
    const struct object *from; /* its name, size, generation and crc32c count */
    const char *bucket, *name;
    int64_t if_generation; /* of what stands there */
    const volatile sig_atomic_t *stop;
};
struct rewrite_state {
    char token[REWRITE_TOKEN_BYTES];
    uint64_t rewritten;
    bool done; /* the object is there: *out */
};
bool storage_rewrite(struct cloud *c, const struct storage_rewrite *w, struct rewrite_state *at,
                     struct arena *a, struct object *out, struct err *e);

/* --- XML multipart: parts in any order, at any time, by several threads --- */

enum { MULTIPART_MIN_PART = 5 << 20, MULTIPART_MAX_PARTS = 10000 };
struct part_tag {
    int number; /* from 1 */
    uint64_t size;
    char etag[72]; /* with its quotes */
};

/* The upload's id, in the arena. ERR_UNSUPPORTED when the endpoint has no XML multipart (501, 400 or 404 on
 * ?uploads): take a resumable session. */
char *multipart_begin(struct cloud *c, const char *bucket, const char *name, const char *content_type,
                      struct arena *a, struct err *e);
bool multipart_part(struct cloud *c, const char *bucket, const char *name, const char *id, int number,
                    const void *bytes, size_t size, const volatile sig_atomic_t *stop, struct part_tag *out,
                    struct err *e);
/* What is there, in order of number; count 0 and ERR_NOT_FOUND when the upload is gone. */
bool multipart_list(struct cloud *c, const char *bucket, const char *name, const char *id, struct arena *a,
                    struct part_tag **out, int *count, struct err *e);
/* The object appears. Then stat tells its generation and crc32c. A second try of one that had worked
 * succeeds. */
bool multipart_seal(struct cloud *c, const char *bucket, const char *name, const char *id,
                    const struct part_tag *parts, int count, struct err *e);
bool multipart_abort(struct cloud *c, const char *bucket, const char *name, const char *id, struct err *e);

/* --- resumable session: bytes in order, by one thread --- */

enum { RESUMABLE_UNIT = 256 << 10 }; /* every chunk but the last is a multiple */
#define RESUMABLE_UNKNOWN UINT64_MAX /* a total that is not known before the last resumable_send */
/* The session's URL (a secret), in the arena. */
char *resumable_begin(struct cloud *c, const char *bucket, const char *name, const char *content_type,
                      uint64_t total, int64_t if_generation, struct arena *a, struct err *e);
/* How many bytes the session holds; *done when the object is there. 404, 410: ERR_NOT_FOUND, begin anew. */
bool resumable_held(struct cloud *c, const char *session, uint64_t total, uint64_t *held, bool *done,
                    struct err *e);
/* bytes[0..size) belong at offset. The last chunk makes the object appear; crc32c (of the whole) goes with
 * it. */
bool resumable_send(struct cloud *c, const char *session, uint64_t offset, const void *bytes, size_t size,
                    uint64_t total, uint32_t crc32c, const volatile sig_atomic_t *stop, struct err *e);
bool resumable_cancel(struct cloud *c, const char *session, struct err *e);

/* --- buckets --- */

/* The bucket as JSON (storage-v1 "Bucket"); NULL with *e set. */
json_t *bucket_get(struct cloud *c, const char *bucket, struct err *e);
/* All of a project. name, location ("asia-northeast1") and storage_class are the JSON's, in small letters. */
struct bucket_found {
    char location[64], storage_class[32];
    const char *name;
    bool ours;                /* label.h */
    int64_t soft_delete_days; /* so long is kept, and charged for, what was deleted */
};
typedef bool (*bucket_fn)(void *arg, const struct bucket_found *b, struct err *e);
bool bucket_each(struct cloud *c, const char *project, bucket_fn fn, void *arg, struct err *e);
/* Gone already: true. ERR_BUSY: something lies in it. */
bool bucket_delete(struct cloud *c, const char *bucket, struct err *e);
json_t *bucket_create(struct cloud *c, const char *project, const json_t *body, struct err *e);
/* A 412 after a try whose answer was lost is success when the bucket is as body wants it. */
json_t *bucket_patch(struct cloud *c, const char *bucket, int64_t if_metageneration, const json_t *body,
                     struct err *e);

#endif
