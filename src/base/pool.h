/* pool.h: a fixed set of threads that work on one thing at a time.
 *
 * pool_run and pool_each are called by one thread, the owner, which works along as thread 0. Between calls
 * the others sleep in the kernel; inside a burst of calls they look for the next one for a few microseconds
 * before they sleep, because a decoded token is some hundred short calls in a row. */
#ifndef FERRY_BASE_POOL_H
#define FERRY_BASE_POOL_H

#include "base/err.h"

#include <stddef.h>

struct pool;

/* threads >= 1 counts the caller. NULL with *e set when threads cannot be had. */
struct pool *pool_new(int threads, struct err *e);
void pool_free(struct pool *p); /* NULL is fine */
int pool_threads(const struct pool *p);

/* fn(arg, thread) once on every thread, 0 <= thread < pool_threads. Returns when all have. */
void pool_run(struct pool *p, void (*fn)(void *arg, int thread), void *arg);

/* fn over [0, count) cut in pieces of `grain` (the last may be shorter), handed out as threads get free. */
void pool_each(struct pool *p, size_t count, size_t grain,
               void (*fn)(void *arg, size_t begin, size_t end, int thread), void *arg);

#endif
