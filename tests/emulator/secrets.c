/* secrets.c: Secret Manager v1, as far as its description in tests/data/apis goes. */
#include "secrets.h"

#include "google.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCESSOR "roles/secretmanager.secretAccessor"

void begin_secrets(struct exchange *x)
{
    (void)google_may(x, x->captures[0], "secretmanager.googleapis.com");
}

static char *secret_key(struct exchange *x, const char *name)
{
    return arena_printf(x->arena, "secret/%s", name);
}

/* captures[1]; answers 404. */
static json_t *find_locked(struct exchange *x)
{
    json_t *doc = doc_find_locked(x->service->world, secret_key(x, x->captures[1]));
    if (!doc)
        fail_google(x, 404, "NOT_FOUND", "Secret [projects/" GOOGLE_NUMBER "/secrets/%s] not found.",
                    x->captures[1]);
    return doc;
}

static bool is_secret_id(const char *id)
{
    return id && *id && strlen(id) <= 255 &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == strlen(id);
}

static void create_locked(struct exchange *x, const char *id, const json_t *body)
{
    if (doc_find_locked(x->service->world, secret_key(x, id))) {
        fail_google(x, 409, "ALREADY_EXISTS",
                    "Secret [projects/" GOOGLE_NUMBER "/secrets/%s] already exists.", id);
        return;
    }
    json_t *doc = json_deep_copy(body);
    set_text(doc, "name", "projects/" GOOGLE_NUMBER "/secrets/%s", id);
    set_text(doc, "createTime", "%s", time_text(x->arena, service_now_us(x->service)));
    set_text(doc, "etag", "%s", new_etag(x));
    json_object_set_new(doc, "_versions", json_array());
    doc_put_locked(x->service->world, secret_key(x, id), doc);
    answer_doc(x, doc);
}

void secrets_create(struct exchange *x)
{
    const char *id = argument(x, "secretId");
    json_t *body = google_body(x);
    if (body && !is_secret_id(id))
        fail_google(x, 400, "INVALID_ARGUMENT",
                    "The provided Secret ID [%s] does not match the expected format.", id ? id : "");
    else if (body && !json_object_get(body, "replication"))
        fail_google(x, 400, "INVALID_ARGUMENT", "secret.replication must be provided.");
    world_lock(x->service->world);
    if (body && !x->answer.status)
        create_locked(x, id, body);
    world_unlock(x->service->world);
    json_decref(body);
}

void secrets_get(struct exchange *x)
{
    world_lock(x->service->world);
    const json_t *doc = find_locked(x);
    if (doc)
        answer_doc(x, doc);
    world_unlock(x->service->world);
}

/* filter: "labels.KEY=VALUE". */
void secrets_list(struct exchange *x)
{
    struct world *w = x->service->world;
    const char *filter = argument(x, "filter");
    json_t *list = json_array(), *key;
    size_t i;
    world_lock(w);
    json_t *keys = doc_keys_locked(w, "secret/");
    json_array_foreach(keys, i, key)
    {
        const json_t *doc = doc_find_locked(w, json_string_value(key));
        if (!filter ||
            (strncmp(filter, "labels.", 7) == 0 && labels_match(json_object_get(doc, "labels"), filter + 7)))
            json_array_append_new(list, google_told(doc));
    }
    world_unlock(w);
    json_decref(keys);
    answer_json(x, 200, json_pack("{s:o}", "secrets", list));
}

void secrets_delete(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    if (find_locked(x)) {
        doc_remove_locked(w, arena_printf(x->arena, "policy/secret/%s", x->captures[1]));
        doc_remove_locked(w, secret_key(x, x->captures[1]));
        answer_json(x, 200, json_object());
    }
    world_unlock(w);
}

/* ---- versions ---- */

static json_t *version_told(const char *secret, size_t number, const json_t *version)
{
    json_t *told = google_told(version);
    set_text(told, "name", "projects/" GOOGLE_NUMBER "/secrets/%s/versions/%zu", secret, number);
    return told;
}

void secrets_add_version(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *body = google_body(x);
    world_lock(w);
    json_t *doc = body ? find_locked(x) : NULL;
    json_t *data = json_object_get(json_object_get(body, "payload"), "data");
    if (doc && !json_string_length(data)) {
        fail_google(x, 400, "INVALID_ARGUMENT", "payload.data must be provided.");
    } else if (doc) {
        json_t *versions = json_object_get(doc, "_versions");
        json_t *one = json_pack("{s:s,s:s,s:O}", "state", "ENABLED", "createTime",
                                time_text(x->arena, service_now_us(x->service)), "_data", data);
        json_array_append_new(versions, one);
        doc_changed_locked(w, secret_key(x, x->captures[1]));
        answer_json(x, 200, version_told(x->captures[1], json_array_size(versions), one));
    }
    world_unlock(w);
    json_decref(body);
}

