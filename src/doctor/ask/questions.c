#include "doctor/ask/questions.h"

#include "cloud/cloud.h"
#include "doctor/check/permissions.h"
#include "net/url.h"
#include "store/manifest.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define GET(question, whose, where) .name = question, .api = whose, .method = "GET", .path = where
#define POST(question, whose, where) .name = question, .api = whose, .method = "POST", .path = where
#define API(name) "names=projects%2F{project}%2Fservices%2F" name ".googleapis.com"
#define AND "&"

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "";
}

static void set(json_t *subject, const char *name, const char *value)
{
    if (*value)
        json_object_set_new(subject, name, json_string(value));
}

/* --- what answers tell --- */

static void learn_project(json_t *subject, const json_t *body)
{
    set(subject, "number", text_of(body, "projectNumber"));
}

/* "billingAccounts/0X0X0X-0X0X0X-0X0X0X" */
static void learn_billing(json_t *subject, const json_t *body)
{
    const char *name = text_of(body, "billingAccountName"), *slash = strchr(name, '/');
    set(subject, "account", slash ? slash + 1 : "");
}

static void set_prefix(json_t *subject, const char *prefix)
{
    size_t n = strlen(prefix);
    n -= n && prefix[n - 1] == '/';
    if (n)
        json_object_set_new(subject, "prefix", json_stringn(prefix, n));
}

/* "gs://bucket/prefix" or "hf://owner/name[@revision]", as FERRY_MODEL and a manifest's source have them. */
static void learn_uri(json_t *subject, const char *uri)
{
    char place[300];
    bool bucket = strncmp(uri, "gs://", 5) == 0, repo = strncmp(uri, "hf://", 5) == 0;
    if ((!bucket && !repo) || *text_of(subject, bucket ? "bucket" : "repo"))
        return;
    size_t n = strcspn(uri + 5, bucket ? "/" : "@");
    if (n >= sizeof place)
        return;
    memcpy(place, uri + 5, n);
    place[n] = 0;
    set(subject, bucket ? "bucket" : "repo", place);
    if (bucket && uri[5 + n])
        set_prefix(subject, uri + 5 + n + 1);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* When nothing was named and there is one service, it is that one which it is about. */
static void learn_only_service(json_t *subject, const json_t *items)
{
    bool named = *text_of(subject, "service") || *text_of(subject, "bucket") || *text_of(subject, "repo");
    if (!named && json_array_size(items) == 1)
        set(subject, "service", text_of(json_object_get(json_array_get(items, 0), "metadata"), "name"));
}

/* Knative's list: where the service is, unless that was told. */
static void learn_services(json_t *subject, const json_t *body)
{
    size_t i;
    json_t *item;
    learn_only_service(subject, json_object_get(body, "items"));
    json_array_foreach(json_object_get(body, "items"), i, item)
    {
        const json_t *meta = json_object_get(item, "metadata");
        if (strcmp(text_of(meta, "name"), text_of(subject, "service")) == 0 &&
            !json_object_get(subject, "region_told"))
            set(subject, "region", text_of(json_object_get(meta, "labels"), "cloud.googleapis.com/location"));
    }
}

static void learn_service(json_t *subject, const json_t *body)
{
    const json_t *template = json_object_get(body, "template");
    const json_t *container = json_array_get(json_object_get(template, "containers"), 0);
    size_t i;
    json_t *variable;
    set(subject, "runtime", text_of(template, "serviceAccount"));
    set(subject, "revision", last_part(text_of(body, "latestCreatedRevision")));
    json_array_foreach(json_object_get(container, "env"), i, variable)
    {
        if (strcmp(text_of(variable, "name"), "FERRY_MODEL") == 0)
            learn_uri(subject, text_of(variable, "value"));
    }
}

static void learn_manifest(json_t *subject, const json_t *body)
{
    learn_uri(subject, text_of(body, "source"));
}

/* --- what is sent along --- */

static json_t *ask_permissions(const json_t *subject)
{
    json_t *list = json_array();
    (void)subject;
    for (const struct permission *q = permissions_of_project; q->name; q++)
        json_array_append_new(list, json_string(q->name));
    return json_pack("{s:o}", "permissions", list);
}

static json_t *ask_act_as(const json_t *subject)
{
    (void)subject;
    return json_pack("{s:[s]}", "permissions", "iam.serviceAccounts.actAs");
}

static json_t *constraint(const char *name)
{
    return json_pack("{s:s+}", "constraint", "constraints/", name);
}

static json_t *ask_members(const json_t *subject)
{
    (void)subject;
    return constraint("iam.allowedPolicyMemberDomains");
}

static json_t *ask_places(const json_t *subject)
{
    (void)subject;
    return constraint("gcp.resourceLocations");
}

static json_t *ask_ingress(const json_t *subject)
{
    (void)subject;
    return constraint("run.allowedIngress");
}

static json_t *ask_addresses(const json_t *subject)
{
    (void)subject;
    return constraint("compute.vmExternalIpAccess");
}

/* A quotation mark in a name would end the text of the filter. */
static bool is_plain(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

/* Warnings and worse of the last day. */
static json_t *ask_log(const json_t *subject)
{
    char since[32], filter[600];
    const char *service = text_of(subject, "service"), *region = text_of(subject, "region");
    time_t then = time(NULL) - 86400;
    struct tm t;
    if (!is_plain(service) || !is_plain(region))
        return NULL;
    strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&then, &t));
    snprintf(filter, sizeof filter,
             "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"%.60s\" AND "
             "resource.labels.location=\"%.60s\" AND severity>=WARNING AND timestamp>=\"%s\"",
             service, region, since);
    return json_pack("{s:[s+], s:s, s:s, s:i}", "resourceNames", "projects/", text_of(subject, "project"),
                     "filter", filter, "orderBy", "timestamp desc", "pageSize", 200);
}

