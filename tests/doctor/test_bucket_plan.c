#include "doctor/bucket_plan.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define UNSAID                                                                                               \
    {                                                                                                        \
        .expire_days = BUCKET_UNSAID, .soft_delete_days = BUCKET_UNSAID                                      \
    }

static const struct bucket_wish nothing_said = UNSAID;

/* As Google answers for one that is as it should be. */
static const char good[] =
    "{\"kind\":\"storage#bucket\",\"location\":\"ASIA-NORTHEAST1\",\"locationType\":\"region\","
    "\"storageClass\":\"STANDARD\",\"iamConfiguration\":{\"uniformBucketLevelAccess\":{\"enabled\":true,"
    "\"lockedTime\":\"2027-01-01T00:00:00Z\"},\"publicAccessPrevention\":\"enforced\"},"
    "\"softDeletePolicy\":{\"retentionDurationSeconds\":\"604800\"},\"metageneration\":\"3\","
    "\"lifecycle\":{\"rule\":[{\"action\":{\"type\":\"AbortIncompleteMultipartUpload\"},"
    "\"condition\":{\"age\":7}}]}}";

static json_t *parse(const char *text)
{
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    return o;
}

/* The good one with one member replaced, or removed when value is NULL. */
static json_t *altered(const char *member, const char *value)
{
    json_t *o = parse(good);
    if (value)
        json_object_set_new(o, member, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(o, member);
    return o;
}

static void expect_json(json_t *got, const char *expected)
{
    json_t *want = parse(expected);
    if (!json_equal(got, want))
        fail_msg("got %s", json_dumps(got, JSON_COMPACT));
    json_decref(got);
    json_decref(want);
}

static void new_bucket_is_what_the_api_documents(void **state)
{
    struct bucket_wish w = {.region = "asia-northeast1", .expire_days = 30, .soft_delete_days = 0};
    (void)state;
    expect_json(
        bucket_body("model-bkt", &w),
        "{\"name\":\"model-bkt\",\"location\":\"asia-northeast1\",\"storageClass\":\"STANDARD\","
        "\"iamConfiguration\":{\"uniformBucketLevelAccess\":{\"enabled\":true},"
        "\"publicAccessPrevention\":\"enforced\"},\"softDeletePolicy\":{\"retentionDurationSeconds\":\"0\"},"
        "\"lifecycle\":{\"rule\":[{\"action\":{\"type\":\"AbortIncompleteMultipartUpload\"},"
        "\"condition\":{\"age\":7}},{\"action\":{\"type\":\"Delete\"},\"condition\":{\"age\":30}}]},"
        "\"labels\":{\"managed-by\":\"ferry\"}}");
}

static void what_is_not_said_is_left_to_google(void **state)
{
    struct bucket_wish w = UNSAID;
    (void)state;
    w.region = "us-central1";
    json_t *body = bucket_body("b", &w);
    assert_null(json_object_get(body, "softDeletePolicy"));
    assert_int_equal(json_array_size(json_object_get(json_object_get(body, "lifecycle"), "rule")), 1);
    json_decref(body);
}

static void good_bucket_needs_nothing(void **state)
{
    struct bucket_fact f[BUCKET_FACTS];
    struct bucket_wish w = UNSAID;
    json_t *bucket = parse(good);
    (void)state;
    w.region = "asia-northeast1"; /* Google answers in capitals */
    bucket_compare(bucket, &w, f);
    assert_int_equal(bucket_count(f, BUCKET_FINE), BUCKET_FACTS);
    expect_json(bucket_fix(bucket, &w), "{}");
    json_decref(bucket);
}

static const struct {
    const char *member, *value;
    struct bucket_wish wish;
    int fact;
    enum bucket_state state;
    const char *is, *patch;
} differences[] = {
    {"location",
     "\"US\"",
     {.region = "asia-northeast1", .expire_days = -1, .soft_delete_days = -1},
     0,
     BUCKET_STUCK,
     "US (region)",
     "{}"},
    {"locationType", "\"multi-region\"", UNSAID, 0, BUCKET_STUCK, "ASIA-NORTHEAST1 (multi-region)", "{}"},
    {"storageClass", "\"NEARLINE\"", UNSAID, 1, BUCKET_DIFFERS, "NEARLINE",
     "{\"storageClass\":\"STANDARD\"}"},
    {"iamConfiguration",
     "{\"uniformBucketLevelAccess\":{\"enabled\":false},\"publicAccessPrevention\":\"enforced\"}", UNSAID, 2,
     BUCKET_DIFFERS, "each object its own (ACLs)",
     "{\"iamConfiguration\":{\"uniformBucketLevelAccess\":{\"enabled\":true},\"publicAccessPrevention\":"
     "\"enforced\"}}"},
    {"iamConfiguration",
     "{\"uniformBucketLevelAccess\":{\"enabled\":true},\"publicAccessPrevention\":\"inherited\"}", UNSAID, 3,
     BUCKET_DIFFERS, "possible",
     "{\"iamConfiguration\":{\"uniformBucketLevelAccess\":{\"enabled\":true},\"publicAccessPrevention\":"
     "\"enforced\"}}"},
    {"iamConfiguration", NULL, UNSAID, 3, BUCKET_DIFFERS, "possible",
     "{\"iamConfiguration\":{\"uniformBucketLevelAccess\":{\"enabled\":true},\"publicAccessPrevention\":"
     "\"enforced\"}}"},
    {"etag",
     "\"x\"",
     {.expire_days = -1, .soft_delete_days = 0},
     4,
     BUCKET_DIFFERS,
     "kept, and charged for, 7 days",
     "{\"softDeletePolicy\":{\"retentionDurationSeconds\":\"0\"}}"},
    {"softDeletePolicy",
     "{\"retentionDurationSeconds\":\"0\"}",
     {.expire_days = -1, .soft_delete_days = 8},
     4,
     BUCKET_DIFFERS,
     "gone at once",
     "{\"softDeletePolicy\":{\"retentionDurationSeconds\":\"691200\"}}"},
    {"lifecycle", NULL, UNSAID, 5, BUCKET_DIFFERS, "kept, and charged for, for ever",
     "{\"lifecycle\":{\"rule\":[{\"action\":{\"type\":\"AbortIncompleteMultipartUpload\"},\"condition\":{"
     "\"age\":7}}]}}"},
    {"etag",
     "\"x\"",
     {.expire_days = 30, .soft_delete_days = -1},
     6,
     BUCKET_DIFFERS,
     "kept",
     "{\"lifecycle\":{\"rule\":[{\"action\":{\"type\":\"AbortIncompleteMultipartUpload\"},\"condition\":{"
     "\"age\":7}},"
     "{\"action\":{\"type\":\"Delete\"},\"condition\":{\"age\":30}}]}}"},
};

static void each_difference_is_seen_and_patched_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof differences / sizeof *differences; i++) {
        struct bucket_fact f[BUCKET_FACTS];
        json_t *bucket = altered(differences[i].member, differences[i].value);
        bucket_compare(bucket, &differences[i].wish, f);
        assert_int_equal(f[differences[i].fact].state, differences[i].state);
        assert_string_equal(f[differences[i].fact].is, differences[i].is);
        expect_json(bucket_fix(bucket, &differences[i].wish), differences[i].patch);
        json_decref(bucket);
    }
}

