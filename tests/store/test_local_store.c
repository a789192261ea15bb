#include "scratch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct entry stat_entry(struct scratch *s, const char *name)
{
    struct entry entry;
    struct err e = {0};
    if (!store_stat(s->local, name, s->arena, &entry, &e))
        fail_msg("%s", e.text);
    return entry;
}

static void assert_error(const struct err *e, enum err_kind kind, const char *part)
{
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("kind %d: %s; expected kind %d: …%s…", e->kind, e->text, kind, part);
}

/* --- listing --- */

static void files_come_in_byte_order_of_whole_names(void **state)
{
    struct scratch *s = *state;
    static const char *const leaves[] = {"a/y",  "a0",  "a-b", "a/x/z",   "B",
                                         "音声", "a b", "a#%", ".hidden", "a.b"};
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++)
        scratch_write(s, leaves[i], "x", 1);
    assert_string_equal(scratch_list(s, s->local, scratch_name(s, ""), STORE_DEEP),
                        ".hidden B a b a#% a-b a.b a/x/z a/y a0 音声 ");
    assert_string_equal(scratch_list(s, s->local, scratch_name(s, ""), STORE_LEVEL),
                        ".hidden B a b a#% a-b a.b a/ a0 音声 ");
}

static void prefix_need_not_end_at_a_slash(void **state)
{
    struct scratch *s = *state;
    static const char *const leaves[] = {"model-1", "model-2", "mode", "model/x", "other/model-3"};
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++)
        scratch_write(s, leaves[i], "x", 1);
    assert_string_equal(scratch_list(s, s->local, scratch_name(s, "model"), STORE_DEEP),
                        "model-1 model-2 model/x ");
    assert_string_equal(scratch_list(s, s->local, scratch_name(s, "model"), STORE_LEVEL),
                        "model-1 model-2 model/ ");
    assert_string_equal(scratch_list(s, s->local, scratch_name(s, "model-2"), STORE_DEEP), "model-2 ");
    assert_string_equal(scratch_list(s, s->local, scratch_name(s, "other/m"), STORE_DEEP), "other/model-3 ");
    assert_string_equal(scratch_list(s, s->local, scratch_name(s, "none"), STORE_DEEP), "");
}

static void links_to_files_count_and_all_else_is_passed_over(void **state)
{
    struct scratch *s = *state;
    char *file = scratch_write(s, "file", "abc", 3);
    scratch_write(s, "folder/in", "x", 1);
    assert_int_equal(symlink(file, scratch_name(s, "link")), 0);
    assert_int_equal(symlink(scratch_name(s, "folder"), scratch_name(s, "link-to-folder")), 0);
    assert_int_equal(symlink("nowhere", scratch_name(s, "dangling")), 0);
    assert_int_equal(symlink(".", scratch_name(s, "round")), 0);
    assert_int_equal(mkfifo(scratch_name(s, "fifo"), 0600), 0);
    assert_int_equal(mkdir(scratch_name(s, "empty"), 0700), 0);
    scratch_write(s, ".half.bin.ferry-part", "half", 4);
    assert_string_equal(scratch_list(s, s->local, scratch_name(s, ""), STORE_DEEP), "file folder/in link ");
    assert_string_equal(scratch_list(s, s->local, scratch_name(s, ""), STORE_LEVEL),
                        "empty/ file folder/ link ");
    assert_int_equal(stat_entry(s, scratch_name(s, "link")).size, 3);
}

static void folder_that_is_not_there_holds_nothing(void **state)
{
    struct scratch *s = *state;
    scratch_write(s, "file", "x", 1);
    assert_string_equal(scratch_list(s, s->local, scratch_name(s, "no/such/"), STORE_DEEP), "");
    assert_string_equal(scratch_list(s, s->local, scratch_name(s, "file/"), STORE_DEEP), "");
}

