#include "close.h"
#include "plan/prices.h"
#include "plan/regions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Great circles between cities, as any atlas has them; coordinates are those of the city. */
static void distances_are_those_of_an_atlas(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        double km;
    } cases[] = {
        {"asia-northeast1", "asia-southeast1", 5320},
        {"asia-northeast1", "asia-northeast2", 400},
        {"us-central1", "europe-west1", 7200},
        {"asia-northeast1", "us-west1", 7760},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct region *a = region_find(cases[i].a), *b = region_find(cases[i].b);
        assert_near(region_km(a, b), cases[i].km, 0.02);
        assert_close(region_km(a, b), region_km(b, a));
        assert_true(region_km(a, a) == 0);
    }
    assert_close(region_round_trip_ms(5320), 53.2); /* there and back, 200 km in a millisecond */
}

static void tokyo_has_no_gpu_and_singapore_is_nearest(void **state)
{
    (void)state;
    const struct region *tokyo = region_find("asia-northeast1");
    assert_int_equal(tokyo->l4, REGION_NO_GPU);
    assert_true(tokyo->disk);
    assert_string_equal(region_nearest_l4(tokyo)->name, "asia-southeast1");
    assert_string_equal(region_nearest_l4(region_find("us-central1"))->name, "us-central1");
    /* Mumbai's is on invitation */
    assert_string_equal(region_nearest_l4(region_find("asia-south1"))->name, "asia-southeast1");
}

static void every_region_has_its_tier_and_its_name_once(void **state)
{
    (void)state;
    struct prices *p = prices_builtin(NULL);
    for (size_t i = 0; region_at(i); i++) {
        const struct region *r = region_at(i);
        assert_ptr_equal(region_find(r->name), r);
        assert_int_not_equal(prices_tier(p, r->name), TIER_UNKNOWN);
        assert_true(fabs(r->latitude) <= 90 && fabs(r->longitude) <= 180 && *r->place);
        assert_true(i == 0 || strcmp(region_at(i - 1)->name, r->name) != 0);
    }
    assert_null(region_find("asia-northeast9"));
    prices_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_are_those_of_an_atlas),
        cmocka_unit_test(tokyo_has_no_gpu_and_singapore_is_nearest),
        cmocka_unit_test(every_region_has_its_tier_and_its_name_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
