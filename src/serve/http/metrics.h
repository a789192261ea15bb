/* metrics.h: what /metrics tells, in Prometheus' text format 0.0.4. Any thread. */
#ifndef FERRY_SERVE_HTTP_METRICS_H
#define FERRY_SERVE_HTTP_METRICS_H

#include "model/arrival.h"
#include "serve/config/live.h"
#include "serve/http/bytes.h"
#include "serve/scheduler.h"

struct metrics;

struct metrics *metrics_new(void); /* NULL: no memory */
void metrics_free(struct metrics *m);

/* A finished request. route: a constant; seconds: from its head to its last byte; s: zero without generation.
 */
void metrics_request(struct metrics *m, const char *route, int status, double seconds,
                     const struct generation_stats *s);

/* What is true now. */
struct metrics_now {
    struct scheduler_load load;
    int slots; /* sessions at a time; 0: there is no model yet */
    int connections;
    size_t body_bytes;
    bool ready;
    struct arrival *arrival;          /* NULL: nobody tells of the load */
    const char *version, *math, *cpu; /* of ferry_build_info; cpu "" without a model */
    const struct live_status *config; /* NULL: there is no live configuration */
};

bool metrics_write(struct metrics *m, const struct metrics_now *now, struct bytes *out);

#endif
