/* shards_out.h: a model's tensors as safetensors shards with their index, as Hugging Face cuts them: in the
 * order of the model up to 4 GB a shard, by name inside each; one shard alone is model.safetensors. */
#ifndef FERRY_BENCH_SHARDS_OUT_H
#define FERRY_BENCH_SHARDS_OUT_H

#include "base/err.h"
#include "base/pool.h"
#include "model/weights.h"

/* Random weights (random_weights.h) for every slot, in bf16. False with *e set. */
bool shards_out_write(const char *folder, const struct weights *w, struct pool *pool, struct err *e);

#endif
