#include "base/err.h"

#include "base/utf8.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void set_states_the_fact_and_is_false(void **state)
{
    struct err e = {0};
    (void)state;
    assert_false(err_set(&e, ERR_CORRUPT, "tensor %s: %d bytes", "x", 3));
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_string_equal(e.text, "tensor x: 3 bytes");
}

static void wrap_says_where_and_keeps_the_kind(void **state)
{
    struct err e = {0};
    (void)state;
    err_set(&e, ERR_LIMIT, "too long");
    assert_false(err_wrap(&e, "part %d", 12));
    assert_false(err_wrap(&e, "model.safetensors"));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_string_equal(e.text, "model.safetensors: part 12: too long");
}

static void errno_decides_the_kind(void **state)
{
    static const struct {
        int number;
        enum err_kind kind;
    } cases[] = {{ENOENT, ERR_NOT_FOUND}, {ENOMEM, ERR_MEMORY}, {EACCES, ERR_IO}, {EIO, ERR_IO}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        errno = cases[i].number;
        assert_false(err_errno(&e, "open %s", "f"));
        assert_int_equal(e.kind, cases[i].kind);
        assert_int_equal(strncmp(e.text, "open f: ", 8), 0);
        assert_string_equal(e.text + 8, strerror(cases[i].number));
    }
}

static void null_is_fine(void **state)
{
    (void)state;
    errno = EIO;
    assert_false(err_set(NULL, ERR_IO, "x"));
    assert_false(err_wrap(NULL, "x"));
    assert_false(err_errno(NULL, "x"));
}

static void assert_cut_and_valid(const struct err *e)
{
    size_t n = strlen(e->text);
    assert_in_range(n, sizeof e->text - 8, sizeof e->text - 1);
    assert_string_equal(e->text + n - 3, "...");
    for (size_t i = 0; i < n; i += (size_t)utf8_length(e->text + i))
        assert_int_not_equal(utf8_length(e->text + i), 0);
}

/* Every phase of a four-byte character against the end of the buffer. */
static void long_text_is_cut_between_characters(void **state)
{
    char text[2001];
    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 4 < sizeof text; i += 4)
            memcpy(text + i, "\xf0\x9f\x9a\xa2", 5);
        struct err e = {0};
        err_set(&e, ERR_CORRUPT, "%s", text);
        assert_cut_and_valid(&e);
        err_wrap(&e, "where");
        assert_cut_and_valid(&e);
        err_wrap(&e, "%s", text);
        assert_cut_and_valid(&e);
        errno = EIO;
        err_errno(&e, "%s", text);
        assert_cut_and_valid(&e);
    }
}

static void text_that_just_fits_is_whole(void **state)
{
    struct err e = {0};
    char text[sizeof e.text];
    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    err_set(&e, ERR_IO, "%s", text);
    assert_string_equal(e.text, text);
}

static void foreign_bytes_leave_one_line_of_utf8(void **state)
{
    struct err e = {0};
    (void)state;
    err_set(&e, ERR_CORRUPT, "tensor %s", "a\nb\x1b[31m\xff\xc3\xa9\x7f");
    assert_string_equal(e.text, "tensor a?b?[31m?\xc3\xa9?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_states_the_fact_and_is_false),
        cmocka_unit_test(wrap_says_where_and_keeps_the_kind),
        cmocka_unit_test(errno_decides_the_kind),
        cmocka_unit_test(null_is_fine),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(text_that_just_fits_is_whole),
        cmocka_unit_test(foreign_bytes_leave_one_line_of_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
