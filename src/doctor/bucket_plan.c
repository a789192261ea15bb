#include "doctor/bucket_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SECONDS_PER_DAY = 86400 };

/* --- reading --- */

static const char *text_at(const json_t *object, const char *first, const char *second)
{
    const json_t *value = json_object_get(object, first);
    if (second)
        value = json_object_get(value, second);
    const char *text = json_string_value(value);
    return text ? text : "";
}

static bool uniform(const json_t *bucket)
{
    const json_t *access =
        json_object_get(json_object_get(bucket, "iamConfiguration"), "uniformBucketLevelAccess");
    return json_is_true(json_object_get(access, "enabled"));
}

/* int64 stands in quotes in Google's JSON. */
static long long number_of(const json_t *value)
{
    const char *text = json_string_value(value);
    return text ? atoll(text) : json_integer_value(value);
}

static long long soft_delete_seconds(const json_t *bucket)
{
    return number_of(
        json_object_get(json_object_get(bucket, "softDeletePolicy"), "retentionDurationSeconds"));
}

/* Days of a rule of this kind that concerns every object (its only condition is the age), else 0. */
static int rule_days(const json_t *rule, const char *type)
{
    const json_t *condition = json_object_get(rule, "condition");
    int days = (int)number_of(json_object_get(condition, "age"));
    bool ours = strcmp(text_at(rule, "action", "type"), type) == 0 && json_object_size(condition) == 1;
    return ours && days > 0 ? days : 0;
}

static const json_t *rules_of(const json_t *bucket)
{
    return json_object_get(json_object_get(bucket, "lifecycle"), "rule");
}

/* The shortest of such rules counts; 0: none. */
static int lifecycle_days(const json_t *bucket, const char *type)
{
    const json_t *rules = rules_of(bucket);
    int least = 0;
    for (size_t i = 0; i < json_array_size(rules); i++) {
        int days = rule_days(json_array_get(rules, i), type);
        if (days && (!least || days < least))
            least = days;
    }
    return least;
}

/* --- comparing --- */

static void compare_location(const json_t *bucket, const struct bucket_wish *w, struct bucket_fact *f)
{
    const char *location = text_at(bucket, "location", NULL), *type = text_at(bucket, "locationType", NULL);
    bool region = !*type || strcmp(type, "region") == 0;
    bool right = w->region ? region && strcasecmp(location, w->region) == 0 : region;
    snprintf(f->is, sizeof f->is, "%.40s (%.20s)", location, *type ? type : "region");
    snprintf(f->wanted, sizeof f->wanted, "%.40s", w->region ? w->region : "one region");
    f->state = right ? BUCKET_FINE : BUCKET_STUCK;
}

static void compare_class(const json_t *bucket, struct bucket_fact *f)
{
    snprintf(f->is, sizeof f->is, "%.40s", text_at(bucket, "storageClass", NULL));
    strcpy(f->wanted, "STANDARD");
    f->state = strcmp(f->is, f->wanted) == 0 ? BUCKET_FINE : BUCKET_DIFFERS;
}

static void compare_access(const json_t *bucket, struct bucket_fact *f)
{
    strcpy(f->is, uniform(bucket) ? "uniform" : "each object its own (ACLs)");
    strcpy(f->wanted, "uniform");
    f->state = uniform(bucket) ? BUCKET_FINE : BUCKET_DIFFERS;
}

static void compare_public(const json_t *bucket, struct bucket_fact *f)
{
    const char *prevention = text_at(bucket, "iamConfiguration", "publicAccessPrevention");
    bool enforced = strcmp(prevention, "enforced") == 0;
    strcpy(f->is, enforced ? "prevented" : "possible");
    strcpy(f->wanted, "prevented");
    f->state = enforced ? BUCKET_FINE : BUCKET_DIFFERS;
}

static void print_days(char *out, size_t room, const char *verb, long long days, const char *never)
{
    if (days)
        snprintf(out, room, "%s %lld day%s", verb, days, days == 1 ? "" : "s");
    else
        snprintf(out, room, "%s", never);
}

static void compare_soft_delete(const json_t *bucket, const struct bucket_wish *w, struct bucket_fact *f)
{
    long long seconds = soft_delete_seconds(bucket),
              wanted = w->soft_delete_days * (long long)SECONDS_PER_DAY;
    long long days = (seconds + SECONDS_PER_DAY - 1) / SECONDS_PER_DAY;
    bool said = w->soft_delete_days != BUCKET_UNSAID;

    print_days(f->is, sizeof f->is, "kept, and charged for,", days, "gone at once");
    if (said)
        print_days(f->wanted, sizeof f->wanted, "kept", w->soft_delete_days, "gone at once");
    f->state = said && seconds != wanted ? BUCKET_DIFFERS : BUCKET_FINE;
}

