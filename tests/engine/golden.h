/* golden.h: one conversation of tests/data/goldens with all that the reference made of it. */
#ifndef FERRY_TESTS_GOLDEN_H
#define FERRY_TESTS_GOLDEN_H

#include "npy.h"

#include "base/arena.h"
#include "engine/prompt.h"
#include "model/folder.h"

#include <jansson.h>
#include <stdbool.h>

enum { GOLDEN_CASES = 10, GOLDEN_MAX_CLIPS = 2 };

struct golden {
    const char *name;
    json_t *json; /* case.json */
    struct prompt prompt;
    struct mel clips[GOLDEN_MAX_CLIPS]; /* our own, from the audio files */
    const int *greedy;                  /* [steps] ids of the greedy run */
    int steps;
    struct npy prefill_last4; /* [4][vocab] */
    struct npy step_logits;   /* [steps][vocab] */
    struct npy encoder[GOLDEN_MAX_CLIPS], projector[GOLDEN_MAX_CLIPS];
};

/* The tiny checkpoint and every case. Failures fail the running test. */
struct goldens {
    struct model model;
    struct golden cases[GOLDEN_CASES];
    struct arena *arena;
};
struct goldens *goldens_open(void);
void goldens_close(struct goldens *g);

/* One of a case's arrays by its file name, or an empty one when the case has none of that name. */
struct npy golden_array(const struct golden *g, const char *file);

/* ids of a JSON array. */
int *golden_ids(struct arena *a, const json_t *array, int *count);

#endif
