#include "remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LARGE = 300000 }; /* LFS: over 100,000 bytes */

static struct scratch *hub; /* holds the hub's folder, for the whole program */

static void listing_is_that_of_one_commit(void **state)
{
    struct scratch *s = *state;
    struct store *repo = remote_open(s, "hf://Qwen/Tiny-Audio");
    assert_int_equal(store_scheme(repo), URI_HF);
    assert_int_equal(strlen(store_commit(repo)), 40);
    assert_string_equal(scratch_list(s, repo, "", STORE_DEEP),
                        "README.md a-b a/deep/x a/y a0 config.json empty model.safetensors 音声 #1.wav ");
    assert_string_equal(scratch_list(s, repo, "", STORE_LEVEL),
                        "README.md a-b a/ a0 config.json empty model.safetensors 音声 #1.wav ");
    assert_string_equal(scratch_list(s, repo, "a/", STORE_LEVEL), "a/deep/ a/y ");
    assert_string_equal(scratch_list(s, repo, "a/d", STORE_DEEP), "a/deep/x ");
    assert_string_equal(scratch_list(s, repo, "none", STORE_DEEP), "");
    struct store *pinned =
        remote_open(s, arena_printf(s->arena, "hf://Qwen/Tiny-Audio@%s", store_commit(repo)));
    assert_ptr_not_equal(pinned, repo);
    assert_string_equal(store_commit(pinned), store_commit(repo));
    assert_ptr_equal(remote_open(s, "hf://Qwen/Tiny-Audio/config.json"), repo);
}

static void entries_say_what_names_their_content(void **state)
{
    struct scratch *s = *state;
    struct store *repo = remote_open(s, "hf://Qwen/Tiny-Audio");
    struct entry entry;
    struct err e = {0};
    assert_true(store_stat(repo, "model.safetensors", s->arena, &entry, &e));
    assert_string_equal(entry.name, "model.safetensors");
    assert_int_equal(entry.size, LARGE);
    assert_int_equal(strlen(entry.sha256), 64);
    assert_null(entry.git_blob);
    assert_true(store_stat(repo, "empty", s->arena, &entry, &e));
    assert_int_equal(entry.size, 0);
    assert_string_equal(entry.git_blob, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"); /* git's, of nothing */
    assert_null(entry.sha256);
    assert_string_equal(entry.updated, "");
    assert_false(entry.has_crc32c);
    assert_false(store_stat(repo, "none", s->arena, &entry, &e));
    assert_error(&e, ERR_NOT_FOUND, "/none: no such file");
    assert_false(store_stat(repo, "a", s->arena, &entry, &e));
    assert_error(&e, ERR_NOT_FOUND, "/a: no such file");
}

static void ranges_are_read(void **state)
{
    struct scratch *s = *state;
    struct store *repo = remote_open(s, "hf://Qwen/Tiny-Audio");
    unsigned char *bytes = scratch_bytes(s, LARGE), *into = arena_alloc(s->arena, LARGE, 1);
    struct entry entry;
    struct err e = {0};
    assert_true(store_stat(repo, "model.safetensors", s->arena, &entry, &e));
    assert_true(store_read(repo, &entry, 0, LARGE, into, NULL, &e));
    assert_memory_equal(into, bytes, LARGE);
    assert_true(store_read(repo, &entry, LARGE - 7, 7, into, NULL, &e));
    assert_memory_equal(into, bytes + LARGE - 7, 7);
    assert_false(store_read(repo, &entry, LARGE - 7, 8, into, NULL, &e));
    assert_error(&e, ERR_USAGE, "it has 300000");
    assert_true(store_stat(repo, "音声 #1.wav", s->arena, &entry, &e));
    assert_true(store_read(repo, &entry, 1, 3, into, NULL, &e));
    assert_memory_equal(into, "IFF", 3);
    assert_true(store_stat(repo, "empty", s->arena, &entry, &e));
    assert_true(store_read(repo, &entry, 0, 0, into, NULL, &e));
    entry.name = "gone";
    assert_false(store_read(repo, &entry, 0, 0, into, NULL, &e));
    assert_error(&e, ERR_NOT_FOUND, "/gone: no such file");
}

static void hub_is_only_read(void **state)
{
    struct scratch *s = *state;
    struct store *repo = remote_open(s, "hf://Qwen/Tiny-Audio");
    const struct upload_spec spec = {"x", 1, 1, STORAGE_ANY_GENERATION};
    struct entry entry;
    struct err e = {0};
    assert_true(store_stat(repo, "config.json", s->arena, &entry, &e));
    assert_false(store_put(repo, "x", "x", 1, STORAGE_ANY_GENERATION, s->arena, NULL, &e));
    assert_error(&e, ERR_UNSUPPORTED, "hf://Qwen/Tiny-Audio: Ferry reads from the hub");
    e = (struct err){0};
    assert_false(store_delete(repo, &entry, &e));
    assert_error(&e, ERR_UNSUPPORTED, "hf://Qwen/Tiny-Audio: Ferry reads from the hub");
    e = (struct err){0};
    struct store_change change;
    char into[8];
    assert_false(store_read_changed(repo, "config.json", 0, into, sizeof into, NULL, &change, &e));
    assert_error(&e, ERR_UNSUPPORTED, "does not change");
    e = (struct err){0};
    assert_null(upload_begin(repo, &spec, NULL, &e));
    assert_error(&e, ERR_UNSUPPORTED, "hf://Qwen/Tiny-Audio: Ferry reads from the hub");
}

static void repository_that_cannot_be_opened_says_why(void **state)
{
    struct scratch *s = *state;
    static const struct uri none = {.scheme = URI_HF, .place = "Qwen/None", .path = ""};
    static const struct uri revision = {
        .scheme = URI_HF, .place = "Qwen/Tiny-Audio", .revision = "nope", .path = ""};
    struct err e = {0};
    assert_null(stores_open(s->stores, &none, &e));
    assert_non_null(strstr(e.text, "Qwen/None"));
    e = (struct err){0};
    assert_null(stores_open(s->stores, &revision, &e));
    assert_non_null(strstr(e.text, "nope"));
}

static int start(void **state)
{
    static const char *const names[] = {"README.md", "a-b",   "a/deep/x",    "a/y",
                                        "a0",        "empty", "config.json", "音声 #1.wav"};
    (void)state;
    void *made = NULL;
    if (scratch_setup(&made) != 0)
        return -1;
    hub = made;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        scratch_write(hub, arena_printf(hub->arena, "Qwen/Tiny-Audio/%s", names[i]), "RIFF",
                      strcmp(names[i], "empty") == 0 ? 0 : 4);
    scratch_write(hub, "Qwen/Tiny-Audio/model.safetensors", scratch_bytes(hub, LARGE), LARGE);
    return remote_start(hub->path);
}

static int stop(void **state)
{
    (void)state;
    void *made = hub;
    return remote_stop() | scratch_teardown(&made);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, remote_setup, remote_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(listing_is_that_of_one_commit),
        TEST(entries_say_what_names_their_content),
        TEST(ranges_are_read),
        TEST(hub_is_only_read),
        TEST(repository_that_cannot_be_opened_says_why),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
