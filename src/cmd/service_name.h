/* service_name.h: services by the names they were deployed under. */
#ifndef FERRY_CMD_SERVICE_NAME_H
#define FERRY_CMD_SERVICE_NAME_H

#include "base/arena.h"
#include "target/target.h"

enum service_found { SERVICE_ERROR, SERVICE_NONE, SERVICE_FOUND };

/* What text names, when it can be a service's name and one has it; its own is *out then, in the arena. A
 * folder of that name here makes it ambiguous: SERVICE_ERROR with *e (ERR_USAGE) saying how to mean which. */
enum service_found service_by_name(const char *text, struct arena *a, struct target_service *out,
                                   struct err *e);

/* The target at which a service of that name is, with what is known of it. which: only this target; NULL:
 * any. NULL with *e set: ERR_NOT_FOUND. */
const struct target *service_target(struct target_run *r, const char *name, const char *which,
                                    struct target_service *out, struct err *e);

/* The target of that name. NULL with *e (ERR_USAGE) listing those there are. */
const struct target *service_target_named(const char *name, struct err *e);

/* The key it asks of clients: given (FERRY_API_KEY), else the first line of its file, else what its secret of
 * Secret Manager holds, else NULL for none. In the arena. False with *e set. */
bool service_key(const struct target_service *s, const char *given, struct arena *a, const char **key,
                 struct err *e);

#endif
