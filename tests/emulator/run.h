/* run.h: the parts of the emulated Cloud Run.
 *
 * A service is kept in the form of the v2 API, whichever API it came by; run_knative.c translates. Its doc's own members:
 * "_end_us", when it may be ready; "_error", what it then fails with, as google.rpc.Status. */
#ifndef FERRY_EMULATOR_RUN_H
#define FERRY_EMULATOR_RUN_H

#include "google.h"

#define RUN_API "run.googleapis.com"

bool run_is_region(const char *name);
bool run_has_gpu(const char *region);

/* "run/projects/demo-proj/locations/L/services/S"; of a job with "jobs". */
char *run_key(struct exchange *x, const char *region, const char *kind, const char *name);
/* The last part of a name or key. */
const char *last_part(const char *name);

/* Services whose time has come become what they will be. Before anything about them is told. */
void run_settle_locked(struct exchange *x);

/* Creates or changes a service out of a v2 body; answers and is NULL when that is refused. The doc is the world's. */
json_t *run_create_locked(struct exchange *x, const char *region, const char *name, const json_t *body);
json_t *run_change_locked(struct exchange *x, json_t *doc, const json_t *body, const char *mask);
void run_delete_locked(struct exchange *x, json_t *doc);

/* What is wrong with a template by the documented limits; NULL: nothing. Answers are the caller's. */
const char *template_problem(struct exchange *x, const json_t *template, const char *region);
/* A failure that is found only when it is deployed (an image that is not there, a secret that may not be read), as
 * google.rpc.Status, a new reference; NULL: none. */
json_t *template_failure_locked(struct exchange *x, const json_t *template, const char *revision);

/* run_knative.c: references of the caller's. */
json_t *knative_of_service(struct exchange *x, const json_t *doc);
json_t *service_of_knative(const json_t *knative);

/* routes */
void begin_run(struct exchange *x); /* captures[0] is the project */
void run_services_create(struct exchange *x);
void run_services_get(struct exchange *x);
void run_services_list(struct exchange *x);
void run_services_patch(struct exchange *x);
void run_services_delete(struct exchange *x);
void run_policy_get(struct exchange *x);
void run_policy_set(struct exchange *x);
void run_revisions_list(struct exchange *x);
void run_revisions_get(struct exchange *x);
void run_operations_get(struct exchange *x);
void run_operations_wait(struct exchange *x);
void run_locations(struct exchange *x);

void run_jobs_create(struct exchange *x);
void run_jobs_get(struct exchange *x);
void run_jobs_list(struct exchange *x);
void run_jobs_patch(struct exchange *x);
void run_jobs_delete(struct exchange *x);
void run_jobs_run(struct exchange *x);
void run_executions_list(struct exchange *x);
void run_executions_get(struct exchange *x);
void run_executions_cancel(struct exchange *x);

void knative_create(struct exchange *x);
void knative_get(struct exchange *x);
void knative_list(struct exchange *x);
void knative_replace(struct exchange *x);
void knative_delete(struct exchange *x);
void knative_find(struct exchange *x); /* services of all regions */
void knative_jobs(struct exchange *x);

#endif
