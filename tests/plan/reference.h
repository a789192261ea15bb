/* reference.h: Qwen2-Audio-7B-Instruct as its config describes it, for plans of it. */
#ifndef FERRY_TESTS_PLAN_REFERENCE_H
#define FERRY_TESTS_PLAN_REFERENCE_H

#include "plan/plan.h"

#include <jansson.h>

struct reference {
    struct plan_model model;
    struct weights *weights;
    enum dtype *dtypes; /* all BF16 */
    json_t *shapes;     /* of data/models/qwen2-audio-tensors.json: name to sizes */
    json_t *listed;     /* that file */
};

/* Fails the running test when something of it cannot be read. */
void reference_open(struct reference *r);
void reference_close(struct reference *r);

#endif
