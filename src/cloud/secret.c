#include "cloud/secret.h"

#include "cloud/call/rest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define API "secretmanager"

static json_t *named(json_t *answer, const char *secret, struct err *e)
{
    if (!answer)
        err_wrap(e, "secret %s", secret);
    return answer;
}

static bool done(json_t *answer)
{
    bool ok = answer != NULL;
    json_decref(answer);
    return ok;
}

json_t *secret_get(struct cloud *c, const char *project, const char *name, struct err *e)
{
    struct rest q = {
        .api = API, .method = "GET", .path = "/v1/projects/{}/secrets/{}", .names = {project, name}};
    return named(rest_call(c, &q, e), name, e);
}

json_t *secret_create(struct cloud *c, const char *project, const char *name, const json_t *labels,
                      struct err *e)
{
    json_t *body = json_pack("{s:{s:{}}, s:O}", "replication", "automatic", "labels", labels);
    struct rest q = {.api = API,
                     .method = "POST",
                     .path = "/v1/projects/{}/secrets?secretId={}",
                     .names = {project, name},
                     .body = body};
    json_t *secret = body ? rest_call(c, &q, e) : NULL;
    if (!body)
        err_set(e, ERR_MEMORY, "no memory for a request");
    json_decref(body);
    return named(secret, name, e);
}

bool secret_delete(struct cloud *c, const char *project, const char *name, struct err *e)
{
    struct rest q = {.api = API,
                     .method = "DELETE",
                     .path = "/v1/projects/{}/secrets/{}",
                     .names = {project, name},
                     .flags = CLOUD_IDEMPOTENT};
    return done(named(rest_delete(c, &q, e), name, e));
}

bool secret_each(struct cloud *c, const char *project, const char *label, secret_fn fn, void *arg,
                 struct err *e)
{
    char filter[200];
    snprintf(filter, sizeof filter, "labels.%s", label);
    struct rest q = {.api = API,
                     .method = "GET",
                     .path = "/v1/projects/{}/secrets?pageSize=100&filter={}",
                     .names = {project, filter}};
    return rest_each(c, &q, "secrets", fn, arg, e) || err_wrap(e, "secrets of %s", project);
}

bool secret_add(struct cloud *c, const char *project, const char *name, const char *text, struct err *e)
{
    unsigned char encoded[SECRET_BYTES / 3 * 4 + 8];
    size_t size = strlen(text);
    if (size == 0 || size >= SECRET_BYTES)
        return err_set(e, ERR_LIMIT, "secret %s: %zu bytes, expected 1 to %d", name, size, SECRET_BYTES - 1);
    EVP_EncodeBlock(encoded, (const unsigned char *)text, (int)size);
    const char *told = cloud_rehearses(c) ? "(not shown)" : (const char *)encoded;
    json_t *body = json_pack("{s:{s:s}}", "payload", "data", told);
    explicit_bzero(encoded, sizeof encoded);
    struct rest q = {.api = API,
                     .method = "POST",
                     .path = "/v1/projects/{}/secrets/{}:addVersion",
                     .names = {project, name},
                     .body = body};
    bool ok = body ? done(named(rest_call(c, &q, e), name, e)) : err_set(e, ERR_MEMORY, "no memory");
    json_decref(body);
    return ok;
}

bool secret_enabled(struct cloud *c, const char *project, const char *name, const char *version,
                    bool *enabled, struct err *e)
{
    struct rest q = {.api = API,
                     .method = "GET",
                     .path = "/v1/projects/{}/secrets/{}/versions/{}",
                     .names = {project, name, version}};
    json_t *answer = named(rest_call(c, &q, e), name, e);
    const char *state = json_string_value(json_object_get(answer, "state"));
    *enabled = state && strcmp(state, "ENABLED") == 0;
    return done(answer);
}

static bool decode(const json_t *answer, char out[SECRET_BYTES])
{
    const json_t *data = json_object_get(json_object_get(answer, "payload"), "data");
    size_t size = json_string_length(data);
    const char *text = json_string_value(data);
    if (!text || size % 4 || size / 4 * 3 >= SECRET_BYTES)
        return false;
    int n = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text, (int)size);
    for (size_t i = size; n > 0 && i > 0 && text[i - 1] == '='; i--)
        n--; /* EVP_DecodeBlock counts the padding */
    if (n < 0)
        return false;
    out[n] = 0;
    return true;
}

bool secret_access(struct cloud *c, const char *project, const char *name, const char *version,
                   char out[SECRET_BYTES], struct err *e)
{
    struct rest q = {.api = API,
                     .method = "GET",
                     .path = "/v1/projects/{}/secrets/{}/versions/{}:access",
                     .names = {project, name, version}};
    json_t *answer = named(rest_call(c, &q, e), name, e);
    bool ok = answer &&
              (decode(answer, out) ||
               err_set(e, ERR_CORRUPT, "secret %s: not a text of less than %d bytes", name, SECRET_BYTES));
    json_decref(answer);
    return ok;
}
