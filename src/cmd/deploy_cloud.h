/* deploy_cloud.h: `ferry deploy` to Cloud Run: the plan's choice of an instance, what it costs, the question,
 * what would be sent. */
#ifndef FERRY_CMD_DEPLOY_CLOUD_H
#define FERRY_CMD_DEPLOY_CLOUD_H

#include "cmd/google.h"
#include "cmd/instance_options.h"
#include "plan/plan.h"
#include "target/cloud_run.h"

struct deploy_cloud_settings {
    const char *gpu;
    bool is_public, no_key, no_traffic, rollback, dry_run, yes, no_question;
};

struct deploy_cloud {
    struct target_run *run;
    const struct google_settings *google;
    const struct deploy_cloud_settings *settings;
    struct instance_settings *instance; /* --start may change */
    uint64_t memory_bytes;              /* --memory; 0: chosen */
    struct target_spec spec;            /* name and model */
    const char *source;                 /* what is read of the model; NULL: spec.model */
    enum plan_encoding encoding;        /* it will be in; PLAN_STORED: that of the source */
    bool quiet;                         /* --json */
};

/* In steps, for who has something to do between them: project and region of the run are found; the model is
 * read, and what it will be and what it costs is printed; it is deployed. NULL, false: *e is set. */
struct deploy_work *deploy_cloud_open(struct deploy_cloud *d, struct err *e);
bool deploy_cloud_plan(struct deploy_work *w, struct err *e);
bool deploy_cloud_apply(struct deploy_work *w, struct target_service *out, struct err *e);
/* Between plan and apply: cloud_run_copier and cloud_run_copied of what is to be deployed. */
bool deploy_cloud_copier(struct deploy_work *w, struct cloud_run_copier *out, struct err *e);
bool deploy_cloud_copied(struct deploy_work *w, struct err *e);
void deploy_cloud_close(struct deploy_work *w); /* NULL is fine */

/* Everything up to the service's answer, or the printed requests (*out->name is NULL then). */
bool deploy_cloud(struct deploy_cloud *d, struct target_service *out, struct err *e);

/* What a service's KV cache is kept in, as plans call it. */
enum plan_kv deploy_cloud_kv(const struct service_settings *s);

#endif
