/* plan_command.h: what `ferry plan` prints besides the report: JSON, and a page with charts. */
#ifndef FERRY_CMD_PLAN_COMMAND_H
#define FERRY_CMD_PLAN_COMMAND_H

#include "cmd/plan_report.h"

#include <jansson.h>

/* docs/plan.md describes it. What is unknown is null. NULL: no memory. */
json_t *plan_json(const struct plan_view *v);

/* One page that loads nothing. r: its strings may grow. */
void plan_html(struct report *r, const struct plan_view *v, FILE *out);

#endif
