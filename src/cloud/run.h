/* run.h: Cloud Run (Admin API v2): services, their revisions, jobs and their executions. Bodies are JSON of
 * the API ("GoogleCloudRunV2Service" and so on), as are answers; what stands in them is the caller's
 * business. Each call answers NULL or false with *e set, the service's or job's name in front. Any thread.
 *
 * An etag in a body is a precondition: when somebody else has changed the resource meanwhile the answer is
 * ERR_BUSY, as it is when what is to be created is there already. */
#ifndef FERRY_CLOUD_RUN_H
#define FERRY_CLOUD_RUN_H

#include "cloud/cloud.h"
#include "cloud/operation.h"

/* Where a service or job is, or would be. */
struct run_name {
    const char *project, *region, *name;
};

json_t *service_get(struct cloud *c, const struct run_name *n, struct err *e); /* ERR_NOT_FOUND: none */
/* These two begin an operation: operation_finish(c, "run", "v2", …). mask: "template,traffic"; fields of the
 * body that it does not name stay as they are. */
json_t *service_create(struct cloud *c, const struct run_name *n, const json_t *body, struct err *e);
json_t *service_patch(struct cloud *c, const struct run_name *n, const char *mask, const json_t *body,
                      struct err *e);
/* The same; one that is gone already is deleted: {"done":true}. */
json_t *service_delete(struct cloud *c, const struct run_name *n, struct err *e);

/* Each revision, newest first; n->name "-": of all services there. */
typedef bool (*run_item_fn)(void *arg, const json_t *item, struct err *e);
bool revision_each(struct cloud *c, const struct run_name *n, run_item_fn fn, void *arg, struct err *e);

/* Services and jobs that have this label ("managed-by=ferry"), in all regions. v2 lists one region at a time,
 * so this is v1, as gcloud asks; only name, region and labels are told. Strings live until fn returns. */
struct run_found {
    const char *name, *region;
    const json_t *labels;
};
typedef bool (*run_found_fn)(void *arg, const struct run_found *f, struct err *e);
bool service_find(struct cloud *c, const char *project, const char *label, run_found_fn fn, void *arg,
                  struct err *e);
bool job_find(struct cloud *c, const char *project, const char *label, run_found_fn fn, void *arg,
              struct err *e);

/* What a container may take ("resources.limits"), in the words of v1 and of v2. 0: not said. */
struct run_limits {
    double vcpu, gib;
};
struct run_limits run_limits_of(const json_t *container);

/* Names of the regions there are. */
typedef bool (*run_region_fn)(void *arg, const char *region, struct err *e);
bool run_regions(struct cloud *c, const char *project, run_region_fn fn, void *arg, struct err *e);

/* --- jobs --- */

json_t *job_get(struct cloud *c, const struct run_name *n, struct err *e);
/* These three begin an operation. job_run: body {} or {"overrides":…}; its answer is the execution. */
json_t *job_create(struct cloud *c, const struct run_name *n, const json_t *body, struct err *e);
json_t *job_run(struct cloud *c, const struct run_name *n, const json_t *body, struct err *e);
json_t *job_delete(struct cloud *c, const struct run_name *n, struct err *e); /* gone already: done */

/* execution: its short name. */
json_t *execution_get(struct cloud *c, const struct run_name *n, const char *execution, struct err *e);
json_t *execution_cancel(struct cloud *c, const struct run_name *n, const char *execution, struct err *e);

#endif
