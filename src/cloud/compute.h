/* compute.h: virtual machines (Compute Engine v1). Bodies and answers are JSON of the API ("Instance"). Each
 * call answers NULL or false with *e set, the VM's name in front. Any thread. */
#ifndef FERRY_CLOUD_COMPUTE_H
#define FERRY_CLOUD_COMPUTE_H

#include "base/arena.h"
#include "cloud/cloud.h"
#include "cloud/operation.h"

#include <stdint.h>

struct vm_name {
    const char *project, *zone, *name;
};

json_t *vm_get(struct cloud *c, const struct vm_name *n, struct err *e); /* ERR_NOT_FOUND: none */
/* These two begin an operation: vm_finish. Made twice by one call (requestId) it is made once. */
json_t *vm_insert(struct cloud *c, const struct vm_name *n, const json_t *body, struct err *e);
json_t *vm_delete(struct cloud *c, const struct vm_name *n, struct err *e); /* gone already: done */

/* Waits until `begun` is done and takes the reference (NULL: *e is set already). False with *e set:
 * ERR_BUSY, the zone has no such machine free now; ERR_LIMIT, a quota is used up; else as operation_finish.
 */
bool vm_finish(struct cloud *c, const struct vm_name *n, json_t *begun, const struct wait *w, struct err *e);

/* What an instance says of itself. Strings are the JSON's, "" when not said. */
struct vm_facts {
    const char *name, *zone, *machine, *status; /* "asia-northeast1-b", "e2-standard-4", "RUNNING" */
    char region[64];                            /* of the zone */
    double disk_gb;
    bool runs;     /* its machine is charged for; of one that is stopped the disks alone are */
    bool external; /* has an address of its own */
    bool spot;
};
void vm_read(const json_t *instance, struct vm_facts *out);

/* Names of a region's zones ("asia-northeast1-a"), at least one: an array, a new reference. */
json_t *region_zones(struct cloud *c, const char *project, const char *region, struct err *e);

/* VMs that have this label ("managed-by=ferry"), in all zones. zone: "asia-northeast1-b"; the strings are the
 * JSON's. */
typedef bool (*vm_fn)(void *arg, const char *zone, const json_t *instance, struct err *e);
bool vm_find(struct cloud *c, const char *project, const char *label, vm_fn fn, void *arg, struct err *e);

/* What the VM has written to its serial port from byte *start on, in the arena; *start is where to go on. */
char *vm_serial(struct cloud *c, const struct vm_name *n, uint64_t *start, struct arena *a, struct err *e);

/* A guest attribute that a program in the VM has set, in the arena. ERR_NOT_FOUND: not yet. */
char *vm_guest_attribute(struct cloud *c, const struct vm_name *n, const char *space, const char *key,
                         struct arena *a, struct err *e);

#endif
