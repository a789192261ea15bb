/* copying.h: what `cp`, `stage` and `exec` share: their options, running a transfer with its display, and
 * telling how it ended. */
#ifndef FERRY_CMD_COPYING_H
#define FERRY_CMD_COPYING_H

#include "cmd/option.h"
#include "transfer/transfer.h"

#include <jansson.h>
#include <stdio.h>

/* The first member of the settings of a command that uses copy_group. */
struct copy_settings {
    int workers;
    bool dry_run, json, quiet;
};
extern const struct option_group copy_group;

struct copying {
    const struct copy_settings *settings;
    const char *what;                  /* "staging" */
    const char *again;                 /* the command that goes on */
    const volatile sig_atomic_t *stop; /* from interrupt_watch */
    double seconds;                    /* it took */
};

/* How many files became what, and how many bytes were moved. */
struct copy_outcome {
    int copied, skipped, failed;
    uint64_t bytes_moved;
};

/* transfer_run with the display. False with *e set: stopped, or files failed, and the command that goes on.
 * Files whose trouble is another than the first one's, or is their own, have a line each on stderr. */
bool copying_run(struct copying *c, struct transfer *t, struct err *e);
struct copy_outcome copying_outcome(const struct transfer *t);

/* "3 files copied, 5.20 GB in 12 s (433 MB/s), 2 were there already". */
void copying_print(FILE *to, const struct copying *c, const struct copy_outcome *o);
/* The same as members of a JSON object. False: no memory. */
bool copying_json(const struct copying *c, const struct copy_outcome *o, json_t *into);

/* Prints the object and lets go of it. False with *e set when it is NULL. */
bool print_json(json_t *object, struct err *e);

#endif
