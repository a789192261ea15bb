/* cloud_run.h: services on Google Cloud Run, and all that belongs to one:
 *
 *   service account   ferry-NAME@PROJECT…, which may read the buckets of the model and of the live
 *                     configuration, and nothing else; its description says which, so that a deploy or a down
 *                     that was killed is found and goes on. Or one of the user's, of which nothing is changed
 *   secret            ferry-NAME-key of Secret Manager, with the API key, where one is to be made
 *   repository        "ferry" of Artifact Registry in the region, shared by all services there; the last one
 *                     that goes takes it along
 *   service           NAME, labelled managed-by=ferry
 *
 * Each step looks first whether it is done, so the same call again goes on where one was interrupted. Needs
 * cloud and project of struct target_run; apply needs the region, and a model in a bucket (gs://). While the
 * cloud rehearses (cloud.h) apply tells what it would send. What is refused comes in cloud_explain's words,
 * the step in front. */
#ifndef FERRY_TARGET_CLOUD_RUN_H
#define FERRY_TARGET_CLOUD_RUN_H

#include "target/registry.h"
#include "target/target.h"

#define CLOUD_RUN_REPOSITORY "ferry"

struct cloud_run_options {
    int vcpu, memory_gib;
    int concurrency;                  /* requests that an instance gets at a time */
    int timeout_seconds;              /* of a request */
    int min_instances, max_instances; /* max 0: as many as Google allows */
    bool cpu_idle;                    /* CPU only while it starts, serves and stops */
    struct {
        const char *path; /* "/readyz" */
        int initial_delay_seconds, period_seconds, failure_threshold, timeout_seconds;
    } probe;
    const char *service_account; /* the user's; NULL: one is made */
    struct {
        const char *secret, *version; /* the user's, that holds the API key that callers send; NULL: none */
        bool make;                    /* in place of that: one of our own */
    } key;
    /* A key was made, and is stored; it is nowhere else, and gone when this returns. May be NULL. */
    void (*on_key)(void *key_arg, const char *secret, const char *key);
    void *key_arg;
    bool is_public;      /* anyone may call it; else who has run.invoker on it */
    bool no_traffic;     /* the new revision gets no requests yet */
    const char *program; /* the ferry that goes into the image; NULL: the one that runs */
    push_fn on_blob;     /* of the image; may be NULL. arg is the run's */
    /* In a rehearsal: the requests that send the image. */
    void (*on_push_request)(void *arg, const struct push_request *q);
};

extern const struct target target_cloud_run;

/* Before a service is, tasks of Cloud Run may copy its model beside the bucket (stage_job.h): the image they
 * run, and the account they run as. That is the service's, which may write into the model's bucket until
 * cloud_run_copied; an account of the user's gets no right. In the arena of the run. */
struct cloud_run_copier {
    const char *image, *account;
};
bool cloud_run_copier(struct target_run *r, const struct target_spec *s, struct cloud_run_copier *out,
                      struct err *e);
/* It may write no more; nothing to take back is fine. */
bool cloud_run_copied(struct target_run *r, const struct target_spec *s, struct err *e);

/* Requests go to the newest good revision before the one that gets them now. *out: what runs then. False with
 * *e set: ERR_NOT_FOUND, there is no service or no such revision. */
bool cloud_run_rollback(struct target_run *r, const char *name, struct target_service *out, struct err *e);

/* What the account of a service remembers of it, whether that is there or not. In the arena of the run. */
struct cloud_run_memory {
    const char *service, *region;
    const char *model, *config; /* URIs as they were when the account was made; "" where not known */
    const char *buckets;        /* that it may read: "a b" */
};
typedef bool (*cloud_run_memory_fn)(void *arg, const struct cloud_run_memory *m, struct err *e);
bool cloud_run_memories(struct target_run *r, cloud_run_memory_fn fn, void *arg, struct err *e);

/* The destroy of struct target, which takes more away in between: behind the service and its images, before
 * the account, by which the rest is found again when this was killed. */
struct cloud_run_more {
    bool (*remove)(void *arg, struct err *e);
    void *arg;
};
bool cloud_run_destroy(struct target_run *r, const char *name, const struct cloud_run_more *more,
                       struct err *e);

#endif
