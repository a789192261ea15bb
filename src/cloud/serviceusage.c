#include "cloud/serviceusage.h"

#include "base/arena.h"
#include "cloud/call/rest.h"
#include "net/url.h"

#include <string.h>

/* "/v1/projects/{}/services:batchGet?names=projects%2FP%2Fservices%2Frun.googleapis.com&names=…" */
static char *get_path(struct arena *a, const char *project, const char *const *apis, int count)
{
    char *path = arena_printf(a, "/v1/projects/{}/services:batchGet");
    for (int i = 0; i < count && path; i++) {
        char *name = arena_printf(a, "projects/%s/services/%s", project, apis[i]);
        name = name ? url_query(a, name) : NULL;
        path = name ? arena_printf(a, "%s%cnames=%s", path, i ? '&' : '?', name) : NULL;
    }
    return path;
}

static bool is_named(const json_t *service, const char *api)
{
    const char *name = json_string_value(json_object_get(service, "name"));
    const char *last = name ? strrchr(name, '/') : NULL;
    return last && strcmp(last + 1, api) == 0;
}

static bool says_enabled(const json_t *services, const char *api)
{
    for (size_t i = 0; i < json_array_size(services); i++) {
        const json_t *s = json_array_get(services, i);
        const char *state = json_string_value(json_object_get(s, "state"));
        if (is_named(s, api))
            return state && strcmp(state, "ENABLED") == 0;
    }
    return false;
}

bool api_enabled(struct cloud *c, const char *project, const char *const *apis, int count, bool *enabled,
                 struct err *e)
{
    struct arena *a = arena_new(64 << 10);
    char *path = a ? get_path(a, project, apis, count) : NULL;
    json_t *answer = NULL;
    if (path)
        answer = rest_call(
            c, &(struct rest){.api = "serviceusage", .method = "GET", .path = path, .names = {project}}, e);
    else
        err_set(e, ERR_MEMORY, "no memory for a request");
    for (int i = 0; i < count && answer; i++)
        enabled[i] = says_enabled(json_object_get(answer, "services"), apis[i]);
    bool ok = answer != NULL;
    json_decref(answer);
    arena_free(a);
    return ok || err_wrap(e, "the APIs of project %s", project);
}

bool api_enable(struct cloud *c, const char *project, const char *const *apis, int count,
                const struct wait *w, struct err *e)
{
    json_t *ids = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(ids, json_string(apis[i]));
    json_t *body = json_pack("{s:o}", "serviceIds", ids);
    struct rest q = {.api = "serviceusage",
                     .method = "POST",
                     .path = "/v1/projects/{}/services:batchEnable",
                     .names = {project},
                     .body = body,
                     .flags = CLOUD_IDEMPOTENT};
    json_t *operation = body ? rest_call(c, &q, e) : NULL;
    if (!body)
        err_set(e, ERR_MEMORY, "no memory for a request");
    json_t *done = operation ? operation_finish(c, "serviceusage", "v1", operation, w, e) : NULL;
    bool ok = done != NULL;
    json_decref(done);
    json_decref(body);
    return ok || err_wrap(e, "enabling APIs of project %s", project);
}
