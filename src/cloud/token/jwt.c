#include "cloud/token/jwt.h"

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#define SCOPE "https://www.googleapis.com/auth/cloud-platform"

enum { LIFE_SECONDS = 3600 /* the most that Google takes */ };

/* RFC 4648, section 5, without padding. */
static char *base64url(struct arena *a, const void *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *in = bytes;
    char *out = arena_alloc(a, size / 3 * 4 + 5, 1);
    size_t n = 0;
    for (size_t i = 0; out && i < size; i += 3) {
        size_t have = size - i < 3 ? size - i : 3;
        uint32_t word = (uint32_t)in[i] << 16 | (have > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                        (have > 2 ? (uint32_t)in[i + 2] : 0);
        for (size_t k = 0; k <= have; k++)
            out[n++] = digits[word >> (18 - 6 * k) & 63];
    }
    return out;
}

/* A JSON object in base64url; takes the reference. */
static char *encode(struct arena *a, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    char *out = text ? base64url(a, text, strlen(text)) : NULL;
    json_decref(json);
    free(text);
    return out;
}

/* "" as the password of a key that has one: without it OpenSSL would ask on the terminal. */
static EVP_PKEY *read_key(const char *pem, struct err *e)
{
    char no_password[] = "";
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, no_password) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return key;
    EVP_PKEY_free(key);
    err_set(e, ERR_AUTH, "\"private_key\" is not an RSA key in PEM; download the key file again");
    return NULL;
}

bool jwt_key_check(const struct credential *c, struct err *e)
{
    EVP_PKEY *key = read_key(c->private_key, e);
    EVP_PKEY_free(key);
    return key != NULL;
}

/* RSASSA-PKCS1-v1_5 with SHA-256, in base64url. NULL: OpenSSL will not. */
static char *sign(EVP_PKEY *key, const char *text, struct arena *a)
{
    size_t size = (size_t)EVP_PKEY_get_size(key);
    unsigned char *bytes = arena_alloc(a, size, 1);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    char *out = NULL;
    if (bytes && md && EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestSign(md, bytes, &size, (const unsigned char *)text, strlen(text)) == 1)
        out = base64url(a, bytes, size);
    EVP_MD_CTX_free(md);
    ERR_clear_error();
    return out;
}

char *jwt_sign(const struct credential *c, const char *audience, int64_t now, struct arena *a, struct err *e)
{
    EVP_PKEY *key = read_key(c->private_key, e);
    if (!key)
        return NULL;
    json_t *head = json_pack("{s:s, s:s, s:s*}", "alg", "RS256", "typ", "JWT", "kid", c->key_id);
    json_t *claims = json_pack("{s:s, s:s*, s:s*, s:s, s:I, s:I}", "iss", c->email, "scope",
                               audience ? NULL : SCOPE, "target_audience", audience, "aud", c->token_uri,
                               "iat", (json_int_t)now, "exp", (json_int_t)(now + LIFE_SECONDS));
    char *first = encode(a, head), *second = encode(a, claims);
    char *text = first && second ? arena_printf(a, "%s.%s", first, second) : NULL;
    char *signature = text ? sign(key, text, a) : NULL;
    EVP_PKEY_free(key);
    char *jwt = signature ? arena_printf(a, "%s.%s", text, signature) : NULL;
    if (!jwt)
        err_set(e, ERR_AUTH, "the key cannot sign (RS256); download the key file again");
    return jwt;
}
