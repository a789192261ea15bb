/* explain.c: answers of Google's APIs that are not 2xx, in a person's words. */
#include "cloud/cloud.h"
#include "cloud/storage/xml.h"

#include <stdio.h>
#include <string.h>

/* What the body says. */
struct problem {
    char message[600], reason[120], service[120]; /* service: the API that is not enabled */
};

static void keep(char *out, size_t room, const char *text)
{
    if (text && *text && !*out)
        snprintf(out, room, "%s", text);
}

/* {"error":{"message","status","errors":[{"reason"}],"details":[{"reason","metadata":{"service"}}]}}, and
 * what the token endpoint says: {"error":"invalid_grant","error_description":"…"}. */
static bool read_json(const char *text, struct problem *p)
{
    json_t *body = json_loads(text, 0, NULL), *error = json_object_get(body, "error"), *item;
    size_t i;

    keep(p->message, sizeof p->message, json_string_value(json_object_get(error, "message")));
    json_array_foreach(json_object_get(error, "details"), i, item)
    {
        json_t *metadata = json_object_get(item, "metadata");
        keep(p->reason, sizeof p->reason, json_string_value(json_object_get(item, "reason")));
        keep(p->service, sizeof p->service, json_string_value(json_object_get(metadata, "service")));
    }
    json_array_foreach(json_object_get(error, "errors"), i, item)
    {
        keep(p->reason, sizeof p->reason, json_string_value(json_object_get(item, "reason")));
        keep(p->message, sizeof p->message, json_string_value(json_object_get(item, "message")));
    }
    keep(p->reason, sizeof p->reason, json_string_value(json_object_get(error, "status")));
    keep(p->reason, sizeof p->reason, json_string_value(error));
    keep(p->message, sizeof p->message, json_string_value(json_object_get(body, "error_description")));
    bool read = body != NULL;
    json_decref(body);
    return read;
}

static bool take_element(void *arg, int depth, const char *name, const char *text, struct err *e)
{
    struct problem *p = arg;
    (void)e;
    if (depth == 1 && strcmp(name, "Code") == 0)
        keep(p->reason, sizeof p->reason, text);
    if (depth == 1 && strcmp(name, "Message") == 0)
        keep(p->message, sizeof p->message, text);
    if (depth == 1 && strcmp(name, "Details") == 0 && p->message[0]) {
        size_t n = strlen(p->message);
        snprintf(p->message + n, sizeof p->message - n, " %s", text);
    }
    return true;
}

static void read_problem(const char *text, struct problem *p)
{
    struct err broken; /* a body cut at its 4096th byte has told its code and message by then */
    if (read_json(text, p))
        return;
    if (text[0] == '<' && !xml_read(text, strlen(text), take_element, p, &broken) && !p->reason[0])
        return; /* HTML of a proxy: the status says enough */
    if (text[0] != '<')
        keep(p->message, sizeof p->message, text);
}

/* What people stumble over: words of the reason or the message, and what to do. In this order; %s is the
 * service's name in the row that has one. */
