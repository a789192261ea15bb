#include "cloud/resourcemanager.h"

#include "cloud/call/rest.h"

#include <string.h>

static const char *keep(const json_t *json, const char *name, struct arena *a)
{
    const char *text = json_string_value(json_object_get(json, name));
    return arena_strndup(a, text ? text : "", text ? strlen(text) : 0);
}

bool project_get(struct cloud *c, const char *id, struct arena *a, struct project *out, struct err *e)
{
    struct rest q = {
        .api = "cloudresourcemanager", .method = "GET", .path = "/v1/projects/{}", .names = {id}};
    json_t *json = rest_call(c, &q, e);
    if (!json)
        return err_wrap(e, "project %s", id);
    const char *state = json_string_value(json_object_get(json, "lifecycleState"));
    *out = (struct project){.id = keep(json, "projectId", a),
                            .number = keep(json, "projectNumber", a),
                            .active = state && strcmp(state, "ACTIVE") == 0};
    json_decref(json);
    return (out->id && out->number) || err_set(e, ERR_MEMORY, "no memory for a project");
}

static bool is_among(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *is = json_string_value(json_array_get(list, i));
        if (is && strcmp(is, text) == 0)
            return true;
    }
    return false;
}

bool project_permissions(struct cloud *c, const char *id, const char *const *permissions, int count,
                         bool *granted, struct err *e)
{
    json_t *asked = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(asked, json_string(permissions[i]));
    json_t *body = json_pack("{s:o}", "permissions", asked);
    struct rest q = {.api = "cloudresourcemanager",
                     .method = "POST",
                     .path = "/v1/projects/{}:testIamPermissions",
                     .names = {id},
                     .body = body,
                     .flags = CLOUD_IDEMPOTENT,
                     .reads = true};
    json_t *answer = body ? rest_call(c, &q, e) : NULL;
    if (!body)
        err_set(e, ERR_MEMORY, "no memory for a request");
    for (int i = 0; i < count && answer; i++)
        granted[i] = is_among(json_object_get(answer, "permissions"), permissions[i]);
    bool ok = answer != NULL;
    json_decref(answer);
    json_decref(body);
    return ok || err_wrap(e, "project %s", id);
}
