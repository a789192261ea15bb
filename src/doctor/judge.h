/* judge.h: what a record of answers means: arithmetic and tables, nothing is asked here. The same record
 * always gives the same findings, so recorded answers are tests (tests/doctor/situations).
 *
 *   {"local":{…},"subject":{…},"answers":{"billing":{"request":…,"status":200,"body":{…}},…}}
 *
 * as ask.h makes it. What a record does not hold is not judged; one from elsewhere may hold anything. */
#ifndef FERRY_DOCTOR_JUDGE_H
#define FERRY_DOCTOR_JUDGE_H

#include "doctor/finding.h"
#include "plan/prices.h"

#include <jansson.h>

/* out zeroed but for its arena. Findings come in the order in which things break: clock, credentials,
 * project, billing, APIs, roles, quota, policies, bucket, service, hub, leftovers, machine. */
void doctor_judge(const json_t *record, const struct prices *prices, struct findings *out);

/* The n-th check's name ("billing") and what it is about, for people; NULL behind the last. */
const char *doctor_check(int n, const char **title);

#endif
