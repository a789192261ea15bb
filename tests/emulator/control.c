/* control.c: what run_emulator asks: other faults, wait until nothing is under way, forget the log or what
 * was invalid. None of
 * it is logged. */
#include "endpoints.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { IDLE_MS = 30000 }; /* more than a stalled upload goes on behind the client that gave it up */

void control_faults(struct exchange *x)
{
    struct err e = {0};
    atomic_store(&x->service->clock_offset, 0);
    if (faults_set(x->service->faults, x->body.bytes, &e))
        answer_empty(x, 204);
    else
        answer_text(x, 400, "text/plain", e.text);
}

/* The log line of a request is written a moment after its client has the last byte. */
void control_idle(struct exchange *x)
{
    for (int ms = 0; atomic_load(&x->service->under_way) > 1 && ms < IDLE_MS; ms++)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    answer_empty(x, atomic_load(&x->service->under_way) > 1 ? 503 : 204);
}

/* The test has seen them, and meant it. */
void control_invalid_forget(struct exchange *x)
{
    answer_empty(x, ftruncate(x->service->invalid, 0) == 0 ? 204 : 500);
}

void control_log_clear(struct exchange *x)
{
    answer_empty(x, ftruncate(x->service->log, 0) == 0 ? 204 : 500);
}
