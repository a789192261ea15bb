/* Libraries are found where the loader of this machine finds them. */
#include "base/file.h"
#include "folder.h"
#include "target/elf/libraries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ARENA_BYTES = 32 << 20 };

static const char *const nothing[] = {NULL};

static const char *path_of(const struct libraries *l, const char *name)
{
    for (int i = 0; i < l->count; i++)
        if (strcmp(l->items[i].name, name) == 0)
            return l->items[i].path;
    return NULL;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The loader itself says what it would load (ld.so(8), --list). */
static void compare_with_loader(const char *file, const char *const *at_run_time)
{
    static char list[1 << 16];
    struct arena *a = arena_new(ARENA_BYTES);
    struct libraries ours;
    struct err e = {0};
    int theirs = 0;
    if (!libraries_find(&ours, file, at_run_time, &library_places_usual, a, &e))
        fail_msg("%s: %s", file, e.text);
    assert_int_equal(folder_shell(list, sizeof list, "/lib64/ld-linux-x86-64.so.2 --list %s 2>&1", file), 0);
    for (char *line = strtok(list, "\n"); line; line = strtok(NULL, "\n")) {
        char name[256], path[1024];
        if (sscanf(line, " %255s => %1023s", name, path) != 2)
            continue;
        const char *found = path_of(&ours, name);
        if (!found || !same_file(found, path))
            fail_msg("%s: %s: the loader takes %s, we take %s", file, name, path, found ? found : "nothing");
        theirs++;
    }
    if (path_of(&ours, "ld-linux-x86-64.so.2"))
        theirs++; /* needed by a library that clang linked: the loader does not list itself with an arrow */
    if (!*at_run_time)
        assert_int_equal(ours.count, theirs);
    assert_true(theirs > 0);
    arena_free(a);
}

static void each_program_gets_what_its_loader_would_give_it(void **state)
{
    static const char *const programs[] = {FERRY, SAMPLE "/sample_rpath", SAMPLE "/sample_runpath",
                                           SAMPLE "/chain/chain.so", "/bin/sh"};
    (void)state;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        compare_with_loader(programs[i], nothing);
}

/* What is loaded at run time comes with all that it needs itself. */
static void library_loaded_at_run_time_brings_its_own(void **state)
{
    static const char *const curl[] = {"libcurl.so.4", NULL};
    struct arena *a = arena_new(ARENA_BYTES);
    struct libraries with, alone;
    struct err e = {0};
    (void)state;
    compare_with_loader(FERRY, curl);
    assert_true(libraries_find(&with, FERRY, curl, &library_places_usual, a, &e));
    assert_true(
        libraries_find(&alone, path_of(&with, "libcurl.so.4"), nothing, &library_places_usual, a, &e));
    assert_true(alone.count > 0);
    for (int i = 0; i < alone.count; i++) /* a library names no loader, so there it is one of them */
        assert_true(path_of(&with, alone.items[i].name) ||
                    strcmp(alone.items[i].name, "ld-linux-x86-64.so.2") == 0);
    assert_string_equal(with.interpreter, "/lib64/ld-linux-x86-64.so.2");
    assert_null(path_of(&with, "ld-linux-x86-64.so.2"));
    arena_free(a);
}

/* --- what is not there --- */

static void missing_library_is_named_with_who_needs_it(void **state)
{
    static const char *const run_time[] = {"libnosuch.so.9", NULL};
    static const char *const no_folders[] = {NULL};
    const struct library_places nowhere = {"/nonexistent", no_folders};
    struct arena *a = arena_new(ARENA_BYTES);
    struct libraries l;
    struct err e = {0};
    (void)state;
    assert_false(libraries_find(&l, SAMPLE "/sample_rpath", run_time, &library_places_usual, a, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_string_equal(e.text, "libnosuch.so.9: needed by sample_rpath and not on this machine; install the "
                                "package it is in");
    assert_false(libraries_find(&l, SAMPLE "/sample_rpath", nothing, &nowhere, a, &e));
    assert_non_null(strstr(e.text, ": needed by sample_rpath and not on this machine"));
    assert_false(libraries_find(&l, "/nonexistent/ferry", nothing, &library_places_usual, a, &e));
    assert_string_equal(e.text, "/nonexistent/ferry: No such file or directory");
    arena_free(a);
}

static void library_for_another_machine_is_passed_over_and_a_broken_one_is_not(void **state)
{
    char folder[FOLDER_PATH];
    struct arena *a = arena_new(ARENA_BYTES);
    struct libraries l;
    struct err e = {0};
    size_t size;
    (void)state;
    folder_make(folder);
    const char *const run_time[] = {"deep.so", NULL}, *const folders[] = {folder, SAMPLE "/deep", NULL};
    const struct library_places places = {"/etc/ld.so.cache", folders};
    unsigned char *bytes = folder_read(SAMPLE "/deep/deep.so", &size);
    bytes[18] = 183; /* the machine: arm64 */
    folder_write(folder_path(folder, "deep.so"), bytes, size);
    assert_true(libraries_find(&l, "/bin/sh", run_time, &places, a, &e));
    assert_string_equal(path_of(&l, "deep.so"), SAMPLE "/deep/deep.so");
    folder_write(folder_path(folder, "deep.so"), bytes, 30);
    assert_false(libraries_find(&l, "/bin/sh", run_time, &places, a, &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_non_null(strstr(e.text, "/deep.so: not a sound ELF file"));
    folder_write(folder_path(folder, "cache"), "no cache", 8);
    const struct library_places odd = {folder_path(folder, "cache"), folders};
    assert_false(libraries_find(&l, "/bin/sh", run_time, &odd, a, &e));
    assert_non_null(strstr(e.text, "/cache: not a cache of ld.so"));
    free(bytes);
    folder_remove(folder);
    arena_free(a);
}

/* sample_rpath's list of folders, changed in place. */
static void folder_that_depends_on_the_loader_is_refused(void **state)
{
    char folder[FOLDER_PATH];
    struct arena *a = arena_new(ARENA_BYTES);
    struct libraries l;
    struct err e = {0};
    size_t size;
    (void)state;
    folder_make(folder);
    char *bytes = folder_read(SAMPLE "/sample_rpath", &size);
    char *list = memmem(bytes, size, "$ORIGIN/chain:relative", 22);
    assert_non_null(list);
    memcpy(list, "/usr/$LIB/ch", 12);
    const char *program = folder_path(folder, "program");
    folder_write(program, bytes, size);
    assert_false(libraries_find(&l, program, nothing, &library_places_usual, a, &e));
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    assert_string_equal(e.text, "program: looks for libraries in /usr/$LIB/chn, of which ferry knows only "
                                "$ORIGIN");
    free(bytes);
    folder_remove(folder);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_program_gets_what_its_loader_would_give_it),
        cmocka_unit_test(library_loaded_at_run_time_brings_its_own),
        cmocka_unit_test(missing_library_is_named_with_who_needs_it),
        cmocka_unit_test(library_for_another_machine_is_passed_over_and_a_broken_one_is_not),
        cmocka_unit_test(folder_that_depends_on_the_loader_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
