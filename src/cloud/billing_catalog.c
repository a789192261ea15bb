#include "cloud/billing_catalog.h"

#include "cloud/call/rest.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Services, as the catalog calls them (facts: the snapshot's notes, and Google's own list). */
static const char run[] = "152E-C115-5142", storage[] = "95FF-2EF5-5EA1", artifacts[] = "149C-F9EC-3994";
static const char *const services[] = {run, storage, artifacts};

enum {
    CONNECT_SECONDS = 2,
    MOST_PAGES = 40, /* of one service: Cloud Run has some thousand SKUs, a page up to 5,000 */
};

#define NANO 1e-9
#define SAME_RATE 1e-6 /* of two rates that are one */

enum name { NAME_AS_IS, NAME_TIER, NAME_REGION };

/* One item of the snapshot, and the SKU that prices it. */
struct wanted {
    const char *item;
    enum name name; /* what follows behind the item's name */
    const char *service;
    const char *sku;           /* its id; NULL: by description */
    const char *tier1, *tier2; /* the description, by Cloud Run's tier; tier2 NULL: the same */
    bool begins;               /* a name of the place follows the description */
    const char *unit;          /* the SKU's */
    double per;                /* SKU's units in the item's unit */
    bool anywhere;             /* whatever regions it names */
};

static const struct wanted wanted[] = {
    {.item = "run.request.cpu.active",
     .name = NAME_TIER,
     .service = run,
     .tier1 = "Services CPU (Request-based billing)",
     .tier2 = "Services CPU Tier 2 (Request-based billing)",
     .unit = "s",
     .per = 1},
    {.item = "run.request.mem.active",
     .name = NAME_TIER,
     .service = run,
     .tier1 = "Services Memory (Request-based billing)",
     .tier2 = "Services Memory Tier 2 (Request-based billing)",
     .unit = "GiBy.s",
     .per = 1},
    {.item = "run.request.cpu.idle",
     .name = NAME_TIER,
     .service = run,
     .tier1 = "Services Min Instance CPU (Request-based billing)",
     .tier2 = "Services Min Instance CPU Tier 2 (Request-based billing)",
     .unit = "s",
     .per = 1},
    {.item = "run.request.mem.idle",
     .name = NAME_TIER,
     .service = run,
     .tier1 = "Services Min Instance Memory (Request-based billing)",
     .tier2 = "Services Min Instance Memory Tier 2 (Request-based billing)",
     .unit = "GiBy.s",
     .per = 1},
    {.item = "run.instance.cpu",
     .name = NAME_TIER,
     .service = run,
     .tier1 = "Services CPU (Instance-based billing) in",
     .begins = true,
     .unit = "s",
     .per = 1},
    {.item = "run.instance.mem",
     .name = NAME_TIER,
     .service = run,
     .tier1 = "Services Memory (Instance-based billing) in",
     .begins = true,
     .unit = "GiBy.s",
     .per = 1},
    {.item = "run.request.requests",
     .service = run,
     .tier1 = "Requests",
     .unit = "count",
     .per = 1e6,
     .anywhere = true},
    {.item = "gcs.storage.standard",
     .name = NAME_REGION,
     .service = storage,
     .tier1 = "Standard Storage",
     .begins = true,
     .unit = "GiBy.mo",
     .per = 1},
    {.item = "gcs.storage.nearline",
     .name = NAME_REGION,
     .service = storage,
     .tier1 = "Nearline Storage",
     .begins = true,
     .unit = "GiBy.mo",
     .per = 1},
    {.item = "gcs.storage.coldline",
     .name = NAME_REGION,
     .service = storage,
     .tier1 = "Coldline Storage",
     .begins = true,
     .unit = "GiBy.mo",
     .per = 1},
    {.item = "gcs.storage.archive",
     .name = NAME_REGION,
     .service = storage,
     .tier1 = "Archive Storage",
     .begins = true,
     .unit = "GiBy.mo",
     .per = 1},
    {.item = "gcs.ops.class_a",
     .service = storage,
     .sku = "4DBF-185F-A415",
     .unit = "count",
     .per = 1000,
     .anywhere = true},
    {.item = "gcs.ops.class_b",
     .service = storage,
     .sku = "7870-010B-2763",
     .unit = "count",
     .per = 1000,
     .anywhere = true},
    {.item = "ar.storage",
     .service = artifacts,
     .sku = "8502-299A-ABAF",
     .unit = "GiBy.mo",
     .per = 1,
     .anywhere = true},
};
enum { WANTED = sizeof wanted / sizeof *wanted };
_Static_assert((int)WANTED <= (int)CATALOG_MOST, "struct catalog has room for all");

/* --- what is looked for --- */

static void name_item(char *out, size_t room, const struct wanted *w, const struct catalog_question *q)
{
    const char *behind = w->name == NAME_REGION                 ? q->region
                         : w->name == NAME_TIER && q->tier == 2 ? "tier2"
                                                                : "";
    snprintf(out, room, "%s%s%.40s", w->item, *behind ? "." : "", behind);
}