#define PROJECT "/v1/projects/{project}"
#define SERVICE "/v2/projects/{project}/locations/{region}/services/{service}"
#define BUCKET "/storage/v1/b/{bucket}"
#define OURS "managed-by%3Dferry"
#define QUOTA "/v1/projects/{project}/locations/global/services/run.googleapis.com/quotaInfos/"

static const struct question questions[] = {
    {GET("clock", "storage", "/"), .flags = CLOUD_NO_BEARER},
    {GET("project", "cloudresourcemanager", PROJECT), .learn = learn_project},
    {GET("billing", "cloudbilling", PROJECT "/billingInfo"), .learn = learn_billing},
    {GET("account", "cloudbilling", "/v1/billingAccounts/{account}")},
    {GET("accounts", "cloudbilling", "/v1/billingAccounts?pageSize=100")},
    {GET("apis", "serviceusage",
         PROJECT "/services:batchGet?" API("run") AND API("storage") AND API("artifactregistry")
             AND API("iam") AND API("cloudresourcemanager") AND API("cloudbilling") AND API("logging")
                 AND API("serviceusage") AND API("compute") AND API("secretmanager") AND API("cloudquotas"))},
    {POST("roles", "cloudresourcemanager", PROJECT ":testIamPermissions"), .body = ask_permissions},

    {GET("services", "run", "/v1/projects/{project}/locations/-/services?labelSelector=" OURS),
     .learn = learn_services},
    {GET("service", "run", SERVICE), .learn = learn_service},
    {GET("revision", "run", SERVICE "/revisions/{revision}")},
    {GET("service_policy", "run", SERVICE ":getIamPolicy?options.requestedPolicyVersion=3")},
    {POST("log", "logging", "/v2/entries:list"), .needs = SERVICE, .body = ask_log},
    {GET("runtime", "iam", PROJECT "/serviceAccounts/{runtime}")},
    {POST("act_as", "iam", PROJECT "/serviceAccounts/{runtime}:testIamPermissions"), .body = ask_act_as},
    {GET("quota_cpu", "cloudquotas", QUOTA "CpuAllocPerProjectRegion"), .needs = SERVICE},
    {GET("quota_memory", "cloudquotas", QUOTA "MemAllocPerProjectRegion"), .needs = SERVICE},
    {POST("policy_members", "cloudresourcemanager", PROJECT ":getEffectiveOrgPolicy"), .body = ask_members},
    {POST("policy_places", "cloudresourcemanager", PROJECT ":getEffectiveOrgPolicy"), .body = ask_places},
    {POST("policy_ingress", "cloudresourcemanager", PROJECT ":getEffectiveOrgPolicy"), .body = ask_ingress},
    {POST("policy_addresses", "cloudresourcemanager", PROJECT ":getEffectiveOrgPolicy"),
     .body = ask_addresses},

    {GET("bucket", "storage", BUCKET "?projection=noAcl"), .flags = CLOUD_NO_QUOTA},
    {GET("bucket_roles", "storage",
         BUCKET "/iam/testPermissions?permissions=storage.objects.list&permissions=storage.objects.get"
                "&permissions=storage.objects.create&permissions=storage.objects.delete"),
     .flags = CLOUD_NO_QUOTA},
    {GET("bucket_policy", "storage", BUCKET "/iam?optionsRequestedPolicyVersion=3"), .flags = CLOUD_NO_QUOTA},
    {GET("manifest", "storage", BUCKET "/o/{prefix}%2F" MANIFEST_NAME "?alt=media"), .flags = CLOUD_NO_QUOTA,
     .learn = learn_manifest},
    {GET("objects", "storage",
         BUCKET "/o?prefix={prefix}%2F&maxResults=1000&fields=items(name%2Csize%2Ccrc32c)%2CnextPageToken"),
     .flags = CLOUD_NO_QUOTA},
    {GET("uploads", "storage", "/{bucket}?uploads&max-uploads=1000"), .flags = CLOUD_NO_QUOTA},

    {GET("hub_account", "hub", "/api/whoami-v2")},
    {GET("hub_repo", "hub", "/api/models/{owner}/{model}")},

    {GET("vms", "compute", "/compute/v1/projects/{project}/aggregated/instances?filter=labels." OURS)},
    {GET("jobs", "run", "/apis/run.googleapis.com/v1/namespaces/{project}/jobs?labelSelector=" OURS)},
    {GET("images", "artifactregistry", PROJECT "/locations/{region}/repositories?pageSize=1000")},
};

