#include "serve/parse/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void refuses(const char *text, const char *message)
{
    unsigned char out[64];
    size_t size;
    struct err e = {0};
    assert_false(base64_decode(out, &size, text, strlen(text), &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
    if (!strstr(e.text, message))
        fail_msg("%s: \"%s\" lacks \"%s\"", text, e.text, message);
    assert_int_equal(size, 0);
}

static void what_is_not_strict_base64_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"A", "not a multiple of 4"},
        {"AAA", "not a multiple of 4"},
        {"AAAAA", "not a multiple of 4"},
        {"====", "character 0x3d at 0"},
        {"A===", "character 0x3d at 1"},
        {"AA=A", "character 0x3d at 2"},
        {"AAAA AAA", "character 0x20 at 4"},
        {"AA\nA", "character 0x0a at 2"},
        {"-_AA", "character 0x2d at 0"},
        {"AA==AAAA", "character 0x3d at 2"},
        {"AB==", "unused bits"},
        {"AAB=", "unused bits"},
        {"AAAAAAA\xff", "character 0xff at 7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuses(cases[i].text, cases[i].message);
}

/* RFC 4648 section 10. */
static void the_vectors_of_the_rfc_decode(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes;
    } cases[] = {
        {"", ""},
        {"Zg==", "f"},
        {"Zm8=", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg==", "foob"},
        {"Zm9vYmE=", "fooba"},
        {"Zm9vYmFy", "foobar"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char out[64];
        size_t size;
        struct err e = {0};
        assert_true(base64_decode(out, &size, cases[i].text, strlen(cases[i].text), &e));
        assert_int_equal(size, strlen(cases[i].bytes));
        assert_memory_equal(out, cases[i].bytes, size);
    }
}

static void every_byte_value_comes_back(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned v = 0; v < 1u << 24; v += 65537 / 16 + 1) {
        char text[4] = {digits[v >> 18], digits[v >> 12 & 63], digits[v >> 6 & 63], digits[v & 63]};
        unsigned char out[3], want[3] = {(unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v};
        size_t size;
        struct err e = {0};
        assert_true(base64_decode(out, &size, text, 4, &e));
        assert_int_equal(size, 3);
        assert_memory_equal(out, want, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_strict_base64_is_refused),
        cmocka_unit_test(the_vectors_of_the_rfc_decode),
        cmocka_unit_test(every_byte_value_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
