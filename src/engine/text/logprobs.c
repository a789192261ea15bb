#include "engine/sampler.h"
#include "engine/text/scan.h"

#include <math.h>
#include <string.h>

/* A score this far below the best adds nothing that a float shows, even 10^6 times. */
#define NEGLIGIBLE 40.0f

/* The logarithm of the sum over all of e^logit. */
static double log_sum(const float *logits, int vocab)
{
    float best = logits[scan_largest(logits, vocab)];
    double sum = 0;
    for (int i = 0; (i = scan_next(logits, vocab, i, best - NEGLIGIBLE)) < vocab; i++)
        sum += (double)expf(logits[i] - best);
    return (double)best + log(sum);
}

/* Keeps top[0..n) by falling logit, the lower id first of equal ones. */
static void insert(struct token_logprob *top, int n, int id, float logit)
{
    int at = n - 1;
    for (; at > 0 && top[at - 1].logprob < logit; at--)
        top[at] = top[at - 1];
    top[at] = (struct token_logprob){id, logit};
}

void logprobs_top(const float *logits, int vocab, int id, struct token_logprob *chosen,
                  struct token_logprob *top, int n)
{
    double norm = log_sum(logits, vocab);
    *chosen = (struct token_logprob){id, (float)((double)logits[id] - norm)};
    for (int i = 0; i < n; i++)
        top[i] = (struct token_logprob){-1, -INFINITY};
    for (int i = 0; n > 0 && (i = scan_next(logits, vocab, i, top[n - 1].logprob)) < vocab; i++)
        if (logits[i] > top[n - 1].logprob)
            insert(top, n, i, logits[i]);
    for (int i = 0; i < n; i++)
        top[i].logprob = (float)((double)top[i].logprob - norm);
}
