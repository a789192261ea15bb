/* What a 401 asks for, and what docker's file of logins says. */
#include "target/registry/challenge.h"
#include "target/registry/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define N CHALLENGE_NONE
#define BASIC CHALLENGE_BASIC
#define BEARER CHALLENGE_BEARER

static void best_challenge_is_found(void **state)
{
    static const struct {
        const char *text;
        enum challenge_scheme scheme;
        const char *realm, *service;
    } cases[] = {
        {"", N, "", ""},
        {"Bearer", N, "", ""},
        {"Bearer service=\"s\"", N, "", ""},
        {"Digest realm=\"x\", nonce=\"y\"", N, "", ""},
        {"Basic", BASIC, "", ""},
        {"Basic realm=\"Registry Realm\"", BASIC, "Registry Realm", ""},
        {"Bearer "
         "realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"a:b:pull,push\"",
         BEARER, "https://auth.docker.io/token", "registry.docker.io"},
        {"bearer REALM=https://x , Service = \"s\"", BEARER, "https",
         ""}, /* without quotes a colon ends it */
        {"bearer REALM = \"https://x\" , Service = \"s\"", BEARER, "https://x", "s"},
        {"Basic realm=\"b\", Bearer realm=\"https://t\",service=\"s\"", BEARER, "https://t", "s"},
        {"Bearer realm=\"https://t\", Basic realm=\"b\"", BEARER, "https://t", ""},
        {"Negotiate abc==, Basic realm=\"b\"", BASIC, "b", ""},
        {"Basic, Bearer realm=\"https://t\"", BEARER, "https://t", ""},
        {"Bearer realm=\"a\\\"b\\\\c\"", BEARER, "a\"b\\c", ""},
        {"Bearer realm=\"no end", BEARER, "no end", ""},
        {",,, ;;; \"", N, "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct challenge c;
        challenge_parse(cases[i].text, &c);
        if (c.scheme != cases[i].scheme)
            fail_msg("%s: scheme %d", cases[i].text, c.scheme);
        if (c.scheme == N)
            continue;
        assert_string_equal(c.realm, cases[i].realm);
        assert_string_equal(c.service, cases[i].service);
    }
}

static void several_headers_are_all_heard(void **state)
{
    struct challenge c;
    (void)state;
    challenge_find("content-type: x\nwww-authenticate: Basic realm=\"b\"\nwww-authenticate: Bearer "
                   "realm=\"https://t\"\nwww-authenticate-not: Bearer realm=\"u\"\n",
                   &c);
    assert_int_equal(c.scheme, BEARER);
    assert_string_equal(c.realm, "https://t");
    challenge_find("content-type: x\n", &c);
    assert_int_equal(c.scheme, N);
}

static void value_that_does_not_fit_counts_as_not_said(void **state)
{
    char text[3000] = "Bearer realm=\"";
    struct challenge c;
    (void)state;
    memset(text + strlen(text), 'x', 2000);
    strcat(text, "\", service=\"s\"");
    challenge_parse(text, &c);
    assert_int_equal(c.scheme, N);
}

static const char docker[] = "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"aHVi\"},"
                             "\"ghcr.io\":{\"auth\":\"Z2hjcg==\"},\"empty.example\":{},"
                             "\"http://registry.example:5000/v2/\":{\"auth\":\"cmVn\"}},"
                             "\"credHelpers\":{\"helped.example\":\"pass\"}}";

static void docker_file_is_read_by_registry(void **state)
{
    static const struct {
        const char *registry, *auth, *helper;
    } cases[] = {
        {"docker.io", "aHVi", NULL},
        {"ghcr.io", "Z2hjcg==", NULL},
        {"registry.example:5000", "cmVn", NULL},
        {"registry.example", NULL, NULL},
        {"io", NULL, NULL},
        {"empty.example", NULL, NULL},
        {"helped.example", NULL, "pass"},
    };
    struct arena *a = arena_new(1 << 20);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *auth, *helper;
        struct err e = {0};
        assert_true(login_parse(docker, sizeof docker - 1, cases[i].registry, a, &auth, &helper, &e));
        assert_string_equal(auth ? auth : "none", cases[i].auth ? cases[i].auth : "none");
        assert_string_equal(helper ? helper : "none", cases[i].helper ? cases[i].helper : "none");
    }
    const char *auth, *helper;
    struct err e = {0};
    assert_true(login_parse("{\"credsStore\":\"desktop\"}", 24, "x", a, &auth, &helper, &e));
    assert_string_equal(helper, "desktop");
    assert_false(login_parse("[]", 2, "x", a, &auth, &helper, &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_false(login_parse("{\"auths\":{\"x\":{\"auth\":\"c2VjcmV0\"", 30, "x", a, &auth, &helper, &e));
    assert_null(strstr(e.text, "c2Vj"));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_challenge_is_found),
        cmocka_unit_test(several_headers_are_all_heard),
        cmocka_unit_test(value_that_does_not_fit_counts_as_not_said),
        cmocka_unit_test(docker_file_is_read_by_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