static void compare_uploads(const json_t *bucket, struct bucket_fact *f)
{
    int days = lifecycle_days(bucket, "AbortIncompleteMultipartUpload");
    print_days(f->is, sizeof f->is, "removed after", days, "kept, and charged for, for ever");
    print_days(f->wanted, sizeof f->wanted, "removed after", BUCKET_ABORT_DAYS, "");
    f->state = days ? BUCKET_FINE : BUCKET_DIFFERS;
}

static void compare_expiry(const json_t *bucket, const struct bucket_wish *w, struct bucket_fact *f)
{
    int days = lifecycle_days(bucket, "Delete");
    print_days(f->is, sizeof f->is, "deleted after", days, "kept");
    if (w->expire_days != BUCKET_UNSAID)
        print_days(f->wanted, sizeof f->wanted, "deleted after", w->expire_days, "kept");
    f->state = w->expire_days != BUCKET_UNSAID && days != w->expire_days ? BUCKET_DIFFERS : BUCKET_FINE;
}

void bucket_compare(const json_t *bucket, const struct bucket_wish *w, struct bucket_fact facts[BUCKET_FACTS])
{
    static const char *const names[BUCKET_FACTS] = {
        "location", "class", "access", "public access", "deleted objects", "unfinished uploads", "objects"};
    for (int i = 0; i < BUCKET_FACTS; i++)
        facts[i] = (struct bucket_fact){.name = names[i]};
    compare_location(bucket, w, &facts[0]);
    compare_class(bucket, &facts[1]);
    compare_access(bucket, &facts[2]);
    compare_public(bucket, &facts[3]);
    compare_soft_delete(bucket, w, &facts[4]);
    compare_uploads(bucket, &facts[5]);
    compare_expiry(bucket, w, &facts[6]);
}

int bucket_count(const struct bucket_fact facts[BUCKET_FACTS], enum bucket_state state)
{
    int n = 0;
    for (int i = 0; i < BUCKET_FACTS; i++)
        n += facts[i].state == state;
    return n;
}

/* --- writing --- */

static json_t *age_rule(const char *type, int days)
{
    return json_pack("{s:{s:s}, s:{s:i}}", "action", "type", type, "condition", "age", days);
}

static json_t *access_json(void)
{
    return json_pack("{s:{s:b}, s:s}", "uniformBucketLevelAccess", "enabled", 1, "publicAccessPrevention",
                     "enforced");
}

static json_t *soft_delete_json(int days)
{
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", days * (long long)SECONDS_PER_DAY);
    return json_pack("{s:s}", "retentionDurationSeconds", seconds);
}

/* The rules there are, with ours; what --expire-days says replaces what the bucket said before. */
static json_t *lifecycle_json(const json_t *bucket, const struct bucket_wish *w)
{
    json_t *rules = json_array();
    const json_t *old = rules_of(bucket);
    for (size_t i = 0; i < json_array_size(old); i++) {
        json_t *rule = json_array_get(old, i);
        if (w->expire_days == BUCKET_UNSAID || !rule_days(rule, "Delete"))
            json_array_append(rules, rule);
    }
    if (!lifecycle_days(bucket, "AbortIncompleteMultipartUpload"))
        json_array_append_new(rules, age_rule("AbortIncompleteMultipartUpload", BUCKET_ABORT_DAYS));
    if (w->expire_days > 0)
        json_array_append_new(rules, age_rule("Delete", w->expire_days));
    return json_pack("{s:o}", "rule", rules);
}

json_t *bucket_body(const char *name, const struct bucket_wish *w)
{
    json_t *soft = w->soft_delete_days == BUCKET_UNSAID ? NULL : soft_delete_json(w->soft_delete_days);
    return json_pack("{s:s, s:s, s:s, s:o, s:o*, s:o, s:{s:s}}", "name", name, "location", w->region,
                     "storageClass", "STANDARD", "iamConfiguration", access_json(), "softDeletePolicy", soft,
                     "lifecycle", lifecycle_json(NULL, w), "labels", "managed-by", "ferry");
}

json_t *bucket_fix(const json_t *bucket, const struct bucket_wish *w)
{
    struct bucket_fact f[BUCKET_FACTS];
    json_t *patch = json_object();
    int failed = !patch;

    bucket_compare(bucket, w, f);
    if (f[1].state == BUCKET_DIFFERS)
        failed |= json_object_set_new(patch, "storageClass", json_string("STANDARD"));
    if (f[2].state == BUCKET_DIFFERS || f[3].state == BUCKET_DIFFERS)
        failed |= json_object_set_new(patch, "iamConfiguration", access_json());
    if (f[4].state == BUCKET_DIFFERS)
        failed |= json_object_set_new(patch, "softDeletePolicy", soft_delete_json(w->soft_delete_days));
    if (f[5].state == BUCKET_DIFFERS || f[6].state == BUCKET_DIFFERS)
        failed |= json_object_set_new(patch, "lifecycle", lifecycle_json(bucket, w));
    if (!failed)
        return patch;
    json_decref(patch);
    return NULL;
}
