/* ask.h: asks what the checks judge (judge.h), each question for itself: one that fails stops no other, and
 * what it needs to know and nobody has told is not asked. Only reads: nothing is changed, nothing costs.
 *
 * The record holds no token and no key; it does hold names of projects, accounts and people. */
#ifndef FERRY_DOCTOR_ASK_H
#define FERRY_DOCTOR_ASK_H

#include "cloud/cloud.h"
#include "cloud/hub.h"

#include <jansson.h>
#include <signal.h>

struct doctor_case {
    struct cloud *cloud;
    struct hub *hub;         /* NULL: it cannot be asked, hub_problem says why */
    const char *hub_problem; /* HF_ENDPOINT is no address, a token that cannot be one */
    /* What it is about; NULL: not said, and found out where that is possible. */
    const char *project, *region;
    const char *service;         /* of Cloud Run */
    const char *bucket, *prefix; /* where a model lies */
    const char *repo;            /* owner/name at the hub */
    const volatile sig_atomic_t *stop;
    void (*asking)(void *arg, const char *question); /* before each; may be NULL */
    void *arg;
};

/* A new record; NULL with *e set: no memory, or stopped. */
json_t *doctor_ask(const struct doctor_case *c, struct err *e);

#endif
