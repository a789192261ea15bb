/* Credential files, and the statement that a service account signs. */
#include "cloud/token.h"
#include "cloud/token/jwt.h"
#include "cloud/token/mint.h"
#include "keys.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECRET "do-not-show-this"

static void files_that_cannot_be_used_are_refused_with_what_to_do(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "not JSON"},
        {"{\"type\":\"authorized_user\",\"client_id\":\"a\",\"client_secret\":\"" SECRET "\"", "not JSON"},
        {"[]", "no \"type\""},
        {"{}", "gcloud auth application-default login"},
        {"{\"installed\":{\"client_secret\":\"" SECRET "\"}}", "--client-id-file"},
        {"{\"type\":7}", "no \"type\""},
        {"{\"type\":\"other-" SECRET "\"}", "unknown \"type\""},
        {"{\"type\":\"external_account\"}", "gcloud auth print-access-token"},
        {"{\"type\":\"impersonated_service_account\"}", "impersonation"},
        {"{\"type\":\"external_account_authorized_user\"}", "workforce"},
        {"{\"type\":\"authorized_user\",\"client_id\":\"a\",\"client_secret\":\"" SECRET "\"}",
         "\"refresh_token\" is missing"},
        {"{\"type\":\"authorized_user\",\"client_id\":\"a\",\"client_secret\":7,\"refresh_token\":\"" SECRET
         "\"}",
         "\"client_secret\" is not a string"},
        {"{\"type\":\"authorized_user\",\"client_id\":\"\",\"client_secret\":\"b\",\"refresh_token\":\"c\"}",
         "\"client_id\" is not a string with something in it"},
        {"{\"type\":\"service_account\",\"client_email\":\"x@y\"}", "\"private_key\" is missing"},
        {"{\"type\":\"service_account\",\"client_email\":\"x@y\",\"private_key\":\"" SECRET "\"}",
         "not an RSA key in PEM"},
        {"{\"type\":\"service_account\",\"client_email\":\"x@y\",\"private_key\":\"k\",\"token_uri\":"
         "\"http://example.org/token\"}",
         "\"token_uri\" is not an https:// address"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        assert_false(token_file_check(cases[i].text, strlen(cases[i].text), &e));
        assert_int_equal(e.kind, ERR_AUTH);
        if (!strstr(e.text, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", e.text, cases[i].says);
        assert_null(strstr(e.text, SECRET));
    }
}

static void good_files_are_taken(void **state)
{
    static const char user[] = "{\"type\":\"authorized_user\",\"client_id\":\"a\",\"client_secret\":\"b\","
                               "\"refresh_token\":\"c\",\"quota_project_id\":\"p\"}";
    struct err e = {0};
    (void)state;
    assert_true(token_file_check(user, strlen(user), &e));
    EVP_PKEY *key = make_key();
    char *text = service_account_text(key, "https://oauth2.googleapis.com/token");
    assert_true(token_file_check(text, strlen(text), &e));
    free(text);
    EVP_PKEY_free(key);
}

static void key_that_is_not_rsa_is_refused(void **state)
{
    struct err e = {0};
    (void)state;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    char *text = service_account_text(key, "https://oauth2.googleapis.com/token");
    assert_false(token_file_check(text, strlen(text), &e));
    assert_non_null(strstr(e.text, "not an RSA key"));
    free(text);
    EVP_PKEY_free(key);
}

/* The twin of base64url, for what it wrote. */
static size_t decode(const char *text, size_t size, unsigned char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t word = 0;
    size_t bits = 0, n = 0;
    for (size_t i = 0; i < size; i++) {
        const char *digit = strchr(digits, text[i]);
        assert_true(text[i] && digit);
        word = word << 6 | (uint32_t)(digit - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (unsigned char)(word >> bits);
        }
    }
    return n;
}

static json_t *decode_json(const char *text, size_t size)
{
    unsigned char bytes[1000];
    assert_true(size < sizeof bytes);
    size_t n = decode(text, size, bytes);
    json_t *json = json_loadb((const char *)bytes, n, 0, NULL);
    assert_non_null(json);
    return json;
}

static void signature_holds_and_claims_are_googles(void **state)
{
    struct arena *a = arena_new(1 << 20);
    struct credential c;
    struct err e = {0};
    unsigned char signature[1000];
    EVP_PKEY *key = make_key();
    char *text = service_account_text(key, "https://oauth2.googleapis.com/token");
    (void)state;
    assert_true(credential_parse(&c, text, strlen(text), a, &e));
    char *jwt = jwt_sign(&c, NULL, 1700000000, a, &e);
    assert_non_null(jwt);

    const char *first = strchr(jwt, '.'), *second = strrchr(jwt, '.');
    json_t *head = decode_json(jwt, (size_t)(first - jwt));
    json_t *claims = decode_json(first + 1, (size_t)(second - first - 1));
    assert_string_equal(json_string_value(json_object_get(head, "alg")), "RS256");
    assert_string_equal(json_string_value(json_object_get(head, "kid")), "key-1");
    assert_string_equal(json_string_value(json_object_get(claims, "iss")),
                        "ferry@demo-proj.iam.gserviceaccount.com");
    assert_string_equal(json_string_value(json_object_get(claims, "scope")),
                        "https://www.googleapis.com/auth/cloud-platform");
    assert_string_equal(json_string_value(json_object_get(claims, "aud")),
                        "https://oauth2.googleapis.com/token");
    assert_int_equal(json_integer_value(json_object_get(claims, "iat")), 1700000000);
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")), 1700003600);

    size_t size = decode(second + 1, strlen(second + 1), signature);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(
        EVP_DigestVerify(md, signature, size, (const unsigned char *)jwt, (size_t)(second - jwt)), 1);
    EVP_MD_CTX_free(md);
    json_decref(head);
    json_decref(claims);
    free(text);
    EVP_PKEY_free(key);
    arena_free(a);
}

static void answers_of_token_endpoints(void **state)
{
    static char long_answer[TOKEN_MAX_BYTES + 100];
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"{\"access_token\":\"ya29.x\",\"expires_in\":3599,\"token_type\":\"Bearer\"}", true},
        {"{\"access_token\":\"ya29.x\"}", false},
        {"{\"access_token\":\"ya29.x\",\"expires_in\":0}", false},
        {"{\"access_token\":\"ya29.x\",\"expires_in\":-5}", false},
        {"{\"access_token\":\"\",\"expires_in\":3599}", false},
        {"{\"access_token\":\"a\\r\\nX-Evil: 1\",\"expires_in\":3599}", false},
        {"{\"access_token\":7,\"expires_in\":3599}", false},
        {"{\"expires_in\":3599}", false},
        {"", false},
        {long_answer, false},
    };
    (void)state;
    snprintf(long_answer, sizeof long_answer, "{\"expires_in\":3599,\"access_token\":\"%0*d\"}",
             TOKEN_MAX_BYTES, 7);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct minted m;
        struct err e = {0};
        if (mint_parse(&m, MINT_ACCESS, cases[i].text, strlen(cases[i].text), &e) != cases[i].good)
            fail_msg("%.60s: %s", cases[i].text, e.text);
    }
}

