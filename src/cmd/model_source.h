/* model_source.h: a model by what its user typed: a folder here, which is loaded at once, or gs://… and
 * hf://…, from where the weights arrive while the engine computes behind them.
 *
 *   struct model_source *s = model_source_new(text, arrival, e);
 *   model_source_open(s, &model, &settings, parallel, e)     the engine stands
 *   model_source_bring(s, e)                                 every weight is there (another thread computes)
 *   … loaded_model_close(&model); model_source_free(s) */
#ifndef FERRY_CMD_MODEL_SOURCE_H
#define FERRY_CMD_MODEL_SOURCE_H

#include "cmd/engine_options.h"
#include "model/arrival.h"

struct model_source;

/* Nothing is asked of any network yet. a: told how far it is; must outlive the source. NULL with *e set: not
 * a folder's path nor a URI. */
struct model_source *model_source_new(const char *text, struct arrival *a, struct err *e);

/* parallel: sequences at a time. False with *e set, and the arrival failed with it: no model there, one that
 * does not fit into memory, … */
bool model_source_open(struct model_source *s, struct loaded_model *m, const struct engine_settings *settings,
                       int parallel, struct err *e);
/* Of an open one. False with *e set, and the arrival failed with it. */
bool model_source_bring(struct model_source *s, struct err *e);

/* A folder is there once it is open; its opening cannot be interrupted either. */
bool model_source_arrives(const struct model_source *s);

/* Ends open and bring within seconds when the weights arrive. Any thread. */
void model_source_stop(struct model_source *s);
void model_source_free(struct model_source *s); /* NULL is fine */

/* Whether a model of so many weight bytes can be computed in so much memory: weights, activations and the KV
 * cache of one full context. False with *e (ERR_MEMORY) set: the sum, and what to do. */
bool model_fits(uint64_t weight_bytes, const struct engine_memory *m, int parallel, uint64_t room,
                struct err *e);

#endif
