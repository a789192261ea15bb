#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void begin_run(struct exchange *x)
{
    (void)google_may(x, x->captures[0], RUN_API);
}

static char *service_key(struct exchange *x, const char *region, const char *name)
{
    return arena_printf(x->arena, "run/projects/" GOOGLE_PROJECT "/locations/%s/services/%s", region, name);
}

/* The doc of captures[1] and [2]; answers 404. */
static json_t *find_locked(struct exchange *x)
{
    json_t *doc = doc_find_locked(x->service->world, service_key(x, x->captures[1], x->captures[2]));
    if (!doc)
        fail_google(x, 404, "NOT_FOUND",
                    "Resource '%s' of kind 'SERVICE' in region '%s' in project '" GOOGLE_PROJECT
                    "' does not exist.",
                    x->captures[2], x->captures[1]);
    return doc;
}

/* ---- what is told at a moment ---- */

enum phase { COMING, READY, FAILED };

static enum phase phase_of(struct exchange *x, const json_t *doc)
{
    if (json_integer_value(json_object_get(doc, "_end_us")) > service_now_us(x->service))
        return COMING;
    return json_object_get(doc, "_error") ? FAILED : READY;
}

static json_t *condition(const json_t *doc, enum phase p)
{
    static const char *const states[] = {"CONDITION_RECONCILING", "CONDITION_SUCCEEDED", "CONDITION_FAILED"};
    json_t *c = json_pack("{s:s,s:s}", "type", "Ready", "state", states[p]);
    if (p == FAILED)
        json_object_set(c, "message", json_object_get(json_object_get(doc, "_error"), "message"));
    return c;
}

static const char *ready_revision(struct exchange *x, const json_t *doc)
{
    return phase_of(x, doc) == READY ? text_at(doc, "latestCreatedRevision") : text_at(doc, "_ready");
}

static json_t *traffic_statuses(struct exchange *x, const json_t *doc)
{
    json_t *all = json_array(), *target;
    size_t i;
    json_array_foreach(json_object_get(doc, "traffic"), i, target)
    {
        json_t *status = json_deep_copy(target);
        if (!*text_at(status, "revision"))
            json_object_set_new(status, "revision", json_string(ready_revision(x, doc)));
        json_array_append_new(all, status);
    }
    return all;
}

static json_t *service_told(struct exchange *x, const json_t *doc)
{
    json_t *told = google_told(doc);
    enum phase p = phase_of(x, doc);
    if (p == COMING)
        json_object_set_new(told, "reconciling", json_true());
    json_object_set_new(told, "terminalCondition", condition(doc, p));
    json_object_set_new(told, "trafficStatuses", traffic_statuses(x, doc));
    if (*ready_revision(x, doc))
        json_object_set_new(told, "latestReadyRevision", json_string(ready_revision(x, doc)));
    return told;
}

/* ---- revisions ---- */

