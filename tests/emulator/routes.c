#include "endpoints.h"
#include "jobs.h"
#include "run.h"
#include "secrets.h"
#include "storage.h"
#include "vms.h"

#include <string.h>

/* The first that matches. Buckets and repositories share the root of one port, as they never do in life: a
 * repository's resolve comes first. */
static const struct route routes[] = {
    {"cdn", "GET", "/xet-bridge-us/{}/{}/{}/{*}", NULL, cdn_get},

    {"main", "POST", "/emulator/faults", NULL, control_faults},
    {"main", "POST", "/emulator/idle", NULL, control_idle},
    {"main", "POST", "/emulator/log/clear", NULL, control_log_clear},
    {"main", "POST", "/emulator/invalid/forget", NULL, control_invalid_forget},
    {"main", "POST", "/emulator/entry", NULL, control_entry},

    {"main", "POST", "/token", NULL, token_request},
    {"main", "POST", "/oauth2/v4/token", NULL, token_request},
    {"main", "GET", "/", NULL, metadata_root},
    {"main", "GET", "/computeMetadata/v1/{*}", NULL, metadata_get},

    {"main", "GET", "/storage/v1/b", begin_json, bucket_list},
    {"main", "POST", "/storage/v1/b", begin_json, bucket_insert},
    {"main", "GET", "/storage/v1/b/{}", begin_json, bucket_get},
    {"main", "PATCH", "/storage/v1/b/{}", begin_json, bucket_patch},
    {"main", "DELETE", "/storage/v1/b/{}", begin_json, bucket_delete},
    {"main", "GET", "/storage/v1/b/{}/iam", begin_json, bucket_policy_get},
    {"main", "PUT", "/storage/v1/b/{}/iam", begin_json, bucket_policy_set},
    {"main", "GET", "/storage/v1/b/{}/iam/testPermissions", begin_json, bucket_test_permissions},
    {"main", "GET", "/storage/v1/b/{}/o", begin_json, object_list},
    {"main", "GET", "/storage/v1/b/{}/o/{}", begin_json, object_get},
    {"main", "GET", "/download/storage/v1/b/{}/o/{}", begin_json, object_get},
    {"main", "PATCH", "/storage/v1/b/{}/o/{}", begin_json, object_patch},
    {"main", "DELETE", "/storage/v1/b/{}/o/{}", begin_json, object_delete},
    {"main", "POST", "/storage/v1/b/{}/o/{}/compose", begin_json, object_compose},
    {"main", "POST", "/storage/v1/b/{}/o/{}/rewriteTo/b/{}/o/{}", begin_json, object_rewrite},
    {"main", "POST", "/upload/storage/v1/b/{}/o", begin_upload, finish_upload},
    {"main", "POST", "/resumable/upload/storage/v1/b/{}/o", begin_upload, finish_upload},
    {"main", "PUT", "/upload/storage/v1/b/{}/o", begin_session_put, finish_session_put},
    {"main", "PUT", "/resumable/upload/storage/v1/b/{}/o", begin_session_put, finish_session_put},
    {"main", "DELETE", "/upload/storage/v1/b/{}/o", begin_session_delete, finish_session_delete},
    {"main", "DELETE", "/resumable/upload/storage/v1/b/{}/o", begin_session_delete, finish_session_delete},

    {"main", "GET", "/apis/run.googleapis.com/v1/namespaces/{}/jobs", begin_json, jobs_find},
    {"main", "POST", "/v2/projects/{}/locations/{}/jobs", begin_json, job_insert},
    {"main", "GET", "/v2/projects/{}/locations/{}/jobs/{}", begin_json, job_read},
    {"main", "POST", "/v2/projects/{}/locations/{}/jobs/{}", begin_json, job_verb},
    {"main", "DELETE", "/v2/projects/{}/locations/{}/jobs/{}", begin_json, job_remove},
    {"main", "GET", "/v2/projects/{}/locations/{}/jobs/{}/executions/{}", begin_json, execution_read},
    {"main", "POST", "/v2/projects/{}/locations/{}/jobs/{}/executions/{}", begin_json, execution_verb},
    {"main", "GET", "/v2/projects/{}/locations/{}/operations/job-{}", begin_json, job_operation},

    {"main", "POST", "/compute/v1/projects/{}/zones/{}/instances", begin_compute, vm_insert},
    {"main", "GET", "/compute/v1/projects/{}/zones/{}/instances/{}", begin_compute, vm_read},
    {"main", "DELETE", "/compute/v1/projects/{}/zones/{}/instances/{}", begin_compute, vm_remove},
    {"main", "GET", "/compute/v1/projects/{}/zones/{}/instances/{}/serialPort", begin_compute, vm_serial},
    {"main", "GET", "/compute/v1/projects/{}/zones/{}/instances/{}/getGuestAttributes", begin_compute,
     vm_attributes},
    {"main", "GET", "/compute/v1/projects/{}/aggregated/instances", begin_compute, vm_list},
    {"main", "GET", "/compute/v1/projects/{}/zones/{}/operations/{}", begin_compute, vm_operation},
    {"main", "POST", "/compute/v1/projects/{}/zones/{}/operations/{}/wait", begin_compute, vm_operation},
    {"main", "GET", "/compute/v1/projects/{}/regions/{}", begin_compute, compute_region},
    {"main", "GET", "/compute/v1/projects/{}/zones/{}", begin_compute, compute_zone},
    {"main", "GET", "/vm/{}/computeMetadata/v1/{*}", NULL, vm_metadata_get},
    {"main", "PUT", "/vm/{}/computeMetadata/v1/{*}", NULL, vm_metadata_put},

    {"main", "GET", "/v2/projects/{}/locations/{}/services/{}:getIamPolicy", begin_run, run_policy_get},
    {"main", "POST", "/v2/projects/{}/locations/{}/services/{}:setIamPolicy", begin_run, run_policy_set},
    {"main", "POST", "/v2/projects/{}/locations/{}/services", begin_run, run_services_create},
    {"main", "GET", "/v2/projects/{}/locations/{}/services/{}", begin_run, run_services_get},
    {"main", "PATCH", "/v2/projects/{}/locations/{}/services/{}", begin_run, run_services_patch},
    {"main", "DELETE", "/v2/projects/{}/locations/{}/services/{}", begin_run, run_services_delete},
    {"main", "GET", "/v2/projects/{}/locations/{}/services/{}/revisions", begin_run, run_revisions_list},
    {"main", "GET", "/v2/projects/{}/locations/{}/services/{}/revisions/{}", begin_run, run_revisions_get},
    {"main", "GET", "/v2/projects/{}/locations/{}/operations/{}", begin_run, run_operations_get},
    {"main", "GET", "/v1/projects/{}/locations/-/services", begin_run, run_find},
    {"main", "GET", "/v1/projects/{}/locations", begin_run, run_locations},

    {"main", "POST", "/v1/projects/{}/locations/{}/repositories", begin_artifact, repositories_create},
    {"main", "GET", "/v1/projects/{}/locations/{}/repositories", begin_artifact, repositories_list},
    {"main", "GET", "/v1/projects/{}/locations/{}/repositories/{}", begin_artifact, repositories_get},
    {"main", "DELETE", "/v1/projects/{}/locations/{}/repositories/{}", begin_artifact, repositories_delete},
    {"main", "GET", "/v1/projects/{}/locations/{}/repositories/{}/dockerImages", begin_artifact, images_list},
    {"main", "DELETE", "/v1/projects/{}/locations/{}/repositories/{}/packages/{}/versions/{}", begin_artifact,
     images_delete},
    {"main", "GET", "/v1/projects/{}/locations/{}/operations/{}", begin_artifact, artifact_operations_get},

    {"main", "GET", "/v2", NULL, registry_ping},
    {"main", "GET", "/v2/", NULL, registry_ping},
    {"main", "GET", "/v2/{}/{}/{}/blobs/{}", begin_registry, registry_blob_get},
    {"main", "POST", "/v2/{}/{}/{}/blobs/uploads/", begin_registry, registry_upload_begin},
    {"main", "PUT", "/v2/{}/{}/{}/blobs/uploads/{}", begin_registry_put, registry_upload_put},
    {"main", "GET", "/v2/{}/{}/{}/manifests/{}", begin_registry, registry_manifest_get},
    {"main", "PUT", "/v2/{}/{}/{}/manifests/{}", begin_registry, registry_manifest_put},

    {"main", "GET", "/v1/projects/{}/services:batchGet", begin_usage, usage_batch_get},
    {"main", "POST", "/v1/projects/{}/services:batchEnable", begin_usage, usage_batch_enable},
    {"main", "GET", "/v1/operations/{}", NULL, usage_operations_get},

    {"main", "POST", "/v1/projects/{}/serviceAccounts", begin_iam, accounts_create},
    {"main", "GET", "/v1/projects/{}/serviceAccounts", begin_iam, accounts_list},
    {"main", "GET", "/v1/projects/{}/serviceAccounts/{}", begin_iam, accounts_get},
    {"main", "DELETE", "/v1/projects/{}/serviceAccounts/{}", begin_iam, accounts_delete},

    {"main", "GET", "/v1/services/{}/skus", NULL, catalog_skus},
    {"main", "POST", "/v1/projects/{}/secrets", begin_secrets, secrets_create},
    {"main", "GET", "/v1/projects/{}/secrets", begin_secrets, secrets_list},
    {"main", "GET", "/v1/projects/{}/secrets/{}:getIamPolicy", begin_secrets, secrets_policy_get},
    {"main", "POST", "/v1/projects/{}/secrets/{}:setIamPolicy", begin_secrets, secrets_policy_set},
    {"main", "POST", "/v1/projects/{}/secrets/{}:addVersion", begin_secrets, secrets_add_version},
    {"main", "GET", "/v1/projects/{}/secrets/{}", begin_secrets, secrets_get},
    {"main", "DELETE", "/v1/projects/{}/secrets/{}", begin_secrets, secrets_delete},
    {"main", "GET", "/v1/projects/{}/secrets/{}/versions/{}:access", begin_secrets, secret_versions_access},
    {"main", "GET", "/v1/projects/{}/secrets/{}/versions/{}", begin_secrets, secret_versions_get},

    {"main", "POST", "/v2/entries:list", NULL, entries_list},

    {"hub", "GET", "/api/models/{}/{}", NULL, hub_revision},
    {"hub", "GET", "/api/models/{}/{}/revision/{}", NULL, hub_revision},
    {"hub", "GET", "/api/models/{}/{}/tree/{}", NULL, hub_tree},
    {"hub", "GET", "/api/resolve-cache/models/{}/{}/{}/{*}", NULL, hub_resolve_cache},
    {"hub", "GET", "/{}/{}/resolve/{}/{*}", NULL, hub_resolve},

    {"main", "GET", "/{}", begin_xml, xml_bucket_get},
    {"main", "GET", "/{}/{*}", begin_xml, xml_get},
    {"main", "PUT", "/{}/{*}", begin_xml_put, xml_put},
    {"main", "POST", "/{}/{*}", begin_xml, xml_post},
    {"main", "DELETE", "/{}/{*}", begin_xml, xml_delete},
};

static bool pattern_matches(struct exchange *x, const char *pattern)
{
    const char *path = x->path;
    int count = 0;
    memset(x->captures, 0, sizeof x->captures);
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        bool rest = pattern[1] == '*';
        bool verb = !rest && strchr(pattern, '}')[1] == ':'; /* "{}:setIamPolicy" */
        size_t size = rest ? strlen(path) : strcspn(path, verb ? "/:" : "/");
        if (!size || count == MAX_CAPTURES)
            return false;
        x->captures[count++] = decode_percent(x->arena, path, size, false);
        path += size;
        pattern = strchr(pattern, '}') + 1;
    }
    return !*path;
}

static bool host_matches(const struct exchange *x, const char *host)
{
    if (!strcmp(host, "hub"))
        return x->service->hub && !strcmp(x->host, "main");
    return !strcmp(x->host, host);
}

const struct route *route_find(struct exchange *x)
{
    const char *method = strcmp(x->method, "HEAD") != 0 ? x->method : "GET";
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (host_matches(x, routes[i].host) && !strcmp(routes[i].method, method) &&
            pattern_matches(x, routes[i].pattern))
            return &routes[i];
    return NULL;
}
