/* plan_model.h: what `ferry plan` reads of a model: its config and the headers of its tensors, some kilobytes
 * by range, from the hub, a bucket or a folder; or a config.json alone. */
#ifndef FERRY_CMD_PLAN_MODEL_H
#define FERRY_CMD_PLAN_MODEL_H

#include "cmd/sources.h"
#include "plan/plan.h"

struct model_reading {
    struct plan_model model;
    const char *uri;     /* "hf://owner/name", what was read */
    const char *commit;  /* NULL: not from a repository */
    const char *why_not; /* why the engine does not run it; NULL: it does */
    uint64_t bytes_read;
    struct place place;
    struct entry *shards; /* [shard_count] */
    int shard_count;
    struct weights *weights;
};

/* Strings and lists in the arena. False with *e set: nothing there, no safetensors (what is there instead is
 * named), files that are not what they claim to be, no network. r is to be cleared either way. */
bool model_read(struct model_reading *r, struct stores *stores, const char *text, struct arena *a,
                struct err *e);
void model_reading_clear(struct model_reading *r);

#endif
