/* speed.h: how long a model takes to answer, from what must be computed and read, and from how fast a machine
 * does that.
 *
 *   operations   two for each multiply-add of every matrix product, attention with them (causal: the keys
 * that are seen), the head for the last token alone; as bench/cost.h counts prefill      operations of
 * encoder and prompt / operations a second token        (weights of decoder and head + keys and values seen)
 * / bytes a second from memory
 *
 * Speeds of a vCPU on Cloud Run are published nowhere, and which machine it runs on is not said. Until they
 * are measured there they lie in a range with these ends:
 *
 *   memory   least  2.5 GB/s: a full host's fair share, six channels of DDR4-2933 (140.8 GB/s) for 56 threads
 *            most   12 GB/s: half of the 24 GB/s that a core of this project's bench machine reads alone
 *                   (bench/results, 48 GB/s with 2 cores); a vCPU is one of a core's two threads
 *   compute  least  36 GFLOP/s: half of a core with AVX2 at 2.8 GHz (32 operations a cycle), at the 80 % of
 *                   the peak that prefill reaches
 *            most   227 GFLOP/s: half of the 534 that a core of the bench machine does in bf16, at 85 %
 *   reading  90 % of what memory gives (measured: 73 to 98 %) */
#ifndef FERRY_PLAN_SPEED_H
#define FERRY_PLAN_SPEED_H

#include "plan/encoded.h"
#include "plan/memory.h"
#include "plan/span.h"

struct plan_speed {
    struct span memory;  /* bytes a second that a machine reads */
    struct span compute; /* operations a second of matrix products */
    struct span fetch;   /* bytes a second from the bucket */
};

/* Of so many vCPUs. Fetching: 100 MB/s to 1 GB/s; Google publishes no number for an instance. */
struct plan_speed plan_speed_assumed(int vcpu);

/* One request. */
struct plan_request {
    double audio_seconds;
    int text_tokens; /* of question and chat template */
    int answer_tokens;
};

/* 25 a second: floor(frames / 4), a mel frame each 10 ms; 0 for a model without ears. */
int plan_audio_tokens(const struct model_config *c, double audio_seconds);
int plan_prompt_tokens(const struct model_config *c, const struct plan_request *r);

double plan_encoder_operations(const struct model_config *c, double audio_seconds);
double plan_layer_operations(const struct model_config *c, int tokens); /* one decoder layer, a prompt */
double plan_head_operations(const struct model_config *c);
double plan_prefill_operations(const struct model_config *c, int tokens); /* all layers and the head */

/* A token's time at that length of the sequence, with `parallel` sequences that each get one. */
struct span plan_token_seconds(const struct model_config *c, const struct encoded *n, enum plan_kv kv,
                               int length, int parallel, const struct plan_speed *s);

struct plan_answer {
    struct span encode, prefill, token, total; /* seconds; token: of each, at the middle of the answer */
};
/* With the weights there, alone. */
struct plan_answer plan_answer(const struct model_config *c, const struct encoded *n, enum plan_kv kv,
                               const struct plan_request *r, const struct plan_speed *s);

#endif
