#include "plan/cloud_run.h"

#include <stddef.h>

/* vCPUs with the least and the most GiB. 128 MiB and 512 MiB are possible with one; here it is 1 GiB. */
static const struct {
    int vcpu, least_gib, most_gib;
} shapes[] = {
    {1, 1, 4}, {2, 1, 8}, {4, 2, 16}, {6, 4, 24}, {8, 4, 32},
};

enum { SHAPES = sizeof shapes / sizeof *shapes, PERIOD_SECONDS = 10, PROBE_TIMEOUT_SECONDS = 5 };

bool run_shape_limits(int n, struct run_shape *least, struct run_shape *most)
{
    if (n >= SHAPES)
        return false;
    *least = (struct run_shape){shapes[n].vcpu, shapes[n].least_gib};
    *most = (struct run_shape){shapes[n].vcpu, shapes[n].most_gib};
    return true;
}

int run_gib_for(uint64_t bytes)
{
    double wanted = (double)bytes * (100 + RUN_MARGIN_PERCENT) / 100 / (double)PLAN_GIB;
    return wanted < 1e6 ? (int)ceil(wanted) : 1000000;
}

struct run_shape run_shape_for(uint64_t bytes, int vcpu)
{
    int gib = run_gib_for(bytes);
    for (size_t i = 0; i < SHAPES; i++) {
        if (gib > shapes[i].most_gib || (vcpu && vcpu != shapes[i].vcpu))
            continue;
        return (struct run_shape){shapes[i].vcpu, gib > shapes[i].least_gib ? gib : shapes[i].least_gib};
    }
    return (struct run_shape){0, gib};
}

/* --- how to start --- */

static int whole_seconds(struct span s, int otherwise)
{
    return span_known(s) && s.most < otherwise ? (int)ceil(s.most) : otherwise;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* A probe that waits for the load: what 240 s do not hold goes into the delay before the first try. */
static void wait_for_load(struct run_service *s, int seconds)
{
    int budget = least(seconds, RUN_PROBE_SECONDS);
    s->probe.initial_delay_s = least(seconds - budget, RUN_DELAY_SECONDS);
    s->probe.failure_threshold = (budget + PERIOD_SECONDS - 1) / PERIOD_SECONDS;
    s->probe.enough = seconds <= RUN_PROBE_SECONDS + RUN_DELAY_SECONDS;
}

enum run_start run_start_for(int min_instances)
{
    return min_instances > 0 ? RUN_GATE : RUN_STREAM;
}

struct run_service run_service_for(const struct run_wish *w, struct span load_seconds,
                                   struct span answer_seconds)
{
    enum { LEAST_TIMEOUT = 300, FEW = 3 }; /* Cloud Run's own default; tries for a port that opens at once */
    struct span wait = span_add(load_seconds, span_times(answer_seconds, w->parallel));
    int timeout = whole_seconds(wait, RUN_TIMEOUT_SECONDS);
    struct run_service s = {
        .shape = w->shape,
        .concurrency = w->parallel,
        .timeout_s = timeout < LEAST_TIMEOUT ? LEAST_TIMEOUT : timeout,
        .cpu_idle = w->cpu_idle,
        .start = w->start,
        .probe = {.period_s = PERIOD_SECONDS,
                  .timeout_s = PROBE_TIMEOUT_SECONDS,
                  .failure_threshold = FEW,
                  .enough = true},
    };
    if (w->start == RUN_GATE)
        wait_for_load(&s, whole_seconds(load_seconds, RUN_PROBE_SECONDS + RUN_DELAY_SECONDS + 1));
    return s;
}