static void rules_of_others_stay(void **state)
{
    static const char rules[] = "{\"rule\":[{\"action\":{\"type\":\"Delete\"},\"condition\":{\"age\":3,"
                                "\"matchesPrefix\":[\"tmp/\"]}},"
                                "{\"action\":{\"type\":\"SetStorageClass\",\"storageClass\":\"NEARLINE\"},"
                                "\"condition\":{\"age\":90}},"
                                "{\"action\":{\"type\":\"Delete\"},\"condition\":{\"age\":365}}]}";
    struct bucket_wish w = {.expire_days = 30, .soft_delete_days = BUCKET_UNSAID};
    json_t *bucket = altered("lifecycle", rules);
    (void)state;
    expect_json(
        bucket_fix(bucket, &w),
        "{\"lifecycle\":{\"rule\":[{\"action\":{\"type\":\"Delete\"},\"condition\":{\"age\":3,"
        "\"matchesPrefix\":"
        "[\"tmp/\"]}},{\"action\":{\"type\":\"SetStorageClass\",\"storageClass\":\"NEARLINE\"},\"condition\":"
        "{\"age\":90}},{\"action\":{\"type\":\"AbortIncompleteMultipartUpload\"},\"condition\":{\"age\":7}},"
        "{\"action\":{\"type\":\"Delete\"},\"condition\":{\"age\":30}}]}}");
    w.expire_days = 0;
    expect_json(
        bucket_fix(bucket, &w),
        "{\"lifecycle\":{\"rule\":[{\"action\":{\"type\":\"Delete\"},\"condition\":{\"age\":3,"
        "\"matchesPrefix\":"
        "[\"tmp/\"]}},{\"action\":{\"type\":\"SetStorageClass\",\"storageClass\":\"NEARLINE\"},\"condition\":"
        "{\"age\":90}},{\"action\":{\"type\":\"AbortIncompleteMultipartUpload\"},\"condition\":{\"age\":7}}]}"
        "}");
    json_decref(bucket);
}

#define ODD_RULES                                                                                            \
    "{\"lifecycle\":{\"rule\":[7,{},{\"action\":7},"                                                         \
    "{\"action\":{\"type\":\"Delete\"},\"condition\":{\"age\":-1}}]}}"

static void nonsense_from_outside_is_survived(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"location\":7,\"lifecycle\":{\"rule\":{}},\"iamConfiguration\":[],\"softDeletePolicy\":\"x\"}",
        ODD_RULES,
    };
    struct bucket_fact f[BUCKET_FACTS];
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *bucket = parse(texts[i]);
        bucket_compare(bucket, &nothing_said, f);
        json_t *patch = bucket_fix(bucket, &nothing_said);
        assert_non_null(json_object_get(patch, "iamConfiguration"));
        assert_string_equal(f[6].is, "kept");
        json_decref(patch);
        json_decref(bucket);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_bucket_is_what_the_api_documents),
        cmocka_unit_test(what_is_not_said_is_left_to_google),
        cmocka_unit_test(good_bucket_needs_nothing),
        cmocka_unit_test(each_difference_is_seen_and_patched_alone),
        cmocka_unit_test(rules_of_others_stay),
        cmocka_unit_test(nonsense_from_outside_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
