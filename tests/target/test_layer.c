/* Layers: what tar and gzip of the system make of our archives, and that nothing but the files shows in them.
 */
#include "folder.h"
#include "target/image/layer.h"
#include "target/image/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utime.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ARENA_BYTES = 4 << 20 };

#define LONG_NAME                                                                                            \
    "a-file-with-a-name-of-exactly-one-hundred-bytes-which-is-all-that-fits-into-the-name-field-of-ustar-"
#define LONG_FOLDER                                                                                          \
    "usr/share/a-folder-with-a-path-so-long-that-it-only-fits-into-the-prefix/"                              \
    "and-one-more-that-makes-it-long"

struct fixture {
    char folder[FOLDER_PATH];
    struct arena *arena;
    struct layer layer;
    struct packed packed;
};

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    folder_make(f->folder);
    f->arena = f->layer.arena = arena_new(ARENA_BYTES);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    free(f->packed.bytes);
    layer_clear(&f->layer);
    arena_free(f->arena);
    folder_remove(f->folder);
    free(f);
    return 0;
}

static void add_text(struct fixture *f, const char *path, unsigned mode, const char *text)
{
    struct err e = {0};
    struct layer_file file = {.path = path, .mode = mode, .bytes = text, .size = strlen(text)};
    if (!layer_add(&f->layer, &file, &e))
        fail_msg("%s", e.text);
}

static void add_folder(struct fixture *f, const char *path, unsigned mode)
{
    struct err e = {0};
    assert_true(layer_add(&f->layer, &(struct layer_file){.path = path, .mode = mode, .folder = true}, &e));
}

/* Packs anew, and writes it to layer.tar.gz. */
static void pack(struct fixture *f)
{
    struct err e = {0};
    free(f->packed.bytes);
    if (!layer_pack(&f->layer, &f->packed, &e))
        fail_msg("%s", e.text);
    folder_write(folder_path(f->folder, "layer.tar.gz"), f->packed.bytes, f->packed.size);
}

static void system_lists_what_was_put_in_sorted_with_folders(void **state)
{
    struct fixture *f = *state;
    static char list[8192];
    add_text(f, "usr/lib/x", 0644, "x");
    add_text(f, "etc/group", 0644, "root:x:0:\n");
    add_folder(f, "tmp", 01777);
    add_text(f, "etc.d", 0600, "");
    add_text(f, "ferry", 0755, "program");
    pack(f);
    assert_int_equal(folder_shell(list, sizeof list,
                                  "TZ=UTC LC_ALL=C tar --numeric-owner -tvzf %s/layer.tar.gz 2>&1",
                                  f->folder),
                     0);
    assert_string_equal(list, "-rw------- 0/0               0 1970-01-01 00:00 etc.d\n"
                              "drwxr-xr-x 0/0               0 1970-01-01 00:00 etc/\n"
                              "-rw-r--r-- 0/0              10 1970-01-01 00:00 etc/group\n"
                              "-rwxr-xr-x 0/0               7 1970-01-01 00:00 ferry\n"
                              "drwxrwxrwt 0/0               0 1970-01-01 00:00 tmp/\n"
                              "drwxr-xr-x 0/0               0 1970-01-01 00:00 usr/\n"
                              "drwxr-xr-x 0/0               0 1970-01-01 00:00 usr/lib/\n"
                              "-rw-r--r-- 0/0               1 1970-01-01 00:00 usr/lib/x\n");
}

/* Sizes around a block of 512 bytes, and one of several pieces of what zlib is given. */
static void system_unpacks_every_byte(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {0, 1, 511, 512, 513, 1024, (3 << 20) + 7};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    char names[COUNT][8];
    struct err e = {0};
    for (size_t i = 0; i < COUNT; i++) {
        unsigned char *bytes = malloc(sizes[i] + 1);
        for (size_t k = 0; k < sizes[i]; k++)
            bytes[k] = (unsigned char)(k * 2654435761u >> 13);
        snprintf(names[i], sizeof names[i], "f%zu", i);
        const char *path = folder_path(f->folder, names[i]);
        folder_write(path, bytes, sizes[i]);
        free(bytes);
        char *source = arena_strndup(f->arena, path, strlen(path));
        assert_true(
            layer_add(&f->layer, &(struct layer_file){.path = names[i], .mode = 0644, .source = source}, &e));
    }
    pack(f);
    assert_int_equal(
        folder_shell(NULL, 0,
                     "cd %s && gzip -t layer.tar.gz && mkdir out && tar -xzf layer.tar.gz -C out "
                     "&& rm layer.tar.gz && for n in f*; do cmp $n out/$n || exit 9; done",
                     f->folder),
        0);
    assert_int_equal(f->layer.files[COUNT - 1].size, sizes[COUNT - 1]);
}

static void digests_are_those_that_sha256sum_says(void **state)
{
    struct fixture *f = *state;
    char packed[100], unpacked[100], size[100];
    add_text(f, "ferry", 0755, "program");
    pack(f);
    assert_int_equal(folder_shell(packed, sizeof packed, "sha256sum < %s/layer.tar.gz", f->folder), 0);
    assert_int_equal(
        folder_shell(unpacked, sizeof unpacked, "gzip -dc %s/layer.tar.gz | sha256sum", f->folder), 0);
    assert_int_equal(folder_shell(size, sizeof size, "gzip -dc %s/layer.tar.gz | wc -c", f->folder), 0);
    assert_memory_equal(packed, f->packed.sha256, 64);
    assert_memory_equal(unpacked, f->packed.unpacked_sha256, 64);
    assert_int_equal(atoi(size), f->packed.unpacked_size);
}

