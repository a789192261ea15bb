/* Prices out of pages of SKUs: which SKU counts, what its tiers and amounts say, and which are left out. */
#include "client.h"
#include "cloud/billing_catalog.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RUN "152E-C115-5142"
#define STORAGE "95FF-2EF5-5EA1"
#define ARTIFACTS "149C-F9EC-3994"

static const struct catalog_question tokyo = {"asia-northeast1", 1, "USD"},
                                     seoul = {"asia-northeast3", 2, "USD"},
                                     tokyo_yen = {"asia-northeast1", 1, "JPY"},
                                     nowhere = {"asia-northeast9", 0, "USD"};

#define SKU(ID, DESCRIPTION, USAGE, REGIONS, INFO)                                                           \
    "{'skuId':'" ID "','description':'" DESCRIPTION "','category':{'usageType':'" USAGE                      \
    "'},'serviceRegions':[" REGIONS "],'pricingInfo':[" INFO "]}"
#define INFO(UNIT, TIERS) "{'pricingExpression':{'usageUnit':'" UNIT "','tieredRates':[" TIERS "]}}"
#define YEN_INFO(RATE, UNIT, TIERS)                                                                          \
    "{'currencyConversionRate':" RATE ",'pricingExpression':{'usageUnit':'" UNIT "','tieredRates':[" TIERS   \
    "]}}"
#define TIER(FROM, UNITS, NANOS)                                                                             \
    "{'startUsageAmount':" FROM ",'unitPrice':{'currencyCode':'USD','units':'" UNITS "','nanos':" NANOS "}}"
#define YEN_TIER(UNITS, NANOS)                                                                               \
    "{'startUsageAmount':0,'unitPrice':{'currencyCode':'JPY','units':'" UNITS "','nanos':" NANOS "}}"
#define TOKYO "'asia-northeast1'"
#define CPU "Services CPU (Request-based billing)"
#define ONE_CPU SKU("1", CPU, "OnDemand", "'us-central1'," TOKYO, INFO("s", TIER("0", "0", "24000")))

static json_t *page_of(const char *skus)
{
    char *text;
    assert_true(asprintf(&text, "{\"skus\":[%s]}", skus) > 0);
    for (char *at = text; (at = strchr(at, '\''));)
        *at = '"';
    json_t *page = json_loads(text, 0, NULL);
    if (!page)
        fail_msg("no JSON: %s", text);
    free(text);
    return page;
}

static struct catalog_price price_in(const struct catalog_question *q, const char *service, const char *skus,
                                     const char *item)
{
    struct catalog c;
    struct err e = {0};
    catalog_begin(&c, q);
    json_t *page = page_of(skus);
    if (!catalog_take_page(&c, service, page, &e))
        fail_msg("%s", e.text);
    json_decref(page);
    for (int i = 0; i < c.count; i++)
        if (strcmp(c.prices[i].item, item) == 0)
            return c.prices[i];
    fail_msg("%s is not asked for", item);
    return (struct catalog_price){.usd = NAN};
}

static void expect_near(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-12 * fabs(expected)))
        fail_msg("%.15g, expected %.15g", found, expected);
}

