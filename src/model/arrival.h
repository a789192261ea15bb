/* arrival.h: how far the weights of a model are there, while they still come.
 *
 *   whoever brings them   arrival_plan, arrival_expect …, then arrival_add … as bytes are there for good,
 *                         arrival_end or arrival_fail
 *   whoever computes      arrival_wait, arrival_rows_wait: each step waits for what it reads
 *   whoever tells         arrival_progress, arrival_stage
 *
 * A byte counts once it may be computed with. A NULL arrival means everywhere that everything is there. Once
 * everything is, asking costs one atomic load. Any thread. Times are milliseconds since `start`. */
#ifndef FERRY_MODEL_ARRIVAL_H
#define FERRY_MODEL_ARRIVAL_H

#include "base/err.h"
#include "model/stage.h"

#include <stdbool.h>
#include <stdint.h>

struct arrival;

/* start_ms: clock_ms() when the process began to start. NULL with *e set when memory is short. */
struct arrival *arrival_new(double start_ms, struct err *e);
void arrival_free(struct arrival *a); /* NULL is fine; nobody waits any more */

/* --- bringing --- */

/* The stages of this model, all empty. Once. c is copied. */
bool arrival_plan(struct arrival *a, const struct model_config *c, struct err *e);
/* That many more bytes belong to a stage (or, stage < 0, to none): all of it before anybody computes. */
void arrival_expect(struct arrival *a, int stage, uint64_t bytes);
/* That many of them are there. Wakes who waits. */
void arrival_add(struct arrival *a, int stage, uint64_t bytes);
/* Everything is there and checked. */
void arrival_end(struct arrival *a);
/* Nothing more will come: every wait ends with this error. The first one counts; none does after arrival_end.
 */
void arrival_fail(struct arrival *a, const struct err *why);

/* Rows of the embedding singly, before it is there as a whole. Both are quick and are called without a lock
 * of the arrival's held; `except` is an id whose row nobody reads (-1: none). */
struct arrival_rows {
    bool (*there)(void *arg, const int *ids, int count, int except);
    void (*want)(void *arg, const int *ids, int count, int except); /* next, before anything else */
    void *arg;
};
void arrival_set_rows(struct arrival *a, const struct arrival_rows *rows);

/* How many prompts are being worked on, so that what they need comes first. */
struct arrival_asked {
    int audio, text;
};
struct arrival_asked arrival_asked(const struct arrival *a);

/* --- computing --- */

void arrival_ask(struct arrival *a, bool audio);   /* a prompt begins, with a recording or without */
void arrival_unask(struct arrival *a, bool audio); /* it is through, or given up */

bool arrival_complete(const struct arrival *a);
bool arrival_has(const struct arrival *a, int stage);
bool arrival_wait(struct arrival *a, int stage, struct err *e); /* false: it failed before */

void arrival_want_rows(struct arrival *a, const int *ids, int count, int except);
bool arrival_has_rows(struct arrival *a, const int *ids, int count, int except);
bool arrival_wait_rows(struct arrival *a, const int *ids, int count, int except, struct err *e);

/* For who has several things to wait for: look at the version, look at all of them, wait for another version
 * or for so long. A failure is another version too; arrival_failed tells. */
uint64_t arrival_version(struct arrival *a);
void arrival_wait_change(struct arrival *a, uint64_t version, int milliseconds);
void arrival_nudge(struct arrival *a);                 /* another version, nothing else */
bool arrival_failed(struct arrival *a, struct err *e); /* true: *e says why */

/* --- telling --- */

/* What the time of a start goes into. Each moment belongs to one of them, so that they add up. */
enum load_phase {
    PHASE_START,   /* the program, the port */
    PHASE_FILES,   /* listing the place, config, tokenizer */
    PHASE_HEADERS, /* index and headers of the shards, memory, the engine */
    PHASE_FETCH,   /* weights come, nobody has asked anything */
    PHASE_WAIT,    /* a prompt waits for weights */
    PHASE_COMPUTE, /* a prompt or an answer is computed */
    PHASE_COUNT
};
void arrival_phase(struct arrival *a, enum load_phase phase); /* from now on; nothing after arrival_end */
const char *load_phase_name(enum load_phase p);               /* "start", "files", … */

/* A step that read a stage's weights. Kept for the first prompt, up to the head's first step, which is the
 * first token. */
void arrival_computed(struct arrival *a, int stage, double begin_clock_ms, double end_clock_ms);

enum load_state { LOAD_STARTING, LOAD_LOADING, LOAD_LOADED, LOAD_FAILED };

struct arrival_progress {
    enum load_state state;
    uint64_t bytes, total;   /* total 0: not known yet */
    double bytes_per_second; /* lately; 0: not known */
    double elapsed_ms;       /* until arrival_end or arrival_fail, or now */
    double first_token_ms;   /* from now on, predicted; 0: it could come at once; below 0: not known */
    double loaded_ms;        /* the same until everything is there */
    int stages, reached;     /* reached: in the order of computing, the first that is not there */
    double phase_ms[PHASE_COUNT];
};
void arrival_progress(struct arrival *a, struct arrival_progress *p);

struct arrival_stage {
    char name[STAGE_NAME];
    uint64_t bytes, total;             /* that are there, and of all of it */
    double arrived_ms;                 /* 0: not yet */
    double begun_ms, done_ms, busy_ms; /* of the first prompt's computing; 0: not yet */
};
struct arrival_stage arrival_stage(struct arrival *a, int stage); /* 0 <= stage < stages */

#endif
