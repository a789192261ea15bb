/* running_cost.h: what it costs that services and other things of Ferry's are there, by the snapshot of
 * prices, while nobody asks. */
#ifndef FERRY_CMD_RUNNING_COST_H
#define FERRY_CMD_RUNNING_COST_H

#include "plan/prices.h"
#include "target/holdings.h"

#include <stdint.h>

/* USD a month of 730 hours. NAN: not known. */
double running_cost_service(const struct prices *p, const struct target_service *s);
/* USD an hour of an instance while it answers. NAN: not known, or it is not Google's. */
double running_cost_answering(const struct prices *p, const struct target_service *s);

/* What is free is free once: in the order in which they are asked about, zeroed at first. */
struct running_free {
    uint64_t image_bytes, bucket_bytes;
};
/* A job that runs costs so for as long as it does. */
double running_cost_holding(const struct prices *p, struct running_free *used, const struct holding *h);

/* "$0.36", "$0", "unknown" into out. */
enum { RUNNING_COST_TEXT = 24 };
const char *running_cost_text(double usd, char out[RUNNING_COST_TEXT]);

#endif
