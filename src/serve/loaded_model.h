/* loaded_model.h: everything that answers with one model, opened and closed together. */
#ifndef FERRY_SERVE_LOADED_MODEL_H
#define FERRY_SERVE_LOADED_MODEL_H

#include "base/err.h"
#include "base/pool.h"
#include "engine/audio.h"
#include "engine/engine.h"
#include "engine/tokenizer.h"
#include "model/folder.h"

#include <stdint.h>

struct loaded_model {
    struct model model; /* model.name is the id in /v1/models */
    struct pool *pool;
    struct engine *engine; /* touched by one thread at a time: the scheduler's, once there is one */
    struct tokenizer *tokenizer;
    struct mel_plan *mel; /* NULL for a model without ears */
    int64_t created;      /* unix seconds, for /v1/models */
};

/* threads >= 1. False with *e set and everything closed again. */
bool loaded_model_open(struct loaded_model *m, const char *folder, int threads,
                       const struct engine_options *o, struct err *e);

/* The same around a model that is open already, its weights perhaps still arriving: takes it over in any
 * case. files: where the tokenizer is. */
bool loaded_model_build(struct loaded_model *m, struct model *model, const struct file_source *files,
                        int threads, const struct engine_options *o, struct err *e);

void loaded_model_close(struct loaded_model *m); /* a zeroed one is fine; no scheduler may use it any more */

#endif
