/* exchange.c: tokens from a token endpoint (RFC 6749, section 6; RFC 7523). */
#include "cloud/token/mint.h"

#include "base/arena.h"
#include "base/catalog.h"
#include "cloud/call/call.h"
#include "cloud/token/jwt.h"
#include "net/retry.h"
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SCRATCH_BYTES = 256 << 10,
    MAX_ANSWER_BYTES = 64 << 10,
    ANSWER_SECONDS = 30,
    SKEW_SECONDS = 120,
    IDENTITY_SECONDS = 3600
};

#define LOG_IN_AGAIN "log in again: `gcloud auth application-default login`"

bool mint_keep(struct minted *m, const char *token, struct err *e)
{
    size_t n = strlen(token);
    if (n == 0 || n >= sizeof m->token)
        return err_set(e, ERR_AUTH, "a token of %zu bytes, expected 1 to %zu", n, sizeof m->token - 1);
    for (size_t i = 0; i < n; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return err_set(e, ERR_AUTH, "a token with a character that no token has, at byte %zu", i);
    memcpy(m->token, token, n + 1);
    return true;
}

bool mint_parse(struct minted *m, enum mint_kind kind, const char *text, size_t size, struct err *e)
{
    const char *field = kind == MINT_IDENTITY ? "id_token" : "access_token";
    json_t *json = json_loadb(text, size, 0, NULL), *life = json_object_get(json, "expires_in");
    const char *token = json_string_value(json_object_get(json, field));
    json_int_t seconds = kind == MINT_IDENTITY && !life ? IDENTITY_SECONDS : json_integer_value(life);
    bool ok = token || err_set(e, ERR_AUTH, "the answer holds no %s", field);
    if (ok && seconds <= 0)
        ok = err_set(e, ERR_AUTH, "the answer does not say how long the token lives (expires_in)");
    m->seconds = seconds > 86400 ? 86400 : (int)seconds;
    ok = ok && mint_keep(m, token, e);
    json_decref(json);
    return ok;
}

/* "Tue, 24 Nov 2026 00:10:11 GMT" (RFC 9110, section 5.6.7). Locales must not matter, so no strptime. */
static bool parse_date(const char *text, time_t *out)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t = {0};
    char month[4];
    if (sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &t.tm_mday, month, &t.tm_year, &t.tm_hour,
               &t.tm_min, &t.tm_sec) != 6)
        return false;
    const char *at = strlen(month) == 3 ? strstr(months, month) : NULL;
    if (!at || (at - months) % 3)
        return false;
    t.tm_mon = (int)(at - months) / 3;
    t.tm_year -= 1900;
    *out = timegm(&t);
    return true;
}

long clock_skew_seconds(const struct http_reply *r)
{
    char text[64];
    time_t theirs;
    if (!http_header(r, "date", text, sizeof text) || !parse_date(text, &theirs))
        return 0;
    return (long)(time(NULL) - theirs);
}

/* The clock decides whether an assertion is young enough; a wrong one is the cause nobody thinks of. */
static bool blame_clock(const struct http_reply *r, struct err *e)
{
    long skew = clock_skew_seconds(r);
    if (labs(skew) < SKEW_SECONDS)
        return false;
    err_set(e, ERR_AUTH,
            "this machine's clock is %ld minutes %s, so Google refuses what it signs: set it "
            "(`timedatectl set-ntp true`)",
            labs(skew) / 60, skew > 0 ? _("ahead") : _("behind"));
    return true;
}

static bool explain_grant(const struct http_reply *r, const struct credential *c, json_t *body, struct err *e)
{
    const char *more = json_string_value(json_object_get(body, "error_description"));
    const char *subtype = json_string_value(json_object_get(body, "error_subtype"));

    if (blame_clock(r, e))
        return false;
    if (c->type == CREDENTIAL_SERVICE_ACCOUNT)
        return err_set(
            e, ERR_AUTH,
            "Google does not take this key (%.200s): it was deleted or its account is disabled; make "
            "a new one: `gcloud iam service-accounts keys create FILE --iam-account=%s`",
            more ? more : "invalid_grant", c->email);
    if (subtype && strcmp(subtype, "invalid_rapt") == 0)
        return err_set(e, ERR_AUTH, "your organisation asks for a new login every so often; " LOG_IN_AGAIN);
    return err_set(e, ERR_AUTH, "this login has expired or was revoked (%.200s); " LOG_IN_AGAIN,
                   more ? more : "invalid_grant");
}