static const struct {
    const char *what, *service, *skus, *item;
} left_out[] = {
    {"a commitment's price", RUN, SKU("1", CPU, "Commit1Yr", TOKYO, INFO("s", TIER("0", "0", "24000"))),
     "run.request.cpu.active"},
    {"another region's", RUN, SKU("1", CPU, "OnDemand", "'us-central1'", INFO("s", TIER("0", "0", "24000"))),
     "run.request.cpu.active"},
    {"another unit's", RUN, SKU("1", CPU, "OnDemand", TOKYO, INFO("h", TIER("0", "0", "24000"))),
     "run.request.cpu.active"},
    {"another tier's", RUN,
     SKU("1", "Services CPU Tier 2 (Request-based billing)", "OnDemand", TOKYO,
         INFO("s", TIER("0", "0", "24000"))),
     "run.request.cpu.active"},
    {"another service's of the same name", STORAGE, ONE_CPU, "run.request.cpu.active"},
    {"a name that only begins so", RUN,
     SKU("1", CPU " in Tokyo", "OnDemand", TOKYO, INFO("s", TIER("0", "0", "24000"))),
     "run.request.cpu.active"},
    {"a price that falls with the amount", RUN,
     SKU("1", CPU, "OnDemand", TOKYO, INFO("s", TIER("0", "0", "24000") "," TIER("9", "0", "23000"))),
     "run.request.cpu.active"},
    {"three tiers", RUN,
     SKU("1", CPU, "OnDemand", TOKYO,
         INFO("s", TIER("0", "0", "0") "," TIER("9", "0", "2") "," TIER("99", "0", "1"))),
     "run.request.cpu.active"},
    {"no tier", RUN, SKU("1", CPU, "OnDemand", TOKYO, INFO("s", "")), "run.request.cpu.active"},
    {"a first tier that does not begin at 0", RUN,
     SKU("1", CPU, "OnDemand", TOKYO, INFO("s", TIER("1", "0", "24000"))), "run.request.cpu.active"},
    {"a price of nothing", RUN, SKU("1", CPU, "OnDemand", TOKYO, INFO("s", TIER("0", "0", "0"))),
     "run.request.cpu.active"},
    {"less than nothing", RUN, SKU("1", CPU, "OnDemand", TOKYO, INFO("s", TIER("0", "0", "-24000"))),
     "run.request.cpu.active"},
    {"more nanos than a unit has", RUN,
     SKU("1", CPU, "OnDemand", TOKYO, INFO("s", TIER("0", "0", "1000000000"))), "run.request.cpu.active"},
    {"units that are no number", RUN, SKU("1", CPU, "OnDemand", TOKYO, INFO("s", TIER("0", "1x", "0"))),
     "run.request.cpu.active"},
    {"units beyond all numbers", RUN,
     SKU("1", CPU, "OnDemand", TOKYO, INFO("s", TIER("0", "99999999999999999999", "0"))),
     "run.request.cpu.active"},
    {"nanos that are a text", RUN, SKU("1", CPU, "OnDemand", TOKYO, INFO("s", TIER("0", "0", "'24000'"))),
     "run.request.cpu.active"},
    {"another currency's", RUN, SKU("1", CPU, "OnDemand", TOKYO, INFO("s", YEN_TIER("1", "0"))),
     "run.request.cpu.active"},
    {"no price at all", RUN, SKU("1", CPU, "OnDemand", TOKYO, ""), "run.request.cpu.active"},
    {"a SKU that is no object", RUN, "7, null, [], 'x'", "run.request.cpu.active"},
    {"a dual-region", STORAGE,
     SKU("1", "Standard Storage Tokyo/Osaka Dual-region", "OnDemand", TOKYO,
         INFO("GiBy.mo", TIER("0", "0", "9"))),
     "gcs.storage.standard.asia-northeast1"},
    {"a fee for deleting early", STORAGE,
     SKU("1", "Nearline Storage Tokyo (Early Delete)", "OnDemand", TOKYO,
         INFO("GiBy.mo", TIER("0", "0", "9"))),
     "gcs.storage.nearline.asia-northeast1"},
    {"another SKU of operations", STORAGE,
     SKU("4DBF-185F-A416", "Regional Standard Class A Operations", "OnDemand", "'global'",
         INFO("count", TIER("0", "0", "9"))),
     "gcs.ops.class_a"},
};

static void what_does_not_fit_or_is_not_as_documented_is_left_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
        struct catalog_price p = price_in(&tokyo, left_out[i].service, left_out[i].skus, left_out[i].item);
        if (!isnan(p.usd) || !isnan(p.free))
            fail_msg("%s: taken as %g", left_out[i].what, p.usd);
    }
}

