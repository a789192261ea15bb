/* prices.h: a snapshot of prices, free tiers and limits of other clouds: data/prices.json, compiled in, or a
 * file of the same form. Every item carries its source and that source's date (docs/plan.md).
 *
 * What the snapshot does not have is unknown: NAN, never a guess. Amounts are US dollars without tax, per the
 * unit that the item names. Read only once parsed and set: any thread. */
#ifndef FERRY_PLAN_PRICES_H
#define FERRY_PLAN_PRICES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct prices;

/* Strings are the snapshot's. */
struct price {
    const char *id;            /* "run.request.cpu.active"; "" of an unknown one */
    const char *what, *unit;   /* "Cloud Run request-based", "USD/vCPU-second" */
    const char *region;        /* "asia-northeast1", "tier1", "all" */
    double value;              /* NAN: unknown */
    double vcpu, ram_gib;      /* of a machine; NAN otherwise */
    double free;               /* a month, of what it counts; NAN: what the snapshot calls free */
    const char *source, *date; /* title, "2026-10-01" */
};

/* False with *e (ERR_CORRUPT) set: which item, what is wrong with it. bytes: without a NUL behind them. */
struct prices *prices_parse(const char *json, size_t bytes, struct err *e);
struct prices *prices_builtin(struct err *e); /* what is compiled in */
void prices_free(struct prices *p);           /* NULL is fine */

/* Another, newer value for the item of that id, which is added when there is none (unit and name unknown
 * then). free: NAN when that is not said. source: of the caller's, for as long as p. date: copied. */
bool prices_set(struct prices *p, const char *id, double value, double free, const char *source,
                const char *date, struct err *e);

/* The item of that id, put together from the format. Never NULL. */
const struct price *prices_find(const struct prices *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
double prices_value(const struct prices *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Only if the item is for that region, or for all. */
double prices_value_in(const struct prices *p, const char *region, const char *id);
/* A limit of another cloud, by id: a number, NAN where there is none; or a text, "" where there is none. */
double prices_limit(const struct prices *p, const char *id);
const char *prices_limit_text(const struct prices *p, const char *id);

/* The newest source's date, "2026-10-01". */
const char *prices_date(const struct prices *p);

/* What Cloud Run's prices go by. Free amounts hold per billing account and month, and are worth what they
 * cost in tier 1 (source: the snapshot's free_tier). */
enum price_tier { TIER_UNKNOWN, TIER_1, TIER_2 };
enum price_tier prices_tier(const struct prices *p, const char *region);

struct run_rate {
    double cpu, memory; /* USD per vCPU-second and per GiB-second */
};
struct run_rates {
    struct run_rate active, idle; /* request-based: while it starts, serves and stops; a min instance else */
    struct run_rate instance;     /* instance-based, for an instance's whole life, and jobs */
    double per_request;           /* USD, request-based alone */
};
struct run_rates prices_run(const struct prices *p, enum price_tier tier);

struct free_amounts {
    double cpu_seconds, gib_seconds, requests;
};
struct free_amounts prices_free_requests(const struct prices *p); /* request-based */
struct free_amounts prices_free_instance(const struct prices *p); /* instance-based and jobs; requests 0 */

/* GiB-months of Standard storage that are free in that region: 0 outside those that the snapshot names. */
double prices_free_storage_gib(const struct prices *p, const char *region);
double prices_free_images_gib(const struct prices *p); /* Artifact Registry */

#endif