void catalog_begin(struct catalog *c, const struct catalog_question *q)
{
    *c = (struct catalog){.rate = NAN};
    snprintf(c->region, sizeof c->region, "%s", q->region);
    snprintf(c->currency, sizeof c->currency, "%s", q->currency);
    for (int i = 0; i < WANTED; i++) {
        struct catalog_price *p = &c->prices[c->count];
        if (wanted[i].name == NAME_TIER && q->tier == 0)
            continue;
        name_item(p->item, sizeof p->item, &wanted[i], q);
        p->usd = p->free = NAN;
        c->count++;
    }
}

static const struct wanted *wanted_of(const struct catalog_price *p)
{
    const struct wanted *w = wanted;
    while (strncmp(p->item, w->item, strlen(w->item)) != 0)
        w++; /* catalog_begin took it from there */
    return w;
}

int catalog_found(const struct catalog *c)
{
    int found = 0;
    for (int i = 0; i < c->count; i++)
        found += !isnan(c->prices[i].usd);
    return found;
}

/* --- one SKU --- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Where `text` goes on behind `words`, one space counting as any number of them; NULL: it does not begin so.
 */
static const char *behind(const char *text, const char *words)
{
    for (; *words; words++, text++) {
        if (*words != *text)
            return NULL;
        while (*words == ' ' && text[1] == ' ')
            text++;
    }
    return text;
}

/* A place's name follows: no dual-region, no "(Early Delete)". */
static bool is_place(const char *text)
{
    return *text == ' ' && !strstr(text, "-region") && !strchr(text, '(');
}

static bool describes(const struct wanted *w, const struct catalog_price *p, const json_t *sku)
{
    if (w->sku)
        return strcmp(text_of(sku, "skuId"), w->sku) == 0;
    bool second = w->tier2 && strstr(p->item, ".tier2");
    const char *rest = behind(text_of(sku, "description"), second ? w->tier2 : w->tier1);
    return rest && (w->begins ? is_place(rest) : *rest == 0);
}

static bool is_in(const json_t *sku, const char *region)
{
    const json_t *list = json_object_get(sku, "serviceRegions");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *one = json_string_value(json_array_get(list, i));
        if (one && strcmp(one, region) == 0)
            return true;
    }
    return false;
}

static bool is_wanted(const struct wanted *w, const struct catalog_price *p, const struct catalog *c,
                      const char *service, const json_t *sku)
{
    return strcmp(w->service, service) == 0 && describes(w, p, sku) &&
           strcmp(text_of(json_object_get(sku, "category"), "usageType"), "OnDemand") == 0 &&
           (w->anywhere || is_in(sku, c->region));
}

/* --- its price --- */

struct rate_of {
    double amount, free; /* in the currency for one unit; units before it that cost nothing, NAN: not said */
};

/* google.type.Money: whole units as a text, nanos as a number, each left out when 0. */
static bool read_money(double *out, const json_t *money, const char *currency)
{
    const char *units = text_of(money, "units");
    const json_t *nanos = json_object_get(money, "nanos");
    char *end;
    errno = 0;
    long long whole = strtoll(*units ? units : "0", &end, 10);
    json_int_t part = json_integer_value(nanos);
    *out = (double)whole + (double)part * NANO;
    return strcmp(text_of(money, "currencyCode"), currency) == 0 && !errno && !*end &&
           !isspace((unsigned char)*units) && whole >= 0 && whole < 1000000000 &&
           (!nanos || json_is_integer(nanos)) && part >= 0 && part <= 999999999;
}

static bool read_tier(double *start, double *amount, const json_t *tier, const char *currency)
{
    const json_t *from = json_object_get(tier, "startUsageAmount");
    *start = json_number_value(from);
    return (!from || json_is_number(from)) && *start >= 0 && *start < 1e15 &&
           read_money(amount, json_object_get(tier, "unitPrice"), currency);
}

/* One price, or one behind an amount that is free. */
static bool read_tiers(struct rate_of *out, const json_t *tiers, const char *currency)
{
    double start[2] = {0}, amount[2] = {0};
    size_t n = json_array_size(tiers);
    if (n < 1 || n > 2)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!read_tier(&start[i], &amount[i], json_array_get(tiers, i), currency))
            return false;
    if (start[0] != 0 || (n == 2 && (amount[0] != 0 || start[1] <= 0)) || amount[n - 1] <= 0)
        return false;
    *out = (struct rate_of){amount[n - 1], n == 2 ? start[1] : NAN};
    return true;
}

/* pricingInfo is in the order of time: the last one holds. */
static const json_t *price_now(const json_t *sku)
{
    const json_t *list = json_object_get(sku, "pricingInfo");
    size_t n = json_array_size(list);
    return n ? json_array_get(list, n - 1) : NULL;
}

static bool read_price(struct rate_of *out, double *rate, const struct wanted *w, const char *currency,
                       const json_t *sku)
{
    const json_t *now = price_now(sku), *formula = json_object_get(now, "pricingExpression");
    *rate =
        strcmp(currency, "USD") == 0 ? 1 : json_number_value(json_object_get(now, "currencyConversionRate"));
    return *rate > 0 && *rate < 1e9 && strcmp(text_of(formula, "usageUnit"), w->unit) == 0 &&
           read_tiers(out, json_object_get(formula, "tieredRates"), currency);
}

