#include "base/crc32c.h"
#include "store/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BLOB "0123456789abcdef0123456789abcdef01234567"
#define HEAD                                                                                                 \
    "{\"ferry\":\"0.1.0\",\"source\":\"hf://o/n\",\"created\":\"2026-11-23T00:00:00Z\",\"range_bytes\":4,"
#define EMPTY "\"size\":0,\"sha256\":\"" SHA "\",\"crc32c\":\"AAAAAA==\",\"ranges\":[]"

static bool parse(const char *text, struct manifest *m, struct arena *a, struct err *e)
{
    return manifest_parse(m, text, strlen(text), a, e);
}

static void what_is_printed_is_parsed(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct err e = {0};
    uint32_t ranges[3] = {crc32c(0, "1234", 4), crc32c(0, "5678", 4), crc32c(0, "9", 1)};
    struct manifest_file files[] = {
        {"z 日本#%\".bin", 9, SHA, NULL, crc32c(0, "123456789", 9), ranges, 3},
        {"a/empty", 0, SHA, BLOB, 0, NULL, 0},
    };
    struct manifest m = {.ferry = "0.1.0",
                         .source = "hf://owner/name",
                         .created = "2026-11-23T23:51:04Z",
                         .commit = BLOB,
                         .range_bytes = 4,
                         .files = files,
                         .count = 2};
    struct manifest back;
    char *text = manifest_print(&m, &e);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"crc32c\":\"4waSgw==\""));
    assert_true(parse(text, &back, a, &e));
    assert_string_equal(back.ferry, m.ferry);
    assert_string_equal(back.source, m.source);
    assert_string_equal(back.commit, m.commit);
    assert_string_equal(back.created, m.created);
    assert_int_equal(back.count, 2);
    assert_string_equal(back.files[0].name, "a/empty"); /* sorted */
    assert_string_equal(back.files[0].git_blob, BLOB);
    const struct manifest_file *f = manifest_find(&back, files[0].name);
    assert_non_null(f);
    assert_int_equal(f->size, 9);
    assert_null(f->git_blob);
    assert_memory_equal(f->ranges, ranges, sizeof ranges);
    assert_null(manifest_find(&back, "a"));
    free(text);
    m.commit = NULL;
    m.encoding = "q8_0";
    m.files[0].sha256 = NULL; /* a pack's */
    m.count = 1;
    text = manifest_print(&m, &e);
    assert_true(parse(text, &back, a, &e));
    assert_string_equal(back.encoding, "q8_0");
    assert_null(back.files[0].sha256);
    free(text);
    m.encoding = NULL;
    m.count = 0;
    text = manifest_print(&m, &e);
    assert_true(parse(text, &back, a, &e));
    assert_null(back.commit);
    assert_null(manifest_find(&back, "a"));
    free(text);
    arena_free(a);
}

