/* questions.h: what is asked, as a table in the order of asking: later questions need what earlier answers
 * told. Paths and methods: Google's API descriptions, and docs/doctor.md for the two that are not in them. */
#ifndef FERRY_DOCTOR_ASK_QUESTIONS_H
#define FERRY_DOCTOR_ASK_QUESTIONS_H

#include "base/arena.h"

#include <jansson.h>

struct question {
    const char *name;
    const char *api, *method; /* "hub": the Hugging Face Hub's */
    const char *path;         /* {project} stands for that part of the subject, encoded */
    const char *needs; /* the same; makes sense only when all in it are known; NULL: the path says it */
    json_t *(*body)(const json_t *subject); /* NULL: none */
    int flags;                              /* enum cloud_flags */
    /* What the answer's body tells about the subject; body NULL: not JSON, or none. */
    void (*learn)(json_t *subject, const json_t *body);
};

/* The first is the clock, which needs no token. NULL behind the last. */
const struct question *question_at(int n);

/* With the names in their places, in the arena; NULL: one of them is not known. */
const char *question_path(const struct question *q, const json_t *subject, struct arena *a);

#endif
