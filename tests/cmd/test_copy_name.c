#include "cmd/copy_name.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ARENA = 1 << 20 };

static const struct {
    struct copy_target target;
    struct copied what;
    const char *name;
} names[] = {
    /* one file */
    {{"", true}, {"a.bin", ""}, "a.bin"},
    {{"models/", true}, {"a.bin", ""}, "models/a.bin"},
    {{"models", true}, {"a.bin", ""}, "models/a.bin"},
    {{"models/b.bin", false}, {"a.bin", ""}, "models/b.bin"},
    {{"models", false}, {"a.bin", ""}, "models"},
    /* a folder into one that exists keeps its name */
    {{"models", true}, {"qwen", "x/a.bin"}, "models/qwen/x/a.bin"},
    {{"", true}, {"qwen", "a.bin"}, "qwen/a.bin"},
    {{"/", true}, {"qwen", "a.bin"}, "/qwen/a.bin"},
    /* and becomes one that does not */
    {{"models", false}, {"qwen", "x/a.bin"}, "models/x/a.bin"},
    /* contents of "." have nothing to lie under */
    {{"models", true}, {"", "x/a.bin"}, "models/x/a.bin"},
    {{"models/", true}, {"", "a.bin"}, "models/a.bin"},
    {{"", true}, {"", "a.bin"}, "a.bin"},
    /* names are taken as they are */
    {{"m", true}, {"音声 #1 100%.wav", ""}, "m/音声 #1 100%.wav"},
};

static void target_name_follows_the_rules_of_cp(void **state)
{
    struct arena *a = arena_new(ARENA);
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_string_equal(copy_name(a, &names[i].target, &names[i].what), names[i].name);
    arena_free(a);
}

static void last_name_is_what_stands_behind_the_last_slash(void **state)
{
    static const struct {
        const char *path, *last;
    } cases[] = {
        {"a/b", "b"}, {"a/b/", "b"},    {"a//", "a"},    {"a", "a"},  {"", ""},       {"/", ""},
        {".", ""},    {"..", ""},       {"a/..", ""},    {"./", ""},  {"...", "..."}, {".a", ".a"},
        {"a/.", ""},  {"a/b c", "b c"}, {"音/声", "声"}, {"///", ""},
    };
    struct arena *a = arena_new(ARENA);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(last_name(a, cases[i].path), cases[i].last);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(target_name_follows_the_rules_of_cp),
        cmocka_unit_test(last_name_is_what_stands_behind_the_last_slash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
