#include "base/sha.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void hash(const void *bytes, size_t size, char hex[SHA256_HEX])
{
    struct sha256 s;
    sha256_start(&s);
    sha256_add(&s, bytes, size);
    sha256_end(&s, hex);
}

/* FIPS 180-4's examples. */
static void known_values(void **state)
{
    static const struct {
        const char *text, *hex;
    } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmno"
         "pqr"
         "stnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    char hex[SHA256_HEX];
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        hash(known[i].text, strlen(known[i].text), hex);
        assert_string_equal(hex, known[i].hex);
    }
}

static void a_million_letters_in_pieces_of_odd_sizes(void **state)
{
    char letters[1000], hex[SHA256_HEX];
    struct sha256 s;
    size_t left = 1000000;
    (void)state;
    memset(letters, 'a', sizeof letters);
    sha256_start(&s);
    for (size_t i = 0; left; i++) {
        size_t n = i * 37 % sizeof letters;
        n = n < left ? n : left;
        sha256_add(&s, letters, n);
        left -= n;
    }
    sha256_end(&s, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void any_split_gives_the_hash_of_the_whole(void **state)
{
    enum { SIZE = 300 };
    char bytes[SIZE], whole[SHA256_HEX], hex[SHA256_HEX];
    (void)state;
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7);
    for (size_t size = 0; size <= SIZE; size += 11) {
        hash(bytes, size, whole);
        for (size_t cut = 0; cut <= size; cut++) {
            struct sha256 s;
            sha256_start(&s);
            sha256_add(&s, bytes, cut);
            sha256_end(&s, hex); /* an end in the middle disturbs nothing */
            sha256_add(&s, bytes + cut, size - cut);
            sha256_end(&s, hex);
            assert_string_equal(hex, whole);
        }
    }
}

static void saved_state_goes_on_where_it_was(void **state)
{
    char bytes[1000], whole[SHA256_HEX], hex[SHA256_HEX], text[SHA256_STATE_TEXT];
    (void)state;
    memset(bytes, 'x', sizeof bytes);
    hash(bytes, sizeof bytes, whole);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        struct sha256 before, after;
        sha256_start(&before);
        sha256_add(&before, bytes, cut);
        assert_int_equal(sha256_save(&before, text), cut % 64 == 0);
        if (cut % 64)
            continue;
        assert_true(sha256_load(&after, text));
        assert_int_equal(after.bytes, cut);
        sha256_add(&after, bytes + cut, sizeof bytes - cut);
        sha256_end(&after, hex);
        assert_string_equal(hex, whole);
    }
}

static void saved_state_is_the_text_that_journals_hold(void **state)
{
    struct sha256 s;
    char text[SHA256_STATE_TEXT];
    (void)state;
    sha256_start(&s);
    assert_true(sha256_save(&s, text));
    assert_string_equal(text, "0:6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19");
    s.bytes = UINT64_MAX - 63;
    assert_true(sha256_save(&s, text));
    assert_true(sha256_load(&s, text));
    assert_int_equal(s.bytes, UINT64_MAX - 63);
}

#define WORDS "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19"

static void other_text_is_no_state(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        "64",
        "64:",
        ":" WORDS,
        "63:" WORDS,
        "-64:" WORDS,
        " 64:" WORDS,
        "64 :" WORDS,
        "64:" WORDS "0",
        "64:" WORDS "\n",
        "64:6A09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19",
        "64:6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd1",
        "64: a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19",
        "18446744073709551616:" WORDS, /* 2^64: a multiple of 64, but too long */
    };
    struct sha256 s = {.bytes = 5};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(sha256_load(&s, bad[i]));
    assert_int_equal(s.bytes, 5);
}

/* What `git hash-object` says. */
static void git_blob_ids_are_those_of_git(void **state)
{
    static const struct {
        const char *text, *hex;
    } known[] = {
        {"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"},
        {"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"},
        {"what is up, doc?", "bd9dbf5aae1a3862dd1526723246b20206e5fc37"},
    };
    char hex[GIT_BLOB_HEX];
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t size = strlen(known[i].text);
        for (size_t cut = 0; cut <= size; cut++) {
            struct git_blob *b = git_blob_start(size);
            assert_non_null(b);
            git_blob_add(b, known[i].text, cut);
            git_blob_add(b, known[i].text + cut, size - cut);
            git_blob_end(b, hex);
            assert_string_equal(hex, known[i].hex);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(a_million_letters_in_pieces_of_odd_sizes),
        cmocka_unit_test(any_split_gives_the_hash_of_the_whole),
        cmocka_unit_test(saved_state_goes_on_where_it_was),
        cmocka_unit_test(saved_state_is_the_text_that_journals_hold),
        cmocka_unit_test(other_text_is_no_state),
        cmocka_unit_test(git_blob_ids_are_those_of_git),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
