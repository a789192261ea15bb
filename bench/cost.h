/* cost.h: what a step of the model must compute and read, counted from its config: multiply-adds of every
 * matrix product (two operations each), attention with them; norms, softmax and the like are left out, as is
 * usual. Bytes are those of weights and KV cache that a decoded token cannot do without. */
#ifndef FERRY_BENCH_COST_H
#define FERRY_BENCH_COST_H

#include "engine/engine.h"
#include "model/config.h"
#include "model/weights.h"

/* Operations to prefill `tokens` from position 0; the head only for the last of them. */
double cost_prefill(const struct text_config *c, int tokens);

/* Operations of the audio tower and projector for a clip of so many valid mel frames. */
double cost_encoder(const struct model_config *c, int mel_frames);

/* Bytes of weights that one decode step reads, however many sequences. */
double cost_decode_weights(const struct weights *w);

/* Bytes of the KV cache that one sequence of `length` tokens reads in a step. */
double cost_decode_kv(const struct text_config *c, enum kv_type kv, int length);

#endif
