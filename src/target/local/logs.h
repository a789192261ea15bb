/* logs.h: what a local service has said, and goes on to say. */
#ifndef FERRY_TARGET_LOCAL_LOGS_H
#define FERRY_TARGET_LOCAL_LOGS_H

#include "target/local/home.h"
#include "target/target.h"

/* The last lines of both files, then, with follow, each that comes, until stop or until the service is taken
 * down. A reader that falls a whole file behind misses what is gone. */
bool logs_read(struct target_run *r, const struct home *p, const struct target_log_options *o,
               target_line_fn line, void *arg, struct err *e);

#endif
