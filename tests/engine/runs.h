/* runs.h: short ways to run an engine in tests. Failures fail the running test. */
#ifndef FERRY_TESTS_RUNS_H
#define FERRY_TESTS_RUNS_H

#include "engine/engine.h"

/* "ref", "avx2", "avx512". Under ThreadSanitizer "avx2" alone: races do not depend on which table computes,
 * and the plain one would take half an hour. */
#ifdef __SANITIZE_THREAD__
enum { RUN_CPUS = 1 };
#else
enum { RUN_CPUS = 3 };
#endif
extern const char *const run_cpus[RUN_CPUS];

/* NULL, and a message, when this CPU lacks the kernel table. */
struct engine *run_engine(const struct model *m, struct pool *pool, const struct engine_options *o);

/* A new session with its prompt begun; and prefilled in one go. */
struct session *run_begin(struct engine *g, const struct prompt *p);
struct session *run_prefill(struct engine *g, const struct prompt *p);

void run_decode(struct engine *g, struct session *const *sessions, const int *tokens, int n);

int run_best(const float *logits, int vocab); /* index of the largest */

#endif
