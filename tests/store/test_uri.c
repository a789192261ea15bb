#include "store/uri.h"

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

/* Relative paths mean something only in a folder whose content is known: each test runs in a fresh one that
 * holds the folder "out" and, in it, the file "here". */
struct place {
    char path[256];
    int before;
};

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    const char *tmp = getenv("TMPDIR");
    snprintf(p->path, sizeof p->path, "%.200s/ferry-uri-XXXXXX", tmp ? tmp : "/tmp");
    *state = p;
    if (!mkdtemp(p->path) || chdir(p->path) != 0 || mkdir("out", 0700) != 0)
        return -1;
    FILE *f = fopen("out/here", "w");
    return f ? fclose(f) : -1;
}

static int remove_place(void **state)
{
    struct place *p = *state;
    int rc = unlink("out/here") | rmdir("out") | chdir("/") | rmdir(p->path);
    free(p);
    return rc;
}

struct read_case {
    const char *text;
    struct uri uri;
    const char *joined; /* with "a b"; NULL: text itself when joined with nothing */
};

static void same(const char *a, const char *b)
{
    if (!a || !b)
        assert_ptr_equal(a, b);
    else
        assert_string_equal(a, b);
}

static void check_case(const struct read_case *c, struct arena *a)
{
    struct uri u;
    struct err e = {0};
    if (!uri_parse(&u, c->text, a, &e))
        fail_msg("%s: %s", c->text, e.text);
    assert_int_equal(u.scheme, c->uri.scheme);
    same(u.place, c->uri.place);
    same(u.revision, c->uri.revision);
    same(u.path, c->uri.path);
    if (u.folder != c->uri.folder)
        fail_msg("%s: folder", c->text);
    if (c->joined)
        assert_string_equal(uri_join(a, &u, "a b"), c->joined);
}

static void check_cases(const struct read_case *cases, size_t count)
{
    struct arena *a = arena_new(1 << 20);
    for (size_t i = 0; i < count; i++)
        check_case(&cases[i], a);
    arena_free(a);
}

#define CHECK(cases) check_cases(cases, sizeof(cases) / sizeof *(cases))

static void buckets_and_what_is_in_them(void **state)
{
    (void)state;
    static const struct read_case cases[] = {
        {"gs://model-bkt", {URI_GS, "model-bkt", NULL, "", true}, "gs://model-bkt/a b"},
        {"gs://model-bkt/", {URI_GS, "model-bkt", NULL, "", true}, "gs://model-bkt/a b"},
        {"gs://b.c_d/x/y", {URI_GS, "b.c_d", NULL, "x/y", false}, "gs://b.c_d/x/y/a b"},
        {"gs://bkt/x/", {URI_GS, "bkt", NULL, "x/", true}, "gs://bkt/x/a b"},
        {"gs://bkt//x", {URI_GS, "bkt", NULL, "/x", false}, "gs://bkt//x/a b"},
        {"gs://bkt/50% #1?", {URI_GS, "bkt", NULL, "50% #1?", false}, "gs://bkt/50% #1?/a b"},
        {"gs://bkt/音声/%20", {URI_GS, "bkt", NULL, "音声/%20", false}, "gs://bkt/音声/%20/a b"},
        {"gs://bkt/a/**.json", {URI_GS, "bkt", NULL, "a/**.json", false}, NULL},
        {"gs://bkt/../x", {URI_GS, "bkt", NULL, "../x", false}, NULL},
    };
    CHECK(cases);
}

static void repositories_revisions_and_paths(void **state)
{
    (void)state;
    static const struct read_case cases[] = {
        {"hf://Qwen/Qwen2-Audio-7B-Instruct",
         {URI_HF, "Qwen/Qwen2-Audio-7B-Instruct", NULL, "", true},
         "hf://Qwen/Qwen2-Audio-7B-Instruct/a b"},
        {"Qwen/Qwen2-Audio-7B-Instruct",
         {URI_HF, "Qwen/Qwen2-Audio-7B-Instruct", NULL, "", true},
         "hf://Qwen/Qwen2-Audio-7B-Instruct/a b"},
        {"Qwen/Q@v1.0", {URI_HF, "Qwen/Q", "v1.0", "", true}, "hf://Qwen/Q@v1.0/a b"},
        {"hf://o/n/", {URI_HF, "o/n", NULL, "", true}, "hf://o/n/a b"},
        {"hf://o/n@main/sub/", {URI_HF, "o/n", "main", "sub/", true}, "hf://o/n@main/sub/a b"},
        {"hf://o/n@main/sub/f@g", {URI_HF, "o/n", "main", "sub/f@g", false}, NULL},
        {"hf://o/n/f#%?", {URI_HF, "o/n", NULL, "f#%?", false}, NULL},
        {"hf://o/n@refs/pr/12/f", {URI_HF, "o/n", "refs/pr/12", "f", false}, "hf://o/n@refs/pr/12/f/a b"},
        {"o/n@refs/pr/12", {URI_HF, "o/n", "refs/pr/12", "", true}, "hf://o/n@refs/pr/12/a b"},
        {"hf://o/n@refs/convert/parquet", {URI_HF, "o/n", "refs/convert/parquet", "", true}, NULL},
        {"hf://o/n@my%2Fbranch/f", {URI_HF, "o/n", "my/branch", "f", false}, "hf://o/n@my%2Fbranch/f/a b"},
        {"hf://o/n@refs/f", {URI_HF, "o/n", "refs", "f", false}, NULL},
    };
    CHECK(cases);
}

