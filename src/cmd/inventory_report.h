/* inventory_report.h: an inventory as people and programs read it, with what it costs. */
#ifndef FERRY_CMD_INVENTORY_REPORT_H
#define FERRY_CMD_INVENTORY_REPORT_H

#include "cmd/inventory.h"
#include "plan/prices.h"

#include <jansson.h>

/* Tables on stdout, what could not be listed on stderr. now: seconds since 1970. */
void inventory_print(const struct inventory *v, const struct prices *p, int64_t now);

/* One object; a new reference. What is unknown is null, and in no sum. */
json_t *inventory_json(const struct inventory *v, const struct prices *p);

#endif
