#include "cloud/explain/advice.h"

#include "base/catalog.h"

#include <stddef.h>
#include <string.h>

#define SCOPES                                                                                               \
    N_("the token's scopes do not cover this: log in with `gcloud auth application-default login`; a VM "    \
       "needs "                                                                                              \
       "the access scope cloud-platform")

#define SLOWER N_("too many requests; try again in a minute")

#define OUTAGES N_("see https://status.cloud.google.com")

#define QUOTAS                                                                                               \
    N_("ask for more at https://console.cloud.google.com/iam-admin/quotas, or take fewer or smaller "        \
       "instances, or another region")

#define VIEWER N_("grant roles/storage.objectViewer on the bucket to who asks")

#define WRITER N_("grant roles/storage.objectAdmin on the bucket to who asks")

/* Words of the reason or the message, and what to do. The first that fits. Sources of the words: answers that
 * people have quoted in public, and google/api/error_reason.proto. */
static const struct advice {
    int status; /* 0: any */
    const char *words, *advice;
} advices[] = {
    /* billing */
    {0, "billing account for the owning project",
     N_("the project that owns this has no open billing account, and without one even reading fails: its "
        "owner "
        "must link one at https://console.cloud.google.com/billing/projects (if it is not your project, "
        "nothing "
        "you change in yours will help)")},
    {0, "UserProjectAccountProblem",
     N_("the project to be billed has no open billing account: "
        "link an open billing account at https://console.cloud.google.com/billing/projects")},
    {0, "accountDisabled",
     N_("a billing account or project is disabled: see https://console.cloud.google.com/billing/projects")},
    {0, "closed billing account",
     N_("the project to be billed has no open billing account: "
        "link an open billing account at https://console.cloud.google.com/billing/projects")},
    {0, "BILLING_DISABLED",
     N_("the project has no open billing account: "
        "link an open billing account at https://console.cloud.google.com/billing/projects")},
    {0, "BILLING_NOT_FOUND",
     N_("the project has no billing account: "
        "link an open billing account at https://console.cloud.google.com/billing/projects")},
    {0, "BILLING_NOT_OPEN",
     N_("the project's billing account is closed: reopen it or "
        "link an open billing account at https://console.cloud.google.com/billing/projects")},
    {0, "requires billing to be enabled",
     N_("the project has no open billing account: "
        "link an open billing account at https://console.cloud.google.com/billing/projects")},
    {0, "Billing must be enabled",
     N_("the project has no open billing account: "
        "link an open billing account at https://console.cloud.google.com/billing/projects")},

    /* projects and tokens */
    {0, "CONSUMER_SUSPENDED",
     N_("the project is suspended: https://console.cloud.google.com/home/dashboard says why")},
    {0, "CONSUMER_INVALID", N_("there is no such project, or it is not yours: see `gcloud projects list`")},
    {403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", SCOPES},
    {403, "insufficient authentication scopes", SCOPES},
    {403, "USER_PROJECT_DENIED",
     N_("the quota project is not yours to use: `gcloud auth application-default set-quota-project PROJECT`, "
        "or "
        "grant yourself roles/serviceusage.serviceUsageConsumer on it")},
    {403, "requires a quota project",
     N_("say which project pays for the calls: `gcloud auth application-default set-quota-project PROJECT`, "
        "or "
        "set GOOGLE_CLOUD_QUOTA_PROJECT")},
    {401, "",
     N_("the token was refused: log in again with `gcloud auth application-default login`, or check what "
        "GOOGLE_APPLICATION_CREDENTIALS or FERRY_ACCESS_TOKEN say")},

    /* missing permissions: the least role that has each */
    {403, "storage.objects.get", VIEWER},
    {403, "storage.objects.list", VIEWER},
    {403, "storage.objects.create", WRITER},
    {403, "storage.objects.delete", WRITER},
    {403, "storage.multipartUploads", WRITER},
    {403, "storage.buckets.", N_("grant roles/storage.admin on the project to who asks")},
    {403, "iam.serviceaccounts.actAs",
     N_("grant roles/iam.serviceAccountUser on that service account to who deploys")},
    {403, "iam.serviceAccounts.", N_("grant roles/iam.serviceAccountAdmin on the project to who asks")},
    {403, "run.services.setIamPolicy", N_("grant roles/run.admin on the project to who asks")},
    {403, "run.services.", N_("grant roles/run.admin on the project to who asks")},
    {403, "run.jobs.", N_("grant roles/run.admin on the project to who asks")},
    {403, "artifactregistry.repositories.create",
     N_("grant roles/artifactregistry.admin on the project to who asks")},
    {403, "artifactregistry.", N_("grant roles/artifactregistry.repoAdmin on the repository to who asks")},
    {403, "serviceusage.services.enable",
     N_("grant roles/serviceusage.serviceUsageAdmin on the project to who asks, or let an owner enable the "
        "API")},
    {403, "secretmanager.versions.access",
     N_("grant roles/secretmanager.secretAccessor on the secret to who asks")},
    {403, "secretmanager.", N_("grant roles/secretmanager.admin on the project to who asks")},
    {403, "logging.logEntries.list", N_("grant roles/logging.viewer on the project to who asks")},
    {403, "compute.", N_("grant roles/compute.instanceAdmin.v1 on the project to who asks")},
    {0, "allowedPolicyMemberDomains",
     N_("an organisation's policy forbids allUsers: leave --public out and call it with an identity token, "
        "or "
        "let "
        "an administrator change constraints/iam.allowedPolicyMemberDomains")},
    {0, "do not belong to a permitted customer",
     N_("an organisation's policy forbids allUsers: leave --public out and call it with an identity token, "
        "or "
        "let "
        "an administrator change constraints/iam.allowedPolicyMemberDomains")},

    /* quotas and places */
    {0, "Quota violated", QUOTAS},
    {0, "Quota exceeded for total allowable", QUOTAS},
    {0, "QUOTA_EXCEEDED", QUOTAS},
    {0, "RESOURCE_QUOTA_EXCEEDED", QUOTAS},
    {0, "ZONE_RESOURCE_POOL_EXHAUSTED", N_("the zone has none left: try another zone, or later")},
    {0, "GPU is not supported",
     N_("take a region that has them (`ferry plan` lists them), or leave --gpu out")},
    {0, "does not support GPU",
     N_("take a region that has them (`ferry plan` lists them), or leave --gpu out")},
    {0, "Region not found", N_("the region's name is wrong, see `gcloud run regions list`")},

    /* who else is at work */
    {409, "Conflict for resource", N_("somebody else changed it at the same time; run the command again")},
    {409, "concurrent policy changes",
     N_("somebody else changed it at the same time; run the command again")},
    {412, "", N_("somebody else has changed it meanwhile")},
    {0, "rateLimitExceeded", SLOWER},
    {0, "userRateLimitExceeded", SLOWER},
    {0, "RATE_LIMIT_EXCEEDED", SLOWER},
    {429, "", SLOWER},
    {500, "", OUTAGES},
    {502, "", OUTAGES},
    {503, "", OUTAGES},
    {504, "", OUTAGES},
    {403, "permission", N_("the permission is missing: ask an owner of the project to grant it")},
};

const char *advice_for(int status, const char *reason, const char *message)
{
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++) {
        const struct advice *a = &advices[i];
        if (a->status && a->status != status)
            continue;
        if (strcasestr(reason, a->words) || strcasestr(message, a->words))
            return tr(a->advice);
    }
    return "";
}
