/* The loader's table of libraries: this system's own, made ones, and broken ones. */
#include "folder.h"
#include "target/elf/ld_cache.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What ldconfig prints of a cache is what we find in it: each x86-64 library, the first of several first. */
static void compare_with_ldconfig(const char *file)
{
    static char list[1 << 20];
    char seen[256] = "";
    struct ld_cache c;
    struct err e = {0};
    size_t size;
    int found = 0;
    void *bytes = folder_read(file, &size);
    assert_true(ld_cache_open(&c, bytes, size, &e));
    assert_int_equal(folder_shell(list, sizeof list, "/sbin/ldconfig -C %s -p", file), 0);
    for (char *line = strtok(list, "\n"); line; line = strtok(NULL, "\n")) {
        char name[256], path[1024];
        uint32_t from = 0;
        if (strstr(line, "hwcap") || sscanf(line, " %255s (libc6,x86-64%*[^>]> %1023s", name, path) != 2 ||
            strcmp(name, seen) == 0)
            continue;
        const char *ours = ld_cache_find(&c, name, &from);
        if (!ours || strcmp(ours, path) != 0)
            fail_msg("%s: ldconfig says %s, we say %s", name, path, ours ? ours : "nothing");
        snprintf(seen, sizeof seen, "%s", name);
        found++;
    }
    assert_true(found > 10);
    free(bytes);
}

static void this_systems_cache_is_read_as_ldconfig_reads_it(void **state)
{
    (void)state;
    compare_with_ldconfig("/etc/ld.so.cache");
}

/* As systems had it whose programs might be from the last century. */
static void cache_with_the_old_table_in_front_is_read_too(void **state)
{
    char folder[FOLDER_PATH];
    (void)state;
    folder_make(folder);
    const char *file = folder_path(folder, "cache");
    assert_int_equal(folder_shell(NULL, 0, "/sbin/ldconfig -X -c compat -C %s 2>&1", file), 0);
    size_t size;
    char *bytes = folder_read(file, &size);
    assert_int_equal(memcmp(bytes, "ld.so-1.7.0", 11), 0);
    free(bytes);
    compare_with_ldconfig(file);
    folder_remove(folder);
}

/* --- made ones --- */

struct entry {
    uint32_t kind, name, path, spare;
    uint64_t cpu;
};

struct cache {
    char magic[20];
    uint32_t count, strings;
    uint32_t flags, extensions, spare[3];
    struct entry entries[4];
    char text[64];
};
_Static_assert(offsetof(struct cache, entries) == 48, "the format's");

#define TEXT_AT (uint32_t) offsetof(struct cache, text)

static const struct cache made = {
    .magic = "glibc-ld.so.cache1.1", /* fills it, no NUL */
    .count = 4,
    .entries = {{0x303, TEXT_AT, TEXT_AT + 10, 0, (uint64_t)1 << 62}, /* for newer CPUs */
                {0x803, TEXT_AT, TEXT_AT + 16, 0, 0},                 /* x32 */
                {0x303, TEXT_AT, TEXT_AT + 22, 0, 0},
                {0x303, TEXT_AT, TEXT_AT + 28, 0, 0}},
    .text = "libx.so.1\0/v3/x\0/x32x\0/one/\0/two/",
};

static void libraries_for_some_machines_only_are_passed_over(void **state)
{
    struct ld_cache c;
    uint32_t from = 0;
    (void)state;
    assert_true(ld_cache_open(&c, &made, sizeof made, NULL));
    assert_string_equal(ld_cache_find(&c, "libx.so.1", &from), "/one/");
    assert_string_equal(ld_cache_find(&c, "libx.so.1", &from), "/two/");
    assert_null(ld_cache_find(&c, "libx.so.1", &from));
    from = 0;
    assert_null(ld_cache_find(&c, "libx.so", &from));
}

static void broken_cache_is_refused_or_empty(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
        bool opens;
    } cases[] = {
        {0, 0x20202020, false},
        {16, 0x302e3120, false}, /* another version */
        {20, 7, false},          /* more entries than there is room for */
        {20, UINT32_MAX, false},
        {20, 0, true},
        {48 + 2 * 24 + 4, UINT32_MAX, true}, /* names and paths outside */
        {48 + 2 * 24 + 8, sizeof(struct cache), true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cache wrong = made;
        struct ld_cache c;
        struct err e = {0};
        uint32_t from = 0;
        memcpy((char *)&wrong + cases[i].at, &cases[i].value, sizeof cases[i].value);
        assert_int_equal(ld_cache_open(&c, &wrong, sizeof wrong, &e), cases[i].opens);
        assert_int_equal(e.kind, cases[i].opens ? ERR_NONE : ERR_CORRUPT);
        const char *path = cases[i].opens ? ld_cache_find(&c, "libx.so.1", &from) : NULL;
        assert_true(!path || strcmp(path, "/two/") == 0);
    }
    for (size_t size = 0; size < sizeof made; size++) {
        struct ld_cache c;
        uint32_t from = 0;
        void *cut = malloc(size ? size : 1);
        memcpy(cut, &made, size);
        if (ld_cache_open(&c, cut, size, NULL))
            ld_cache_find(&c, "libx.so.1", &from);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_systems_cache_is_read_as_ldconfig_reads_it),
        cmocka_unit_test(cache_with_the_old_table_in_front_is_read_too),
        cmocka_unit_test(libraries_for_some_machines_only_are_passed_over),
        cmocka_unit_test(broken_cache_is_refused_or_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
