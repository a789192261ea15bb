/* generation.h: a request's way through the scheduler, as the scheduler sees it.
 *
 *   waiting ──session free──▶ prefill of root ──▶ choices start: each a fork of root, the last one root
 * itself
 *
 * When no session is free for a fork and no choice of this generation runs, the next choice takes root, and
 * the prompt is prefilled again for those after it: slow, but it needs one session only. */
#ifndef FERRY_SERVE_BATCH_GENERATION_H
#define FERRY_SERVE_BATCH_GENERATION_H

#include "serve/batch/sequence.h"
#include "serve/scheduler.h"

#include <stdatomic.h>

enum cancel { CANCEL_NONE, CANCEL_CALLER, CANCEL_STOPPING };

struct generation {
    struct generation_spec spec;
    struct sink sink;
    _Atomic int cancel;      /* enum cancel */
    struct generation *next; /* in the waiting or the active list */
    struct session *root;    /* the prompt's; NULL: none yet, or a choice took it */
    bool prefilled;
    struct sequence *first;     /* choice 0, made at submission so that bad values are refused there */
    struct sequence **running;  /* [running_count] */
    int running_count, started; /* started: choices begun so far */
    int completion_tokens;      /* of finished choices */
    double submitted_ms, session_ms, first_token_ms; /* clock_ms; 0: not yet */
};

/* Starts as many choices as there are sessions for. False with *e set. */
bool generation_start_choices(struct generation *g, const struct loaded_model *m, struct err *e);

/* After sequence_step: notes the first token's time, retires the choice when it is finished. */
void generation_note_step(struct generation *g, int index);

bool generation_complete(const struct generation *g);

/* Gives back sessions and sequences, then sends the last event; why == NULL: EVENT_DONE. The generation may
 * be gone afterwards. */
void generation_end(struct generation *g, const struct err *why);

#endif