static void folder_that_cannot_be_read_is_an_error(void **state)
{
    struct scratch *s = *state;
    char leaf[302];
    memset(leaf, 'x', sizeof leaf - 2);
    strcpy(leaf + sizeof leaf - 2, "/");
    char *said = scratch_list(s, s->local, scratch_name(s, leaf), STORE_DEEP);
    assert_int_equal(said[0], '!');
    assert_non_null(strstr(said, "File name too long"));
    char *path = arena_alloc(s->arena, 5001, 1);
    memset(path, '/', 5000);
    assert_non_null(strstr(scratch_list(s, s->local, path, STORE_DEEP), "more than 4095 bytes"));
}

static void names_are_as_short_as_the_prefix(void **state)
{
    struct scratch *s = *state;
    char before[2000];
    scratch_write(s, "d/x", "x", 1);
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(s->path), 0);
    assert_string_equal(scratch_list(s, s->local, "", STORE_DEEP), "d/x ");
    assert_string_equal(scratch_list(s, s->local, "./", STORE_DEEP), "./d/x ");
    assert_string_equal(scratch_list(s, s->local, "d", STORE_LEVEL), "d/ ");
    assert_int_equal(chdir(before), 0);
}

static bool stop_at_second(void *arg, const struct entry *entry, struct err *e)
{
    int *seen = arg;
    (void)entry;
    return ++*seen < 2 || err_set(e, ERR_LIMIT, "enough");
}

static void listing_ends_when_its_reader_has_enough(void **state)
{
    struct scratch *s = *state;
    int seen = 0;
    struct err e = {0};
    scratch_write(s, "a/1", "x", 1);
    scratch_write(s, "a/2", "x", 1);
    scratch_write(s, "b/3", "x", 1);
    assert_false(store_list(s->local, scratch_name(s, ""), STORE_DEEP, stop_at_second, &seen, &e));
    assert_int_equal(seen, 2);
    assert_error(&e, ERR_LIMIT, "enough");
}

static void entries_say_size_and_time(void **state)
{
    struct scratch *s = *state;
    char *name = scratch_write(s, "f", "12345", 5);
    const struct timespec times[2] = {{1795391877, 0}, {1795391877, 123456789}};
    assert_int_equal(utimensat(0, name, times, 0), 0);
    struct entry entry = stat_entry(s, name);
    assert_string_equal(entry.name, name);
    assert_int_equal(entry.size, 5);
    assert_int_equal(entry.generation, 1795391877123456789);
    assert_string_equal(entry.updated, "2026-11-22T23:57:57Z");
    assert_false(entry.has_crc32c);
    assert_null(entry.sha256);
    assert_null(entry.git_blob);
}

static void what_is_no_file_has_no_entry(void **state)
{
    struct scratch *s = *state;
    struct entry entry;
    struct err e = {0};
    scratch_write(s, "file", "x", 1);
    assert_int_equal(mkfifo(scratch_name(s, "fifo"), 0600), 0);
    assert_false(store_stat(s->local, scratch_name(s, "none"), s->arena, &entry, &e));
    assert_error(&e, ERR_NOT_FOUND, "/none: No such file or directory");
    assert_false(store_stat(s->local, scratch_name(s, "file/x"), s->arena, &entry, &e));
    assert_error(&e, ERR_NOT_FOUND, "/file/x: No such file or directory");
    assert_false(store_stat(s->local, s->path, s->arena, &entry, &e));
    assert_error(&e, ERR_NOT_FOUND, ": a folder, not a file");
    assert_false(store_stat(s->local, scratch_name(s, "fifo"), s->arena, &entry, &e));
    assert_error(&e, ERR_UNSUPPORTED, ": neither a file nor a folder");
    struct arena *small = arena_new(2);
    assert_false(store_stat(s->local, scratch_name(s, "file"), small, &entry, &e));
    assert_error(&e, ERR_MEMORY, "no memory");
    arena_free(small);
}

/* --- reading --- */

static void ranges_are_read_whole(void **state)
{
    struct scratch *s = *state;
    enum { SIZE = 100000 };
    unsigned char *bytes = scratch_bytes(s, SIZE);
    struct entry entry = stat_entry(s, scratch_write(s, "f", bytes, SIZE));
    static const struct {
        size_t offset, size;
    } ranges[] = {{0, SIZE}, {0, 1}, {SIZE - 1, 1}, {4095, 4098}, {0, 0}, {SIZE, 0}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        char *into = malloc(ranges[i].size + 1);
        struct err e = {0};
        into[ranges[i].size] = 'x';
        assert_true(store_read(s->local, &entry, ranges[i].offset, ranges[i].size, into, NULL, &e));
        assert_memory_equal(into, bytes + ranges[i].offset, ranges[i].size);
        assert_int_equal(into[ranges[i].size], 'x');
        free(into);
    }
}

