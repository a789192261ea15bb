/* The real program against the emulator's Cloud Billing Catalog: whose prices a plan has, and how it says so.
 */
#include "scratch.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CATALOG "/v1/services/*"
#define KEPT "cache/ferry/prices-USD-asia-northeast1.json"

static char *ferry, *tests_folder; /* the program; tests/ of the sources */
static struct scratch scratch;

static int start(void **state)
{
    static char cache[300];
    scratch_start(&scratch, ferry);
    snprintf(cache, sizeof cache, "%s/cache", scratch.folder);
    setenv("XDG_CACHE_HOME", cache, 1);
    unsetenv("FERRY_PRICES");
    unsetenv("LC_ALL");
    unsetenv("LC_MONETARY");
    unsetenv("LANG");
    char command[900];
    snprintf(command, sizeof command, "mkdir model && cp '%s/data/models/tiny-qwen2-audio'/* model",
             tests_folder);
    assert_int_equal(system(command), 0);
    *state = &scratch;
    return 0;
}

static int end(void **state)
{
    unsetenv("XDG_CACHE_HOME");
    scratch_end(*state);
    return 0;
}

static void expect_said(const struct scratch *s, const char *words)
{
    char flat[1 << 16], *to = flat; /* lines are wrapped anywhere */
    for (const char *from = s->last.out; *from; from++)
        if (!strchr(" \n", *from) || to == flat || to[-1] != ' ')
            *to++ = *from == '\n' ? ' ' : *from;
    *to = 0;
    if (!strstr(flat, words))
        fail_msg("\"%s\" is not said:\n%s", words, s->last.out);
}

static int asked(struct scratch *s)
{
    return emulator_count(&s->emulator, "GET", CATALOG, 0).requests;
}

static json_t *plan(struct scratch *s, const char *region)
{
    scratch_ok(s, "plan", "./model", "--json", "--region", region);
    json_t *plan = json_loads(s->last.out, 0, NULL);
    assert_non_null(plan);
    return plan;
}

static double storage_month(const json_t *plan, const char *location, const char *class)
{
    const json_t *list = json_object_get(plan, "storage"), *one;
    size_t i;
    json_array_foreach(list, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "location")), location) == 0 &&
            strcmp(json_string_value(json_object_get(one, "class")), class) == 0)
            return json_number_value(json_object_get(one, "usd_month"));
    }
    fail_msg("no %s in %s", class, location);
    return NAN;
}

/* Of two numbers of six digits each, as --json has them. */
static void expect_ratio(double a, double b, double ratio)
{
    if (!(fabs(a / b - ratio) < 1e-5 * ratio))
        fail_msg("%g / %g is %.12g, expected %.12g", a, b, a / b, ratio);
}

static void prices_of_the_day_replace_those_they_match_and_no_others(void **state)
{
    struct scratch *s = *state;
    json_t *today = plan(s, "asia-northeast1");
    setenv("FERRY_PRICES", "snapshot", 1);
    json_t *before = plan(s, "asia-northeast1");
    unsetenv("FERRY_PRICES");
    expect_ratio(storage_month(today, "asia-northeast1", "standard"),
                 storage_month(before, "asia-northeast1", "standard"), 24 / 23.0);
    expect_ratio(storage_month(today, "asia-northeast1", "coldline"),
                 storage_month(before, "asia-northeast1", "coldline"), 7 / 6.0);
    expect_ratio(storage_month(today, "asia-northeast1", "archive"), /* not in the catalog */
                 storage_month(before, "asia-northeast1", "archive"), 1);
    const json_t *catalog = json_object_get(json_object_get(today, "prices"), "catalog");
    assert_int_equal(json_integer_value(json_object_get(catalog, "prices")), 13);
    assert_string_equal(json_string_value(json_object_get(catalog, "not_found")),
                        "gcs.storage.archive.asia-northeast1");
    assert_true(json_is_null(json_object_get(json_object_get(before, "prices"), "catalog")));
    json_decref(today);
    json_decref(before);
}

