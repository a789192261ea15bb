/* scan.h: looking through a whole vocabulary of scores for the few that matter. */
#ifndef FERRY_ENGINE_TEXT_SCAN_H
#define FERRY_ENGINE_TEXT_SCAN_H

#include <stdbool.h>

enum { SCAN_BLOCK = 32 };

/* Is any of the next SCAN_BLOCK scores at least t? Compiles to a few vector compares, so that a scan costs
 * what reading the scores costs, as long as few blocks have one. */
static inline bool scan_block_has(const float *scores, float t)
{
    int any = 0;
    for (int i = 0; i < SCAN_BLOCK; i++)
        any |= scores[i] >= t;
    return any != 0;
}

/* The first index >= from whose score is at least t; n when there is none. */
static inline int scan_next(const float *scores, int n, int from, float t)
{
    while (from < n) {
        if (from % SCAN_BLOCK == 0 && n - from >= SCAN_BLOCK && !scan_block_has(scores + from, t))
            from += SCAN_BLOCK;
        else if (scores[from] >= t)
            return from;
        else
            from++;
    }
    return n;
}

/* The index of the largest score, the first of equal ones; 0 when all are -inf. No NaN. */
static inline int scan_largest(const float *scores, int n)
{
    int best = 0;
    for (int i = 1; (i = scan_next(scores, n, i, scores[best])) < n; i++)
        if (scores[i] > scores[best])
            best = i;
    return best;
}

#endif
