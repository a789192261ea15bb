/* service_report.h: services as people and programs read them. */
#ifndef FERRY_CMD_SERVICE_REPORT_H
#define FERRY_CMD_SERVICE_REPORT_H

#include "plan/prices.h"
#include "target/target.h"

#include <jansson.h>

/* One object; a new reference. */
json_t *service_json(const struct target_service *s);

/* "asleep", "awake for 3 min 20 s", "failed, next try in 4 s" into out (SERVICE_STATE bytes); now: seconds
 * since 1970. Returns out. */
enum { SERVICE_STATE = 80 };
const char *service_state(const struct target_service *s, int64_t now, char out[SERVICE_STATE]);

/* All of them as a table on stdout, addresses and problems beneath, with what they cost while nobody asks. */
void service_print_all(const struct target_service *s, size_t count, const struct prices *p, int64_t now);

/* To stdout: one JSON text, which is let go of. */
bool service_print_json(json_t *json, struct err *e);

#endif