static bool explain(const struct http_reply *r, const struct credential *c, struct token_refusal *refusal,
                    struct err *e)
{
    json_t *body = json_loads(r->problem, 0, NULL);
    const char *error = json_string_value(json_object_get(body, "error"));
    const char *subtype = json_string_value(json_object_get(body, "error_subtype"));
    bool ok;

    snprintf(refusal->error, sizeof refusal->error, "%s", error ? error : "");
    snprintf(refusal->subtype, sizeof refusal->subtype, "%s", subtype ? subtype : "");
    if (error && strcmp(error, "invalid_grant") == 0)
        ok = explain_grant(r, c, body, e);
    else if (error && (strcmp(error, "invalid_client") == 0 || strcmp(error, "unauthorized_client") == 0))
        ok = err_set(e, ERR_AUTH, "the token endpoint does not know this client (%s); " LOG_IN_AGAIN, error);
    else {
        ok = cloud_explain(r, e);
        if (e && e->kind == ERR_USAGE)
            e->kind = ERR_AUTH;
    }
    json_decref(body);
    return ok;
}

/* One POST of a form, with the retries of every call. The form holds secrets and stays the caller's. */
static bool ask(struct http *h, const char *url, const char *form, const struct credential *c,
                enum mint_kind kind, struct minted *out, struct err *e)
{
    struct body body = {.ceiling = MAX_ANSWER_BYTES};
    struct http_request q = {.method = "POST",
                             .url = url,
                             .content_type = "application/x-www-form-urlencoded",
                             .accept = "application/json",
                             .body = form,
                             .body_size = strlen(form),
                             .stall_seconds = ANSWER_SECONDS,
                             .on_data = body_take,
                             .arg = &body};
    struct retry retry = retry_start(&retry_default, h, NULL);
    struct http_reply r;
    bool ok;
    do {
        body.size = 0;
        ok = http_send(h, &q, &r, e);
    } while (retry_wanted(&retry, ok, &r, e) && retry_wait(&retry));
    if (ok && r.status != 200)
        ok = explain(&r, c, &out->refusal, e);
    ok = ok && mint_parse(out, kind, body.bytes ? body.bytes : "", body.size, e);
    if (body.bytes)
        explicit_bzero(body.bytes, body.size);
    body_clear(&body);
    return ok || err_wrap(e, "token endpoint");
}

/* Where a user's refresh token goes: Google's own, or for tests the one of FERRY_ENDPOINT_OAUTH2. */
static const char *user_endpoint(struct arena *a)
{
    char origin[300];
    const char *own = getenv("FERRY_ENDPOINT_OAUTH2");
    if (own && url_origin(own, origin, sizeof origin))
        return arena_printf(a, "%s/token", origin);
    return "https://oauth2.googleapis.com/token";
}

static const char *field(struct arena *a, const char *text)
{
    const char *encoded = url_query(a, text);
    return encoded ? encoded : "";
}

bool mint_user(struct http *h, const struct credential *c, enum mint_kind kind, struct minted *out,
               struct err *e)
{
    struct arena *a = arena_new(SCRATCH_BYTES);
    const char *url = a ? user_endpoint(a) : NULL;
    char *form =
        a ? arena_printf(a, "grant_type=refresh_token&client_id=%s&client_secret=%s&refresh_token=%s",
                         field(a, c->client_id), field(a, c->client_secret), field(a, c->refresh_token))
          : NULL;
    bool ok = form && url ? ask(h, url, form, c, kind, out, e)
                          : err_set(e, ERR_MEMORY, "no memory for a token request");
    if (form)
        explicit_bzero(form, strlen(form));
    arena_free(a);
    return ok;
}

bool mint_service_account(struct http *h, const struct credential *c, const char *audience,
                          struct minted *out, struct err *e)
{
    struct arena *a = arena_new(SCRATCH_BYTES);
    bool ok = false;
    if (!a)
        return err_set(e, ERR_MEMORY, "no memory for a token request");
    char *jwt = jwt_sign(c, audience, (int64_t)time(NULL), a, e);
    char *form = jwt ? arena_printf(a,
                                    "grant_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Agrant-type%%3Ajwt-bearer"
                                    "&assertion=%s",
                                    jwt)
                     : NULL;
    if (form)
        ok = ask(h, c->token_uri, form, c, audience ? MINT_IDENTITY : MINT_ACCESS, out, e);
    else if (jwt)
        err_set(e, ERR_MEMORY, "no memory for a token request");
    arena_free(a);
    return ok;
}
