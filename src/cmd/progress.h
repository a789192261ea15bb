/* progress.h: shows on stderr how a long copy is going: on a terminal one line per file in flight and a
 * total, redrawn ten times a second at most; elsewhere a JSON line every five seconds. */
#ifndef FERRY_CMD_PROGRESS_H
#define FERRY_CMD_PROGRESS_H

#include "base/err.h"
#include "transfer/transfer.h"

#include <signal.h>
#include <stdbool.h>

struct progress;

/* Fills in how far it is; called by a thread of the display's own. */
typedef void (*progress_fn)(void *arg, struct transfer_progress *p);

struct progress_options {
    const char *what; /* "staging": the message of the JSON lines */
    bool quiet;       /* shows nothing */
    progress_fn sample;
    void *arg;
    const volatile sig_atomic_t *stop; /* nonzero: the display says that it is stopping */
};

/* o's pointers must outlive it. NULL with *e set. */
struct progress *progress_start(const struct progress_options *o, struct err *e);
/* Takes the display away. NULL is fine. */
void progress_end(struct progress *p);

/* progress_fn of a transfer; arg is the struct transfer. */
void progress_of_transfer(void *transfer, struct transfer_progress *p);

#endif
