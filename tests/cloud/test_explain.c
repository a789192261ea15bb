/* Answers that are not 2xx, as people read them. */
#include "cloud/cloud.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    int status;
    const char *body;
    enum err_kind kind;
    const char *says[3];
} cases[] = {
    {404,
     "{\"error\":{\"code\":404,\"message\":\"No such object: model-bkt/a\",\"errors\":[{\"message\":\"No "
     "such "
     "object: model-bkt/a\",\"domain\":\"global\",\"reason\":\"notFound\"}]}}",
     ERR_NOT_FOUND,
     {"HTTP 404: No such object: model-bkt/a"}},
    {403,
     "{\"error\":{\"code\":403,\"message\":\"The billing account for the owning project is disabled in state "
     "closed\",\"errors\":[{\"reason\":\"accountDisabled\"}]}}",
     ERR_AUTH,
     {"disabled in state closed", "its owner must link one", "if it is not your project"}},
    {403,
     "<?xml version='1.0' encoding='UTF-8'?><Error><Code>UserProjectAccountProblem</Code><Message>The "
     "project "
     "to be billed is associated with a closed billing account.</Message></Error>",
     ERR_AUTH,
     {"associated with a closed billing account", "console.cloud.google.com/billing"}},
    {403,
     "{\"error\":{\"code\":403,\"message\":\"Cloud Run Admin API has not been used in project 1 before or it "
     "is "
     "disabled.\",\"status\":\"PERMISSION_DENIED\",\"details\":[{\"reason\":\"SERVICE_DISABLED\","
     "\"metadata\":{"
     "\"service\":\"run.googleapis.com\"}}]}}",
     ERR_AUTH,
     {"gcloud services enable run.googleapis.com"}},
    {403,
     "{\"error\":{\"code\":403,\"message\":\"me@example.com does not have storage.objects.create access to "
     "the "
     "Google Cloud Storage object.\"}}",
     ERR_AUTH,
     {"me@example.com does not have", "roles/storage.objectAdmin"}},
    {403,
     "{\"error\":{\"message\":\"slow\",\"errors\":[{\"reason\":\"userRateLimitExceeded\"}]}}",
     ERR_TRANSIENT,
     {"too many requests"}},
    {401,
     "{\"error\":{\"code\":401,\"message\":\"Invalid Credentials\"}}",
     ERR_AUTH,
     {"Invalid Credentials", "gcloud auth application-default login"}},
    {409, "{\"error\":{\"message\":\"You already own this bucket.\"}}", ERR_BUSY, {"already own"}},
    {412,
     "{\"error\":{\"message\":\"At least one of the pre-conditions you specified did not hold.\"}}",
     ERR_BUSY,
     {"somebody else has changed it"}},
    {429, "", ERR_TRANSIENT, {"HTTP 429", "too many requests"}},
    {503, "upstream is gone", ERR_TRANSIENT, {"HTTP 503: upstream is gone"}},
    {400, "{\"error\":{\"message\":\"Invalid bucket name\"}}", ERR_USAGE, {"HTTP 400: Invalid bucket name"}},
    {502, "<html><head><title>502</title></head><hr>", ERR_TRANSIENT, {"HTTP 502: no reason given"}},
    {400, "{\"error\":\"invalid_grant\",\"error_description\":\"Bad Request\"}", ERR_USAGE, {"Bad Request"}},
    {302, "", ERR_USAGE, {"a redirect"}},
    {400,
     "{\"error\":{\"code\":400,\"message\":\"One or more users named in the policy do not belong to a "
     "permitted "
     "customer.\",\"status\":\"FAILED_PRECONDITION\",\"details\":[{\"@type\":\"type.googleapis.com/"
     "google.rpc.PreconditionFailure\",\"violations\":[{\"type\":\"constraints/"
     "iam.allowedPolicyMemberDomains\",\"description\":\"User allUsers is not in permitted "
     "organization.\"}]}]}}",
     ERR_USAGE,
     {"permitted customer. User allUsers is not in", "leave --public out"}},
    {403,
     "{\"error\":{\"code\":403,\"message\":\"Permission 'iam.serviceaccounts.actAs' denied on service "
     "account "
     "run@p.iam.gserviceaccount.com (or it may not exist).\",\"status\":\"PERMISSION_DENIED\"}}",
     ERR_AUTH,
     {"actAs' denied", "roles/iam.serviceAccountUser"}},
    {400,
     "{\"error\":{\"code\":400,\"message\":\"template.scaling.max_instance_count: Max instances must be set "
     "to 0 "
     "or fewer to set the requested total memory.\\nConsider another region.\\n\\nQuota violated:\\n"
     "MemAllocPerProjectRegion requested: 85899345920 allowed: "
     "42949672960\",\"status\":\"INVALID_ARGUMENT\"}}",
     ERR_USAGE,
     {"memory. Consider", "iam-admin/quotas"}},
    {400,
     "{\"error\":{\"code\":400,\"message\":\"Billing account for project '1' is not found. Billing must be "
     "enabled for activation of service(s) 'run.googleapis.com' to proceed.\",\"status\":"
     "\"FAILED_PRECONDITION\",\"details\":[{\"reason\":\"UREQ_PROJECT_BILLING_NOT_FOUND\"}]}}",
     ERR_USAGE,
     {"is not found", "has no billing account: link an open"}},
    {400,
     "{\"error\":{\"code\":400,\"details\":[{\"fieldViolations\":[{\"field\":\"a\",\"description\":\"a is "
     "too "
     "long\"}]}]}}",
     ERR_USAGE,
     {"HTTP 400: a is too long"}},
    {409,
     "{\"error\":{\"code\":409,\"message\":\"Conflict for resource 'qwen': version '1' was specified but "
     "current "
     "version is '2'.\",\"status\":\"ABORTED\"}}",
     ERR_BUSY,
     {"somebody else changed it at the same time; run the command again"}},
    {403,
     "<Error><Code>AccessDenied</Code><Message>Access denied.</Message><Details>x does not have "
     "storage.multipartUploads.create acc", /* cut */
     ERR_AUTH,
     {"Access denied."}},
};

