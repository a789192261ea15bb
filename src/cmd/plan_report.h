/* plan_report.h: a plan in words and tables. All its sentences stand in plan_report*.c. */
#ifndef FERRY_CMD_PLAN_REPORT_H
#define FERRY_CMD_PLAN_REPORT_H

#include "cmd/live_prices.h"
#include "cmd/plan_format.h"
#include "cmd/plan_measure.h"
#include "cmd/plan_model.h"
#include "cmd/plan_prediction.h"
#include "plan/plan.h"

struct plan_view {
    const struct plan *plan;
    const struct model_reading *reading;
    const struct prices *prices;
    const char *prices_from; /* NULL: the built-in snapshot */
    const struct price_news *news;
    const struct measurements *measured;
    const struct predictions *predictions; /* earlier ones of this model or region, and what came */
    struct money money;
    bool rate_given;      /* the rate is --rate's */
    bool compare;         /* other clouds too */
    bool japanese_locale; /* amounts would be wanted in yen */
};

/* r: its arena set, else zero. */
void plan_report(struct report *r, const struct plan_view *v);

/* "32 GiB is the most", or what so many vCPUs have. */
const char *plan_limit_text(struct report *r, const struct plan *p);

/* --- plan_report_cost.c --- */

void report_costs(struct report *r, const struct plan_view *v);
void report_storage(struct report *r, const struct plan_view *v);
void report_gpus(struct report *r, const struct plan_view *v);
void report_elsewhere(struct report *r, const struct plan_view *v);
/* "scale to zero", as the ways are called. */
extern const char *const plan_way_names[COST_WAYS];

#endif
