#include "cloud/policy.h"

#include "cloud/call/rest.h"

#include <string.h>

enum { TRIES = 5 };

/* How each kind is read and written. Version 3 is asked for, as gcloud does, so that conditions are seen, and
 * written back unharmed. */
static const struct kind {
    const char *api, *what;
    const char *get_method, *get_path, *set_method, *set_path;
    int flags;
    bool wrapped; /* the policy is a member of what is sent */
} kinds[] = {
    [POLICY_BUCKET] = {.api = "storage",
                       .what = "the policy of bucket",
                       .get_method = "GET",
                       .get_path = "/storage/v1/b/{}/iam?optionsRequestedPolicyVersion=3",
                       .set_method = "PUT",
                       .set_path = "/storage/v1/b/{}/iam",
                       .flags = CLOUD_NO_QUOTA},
    [POLICY_PROJECT] = {.api = "cloudresourcemanager",
                        .what = "the policy of project",
                        .get_method = "POST",
                        .get_path = "/v1/projects/{}:getIamPolicy",
                        .set_method = "POST",
                        .set_path = "/v1/projects/{}:setIamPolicy",
                        .wrapped = true},
    [POLICY_SERVICE] =
        {.api = "run",
         .what = "the policy of service",
         .get_method = "GET",
         .get_path = "/v2/projects/{}/locations/{}/services/{}:getIamPolicy?options.requestedPolicyVersion=3",
         .set_method = "POST",
         .set_path = "/v2/projects/{}/locations/{}/services/{}:setIamPolicy",
         .wrapped = true},
    [POLICY_SECRET] = {.api = "secretmanager",
                       .what = "the policy of secret",
                       .get_method = "GET",
                       .get_path = "/v1/projects/{}/secrets/{}:getIamPolicy?options.requestedPolicyVersion=3",
                       .set_method = "POST",
                       .set_path = "/v1/projects/{}/secrets/{}:setIamPolicy",
                       .wrapped = true},
};

static bool wrap(const struct policy_place *p, struct err *e)
{
    int last = p->kind == POLICY_SERVICE ? 2 : p->kind == POLICY_SECRET ? 1 : 0;
    return err_wrap(e, "%s %s", kinds[p->kind].what, p->names[last]);
}

static json_t *read_policy(struct cloud *c, const struct policy_place *p, struct err *e)
{
    const struct kind *k = &kinds[p->kind];
    bool post = strcmp(k->get_method, "POST") == 0;
    json_t *body = post ? json_pack("{s:{s:i}}", "options", "requestedPolicyVersion", 3) : NULL;
    struct rest q = {.api = k->api,
                     .method = k->get_method,
                     .path = k->get_path,
                     .names = {p->names[0], p->names[1], p->names[2]},
                     .body = body,
                     .flags = k->flags | CLOUD_IDEMPOTENT,
                     .reads = true};
    json_t *policy = rest_call(c, &q, e);
    json_decref(body);
    return policy;
}

json_t *policy_get(struct cloud *c, const struct policy_place *p, struct err *e)
{
    json_t *policy = read_policy(c, p, e);
    if (!policy)
        wrap(p, e);
    return policy;
}

static bool write_policy(struct cloud *c, const struct policy_place *p, json_t *policy, struct err *e)
{
    const struct kind *k = &kinds[p->kind];
    json_object_set_new(policy, "version", json_integer(3));
    json_t *body = k->wrapped ? json_pack("{s:O}", "policy", policy) : json_incref(policy);
    struct rest q = {.api = k->api,
                     .method = k->set_method,
                     .path = k->set_path,
                     .names = {p->names[0], p->names[1], p->names[2]},
                     .body = body,
                     .flags = k->flags | CLOUD_IDEMPOTENT /* by its etag */};
    json_t *written = body ? rest_call(c, &q, e) : NULL;
    if (!body)
        err_set(e, ERR_MEMORY, "no memory for a policy");
    bool ok = written != NULL;
    json_decref(written);
    json_decref(body);
    return ok;
}

