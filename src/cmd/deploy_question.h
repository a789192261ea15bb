/* deploy_question.h: the first question to a service that was just deployed, in writing: does it answer, and
 * was the plan right.
 *
 *   GET /v1/load            the first contact: it starts an instance where there is none, and tells how much
 *                           was there when there was one (Cloud Run starts one for its startup probe)
 *   POST chat/completions   the question; some forty words, as plans assume
 *   GET /v1/load            held until all weights are there
 *   GET /metrics            memory
 *
 * What is compared, in seconds since the first contact where it is a time. An instance that had begun to
 * load: of what the plan says the share of the weights that was missing, without container and opening;
 * nothing of its start when more than half was there. One that was loaded: its first token, and nothing of
 * its start. The rate at which the weights came is a measurement for plans of that region (plan_measure.h),
 * when most of them came under our eyes: between requests an instance may have no CPU. */
#ifndef FERRY_CMD_DEPLOY_QUESTION_H
#define FERRY_CMD_DEPLOY_QUESTION_H

#include "cmd/deploy_cloud.h"

/* With a line or some on stdout, or (quiet) into *json, a new reference, which else becomes NULL. A service
 * that does not answer is told of on stderr with what to do next, and is no failure: it is deployed. False
 * with *e (ERR_CANCELLED) set: interrupted. */
bool deploy_question(const struct deploy_cloud *d, const struct target_service *s, json_t **json,
                     struct err *e);

#endif
