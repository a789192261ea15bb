/* retry.h: when to try again, and how long to wait first.
 *
 *   struct retry retry = retry_start(&retry_default, h, stop);
 *   do ok = http_send(h, &q, &reply, e);
 *   while (retry_wanted(&retry, ok, &reply, e) && retry_wait(&retry));
 *
 * Exponential with full jitter: a random time between nothing and first_ms * 2^tries, at most cap_ms
 * (the values of gcloud: 1 s, 32 s). What the answer itself asks for counts when it is longer: Retry-After,
 * and the hub's "RateLimit: "api";r=0;t=55" (wait t + 1 seconds). One thread. */
#ifndef FERRY_NET_RETRY_H
#define FERRY_NET_RETRY_H

#include "base/err.h"
#include "net/http.h"

struct retry_policy {
    int first_ms, cap_ms;
    int max_tries;      /* 0: no limit but the time */
    int max_seconds;    /* since the first failure; something that moved starts it anew (retry_progress) */
    int longest_wait_s; /* an answer that asks for more is not waited for: it is reported */
};
extern const struct retry_policy retry_default; /* 1 s, 32 s, 8 tries, 300 s, 120 s */

struct retry {
    const struct retry_policy *policy;
    const struct http *http;           /* once it winds down nothing is tried again; may be NULL */
    const volatile sig_atomic_t *stop; /* nor once this is set; may be NULL */
    int tries;
    uint64_t since_ns; /* of the first failure, 0: none */
    int wait_ms;       /* what retry_wait will sleep */
};

struct retry retry_start(const struct retry_policy *p, const struct http *h,
                         const volatile sig_atomic_t *stop);

/* True when this outcome is worth another try and tries are left: connection errors, stalls and short bodies
 * (ERR_TRANSIENT), 408, 429, 500, 502, 503, 504. Not 400, 403, 404, 412, nor anything that succeeded. */
bool retry_wanted(struct retry *r, bool sent, const struct http_reply *reply, const struct err *e);

/* The same for a failure that is no HTTP answer (a checksum that is wrong, say). */
bool retry_again(struct retry *r);

/* Sleeps; false when it was told to stop meanwhile. */
bool retry_wait(struct retry *r);

/* Bytes moved: the next failure counts as the first. */
void retry_progress(struct retry *r);

#endif