static void each_answer_has_its_kind_cause_and_next_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct http_reply r;
        struct err e = {0};
        r = (struct http_reply){.status = cases[i].status};
        snprintf(r.problem, sizeof r.problem, "%s", cases[i].body);
        assert_false(cloud_explain(&r, &e));
        if (e.kind != cases[i].kind)
            fail_msg("%s: kind %d, expected %d", e.text, e.kind, cases[i].kind);
        for (size_t k = 0; k < 3 && cases[i].says[k]; k++)
            if (!strstr(e.text, cases[i].says[k]))
                fail_msg("\"%s\" does not say \"%s\"", e.text, cases[i].says[k]);
        assert_null(strchr(e.text, '\n'));
    }
}

static void wait_that_is_asked_for_is_told(void **state)
{
    (void)state;
    static struct http_reply r = {.status = 429, .retry_after_seconds = 17};
    struct err e = {0};
    assert_false(cloud_explain(&r, &e));
    assert_non_null(strstr(e.text, "17 s"));
}

static const struct {
    const char *status;
    enum err_kind kind;
    const char *says;
} operations[] = {
    {"{\"code\":9,\"message\":\"Revision 'q-00001-abc' is not ready and cannot serve traffic. Image 'x' not "
     "found.\\n\\nLogs URL: https://x\"}",
     ERR_USAGE, "Revision 'q-00001-abc' is not ready and cannot serve traffic. Image 'x' not found.  Logs"},
    {"{\"code\":8,\"message\":\"Quota exceeded for total allowable count of GPUs per project per region.\"}",
     ERR_TRANSIENT, "; ask for more at https"},
    {"{\"code\":6,\"message\":\"exists\"}", ERR_BUSY, "exists"},
    {"{\"code\":7,\"message\":\"Permission run.services.create denied\"}", ERR_AUTH, "roles/run.admin"},
    {"{\"code\":77}", ERR_TRANSIENT, "no reason given"},
    {"{\"code\":-1}", ERR_TRANSIENT, "no reason given"},
    {"[]", ERR_USAGE, "no reason given"},
};

static void failed_operation_has_its_kind_cause_and_next_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        struct err e = {0};
        json_t *status = json_loads(operations[i].status, 0, NULL);
        assert_non_null(status);
        assert_false(cloud_explain_status(status, &e));
        if (e.kind != operations[i].kind || !strstr(e.text, operations[i].says))
            fail_msg("\"%s\" (kind %d)", e.text, e.kind);
        assert_null(strchr(e.text, '\n'));
        json_decref(status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_has_its_kind_cause_and_next_step),
        cmocka_unit_test(failed_operation_has_its_kind_cause_and_next_step),
        cmocka_unit_test(wait_that_is_asked_for_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
