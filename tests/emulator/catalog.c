/* catalog.c: the Cloud Billing Catalog (Cloud Billing v1, services.skus.list): some SKUs of Tokyo and of
 * other places, in pages of five. Prices are not Google's of any day, so that a test sees where one came
 * from. */
#include "endpoints.h"
#include "google.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 5 };
#define RATE 160.5 /* yen to the dollar */

#define RUN "152E-C115-5142"
#define STORAGE "95FF-2EF5-5EA1"
#define ARTIFACTS "149C-F9EC-3994"
#define TOKYO "asia-northeast1"

static const struct sku {
    const char *service, *id, *description, *usage, *unit;
    const char *regions; /* with spaces between them */
    double free;         /* units; 0: there is one tier alone */
    int nanos;           /* USD for one unit */
} skus[] = {
    {RUN, "0001-0000-0001", "Requests", "OnDemand", "count", "global", 3000000, 500},
    {RUN, "0001-0000-0002", "Services CPU (Request-based billing)", "OnDemand", "s", TOKYO " us-central1", 0,
     25000},
    {RUN, "0001-0000-0003", "Services CPU Tier 2  (Request-based billing)", "OnDemand", "s",
     "asia-northeast3 asia-southeast1", 0, 35000},
    {RUN, "0001-0000-0004", "Services Memory (Request-based billing)", "OnDemand", "GiBy.s",
     TOKYO " us-central1", 0, 2600},
    {RUN, "0001-0000-0005", "Services Memory Tier 2 (Request-based billing)", "OnDemand", "GiBy.s",
     "asia-northeast3 asia-southeast1", 0, 3600},
    {RUN, "0001-0000-0006", "Services Min Instance CPU (Request-based billing)", "OnDemand", "s",
     TOKYO " us-central1", 0, 2700},
    {RUN, "0001-0000-0007", "Services Min Instance Memory (Request-based billing)", "OnDemand", "GiBy.s",
     TOKYO " us-central1", 0, 2800},
    {RUN, "0001-0000-0008", "Services CPU (Instance-based billing) in in " TOKYO, "OnDemand", "s", TOKYO, 0,
     19000},
    {RUN, "0001-0000-0009", "Services CPU (Instance-based billing) in us-central1", "OnDemand", "s",
     "us-central1", 0, 99000},
    {RUN, "0001-0000-000A", "Services Memory (Instance-based billing) in " TOKYO, "OnDemand", "GiBy.s", TOKYO,
     0, 2100},
    {RUN, "0001-0000-000B", "Jobs CPU in " TOKYO, "OnDemand", "s", TOKYO, 0, 99000},
    {RUN, "0001-0000-000C", "Services CPU (Request-based billing)", "Commit1Yr", "s", TOKYO, 0, 99000},
    {STORAGE, "0002-0000-0001", "Standard Storage Tokyo", "OnDemand", "GiBy.mo", TOKYO, 0, 24000000},
    {STORAGE, "0002-0000-0002", "Standard Storage Tokyo/Osaka Dual-region", "OnDemand", "GiBy.mo",
     TOKYO " asia-northeast2", 0, 99000000},
    {STORAGE, "0002-0000-0003", "Autoclass Standard Storage Tokyo", "OnDemand", "GiBy.mo", TOKYO, 0,
     99000000},
    {STORAGE, "0002-0000-0004", "Nearline Storage Tokyo", "OnDemand", "GiBy.mo", TOKYO, 0, 17000000},
    {STORAGE, "0002-0000-0005", "Nearline Storage Tokyo (Early Delete)", "OnDemand", "GiBy.mo", TOKYO, 0,
     99000000},
    {STORAGE, "0002-0000-0006", "Coldline Storage Tokyo", "OnDemand", "GiBy.mo", TOKYO, 0, 7000000},
    {STORAGE, "0002-0000-0007", "Standard Storage US Regional", "OnDemand", "GiBy.mo",
     "us-west1 us-central1 us-east1", 6, 21000000},
    {STORAGE, "4DBF-185F-A415", "Regional Standard Class A Operations", "OnDemand", "count", "global", 5000,
     6000},
    {STORAGE, "7870-010B-2763", "Regional Standard Class B Operations", "OnDemand", "count", "global", 50000,
     500},
    {ARTIFACTS, "8502-299A-ABAF", "Artifact Registry Storage", "OnDemand", "GiBy.mo", "global", 0.5,
     110000000},
};

static json_t *money(double usd, const char *currency)
{
    bool yen = !strcmp(currency, "JPY");
    long long nanos = llround(usd * (yen ? RATE : 1) * 1e9);
    char units[32];
    snprintf(units, sizeof units, "%lld", nanos / 1000000000);
    return json_pack("{s:s,s:s,s:I}", "currencyCode", currency, "units", units, "nanos",
                     (json_int_t)(nanos % 1000000000));
}

static json_t *tiers(const struct sku *s, const char *currency)
{
    json_t *list = json_array();
    if (s->free > 0)
        json_array_append_new(list,
                              json_pack("{s:i,s:o}", "startUsageAmount", 0, "unitPrice", money(0, currency)));
    json_array_append_new(list, json_pack("{s:f,s:o}", "startUsageAmount", s->free, "unitPrice",
                                          money(s->nanos * 1e-9, currency)));
    return list;
}

static json_t *regions(struct exchange *x, const struct sku *s)
{
    json_t *list = json_array();
    for (const char *at = s->regions; *at;) {
        size_t n = strcspn(at, " ");
        json_array_append_new(list, json_string(arena_strndup(x->arena, at, n)));
        at += n + strspn(at + n, " ");
    }
    return list;
}

static json_t *sku_json(struct exchange *x, const struct sku *s, const char *currency)
{
    json_t *expression = json_pack("{s:s,s:f,s:o}", "usageUnit", s->unit, "displayQuantity", 1.0,
                                   "tieredRates", tiers(s, currency));
    json_t *info = json_pack("{s:s,s:s,s:o,s:f}", "summary", "", "effectiveTime", "2026-11-25T00:00:00.000Z",
                             "pricingExpression", expression, "currencyConversionRate",
                             strcmp(currency, "JPY") == 0 ? RATE : 1.0);
    return json_pack("{s:s,s:s,s:s,s:{s:s,s:s},s:o,s:[o],s:s}", "name",
                     arena_printf(x->arena, "services/%s/skus/%s", s->service, s->id), "skuId", s->id,
                     "description", s->description, "category", "resourceFamily", "ApplicationServices",
                     "usageType", s->usage, "serviceRegions", regions(x, s), "pricingInfo", info,
                     "serviceProviderName", "Google");
}

void catalog_skus(struct exchange *x)
{
    const char *currency = argument(x, "currencyCode"), *token = argument(x, "pageToken");
    int skip = token ? atoi(token) : 0, seen = 0;
    json_t *list = json_array(), *page;
    if (!google_may(x, NULL, NULL)) {
        json_decref(list);
        return;
    }
    for (size_t i = 0; i < sizeof skus / sizeof *skus; i++)
        if (!strcmp(skus[i].service, x->captures[0]) && seen++ >= skip && seen <= skip + PAGE)
            json_array_append_new(list, sku_json(x, &skus[i], currency ? currency : "USD"));
    page = json_pack("{s:o,s:s}", "skus", list, "nextPageToken",
                     seen > skip + PAGE ? arena_printf(x->arena, "%d", skip + PAGE) : "");
    answer_json(x, 200, page);
}
