/* service_metrics.h: what a Ferry service tells of itself at /metrics (Prometheus' text format 0.0.4). */
#ifndef FERRY_CMD_SERVICE_METRICS_H
#define FERRY_CMD_SERVICE_METRICS_H

#include "base/arena.h"
#include "base/err.h"
#include "net/http.h"

/* Sums over labels; NAN: the page does not say. */
struct service_metrics {
    double began_s; /* since 1970 */
    double ready;   /* 1 when the model is loaded */
    double running, waiting, slots;
    double requests, prompt_tokens, completion_tokens; /* since it began */
    double first_token_seconds, first_tokens;          /* sum and count */
    double resident_bytes;
    double load_bytes, load_total_bytes, load_bytes_per_second, load_first_token_seconds;
};

/* From the page's text. */
void service_metrics_parse(const char *page, struct service_metrics *out);

/* q: how it is asked; base: a service's address as users write it. All NAN when it has an empty page (asleep)
 * or none. False with *e set: no answer, or a key is wanted. */
bool service_metrics_get(struct http *h, const struct http_request *q, struct arena *a, const char *base,
                         struct service_metrics *out, struct err *e);

#endif
