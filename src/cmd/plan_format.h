/* plan_format.h: quantities of a plan as people read them. What is unknown says so. Strings are the report's.
 */
#ifndef FERRY_CMD_PLAN_FORMAT_H
#define FERRY_CMD_PLAN_FORMAT_H

#include "cmd/report.h"
#include "plan/span.h"

#include <stdint.h>

/* Dollars, or yen at a rate that somebody has given. */
struct money {
    double yen_per_usd; /* 0: dollars */
};

const char *say_usd(struct report *r, const struct money *m, double usd);           /* "$0.36", "¥5,400" */
const char *say_usd_span(struct report *r, const struct money *m, struct span usd); /* "$1.20–4.60" */
const char *say_seconds(struct report *r, double seconds);                          /* "12 s", "3.4 min" */
const char *say_seconds_span(struct report *r, struct span seconds);                /* "12–95 s" */
const char *say_number_span(struct report *r, struct span n);    /* three digits: "1.25–5.80" */
const char *say_count(struct report *r, double n);               /* "8,397,094,912" */
const char *say_few(struct report *r, double n);                 /* "35.3"; "0" when there is hardly any */
const char *say_gib(struct report *r, uint64_t bytes);           /* "15.6 GiB", "64 MiB" */
const char *say_rate(struct report *r, double bytes_per_second); /* "310 MB/s" */
/* "1,240", "never", "unknown": a number of requests a day from which something else is cheaper. */
const char *say_from_span(struct report *r, struct span requests);

#endif
