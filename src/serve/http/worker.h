/* worker.h: a thread that works through calls one after another: parsing and preparing requests takes too
 * long for the HTTP thread. It begins when the model is there: until then calls are held. */
#ifndef FERRY_SERVE_HTTP_WORKER_H
#define FERRY_SERVE_HTTP_WORKER_H

#include "base/err.h"
#include "serve/http/call.h"

struct worker;

enum { WORKER_THREADS = 2 };

/* run gets a reference to each call, which it must drop or pass on. */
struct worker *worker_new(void (*run)(void *arg, struct call *c), void *arg, struct err *e);
void worker_free(struct worker *w); /* worker_stop if need be; NULL is fine */

bool worker_push(struct worker *w, struct call *c); /* takes a reference of its own. False: no memory */
int worker_waiting(const struct worker *w);

void worker_open(struct worker *w); /* begin */
void worker_stop(struct worker *w); /* runs what is left, then ends the threads; once */

#endif
