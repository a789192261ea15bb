/* cold_start.h: from "no instance" to the first token, on paper.
 *
 *   container   1 to 2 s: an image is streamed in blocks, whatever its size (Google, "A guide to AI cold
 * starts on Cloud Run", 2026-05); the program's port is bound 3 ms later (measured) opening     0.3 to 1 s,
 * assumed: a token, the listing, config, tokenizer, the headers weights     come in the order of the forward
 * pass, at the speed of the bucket; each part computes as soon as it is there and the part before is through:
 *
 *                   through[i] = max(through[i - 1], arrived[i]) + computed[i]
 *
 *               rows of the embedding, convolutions, encoder layers, projector, decoder layers, head. Of the
 *               embedding only the ranges of 8 MiB come first in which the prompt's tokens lie; n tokens that
 *               are spread evenly touch R (1 - (1 - 1/R)^n) of its R ranges
 *   first token when the head is through. The rest of the embedding comes after it
 *
 * A request that is waiting pays for all of it. The least and the most of every speed go together. */
#ifndef FERRY_PLAN_COLD_START_H
#define FERRY_PLAN_COLD_START_H

#include "plan/speed.h"

enum { PLAN_RANGE_BYTES = 8 << 20 };

struct cold_start {
    struct span container, opening;
    struct span first_weights; /* these and the next: seconds since the start of the container */
    struct span first_token, loaded;
    struct span answered;   /* the whole request: first token, and then the others */
    struct span load_first; /* first token if it only began to compute when all was loaded */
};

struct cold_start cold_start(const struct model_config *c, const struct encoded *n, enum plan_kv kv,
                             const struct plan_request *r, const struct plan_speed *s);

/* The same of a model that another server loads: container, then all its files; what that server does with
 * them afterwards is not known. */
struct cold_start cold_start_pull(uint64_t file_bytes, const struct plan_speed *s);

/* Bytes of the embedding that must be there before a prompt of so many text tokens. */
double cold_start_embedding_bytes(const struct encoded *n, int text_tokens);

/* Bytes a second that bring so many bytes within a startup probe's 240 s. */
double cold_start_needed_fetch(uint64_t file_bytes);

#endif
