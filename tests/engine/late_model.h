/* late_model.h: a model whose weights come late: until a stage is brought its bytes are all 0xFF, which is no
 * number in any of the dtypes, so that whoever computes too early gets no number out. */
#ifndef FERRY_TESTS_LATE_MODEL_H
#define FERRY_TESTS_LATE_MODEL_H

#include "model/folder.h"

#include <pthread.h>

struct late_model {
    struct model model; /* with an arrival */
    const struct model *whole;
    unsigned char *bytes;  /* of all slots */
    unsigned char **slots; /* [slot_count] where each one's bytes are to go */
    size_t *sizes;
    pthread_mutex_t mutex; /* guards the rest */
    unsigned char *rows;   /* [vocab] 1: there, 2: wanted */
    int wanted;            /* rows asked for that are not there */
};

/* A copy of a whole model, which must outlive it. Failures fail the running test. */
void late_model_init(struct late_model *l, const struct model *whole);
void late_model_clear(struct late_model *l);

/* Brings them; any thread. A stage may be brought once. */
void late_stage(struct late_model *l, int stage);
void late_wanted_rows(struct late_model *l); /* the rows of the embedding that were asked for */
void late_rows(struct late_model *l, const int *ids, int count); /* these */
int late_wanted(struct late_model *l); /* how many were asked for and are not there */
void late_end(struct late_model *l);   /* after every stage: arrival_end */

#endif