static void clock_is_compared_with_the_date_of_the_answer(void **state)
{
    static struct http_reply r;
    char date[64];
    time_t there = time(NULL) - 3600;
    struct tm t;
    (void)state;
    gmtime_r(&there, &t);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &t);
    snprintf(r.headers, sizeof r.headers, "date: %s\n", date);
    assert_in_range(clock_skew_seconds(&r), 3595, 3605);
    snprintf(r.headers, sizeof r.headers, "date: yesterday\n");
    assert_int_equal(clock_skew_seconds(&r), 0);
    r.headers[0] = 0;
    assert_int_equal(clock_skew_seconds(&r), 0);
}

static void gcloud_that_does_not_answer_is_killed(void **state)
{
    static struct minted m;
    struct err e = {0};
    char folder[] = "/tmp/ferry-gcloud-XXXXXX", file[64], path[4096];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/gcloud", folder);
    FILE *f = fopen(file, "w");
    assert_true(f && fputs("#!/bin/sh\n/bin/sleep 60 & wait\n", f) >= 0 && fclose(f) == 0);
    assert_int_equal(chmod(file, 0700), 0);
    snprintf(path, sizeof path, "%s", getenv("PATH"));
    setenv("PATH", folder, 1);
    time_t before = time(NULL);
    bool there = gcloud_is_there(), ok = mint_gcloud(MINT_ACCESS, 200, &m, &e);
    setenv("PATH", path, 1);
    remove(file);
    remove(folder);
    assert_true(there);
    assert_false(ok);
    assert_non_null(strstr(e.text, "did not answer in time"));
    assert_true(time(NULL) - before < 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_cannot_be_used_are_refused_with_what_to_do),
        cmocka_unit_test(good_files_are_taken),
        cmocka_unit_test(key_that_is_not_rsa_is_refused),
        cmocka_unit_test(signature_holds_and_claims_are_googles),
        cmocka_unit_test(answers_of_token_endpoints),
        cmocka_unit_test(clock_is_compared_with_the_date_of_the_answer),
        cmocka_unit_test(gcloud_that_does_not_answer_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
