/* look.h: what there is on Cloud Run, and what it says. */
#ifndef FERRY_TARGET_CLOUD_RUN_LOOK_H
#define FERRY_TARGET_CLOUD_RUN_LOOK_H

#include "target/cloud_run.h"

/* The status of struct target: services, and accounts and secrets that are left of one ("half made"). */
bool look_status(struct target_run *r, const char *name, target_service_fn each, void *arg, struct err *e);
/* One of them. ERR_NOT_FOUND: there is none. */
bool look_at(struct target_run *r, const char *name, struct target_service *out, struct err *e);
/* Services in a region. */
bool look_count(struct target_run *r, const char *region, int *count, struct err *e);

bool look_logs(struct target_run *r, const char *name, const struct target_log_options *o,
               target_line_fn line, void *arg, struct err *e);

#endif
