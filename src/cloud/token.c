#include "cloud/token.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "cloud/token/jwt.h"
#include "cloud/token/mint.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ARENA_BYTES = 512 << 10, RENEW_SECONDS = 240, GCLOUD_TIMEOUT_MS = 60000 };

struct token_source {
    struct http *http;
    const struct gcloud_config *config;
    struct arena *arena;
    bool (*mint)(struct token_source *s, struct minted *out, struct err *e);
    const char *name, *quota_project;
    const char *token_file;
    struct credential credential;
    const char *fixed; /* FERRY_ACCESS_TOKEN */

    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t renewed;
    bool renewing;                /* one thread asks; the others wait for what it hears */
    unsigned renewals;            /* ended so far, well or badly */
    struct err failed;            /* of the last one; ERR_NONE: it went well */
    struct token_refusal refusal; /* of the last one */
    char token[TOKEN_MAX_BYTES];
    bool stale;       /* refused, or there is none yet */
    int64_t renew_at; /* boottime seconds; INT64_MAX: never by itself */
};

/* Goes on while a laptop sleeps, which the life of a token does, too. */
static int64_t now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* --- the five sources --- */

static bool mint_fixed(struct token_source *s, struct minted *out, struct err *e)
{
    return mint_keep(out, s->fixed, e) || err_wrap(e, "FERRY_ACCESS_TOKEN");
}

static bool mint_file(struct token_source *s, struct minted *out, struct err *e)
{
    struct arena *a = arena_new(TOKEN_MAX_BYTES + 1024);
    size_t size = 0;
    bool ok = false;
    char *text = a ? file_read(a, s->token_file, TOKEN_MAX_BYTES, &size, e) : NULL;
    if (!a)
        err_set(e, ERR_MEMORY, "no memory for a token");
    if (text) {
        text[strcspn(text, "\r\n")] = 0;
        ok = mint_keep(out, text, e) || err_wrap(e, "%s", s->token_file);
        explicit_bzero(text, size);
    } else if (e) {
        e->kind = ERR_AUTH;
    }
    arena_free(a);
    return ok || err_wrap(e, "FERRY_ACCESS_TOKEN_FILE");
}

static bool mint_credential(struct token_source *s, struct minted *out, struct err *e)
{
    bool ok = s->credential.type == CREDENTIAL_USER
                  ? mint_user(s->http, &s->credential, MINT_ACCESS, out, e)
                  : mint_service_account(s->http, &s->credential, NULL, out, e);
    return ok || err_wrap(e, "%s", s->name);
}

static bool mint_machine(struct token_source *s, struct minted *out, struct err *e)
{
    return mint_metadata(s->http, NULL, out, e);
}

static bool mint_by_gcloud(struct token_source *s, struct minted *out, struct err *e)
{
    (void)s;
    return mint_gcloud(MINT_ACCESS, GCLOUD_TIMEOUT_MS, out, e);
}

/* --- finding out which --- */

/* *there: whether this source is the one; false: it is, and broken. */
typedef bool (*find_fn)(struct token_source *s, bool *there, struct err *e);

static bool find_variable(struct token_source *s, bool *there, struct err *e)
{
    struct minted probe;
    const char *token = variable("FERRY_ACCESS_TOKEN"), *file = variable("FERRY_ACCESS_TOKEN_FILE");
    *there = token || file;
    if (!*there)
        return true;
    if (!token) {
        s->mint = mint_file;
        s->name = "access token (FERRY_ACCESS_TOKEN_FILE)";
        s->token_file = arena_strndup(s->arena, file, strlen(file));
        return s->token_file || err_set(e, ERR_MEMORY, "no memory for the credentials");
    }
    s->mint = mint_fixed;
    s->name = "access token (FERRY_ACCESS_TOKEN)";
    s->fixed = arena_strndup(s->arena, token, strlen(token));
    if (!s->fixed)
        return err_set(e, ERR_MEMORY, "no memory for the credentials");
    return mint_fixed(s, &probe, e);
}

static bool check_credential(const struct credential *c, struct err *e)
{
    return c->type != CREDENTIAL_SERVICE_ACCOUNT || jwt_key_check(c, e);
}

