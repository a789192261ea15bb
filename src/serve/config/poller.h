/* poller.h: the thread that looks at the live configuration, while requests come and only then.
 *
 * On Cloud Run with request-based billing there is no CPU between requests, so a clock of its own would stand
 * still there, and elsewhere ask a bucket all night for nobody. So requests drive it:
 *
 *   asked less than an interval ago     nothing happens
 *   less than two                       a look begins beside the request, which does not wait for it
 *   longer ago, or never                the request waits for the look, until POLLER_WAIT_MS after the look
 * was asked for (the first one: POLLER_FIRST_MS), then takes what is in force
 *
 * So under load nobody waits and a configuration is at most two intervals old, and after a pause the first
 * request has the newest at the price of one short answer of the bucket. The look begins when the request's
 * head is there, so that an upload and the look go on side by side. */
#ifndef FERRY_SERVE_CONFIG_POLLER_H
#define FERRY_SERVE_CONFIG_POLLER_H

#include "serve/config/live.h"

struct poller;

enum { POLLER_WAIT_MS = 500, POLLER_FIRST_MS = 5000 };

/* The first look begins at once. l must outlive it. */
struct poller *poller_new(struct live *l, struct err *e);
void poller_free(struct poller *p); /* breaks off a look that is under way; NULL is fine */

/* Any thread. touch: begins a look when one is due, and does not wait. fresh: waits too, as said above; once
 * poller_stop was called it waits no more. */
void poller_touch(struct poller *p, double now_ms);
void poller_fresh(struct poller *p, double now_ms);
void poller_stop(struct poller *p);

bool poller_is_looking(struct poller *p);

#endif
