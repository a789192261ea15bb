/* scheduler.h: one thread that owns the engine and lets many generations share it.
 *
 * First come, first served. While a session is free the oldest waiting generation gets it; its prompt is
 * worked on in slices, and between two slices every running sequence decodes one token, all in one pass over
 * the weights. Nobody's text depends on who runs beside: each sequence has its own sampler and seed
 * (seed + its index). With nothing to do the thread sleeps.
 *
 * While weights still arrive (m->model.arrival) every prompt that has a session goes on right behind them,
 * one layer at a time in turns; answers whose tokens' rows are there decode between. When the load fails, so
 * does every generation that needs what is missing, with its reason (ERR_TRANSIENT).
 *
 *   struct scheduler *s = scheduler_new(&model, 64, &e);
 *   struct generation *g = generation_new(&spec, (struct sink){on_event, me}, &e);
 *   if (!scheduler_submit(s, g, &e)) …                          ERR_BUSY: the queue is full
 *   … on_event(me, event) on the scheduler's thread: EVENT_TEXT …, then once EVENT_DONE or EVENT_FAILED …
 *   generation_free(g);                                          after that last event
 *   scheduler_free(s); */
#ifndef FERRY_SERVE_SCHEDULER_H
#define FERRY_SERVE_SCHEDULER_H

#include "base/err.h"
#include "engine/prompt.h"
#include "engine/sampler.h"
#include "serve/loaded_model.h"

#include <stdbool.h>
#include <stddef.h>

struct scheduler;
struct generation;

/* What to generate. Everything it points to is the caller's until the last event. */
struct generation_spec {
    struct prompt prompt;
    struct sampling sampling;
    int choices;              /* answers to the one prompt; at least 1 */
    int max_tokens;           /* of each choice; 0: until the context is full */
    const char *const *stops; /* [stop_count] */
    int stop_count;
    bool logprobs;
    int top_logprobs; /* alternatives per token, 0..20 */
};

enum event_kind {
    EVENT_STARTED, /* it has a session; its prompt is being worked on */
    EVENT_TEXT,    /* text of one choice (perhaps none yet, with logprobs of tokens) */
    EVENT_FINISH,  /* one choice is complete */
    EVENT_DONE,    /* all are: last event */
    EVENT_FAILED,  /* err says why: last event */
};

enum finish_reason {
    FINISH_STOP,   /* a stop id or a stop string */
    FINISH_LENGTH, /* max_tokens, or the context is full */
};

/* One token of EVENT_TEXT, when logprobs were asked for. */
struct token_report {
    struct token_logprob chosen;
    struct token_logprob top[20];
    int top_count;
};

struct generation_stats {
    int prompt_tokens, completion_tokens; /* of all choices */
    double queue_ms;                      /* submitted -> session */
    double first_token_ms;                /* submitted -> first token; 0: none came */
    double total_ms;                      /* submitted -> now */
};

struct event {
    enum event_kind kind;
    int choice;
    const char *text; /* whole characters, NUL-terminated; lives as long as the call */
    size_t text_size;
    const struct token_report *tokens; /* [token_count] */
    int token_count;
    enum finish_reason finish;
    int choice_tokens;             /* EVENT_FINISH: tokens of this choice, a stop id included */
    struct generation_stats stats; /* last event */
    const struct err *err;         /* EVENT_FAILED */
};

/* Called on the scheduler's thread, one event at a time. It must be quick, since everyone waits; it may call
 * scheduler_continue and scheduler_cancel, and generation_free for the generation of a last event. */
struct sink {
    void (*event)(void *arg, const struct event *event);
    void *arg;
};

/* NULL with *e set: a value out of range (sampling, stops), or no memory. */
struct generation *generation_new(const struct generation_spec *spec, struct sink sink, struct err *e);
void generation_free(struct generation *g); /* never submitted, or after its last event; NULL is fine */

/* max_waiting: generations that may wait for a session, at least 1. NULL with *e set. From here on the
 * scheduler's thread is the only one that touches m->engine. */
struct scheduler *scheduler_new(struct loaded_model *m, int max_waiting, struct err *e);

/* Fails what is left (ERR_CANCELLED), then ends the thread. NULL is fine. */
void scheduler_free(struct scheduler *s);

/* Any thread. False with *e set and no event to come: ERR_BUSY when max_waiting wait already, ERR_CANCELLED
 * when draining. */
bool scheduler_submit(struct scheduler *s, struct generation *g, struct err *e);

/* From a sink only: the next piece of a request that was let in before goes to the front, whatever the limit.
 */
bool scheduler_continue(struct scheduler *s, struct generation *g, struct err *e);

/* Any thread: the generation fails with ERR_CANCELLED within one token. Without effect before it is submitted
 * or after its last event (but it must not be freed yet). */
void scheduler_cancel(struct scheduler *s, struct generation *g);

/* Takes nothing new, waits until all is finished or the deadline, then fails the rest with ERR_CANCELLED.
 * True when nothing had to be cut. */
bool scheduler_drain(struct scheduler *s, double seconds);

struct scheduler_load {
    int waiting, running; /* generations */
};
struct scheduler_load scheduler_load(const struct scheduler *s);

#endif
