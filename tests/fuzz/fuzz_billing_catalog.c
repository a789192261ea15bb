/* A page of the Cloud Billing Catalog, and what was kept of one. */
#include "cmd/live_prices.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_catalog(const struct catalog *c)
{
    int found = 0;
    for (int i = 0; i < c->count; i++) {
        const struct catalog_price *p = &c->prices[i];
        check(isnan(p->usd) || (p->usd > 0 && p->usd < INFINITY));
        check(isnan(p->free) || (p->free > 0 && !isnan(p->usd)));
        found += !isnan(p->usd);
    }
    check(found == catalog_found(c) && (found == 0 || c->rate > 0));
}

/* What was found survives being kept. */
static void check_kept(const struct catalog *c, const struct catalog_question *q)
{
    struct catalog back;
    json_t *kept = catalog_json(c);
    catalog_begin(&back, q);
    check(catalog_take_kept(&back, kept) && catalog_found(&back) == catalog_found(c));
    json_decref(kept);
}

static void take_page(const struct catalog_question *q, const char *service, const json_t *page)
{
    struct catalog c;
    struct err e = {0};
    catalog_begin(&c, q);
    if (!catalog_take_page(&c, service, page, &e)) {
        check(e.kind == ERR_CORRUPT && e.text[0]);
        return;
    }
    check_catalog(&c);
    check_kept(&c, q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct catalog_question usd = {"asia-northeast1", 1, "USD"},
                                         yen = {"asia-northeast3", 2, "JPY"};
    static const char *const services[] = {"152E-C115-5142", "95FF-2EF5-5EA1", "149C-F9EC-3994"};
    json_t *page = json_loadb((const char *)data, size, 0, NULL);
    for (int i = 0; page && i < 3; i++) {
        take_page(&usd, services[i], page);
        take_page(&yen, services[i], page);
    }
    json_decref(page);
    struct catalog c;
    int64_t asked = 0;
    catalog_begin(&c, &usd);
    if (prices_take_kept(&c, (const char *)data, size, "https://catalog", 1764000000, &asked))
        check(asked > 1764000000 - 86400 && asked <= 1764000000);
    check_catalog(&c);
    return 0;
}
