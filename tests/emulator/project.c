/* project.c: what belongs to a project as a whole: enabled APIs (Service Usage v1), service accounts (IAM
 * v1), log entries (Logging v2). */
#include "endpoints.h"
#include "google.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- enabled APIs ---- */

void begin_usage(struct exchange *x)
{
    (void)google_may(x, x->captures[0], NULL);
}

static char *usage_key(struct exchange *x, const char *api)
{
    return arena_printf(x->arena, "usage/%s", api);
}

static json_t *usage_locked(struct exchange *x, const char *api)
{
    bool on = doc_find_locked(x->service->world, usage_key(x, api)) != NULL;
    return json_pack("{s:s,s:s,s:s}", "name",
                     arena_printf(x->arena, "projects/" GOOGLE_NUMBER "/services/%s", api), "parent",
                     "projects/" GOOGLE_NUMBER, "state", on ? "ENABLED" : "DISABLED");
}

void usage_batch_get(struct exchange *x)
{
    json_t *list = json_array();
    world_lock(x->service->world);
    for (int i = 0; i < x->argument_count; i++) {
        const char *slash = strrchr(x->arguments[i].value, '/');
        if (!strcmp(x->arguments[i].name, "names") && slash)
            json_array_append_new(list, usage_locked(x, slash + 1));
    }
    world_unlock(x->service->world);
    answer_json(x, 200, json_pack("{s:o}", "services", list));
}

void usage_batch_enable(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *body = google_body(x), *list = json_array(), *api;
    size_t i;
    world_lock(w);
    json_array_foreach(json_object_get(body, "serviceIds"), i, api)
    {
        if (!operation_error(x))
            doc_put_locked(w, usage_key(x, json_string_value(api)), json_object());
        json_array_append_new(list, usage_locked(x, json_string_value(api)));
    }
    if (body)
        answer_operation_locked(x, "serviceusage", "", json_pack("{s:o}", "services", list));
    world_unlock(w);
    json_decref(body);
}

void usage_operations_get(struct exchange *x)
{
    if (google_may(x, NULL, NULL))
        operation_answer(x, "serviceusage", arena_printf(x->arena, "operations/%s", x->captures[0]));
}

/* ---- service accounts ---- */

void begin_iam(struct exchange *x)
{
    (void)google_may(x, x->captures[0], "iam.googleapis.com");
}

static char *account_key(struct exchange *x, const char *email)
{
    return arena_printf(x->arena, "account/%s", email);
}

