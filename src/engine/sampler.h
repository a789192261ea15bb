/* sampler.h: from logits to the next token, in the order of the reference's generate():
 * repetition penalty, (frequency and presence penalty, logit bias), temperature, top-k, top-p, min-p, draw.
 *
 * One sampler per generated sequence; it remembers the ids seen and its own random stream, so that the same
 * seed and request give the same text whatever else runs. One thread. */
#ifndef FERRY_ENGINE_SAMPLER_H
#define FERRY_ENGINE_SAMPLER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct logit_bias {
    int id;
    float bias; /* added to the logit, -100..100 */
};

struct sampling {
    float temperature;        /* 0: greedy */
    float top_p;              /* 1: off */
    float min_p;              /* 0: off */
    int top_k;                /* 0: off */
    float repetition_penalty; /* 1: off; over prompt and output, once per distinct id */
    float frequency_penalty;  /* 0: off; times the id's count in the output */
    float presence_penalty;   /* 0: off; once when the id is in the output */
    uint64_t seed;
    const struct logit_bias *bias; /* [bias_count], the caller's, must outlive the sampler */
    int bias_count;
};

struct sampler;

/* prompt: the ids the repetition penalty counts, placeholders included. NULL with *e set: a value out of
 * range (named), or no memory. */
struct sampler *sampler_new(const struct sampling *o, int vocab, const int *prompt, int prompt_count,
                            struct err *e);
void sampler_free(struct sampler *s); /* NULL is fine */

/* Picks the next id from raw logits [vocab], which stay as they are, and remembers it. NaN anywhere: -1. */
int sampler_pick(struct sampler *s, const float *logits);

/* The ids that survive all filters and their probabilities, by falling probability: what sampler_pick draws
 * from. Does not advance. Returns how many there are; at most room are written. */
struct candidate {
    int id;
    float p;
};
size_t sampler_candidates(struct sampler *s, const float *logits, struct candidate *out, size_t room);

/* Log-probability of an id under softmax(logits), raw, as OpenAI reports it; and the n most likely ids by
 * falling probability (id -1 where fewer than n have any). */
struct token_logprob {
    int id;
    float logprob;
};
void logprobs_top(const float *logits, int vocab, int id, struct token_logprob *chosen,
                  struct token_logprob *top, int n);

#endif
