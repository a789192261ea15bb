/* oauth.c: Google's token endpoint: refresh tokens (RFC 6749) and signed assertions (RFC 7523). */
#include "endpoints.h"
#include "hash.h"
#include "run_emulator.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JWT_ROOM = 8192, LONGEST_SECONDS = 3600, SKEW_SECONDS = 300 };

static void refuse(struct exchange *x, int status, const char *error, const char *description,
                   const char *subtype)
{
    json_t *j = json_pack("{s:s,s:s}", "error", error, "error_description", description);
    if (subtype)
        json_object_set_new(j, "error_subtype", json_string(subtype));
    answer_json(x, status, j);
}

static void give_token(struct exchange *x)
{
    char token[TOKEN_ROOM];
    struct service *s = x->service;
    token_issue(s->tokens, service_now_us(s), s->settings.token_seconds, token);
    answer_json(x, 200,
                json_pack("{s:s,s:i,s:s,s:s}", "access_token", token, "expires_in", s->settings.token_seconds,
                          "scope", "https://www.googleapis.com/auth/cloud-platform", "token_type", "Bearer"));
}

/* A field of the form, decoded; "" when it is not there. */
static const char *field(struct exchange *x, const char *name)
{
    const char *at = x->body.size ? x->body.bytes : "";
    size_t size = strlen(name);
    for (; at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL)
        if (!strncmp(at, name, size) && at[size] == '=')
            return decode_percent(x->arena, at + size + 1, strcspn(at + size + 1, "&"), true);
    return "";
}

/* ---- refresh tokens ---- */

static void refresh(struct exchange *x)
{
    const char *token = field(x, "refresh_token");
    if (strcmp(field(x, "client_id"), EMULATOR_CLIENT_ID) != 0 ||
        strcmp(field(x, "client_secret"), EMULATOR_CLIENT_SECRET) != 0)
        refuse(x, 401, "invalid_client", "The OAuth client was not found.", NULL);
    else if (!strcmp(token, EMULATOR_REFRESH_GOOD))
        give_token(x);
    else if (!strcmp(token, EMULATOR_REFRESH_RAPT))
        refuse(x, 400, "invalid_grant", "reauth related error (invalid_rapt)", "invalid_rapt");
    else if (!strcmp(token, EMULATOR_REFRESH_REVOKED))
        refuse(x, 400, "invalid_grant", "Token has been expired or revoked.", NULL);
    else
        refuse(x, 400, "invalid_grant", "Bad Request", NULL);
}

/* ---- assertions ---- */

/* base64url without padding, as RFC 7515 wants it: nothing else is taken. */
static json_t *read_json_part(const char *text, size_t size)
{
    unsigned char bytes[JWT_ROOM];
    if (memchr(text, '=', size) || memchr(text, '+', size) || memchr(text, '/', size))
        return NULL;
    long n = base64_decode(text, size, bytes, sizeof bytes);
    return n > 0 ? json_loadb((char *)bytes, (size_t)n, 0, NULL) : NULL;
}

static EVP_PKEY *read_key(const char *path)
{
    FILE *f = path ? fopen(path, "r") : NULL;
    EVP_PKEY *key = f ? PEM_read_PUBKEY(f, NULL, NULL, NULL) : NULL;
    if (f)
        fclose(f);
    return key;
}

static bool signature_is_good(const char *path, const char *text, size_t size, const char *signature)
{
    unsigned char bytes[1024];
    long n = base64_decode(signature, strlen(signature), bytes, sizeof bytes);
    EVP_PKEY *key = read_key(path);
    EVP_MD_CTX *m = EVP_MD_CTX_new();
    bool good = key && m && n > 0 && EVP_DigestVerifyInit(m, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(m, bytes, (size_t)n, (const unsigned char *)text, size) == 1;
    EVP_MD_CTX_free(m);
    EVP_PKEY_free(key);
    return good;
}

static const char *text_of(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

/* What is wrong with the claims; NULL: nothing. */
static const char *claims_problem(struct exchange *x, const json_t *claims)
{
    int64_t now = service_now_us(x->service) / 1000000;
    int64_t iat = json_integer_value(json_object_get(claims, "iat"));
    int64_t exp = json_integer_value(json_object_get(claims, "exp"));
    const char *here = arena_printf(x->arena, "%s%s", x->origin, x->path), *aud = text_of(claims, "aud");
    if (!strchr(text_of(claims, "iss"), '@'))
        return "Invalid issuer: Not a service account.";
    if (strcmp(aud, "https://oauth2.googleapis.com/token") != 0 && strcmp(aud, here) != 0)
        return "Invalid JWT: Failed audience check.";
    if (!*text_of(claims, "scope"))
        return "Empty or missing scope not allowed.";
    if (iat > now + SKEW_SECONDS || exp <= now - SKEW_SECONDS || exp - iat > LONGEST_SECONDS || exp <= iat)
        return "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
               "Check your "
               "iat and exp values in the JWT claim.";
    return NULL;
}

static void assertion(struct exchange *x)
{
    const char *jwt = field(x, "assertion"), *first = strchr(jwt, '.'),
               *second = first ? strchr(first + 1, '.') : NULL;
    json_t *head = second ? read_json_part(jwt, (size_t)(first - jwt)) : NULL;
    json_t *claims = second ? read_json_part(first + 1, (size_t)(second - first - 1)) : NULL;
    const char *problem;
    if (!head || !claims || strcmp(text_of(head, "alg"), "RS256") != 0 ||
        strcmp(text_of(head, "typ"), "JWT") != 0)
        refuse(x, 400, "invalid_grant", "Invalid JWT", NULL);
    else if (!signature_is_good(x->service->settings.public_key, jwt, (size_t)(second - jwt), second + 1))
        refuse(x, 400, "invalid_grant", "Invalid JWT Signature.", NULL);
    else if ((problem = claims_problem(x, claims)))
        refuse(x, 400, "invalid_grant", problem, NULL);
    else
        give_token(x);
    json_decref(head);
    json_decref(claims);
}

void token_request(struct exchange *x)
{
    const char *grant = field(x, "grant_type"), *type = request_header(x, "Content-Type");
    if (!type || strncmp(type, "application/x-www-form-urlencoded", 33) != 0)
        refuse(x, 400, "invalid_request", "Content-Type must be application/x-www-form-urlencoded.", NULL);
    else if (!strcmp(grant, "refresh_token"))
        refresh(x);
    else if (!strcmp(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer"))
        assertion(x);
    else
        refuse(x, 400, "unsupported_grant_type", "Invalid grant_type", NULL);
}
