#include "google.h"

#include "storage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- errors ---- */

__attribute__((format(printf, 2, 0))) static char *print(struct exchange *x, const char *format, va_list args)
{
    char text[4096];
    vsnprintf(text, sizeof text, format, args);
    return arena_strndup(x->arena, text, strlen(text));
}

static void fail(struct exchange *x, int status, const char *code, json_t *details, const char *message)
{
    answer_json(x, status,
                json_pack("{s:{s:i,s:s,s:s,s:o*}}", "error", "code", status, "message", message, "status",
                          code, "details", details));
}

void fail_google(struct exchange *x, int status, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(x, status, code, NULL, print(x, format, args));
    va_end(args);
}

void fail_google_with(struct exchange *x, int status, const char *code, json_t *details, const char *format,
                      ...)
{
    va_list args;
    va_start(args, format);
    fail(x, status, code, details, print(x, format, args));
    va_end(args);
}

/* ---- who asks ---- */

static bool api_is_enabled(struct exchange *x, const char *api)
{
    struct world *w = x->service->world;
    world_lock(w);
    bool enabled = doc_find_locked(w, arena_printf(x->arena, "usage/%s", api)) != NULL;
    world_unlock(w);
    return enabled;
}

static json_t *disabled_details(const char *api)
{
    return json_pack("[{s:s,s:s,s:s,s:{s:s,s:s}}]", "@type", "type.googleapis.com/google.rpc.ErrorInfo",
                     "reason", "SERVICE_DISABLED", "domain", "googleapis.com", "metadata", "service", api,
                     "consumer", "projects/" GOOGLE_NUMBER);
}

bool google_may(struct exchange *x, const char *project, const char *api)
{
    if (!authorized_json(x))
        return false;
    if (project && strcmp(project, GOOGLE_PROJECT) != 0 && strcmp(project, GOOGLE_NUMBER) != 0) {
        fail_google(x, 403, "PERMISSION_DENIED", "Permission denied on resource project %s.", project);
        return false;
    }
    if (!api || api_is_enabled(x, api))
        return true;
    fail_google_with(
        x, 403, "PERMISSION_DENIED", disabled_details(api),
        "%s has not been used in project " GOOGLE_NUMBER " before or it is disabled. Enable it by visiting "
        "https://console.developers.google.com/apis/api/%s/overview?project=" GOOGLE_NUMBER " then retry.",
        api, api);
    return false;
}

json_t *google_body(struct exchange *x)
{
    json_t *body = body_json(x);
    if (!body)
        fail_google(x, 400, "INVALID_ARGUMENT", "Invalid JSON payload received.");
    return body;
}

/* ---- resources ---- */

json_t *google_told(const json_t *doc)
{
    json_t *told = json_object(), *value;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)doc, key, value)
    {
        if (*key != '_')
            json_object_set_new(told, key, json_deep_copy(value));
    }
    return told;
}

void answer_doc(struct exchange *x, const json_t *doc)
{
    answer_json(x, 200, google_told(doc));
}

void set_text(json_t *object, const char *key, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_object_set_new(object, key, json_string(text));
}

const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

json_t *member_at(const json_t *object, const char *path)
{
    json_t *at = (json_t *)(uintptr_t)object;
    while (at && *path) {
        size_t n = strcspn(path, ".");
        at = json_object_getn(at, path, n);
        path += n + (path[n] == '.');
    }
    return at;
}

char *new_etag(struct exchange *x)
{
    return arena_printf(x->arena, "\"%llx\"", (unsigned long long)world_generation_locked(x->service->world));
}

void random_letters(char *out, int count)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char bytes[64];
    if (getrandom(bytes, (size_t)count, 0) != count)
        abort();
    for (int i = 0; i < count; i++)
        out[i] = letters[bytes[i] % (i ? 36 : 26)];
    out[count] = 0;
}

/* ---- selectors ---- */

static bool one_matches(const json_t *labels, const char *text, size_t size)
{
    char one[300];
    snprintf(one, sizeof one, "%.*s", (int)size, text);
    char *sign = strchr(one, '=');
    if (!sign)
        return json_object_get(labels, one) != NULL;
    bool not = sign > one && sign[-1] == '!';
    const char *value = sign + 1 + (sign[1] == '=');
    sign[not ? -1 : 0] = 0;
    return (strcmp(text_at(labels, one), value) == 0) != not ;
}

bool labels_match(const json_t *labels, const char *selector)
{
    while (selector && *selector) {
        size_t n = strcspn(selector, ",");
        if (!one_matches(labels, selector, n))
            return false;
        selector += n + (selector[n] == ',');
    }
    return true;
}

