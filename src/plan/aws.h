/* aws.h: where else it could run, and what rules a place out: Amazon's limits from its own API schemas, its
 * prices where the snapshot has them (us-east-1; none for Tokyo). */
#ifndef FERRY_PLAN_AWS_H
#define FERRY_PLAN_AWS_H

#include "plan/prices.h"

#include <stdint.h>

enum aws_verdict {
    AWS_NO,      /* a limit rules it out */
    AWS_YES,     /* what is known of its limits lets it in */
    AWS_UNKNOWN, /* the limit that would decide is not in the snapshot */
};

struct aws_place {
    const char *name; /* "Lambda" */
    enum aws_verdict verdict;
    char why[200];      /* the limit beside what is needed */
    double usd_month;   /* left running for 730 hours; NAN: unknown */
    const char *region; /* whose price that is; "" */
    const char *idle;   /* what it costs while nobody calls: "scales to zero" */
};

enum { AWS_PLACES = 8 };

/* cpu_bytes: memory on CPUs, weights and all; gpu_bytes: what a GPU must hold (weights, KV cache). */
void aws_places(struct aws_place out[AWS_PLACES], const struct prices *p, uint64_t cpu_bytes,
                uint64_t gpu_bytes);

#endif
