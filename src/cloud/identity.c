#include "cloud/identity.h"

#include "cloud/call/rest.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RENEW_SECONDS = 300, LIFE_SECONDS = 3600 };

struct identity {
    struct cloud *cloud;
    char *audience;
    const char *account; /* impersonated; NULL: none */
    pthread_mutex_t mutex;
    char value[IDENTITY_BYTES]; /* "Bearer …" */
    int64_t renew_at;           /* boottime seconds; 0: there is none */
};

static int64_t now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec;
}

struct identity *identity_new(struct cloud *c, const char *audience, struct err *e)
{
    struct identity *i = calloc(1, sizeof *i);
    if (i)
        i->audience = strdup(audience);
    if (!i || !i->audience) {
        free(i);
        err_set(e, ERR_MEMORY, "no memory for an identity");
        return NULL;
    }
    i->cloud = c;
    i->account = gcloud_property(cloud_config(c), "auth", "impersonate_service_account", NULL);
    pthread_mutex_init(&i->mutex, NULL);
    return i;
}

void identity_free(struct identity *i)
{
    if (!i)
        return;
    pthread_mutex_destroy(&i->mutex);
    free(i->audience);
    explicit_bzero(i, sizeof *i);
    free(i);
}

/* POST …/serviceAccounts/{email}:generateIdToken, with the caller's access token. */
static bool impersonate(struct identity *i, char token[TOKEN_MAX_BYTES], struct err *e)
{
    json_t *body = json_pack("{s:s, s:b}", "audience", i->audience, "includeEmail", 1);
    struct rest q = {.api = "iamcredentials",
                     .method = "POST",
                     .path = "/v1/projects/-/serviceAccounts/{}:generateIdToken",
                     .names = {i->account},
                     .body = body,
                     .flags = CLOUD_IDEMPOTENT,
                     .reads = true};
    json_t *answer = body ? rest_call(i->cloud, &q, e) : NULL;
    const char *text = json_string_value(json_object_get(answer, "token"));
    bool ok = text && strlen(text) < TOKEN_MAX_BYTES;
    if (ok)
        strcpy(token, text);
    else if (answer)
        err_set(e, ERR_AUTH, "the answer holds no token");
    json_decref(answer);
    json_decref(body);
    return ok || err_wrap(e, "identity of %s", i->account);
}

static bool mint(struct identity *i, char token[TOKEN_MAX_BYTES], int *seconds, struct err *e)
{
    if (i->account)
        return impersonate(i, token, e);
    struct token_source *tokens = cloud_tokens(i->cloud, e);
    return tokens && token_identity(tokens, i->audience, token, seconds, e);
}

static bool renew_locked(struct identity *i, struct err *e)
{
    char token[TOKEN_MAX_BYTES];
    int seconds = LIFE_SECONDS;
    bool ok = mint(i, token, &seconds, e);
    if (ok && strlen(token) + sizeof "Bearer " > sizeof i->value)
        ok = err_set(e, ERR_LIMIT, "an identity token of %zu bytes", strlen(token));
    if (ok) {
        memcpy(i->value, "Bearer ", 7);
        strcpy(i->value + 7, token);
        int life = seconds ? seconds : LIFE_SECONDS;
        i->renew_at = now_seconds() + (life > 2 * RENEW_SECONDS ? life - RENEW_SECONDS : life / 2);
    }
    explicit_bzero(token, sizeof token);
    return ok;
}

bool identity_get(struct identity *i, char out[IDENTITY_BYTES], struct err *e)
{
    pthread_mutex_lock(&i->mutex);
    bool ok = (i->renew_at && now_seconds() < i->renew_at) || renew_locked(i, e);
    if (ok)
        memcpy(out, i->value, IDENTITY_BYTES);
    pthread_mutex_unlock(&i->mutex);
    return ok;
}

void identity_refused(struct identity *i)
{
    pthread_mutex_lock(&i->mutex);
    i->renew_at = 0;
    pthread_mutex_unlock(&i->mutex);
}
