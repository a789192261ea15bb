/* stage_job.h: a staging by a Cloud Run Job: tasks of this very program beside the bucket, which share the
 * files (cmd/stage_share.c). The job is made, run once, followed and deleted, however it ends; one of the
 * same name that an earlier command has left behind is replaced. */
#ifndef FERRY_TARGET_STAGE_JOB_H
#define FERRY_TARGET_STAGE_JOB_H

#include "cloud/cloud.h"
#include "cloud/run.h"

#include <signal.h>

enum { STAGE_TASK_VCPU = 2, STAGE_TASK_GIB = 2, STAGE_TASK_RETRIES = 3 };

struct stage_job_progress {
    double seconds; /* since it was begun */
    int running, succeeded, failed;
};

struct stage_job {
    struct run_name where; /* name: stage_job_name */
    const char *image;
    const char *service_account; /* NULL: the project's default */
    const char *token_secret;    /* of Secret Manager, that holds HF_TOKEN; NULL: none */
    const char *const *args;     /* of ferry: "stage", …; ends with NULL */
    int tasks, timeout_seconds;  /* of a task, each time it is tried */
    const volatile sig_atomic_t *stop;
    void (*on_progress)(void *arg, const struct stage_job_progress *p); /* every few seconds; may be NULL */
    void *arg;
};

/* "ferry-stage-0123456789abcdef": the same for the same source and target. */
enum { STAGE_JOB_NAME = 40 };
char *stage_job_name(const char *source, const char *target, char out[STAGE_JOB_NAME]);

/* The body of the job, as Cloud Run's API has it (GoogleCloudRunV2Job); a new reference, NULL: no memory. */
json_t *stage_job_body(const struct stage_job *j);

/* True when every task has ended well, and the job is gone. False with *e set: what the API or the execution
 * says; ERR_CANCELLED, *stop: the tasks are stopped and the job is deleted. */
bool stage_job_run(struct cloud *c, const struct stage_job *j, struct err *e);

#endif