static void paths_of_this_machine(void **state)
{
    (void)state;
    static const struct read_case cases[] = {
        {"x", {URI_LOCAL, NULL, NULL, "x", false}, "x/a b"},
        {".", {URI_LOCAL, NULL, NULL, ".", true}, "./a b"},
        {"..", {URI_LOCAL, NULL, NULL, "..", true}, "../a b"},
        {"/", {URI_LOCAL, NULL, NULL, "/", true}, "/a b"},
        {"/x/y", {URI_LOCAL, NULL, NULL, "/x/y", false}, "/x/y/a b"},
        {"./o/n", {URI_LOCAL, NULL, NULL, "./o/n", false}, "./o/n/a b"},
        {"o/n/p", {URI_LOCAL, NULL, NULL, "o/n/p", false}, NULL},
        {"o/n/", {URI_LOCAL, NULL, NULL, "o/n/", true}, "o/n/a b"},
        {"./-", {URI_LOCAL, NULL, NULL, "./-", false}, NULL},
        {"a b/c", {URI_LOCAL, NULL, NULL, "a b/c", false}, NULL},
        {"a#b", {URI_LOCAL, NULL, NULL, "a#b", false}, NULL},
        {"\xff", {URI_LOCAL, NULL, NULL, "\xff", false}, NULL},
        {"dir/..", {URI_LOCAL, NULL, NULL, "dir/..", true}, NULL},
    };
    CHECK(cases);
}

static void bare_name_that_is_here_is_a_path(void **state)
{
    (void)state;
    static const struct read_case cases[] = {
        {"out/here", {URI_LOCAL, NULL, NULL, "out/here", false}, NULL},
        {"out/new.bin", {URI_LOCAL, NULL, NULL, "out/new.bin", false}, NULL},
        {"hf://out/here", {URI_HF, "out/here", NULL, "", true}, NULL},
        {"elsewhere/new.bin", {URI_HF, "elsewhere/new.bin", NULL, "", true}, NULL},
    };
    CHECK(cases);
}

static void dash_is_stdin_or_stdout(void **state)
{
    (void)state;
    struct arena *a = arena_new(1000);
    struct uri u;
    struct err e = {0};
    assert_true(uri_parse(&u, "-", a, &e));
    assert_int_equal(u.scheme, URI_STDIO);
    assert_string_equal(u.path, "");
    assert_string_equal(uri_join(a, &u, ""), "-");
    arena_free(a);
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "an empty name; expected gs://BUCKET/PREFIX, hf://OWNER/NAME or a path"},
        {"gs://", "gs://: not a bucket's name (3 to 63 lower-case letters, digits, '-', '_', '.'); expected "
                  "gs://BUCKET/PREFIX"},
        {"gs:///x", "gs://: not a bucket's name"},
        {"gs://ab", "gs://ab: not a bucket's name"},
        {"gs://Bucket/x", "gs://Bucket: not a bucket's name"},
        {"gs://-bkt", "gs://-bkt: not a bucket's name"},
        {"gs://bkt-", "gs://bkt-: not a bucket's name"},
        {"gs://b..t", "gs://b..t: not a bucket's name"},
        {"gs://b*t/x", "gs://b*t: not a bucket's name"},
        {"gs://0123456789012345678901234567890123456789012345678901234567890123", "not a bucket's name"},
        {"gs://bkt/\xff", "gs://bkt/?: a name in Cloud Storage has to be UTF-8"},
        {"gs://bkt/a\nb", "has no line breaks"},
        {"hf://", "hf://: expected hf://OWNER/NAME[@REVISION][/PATH]"},
        {"hf://gpt2", "hf://gpt2: expected hf://OWNER/NAME"},
        {"hf://o/", "hf://o/: expected hf://OWNER/NAME"},
        {"hf://../n", "hf://../n: expected hf://OWNER/NAME"},
        {"hf://o/n.", "hf://o/n.: expected hf://OWNER/NAME"},
        {"hf://o/n--m", "hf://o/n--m: expected hf://OWNER/NAME"},
        {"hf://o/n m", "hf://o/n m: expected hf://OWNER/NAME"},
        {"hf://o/n@", "hf://o/n@: not a revision; expected a branch, a tag or a commit behind the @"},
        {"hf://o/n@/f", "hf://o/n@: not a revision"},
        {"hf://o/n@a b", "hf://o/n@a b: not a revision"},
        {"hf://o/n@a..b", "hf://o/n@a..b: not a revision"},
        {"hf://o/n/\xff", "has to be UTF-8"},
        {"s3://b/x",
         "s3://: not a place Ferry knows; expected gs://BUCKET/PREFIX, hf://OWNER/NAME or a path"},
        {"file:///x", "file://: not a place Ferry knows"},
        {"GS://bkt", "GS://: not a place Ferry knows"},
        {"https://huggingface.co/o/n/tree/main", "write hf://o/n"},
    };
    struct arena *a = arena_new(1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct uri u;
        struct err e = {0};
        if (uri_parse(&u, cases[i].text, a, &e))
            fail_msg("%s: taken", cases[i].text);
        assert_int_equal(e.kind, ERR_USAGE);
        if (!strstr(e.text, cases[i].message))
            fail_msg("%s: %s", cases[i].text, e.text);
    }
    arena_free(a);
}

