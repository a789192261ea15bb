/* operation.h: waiting for what Google has begun and has not finished yet (google.longrunning.Operation, and
 * whatever else has to be asked again and again). */
#ifndef FERRY_CLOUD_OPERATION_H
#define FERRY_CLOUD_OPERATION_H

#include "cloud/cloud.h"

#include <signal.h>
#include <stdint.h>

/* Told about once a second while it is not done. False with *e set ends the waiting, not the operation. */
typedef bool (*wait_fn)(void *arg, double seconds, struct err *e);

struct wait {
    int seconds; /* as long at most; 0: 600 */
    const volatile sig_atomic_t *stop;
    wait_fn on_wait; /* may be NULL */
    void *arg;
};

/* Waits until `begun`, the answer of the call that began it, is done; takes the reference (NULL: *e is set
 * already). api, version: where its name is asked for ("run", "v2"). What it answers ({} when nothing), a
 * reference of the caller's; NULL with *e set: it failed (cloud_explain_status), ERR_TRANSIENT (not done in
 * time), ERR_CANCELLED (*stop): it may still end well then. */
json_t *operation_finish(struct cloud *c, const char *api, const char *version, json_t *begun,
                         const struct wait *w, struct err *e);

/* The pace of such a wait: soon at first, every 5 s later. Zeroed, with its wait, it begins. One thread. */
struct pace {
    const struct wait *wait;
    uint64_t since_ns, told_ns;
    int next_ms;
};

/* Sleeps until it is time to ask again. False with *e set: the time is over, *stop, what on_wait said. */
bool pace_wait(struct pace *p, struct err *e);
double pace_seconds(const struct pace *p); /* since its first wait */

#endif
