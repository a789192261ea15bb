/* appeared.h: an object that an upload has made, compared with what was sent. */
#ifndef FERRY_STORE_UPLOAD_APPEARED_H
#define FERRY_STORE_UPLOAD_APPEARED_H

#include "store/upload/upload.h"

/* What stands in the bucket under the upload's name has its size and this crc32c. Else: `ours` (this run has
 * just made it) it is deleted again, ERR_CORRUPT; not ours, ERR_NOT_FOUND: begin anew. out may be NULL. */
bool object_appeared(struct cloud *c, const char *bucket, const struct upload_spec *spec, uint32_t crc32c,
                     bool ours, struct arena *a, struct entry *out, struct err *e);

/* The generation of what stands there now, 0: nothing. ERR_BUSY when that is not what spec asks for. */
bool object_before(struct cloud *c, const char *bucket, const struct upload_spec *spec, int64_t *generation,
                   struct err *e);

/* An object of no bytes: it has no parts, so it is put. */
bool object_put_empty(struct cloud *c, const char *bucket, const struct upload_spec *spec, struct arena *a,
                      struct entry *out, struct err *e);

#endif
