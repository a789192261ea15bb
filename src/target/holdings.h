/* holdings.h: what Ferry has in a project of Google's beside its services, found by its label: jobs of Cloud
 * Run, VMs, repositories of images, buckets. Only reads; asking wakes nothing.
 *
 * What cannot be listed (its API is off, a right is missing) is told for itself and hides nothing else. */
#ifndef FERRY_TARGET_HOLDINGS_H
#define FERRY_TARGET_HOLDINGS_H

#include "target/target.h"

enum holding_kind { HOLDING_JOB, HOLDING_VM, HOLDING_IMAGES, HOLDING_BUCKET, HOLDING_KINDS };

/* Strings live until the function that is told of it returns. */
struct holding {
    enum holding_kind kind;
    const char *name;
    const char *place;   /* its region, of a VM its zone */
    const char *region;  /* "asia-northeast1", or a bucket's "asia" */
    bool runs;           /* a job or VM that is charged for by the second */
    uint64_t bytes;      /* of images and objects */
    bool has_bytes;      /* false: not known */
    int64_t count;       /* images, objects; of a job that runs: tasks at a time */
    double vcpu, gib;    /* of a task */
    const char *machine; /* of a VM, with the three below */
    double disk_gb;
    bool external, spot;
    const char *storage_class; /* of a bucket: "standard" */
    int64_t soft_delete_days;  /* so long it keeps, and is charged for, what was deleted */
};

struct holdings_ear {
    bool (*found)(void *arg, const struct holding *h, struct err *e);
    /* what: "VMs", "gs://b"; why: one line */
    void (*unlisted)(void *arg, const char *what, const char *why);
    void *arg;
};

/* Of the run's project; needs its cloud. False with *e set: found said so, no memory, or stopped. */
bool holdings_list(struct target_run *r, const struct holdings_ear *ear, struct err *e);

#endif
