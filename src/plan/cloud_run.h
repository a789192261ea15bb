/* cloud_run.h: what shapes Cloud Run has, which one a service needs, and how it must be told to start.
 *
 * Limits and their sources (read 2026-10-01 unless said otherwise; cloud.google.com/run/docs):
 *   shapes       configuring/memory-limits, configuring/cpu, run/quotas: 1, 2, 4, 6 or 8 vCPU; at most 32 GiB
 *   what counts  memory-limits: the program, its allocations, and every file written outside a volume of
 *                disk: /tmp is memory. The container's image does not count
 *   images       run/quotas: no limit on their size. 10 GB is Google's advice for weights inside an image
 *                (configuring/jobs/gpu-best-practices)
 *   start        configuring/healthchecks, run v2 API of 2026-04-03: a startup probe waits at most
 *                periodSeconds * failureThreshold <= 240 s, behind initialDelaySeconds <= 240 s. Services
 * with more were seen in public; the documents do not promise it requests     request-timeout: at most 3600
 * s. An instance without requests is kept at most 15 minutes CPU          billing-settings: with
 * request-based billing only while it starts, stops and serves body         run/quotas: 32 MiB for a request
 * over HTTP/1 */
#ifndef FERRY_PLAN_CLOUD_RUN_H
#define FERRY_PLAN_CLOUD_RUN_H

#include "plan/span.h"

#include <stdint.h>

#define PLAN_GIB ((uint64_t)1 << 30)

enum {
    RUN_MOST_VCPU = 8,
    RUN_MOST_GIB = 32,
    RUN_IDLE_SECONDS = 900,  /* at most: it may be less */
    RUN_PROBE_SECONDS = 240, /* periodSeconds * failureThreshold */
    RUN_DELAY_SECONDS = 240, /* initialDelaySeconds */
    RUN_TIMEOUT_SECONDS = 3600,
    RUN_BODY_BYTES = 32 << 20,
    /* Room above the prediction, which a test holds within 3 %. */
    RUN_MARGIN_PERCENT = 5,
};

struct run_shape {
    int vcpu, gib; /* vcpu 0: none is large enough */
};

/* The n-th number of vCPUs there is, least first, with the least and most whole GiB it may have. False: no
 * more. */
bool run_shape_limits(int n, struct run_shape *least, struct run_shape *most);

/* The least memory in whole GiB that holds these bytes and the margin; more than Cloud Run has is fine. */
int run_gib_for(uint64_t bytes);

/* The shape for so many bytes. vcpu 0: the fewest that may have that memory; else so many, with more memory
 * when they must have it. vcpu 0 in the result: nothing fits, or not with so few. */
struct run_shape run_shape_for(uint64_t bytes, int vcpu);

/* --- how to start --- */

enum run_start {
    RUN_STREAM, /* the port answers at once, requests wait in the program for the weights */
    RUN_GATE,   /* ready when loaded: a startup probe waits */
};

/* What CPU a loader gets decides: an instance that is kept while nobody calls must be loaded before its probe
 * passes, since afterwards it has CPU only while it serves. One that starts for a request has it from there
 * on. */
enum run_start run_start_for(int min_instances);

struct run_wish {
    struct run_shape shape;
    int parallel;  /* requests at a time */
    bool cpu_idle; /* request-based billing */
    enum run_start start;
};

/* What `ferry deploy` tells the service. */
struct run_service {
    struct run_shape shape;
    int concurrency;
    int timeout_s; /* of a request, its wait for the weights included */
    bool cpu_idle;
    enum run_start start;
    struct {
        int initial_delay_s, period_s, failure_threshold, timeout_s;
        bool enough; /* the longest load that is expected stays within what is documented */
    } probe;
};

/* load_seconds: from the container's start to the last byte of the weights; answer_seconds: of one request
 * once they are there. Where they are unknown the most is allowed. */
struct run_service run_service_for(const struct run_wish *w, struct span load_seconds,
                                   struct span answer_seconds);

#endif