static void order_of_adding_and_times_of_files_do_not_show(void **state)
{
    struct fixture *f = *state;
    struct layer other = {.arena = f->arena};
    struct packed again;
    struct err e = {0};
    const char *path = folder_path(f->folder, "source");
    folder_write(path, "some bytes", 10);
    struct layer_file files[] = {{.path = "lib/b", .mode = 0644, .source = path},
                                 {.path = "lib/a", .mode = 0644, .bytes = "1", .size = 1},
                                 {.path = "tmp", .mode = 01777, .folder = true}};
    for (int i = 0; i < 3; i++)
        assert_true(layer_add(&f->layer, &files[i], &e));
    pack(f);
    assert_int_equal(utime(path, &(struct utimbuf){.modtime = 1}), 0);
    assert_int_equal(chmod(path, 0600), 0);
    for (int i = 2; i >= 0; i--)
        assert_true(layer_add(&other, &files[i], &e));
    assert_true(layer_pack(&other, &again, &e));
    assert_int_equal(again.size, f->packed.size);
    assert_memory_equal(again.bytes, f->packed.bytes, again.size);
    free(again.bytes);
    layer_clear(&other);
}

static void head_of_gzip_has_no_time_and_no_name(void **state)
{
    struct fixture *f = *state;
    static const unsigned char head[] = {0x1f, 0x8b, 8, 0 /* no flags */, 0,
                                         0,    0,    0, 0 /* middling */, 3 /* Unix */};
    pack(f);
    assert_memory_equal(f->packed.bytes, head, sizeof head);
    assert_int_equal(f->packed.unpacked_size, TAR_END); /* an empty archive */
}

static void paths_up_to_the_formats_limit_come_through(void **state)
{
    struct fixture *f = *state;
    static char list[8192];
    assert_int_equal(strlen(LONG_NAME), 100);
    add_text(f, LONG_NAME, 0644, "1");
    add_text(f, LONG_FOLDER "/" LONG_NAME, 0644, "2");
    pack(f);
    assert_int_equal(folder_shell(list, sizeof list, "tar -tzf %s/layer.tar.gz 2>&1", f->folder), 0);
    assert_non_null(strstr(list, "\n" LONG_FOLDER "/\n" LONG_FOLDER "/" LONG_NAME "\n"));
    assert_memory_equal(list, LONG_NAME "\n", 101);
}

static void what_the_format_cannot_say_is_refused(void **state)
{
    static char path[300];
    unsigned char head[TAR_BLOCK];
    struct err e = {0};
    (void)state;
    struct tar_member m = {.path = path, .mode = 0644};
    memset(path, 'x', 101); /* nowhere to split */
    assert_false(tar_head(head, &m, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_non_null(strstr(e.text, "xxx: its path is too long for a tar archive"));
    memset(path, 'x', 257); /* too long in any case */
    path[156] = '/';
    assert_false(tar_head(head, &m, &e));
    path[155] = '/', path[156] = 'x', path[255] = 0; /* 155 and 99 */
    assert_true(tar_head(head, &m, &e));
    m.folder = true; /* a slash behind: 155 and 100 */
    assert_true(tar_head(head, &m, &e));
    m = (struct tar_member){.path = "big", .size = ((uint64_t)8 << 30) - 1};
    assert_true(tar_head(head, &m, &e));
    assert_string_equal((char *)head + 124, "77777777777");
    m.size++;
    assert_false(tar_head(head, &m, &e));
    assert_string_equal(e.text, "big: 8 GiB or more, too long for a tar archive");
}

static void two_files_of_one_path_are_refused(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    add_text(f, "a/b", 0644, "");
    assert_false(layer_add(&f->layer, &(struct layer_file){.path = "a/b"}, &e));
    assert_string_equal(e.text, "/a/b is there twice");
    assert_false(layer_add(&f->layer, &(struct layer_file){.path = "a/b/c"}, &e));
    assert_string_equal(e.text, "/a/b is a file and a folder");
}

static void file_that_is_gone_is_named(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct layer_file file = {.path = "x", .mode = 0644, .source = "/nonexistent/x"};
    assert_true(layer_add(&f->layer, &file, &e));
    assert_false(layer_pack(&f->layer, &f->packed, &e));
    assert_string_equal(e.text, "/nonexistent/x: No such file or directory");
}

static void layer_over_its_ceiling_is_refused(void **state)
{
    struct err e = {0};
    unsigned char bytes[8192];
    struct packed out;
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * i * 2654435761u >> 11);
    struct packer *p = packer_new(1000, &e);
    assert_non_null(p);
    assert_false(packer_add(p, bytes, sizeof bytes, &e) && packer_end(p, &out, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.text, "a layer of more than 1000 bytes");
    packer_free(p);
}

int main(void)
{
#define WITH_FOLDER(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(system_lists_what_was_put_in_sorted_with_folders),
        WITH_FOLDER(system_unpacks_every_byte),
        WITH_FOLDER(digests_are_those_that_sha256sum_says),
        WITH_FOLDER(order_of_adding_and_times_of_files_do_not_show),
        WITH_FOLDER(head_of_gzip_has_no_time_and_no_name),
        WITH_FOLDER(paths_up_to_the_formats_limit_come_through),
        cmocka_unit_test(what_the_format_cannot_say_is_refused),
        WITH_FOLDER(two_files_of_one_path_are_refused),
        WITH_FOLDER(file_that_is_gone_is_named),
        cmocka_unit_test(layer_over_its_ceiling_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