/* "latest": the one that was made last, in whatever state. *number: its name. */
static json_t *version_of(const json_t *doc, const char *name, size_t *number)
{
    const json_t *versions = json_object_get(doc, "_versions");
    *number = strcmp(name, "latest") == 0 ? json_array_size(versions) : strtoul(name, NULL, 10);
    return *number ? json_array_get(versions, *number - 1) : NULL;
}

/* captures[1] and [2]; answers 404. */
static json_t *find_version_locked(struct exchange *x, size_t *number)
{
    const json_t *doc = find_locked(x);
    json_t *version = doc ? version_of(doc, x->captures[2], number) : NULL;
    if (doc && !version)
        fail_google(x, 404, "NOT_FOUND",
                    "Secret Version [projects/" GOOGLE_NUMBER "/secrets/%s/versions/%s] not found.",
                    x->captures[1], x->captures[2]);
    return version;
}

void secret_versions_get(struct exchange *x)
{
    size_t number;
    world_lock(x->service->world);
    const json_t *version = find_version_locked(x, &number);
    if (version)
        answer_json(x, 200, version_told(x->captures[1], number, version));
    world_unlock(x->service->world);
}

void secret_versions_access(struct exchange *x)
{
    size_t number;
    world_lock(x->service->world);
    const json_t *version = find_version_locked(x, &number);
    if (version && strcmp(text_at(version, "state"), "ENABLED") != 0)
        fail_google(x, 400, "FAILED_PRECONDITION", "Secret Version is in %s state.",
                    text_at(version, "state"));
    else if (version)
        answer_json(x, 200,
                    json_pack("{s:s,s:{s:O}}", "name",
                              arena_printf(x->arena, "projects/" GOOGLE_NUMBER "/secrets/%s/versions/%zu",
                                           x->captures[1], number),
                              "payload", "data", json_object_get(version, "_data")));
    world_unlock(x->service->world);
}

/* ---- policies ---- */

static const char *policy_of_secret(struct exchange *x)
{
    world_lock(x->service->world);
    const json_t *doc = find_locked(x);
    world_unlock(x->service->world);
    return doc ? secret_key(x, x->captures[1]) : NULL;
}

void secrets_policy_get(struct exchange *x)
{
    const char *key = policy_of_secret(x);
    if (key)
        policy_answer(x, key);
}

void secrets_policy_set(struct exchange *x)
{
    const char *key = policy_of_secret(x);
    json_t *body = key ? google_body(x) : NULL;
    if (body)
        policy_change(x, key, json_object_get(body, "policy"));
    json_decref(body);
}

/* ---- what a revision finds out ---- */

static bool may_access_locked(struct exchange *x, const char *secret, const char *account)
{
    const json_t *policy =
        doc_find_locked(x->service->world, arena_printf(x->arena, "policy/secret/%s", secret));
    const char *wanted = arena_printf(x->arena, "serviceAccount:%s", account);
    json_t *binding, *member;
    size_t i, k;
    json_array_foreach(json_object_get(policy, "bindings"), i, binding)
    {
        json_array_foreach(json_object_get(binding, "members"), k, member)
        {
            if (strcmp(text_at(binding, "role"), ACCESSOR) == 0 &&
                strcmp(json_string_value(member), wanted) == 0)
                return true;
        }
    }
    return false;
}

const char *secret_problem_locked(struct exchange *x, const json_t *selector, const char *account)
{
    const char *secret = text_at(selector, "secret"), *version = text_at(selector, "version");
    const json_t *doc = doc_find_locked(x->service->world, secret_key(x, secret));
    const char *full =
        arena_printf(x->arena, "projects/" GOOGLE_NUMBER "/secrets/%s/versions/%s", secret, version);
    size_t number;
    if (!doc || !version_of(doc, version, &number))
        return arena_printf(x->arena, "Secret %s was not found", full);
    if (may_access_locked(x, secret, account))
        return NULL;
    return arena_printf(
        x->arena,
        "Permission denied on secret: %s for Revision service account %s. The service account "
        "used must be granted the 'Secret Manager Secret Accessor' role (" ACCESSOR
        ") at the secret, project or higher level.",
        full, account);
}
