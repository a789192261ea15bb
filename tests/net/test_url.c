#include "net/url.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int open_arena(void **state)
{
    *state = arena_new(1 << 20);
    return *state ? 0 : -1;
}

static int close_arena(void **state)
{
    arena_free(*state);
    return 0;
}

static void names_become_one_segment_or_a_path(void **state)
{
    static const struct {
        const char *name, *segment, *path;
    } names[] = {
        {"", "", ""},
        {"model-00001.safetensors", "model-00001.safetensors", "model-00001.safetensors"},
        {"a/b", "a%2Fb", "a/b"},
        {"a b+c", "a%20b%2Bc", "a%20b%2Bc"},
        {"100%#?&=", "100%25%23%3F%26%3D", "100%25%23%3F%26%3D"},
        {"%2F", "%252F", "%252F"},
        {"~._-", "~._-", "~._-"},
        {"\xe6\x97\xa5/x", "%E6%97%A5%2Fx", "%E6%97%A5/x"},
        {"\x01\x7f\xff\n", "%01%7F%FF%0A", "%01%7F%FF%0A"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_string_equal(url_segment(*state, names[i].name), names[i].segment);
        assert_string_equal(url_path(*state, names[i].name), names[i].path);
    }
}

static void memory_that_is_short_is_told(void **state)
{
    struct arena *small = arena_new(16);
    (void)state;
    assert_non_null(small);
    assert_null(url_segment(small, "a name that takes more than sixteen bytes"));
    assert_null(url_path(small, "a name that takes more than sixteen bytes"));
    assert_null(url_bare(small, "https://a.host.with.a.long.name.example/path"));
    arena_free(small);
}

static void origin_is_scheme_host_and_unusual_port(void **state)
{
    static const struct {
        const char *url, *origin;
    } urls[] = {
        {"https://storage.googleapis.com/storage/v1/b", "https://storage.googleapis.com"},
        {"https://h", "https://h"},
        {"HTTPS://Host.Example:443/x", "https://host.example"},
        {"http://h:80?q", "http://h"},
        {"http://h:/", "http://h"},
        {"http://h:443#f", "http://h:443"},
        {"https://h:00443/", "https://h"},
        {"https://h:080/", "https://h:80"},
        {"http://[::1]:8080/x", "http://[::1]:8080"},
        {"http://[::1]/", "http://[::1]"},
        {"http://127.0.0.1:1/", "http://127.0.0.1:1"},
        {"https://h/a@b:c", "https://h"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        char origin[URL_ORIGIN_BYTES] = "";
        assert_true(url_origin(urls[i].url, origin, sizeof origin));
        assert_string_equal(origin, urls[i].origin);
    }
}

static void what_readers_of_urls_disagree_on_has_no_origin(void **state)
{
    static const char *const urls[] = {
        "",
        "h",
        "//h/",
        "http:/h",
        "http://",
        "http:///x",
        "http://:80/",
        "http://?q",
        "ftp://h/",
        "file:///etc/passwd",
        "gs://bucket/x",
        " http://h/",
        "http://a b/",
        "http://h/a b",
        "http://h/\r\nX: y",
        "http://h/\x7f",
        "http://user@h/",
        "https://good.example@evil.example/",
        "https://good.example\\@evil.example/",
        "https://good.example\\.evil.example/",
        "https://good.example%2Fevil.example/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:99999999999/",
        "http://h:-1/",
        "http://h:8 0/",
        "http://h:80x/",
        "http://h:80:80/",
        "http://[::1/",
        "http://[]/",
        "http://[::1]x/",
        "http://[[::1]/",
        "http://[fe80::1%25eth0]/",
        "http://h[::1]/",
        "http://<h>/",
    };
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        char origin[URL_ORIGIN_BYTES];
        if (url_origin(urls[i], origin, sizeof origin))
            fail_msg("%s: %s", urls[i], origin);
        assert_false(url_same_origin(urls[i], urls[i]));
    }
}

static void origin_that_does_not_fit_is_refused_not_cut(void **state)
{
    char origin[16];
    (void)state;
    assert_true(url_origin("https://fifteen/", origin, sizeof origin)); /* 15 and a NUL */
    assert_false(url_origin("https://sixteen8/", origin, sizeof origin));
}

static void same_origin_means_scheme_host_and_port(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } pairs[] = {
        {"https://huggingface.co/a", "https://HuggingFace.co:443/b?c", true},
        {"https://huggingface.co/a", "http://huggingface.co/a", false},
        {"https://huggingface.co/", "https://huggingface.co.evil.example/", false},
        {"https://huggingface.co/", "https://cdn.huggingface.co/", false},
        {"http://127.0.0.1:1/", "http://127.0.0.1:2/", false},
        {"http://h:443/", "https://h/", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_int_equal(url_same_origin(pairs[i].a, pairs[i].b), pairs[i].same);
        assert_int_equal(url_same_origin(pairs[i].b, pairs[i].a), pairs[i].same);
    }
}

static void messages_show_no_query_and_no_password(void **state)
{
    static const struct {
        const char *url, *bare;
    } urls[] = {
        {"https://h/path?X-Goog-Signature=secret", "https://h/path"},
        {"https://h/path#secret", "https://h/path"},
        {"https://h?secret", "https://h"},
        {"https://user:secret@h/p@th", "https://h/p@th"},
        {"https://user:sec@ret@h/path", "https://h/path"},
        {"https://h/path", "https://h/path"},
        {"user:secret@h/path?x", "h/path"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        assert_string_equal(url_bare(*state, urls[i].url), urls[i].bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_one_segment_or_a_path),
        cmocka_unit_test(memory_that_is_short_is_told),
        cmocka_unit_test(origin_is_scheme_host_and_unusual_port),
        cmocka_unit_test(what_readers_of_urls_disagree_on_has_no_origin),
        cmocka_unit_test(origin_that_does_not_fit_is_refused_not_cut),
        cmocka_unit_test(same_origin_means_scheme_host_and_port),
        cmocka_unit_test(messages_show_no_query_and_no_password),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
