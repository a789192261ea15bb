/* down_bucket.h: what `ferry down NAME --bucket` takes away beside the service: the folder that its model
 * lies in, its live configuration with that one's history, and the bucket itself, when Ferry has made it and
 * nothing else lies there. What another service reads stays.
 *
 * What goes is written into a bucket first (DOWN_NOTE), so that it is found again once the service is gone;
 * the service's account, which goes last, remembers the bucket. One thread. */
#ifndef FERRY_CMD_DOWN_BUCKET_H
#define FERRY_CMD_DOWN_BUCKET_H

#include "target/cloud_run.h"

#define DOWN_NOTE "ferry-down-" /* and the service's name, .json */

struct down_bucket;

/* Looks what there is; nothing is changed. s: the service, or what is left of it. NULL with *e set. */
struct down_bucket *down_bucket_look(struct target_run *r, const struct target_service *s, struct err *e);
void down_bucket_free(struct down_bucket *d); /* NULL is fine */

/* Each thing that goes with its size, what it all costs a month, and what stays and why; on stdout. */
bool down_bucket_print(const struct down_bucket *d, struct err *e);

/* The note. Before anything is taken away. */
bool down_bucket_note(struct down_bucket *d, struct err *e);

/* remove of struct cloud_run_more, arg: d. Returns when it has looked that nothing is left. */
bool down_bucket_remove(void *d, struct err *e);

#endif
