/* Names of images, as people write them. */
#include "target/reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LONG "x0123456789012345678901234567890123456789012345678901234567890123"

static int clear_environment(void **state)
{
    (void)state;
    return unsetenv("FERRY_ENDPOINT_REGISTRY");
}

static void name_says_where_to_push(void **state)
{
    static const struct {
        const char *text, *registry, *repository, *tag, *endpoint;
        bool google;
    } cases[] = {
        {"asia-northeast1-docker.pkg.dev/p/r/ferry:0.1.0", "asia-northeast1-docker.pkg.dev", "p/r/ferry",
         "0.1.0", "https://asia-northeast1-docker.pkg.dev", true},
        {"us-docker.pkg.dev/example.com/p/r/ferry", "us-docker.pkg.dev", "example.com/p/r/ferry", "latest",
         "https://us-docker.pkg.dev", true},
        {"gcr.io/p/ferry", "gcr.io", "p/ferry", "latest", "https://gcr.io", true},
        {"eu.gcr.io/p/ferry", "eu.gcr.io", "p/ferry", "latest", "https://eu.gcr.io", true},
        {"localhost:5000/ferry", "localhost:5000", "ferry", "latest", "http://localhost:5000", false},
        {"localhost/ferry:a", "localhost", "ferry", "a", "http://localhost", false},
        {"127.0.0.1:5000/a/b:c", "127.0.0.1:5000", "a/b", "c", "http://127.0.0.1:5000", false},
        {"[::1]:5000/a", "[::1]:5000", "a", "latest", "http://[::1]:5000", false},
        {"127.example.com/a", "127.example.com", "a", "latest", "https://127.example.com", false},
        {"127.0.0.1.example.com/a", "127.0.0.1.example.com", "a", "latest", "https://127.0.0.1.example.com",
         false},
        {"localhost.example.com/a", "localhost.example.com", "a", "latest", "https://localhost.example.com",
         false},
        {"registry.example.com:8443/team/ferry", "registry.example.com:8443", "team/ferry", "latest",
         "https://registry.example.com:8443", false},
        {"someone/ferry", "docker.io", "someone/ferry", "latest", "https://registry-1.docker.io", false},
        {"docker.io/someone/ferry:1", "docker.io", "someone/ferry", "1", "https://registry-1.docker.io",
         false},
        {"index.docker.io/someone/ferry", "docker.io", "someone/ferry", "latest",
         "https://registry-1.docker.io", false},
        {"ghcr.io/some-one/a.b_c__d--e/f", "ghcr.io", "some-one/a.b_c__d--e/f", "latest", "https://ghcr.io",
         false},
        {"notgcr.io/p/ferry", "notgcr.io", "p/ferry", "latest", "https://notgcr.io", false},
        {"pkg.dev.example.com/p/ferry", "pkg.dev.example.com", "p/ferry", "latest",
         "https://pkg.dev.example.com", false},
    };
    struct arena *a = arena_new(1 << 20);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reference r;
        struct err e = {0};
        if (!reference_parse(&r, cases[i].text, a, &e))
            fail_msg("%s: %s", cases[i].text, e.text);
        assert_string_equal(r.registry, cases[i].registry);
        assert_string_equal(r.repository, cases[i].repository);
        assert_string_equal(r.tag, cases[i].tag);
        assert_string_equal(r.endpoint, cases[i].endpoint);
        assert_int_equal(r.google, cases[i].google);
    }
    arena_free(a);
}

static void name_that_cannot_be_is_explained(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "not the name of an image: expected parts of a-z"},
        {"ferry", "ferry: where to? Docker Hub's images are called USER/IMAGE, others REGISTRY/ferry"},
        {"a/b/c", "a/b/c: where to?"},
        {"https://gcr.io/p/ferry", "https://gcr.io/p/ferry: an image's name has no https:// before it"},
        {"gs://bucket/x", "an image's name has no gs:// before it"},
        {"gcr.io/p/ferry@sha256:00", "an image is pushed to a tag; its digest follows from what it is"},
        {"user:secret@host.example/x", "an image is pushed to a tag"},
        {"gcr.io/p/Ferry", "p/Ferry: an image's name is written in lower case"},
        {"gcr.io/p/", "p/: not the name of an image"},
        {"gcr.io//ferry", "/ferry: not the name of an image"},
        {"gcr.io/", "not the name of an image"},
        {"gcr.io/../ferry", "../ferry: not the name of an image"},
        {"gcr.io/a..b", "a..b: not the name of an image"},
        {"gcr.io/a___b", "a___b: not the name of an image"},
        {"gcr.io/a._b", "a._b: not the name of an image"},
        {"gcr.io/-a", "-a: not the name of an image"},
        {"gcr.io/a-", "a-: not the name of an image"},
        {"gcr.io/a b", "a b: not the name of an image"},
        {"gcr.io/a?b=c", "a?b=c: not the name of an image"},
        {"gcr.io/a:", "\"\": not a tag"},
        {"gcr.io/a:b/c", "\"b/c\": not a tag"},
        {"gcr.io/a:.b", "\".b\": not a tag"},
        {"gcr.io/a:-b", "\"-b\": not a tag"},
        {"gcr.io/a:b:c", "\"b:c\": not a tag"},
        {"gcr.io/a:" LONG LONG, "not a tag: expected up to 128"},
        {"gcr.io/" LONG LONG LONG LONG, "not the name of an image"},
        {"a.b:99999/c", "a.b:99999: not the name of a registry, HOST[:PORT]"},
        {"a.b:x/c", "a.b:x: not the name of a registry"},
        {"a%.b/c", "not the name of a registry"},
        {"us-docker.pkg.dev/p/ferry",
         "us-docker.pkg.dev/p/ferry: expected us-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE"},
    };
    struct arena *a = arena_new(1 << 20);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reference r;
        struct err e = {0};
        if (reference_parse(&r, cases[i].text, a, &e) || e.kind != ERR_USAGE ||
            !strstr(e.text, cases[i].says))
            fail_msg("\"%s\": \"%s\" does not say \"%s\"", cases[i].text, e.text, cases[i].says);
    }
    arena_free(a);
}

static void variable_replaces_the_registry_but_not_its_name(void **state)
{
    struct arena *a = arena_new(1 << 20);
    struct reference r;
    struct err e = {0};
    (void)state;
    setenv("FERRY_ENDPOINT_REGISTRY", "http://127.0.0.1:9/ignored", 1);
    assert_true(reference_parse(&r, "gcr.io/p/ferry", a, &e));
    assert_string_equal(r.endpoint, "http://127.0.0.1:9");
    assert_string_equal(r.registry, "gcr.io");
    assert_true(r.google);
    setenv("FERRY_ENDPOINT_REGISTRY", "nonsense", 1);
    assert_false(reference_parse(&r, "gcr.io/p/ferry", a, &e));
    assert_string_equal(e.text, "nonsense: not the name of a registry, HOST[:PORT]");
    unsetenv("FERRY_ENDPOINT_REGISTRY");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_says_where_to_push),
        cmocka_unit_test(name_that_cannot_be_is_explained),
        cmocka_unit_test(variable_replaces_the_registry_but_not_its_name),
    };
    return cmocka_run_group_tests(tests, clear_environment, NULL);
}
