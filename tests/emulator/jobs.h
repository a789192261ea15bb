/* jobs.h: Cloud Run Jobs (Admin API v2), written from its description (tests/data/apis/run-v2.json). The
 * tasks of an execution are processes on this machine: the program of the settings, whatever image the job
 * names, with the container's arguments and variables, those of a task, and endpoints that lead back here. A
 * task that fails is tried again as often as the job allows. Any thread. */
#ifndef FERRY_EMULATOR_JOBS_H
#define FERRY_EMULATOR_JOBS_H

#include "exchange.h"

struct jobs;
struct jobs *jobs_new(void);
void jobs_free(struct jobs *j); /* ends what runs */

void jobs_find(struct exchange *x); /* of all regions, in Knative's words; looks at no label, as v1 does */
void job_insert(struct exchange *x);
void job_read(struct exchange *x);
void job_verb(struct exchange *x); /* NAME:run */
void job_remove(struct exchange *x);
void execution_read(struct exchange *x);
void execution_verb(struct exchange *x); /* NAME:cancel */
void job_operation(struct exchange *x);

#endif
