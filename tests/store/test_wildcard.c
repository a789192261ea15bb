#include "store/uri.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct match_case {
    const char *pattern, *name;
    bool matches;
};

static void check(const struct match_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (wildcard_match(cases[i].pattern, cases[i].name) != cases[i].matches)
            fail_msg("%s against %s", cases[i].pattern, cases[i].name);
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof *(cases))

static void plain_text_matches_itself_only(void **state)
{
    (void)state;
    static const struct match_case cases[] = {
        {"", "", true},         {"", "a", false},     {"a", "", false},       {"a/b.c", "a/b.c", true},
        {"a.b", "axb", false},  {"abc", "ab", false}, {"ab", "abc", false},   {"50% #1", "50% #1", true},
        {"音声", "音声", true}, {"音", "声", false},  {"\xff", "\xff", true},
    };
    CHECK(cases);
}

static void one_star_stays_within_a_level(void **state)
{
    (void)state;
    static const struct match_case cases[] = {
        {"*", "", true},
        {"*", "abc", true},
        {"*", "a/b", false},
        {"*.safetensors", "model-00001-of-00005.safetensors", true},
        {"*.safetensors", "deep/model.safetensors", false},
        {"a/*/c", "a/b/c", true},
        {"a/*/c", "a//c", true},
        {"a/*/c", "a/b/b/c", false},
        {"a*b*c", "axxbxxbc", true},
        {"a*b*c", "axxbxx/bc", false},
        {"*a*", "bbb", false},
        {"*x/*y", "axx/byy", true},
        {"*x/*y", "ax/x/by", false},
        {"m*l*", "model", true},
    };
    CHECK(cases);
}

static void two_stars_cross_levels(void **state)
{
    (void)state;
    static const struct match_case cases[] = {
        {"**", "", true},
        {"**", "a/b/c", true},
        {"**.json", "a/b/c.json", true},
        {"**.json", "a/b/c.jsonx", false},
        {"a/**", "a/b/c", true},
        {"a/**", "b/a/c", false},
        {"a/**/z", "a/b/c/z", true},
        {"a/**/z", "a/z", false},
        {"**b*d", "a/b/cd/bcd", true},
        {"**b*d", "a/b/cd/b/d", false},
        {"****", "a/b", true},
        {"**a*", "b/b/ca", true},
        {"**/*.bin", "x/y/w.bin", true},
        {"a**b**c", "a/bb/cc/bc/", false},
    };
    CHECK(cases);
}

static void question_mark_is_one_character(void **state)
{
    (void)state;
    static const struct match_case cases[] = {
        {"?", "a", true},      {"?", "", false},    {"?", "/", false},    {"?", "ab", false},
        {"?声", "音声", true}, {"?", "\xff", true}, {"a?c", "abc", true}, {"a?c", "a/c", false},
    };
    CHECK(cases);
}

static void classes(void **state)
{
    (void)state;
    static const struct match_case cases[] = {
        {"[a-c]x", "bx", true},  {"[a-c]x", "dx", false},     {"[!a-c]x", "dx", true},
        {"[^a-c]x", "dx", true}, {"[!a-c]x", "bx", false},    {"[!a]", "/", false},
        {"[/]", "/", false},     {"[]a]", "]", true},         {"[]a]", "a", true},
        {"[!]]", "]", false},    {"[!]]", "a", true},         {"[a-]", "-", true},
        {"[*]", "*", true},      {"[*]", "a", false},         {"[?]", "?", true},
        {"[あ-ん]", "か", true}, {"[あ-ん]", "カ", false},    {"[", "[", true},
        {"[a", "[a", true},      {"[a", "a", false},          {"[]", "[]", true},
        {"[!]", "[!]", true},    {"*[0-9]", "model-7", true}, {"*[0-9]", "model-x", false},
        {"[z-a]", "m", false},   {"**[ab]", "x/y/b", true},   {"[ab][cd]", "bd", true},
    };
    CHECK(cases);
}

/* A million steps at most, where naive recursion would take longer than the universe is old. */
static void hostile_patterns_end_soon(void **state)
{
    (void)state;
    char name[1025], pattern[1025];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = 0;
    for (size_t i = 0; i + 1 < sizeof pattern; i++)
        pattern[i] = i % 2 ? 'a' : '*';
    pattern[sizeof pattern - 2] = 'b';
    pattern[sizeof pattern - 1] = 0;
    assert_false(wildcard_match(pattern, name));
    for (size_t i = 0; i + 3 < sizeof pattern; i += 3)
        memcpy(pattern + i, "**a", 3);
    assert_false(wildcard_match(pattern, name));
}

static void wildcards_are_seen(void **state)
{
    (void)state;
    assert_true(wildcard_in("a*"));
    assert_true(wildcard_in("a?b"));
    assert_true(wildcard_in("[x"));
    assert_false(wildcard_in("gs://b/a#b%c"));
    assert_false(wildcard_in(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_matches_itself_only),
        cmocka_unit_test(one_star_stays_within_a_level),
        cmocka_unit_test(two_stars_cross_levels),
        cmocka_unit_test(question_mark_is_one_character),
        cmocka_unit_test(classes),
        cmocka_unit_test(hostile_patterns_end_soon),
        cmocka_unit_test(wildcards_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
