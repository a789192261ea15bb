/* billing_catalog.h: today's prices, out of the Cloud Billing Catalog (Cloud Billing v1, services.skus.list).
 *
 * Cloud Run, Cloud Storage and Artifact Registry are asked, a listing each; Compute Engine has too many SKUs
 * for somebody who waits. A SKU counts when its id is one of those in the snapshot's notes
 * (data/prices.json), or else when service, description, region, unit and usage type are what is expected.
 * Descriptions are nobody's promise: they stand here as public captures of the catalog showed them (2026-04
 * to 2026-10), and where one has changed, or two SKUs fit and differ, no price is found rather than a wrong
 * one. So it is with a SKU whose price falls with the amount.
 *
 * Amounts are told in dollars: what the catalog has in another currency is divided by the rate that it names
 * beside each price, Google's own. */
#ifndef FERRY_CLOUD_BILLING_CATALOG_H
#define FERRY_CLOUD_BILLING_CATALOG_H

#include "cloud/cloud.h"

#include <jansson.h>

struct catalog_question {
    const char *region;   /* "asia-northeast1" */
    int tier;             /* of Cloud Run's prices there, 1 or 2; 0: not known, and so are most of them */
    const char *currency; /* "USD", "JPY" */
};

enum { CATALOG_MOST = 16 };

struct catalog_price {
    char item[64]; /* as data/prices.json calls it: "run.request.cpu.active.tier2" */
    double usd;    /* for the item's unit; NAN: not found */
    double free;   /* units a month that cost nothing, as the SKU's first tier says; NAN: it says nothing */
    bool two;      /* SKUs fit, and differ: not found */
};

struct catalog {
    char region[40], currency[4];
    double rate; /* of that currency to the dollar; NAN: no SKU was found */
    struct catalog_price prices[CATALOG_MOST];
    int count;
};

/* The prices that a plan for that region can use, none found yet. */
void catalog_begin(struct catalog *c, const struct catalog_question *q);
/* What a page of that service's SKUs says of them. False with *e (ERR_CORRUPT) set: it is no page, or names
 * two rates. What is not as documented within a SKU leaves that one out. */
bool catalog_take_page(struct catalog *c, const char *service, const json_t *page, struct err *e);
int catalog_found(const struct catalog *c);

/* All pages of all services. stop: ends it within a second once it is nonzero. False with *e set. */
bool catalog_read(struct catalog *c, struct cloud *cloud, const struct catalog_question *q,
                  const volatile sig_atomic_t *stop, struct err *e);

/* To keep it for a while, and back: catalog_begin's c with what was found then. False: not what was kept of
 * that question. */
json_t *catalog_json(const struct catalog *c); /* NULL: no memory */
bool catalog_take_kept(struct catalog *c, const json_t *kept);

#endif