static void what_is_not_a_manifest_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "expected JSON"},
        {"[]", "not an object"},
        {"{}", "ferry is missing"},
        {"{\"ferry\":1}", "ferry is something else"},
        {"{\"ferry\":\"1\",\"ferry\":\"1\"}", "duplicate"},
        {"{\"ferry\":\"1\",\"source\":\"s\",\"commit\":\"main\",\"created\":\"\",\"range_bytes\":4,\"files\":"
         "[]}",
         "commit is main, expected 40"},
        {"{\"ferry\":\"1\",\"source\":\"s\",\"created\":\"\",\"range_bytes\":0,\"files\":[]}",
         "range_bytes is 0"},
        {"{\"ferry\":\"1\",\"source\":\"s\",\"created\":\"\",\"range_bytes\":4.5,\"files\":[]}",
         "no whole number"},
        {HEAD "\"files\":{}}", "files is missing or no list"},
        {HEAD "\"files\":[7]}", "files[0]: not an object"},
        {HEAD "\"files\":[{" EMPTY "}]}", "name is missing"},
        {HEAD "\"files\":[{\"name\":\"\"," EMPTY "}]}", "leads out"},
        {HEAD "\"files\":[{\"name\":\"/etc/passwd\"," EMPTY "}]}", "leads out"},
        {HEAD "\"files\":[{\"name\":\"a/../../b\"," EMPTY "}]}", "leads out"},
        {HEAD "\"files\":[{\"name\":\"a/\"," EMPTY "}]}", "leads out"},
        {HEAD "\"files\":[{\"name\":\"./a\"," EMPTY "}]}", "leads out"},
        {HEAD "\"files\":[{\"name\":\"a\"," EMPTY "},{\"name\":\"b\"," EMPTY "},{\"name\":\"a\"," EMPTY "}]}",
         "a is there twice"},
        {HEAD "\"files\":[{\"name\":\"a\",\"size\":-1}]}", "files[0]: a: size is -1"},
        {HEAD "\"files\":[{\"name\":\"a\",\"size\":0,\"sha256\":\"abc\"}]}", "sha256 is abc, expected 64"},
        {HEAD "\"files\":[{\"name\":\"a\",\"size\":0,\"sha256\":\"" SHA "\",\"git_blob\":\"1\"}]}",
         "git_blob is 1"},
        {HEAD "\"files\":[{\"name\":\"a\",\"size\":0,\"sha256\":\"" SHA "\",\"crc32c\":\"4waSg\"}]}",
         "CRC32C"},
        {HEAD "\"files\":[{\"name\":\"a\",\"size\":0,\"sha256\":\"" SHA "\",\"crc32c\":\"AAAAAA==\"}]}",
         "ranges are 0, expected 0"},
        {HEAD "\"files\":[{\"name\":\"a\",\"size\":5,\"sha256\":\"" SHA
              "\",\"crc32c\":\"AAAAAA==\",\"ranges\":[\"AAAAAA==\"]}]}",
         "ranges are 1, expected 2"},
        {HEAD "\"files\":[{\"name\":\"a\",\"size\":4,\"sha256\":\"" SHA
              "\",\"crc32c\":\"AAAAAA==\",\"ranges\":[\"4waSgw==\"]}]}",
         "do not add up"},
        {HEAD "\"files\":[{\"name\":\"a\",\"size\":4,\"sha256\":\"" SHA
              "\",\"crc32c\":\"AAAAAA==\",\"ranges\":[4]}]}",
         "a range is no string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *a = arena_new(1 << 20);
        struct manifest m;
        struct err e = {0};
        assert_false(parse(cases[i].text, &m, a, &e));
        assert_int_equal(e.kind, ERR_CORRUPT);
        if (!strstr(e.text, cases[i].reason))
            fail_msg("case %zu: %s, expected: %s", i, e.text, cases[i].reason);
        arena_free(a);
    }
}

static void members_of_a_newer_version_are_passed_over(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct manifest m;
    struct err e = {0};
    assert_true(parse(HEAD "\"new\":\"q8_0\",\"files\":[{\"name\":\"a\",\"new\":1," EMPTY "}]}", &m, a, &e));
    assert_int_equal(m.count, 1);
    arena_free(a);
}

static void limits_are_said(void **state)
{
    (void)state;
    struct arena *small = arena_new(64), *a = arena_new(1 << 20);
    struct manifest m;
    struct err e = {0};
    assert_false(parse(HEAD "\"files\":[{\"name\":\"a\"," EMPTY "}]}", &m, small, &e));
    assert_int_equal(e.kind, ERR_MEMORY);
    char *huge = calloc(1, MANIFEST_MAX_BYTES + 1);
    assert_false(manifest_parse(&m, huge, MANIFEST_MAX_BYTES + 1, a, &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_non_null(strstr(e.text, "at most 16777216"));
    free(huge);
    struct manifest_file f = {"name \xff", 0, SHA, NULL, 0, NULL, 0};
    struct manifest bad = {
        .ferry = "1", .source = "s", .created = "", .range_bytes = 4, .files = &f, .count = 1};
    assert_null(manifest_print(&bad, &e));
    assert_non_null(strstr(e.text, "not UTF-8"));
    arena_free(small);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_parsed),
        cmocka_unit_test(what_is_not_a_manifest_is_refused_with_a_reason),
        cmocka_unit_test(members_of_a_newer_version_are_passed_over),
        cmocka_unit_test(limits_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