static const struct advice {
    int status; /* 0: any */
    const char *words, *advice;
} advices[] = {
    {0, "billing account for the owning project",
     "the project that owns this has no open billing account, and without one even reading fails: its owner "
     "must link one at https://console.cloud.google.com/billing/projects (if it is not your project, nothing "
     "you change in yours will help)"},
    {0, "UserProjectAccountProblem",
     "the project to be billed has no open billing account: link one at "
     "https://console.cloud.google.com/billing/projects"},
    {0, "accountDisabled",
     "a billing account or project is disabled: see https://console.cloud.google.com/billing/projects"},
    {0, "closed billing account",
     "the project to be billed has no open billing account: link one at "
     "https://console.cloud.google.com/billing/projects"},
    {403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
     "the token's scopes do not cover this: log in with `gcloud auth application-default login`; a VM needs "
     "the "
     "access scope cloud-platform"},
    {403, "insufficient authentication scopes",
     "the token's scopes do not cover this: log in with `gcloud auth application-default login`; a VM needs "
     "the "
     "access scope cloud-platform"},
    {403, "USER_PROJECT_DENIED",
     "the quota project is not yours to use: `gcloud auth application-default set-quota-project PROJECT`, or "
     "grant yourself roles/serviceusage.serviceUsageConsumer on it"},
    {403, "requires a quota project",
     "say which project pays for the calls: `gcloud auth application-default set-quota-project PROJECT`, or "
     "set GOOGLE_CLOUD_QUOTA_PROJECT"},
    {403, "storage.objects.get", "grant roles/storage.objectViewer on the bucket to who asks"},
    {403, "storage.objects.list", "grant roles/storage.objectViewer on the bucket to who asks"},
    {403, "storage.objects.create", "grant roles/storage.objectAdmin on the bucket to who asks"},
    {403, "storage.objects.delete", "grant roles/storage.objectAdmin on the bucket to who asks"},
    {403, "storage.multipartUploads", "grant roles/storage.objectAdmin on the bucket to who asks"},
    {403, "storage.buckets.", "grant roles/storage.admin on the project to who asks"},
    {401, "",
     "the token was refused: log in again with `gcloud auth application-default login`, or check what "
     "GOOGLE_APPLICATION_CREDENTIALS or FERRY_ACCESS_TOKEN say"},
    {412, "", "somebody else has changed it meanwhile"},
    {0, "rateLimitExceeded", "too many requests; try again in a minute"},
    {0, "userRateLimitExceeded", "too many requests; try again in a minute"},
    {0, "RATE_LIMIT_EXCEEDED", "too many requests; try again in a minute"},
    {429, "", "too many requests; try again in a minute"},
    {500, "", "see https://status.cloud.google.com"},
    {502, "", "see https://status.cloud.google.com"},
    {503, "", "see https://status.cloud.google.com"},
    {504, "", "see https://status.cloud.google.com"},
    {403, "permission", "the permission is missing: ask an owner of the project to grant it"},
};

static bool is_disabled_api(const struct problem *p)
{
    return strcmp(p->reason, "SERVICE_DISABLED") == 0 || strcmp(p->reason, "accessNotConfigured") == 0 ||
           strstr(p->message, "has not been used in project");
}

static void advise(int status, const struct problem *p, char *out, size_t room)
{
    if (is_disabled_api(p)) {
        bool named = p->service[0] != 0;
        snprintf(out, room, "enable the API: `gcloud services enable %s`",
                 named ? p->service : "NAME.googleapis.com");
        return;
    }
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++) {
        const struct advice *a = &advices[i];
        bool heard = strcasestr(p->reason, a->words) || strcasestr(p->message, a->words);
        if ((a->status && a->status != status) || !heard)
            continue;
        snprintf(out, room, "%s", a->advice);
        return;
    }
}

/* Bytes that changed on the way: the XML API's code, and the JSON API's words (its reason is only "invalid").
 */
static bool is_bad_digest(const struct problem *p)
{
    return strcmp(p->reason, "BadDigest") == 0 || strstr(p->message, "match calculated CRC32C");
}

static enum err_kind kind_of(const struct http_reply *r, const struct problem *p)
{
    bool rate = strcasestr(p->reason, "rateLimitExceeded") || strcmp(p->reason, "RATE_LIMIT_EXCEEDED") == 0;
    switch (r->status) {
    case 400:
        return is_bad_digest(p) ? ERR_CORRUPT : ERR_USAGE;
    case 401:
        return ERR_AUTH;
    case 403:
        return rate ? ERR_TRANSIENT : ERR_AUTH;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
    case 412:
        return ERR_BUSY;
    case 408:
    case 429:
        return ERR_TRANSIENT;
    default:
        return r->status >= 500 ? ERR_TRANSIENT : ERR_USAGE;
    }
}

bool cloud_explain(const struct http_reply *r, struct err *e)
{
    struct problem p = {0};
    char advice[400] = "", wait[60] = "";

    read_problem(r->problem, &p);
    advise(r->status, &p, advice, sizeof advice);
    if (r->retry_after_seconds)
        snprintf(wait, sizeof wait, " (it asks to wait %d s)", r->retry_after_seconds);
    const char *said = p.message[0] ? p.message : p.reason[0] ? p.reason : "no reason given";
    if (r->status >= 300 && r->status < 400)
        said = "a redirect, which this API never answers; is the endpoint right?";
    return err_set(e, kind_of(r, &p), "HTTP %d: %s%s%s%s", r->status, said, advice[0] ? "; " : "", advice,
                   wait);
}
