#include "cloud/gcloud_config.h"

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

/* A gcloud folder of the test's own. */
struct fixture {
    struct arena *arena;
    char folder[64];
};

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static int set_up(void **state)
{
    static const char *const gone[] = {"CLOUDSDK_CORE_PROJECT", "CLOUDSDK_RUN_REGION", "GOOGLE_CLOUD_PROJECT",
                                       "GCLOUD_PROJECT", "CLOUDSDK_ACTIVE_CONFIG_NAME"};
    struct fixture *f = calloc(1, sizeof *f);
    char path[100];
    if (!f || !(f->arena = arena_new(1 << 20)))
        return -1;
    strcpy(f->folder, "/tmp/ferry-gcloud-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    snprintf(path, sizeof path, "%s/configurations", f->folder);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        unsetenv(gone[i]);
    setenv("CLOUDSDK_CONFIG", f->folder, 1);
    *state = f;
    return mkdir(path, 0700);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"configurations/config_default", "configurations/config_work",
                                        "active_config", "configurations", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", f->folder, names[i]);
        remove(path);
    }
    arena_free(f->arena);
    free(f);
    return 0;
}

static void values_of_the_active_configuration_are_found(void **state)
{
    struct fixture *f = *state;
    struct gcloud_config c;
    struct err e = {0};
    const char *source = NULL;
    write_file(f, "active_config", "work\n");
    write_file(f, "configurations/config_default", "[core]\nproject = wrong\n");
    write_file(
        f, "configurations/config_work",
        "# mine\n[core]\nproject = demo-proj\n\n; old\n[run]\nregion: asia-northeast1\r\n[core]\nempty =\n");
    assert_true(gcloud_config_read(&c, f->arena, &e));
    assert_string_equal(c.active, "work");
    assert_string_equal(gcloud_project(&c, &source), "demo-proj");
    assert_non_null(strstr(source, "/configurations/config_work"));
    assert_string_equal(gcloud_property(&c, "run", "region", NULL), "asia-northeast1");
    assert_null(gcloud_property(&c, "core", "empty", NULL));
    assert_null(gcloud_property(&c, "core", "region", NULL));
}

static void environment_wins_and_is_named(void **state)
{
    struct fixture *f = *state;
    struct gcloud_config c;
    struct err e = {0};
    const char *source = NULL;
    write_file(f, "configurations/config_default",
               "[core]\nproject = of-the-file\n[run]\nregion = us-west1\n");
    setenv("CLOUDSDK_RUN_REGION", "europe-west1", 1);
    setenv("GCLOUD_PROJECT", "third", 1);
    assert_true(gcloud_config_read(&c, f->arena, &e));
    assert_string_equal(gcloud_property(&c, "run", "region", &source), "europe-west1");
    assert_string_equal(source, "CLOUDSDK_RUN_REGION");
    assert_string_equal(gcloud_project(&c, &source), "third");
    assert_string_equal(source, "GCLOUD_PROJECT");
    setenv("GOOGLE_CLOUD_PROJECT", "second", 1);
    assert_string_equal(gcloud_project(&c, NULL), "second");
    setenv("CLOUDSDK_CORE_PROJECT", "first", 1);
    assert_string_equal(gcloud_project(&c, &source), "first");
    assert_string_equal(source, "CLOUDSDK_CORE_PROJECT");
}

static void empty_variable_counts_as_unset(void **state)
{
    struct fixture *f = *state;
    struct gcloud_config c;
    struct err e = {0};
    write_file(f, "configurations/config_default", "[core]\nproject = demo-proj\n");
    setenv("CLOUDSDK_CORE_PROJECT", "", 1);
    setenv("CLOUDSDK_ACTIVE_CONFIG_NAME", "", 1);
    assert_true(gcloud_config_read(&c, f->arena, &e));
    assert_string_equal(gcloud_project(&c, NULL), "demo-proj");
}

static void missing_folder_is_an_empty_configuration(void **state)
{
    struct fixture *f = *state;
    struct gcloud_config c;
    struct err e = {0};
    setenv("CLOUDSDK_CONFIG", "/nonexistent/gcloud", 1);
    assert_true(gcloud_config_read(&c, f->arena, &e));
    assert_int_equal(c.count, 0);
    assert_null(gcloud_project(&c, NULL));
    assert_string_equal(c.active, "default");
}

static void broken_file_is_named(void **state)
{
    struct fixture *f = *state;
    struct gcloud_config c;
    struct err e = {0};
    write_file(f, "configurations/config_default", "[core]\nproject\n");
    assert_false(gcloud_config_read(&c, f->arena, &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_non_null(
        strstr(e.text, "configurations/config_default: line 2: expected [section] or name = value"));
}

static void name_of_a_configuration_cannot_leave_the_folder(void **state)
{
    struct fixture *f = *state;
    struct gcloud_config c;
    struct err e = {0};
    setenv("CLOUDSDK_ACTIVE_CONFIG_NAME", "../../etc/passwd", 1);
    assert_false(gcloud_config_read(&c, f->arena, &e));
    assert_non_null(strstr(e.text, "impossible name"));
}

static void what_is_no_ini_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text;
        size_t size; /* 0: strlen */
        const char *says;
    } cases[] = {
        {"project = early\n", 0, "line 1: a property before any [section]"},
        {"[core\n", 0, "line 1: a section without its ]"},
        {"[]\n", 0, "line 1: a section without its ]"},
        {"[ ]\n", 0, "line 1: a section without a name"},
        {"[core]\n= nothing\n", 0, "line 2: expected"},
        {"[core]\nproject = a\0b\n", 21, "a NUL byte"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gcloud_config c = {.count = 0};
        struct err e = {0};
        size_t size = cases[i].size ? cases[i].size : strlen(cases[i].text);
        assert_false(gcloud_config_parse(&c, cases[i].text, size, f->arena, &e));
        assert_non_null(strstr(e.text, cases[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_of_the_active_configuration_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(environment_wins_and_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_variable_counts_as_unset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(missing_folder_is_an_empty_configuration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_file_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(name_of_a_configuration_cannot_leave_the_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_ini_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