static const struct {
    const struct catalog_question *q;
    const char *service, *skus, *item;
    double usd, free; /* free 0: not said */
} taken[] = {
    {&tokyo, RUN, ONE_CPU, "run.request.cpu.active", 0.000024, 0},
    {&tokyo, RUN, /* Google's own slips in the name: seen in Tokyo, and in tier 2 */
     SKU("1", "Services CPU (Instance-based billing) in in asia-northeast1", "OnDemand", TOKYO,
         INFO("s", TIER("0", "0", "18000"))),
     "run.instance.cpu", 0.000018, 0},
    {&seoul, RUN,
     SKU("1", "Services CPU Tier 2  (Request-based billing)", "OnDemand", "'asia-northeast3'",
         INFO("s", TIER("0", "0", "33600"))),
     "run.request.cpu.active.tier2", 0.0000336, 0},
    {&tokyo, RUN,
     SKU("1", "Requests", "OnDemand", "'global'",
         INFO("count", TIER("0", "0", "0") "," TIER("2000000", "0", "400"))),
     "run.request.requests", 0.4, 2e6},
    {&nowhere, RUN, SKU("1", "Requests", "OnDemand", "'global'", INFO("count", TIER("0", "0", "400"))),
     "run.request.requests", 0.4, 0},
    {&tokyo, STORAGE,
     SKU("1", "Standard Storage Tokyo", "OnDemand", TOKYO, INFO("GiBy.mo", TIER("0", "0", "23000000"))),
     "gcs.storage.standard.asia-northeast1", 0.023, 0},
    {&tokyo, STORAGE, /* 5,000 are free; the item counts in thousands */
     SKU("4DBF-185F-A415", "any name", "OnDemand", "'global'",
         INFO("count", TIER("0", "0", "0") "," TIER("5000", "0", "5000"))),
     "gcs.ops.class_a", 0.005, 5000},
    {&tokyo, ARTIFACTS,
     SKU("8502-299A-ABAF", "any name", "OnDemand", "'global'",
         INFO("GiBy.mo", TIER("0", "0", "0") "," TIER("0.5", "0", "100000000"))),
     "ar.storage", 0.1, 0.5},
    /* whole units, both kinds of amount together, and parts that JSON leaves out when they are 0 */
    {&tokyo, ARTIFACTS,
     SKU("8502-299A-ABAF", "", "OnDemand", "", INFO("GiBy.mo", TIER("0", "12", "500000000"))), "ar.storage",
     12.5, 0},
    {&tokyo, ARTIFACTS,
     SKU("8502-299A-ABAF", "", "OnDemand", "",
         INFO("GiBy.mo", "{'unitPrice':{'currencyCode':'USD','units':'3'}}")),
     "ar.storage", 3, 0},
    /* the last of a timeline holds */
    {&tokyo, RUN,
     SKU("1", CPU, "OnDemand", TOKYO, INFO("s", TIER("0", "0", "99")) "," INFO("s", TIER("0", "0", "24000"))),
     "run.request.cpu.active", 0.000024, 0},
    /* two that say the same are one */
    {&tokyo, RUN, ONE_CPU "," ONE_CPU, "run.request.cpu.active", 0.000024, 0},
    /* yen: Google's own rate makes dollars of it. 3.8352 / 159.8 = 0.024 */
    {&tokyo_yen, STORAGE,
     SKU("1", "Standard Storage Tokyo", "OnDemand", TOKYO,
         YEN_INFO("159.8", "GiBy.mo", YEN_TIER("3", "835200000"))),
     "gcs.storage.standard.asia-northeast1", 0.024, 0},
};

static void amounts_and_free_tiers_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        struct catalog_price p = price_in(taken[i].q, taken[i].service, taken[i].skus, taken[i].item);
        expect_near(p.usd, taken[i].usd);
        if (taken[i].free > 0)
            expect_near(p.free, taken[i].free);
        else
            assert_true(isnan(p.free));
    }
}

static void two_that_differ_are_none_whatever_follows(void **state)
{
    (void)state;
    const char *other = SKU("2", CPU, "OnDemand", TOKYO, INFO("s", TIER("0", "0", "25000")));
    char skus[3000];
    snprintf(skus, sizeof skus, "%s,%s,%s", ONE_CPU, other, ONE_CPU);
    assert_true(isnan(price_in(&tokyo, RUN, skus, "run.request.cpu.active").usd));
}

static void region_of_unknown_tier_asks_for_no_price_by_tier(void **state)
{
    (void)state;
    struct catalog c;
    catalog_begin(&c, &nowhere);
    for (int i = 0; i < c.count; i++)
        assert_true(strcmp(c.prices[i].item, "run.request.requests") == 0 ||
                    strncmp(c.prices[i].item, "run.", 4) != 0);
}

