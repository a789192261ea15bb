#include "cloud/iam.h"

#include "cloud/call/rest.h"

static json_t *named(json_t *answer, const char *account, struct err *e)
{
    if (!answer)
        err_wrap(e, "service account %s", account);
    return answer;
}

json_t *account_get(struct cloud *c, const char *project, const char *email, struct err *e)
{
    struct rest q = {.api = "iam",
                     .method = "GET",
                     .path = "/v1/projects/{}/serviceAccounts/{}",
                     .names = {project, email}};
    return named(rest_call(c, &q, e), email, e);
}

json_t *account_create(struct cloud *c, const struct account_new *n, struct err *e)
{
    json_t *body = json_pack("{s:s, s:{s:s, s:s}}", "accountId", n->id, "serviceAccount", "displayName",
                             n->display_name, "description", n->description);
    struct rest q = {.api = "iam",
                     .method = "POST",
                     .path = "/v1/projects/{}/serviceAccounts",
                     .names = {n->project},
                     .body = body};
    json_t *account = body ? rest_call(c, &q, e) : NULL;
    if (!body)
        err_set(e, ERR_MEMORY, "no memory for a request");
    json_decref(body);
    return named(account, n->id, e);
}

bool account_delete(struct cloud *c, const char *project, const char *email, struct err *e)
{
    struct rest q = {.api = "iam",
                     .method = "DELETE",
                     .path = "/v1/projects/{}/serviceAccounts/{}",
                     .names = {project, email},
                     .flags = CLOUD_IDEMPOTENT};
    json_t *answer = named(rest_delete(c, &q, e), email, e);
    bool ok = answer != NULL;
    json_decref(answer);
    return ok;
}

bool account_each(struct cloud *c, const char *project, account_fn fn, void *arg, struct err *e)
{
    struct rest q = {.api = "iam",
                     .method = "GET",
                     .path = "/v1/projects/{}/serviceAccounts?pageSize=100",
                     .names = {project}};
    return rest_each(c, &q, "accounts", fn, arg, e) || err_wrap(e, "service accounts of %s", project);
}
