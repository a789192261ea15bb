/* situation.h: the folders in tests/doctor/situations (README.md there says what is in them). */
#ifndef FERRY_TESTS_DOCTOR_SITUATION_H
#define FERRY_TESTS_DOCTOR_SITUATION_H

#include "doctor/judge.h"

#include <jansson.h>

#define SITUATIONS "doctor/situations"

/* What was answered there: "healthy", with what the situation changes (RFC 7386). Fails the test when a file
 * cannot be read. */
json_t *situation_record(const char *name);
json_t *situation_expected(const char *name);

/* What the judge says, to be freed with its arena. */
struct findings *situation_judge(const json_t *record);
void situation_free(struct findings *f);

#endif