struct poured {
    const char *expected;
    size_t got, pieces;
};

static bool pour_and_compare(void *arg, const char *bytes, size_t size, struct err *e)
{
    struct poured *p = arg;
    if (++p->pieces > 2)
        return err_set(e, ERR_IO, "enough");
    assert_memory_equal(bytes, p->expected + p->got, size);
    p->got += size;
    return true;
}

static void long_range_comes_in_pieces(void **state)
{
    struct scratch *s = *state;
    enum { SIZE = 20 << 20 };
    struct err e = {0};
    char *bytes = (char *)scratch_bytes(s, SIZE);
    struct entry entry = stat_entry(s, scratch_write(s, "f", bytes, SIZE));
    struct poured p = {.expected = bytes + 5};
    assert_true(store_pour(s->local, &entry, 5, (8 << 20) + 1, pour_and_compare, &p, NULL, &e));
    assert_int_equal(p.got, (8 << 20) + 1);
    assert_int_equal(p.pieces, 2);
    p = (struct poured){.expected = bytes};
    assert_false(store_pour(s->local, &entry, 0, SIZE, pour_and_compare, &p, NULL, &e));
    assert_error(&e, ERR_IO, "enough");
    assert_true(store_pour(s->local, &entry, SIZE, 0, pour_and_compare, &p, NULL, &e));
}

static void range_past_the_end_is_refused(void **state)
{
    struct scratch *s = *state;
    struct entry entry = stat_entry(s, scratch_write(s, "f", "12345", 5));
    char into[10];
    struct err e = {0};
    assert_false(store_read(s->local, &entry, 4, 2, into, NULL, &e));
    assert_error(&e, ERR_USAGE, "/f: 2 bytes from 4 asked for, it has 5");
    assert_false(store_read(s->local, &entry, 6, 0, into, NULL, &e));
    assert_false(store_read(s->local, &entry, UINT64_MAX, 2, into, NULL, &e));
}

static void changed_file_is_not_read(void **state)
{
    struct scratch *s = *state;
    char *name = scratch_write(s, "f", "12345", 5), into[10];
    struct entry entry = stat_entry(s, name);
    struct err e = {0};
    scratch_write(s, "f", "123456", 6);
    assert_false(store_read(s->local, &entry, 0, 5, into, NULL, &e));
    assert_error(&e, ERR_BUSY, "/f: has changed since it was listed");
    entry = stat_entry(s, name);
    const struct timespec later[2] = {{2000000000, 0}, {2000000000, 0}};
    assert_int_equal(utimensat(0, name, later, 0), 0);
    assert_false(store_read(s->local, &entry, 0, 5, into, NULL, &e));
    assert_error(&e, ERR_BUSY, "has changed");
    assert_int_equal(unlink(name), 0);
    assert_false(store_read(s->local, &entry, 0, 5, into, NULL, &e));
    assert_error(&e, ERR_NOT_FOUND, "No such file");
    assert_int_equal(mkfifo(name, 0600), 0);
    assert_false(store_read(s->local, &entry, 0, 5, into, NULL, &e));
    assert_error(&e, ERR_UNSUPPORTED, "neither a file nor a folder");
}

static void reading_stops_when_told(void **state)
{
    struct scratch *s = *state;
    struct entry entry = stat_entry(s, scratch_write(s, "f", "12345", 5));
    static const volatile sig_atomic_t stop = 1;
    char into[10];
    struct err e = {0};
    assert_false(store_read(s->local, &entry, 0, 5, into, &stop, &e));
    assert_error(&e, ERR_CANCELLED, "interrupted");
}

/* --- deleting --- */

