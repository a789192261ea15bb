#include "target/local/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TEXT(s) ((char *)(uintptr_t)(s))

static const char *value_of(char *const *variables, const char *name)
{
    const char *found = NULL;
    size_t n = strlen(name);
    for (; *variables; variables++) {
        if (strncmp(*variables, name, n) != 0 || (*variables)[n] != '=')
            continue;
        if (found)
            fail_msg("%s is there twice", name);
        found = *variables + n + 1;
    }
    return found;
}

static struct spec demo(void)
{
    return (struct spec){.name = "demo",
                         .model = "/models/demo",
                         .port = 8081,
                         .environment = {"FERRY_PARALLEL=3", "FERRY_KV=q8", "FERRY_MODEL=/wrong"}};
}

/* Each name once: the contract's own, then the spec's, then those of who deployed. */
static void contract_comes_before_spec_and_spec_before_process(void **state)
{
    (void)state;
    char *process[] = {TEXT("FERRY_KV=bf16"),
                       TEXT("PORT=1"),
                       TEXT("LISTEN_FDS=7"),
                       TEXT("HOME=/me"),
                       TEXT("LISTEN_PID=1"),
                       TEXT("K_SERVICE=x"),
                       TEXT("EMPTY="),
                       TEXT("A=b=c"),
                       TEXT("FERRY_PARALLEL2=9"),
                       NULL};
    struct spec s = demo();
    char **v = environment_of_server(process, &s);
    static const struct {
        const char *name, *value;
    } rows[] = {
        {"FERRY_MODEL", "/models/demo"},
        {"PORT", "8081"},
        {"K_SERVICE", "demo"},
        {"LISTEN_FDS", "1"},
        {"LISTEN_PID", ""},
        {"FERRY_PARALLEL", "3"},
        {"FERRY_KV", "q8"},
        {"HOME", "/me"},
        {"EMPTY", ""},
        {"A", "b=c"},
        {"FERRY_PARALLEL2", "9"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(value_of(v, rows[i].name), rows[i].value);
    environment_free(v);
}

static void socket_is_for_the_process_that_says_so(void **state)
{
    (void)state;
    char *none[] = {NULL}, expected[30];
    struct spec s = demo();
    char **v = environment_of_server(none, &s);
    environment_set_pid(v);
    snprintf(expected, sizeof expected, "%ld", (long)getpid());
    assert_string_equal(value_of(v, "LISTEN_PID"), expected);
    environment_free(v);
}

static void packed_variables_come_out_as_they_were(void **state)
{
    (void)state;
    char *lists[][4] = {{NULL}, {TEXT("A=1"), NULL}, {TEXT("A="), TEXT("B=x y"), TEXT("C=\xff"), NULL}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        size_t size, k = 0;
        char *bytes = environment_pack(lists[i], &size);
        char **out = environment_unpack(bytes, size);
        for (; lists[i][k]; k++)
            assert_string_equal(out[k], lists[i][k]);
        assert_null(out[k]);
        environment_free(out);
        free(bytes);
    }
}

static void bytes_that_end_in_mid_variable_are_refused(void **state)
{
    (void)state;
    assert_null(environment_unpack("A=1", 3));
    assert_null(environment_unpack("A=1\0B", 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contract_comes_before_spec_and_spec_before_process),
        cmocka_unit_test(socket_is_for_the_process_that_says_so),
        cmocka_unit_test(packed_variables_come_out_as_they_were),
        cmocka_unit_test(bytes_that_end_in_mid_variable_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