static void plan_says_whose_prices_it_has_and_which_are_old(void **state)
{
    struct scratch *s = *state;
    char today[11];
    time_t now = time(NULL);
    strftime(today, sizeof today, "%Y-%m-%d", gmtime(&now));
    scratch_ok(s, "plan", "./model");
    expect_said(s, "Prices: 13 of Cloud Run, the bucket and the images from the Cloud Billing Catalog, ");
    expect_said(s,
                "; those of machines, disks, GPUs and all others from the snapshot in this program, newest "
                "source 2026-10-01");
    expect_said(s, "Not found in the catalog, and therefore the snapshot's: "
                   "gcs.storage.archive.asia-northeast1.");
    assert_non_null(strstr(s->last.out, today));
    scratch_ok(s, "plan", "./model", "--explain");
    expect_said(s, "vCPU * $0.000025 +"); /* the emulator's */
}

static void region_of_tier_2_gets_its_own(void **state)
{
    struct scratch *s = *state;
    scratch_ok(s, "plan", "./model", "--explain", "--region", "asia-northeast3");
    expect_said(s, "vCPU * $0.000035 +");
    expect_said(s, "GiB * $0.0000036");
}

static void answer_is_kept_for_a_day_for_this_user_alone(void **state)
{
    struct scratch *s = *state;
    struct stat st;
    scratch_ok(s, "plan", "./model");
    int first = asked(s);
    assert_int_equal(first, 3 + 2 + 1); /* pages */
    assert_int_equal(stat(KEPT, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    scratch_ok(s, "plan", "./model");
    expect_said(s, "from the Cloud Billing Catalog");
    assert_int_equal(asked(s), first);
    scratch_ok(s, "plan", "./model", "--region", "us-central1"); /* another question */
    assert_true(asked(s) > first);
    first = asked(s);
    json_t *kept = json_load_file(KEPT, 0, NULL);
    json_object_set_new(kept, "asked", json_integer(time(NULL) - 86400));
    assert_int_equal(json_dump_file(kept, KEPT, 0), 0);
    json_decref(kept);
    scratch_ok(s, "plan", "./model");
    assert_int_equal(asked(s), first + 6);
    scratch_text(KEPT, "{\"asked\":");
    scratch_ok(s, "plan", "./model"); /* what is no answer is asked for again */
    assert_int_equal(asked(s), first + 12);
}

static void without_credentials_nobody_is_asked(void **state)
{
    struct scratch *s = *state;
    unsetenv("FERRY_ACCESS_TOKEN");
    setenv("GCE_METADATA_HOST", "127.0.0.1:9", 1); /* nobody listens */
    char *path = strdup(getenv("PATH"));
    setenv("PATH", "/nonexistent", 1); /* no gcloud either */
    scratch_ok(s, "plan", "./model");
    setenv("PATH", path, 1);
    free(path);
    expect_said(s, "Prices: the snapshot in this program, newest source 2026-10-01");
    assert_null(strstr(s->last.out, "could not be had"));
    assert_int_equal(asked(s), 0);
}

static void snapshot_and_file_ask_nobody(void **state)
{
    struct scratch *s = *state;
    scratch_ok(s, "plan", "./model", "--prices", "snapshot");
    expect_said(s, "Prices: the snapshot in this program");
    scratch_text("prices.json", "{\"schema\":1,\"currency\":\"USD\",\"newest_source\":\"2027-01-01\","
                                "\"items\":[],\"aws_limits\":[]}");
    scratch_ok(s, "plan", "./model", "--prices", "prices.json");
    expect_said(s, "Prices: prices.json, newest source 2027-01-01");
    assert_int_equal(asked(s), 0);
}

static const struct {
    const char *faults, *says;
} refusals[] = {
    {"{\"about\":\"the API is "
     "off\",\"faults\":[{\"path\":\"/v1/services/*\",\"times\":0,\"do\":{\"status\":403,"
     "\"body\":{\"error\":{\"code\":403,\"status\":\"PERMISSION_DENIED\",\"message\":\"Cloud Billing API has "
     "not "
     "been used in project 123456789012 before or it is "
     "disabled.\",\"details\":[{\"@type\":\"type.googleapis.com/"
     "google.rpc.ErrorInfo\",\"reason\":\"SERVICE_DISABLED\",\"domain\":\"googleapis.com\",\"metadata\":{"
     "\"service\":\"cloudbilling.googleapis.com\",\"consumer\":\"projects/123456789012\"}}]}}}}]}",
     "cloudbilling.googleapis.com"},
    {"{\"about\":\"too many "
     "calls\",\"faults\":[{\"path\":\"/v1/services/*\",\"times\":0,\"do\":{\"status\":429,"
     "\"body\":{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\",\"message\":\"Quota "
     "exceeded.\"}}}}]}",
     "Quota exceeded"},
    {"{\"about\":\"no catalog\",\"faults\":[{\"path\":\"/v1/services/*\",\"times\":0,\"do\":{\"status\":200,"
     "\"body\":{\"skus\":\"x\"}}}]}",
     "not a page of SKUs"},
    {"{\"about\":\"on the second page\",\"faults\":[{\"path\":\"/v1/services/*\",\"query\":\"*pageToken*\","
     "\"times\":0,\"do\":{\"status\":500}}]}",
     "500"},
};

static void refusal_leaves_the_snapshot_and_is_said_in_one_sentence(void **state)
{
    struct scratch *s = *state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        emulator_faults(&s->emulator, refusals[i].faults);
        scratch_ok(s, "plan", "./model");
        expect_said(s, "Prices: the snapshot in this program");
        expect_said(s, "Today's prices could not be had: Cloud Billing Catalog: ");
        expect_said(s, refusals[i].says);
        assert_false(scratch_exists(KEPT));
    }
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void slow_catalog_is_not_waited_for(void **state)
{
    struct scratch *s = *state;
    static const char *const slow[] = {
        "{\"about\":\"silent\",\"faults\":[{\"path\":\"/v1/services/"
        "*\",\"times\":0,\"do\":{\"stall_seconds\":20}}]}",
        "{\"about\":\"a trickle\",\"faults\":[{\"path\":\"/v1/services/*\",\"times\":0,\"do\":{"
        "\"bytes_per_second\":100}}]}"};
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++) {
        emulator_faults(&s->emulator, slow[i]);
        double begin = seconds();
        scratch_ok(s, "plan", "./model");
        assert_true(seconds() - begin < 8); /* four, and a busy machine */
        expect_said(s, "Prices: the snapshot in this program");
        expect_said(s, "Today's prices could not be had: ");
        emulator_faults(&s->emulator, NULL);
    }
}

static void japanese_locale_gets_yen_at_googles_own_rate(void **state)
{
    struct scratch *s = *state;
    setenv("LC_MONETARY", "ja_JP.UTF-8", 1);
    json_t *yen = plan(s, "asia-northeast1");
    assert_true(json_real_value(json_object_get(json_object_get(yen, "prices"), "yen_per_usd")) == 160.5);
    json_decref(yen);
    scratch_ok(s, "plan", "./model", "--explain");
    expect_said(s, "yen at 160.5 to the dollar, Google's own rate of that day");
    expect_said(s, "vCPU * $0.000025 +"); /* through yen and back */
    assert_non_null(strstr(s->last.out, "\u00a5"));
    scratch_ok(s, "plan", "./model", "--rate", "150"); /* somebody's own rate wins */
    expect_said(s, "yen at 150 to the dollar, the rate given with --rate");
    unsetenv("LC_MONETARY");
}

#define test(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        test(prices_of_the_day_replace_those_they_match_and_no_others),
        test(plan_says_whose_prices_it_has_and_which_are_old),
        test(region_of_tier_2_gets_its_own),
        test(answer_is_kept_for_a_day_for_this_user_alone),
        test(without_credentials_nobody_is_asked),
        test(snapshot_and_file_ask_nobody),
        test(refusal_leaves_the_snapshot_and_is_said_in_one_sentence),
        test(slow_catalog_is_not_waited_for),
        test(japanese_locale_gets_yen_at_googles_own_rate),
    };
    if (argc != 3)
        return 2;
    ferry = argv[1];
    tests_folder = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
