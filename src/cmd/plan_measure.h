/* plan_measure.h: `ferry plan --measure`: how fast bytes come and how fast memory is read, tried for a few
 * seconds and remembered with the day in $XDG_STATE_HOME/ferry/measured.json (~/.local/state), so that later
 * plans rest on it.
 *
 * What is tried in a Cloud Run job or service (CLOUD_RUN_JOB or K_SERVICE is set there) counts for plans of
 * that region; what is tried elsewhere is told beside the plan and changes none of its numbers. */
#ifndef FERRY_CMD_PLAN_MEASURE_H
#define FERRY_CMD_PLAN_MEASURE_H

#include "cmd/plan_model.h"

#include <jansson.h>
#include <signal.h>

enum measured_what { MEASURED_FETCH, MEASURED_MEMORY };

struct measurement {
    enum measured_what what;
    char where[64];    /* "here", "cloud-run asia-northeast1" */
    char from[256];    /* what was fetched from: "gs://bucket", "hf://owner/name"; "" for memory */
    double per_second; /* bytes */
    int cores;
    char date[16]; /* "2026-11-25" */
};

enum { MEASUREMENTS_MOST = 64 };
struct measurements {
    struct measurement items[MEASUREMENTS_MOST]; /* newest last */
    int count;
};

/* None yet is fine. False with *e set: the file is not what it should be. */
bool measurements_read(struct measurements *m, struct arena *a, struct err *e);
bool measurements_write(const struct measurements *m, struct arena *a, struct err *e);
/* The text of that file. */
bool measurements_parse(struct measurements *m, const char *text, size_t size, struct err *e);

/* The newest of that kind and place; scheme: what `from` begins with, "" for any. NULL: none. */
const struct measurement *measurements_find(const struct measurements *m, enum measured_what what,
                                            const char *where, const char *scheme);

/* The newest of that region from a bucket, and of memory there; NAN where nothing was. What was tried
 * elsewhere says nothing about it. */
struct plan_measured measurements_there(const struct measurements *m, const char *region);

/* In place of an older one of the same kind, place and source. */
void measurements_add(struct measurements *m, const struct measurement *new);

/* "here", or "cloud-run REGION" inside Cloud Run. */
void measured_where(char out[64], const char *region);

/* Some seconds each. Fetching adds nothing for a model that lies on this machine. False with *e set: reading
 * failed, *stop. */
bool measure(struct measurements *m, const struct model_reading *r, const char *region,
             const volatile sig_atomic_t *stop, struct err *e);

#endif