static void what_is_no_page_or_has_two_rates_is_refused(void **state)
{
    (void)state;
    struct catalog c;
    struct err e = {0};
    json_t *array = json_array(), *text = json_pack("{s:s}", "skus", "x");
    catalog_begin(&c, &tokyo);
    assert_false(catalog_take_page(&c, RUN, array, &e));
    expect_error(&e, ERR_CORRUPT, "not a page of SKUs");
    assert_false(catalog_take_page(&c, RUN, text, &e));
    json_decref(array);
    json_decref(text);
    json_t *rates =
        page_of(SKU("1", CPU, "OnDemand", TOKYO, YEN_INFO("159.8", "s", YEN_TIER("0", "3000"))) "," SKU(
            "1", "Services Memory (Request-based billing)", "OnDemand", TOKYO,
            YEN_INFO("120", "GiBy.s", YEN_TIER("0", "3000"))));
    catalog_begin(&c, &tokyo_yen);
    assert_false(catalog_take_page(&c, RUN, rates, &e));
    expect_error(&e, ERR_CORRUPT, "two rates of JPY to the dollar, 159.8 and 120");
    json_decref(rates);
}

static void what_is_kept_comes_back_as_it_was(void **state)
{
    (void)state;
    struct catalog c, back, other;
    json_t *page = page_of(ONE_CPU), *kept;
    catalog_begin(&c, &tokyo);
    assert_true(catalog_take_page(&c, RUN, page, NULL));
    kept = catalog_json(&c);
    catalog_begin(&back, &tokyo);
    assert_true(catalog_take_kept(&back, kept));
    assert_int_equal(catalog_found(&back), 1);
    for (int i = 0; i < c.count; i++)
        assert_true(back.prices[i].usd == c.prices[i].usd || isnan(c.prices[i].usd));
    catalog_begin(&other, &seoul); /* another question's answer */
    assert_false(catalog_take_kept(&other, kept));
    catalog_begin(&other, &tokyo_yen);
    assert_false(catalog_take_kept(&other, kept));
    json_decref(kept);
    json_decref(page);
}

/* --- asking --- */

static void pages_of_three_services_are_asked_with_the_fields_that_are_read(void **state)
{
    struct client *c = *state;
    struct catalog found;
    struct err e = {0};
    setenv("FERRY_ENDPOINT_CLOUDBILLING", canned_url(c->server), 1);
    canned_answer(c->server, 200, NULL, "{\"skus\":[],\"nextPageToken\":\"a b\"}");
    for (int i = 0; i < 3; i++)
        canned_answer(c->server, 200, NULL, "{}");
    if (!catalog_read(&found, c->cloud, &tokyo_yen, NULL, &e))
        fail_msg("%s", e.text);
    assert_int_equal(catalog_found(&found), 0);
#define QUERY                                                                                                \
    "/skus?currencyCode=JPY&pageSize=5000&fields=skus(skuId,description,category/usageType,serviceRegions,"  \
    "pricingInfo),nextPageToken"
    expect_request(c, 0, "GET /v1/services/" RUN QUERY, "Bearer token-1", NULL);
    expect_request(c, 1, "GET /v1/services/" RUN QUERY "&pageToken=a%20b", NULL);
    expect_request(c, 2, "GET /v1/services/" STORAGE QUERY, NULL);
    expect_request(c, 3, "GET /v1/services/" ARTIFACTS QUERY, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_or_is_not_as_documented_is_left_out),
        cmocka_unit_test(amounts_and_free_tiers_are_read),
        cmocka_unit_test(two_that_differ_are_none_whatever_follows),
        cmocka_unit_test(region_of_unknown_tier_asks_for_no_price_by_tier),
        cmocka_unit_test(what_is_no_page_or_has_two_rates_is_refused),
        cmocka_unit_test(what_is_kept_comes_back_as_it_was),
        cmocka_unit_test_setup_teardown(pages_of_three_services_are_asked_with_the_fields_that_are_read,
                                        client_open, client_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
