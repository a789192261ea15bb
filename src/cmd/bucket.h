/* bucket.h: a bucket for models, as `ferry bucket create` makes it, for commands that need one. */
#ifndef FERRY_CMD_BUCKET_H
#define FERRY_CMD_BUCKET_H

#include "store/store.h"

/* Whether the bucket is there. False with *e set: ERR_BUSY, it is there and lies elsewhere; ERR_AUTH, it is
 * somebody else's. */
bool bucket_look(struct stores *stores, const char *name, const char *region, bool *there, struct err *e);

/* Creates it, without soft delete, and prints how it is set up; one that is there already is fine. */
bool bucket_make(struct stores *stores, const char *project, const char *name, const char *region,
                 struct err *e);

#endif
