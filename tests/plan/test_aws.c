#include "close.h"
#include "plan/aws.h"
#include "plan/cloud_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct prices *snapshot;

static const struct aws_place *find(const struct aws_place *all, const char *name)
{
    for (int i = 0; i < AWS_PLACES; i++)
        if (strcmp(all[i].name, name) == 0)
            return &all[i];
    fail_msg("%s is not among them", name);
    return NULL;
}

/* Lambda 10,240 MB, SageMaker serverless 6,144 MB, App Runner 12 GB; a T4 has 16 GB, an L4 24. */
static void limits_rule_out_what_is_too_large(void **state)
{
    (void)state;
    static const struct {
        double gib;
        const char *name;
        enum aws_verdict verdict;
    } cases[] = {
        {19.9, "Lambda", AWS_NO},
        {10, "Lambda", AWS_YES},
        {10.1, "Lambda", AWS_NO},
        {6, "SageMaker serverless", AWS_YES},
        {6.1, "SageMaker serverless", AWS_NO},
        {12.5, "App Runner", AWS_NO},
        {19.9, "SageMaker real-time", AWS_YES},
        {19.9, "Fargate", AWS_UNKNOWN},
        {14, "g4dn.xlarge", AWS_YES},
        {15, "g4dn.xlarge", AWS_NO},
        {19.9, "g6.xlarge", AWS_YES},
        {22.1, "g6.xlarge", AWS_NO},
        {19.9, "g5.xlarge", AWS_YES},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct aws_place all[AWS_PLACES];
        uint64_t bytes = (uint64_t)(cases[i].gib * (double)PLAN_GIB);
        aws_places(all, snapshot, bytes, bytes);
        if (find(all, cases[i].name)->verdict != cases[i].verdict)
            fail_msg("%s at %g GiB: %s", cases[i].name, cases[i].gib, find(all, cases[i].name)->why);
    }
}

static void only_what_the_snapshot_has_gets_a_price(void **state)
{
    (void)state;
    struct aws_place all[AWS_PLACES];
    aws_places(all, snapshot, PLAN_GIB, PLAN_GIB);
    assert_near(find(all, "g6.xlarge")->usd_month, 0.8048 * 730, 1e-12);
    assert_string_equal(find(all, "g6.xlarge")->region, "us-east-1");
    assert_true(isnan(find(all, "SageMaker real-time")->usd_month) && isnan(find(all, "Fargate")->usd_month));
    assert_true(isnan(find(all, "Lambda")->usd_month));
}

/* Another snapshot may say nothing of Amazon: nothing is ruled out then. */
static void without_limits_nothing_is_known(void **state)
{
    (void)state;
    const char *json =
        "{\"schema\":1,\"currency\":\"USD\",\"newest_source\":\"d\",\"items\":[],\"aws_limits\":[]}";
    struct prices *p = prices_parse(json, strlen(json), NULL);
    struct aws_place all[AWS_PLACES];
    aws_places(all, p, UINT64_MAX / 2, PLAN_GIB);
    assert_int_equal(find(all, "Lambda")->verdict, AWS_UNKNOWN);
    assert_int_equal(find(all, "App Runner")->verdict, AWS_UNKNOWN);
    assert_int_equal(find(all, "SageMaker real-time")->verdict, AWS_UNKNOWN);
    prices_free(p);
}

static int open_snapshot(void **state)
{
    (void)state;
    snapshot = prices_builtin(NULL);
    return snapshot ? 0 : -1;
}

static int close_snapshot(void **state)
{
    (void)state;
    prices_free(snapshot);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_rule_out_what_is_too_large),
        cmocka_unit_test(only_what_the_snapshot_has_gets_a_price),
        cmocka_unit_test(without_limits_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, open_snapshot, close_snapshot);
}