static void names_may_be_as_long_as_the_place_allows(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    char gs[2000] = "gs://bkt/", path[5000] = "/";
    struct uri u;
    struct err e = {0};
    memset(gs + 9, 'x', 1024);
    assert_true(uri_parse(&u, gs, a, &e));
    assert_int_equal(strlen(u.path), 1024);
    gs[9 + 1024] = 'x';
    assert_false(uri_parse(&u, gs, a, &e));
    assert_non_null(strstr(e.text, "1025 bytes, a name in Cloud Storage has at most 1024"));
    memset(path + 1, 'x', 4094);
    assert_true(uri_parse(&u, path, a, &e));
    path[4095] = 'x';
    assert_false(uri_parse(&u, path, a, &e));
    assert_non_null(strstr(e.text, "4096 bytes, a path has at most 4095"));
    arena_free(a);
}

static void short_memory_is_an_error(void **state)
{
    (void)state;
    static const char *const texts[] = {"gs://bkt/x", "hf://o/n@r/x", "./x"};
    for (size_t i = 0; i < 3; i++)
        for (size_t room = 0; room < 5; room++) {
            struct arena *a = arena_new(room);
            struct uri u;
            struct err e = {0};
            if (!uri_parse(&u, texts[i], a, &e))
                assert_int_equal(e.kind, ERR_MEMORY);
            else
                assert_null(uri_join(a, &u, "abcdef"));
            arena_free(a);
        }
}

static void joined_uri_reads_as_what_was_meant(void **state)
{
    (void)state;
    static const struct {
        const char *base, *name, *joined;
    } cases[] = {
        {"gs://bkt", "", "gs://bkt"},     {"gs://bkt/p", "", "gs://bkt/p"},
        {"hf://o/n@r", "", "hf://o/n@r"}, {"o", "n", "./o/n"}, /* alone it would be a repository */
        {"out", "here", "out/here"},      {"out", "new", "out/new"},
    };
    struct arena *a = arena_new(1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct uri u, again;
        struct err e = {0};
        assert_true(uri_parse(&u, cases[i].base, a, &e));
        char *joined = uri_join(a, &u, cases[i].name);
        assert_string_equal(joined, cases[i].joined);
        assert_true(uri_parse(&again, joined, a, &e));
        assert_int_equal(again.scheme, u.scheme);
    }
    arena_free(a);
}

static void names_that_would_climb_out_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *why;
    } bad[] = {
        {"", "\"\": cannot be a file here: it ends in a slash"},
        {"/etc/passwd", "/etc/passwd: cannot be a file here: it begins with a slash"},
        {"..", "a part of it is \"..\""},
        {"../x", "a part of it is \"..\""},
        {"a/../../x", "a part of it is \"..\""},
        {"a/..", "a part of it is \"..\""},
        {".", "a part of it is \".\""},
        {"a/./b", "a part of it is \".\""},
        {"a//b", "two slashes in a row"},
        {"a/", "it ends in a slash"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = {0};
        assert_false(name_stays_below(bad[i].name, &e));
        assert_int_equal(e.kind, ERR_UNSUPPORTED);
        if (!strstr(e.text, bad[i].why))
            fail_msg("%s: %s", bad[i].name, e.text);
    }
    static const char *const good[] = {"a", "a/b", "...", "..a", "a..", ".hidden/x", "50% #1", "音声/a b"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(name_stays_below(good[i], NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_and_what_is_in_them),
        cmocka_unit_test(repositories_revisions_and_paths),
        cmocka_unit_test(paths_of_this_machine),
        cmocka_unit_test(bare_name_that_is_here_is_a_path),
        cmocka_unit_test(dash_is_stdin_or_stdout),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(names_may_be_as_long_as_the_place_allows),
        cmocka_unit_test(short_memory_is_an_error),
        cmocka_unit_test(joined_uri_reads_as_what_was_meant),
        cmocka_unit_test(names_that_would_climb_out_are_refused),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
