/* world.h: what the emulator holds: buckets, objects, upload sessions, multipart uploads, and the resources
 * of other services.
 *
 * Kept in a folder: blobs/N are bytes, state.jsonl is one line per change, replayed by world_open, so that a
 * server that was killed goes on where it was. Objects are lists of stretches of blobs: composing and
 * completing move no byte. One mutex guards all of it; functions named _locked are called with it held, and
 * what they return is the world's until it is released, unless held. */
#ifndef FERRY_EMULATOR_WORLD_H
#define FERRY_EMULATOR_WORLD_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;

struct world *world_open(const char *folder, struct err *e);
void world_close(struct world *w);
void world_lock(struct world *w);
void world_unlock(struct world *w);
void world_wait_locked(struct world *w, int milliseconds); /* for world_changed_locked, or so long */
void world_changed_locked(struct world *w);
int64_t world_generation_locked(struct world *w); /* microseconds since 1970, never twice the same */

/* --- bytes --- */

struct blob {
    uint64_t id;
    int holders;
};

struct blob *blob_new_locked(struct world *w); /* held once; an empty file */
void blob_hold_locked(struct blob *b);
void blob_drop_locked(struct world *w, struct blob *b); /* the last one removes the file; NULL is fine */
void blob_path(const struct world *w, const struct blob *b, char *out, size_t room);
int blob_open(const struct world *w, const struct blob *b, int flags); /* -1: no */

struct segment {
    struct blob *blob;
    uint64_t offset, size;
};

/* --- objects --- */

struct object {
    int holders;
    char *bucket, *name;
    uint64_t size;
    int64_t generation, metageneration, created_us, updated_us;
    uint32_t crc32c;
    bool has_md5;
    unsigned char md5[16];
    int components; /* of a composite one, else 0 */
    json_t *fields; /* contentType, cacheControl, metadata, … as given */
    struct segment *segments;
    int segment_count;
};

/* A new one that nobody has seen, held once. */
struct object *object_new(const char *bucket, const char *name, const json_t *fields);
/* Takes a hold of the blob. */
bool object_add_segment_locked(struct object *o, struct blob *b, uint64_t offset, uint64_t size);
void object_hold_locked(struct object *o);
void object_drop_locked(struct world *w, struct object *o); /* NULL is fine */

/* --- buckets --- */

struct bucket {
    char *name;
    json_t *resource, *policy; /* metageneration in resource is a string, as it is sent */
    struct object **objects;   /* by name */
    size_t count, room;
};

struct bucket *bucket_find_locked(struct world *w, const char *name);
/* Takes the references; a bucket of that name is changed. NULL: no memory. */
struct bucket *bucket_put_locked(struct world *w, const char *name, json_t *resource, json_t *policy);
void bucket_remove_locked(struct world *w, struct bucket *b);
struct bucket *const *buckets_locked(struct world *w, size_t *count);

struct object *object_find_locked(struct world *w, const char *bucket, const char *name);
/* The first whose name is >= name. */
size_t object_index_locked(const struct bucket *b, const char *name);
/* Gives it generation, metageneration 1 and times, and takes over the caller's hold; what had the name is
 * gone. */
void object_publish_locked(struct world *w, struct bucket *b, struct object *o);
/* Its fields or metageneration are others now. */
void object_changed_locked(struct world *w, const struct object *o);
void object_remove_locked(struct world *w, struct bucket *b, struct object *o);

/* --- resumable sessions --- */

struct session {
    char id[33];
    json_t *
        head; /* bucket, fields, preconditions, total (X-Upload-Content-Length) as storage_upload.c made it */
    struct blob *blob;
    uint64_t held;
    bool busy;      /* a request is writing */
    int gone;       /* 0, or the status every request gets */
    json_t *object; /* once it is done: its resource */
};

struct session *session_new_locked(struct world *w, json_t *head); /* takes the reference */
struct session *session_find_locked(struct world *w, const char *id);
void session_end_locked(struct world *w, struct session *s, json_t *object, int gone);

/* --- XML multipart uploads --- */

struct part {
    int number;
    struct segment bytes;
    uint32_t crc32c;
    char etag[40]; /* with quotes */
    int64_t updated_us;
};

struct upload {
    char id[33];
    char *bucket, *name;
    json_t *fields;
    struct part *parts; /* by number */
    int count, room;
};

struct upload *upload_new_locked(struct world *w, const char *bucket, const char *name, json_t *fields);
struct upload *upload_find_locked(struct world *w, const char *bucket, const char *name, const char *id);
bool upload_put_locked(struct world *w, struct upload *u,
                       const struct part *p); /* takes a hold of the blob */
void upload_remove_locked(struct world *w, struct upload *u);
struct upload *const *uploads_locked(struct world *w, size_t *count);

/* --- resources of other services: JSON by key, "run/projects/P/locations/L/services/S" --- */

json_t *doc_find_locked(struct world *w, const char *key); /* the world's; NULL: none */
/* Takes the reference; what had the key is gone. */
void doc_put_locked(struct world *w, const char *key, json_t *doc);
void doc_changed_locked(struct world *w, const char *key); /* what doc_find gave is another now */
void doc_remove_locked(struct world *w, const char *key);
/* Those whose key begins so, oldest first: an array of keys, a new reference. */
json_t *doc_keys_locked(struct world *w, const char *prefix);

#endif