const struct question *question_at(int n)
{
    return n >= 0 && n < (int)(sizeof questions / sizeof *questions) ? &questions[n] : NULL;
}

/* A repository's name has a slash that stays one. */
static const char *repo_part(const json_t *subject, const char *name, struct arena *a)
{
    const char *repo = text_of(subject, "repo"), *slash = strchr(repo, '/');
    if (!slash)
        return "";
    return strcmp(name, "owner") == 0 ? arena_strndup(a, repo, (size_t)(slash - repo)) : slash + 1;
}

/* The value of {name}, encoded; *rest: behind it. NULL: not known. */
static const char *take_name(const char **rest, const json_t *subject, struct arena *a)
{
    char name[32];
    size_t n = strcspn(*rest, "}");
    if (n >= sizeof name || !(*rest)[n])
        return NULL;
    memcpy(name, *rest, n);
    name[n] = 0;
    *rest += n + 1;
    bool of_repo = strcmp(name, "owner") == 0 || strcmp(name, "model") == 0;
    const char *value = of_repo ? repo_part(subject, name, a) : text_of(subject, name);
    return value && *value ? url_segment(a, value) : NULL;
}

static const char *fill_in(const char *template, const json_t *subject, struct arena *a)
{
    const char *path = "", *rest = template;
    while (path && *rest) {
        size_t n = strcspn(rest, "{");
        path = arena_printf(a, "%s%.*s", path, (int)n, rest);
        rest += n;
        if (*rest != '{')
            continue;
        rest++;
        const char *value = take_name(&rest, subject, a);
        path = path && value ? arena_printf(a, "%s%s", path, value) : NULL;
    }
    return path;
}

const char *question_path(const struct question *q, const json_t *subject, struct arena *a)
{
    if (q->needs && !fill_in(q->needs, subject, a))
        return NULL;
    return fill_in(q->path, subject, a);
}
