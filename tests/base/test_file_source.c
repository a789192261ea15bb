#include "base/file_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct place {
    char folder[256];
    struct arena *arena;
};

static void write_file(const struct place *p, const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", p->folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    const char *tmp = getenv("TMPDIR");
    snprintf(p->folder, sizeof p->folder, "%.200s/ferry-source-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(p->folder) || !(p->arena = arena_new(1 << 16)))
        return -1;
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    static const char *const names[] = {"config.json", "empty"};
    struct place *p = *state;
    char path[300];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", p->folder, names[i]);
        unlink(path);
    }
    rmdir(p->folder);
    arena_free(p->arena);
    free(p);
    return 0;
}

static void file_that_is_not_there_is_no_failure_unless_it_is_needed(void **state)
{
    struct place *p = *state;
    struct file_source s = file_source_folder(p->folder);
    struct err e = {0};
    const char *bytes = "x";
    size_t size = 1;
    char expected[400];
    assert_true(s.read(&s, "config.json", 100, p->arena, &bytes, &size, &e));
    assert_null(bytes);
    assert_int_equal(size, 0);
    assert_false(file_source_need(&s, "config.json", 100, p->arena, &bytes, &size, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    snprintf(expected, sizeof expected, "%s/config.json: No such file or directory", p->folder);
    assert_string_equal(e.text, expected);
}

static void file_over_the_ceiling_is_refused(void **state)
{
    struct place *p = *state;
    struct file_source s = file_source_folder(p->folder);
    struct err e = {0};
    const char *bytes;
    size_t size;
    write_file(p, "config.json", "{\"a\": 1}");
    assert_false(s.read(&s, "config.json", 7, p->arena, &bytes, &size, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_non_null(strstr(e.text, "config.json: 8 bytes, at most 7 expected"));
}

static void whole_file_comes_with_a_nul_behind_it(void **state)
{
    struct place *p = *state;
    struct file_source s = file_source_folder(p->folder);
    struct err e = {0};
    const char *bytes;
    size_t size;
    write_file(p, "config.json", "{\"a\": 1}");
    write_file(p, "empty", "");
    assert_true(file_source_need(&s, "config.json", 8, p->arena, &bytes, &size, &e));
    assert_string_equal(bytes, "{\"a\": 1}");
    assert_int_equal(size, 8);
    assert_true(file_source_need(&s, "empty", 0, p->arena, &bytes, &size, &e));
    assert_string_equal(bytes, "");
    assert_int_equal(size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(file_that_is_not_there_is_no_failure_unless_it_is_needed, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(file_over_the_ceiling_is_refused, make_place, remove_place),
        cmocka_unit_test_setup_teardown(whole_file_comes_with_a_nul_behind_it, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