static bool use_file(struct token_source *s, const char *path, const char *origin, struct err *e)
{
    size_t size;
    char *text = file_read(s->arena, path, CREDENTIAL_MAX_BYTES, &size, e);
    if (!text && e)
        e->kind = ERR_AUTH; /* credentials that are missing */
    if (!text)
        return err_wrap(e, "%s", origin);
    bool ok =
        credential_parse(&s->credential, text, size, s->arena, e) && check_credential(&s->credential, e);
    explicit_bzero(text, size);
    if (!ok)
        return err_wrap(e, "%s", path);
    s->mint = mint_credential;
    s->quota_project = s->credential.quota_project;
    s->name = s->credential.type == CREDENTIAL_USER
                  ? arena_printf(s->arena, "user login (%s)", origin)
                  : arena_printf(s->arena, "service account %s (%s)", s->credential.email, origin);
    return s->name || err_set(e, ERR_MEMORY, "no memory for the credentials");
}

static bool find_adc_variable(struct token_source *s, bool *there, struct err *e)
{
    const char *path = variable("GOOGLE_APPLICATION_CREDENTIALS");
    *there = path != NULL;
    return !path || use_file(s, path, "GOOGLE_APPLICATION_CREDENTIALS", e);
}

static bool find_adc_file(struct token_source *s, bool *there, struct err *e)
{
    const char *folder = s->config->folder;
    char *path = folder ? arena_printf(s->arena, "%s/application_default_credentials.json", folder) : NULL;
    *there = path && file_exists(path);
    return !*there || use_file(s, path, "gcloud auth application-default login", e);
}

static bool find_metadata(struct token_source *s, bool *there, struct err *e)
{
    (void)e;
    const char *off = variable("NO_GCE_CHECK"); /* google-auth's, for machines where the ping hangs */
    *there = !(off && strcmp(off, "true") == 0) && metadata_is_there(s->http);
    s->mint = mint_machine;
    s->name = "service account of this machine (metadata server)";
    return true;
}

static bool find_gcloud(struct token_source *s, bool *there, struct err *e)
{
    (void)e;
    *there = gcloud_is_there();
    s->mint = mint_by_gcloud;
    s->name = "login of gcloud (gcloud auth print-access-token)";
    if (*there)
        log_warning(
            "no application default credentials; asking gcloud for access tokens, which takes a second "
            "each; `gcloud auth application-default login` avoids that",
            LOG_END);
    return true;
}

static bool find(struct token_source *s, struct err *e)
{
    static const find_fn finders[] = {find_variable, find_adc_variable, find_adc_file, find_metadata,
                                      find_gcloud};
    bool there = false;
    for (size_t i = 0; i < sizeof finders / sizeof *finders; i++) {
        if (!finders[i](s, &there, e))
            return false;
        if (there)
            return true;
    }
    return err_set(e, ERR_AUTH,
                   "no Google credentials found: log in with `gcloud auth application-default login`, or set "
                   "GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account");
}

struct token_source *token_source_new(struct http *h, const struct gcloud_config *c, struct err *e)
{
    struct token_source *s = calloc(1, sizeof *s);
    if (!s || !(s->arena = arena_new(ARENA_BYTES))) {
        free(s);
        err_set(e, ERR_MEMORY, "no memory for the credentials");
        return NULL;
    }
    s->http = h;
    s->config = c;
    s->stale = true;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->renewed, NULL);
    if (!find(s, e)) {
        token_source_free(s);
        return NULL;
    }
    const char *quota = variable("GOOGLE_CLOUD_QUOTA_PROJECT");
    if (quota)
        s->quota_project = arena_strndup(s->arena, quota, strlen(quota));
    return s;
}

void token_source_free(struct token_source *s)
{
    if (!s)
        return;
    pthread_cond_destroy(&s->renewed);
    pthread_mutex_destroy(&s->mutex);
    arena_free(s->arena);
    explicit_bzero(s, sizeof *s);
    free(s);
}

const char *token_source_name(const struct token_source *s)
{
    return s->name;
}

const char *token_quota_project(const struct token_source *s)
{
    return s->quota_project;
}

/* --- tokens --- */

static bool is_good_locked(const struct token_source *s)
{
    return !s->stale && now_seconds() < s->renew_at;
}

/* A token that lives for less than eight minutes, as a metadata server's may, is used for half of its life.
 */
static int64_t renew_at(const struct minted *m)
{
    int margin = m->seconds / 2 < RENEW_SECONDS ? m->seconds - m->seconds / 2 : RENEW_SECONDS;
    return m->seconds ? now_seconds() + m->seconds - margin : INT64_MAX;
}

