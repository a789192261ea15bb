#include "cmd/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char folder[] = "/tmp/ferry-launch-XXXXXX";

static void make(const char *name, const char *text, mode_t mode)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(name, mode), 0);
}

/* a/tool and b/tool can be run, a/data cannot, c/ holds a folder of the name "tool". */
static int start(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || chdir(folder) != 0 || mkdir("a", 0700) || mkdir("b", 0700) || mkdir("c", 0700) ||
        mkdir("c/tool", 0700))
        return -1;
    make("a/data", "x", 0600);
    make("a/tool", "#!/bin/sh\n", 0700);
    make("b/tool", "#!/bin/sh\n", 0700);
    make("b/only", "#!/bin/sh\n", 0700);
    make("here", "#!/bin/sh\n", 0700);
    make("nothing", "\177nothing\n", 0700);
    return 0;
}

static int end(void **state)
{
    static const char *const names[] = {"a/data",  "a/tool", "b/tool", "b/only", "here",
                                        "nothing", "c/tool", "a",      "b",      "c"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove(names[i]);
    return chdir("/") | rmdir(folder);
}

static void program_is_found_as_a_shell_would(void **state)
{
    static const struct {
        const char *path, *name, *found, *problem;
    } cases[] = {
        {"a:b", "tool", "a/tool", NULL},
        {"b:a", "tool", "b/tool", NULL},
        {"c:a", "tool", "a/tool", NULL}, /* a folder of that name is none */
        {"a:b", "only", "b/only", NULL},
        {"none:b", "only", "b/only", NULL},
        {"a:", "here", "./here", NULL}, /* an empty part is this folder */
        {":a", "here", "./here", NULL},
        {"a::b", "here", "./here", NULL},
        {"a:b", "here", NULL, "here: there is no such program in PATH"},
        {"a:b", "data", NULL, "data: there is no such program in PATH"},
        {"", "none", NULL, "none: there is no such program in PATH"},
        {"a", "b/only", "b/only", NULL}, /* a path is taken as it is */
        {"a", "./here", "./here", NULL},
        {"a", "./none", NULL, "./none: No such file or directory"},
        {"a", "a/data", NULL, "a/data: may not be run; chmod +x"},
        {"a", "c/tool", NULL, "c/tool: a folder, expected a program"},
        {"a", "a/", NULL, "a/: a folder"},
        {"a", "", NULL, "the name of the program is empty"},
        {NULL, "sh", "/bin/sh", NULL},
    };
    (void)state;
    char *before = strdup(getenv("PATH"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *a = arena_new(1 << 16);
        struct err e = {0};
        cases[i].path ? setenv("PATH", cases[i].path, 1) : unsetenv("PATH");
        char *found = launch_find(cases[i].name, a, &e);
        if (!found != !cases[i].found || (found && strcmp(found, cases[i].found) != 0) ||
            (!found && !strstr(e.text, cases[i].problem)))
            fail_msg("%s in %s: %s %s", cases[i].name, cases[i].path, found ? found : "", e.text);
        arena_free(a);
    }
    setenv("PATH", before, 1);
    free(before);
}

static void mark_is_replaced_wherever_it_stands(void **state)
{
    static const struct {
        const char *word, *out;
    } cases[] = {
        {"{model}", "/m d"},
        {"--model={model}", "--model=/m d"},
        {"{model}/config.json", "/m d/config.json"},
        {"{model}:{model}{model}", "/m d:/m d/m d"},
        {"{mode}", "{mode}"},
        {"{{model}}", "{/m d}"},
        {"{model", "{model"},
        {"", ""},
    };
    (void)state;
    struct arena *a = arena_new(1 << 16);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *word = strdup(cases[i].word);
        char **out = launch_words(a, &word, 1, "{model}", "/m d");
        assert_string_equal(out[0], cases[i].out);
        assert_null(out[1]);
        free(word);
    }
    arena_free(a);
}

static void what_cannot_be_launched_says_so(void **state)
{
    struct err e = {0};
    char *const words[] = {(char[]){"x"}, NULL};
    (void)state;
    assert_false(launch("./none", words, &e));
    assert_string_equal(e.text, "./none: No such file or directory");
    assert_false(launch("./nothing", words, &e));
    assert_non_null(strstr(e.text, "./nothing: not a program; a script begins with #!"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program_is_found_as_a_shell_would),
        cmocka_unit_test(mark_is_replaced_wherever_it_stands),
        cmocka_unit_test(what_cannot_be_launched_says_so),
    };
    return cmocka_run_group_tests(tests, start, end);
}