static const char *last_part(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* A revision of the service's template, which is ready or has failed after a while. */
static void add_revision_locked(struct exchange *x, json_t *doc)
{
    char letters[4];
    const char *name = text_at(doc, "name"), *before = ready_revision(x, doc);
    int number = (int)json_integer_value(json_object_get(doc, "_revisions")) + 1;
    random_letters(letters, 3);
    char *revision = arena_printf(x->arena, "%s-%05d-%s", last_part(name), number, letters);
    char *full = arena_printf(x->arena, "%s/revisions/%s", name, revision);
    json_t *template = json_object_get(doc, "template");
    json_t *failure = template_failure_locked(x, template, revision);
    if (operation_error(x)) {
        json_decref(failure);
        failure = json_deep_copy(operation_error(x));
    }
    set_text(doc, "_ready", "%s", before);
    json_object_set_new(doc, "_revisions", json_integer(number));
    json_object_set_new(doc, "_end_us", json_integer(operation_end_us(x)));
    json_object_del(doc, "_error");
    if (failure)
        json_object_set_new(doc, "_error", failure);
    set_text(doc, "latestCreatedRevision", "%s", full);

    json_t *made = json_deep_copy(template);
    set_text(made, "name", "%s", full);
    set_text(made, "service", "%s", name);
    set_text(made, "createTime", "%s", time_text(x->arena, service_now_us(x->service)));
    json_object_set(made, "_end_us", json_object_get(doc, "_end_us"));
    if (failure)
        json_object_set(made, "_error", failure);
    doc_put_locked(x->service->world, arena_printf(x->arena, "run/%s", full), made);
}

static json_t *revision_told(struct exchange *x, const json_t *doc)
{
    json_t *told = google_told(doc);
    json_object_set_new(told, "conditions", json_pack("[o]", condition(doc, phase_of(x, doc))));
    return told;
}

static char *revisions_prefix(struct exchange *x)
{
    return arena_printf(x->arena, "%s/revisions/", service_key(x, x->captures[1], x->captures[2]));
}

void run_revisions_list(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *list = json_array();
    world_lock(w);
    json_t *keys = doc_keys_locked(w, revisions_prefix(x));
    for (size_t i = json_array_size(keys); i > 0; i--) /* newest first */
        json_array_append_new(
            list, revision_told(x, doc_find_locked(w, json_string_value(json_array_get(keys, i - 1)))));
    world_unlock(w);
    json_decref(keys);
    answer_json(x, 200, json_pack("{s:o}", "revisions", list));
}

void run_revisions_get(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    json_t *doc = doc_find_locked(w, arena_printf(x->arena, "%s%s", revisions_prefix(x), x->captures[3]));
    if (doc)
        answer_json(x, 200, revision_told(x, doc));
    else
        fail_google(x, 404, "NOT_FOUND", "Revision '%s' does not exist.", x->captures[3]);
    world_unlock(w);
}

/* ---- creating and changing ---- */

/* 403, as Cloud Run answers when the runtime account is not there or not ours. */
static bool account_may_be_used_locked(struct exchange *x, const json_t *template)
{
    const char *email = text_at(template, "serviceAccount");
    if (!*email || doc_find_locked(x->service->world, arena_printf(x->arena, "account/%s", email)))
        return true;
    fail_google(x, 403, "PERMISSION_DENIED",
                "Permission 'iam.serviceaccounts.actAs' denied on service account %s (or it may not exist).",
                email);
    return false;
}

static bool template_is_good_locked(struct exchange *x, const json_t *template, const char *region)
{
    const char *problem = template_problem(x, template, region);
    if (problem)
        fail_google(x, 400, "INVALID_ARGUMENT", "%s", problem);
    return !problem && account_may_be_used_locked(x, template);
}

static void stamp_locked(struct exchange *x, json_t *doc)
{
    json_int_t generation = strtoll(text_at(doc, "generation"), NULL, 10) + 1;
    set_text(doc, "generation", "%lld", (long long)generation);
    set_text(doc, "etag", "%s", new_etag(x));
    set_text(doc, "updateTime", "%s", time_text(x->arena, service_now_us(x->service)));
}

/* The operation's answer is the service as it will be then. */
static void answer_change_locked(struct exchange *x, const char *region, json_t *doc)
{
    json_t *then = json_deep_copy(doc);
    json_object_set_new(then, "_end_us", json_integer(0));
    json_t *told = service_told(x, then);
    json_decref(then);
    const json_t *failure = json_object_get(doc, "_error");
    answer_operation_as_locked(
        x, "run", arena_printf(x->arena, "projects/" GOOGLE_PROJECT "/locations/%s", region), told, failure);
}

static json_t *latest_traffic(void)
{
    return json_pack("[{s:s,s:i}]", "type", "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent", 100);
}

static void create_locked(struct exchange *x, const char *name, json_t *body)
{
    const char *region = x->captures[1], *key = service_key(x, region, name);
    char letters[11];
    if (doc_find_locked(x->service->world, key)) {
        fail_google(x, 409, "ALREADY_EXISTS", "Resource '%s' already exists.", name);
        return;
    }
    if (!template_is_good_locked(x, json_object_get(body, "template"), region))
        return;
    json_t *doc = json_deep_copy(body);
    random_letters(letters, 10);
    set_text(doc, "name", "%s", key + strlen("run/"));
    set_text(doc, "uid", "%s", letters);
    set_text(doc, "creator", GOOGLE_USER);
    set_text(doc, "createTime", "%s", time_text(x->arena, service_now_us(x->service)));
    set_text(doc, "uri", "%s",
             x->service->settings.service_url
                 ? x->service->settings.service_url
                 : arena_printf(x->arena, "https://%s-%s-an.a.run.app", name, letters));
    if (!json_object_get(doc, "traffic"))
        json_object_set_new(doc, "traffic", latest_traffic());
    add_revision_locked(x, doc);
    stamp_locked(x, doc);
    doc_put_locked(x->service->world, key, doc);
    answer_change_locked(x, region, doc);
}

void run_services_create(struct exchange *x)
{
    const char *name = argument(x, "serviceId");
    json_t *body = google_body(x);
    if (body && (!run_is_region(x->captures[1])))
        fail_google(x, 404, "NOT_FOUND", "Location %s is not found or access is unauthorized.",
                    x->captures[1]);
    else if (body && (!name || !*name || strlen(name) > 49))
        fail_google(x, 400, "INVALID_ARGUMENT", "service_id: must be 1 to 49 characters.");
    world_lock(x->service->world);
    if (!x->answer.status)
        create_locked(x, name, body);
    world_unlock(x->service->world);
    json_decref(body);
}

static void change_locked(struct exchange *x, json_t *doc, const json_t *body)
{
    const char *etag = text_at(body, "etag"), *key = service_key(x, x->captures[1], x->captures[2]);
    if (*etag && strcmp(etag, text_at(doc, "etag")) != 0) {
        fail_google(x, 409, "ABORTED",
                    "Conflict for resource '%s': version was specified but current version differs.",
                    x->captures[2]);
        return;
    }
    json_t *next = json_deep_copy(doc);
    apply_mask(next, body, argument(x, "updateMask"));
    bool renewed = !json_equal(json_object_get(next, "template"), json_object_get(doc, "template"));
    if (template_is_good_locked(x, json_object_get(next, "template"), x->captures[1])) {
        if (!json_object_get(next, "traffic"))
            json_object_set_new(next, "traffic", latest_traffic());
        if (renewed)
            add_revision_locked(x, next);
        stamp_locked(x, next);
        doc_put_locked(x->service->world, key, json_incref(next));
        answer_change_locked(x, x->captures[1], next);
    }
    json_decref(next);
}

void run_services_patch(struct exchange *x)
{
    json_t *body = google_body(x);
    world_lock(x->service->world);
    json_t *doc = body ? find_locked(x) : NULL;
    if (doc)
        change_locked(x, doc, body);
    world_unlock(x->service->world);
    json_decref(body);
}

void run_services_get(struct exchange *x)
{
    world_lock(x->service->world);
    const json_t *doc = find_locked(x);
    if (doc)
        answer_json(x, 200, service_told(x, doc));
    world_unlock(x->service->world);
}

void run_services_delete(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    const json_t *doc = find_locked(x);
    if (doc) {
        json_t *told = service_told(x, doc), *keys = doc_keys_locked(w, revisions_prefix(x)), *key;
        size_t i;
        json_array_foreach(keys, i, key) doc_remove_locked(w, json_string_value(key));
        json_decref(keys);
        doc_remove_locked(
            w, arena_printf(x->arena, "policy/%s", service_key(x, x->captures[1], x->captures[2])));
        doc_remove_locked(w, service_key(x, x->captures[1], x->captures[2]));
        answer_operation_locked(
            x, "run", arena_printf(x->arena, "projects/" GOOGLE_PROJECT "/locations/%s", x->captures[1]),
            told);
    }
    world_unlock(w);
}

void run_operations_get(struct exchange *x)
{
    operation_answer(x, "run",
                     arena_printf(x->arena, "projects/" GOOGLE_PROJECT "/locations/%s/operations/%s",
                                  x->captures[1], x->captures[2]));
}

/* ---- policies ---- */

/* Answers 404 and is NULL when there is no such service. */
static const char *policy_of_service(struct exchange *x)
{
    world_lock(x->service->world);
    const json_t *doc = find_locked(x);
    world_unlock(x->service->world);
    return doc ? service_key(x, x->captures[1], x->captures[2]) : NULL;
}

void run_policy_get(struct exchange *x)
{
    const char *key = policy_of_service(x);
    if (key)
        policy_answer(x, key);
}

void run_policy_set(struct exchange *x)
{
    const char *key = policy_of_service(x);
    json_t *body = key ? google_body(x) : NULL;
    if (body)
        policy_change(x, key, json_object_get(body, "policy"));
    json_decref(body);
}

/* ---- all regions (v1) ---- */

/* {"metadata":{"name","labels":{…,"cloud.googleapis.com/location"}}} */
static json_t *knative_head(struct exchange *x, const json_t *doc)
{
    const char *name = text_at(doc, "name"), *region = strstr(name, "/locations/") + strlen("/locations/");
    json_t *labels =
        json_object_get(doc, "labels") ? json_deep_copy(json_object_get(doc, "labels")) : json_object();
    json_object_set_new(labels, "cloud.googleapis.com/location",
                        json_string(arena_strndup(x->arena, region, strcspn(region, "/"))));
    return json_pack("{s:s,s:s,s:{s:s,s:s,s:o}}", "apiVersion", "serving.knative.dev/v1", "kind", "Service",
                     "metadata", "name", last_part(name), "namespace", GOOGLE_NUMBER, "labels", labels);
}

void run_find(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *list = json_array(), *key;
    size_t i;
    world_lock(w);
    json_t *keys = doc_keys_locked(w, "run/projects/");
    json_array_foreach(keys, i, key)
    {
        const json_t *doc = doc_find_locked(w, json_string_value(key));
        if (!strstr(json_string_value(key), "/revisions/") &&
            labels_match(json_object_get(doc, "labels"), argument(x, "labelSelector")))
            json_array_append_new(list, knative_head(x, doc));
    }
    world_unlock(w);
    json_decref(keys);
    answer_json(x, 200, json_pack("{s:o}", "items", list));
}