/* Asks with the mutex open, so that nobody waits who has a good token. */
static void renew_locked(struct token_source *s)
{
    struct minted m = {0};
    struct err failed = {0};

    s->renewing = true;
    pthread_mutex_unlock(&s->mutex);
    bool ok = s->mint(s, &m, &failed);
    pthread_mutex_lock(&s->mutex);
    s->renewing = false;
    s->renewals++;
    s->failed = failed;
    s->refusal = m.refusal;
    if (ok) {
        s->failed.kind = ERR_NONE;
        memcpy(s->token, m.token, sizeof s->token);
        s->renew_at = renew_at(&m);
        s->stale = false;
    }
    explicit_bzero(&m, sizeof m);
    pthread_cond_broadcast(&s->renewed);
}

/* True when the token is good, by this thread's renewal or by the one it waited for. A failure is told to all
 * who waited for it, and tried again by who comes later. */
static bool refresh_locked(struct token_source *s)
{
    if (is_good_locked(s))
        return true;
    unsigned before = s->renewals;
    if (!s->renewing)
        renew_locked(s);
    while (s->renewals == before)
        pthread_cond_wait(&s->renewed, &s->mutex);
    return s->failed.kind == ERR_NONE;
}

bool token_get(struct token_source *s, char out[TOKEN_MAX_BYTES], struct err *e)
{
    pthread_mutex_lock(&s->mutex);
    bool ok = refresh_locked(s);
    if (ok)
        memcpy(out, s->token, TOKEN_MAX_BYTES);
    else if (e)
        *e = s->failed;
    pthread_mutex_unlock(&s->mutex);
    return ok;
}

void token_refusal_get(struct token_source *s, struct token_refusal *out)
{
    pthread_mutex_lock(&s->mutex);
    *out = s->refusal;
    pthread_mutex_unlock(&s->mutex);
}

bool token_refused(struct token_source *s, const char *token)
{
    if (s->fixed)
        return false;
    pthread_mutex_lock(&s->mutex);
    if (strcmp(s->token, token) == 0)
        s->stale = true;
    pthread_mutex_unlock(&s->mutex);
    return true;
}

/* --- ID tokens --- */

/* What a source of access tokens alone, or a login without the scope openid, cannot give, gcloud may. */
static bool identity_by_gcloud(struct minted *out, struct err *e)
{
    if (gcloud_is_there())
        return mint_gcloud(MINT_IDENTITY, GCLOUD_TIMEOUT_MS, out, e);
    return err_set(
        e, ERR_AUTH,
        "these credentials give no identity token: set FERRY_IDENTITY_TOKEN to what `gcloud auth "
        "print-identity-token` prints, or GOOGLE_APPLICATION_CREDENTIALS to a service account's key");
}

static bool identity_of_user(struct token_source *s, struct minted *out, struct err *e)
{
    struct err problem = {0};
    if (mint_user(s->http, &s->credential, MINT_IDENTITY, out, &problem))
        return true;
    if (problem.kind == ERR_AUTH && gcloud_is_there())
        return identity_by_gcloud(out, e);
    if (e)
        *e = problem;
    return err_wrap(e, "%s", s->name);
}

static bool mint_identity(struct token_source *s, const char *audience, struct minted *out, struct err *e)
{
    const char *given = variable("FERRY_IDENTITY_TOKEN");
    if (given)
        return mint_keep(out, given, e) || err_wrap(e, "FERRY_IDENTITY_TOKEN");
    if (s->mint == mint_machine)
        return mint_metadata(s->http, audience, out, e);
    if (s->mint != mint_credential)
        return identity_by_gcloud(out, e);
    if (s->credential.type == CREDENTIAL_USER)
        return identity_of_user(s, out, e);
    return mint_service_account(s->http, &s->credential, audience, out, e) || err_wrap(e, "%s", s->name);
}

bool token_identity(struct token_source *s, const char *audience, char out[TOKEN_MAX_BYTES], int *seconds,
                    struct err *e)
{
    struct minted m = {0};
    bool ok = mint_identity(s, audience, &m, e);
    if (ok)
        memcpy(out, m.token, TOKEN_MAX_BYTES);
    *seconds = m.seconds;
    explicit_bzero(&m, sizeof m);
    return ok;
}

bool token_file_check(const char *text, size_t size, struct err *e)
{
    struct credential c;
    struct arena *a = arena_new(ARENA_BYTES);
    if (!a)
        return err_set(e, ERR_MEMORY, "no memory for the credentials");
    bool ok = credential_parse(&c, text, size, a, e) && check_credential(&c, e);
    arena_free(a);
    return ok;
}
