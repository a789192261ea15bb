/* prediction_report.h: comparisons of plan_prediction.h as people read them, and how one is made. */
#ifndef FERRY_CMD_PREDICTION_REPORT_H
#define FERRY_CMD_PREDICTION_REPORT_H

#include "cmd/plan_prediction.h"
#include "cmd/report.h"

/* Nothing happens when one of the two is not known. */
void prediction_compare(struct predictions *p, const struct prediction_of *of, enum predicted_what what,
                        struct span predicted, double measured);

/* A section of its own: a row for each. */
void prediction_section(struct report *r, const struct predictions *p);

/* Kept; when that fails it is said on stderr and is no error. */
void prediction_keep_or_say(const struct predictions *p, struct arena *a);

#endif