/* --- bindings --- */

static bool is_plain(const json_t *binding, const char *role)
{
    const char *is = json_string_value(json_object_get(binding, "role"));
    return is && (!role || strcmp(is, role) == 0) && !json_object_get(binding, "condition");
}

/* -1: not among them. */
static int member_index(const json_t *binding, const char *member)
{
    const json_t *members = json_object_get(binding, "members");
    for (size_t i = 0; i < json_array_size(members); i++) {
        const char *is = json_string_value(json_array_get(members, i));
        if (is && strcmp(is, member) == 0)
            return (int)i;
    }
    return -1;
}

bool policy_has(const json_t *policy, const char *role, const char *member)
{
    const json_t *bindings = json_object_get(policy, "bindings");
    for (size_t i = 0; i < json_array_size(bindings); i++) {
        const json_t *b = json_array_get(bindings, i);
        if (is_plain(b, role) && member_index(b, member) >= 0)
            return true;
    }
    return false;
}

static bool add_member(json_t *policy, const char *role, const char *member)
{
    json_t *bindings = json_object_get(policy, "bindings");
    if (policy_has(policy, role, member))
        return false;
    if (!bindings) {
        bindings = json_array();
        json_object_set_new(policy, "bindings", bindings);
    }
    for (size_t i = 0; i < json_array_size(bindings); i++) {
        json_t *b = json_array_get(bindings, i);
        if (is_plain(b, role))
            return json_array_append_new(json_object_get(b, "members"), json_string(member)) == 0;
    }
    return json_array_append_new(bindings, json_pack("{s:s, s:[s]}", "role", role, "members", member)) == 0;
}

static bool remove_member(json_t *policy, const char *role, const char *member)
{
    json_t *bindings = json_object_get(policy, "bindings");
    bool changed = false;
    for (size_t i = json_array_size(bindings); i-- > 0;) {
        json_t *b = json_array_get(bindings, i), *members = json_object_get(b, "members");
        int at = !role || is_plain(b, role) ? member_index(b, member) : -1;
        if (at < 0)
            continue;
        json_array_remove(members, (size_t)at);
        if (json_array_size(members) == 0)
            json_array_remove(bindings, i);
        changed = true;
    }
    return changed;
}

typedef bool (*change_fn)(json_t *policy, const char *role, const char *member);

/* What a rehearsal has not really made has no policy yet; and a service or secret none where its API is not
 * enabled yet. */
static json_t *policy_to_change(struct cloud *c, const struct policy_place *p, struct err *e)
{
    struct err problem = {0};
    json_t *policy = read_policy(c, p, &problem);
    bool late = p->kind == POLICY_SERVICE || p->kind == POLICY_SECRET;
    bool none = problem.kind == ERR_NOT_FOUND || (problem.kind == ERR_AUTH && late);
    if (!policy && none && cloud_rehearses(c))
        return json_object();
    if (!policy && e)
        *e = problem;
    return policy;
}

static bool change(struct cloud *c, const struct policy_place *p, change_fn fn, const char *role,
                   const char *member, bool *changed, struct err *e)
{
    struct err problem = {0};
    bool ok = false, differs = false;

    for (int i = 0; i < TRIES && !ok; i++) {
        problem = (struct err){0};
        json_t *policy = policy_to_change(c, p, &problem);
        differs = policy && fn(policy, role, member);
        ok = policy && (!differs || write_policy(c, p, policy, &problem));
        json_decref(policy);
        if (problem.kind != ERR_BUSY)
            break;
    }
    if (changed)
        *changed = differs;
    if (!ok && e)
        *e = problem;
    return ok || wrap(p, e);
}

bool policy_grant(struct cloud *c, const struct policy_place *p, const char *role, const char *member,
                  bool *changed, struct err *e)
{
    return change(c, p, add_member, role, member, changed, e);
}

bool policy_revoke(struct cloud *c, const struct policy_place *p, const char *role, const char *member,
                   bool *changed, struct err *e)
{
    return change(c, p, remove_member, role, member, changed, e);
}
