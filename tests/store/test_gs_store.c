#include "remote.h"

#include "base/crc32c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct entry put(struct scratch *s, const char *name, const void *bytes, size_t size)
{
    struct entry entry;
    struct err e = {0};
    if (!store_put(remote_bucket(s), name, bytes, size, STORAGE_ANY_GENERATION, s->arena, &entry, &e))
        fail_msg("%s", e.text);
    return entry;
}

/* Put, stat, listed, read and deleted under this very name. */
static void check_round(struct scratch *s, const char *name, const void *bytes, size_t size)
{
    struct store *bucket = remote_bucket(s);
    struct entry made = put(s, name, bytes, size), found;
    struct err e = {0};
    char *into = calloc(size + 1, 1);
    if (!store_stat(bucket, name, s->arena, &found, &e))
        fail_msg("%s", e.text);
    assert_string_equal(found.name, name);
    assert_int_equal(found.size, size);
    assert_int_equal(found.generation, made.generation);
    assert_true(found.has_crc32c);
    assert_int_equal(found.crc32c, crc32c(0, bytes, size));
    assert_int_equal(strlen(found.updated) >= 20, 1);
    char *expected = arena_printf(s->arena, "%s ", name);
    assert_string_equal(scratch_list(s, bucket, name, STORE_DEEP), expected);
    if (!store_read(bucket, &found, 0, size, into, NULL, &e))
        fail_msg("%s", e.text);
    assert_memory_equal(into, bytes, size);
    if (!store_delete(bucket, &found, &e))
        fail_msg("%s", e.text);
    assert_false(store_stat(bucket, name, s->arena, &found, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    free(into);
}

static void any_name_and_size_goes_and_comes_back(void **state)
{
    struct scratch *s = *state;
    char longest[1025];
    memset(longest, 'n', 1024);
    longest[1024] = 0;
    longest[300] = '/';
    static const char *const names[] = {
        "plain",           "in/a/folder", "a b",  "a#b",     "50%",   "%2F",  "a+b&c=d?e",
        "音声/日本語.wav", "/slash",      "a//b", "folder/", "\"q\"", "a\\b", "é"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_round(s, names[i], "abc", 3);
    check_round(s, longest, "abc", 3);
    check_round(s, "empty", "", 0);
    check_round(s, "one", "x", 1);
    check_round(s, "zeros", "\0\r\n--boundary", 13);
    check_round(s, "larger", scratch_bytes(s, 3000001), 3000001);
}

static void names_that_cannot_be_are_refused(void **state)
{
    struct scratch *s = *state;
    char too_long[1026];
    memset(too_long, 'n', 1025);
    too_long[1025] = 0;
    const struct {
        const char *name, *why;
    } cases[] = {{"", "takes no object of this name"},
                 {".", "takes no object of this name"},
                 {"..", "takes no object of this name"},
                 {"a\nb", "has no line breaks"},
                 {"\xff", "has to be UTF-8"},
                 {too_long, "1025 bytes, a name in Cloud Storage has at most 1024"}};
    struct store *bucket = remote_bucket(s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct upload_spec spec = {cases[i].name, 1, 1 << 20, STORAGE_ANY_GENERATION};
        struct entry entry;
        struct err e = {0};
        assert_false(store_put(bucket, cases[i].name, "x", 1, STORAGE_ANY_GENERATION, s->arena, NULL, &e));
        assert_error(&e, ERR_USAGE, cases[i].why);
        e = (struct err){0};
        assert_false(store_stat(bucket, cases[i].name, s->arena, &entry, &e));
        assert_error(&e, ERR_USAGE, cases[i].why);
        e = (struct err){0};
        assert_null(upload_begin(bucket, &spec, NULL, &e));
        assert_error(&e, ERR_USAGE, cases[i].why);
    }
    assert_non_null(strstr(scratch_list(s, bucket, too_long, STORE_DEEP), "!gs://" BUCKET "/nnn"));
}

static void one_level_tells_folders_in_byte_order(void **state)
{
    struct scratch *s = *state;
    static const char *const names[] = {"lv/a/y", "lv/a0",   "lv/a-b",  "lv/a/x/z",
                                        "lv/B",   "lv/音声", "lv/zz/1", "lw"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put(s, names[i], "x", 1);
    struct store *bucket = remote_bucket(s);
    assert_string_equal(scratch_list(s, bucket, "lv/", STORE_LEVEL),
                        "lv/B lv/a-b lv/a/ lv/a0 lv/zz/ lv/音声 ");
    assert_string_equal(scratch_list(s, bucket, "lv/", STORE_DEEP),
                        "lv/B lv/a-b lv/a/x/z lv/a/y lv/a0 lv/zz/1 lv/音声 ");
    assert_string_equal(scratch_list(s, bucket, "lv", STORE_LEVEL), "lv/ ");
    assert_string_equal(scratch_list(s, bucket, "lv/a", STORE_LEVEL), "lv/a-b lv/a/ lv/a0 ");
    assert_string_equal(scratch_list(s, bucket, "none/", STORE_LEVEL), "");
}

struct order {
    char last[1100];
    int count, folders;
};

static bool check_order(void *arg, const struct entry *entry, struct err *e)
{
    struct order *o = arg;
    (void)e;
    if (strcmp(o->last, entry->name) >= 0)
        fail_msg("%s comes after %s", entry->name, o->last);
    snprintf(o->last, sizeof o->last, "%s", entry->name);
    o->count++;
    o->folders += entry->folder;
    return true;
}

/* Each page tells its objects before its folders, so order must not depend on pages. */
static void order_holds_across_pages(void **state)
{
    struct scratch *s = *state;
    struct err e = {0};
    char name[40];
    enum { FILES = 1030 };
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, i % 50 ? "pages/%04d" : "pages/%04d/x", i);
        put(s, name, "", 0);
    }
    struct order deep = {.last = ""}, level = {.last = ""};
    assert_true(store_list(remote_bucket(s), "pages/", STORE_DEEP, check_order, &deep, &e));
    assert_int_equal(deep.count, FILES);
    assert_true(store_list(remote_bucket(s), "pages/", STORE_LEVEL, check_order, &level, &e));
    assert_int_equal(level.count, FILES);
    assert_int_equal(level.folders, (FILES + 49) / 50);
}

static bool enough(void *arg, const struct entry *entry, struct err *e)
{
    (void)entry;
    ++*(int *)arg;
    return err_set(e, ERR_LIMIT, "enough");
}

static void listing_ends_when_its_reader_has_enough(void **state)
{
    struct scratch *s = *state;
    put(s, "en/1", "x", 1);
    put(s, "en/2", "x", 1);
    for (int depth = STORE_LEVEL; depth <= STORE_DEEP; depth++) {
        int seen = 0;
        struct err e = {0};
        assert_false(store_list(remote_bucket(s), "en/", (enum store_depth)depth, enough, &seen, &e));
        assert_int_equal(seen, 1);
        assert_error(&e, ERR_LIMIT, "enough");
    }
}

static void ranges_are_of_the_listed_generation(void **state)
{
    struct scratch *s = *state;
    struct store *bucket = remote_bucket(s);
    struct entry old = put(s, "gen", "0123456789", 10);
    struct err e = {0};
    char into[20] = "";
    assert_true(store_read(bucket, &old, 3, 4, into, NULL, &e));
    assert_string_equal(into, "3456");
    assert_true(store_read(bucket, &old, 10, 0, into, NULL, &e));
    assert_false(store_read(bucket, &old, 9, 2, into, NULL, &e));
    assert_error(&e, ERR_USAGE, "gen: 2 bytes from 9 asked for, it has 10");
    struct entry now = put(s, "gen", "9876543210", 10);
    assert_false(store_read(bucket, &old, 0, 10, into, NULL, &e));
    assert_error(&e, ERR_BUSY, "gen");
    assert_false(store_delete(bucket, &old, &e));
    assert_error(&e, ERR_BUSY, "gen");
    assert_true(store_read(bucket, &now, 0, 10, into, NULL, &e));
    assert_string_equal(into, "9876543210");
}

static void preconditions_hold(void **state)
{
    struct scratch *s = *state;
    struct store *bucket = remote_bucket(s);
    struct entry first, second;
    struct err e = {0};
    assert_true(store_put(bucket, "pre", "a", 1, STORAGE_ABSENT, s->arena, &first, &e));
    assert_false(store_put(bucket, "pre", "bb", 2, STORAGE_ABSENT, s->arena, NULL, &e));
    assert_error(&e, ERR_BUSY, "pre");
    assert_true(store_put(bucket, "pre", "bb", 2, first.generation, s->arena, &second, &e));
    assert_false(store_put(bucket, "pre", "ccc", 3, first.generation, s->arena, NULL, &e));
    assert_error(&e, ERR_BUSY, "pre");
}

static void only_a_changed_object_is_read_again(void **state)
{
    struct scratch *s = *state;
    struct store *bucket = remote_bucket(s);
    struct store_change c, same;
    struct err e = {0};
    char into[8] = "";
    struct entry first = put(s, "f", "abc", 3);
    assert_true(store_read_changed(bucket, "f", 0, into, 5, NULL, &c, &e));
    assert_true(c.changed && c.generation == first.generation && c.size == 3);
    assert_string_equal(into, "abc");
    emulator_log_clear(&remote);
    assert_true(store_read_changed(bucket, "f", c.generation, into, 5, NULL, &same, &e));
    assert_false(same.changed);
    struct emulator_count asked = emulator_count(&remote, "GET", "*ifGenerationNotMatch=*", 304);
    assert_int_equal(asked.requests, 1);
    assert_int_equal(asked.sent, 0);
    struct entry second = put(s, "f", "longer", 6); /* than there is room */
    assert_true(store_read_changed(bucket, "f", c.generation, into, 5, NULL, &same, &e));
    assert_true(same.changed && same.generation == second.generation && same.size == 6);
    assert_true(store_delete(bucket, &second, &e));
    assert_false(store_read_changed(bucket, "f", 0, into, 5, NULL, &c, &e));
    assert_error(&e, ERR_NOT_FOUND, "gs://" BUCKET "/f: HTTP 404");
    assert_false(store_read_changed(bucket, "", 0, into, 5, NULL, &c, &e));
    assert_int_equal(e.kind, ERR_USAGE);
}

#define NO_GENERATION "{\"faults\":[{\"path\":\"*/o/*\",\"do\":{\"drop_headers\":[\"x-goog-generation\"]}}]}"

static void changed_object_is_whole_or_an_error(void **state)
{
    struct scratch *s = *state;
    struct store_change c;
    struct err e = {0};
    static char bytes[9000], into[sizeof bytes];
    static const struct {
        const char *fault;
        bool passes; /* within the tries there are */
    } cases[] = {{"corrupt-byte-while-reading", false},
                 {"short-body", true},
                 {"unavailable-answer", true},
                 {NO_GENERATION, false}};
    memset(bytes, 'a', sizeof bytes);
    put(s, "f", bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        emulator_faults(&remote, cases[i].fault);
        bool ok = store_read_changed(remote_bucket(s), "f", 0, into, sizeof into, NULL, &c, &e);
        if (ok != cases[i].passes)
            fail_msg("%s: %s", cases[i].fault, ok ? "was taken" : e.text);
        assert_true(!ok || (c.size == sizeof bytes && memcmp(into, bytes, sizeof bytes) == 0));
    }
}

struct poured {
    const char *expected;
    size_t got, enough; /* enough: refuses what comes behind it */
};

static bool pour_and_compare(void *arg, const char *bytes, size_t size, struct err *e)
{
    struct poured *p = arg;
    if (p->got >= p->enough)
        return err_set(e, ERR_IO, "enough");
    assert_memory_equal(bytes, p->expected + p->got, size);
    p->got += size;
    return true;
}

static void every_byte_is_poured_once_and_in_order(void **state)
{
    enum { SIZE = 3000000, FROM = 1001 };
    struct scratch *s = *state;
    struct err e = {0};
    static char bytes[SIZE];
    static const struct {
        const char *fault;
        bool passes;
    } cases[] = {
        {NULL, true},
        {"short-body", true},
        {"reset-while-reading", true},
        {"unavailable-answer", true},
        {"range-ignored", true},
        {"wrong-content-range", true},
        {"token-dies-midway", true},
        {"{\"faults\":[{\"method\":\"GET\",\"path\":\"*\",\"times\":0,\"do\":{\"ignore_range\":true}}]}",
         false}};
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * i >> 7);
    const struct entry f = put(s, "f", bytes, SIZE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct poured p = {.expected = bytes + FROM, .enough = SIZE};
        emulator_faults(&remote, cases[i].fault);
        bool ok = store_pour(remote_bucket(s), &f, FROM, SIZE - 2 * FROM, pour_and_compare, &p, NULL, &e);
        if (ok != cases[i].passes)
            fail_msg("%s: %s", cases[i].fault, ok ? "was taken" : e.text);
        assert_int_equal(p.got, ok ? SIZE - 2 * FROM : 0);
    }
    emulator_faults(&remote, NULL);
    struct poured some = {.expected = bytes, .enough = 100};
    assert_false(store_pour(remote_bucket(s), &f, 0, SIZE, pour_and_compare, &some, NULL, &e));
    assert_error(&e, ERR_IO, "enough");
    assert_true(some.got >= 100 && some.got < SIZE);
    put(s, "f", bytes, SIZE);
    assert_false(store_pour(remote_bucket(s), &f, 0, SIZE, pour_and_compare, &some, NULL, &e));
    assert_error(&e, ERR_BUSY, "changed since");
    assert_false(store_pour(remote_bucket(s), &f, SIZE, 1, pour_and_compare, &some, NULL, &e));
    assert_error(&e, ERR_USAGE, "f: 1 bytes from 3000000 asked for, it has 3000000");
}

static void missing_bucket_is_named(void **state)
{
    struct scratch *s = *state;
    struct store *none = remote_open(s, "gs://no-such-bucket");
    struct entry entry;
    struct err e = {0};
    assert_false(store_stat(none, "x", s->arena, &entry, &e));
    assert_error(&e, ERR_NOT_FOUND, "no-such-bucket");
    assert_non_null(strstr(scratch_list(s, none, "", STORE_LEVEL), "no-such-bucket"));
}

static int start(void **state)
{
    (void)state;
    return remote_start(NULL);
}

static int stop(void **state)
{
    (void)state;
    return remote_stop();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, remote_setup, remote_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_name_and_size_goes_and_comes_back),
        TEST(names_that_cannot_be_are_refused),
        TEST(one_level_tells_folders_in_byte_order),
        TEST(order_holds_across_pages),
        TEST(listing_ends_when_its_reader_has_enough),
        TEST(ranges_are_of_the_listed_generation),
        TEST(preconditions_hold),
        TEST(only_a_changed_object_is_read_again),
        TEST(changed_object_is_whole_or_an_error),
        TEST(every_byte_is_poured_once_and_in_order),
        TEST(missing_bucket_is_named),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
