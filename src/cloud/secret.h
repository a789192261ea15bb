/* secret.h: secrets (Secret Manager v1; its description is the one that gcloud 528 carries). What is in them
 * passes through here and is in no message. Any thread. */
#ifndef FERRY_CLOUD_SECRET_H
#define FERRY_CLOUD_SECRET_H

#include "cloud/cloud.h"

enum { SECRET_BYTES = 4096 }; /* Google takes 64 KiB; keys are short */

/* "Secret" as JSON. Not there: ERR_NOT_FOUND. */
json_t *secret_get(struct cloud *c, const char *project, const char *name, struct err *e);
/* One without a version yet, replicated as Google likes. labels: an object of strings. ERR_BUSY: it is there.
 */
json_t *secret_create(struct cloud *c, const char *project, const char *name, const json_t *labels,
                      struct err *e);
bool secret_delete(struct cloud *c, const char *project, const char *name, struct err *e); /* gone: true */

/* Those with this label ("managed-by=ferry"), as JSON. */
typedef bool (*secret_fn)(void *arg, const json_t *secret, struct err *e);
bool secret_each(struct cloud *c, const char *project, const char *label, secret_fn fn, void *arg,
                 struct err *e);

/* A new version. A rehearsal is told of it without what is in it. */
bool secret_add(struct cloud *c, const char *project, const char *name, const char *text, struct err *e);
/* Whether a version ("latest": the one that was made last) is neither disabled nor destroyed. What it holds
 * is not asked for. ERR_NOT_FOUND: there is no such version. */
bool secret_enabled(struct cloud *c, const char *project, const char *name, const char *version,
                    bool *enabled, struct err *e);
/* What a version holds ("latest"). ERR_NOT_FOUND: there is no such version. */
bool secret_access(struct cloud *c, const char *project, const char *name, const char *version,
                   char out[SECRET_BYTES], struct err *e);

#endif
