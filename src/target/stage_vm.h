/* stage_vm.h: a staging by one VM of Compute Engine beside the bucket: this very program in its image, on
 * Container-Optimized OS (stage_vm.sh). It is made, followed and deleted. It lives on without its follower,
 * deletes itself when it has ended, and is deleted by Compute Engine when its time is over, whatever it does
 * then; the same command finds it by its name and follows it again. One thread. */
#ifndef FERRY_TARGET_STAGE_VM_H
#define FERRY_TARGET_STAGE_VM_H

#include "cloud/cloud.h"
#include "cloud/compute.h"

#include <signal.h>

/* 4 vCPU, 16 GiB: 8 Gbit/s out (2 a vCPU), more than the hub gives one address. What is copied is held in a
 * window of a fixed size, so larger models want no larger machine. */
#define STAGE_VM_MACHINE "e2-standard-4"

/* How far the program in it is. */
struct stage_vm_progress {
    double seconds;                                     /* since it was begun, or found, here */
    uint64_t bytes_done, bytes_total, bytes_per_second; /* total 0: it has said nothing yet */
};

struct stage_vm {
    const char *project, *region, *name; /* name: stage_job_name */
    const char *image;
    const char *service_account; /* NULL: the project's default */
    const char *token_secret;    /* of Secret Manager, that holds HF_TOKEN; NULL: none */
    const char *const *args;     /* of ferry: "stage", …; ends with NULL; without line breaks */
    int seconds;                 /* after which it is deleted (maxRunDuration) */
    const volatile sig_atomic_t *stop;
    void (*on_progress)(void *arg, const struct stage_vm_progress *p); /* every few seconds; may be NULL */
    void (*on_found)(void *arg, const char *zone); /* one that an earlier command made; may be NULL */
    void *arg;
};

enum stage_vm_end {
    STAGE_VM_DONE, /* it said so */
    STAGE_VM_GONE, /* it is not there any more and has said nothing */
};

/* The body of the instance, as the API has it (Instance); a new reference, NULL: no memory. */
json_t *stage_vm_body(const struct stage_vm *v, const char *zone);

/* The first of the region's zones, where it is tried first; in the arena. NULL with *e set. */
char *stage_vm_zone(struct cloud *c, const struct stage_vm *v, struct arena *a, struct err *e);

/* True when it has ended and is gone: *end. False with *e set: it could not be made, in no zone; what went
 * wrong in it; ERR_CANCELLED, *stop: it is deleted. When it cannot be followed any longer it is left to
 * itself, which *e says. */
bool stage_vm_run(struct cloud *c, const struct stage_vm *v, enum stage_vm_end *end, struct err *e);

/* --- its serial port: lines of JSON among whatever else a machine says --- */

struct stage_vm_port {
    char line[1000]; /* what has come of a line; longer ones are none of ours */
    size_t size;
};

/* The newest progress in these bytes, into *out; false: they tell none. Zeroed it begins. */
bool stage_vm_hear(struct stage_vm_port *port, const char *bytes, size_t size, struct stage_vm_progress *out);

#endif
