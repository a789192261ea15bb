/* plan_charts.h: a plan in pictures. Each writes a <figure>, or nothing where there is nothing to draw. */
#ifndef FERRY_CMD_PLAN_CHARTS_H
#define FERRY_CMD_PLAN_CHARTS_H

#include "cmd/plan_report.h"

/* r: for strings. */
void chart_memory(struct report *r, const struct plan_view *v, FILE *out);
void chart_cold_start(struct report *r, const struct plan_view *v, FILE *out);
void chart_costs(struct report *r, const struct plan_view *v, FILE *out);

#endif