static void only_the_listed_file_is_deleted(void **state)
{
    struct scratch *s = *state;
    char *name = scratch_write(s, "f", "12345", 5);
    struct entry old = stat_entry(s, name);
    struct err e = {0};
    scratch_write(s, "f", "other", 6);
    assert_false(store_delete(s->local, &old, &e));
    assert_error(&e, ERR_BUSY, "has changed");
    struct entry now = stat_entry(s, name);
    assert_true(store_delete(s->local, &now, &e));
    assert_int_equal(scratch_count(s->path), 0);
    assert_false(store_delete(s->local, &now, &e));
    assert_error(&e, ERR_NOT_FOUND, "No such file");
}

/* --- small files --- */

static void check_put(struct scratch *s, const char *leaf, const void *bytes, size_t size)
{
    char *name = scratch_name(s, leaf);
    struct entry entry;
    struct err e = {0};
    size_t got;
    if (!store_put(s->local, name, bytes, size, STORAGE_ANY_GENERATION, s->arena, &entry, &e))
        fail_msg("%s", e.text);
    assert_string_equal(entry.name, name);
    assert_int_equal(entry.size, size);
    assert_int_equal(entry.generation, stat_entry(s, name).generation);
    assert_memory_equal(scratch_read(s, name, &got), bytes, size);
    assert_int_equal(got, size);
}

static void any_name_and_size_is_put(void **state)
{
    struct scratch *s = *state;
    char longest[256], deep[1025];
    memset(longest, 'n', 255);
    longest[255] = 0;
    for (size_t i = 0; i < 1024; i++)
        deep[i] = i % 200 == 199 ? '/' : 'd';
    deep[1024] = 0;
    check_put(s, "plain", "abc", 3);
    check_put(s, "empty", "", 0);
    check_put(s, "one", "x", 1);
    check_put(s, "new/folder/in/folder/f", "abc", 3);
    check_put(s, "a b #1 50%.json", "abc", 3);
    check_put(s, "日本語/音声.wav", "abc", 3);
    check_put(s, longest, "abc", 3);
    check_put(s, deep, "abc", 3);
    check_put(s, "plain", "replaced by more", 16);
    check_put(s, "plain", "less", 4);
    check_put(s, "zeros", "\0\0\0", 3);
    assert_null(strstr(scratch_list(s, s->local, scratch_name(s, ""), STORE_DEEP), "ferry-part"));
    assert_int_equal(scratch_count(scratch_name(s, "new/folder/in/folder")), 1); /* nothing beside it */
}