static bool is_account_id(const char *id)
{
    size_t n = strlen(id);
    return n >= 6 && n <= 30 && *id >= 'a' && *id <= 'z' && id[n - 1] != '-' &&
           strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static json_t *new_account(const json_t *given, const char *email)
{
    json_t *account = json_object_get(given, "serviceAccount")
                          ? json_deep_copy(json_object_get(given, "serviceAccount"))
                          : json_object();
    set_text(account, "name", "projects/" GOOGLE_PROJECT "/serviceAccounts/%s", email);
    set_text(account, "projectId", GOOGLE_PROJECT);
    set_text(account, "email", "%s", email);
    return account;
}

void accounts_create(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *body = google_body(x);
    const char *id = text_at(body, "accountId");
    const char *email = arena_printf(x->arena, "%s@" GOOGLE_PROJECT ".iam.gserviceaccount.com", id);
    world_lock(w);
    if (body && !is_account_id(id)) {
        fail_google(
            x, 400, "INVALID_ARGUMENT",
            "The account ID \"%s\" does not have a length between 6 and 30, or other characters than it may.",
            id);
    } else if (body && doc_find_locked(w, account_key(x, email))) {
        fail_google(x, 409, "ALREADY_EXISTS",
                    "Service account %s already exists within project projects/" GOOGLE_PROJECT ".", id);
    } else if (body) {
        json_t *account = new_account(body, email);
        doc_put_locked(w, account_key(x, email), account);
        answer_doc(x, account);
    }
    world_unlock(w);
    json_decref(body);
}

void accounts_list(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *list = json_array(), *key;
    size_t i;
    world_lock(w);
    json_t *keys = doc_keys_locked(w, "account/");
    json_array_foreach(keys, i, key)
        json_array_append_new(list, google_told(doc_find_locked(w, json_string_value(key))));
    world_unlock(w);
    json_decref(keys);
    answer_json(x, 200, json_pack("{s:o}", "accounts", list));
}

/* Answers 404. */
static json_t *find_account_locked(struct exchange *x)
{
    json_t *account = doc_find_locked(x->service->world, account_key(x, x->captures[1]));
    if (!account)
        fail_google(x, 404, "NOT_FOUND", "Unknown service account: %s", x->captures[1]);
    return account;
}

void accounts_get(struct exchange *x)
{
    world_lock(x->service->world);
    const json_t *account = find_account_locked(x);
    if (account)
        answer_doc(x, account);
    world_unlock(x->service->world);
}

void accounts_delete(struct exchange *x)
{
    world_lock(x->service->world);
    if (find_account_locked(x)) {
        doc_remove_locked(x->service->world, account_key(x, x->captures[1]));
        answer_json(x, 200, json_object());
    }
    world_unlock(x->service->world);
}

/* ---- log entries ---- */

void control_entry(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *entry = body_json(x);
    if (!entry) {
        answer_empty(x, 400);
        return;
    }
    world_lock(w);
    long long us = world_generation_locked(w);
    set_text(entry, "insertId", "%llx", us);
    set_text(entry, "timestamp", "%s", time_text(x->arena, us));
    doc_put_locked(w, arena_printf(x->arena, "entry/%020lld", us), entry);
    world_unlock(w);
    answer_empty(x, 204);
}

/* One comparison, FIELD=VALUE or FIELD>=VALUE and so on (Logging query language); VALUE may be in quotes. */
static bool entry_fits(struct exchange *x, const json_t *entry, const char *text)
{
    size_t n = strcspn(text, "<>=");
    const char *field = arena_strndup(x->arena, text, n), *sign = text + n;
    const char *value = sign + strspn(sign, "<>=");
    if (*value == '"')
        value = arena_strndup(x->arena, value + 1, strcspn(value + 1, "\""));
    const char *is = json_string_value(member_at(entry, field));
    int order = strcmp(is ? is : "", value);
    return (*sign == '=' && order == 0) || (*sign == '>' && order > 0) || (*sign == '<' && order < 0) ||
           (sign[1] == '=' && order == 0);
}

/* Comparisons with AND between them. */
static bool entry_passes(struct exchange *x, const json_t *entry, const char *filter)
{
    while (*filter) {
        const char *end = strstr(filter, " AND ");
        size_t n = end ? (size_t)(end - filter) : strlen(filter);
        if (!entry_fits(x, entry, arena_strndup(x->arena, filter, n)))
            return false;
        filter += n + (end ? strlen(" AND ") : 0);
    }
    return true;
}

void entries_list(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *body = google_may(x, NULL, NULL) ? google_body(x) : NULL, *list = json_array();
    bool newest = !strcmp(text_at(body, "orderBy"), "timestamp desc");
    json_int_t most = json_integer_value(json_object_get(body, "pageSize"));
    world_lock(w);
    json_t *keys = doc_keys_locked(w, "entry/");
    size_t n = json_array_size(keys);
    for (size_t i = 0; i < n && (json_int_t)json_array_size(list) < most; i++) {
        json_t *entry = doc_find_locked(w, json_string_value(json_array_get(keys, newest ? n - 1 - i : i)));
        if (entry_passes(x, entry, text_at(body, "filter")))
            json_array_append(list, entry);
    }
    json_decref(keys);
    answer_json(x, 200, json_pack("{s:o}", "entries", list));
    world_unlock(w);
    json_decref(body);
}
