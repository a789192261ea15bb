/* run.h: the parts of the emulated Cloud Run (Admin API v2, and v1 where it lists all regions).
 *
 * A service's doc is what was asked for; its own members "_end_us", when the newest revision may be ready,
 * "_error", what it then fails with (google.rpc.Status), and "_ready", the newest revision that was ready
 * before, make of it what is told at a moment. */
#ifndef FERRY_EMULATOR_RUN_H
#define FERRY_EMULATOR_RUN_H

#include "google.h"

#define RUN_API "run.googleapis.com"

/* run_limits.c */
bool run_is_region(const char *name);
/* What is wrong with a template by the documented limits; NULL: nothing. */
const char *template_problem(struct exchange *x, const json_t *template, const char *region);
/* A failure that is found only when it is deployed (an image that is not there), as google.rpc.Status, a new
 * reference; NULL: none. */
json_t *template_failure_locked(struct exchange *x, const json_t *template, const char *revision);

/* routes; captures[0] is the project */
void begin_run(struct exchange *x);
void run_services_create(struct exchange *x);
void run_services_get(struct exchange *x);
void run_services_patch(struct exchange *x);
void run_services_delete(struct exchange *x);
void run_policy_get(struct exchange *x);
void run_policy_set(struct exchange *x);
void run_revisions_list(struct exchange *x);
void run_revisions_get(struct exchange *x);
void run_operations_get(struct exchange *x);
void run_find(struct exchange *x);
void run_locations(struct exchange *x);

#endif