static void apply_path(json_t *into, const json_t *from, const char *path, size_t size)
{
    size_t n = strcspn(path, ".");
    if (n >= size) {
        json_t *value = json_object_getn(from, path, size);
        if (value)
            json_object_setn_new(into, path, size, json_deep_copy(value));
        else
            json_object_deln(into, path, size);
        return;
    }
    json_t *below = json_object_getn(into, path, n);
    if (!below) {
        below = json_object();
        json_object_setn_new(into, path, n, below);
    }
    apply_path(below, json_object_getn(from, path, n), path + n + 1, size - n - 1);
}

void apply_mask(json_t *into, const json_t *from, const char *mask)
{
    json_t *value;
    const char *key;
    if (!mask || !*mask || !strcmp(mask, "*"))
        json_object_foreach((json_t *)(uintptr_t)from, key, value)
            json_object_set_new(into, key, json_deep_copy(value));
    else
        while (*mask) {
            size_t n = strcspn(mask, ",");
            apply_path(into, from, mask, n);
            mask += n + (mask[n] == ',');
        }
}

/* ---- operations ---- */

int64_t operation_end_us(const struct exchange *x)
{
    double seconds = fault_seconds(x->fault, "operation_seconds");
    int64_t us = seconds > 0 ? (int64_t)(seconds * 1e6) : OPERATION_MS * 1000;
    return service_now_us(x->service) + us;
}

const json_t *operation_error(const struct exchange *x)
{
    return json_object_get(x->fault, "operation_error");
}

/* As it is at this moment: the outcome is kept back until it is time. */
static json_t *operation_now(struct exchange *x, const json_t *doc)
{
    json_t *told = google_told(doc);
    bool over = json_integer_value(json_object_get(doc, "_end_us")) <= service_now_us(x->service);
    json_t *error = json_object_get(doc, "_error");
    json_object_set_new(told, "done", json_boolean(over));
    if (over && error)
        json_object_set(told, "error", error);
    else if (over)
        json_object_set(told, "response", json_object_get(doc, "_response"));
    return told;
}

void answer_operation_locked(struct exchange *x, const char *api, const char *scope, json_t *response)
{
    answer_operation_as_locked(x, api, scope, response, operation_error(x));
}

void answer_operation_as_locked(struct exchange *x, const char *api, const char *scope, json_t *response,
                                const json_t *error)
{
    struct world *w = x->service->world;
    char id[13];
    random_letters(id, 12);
    char *name = arena_printf(x->arena, "%s%soperations/%s", scope, *scope ? "/" : "", id);
    json_t *doc =
        json_pack("{s:s,s:{s:s},s:I,s:o,s:O*}", "name", name, "metadata", "@type",
                  "type.googleapis.com/google.protobuf.Any", "_end_us", (json_int_t)operation_end_us(x),
                  "_response", response, "_error", (json_t *)(uintptr_t)error);
    doc_put_locked(w, arena_printf(x->arena, "operations/%s/%s", api, name), doc);
    answer_json(x, 200, operation_now(x, doc));
}

void operation_answer(struct exchange *x, const char *api, const char *name)
{
    struct world *w = x->service->world;
    world_lock(w);
    const json_t *doc = doc_find_locked(w, arena_printf(x->arena, "operations/%s/%s", api, name));
    if (doc)
        answer_json(x, 200, operation_now(x, doc));
    else
        fail_google(x, 404, "NOT_FOUND", "Operation %s not found.", name);
    world_unlock(w);
}

/* ---- policies ---- */

static char *policy_key(struct exchange *x, const char *key)
{
    return arena_printf(x->arena, "policy/%s", key);
}

void policy_answer(struct exchange *x, const char *key)
{
    struct world *w = x->service->world;
    world_lock(w);
    json_t *policy = doc_find_locked(w, policy_key(x, key));
    answer_json(x, 200, policy ? json_deep_copy(policy) : json_pack("{s:s}", "etag", "ACAB"));
    world_unlock(w);
}

/* Bytes, which JSON has in base64: sixteen of its letters are such. */
static char *policy_etag(struct exchange *x)
{
    return arena_printf(x->arena, "%016llx", (unsigned long long)world_generation_locked(x->service->world));
}

/* The etag that a change must bring: of a policy that nobody has set yet, the one that it is told with. */
void policy_change(struct exchange *x, const char *key, const json_t *policy)
{
    struct world *w = x->service->world;
    const char *etag = text_at(policy, "etag");
    world_lock(w);
    const json_t *old = doc_find_locked(w, policy_key(x, key));
    if (*etag && strcmp(etag, old ? text_at(old, "etag") : "ACAB") != 0) {
        fail_google(x, 409, "ABORTED",
                    "There were concurrent policy changes. Please retry the whole read-modify-write with "
                    "exponential backoff.");
    } else {
        json_t *stored = json_pack("{s:i,s:s,s:O?}", "version", 1, "etag", policy_etag(x), "bindings",
                                   json_object_get(policy, "bindings"));
        doc_put_locked(w, policy_key(x, key), stored);
        answer_json(x, 200, json_deep_copy(stored));
    }
    world_unlock(w);
}