static bool is_same(double a, double b)
{
    return fabs(a - b) <= SAME_RATE * fabs(a) || (isnan(a) && isnan(b));
}

static bool take_rate(struct catalog *c, double rate, struct err *e)
{
    if (isnan(c->rate))
        c->rate = rate;
    return is_same(c->rate, rate) ||
           err_set(e, ERR_CORRUPT, "two rates of %s to the dollar, %g and %g", c->currency, c->rate, rate);
}

static void take_price(struct catalog_price *p, double usd, double free)
{
    p->two |= !isnan(p->usd) && !(is_same(p->usd, usd) && is_same(p->free, free));
    p->usd = p->two ? NAN : usd;
    p->free = p->two ? NAN : free;
}

static bool take_sku(struct catalog *c, const char *service, const json_t *sku, struct err *e)
{
    for (int i = 0; i < c->count; i++) {
        struct catalog_price *p = &c->prices[i];
        const struct wanted *w = wanted_of(p);
        struct rate_of price;
        double rate;
        if (p->two || !is_wanted(w, p, c, service, sku) || !read_price(&price, &rate, w, c->currency, sku))
            continue;
        if (!take_rate(c, rate, e))
            return false;
        take_price(p, price.amount / rate * w->per, price.free);
    }
    return true;
}

bool catalog_take_page(struct catalog *c, const char *service, const json_t *page, struct err *e)
{
    const json_t *list = json_object_get(page, "skus");
    if (!json_is_object(page) || (list && !json_is_array(list)))
        return err_set(e, ERR_CORRUPT, "not a page of SKUs");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!take_sku(c, service, json_array_get(list, i), e))
            return false;
    return true;
}

/* --- all of them --- */

struct listing {
    struct catalog *catalog;
    const char *service;
    int pages;
};

static bool take_listed(void *arg, const json_t *page, struct err *e)
{
    struct listing *l = arg;
    if (++l->pages > MOST_PAGES)
        return err_set(e, ERR_LIMIT, "more than %d pages of SKUs", MOST_PAGES);
    return catalog_take_page(l->catalog, l->service, page, e);
}

static bool read_service(struct catalog *c, struct cloud *cloud, const char *service,
                         const volatile sig_atomic_t *stop, struct err *e)
{
    struct listing l = {c, service, 0};
    struct rest q = {.api = "cloudbilling",
                     .method = "GET",
                     .path = "/v1/services/{}/skus?currencyCode={}&pageSize=5000&fields=skus(skuId,"
                             "description,category/usageType,serviceRegions,pricingInfo),nextPageToken",
                     .names = {service, c->currency},
                     .connect_seconds = CONNECT_SECONDS,
                     .stop = stop};
    return rest_pages(cloud, &q, take_listed, &l, e);
}

bool catalog_read(struct catalog *c, struct cloud *cloud, const struct catalog_question *q,
                  const volatile sig_atomic_t *stop, struct err *e)
{
    catalog_begin(c, q);
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (!read_service(c, cloud, services[i], stop, e))
            return err_wrap(e, "Cloud Billing Catalog");
    return true;
}

/* --- kept --- */

static json_t *number(double n)
{
    return isnan(n) ? json_null() : json_real(n);
}

json_t *catalog_json(const struct catalog *c)
{
    json_t *prices = json_object();
    for (int i = 0; i < c->count; i++)
        json_object_set_new(prices, c->prices[i].item,
                            json_pack("[o, o]", number(c->prices[i].usd), number(c->prices[i].free)));
    return json_pack("{s:s, s:s, s:o, s:o}", "region", c->region, "currency", c->currency, "rate",
                     number(c->rate), "prices", prices);
}

/* NAN for null. */
static bool read_number(double *out, const json_t *v, double most)
{
    *out = json_is_number(v) ? json_number_value(v) : NAN;
    return json_is_null(v) || (*out > 0 && *out < most);
}

static bool take_kept_price(struct catalog_price *p, const json_t *pair)
{
    return read_number(&p->usd, json_array_get(pair, 0), 1e18) &&
           read_number(&p->free, json_array_get(pair, 1), 1e15) && (isnan(p->free) || !isnan(p->usd));
}

bool catalog_take_kept(struct catalog *c, const json_t *kept)
{
    const json_t *prices = json_object_get(kept, "prices");
    bool ok = strcmp(text_of(kept, "region"), c->region) == 0 &&
              strcmp(text_of(kept, "currency"), c->currency) == 0 &&
              read_number(&c->rate, json_object_get(kept, "rate"), 1e9) &&
              json_object_size(prices) == (size_t)c->count;
    for (int i = 0; ok && i < c->count; i++)
        ok = take_kept_price(&c->prices[i], json_object_get(prices, c->prices[i].item));
    return ok && (catalog_found(c) == 0 || !isnan(c->rate));
}
