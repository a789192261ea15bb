/* service.c: services and revisions. */
#include "cloud/call/rest.h"
#include "cloud/run.h"

#define SERVICE "/v2/projects/{}/locations/{}/services/{}"

static json_t *named(json_t *answer, const struct run_name *n, struct err *e)
{
    if (!answer)
        err_wrap(e, "service %s in %s", n->name, n->region);
    return answer;
}

json_t *service_get(struct cloud *c, const struct run_name *n, struct err *e)
{
    struct rest q = {
        .api = "run", .method = "GET", .path = SERVICE, .names = {n->project, n->region, n->name}};
    return named(rest_call(c, &q, e), n, e);
}

json_t *service_create(struct cloud *c, const struct run_name *n, const json_t *body, struct err *e)
{
    struct rest q = {.api = "run",
                     .method = "POST",
                     .path = "/v2/projects/{}/locations/{}/services?serviceId={}",
                     .names = {n->project, n->region, n->name},
                     .body = body};
    return named(rest_call(c, &q, e), n, e);
}

json_t *service_patch(struct cloud *c, const struct run_name *n, const char *mask, const json_t *body,
                      struct err *e)
{
    struct rest q = {.api = "run",
                     .method = "PATCH",
                     .path = SERVICE "?updateMask={}",
                     .names = {n->project, n->region, n->name, mask},
                     .body = body};
    return named(rest_call(c, &q, e), n, e);
}

json_t *service_delete(struct cloud *c, const struct run_name *n, struct err *e)
{
    struct rest q = {.api = "run",
                     .method = "DELETE",
                     .path = SERVICE,
                     .names = {n->project, n->region, n->name},
                     .flags = CLOUD_IDEMPOTENT};
    return named(rest_delete(c, &q, e), n, e);
}

bool revision_each(struct cloud *c, const struct run_name *n, run_item_fn fn, void *arg, struct err *e)
{
    struct rest q = {.api = "run",
                     .method = "GET",
                     .path = SERVICE "/revisions?pageSize=100",
                     .names = {n->project, n->region, n->name}};
    return rest_each(c, &q, "revisions", fn, arg, e) || err_wrap(e, "revisions of %s", n->name);
}
