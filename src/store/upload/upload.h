/* upload.h: what each kind of upload brings, and what they share: which parts are there. */
#ifndef FERRY_STORE_UPLOAD_UPLOAD_H
#define FERRY_STORE_UPLOAD_UPLOAD_H

#include "store/store.h"

#include <pthread.h>

struct upload_kind {
    bool ordered;
    bool (*size)(struct upload *u, struct err *e); /* u->spec.size is known from now on; may be NULL */
    bool (*token)(const struct upload *u, char out[UPLOAD_TOKEN_BYTES]);
    bool (*part)(struct upload *u, int part, const void *bytes, size_t size,
                 const volatile sig_atomic_t *stop, struct err *e);
    bool (*seal)(struct upload *u, uint32_t crc32c, struct arena *a, struct entry *out, struct err *e);
    bool (*abort)(struct upload *u, struct err *e); /* may be NULL; free follows */
    void (*free)(struct upload *u);
};

/* The beginning of every upload. */
struct upload {
    const struct upload_kind *kind;
    struct upload_spec spec; /* name is the upload's */
    struct {
        pthread_mutex_t mutex;
        struct upload_mark {
            bool there;
            uint32_t crc32c; /* where the kind wants one */
        } * marks;
        int room;
    } locked;
};

enum { UPLOAD_MAX_PARTS = 1 << 20 };

/* Zeroed memory of `bytes` that begins with a struct upload, checked and filled in. NULL with *e set. */
void *upload_new(const struct upload_kind *kind, size_t bytes, const struct upload_spec *spec, struct err *e);
void upload_clear(struct upload *u); /* what upload_new took, and u itself */

/* 0 for an empty file; UPLOAD_MAX_PARTS while the size is not known. */
int upload_count(const struct upload *u);
uint64_t upload_part_bytes(const struct upload *u, int part); /* how long it has to be */

bool upload_mark_part(struct upload *u, int part, uint32_t crc32c, struct err *e);
bool upload_mark_all(struct upload *u, struct err *e);
uint32_t upload_combined(struct upload *u); /* CRC of the whole from those of the parts */

#define RESUMABLE_TOKEN "session:" /* what a resumable session's token begins with; its URL is a secret */

struct upload *local_upload_begin(const struct upload_spec *spec, const char *resume, struct err *e);
struct upload *multipart_upload_begin(struct cloud *c, const char *bucket, const struct upload_spec *spec,
                                      const char *resume, struct err *e);
struct upload *resumable_upload_begin(struct cloud *c, const char *bucket, const struct upload_spec *spec,
                                      const char *resume, struct err *e);

#endif