static void put_honours_the_umask(void **state)
{
    struct scratch *s = *state;
    struct stat st;
    mode_t before = umask(027);
    check_put(s, "f", "abc", 3);
    umask(before);
    assert_int_equal(stat(scratch_name(s, "f"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void refused(struct scratch *s, const char *leaf, int64_t if_generation, enum err_kind kind,
                    const char *why)
{
    struct err e = {0};
    assert_false(store_put(s->local, scratch_name(s, leaf), "new", 3, if_generation, s->arena, NULL, &e));
    assert_error(&e, kind, why);
}

static void put_that_cannot_be_is_refused(void **state)
{
    struct scratch *s = *state;
    size_t size;
    char *name = scratch_write(s, "f", "old", 3);
    char too_long[257];
    memset(too_long, 'n', 256);
    too_long[256] = 0;
    assert_int_equal(mkdir(scratch_name(s, "folder"), 0700), 0);
    assert_int_equal(mkfifo(scratch_name(s, "fifo"), 0600), 0);
    refused(s, "f", STORAGE_ABSENT, ERR_BUSY, "/f: is there already");
    refused(s, "folder/", STORAGE_ANY_GENERATION, ERR_USAGE, "the name of a folder, expected that of a file");
    refused(s, "folder", STORAGE_ANY_GENERATION, ERR_USAGE, "a folder of that name is there");
    refused(s, "fifo", STORAGE_ANY_GENERATION, ERR_UNSUPPORTED, "not a regular file");
    refused(s, "f/x", STORAGE_ANY_GENERATION, ERR_IO, "Not a directory");
    refused(s, too_long, STORAGE_ANY_GENERATION, ERR_IO, "File name too long");
    assert_string_equal(scratch_read(s, name, &size), "old");
    assert_int_equal(scratch_count(s->path), 3);
}

static void put_only_when_absent_appears(void **state)
{
    struct scratch *s = *state;
    struct err e = {0};
    size_t size;
    char *name = scratch_name(s, "f");
    assert_true(store_put(s->local, name, "abc", 3, STORAGE_ABSENT, s->arena, NULL, &e));
    assert_string_equal(scratch_read(s, name, &size), "abc");
}

/* Two people edit the same file: the second one's change does not go over the first one's. */
static void put_replaces_only_the_generation_that_was_seen(void **state)
{
    struct scratch *s = *state;
    const char *name = scratch_write(s, "f", "first", 5);
    struct entry first, second;
    struct err e = {0};
    size_t size;
    assert_true(store_stat(s->local, name, s->arena, &first, &e));
    assert_true(store_put(s->local, name, "second", 6, first.generation, s->arena, &second, &e));
    assert_true(second.generation > first.generation);
    assert_false(store_put(s->local, name, "third", 5, first.generation, s->arena, NULL, &e));
    assert_error(&e, ERR_BUSY, "has changed meanwhile");
    assert_string_equal(scratch_read(s, name, &size), "second");
    assert_int_equal(scratch_count(s->path), 1);
    assert_true(store_delete(s->local, &second, &e));
    assert_false(store_put(s->local, name, "third", 5, second.generation, s->arena, NULL, &e));
    assert_error(&e, ERR_BUSY, "is gone meanwhile");
    assert_int_equal(scratch_count(s->path), 0);
}

static void each_put_in_a_row_is_a_later_generation(void **state)
{
    struct scratch *s = *state;
    const char *name = scratch_write(s, "f", "0", 1);
    struct entry entry, next;
    struct err e = {0};
    assert_true(store_stat(s->local, name, s->arena, &entry, &e));
    for (int i = 0; i < 200; i++, entry = next) { /* several within one tick of the clock */
        if (!store_put(s->local, name, "x", 1, entry.generation, s->arena, &next, &e))
            fail_msg("%s", e.text);
        assert_true(next.generation > entry.generation);
    }
    assert_true(store_stat(s->local, name, s->arena, &next, &e));
    assert_int_equal(next.generation, entry.generation);
}

enum { WRITERS = 4, ROUNDS = 50 };

struct writer {
    struct store *store;
    const char *name;
    struct err problem;
};

/* Reads the number in the file and writes the next one, if the file is still the one that was read. */
static bool count_up(struct writer *w, struct arena *a)
{
    struct entry seen;
    char text[12] = "";
    w->problem.kind = ERR_NONE;
    if (!store_stat(w->store, w->name, a, &seen, &w->problem) ||
        !store_read(w->store, &seen, 0, (size_t)seen.size, text, NULL, &w->problem))
        return false;
    size_t size = (size_t)snprintf(text, sizeof text, "%d", atoi(text) + 1);
    return store_put(w->store, w->name, text, size, seen.generation, a, NULL, &w->problem);
}

static void *count_rounds(void *arg)
{
    struct writer *w = arg;
    struct arena *a = arena_new(64 << 20);
    for (int won = 0; won < ROUNDS && (w->problem.kind == ERR_NONE || w->problem.kind == ERR_BUSY);)
        won += count_up(w, a);
    arena_free(a);
    return NULL;
}

static void of_writers_at_once_no_change_is_lost(void **state)
{
    struct scratch *s = *state;
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    const char *name = scratch_write(s, "f", "0", 1);
    size_t size;
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.store = s->local, .name = name};
        assert_int_equal(pthread_create(&threads[i], NULL, count_rounds, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < WRITERS; i++)
        if (writers[i].problem.kind != ERR_NONE)
            fail_msg("%s", writers[i].problem.text);
    assert_int_equal(atoi(scratch_read(s, name, &size)), WRITERS * ROUNDS);
    assert_int_equal(scratch_count(s->path), 1);
}

static void only_a_changed_file_is_read_again(void **state)
{
    struct scratch *s = *state;
    const char *name = scratch_write(s, "f", "abc", 3);
    struct store_change c;
    struct err e = {0};
    char into[8] = "";
    assert_true(store_read_changed(s->local, name, 0, into, 5, NULL, &c, &e));
    assert_true(c.changed && c.generation > 0 && c.size == 3);
    assert_string_equal(into, "abc");
    struct store_change same;
    assert_true(store_read_changed(s->local, name, c.generation, into, 5, NULL, &same, &e));
    assert_false(same.changed);
    assert_true(
        store_put(s->local, name, "longer", 6, c.generation, s->arena, NULL, &e)); /* than there is room */
    assert_true(store_read_changed(s->local, name, c.generation, into, 5, NULL, &same, &e));
    assert_true(same.changed && same.generation > c.generation && same.size == 6);
    assert_string_equal(into, "abc");
    assert_false(store_read_changed(s->local, scratch_name(s, "none"), 0, into, 5, NULL, &c, &e));
    assert_error(&e, ERR_NOT_FOUND, "No such file");
    assert_false(store_read_changed(s->local, s->path, 0, into, 5, NULL, &c, &e));
    assert_error(&e, ERR_NOT_FOUND, "a folder, not a file");
}

static void failed_put_leaves_what_was_there(void **state)
{
    struct scratch *s = *state;
    char *name = scratch_write(s, "f", "old", 3);
    unsigned char *bytes = scratch_bytes(s, 100000);
    struct rlimit before, small;
    struct err e = {0};
    size_t size;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){1000, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool ok = store_put(s->local, name, bytes, 100000, STORAGE_ANY_GENERATION, s->arena, NULL, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_false(ok);
    assert_error(&e, ERR_IO, "/f: File too large");
    assert_string_equal(scratch_read(s, name, &size), "old");
    assert_int_equal(scratch_count(s->path), 1);
}

/* --- the stores --- */

static void place_is_opened_once(void **state)
{
    struct scratch *s = *state;
    struct err e = {0};
    const struct uri there = {.scheme = URI_LOCAL, .path = "elsewhere"};
    const struct uri bucket = {.scheme = URI_GS, .place = "bkt", .path = "x"};
    const struct uri other = {.scheme = URI_GS, .place = "bkt2", .path = "x"};
    const struct uri pipe = {.scheme = URI_STDIO, .path = ""};
    assert_ptr_equal(stores_open(s->stores, &there, &e), s->local);
    struct store *gs = stores_open(s->stores, &bucket, &e);
    assert_non_null(gs);
    assert_ptr_equal(stores_open(s->stores, &bucket, &e), gs);
    assert_ptr_not_equal(stores_open(s->stores, &other, &e), gs);
    assert_int_equal(store_scheme(gs), URI_GS);
    assert_int_equal(store_scheme(s->local), URI_LOCAL);
    assert_null(store_commit(gs));
    assert_null(stores_open(s->stores, &pipe, &e));
    assert_error(&e, ERR_USAGE, "stdin and stdout are no store");
    assert_non_null(stores_cloud(s->stores));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_come_in_byte_order_of_whole_names),
        TEST(prefix_need_not_end_at_a_slash),
        TEST(links_to_files_count_and_all_else_is_passed_over),
        TEST(folder_that_is_not_there_holds_nothing),
        TEST(folder_that_cannot_be_read_is_an_error),
        TEST(names_are_as_short_as_the_prefix),
        TEST(listing_ends_when_its_reader_has_enough),
        TEST(entries_say_size_and_time),
        TEST(what_is_no_file_has_no_entry),
        TEST(ranges_are_read_whole),
        TEST(long_range_comes_in_pieces),
        TEST(range_past_the_end_is_refused),
        TEST(changed_file_is_not_read),
        TEST(reading_stops_when_told),
        TEST(only_the_listed_file_is_deleted),
        TEST(any_name_and_size_is_put),
        TEST(put_honours_the_umask),
        TEST(put_that_cannot_be_is_refused),
        TEST(put_only_when_absent_appears),
        TEST(put_replaces_only_the_generation_that_was_seen),
        TEST(each_put_in_a_row_is_a_later_generation),
        TEST(of_writers_at_once_no_change_is_lost),
        TEST(only_a_changed_file_is_read_again),
        TEST(failed_put_leaves_what_was_there),
        TEST(place_is_opened_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
