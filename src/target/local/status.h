/* status.h: what is known of a local service: from its activator, or from what a dead one has left. */
#ifndef FERRY_TARGET_LOCAL_STATUS_H
#define FERRY_TARGET_LOCAL_STATUS_H

#include "target/local/home.h"
#include "target/target.h"

/* told: what the activator says of itself (control.h); NULL: asks it, or finds it gone. Strings in the arena
 * of the run. */
bool status_read(struct target_run *r, const struct home *p, const json_t *told, struct target_service *out,
                 struct err *e);

/* Each service there is, in the order of their names. */
bool status_each(struct target_run *r, const char *name, target_service_fn each, void *arg, struct err *e);

#endif
