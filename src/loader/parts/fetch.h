/* fetch.h: the ranges of a layout from a store into their places, over several connections, in an order that
 * follows who waits. */
#ifndef FERRY_LOADER_PARTS_FETCH_H
#define FERRY_LOADER_PARTS_FETCH_H

#include "loader/parts/layout.h"

struct fetch;

/* All of it must outlive the fetch. connections: at most. */
struct fetch *fetch_new(struct store *s, const struct layout *l, struct arrival *a, int connections,
                        struct err *e);
void fetch_free(struct fetch *f); /* not while it runs; NULL is fine */

/* The first `bytes` of a source, whole ranges of them or all, are there already. Before fetch_run. */
void fetch_skip(struct fetch *f, int source, uint64_t bytes);

/* Returns when every range is there, and every source without a manifest is what its place says of it as a
 * whole. False with *e set: a range that the store does not give, or that is not what the manifest says,
 * twice; a source that is something else; ERR_CANCELLED. */
bool fetch_run(struct fetch *f, struct err *e);
void fetch_stop(struct fetch *f); /* any thread */

/* Any thread, also while it runs. Next, before anything else; whether they are there. */
void fetch_want(struct fetch *f, int first, int last);
bool fetch_has(struct fetch *f, int first, int last);

#endif
