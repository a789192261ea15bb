/* Lines of text in two scripts. */
#include "cmd/wrap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *wrapped(const char *text, int at, int indent, int width)
{
    char *out = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&out, &size);
    wrap_print(f, text, at, indent, width);
    fclose(f);
    return out;
}

static void lines_break_where_their_script_lets_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int at, indent, width;
        const char *lines;
    } cases[] = {
        {"", 0, 0, 10, "\n"},
        {"aa bb cc", 0, 0, 5, "aa bb\ncc\n"},
        {"aa bb cc", 3, 2, 5, "aa\n  bb\n  cc\n"},
        {"averylongword b", 0, 1, 5, "averylongword\n b\n"},
        {"日本語の文", 0, 0, 6, "日本語\nの文\n"},
        {"日本語、文", 0, 0, 6, "日本\n語、文\n"},       /* no line begins with a comma */
        {"データ", 0, 0, 4, "デー\nタ\n"},               /* nor with a long sound */
        {"プロファイル", 0, 0, 6, "プロ\nファイ\nル\n"}, /* nor with a small vowel */
        {"語「文」", 0, 0, 4, "語\n「文」\n"},           /* none ends with a bracket that opens */
        {"a日b", 0, 0, 3, "a日\nb\n"},
        {"gs://bucket は", 0, 0, 12, "gs://bucket\nは\n"},
        {"a  b", 0, 0, 10, "a b\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *lines = wrapped(cases[i].text, cases[i].at, cases[i].indent, cases[i].width);
        assert_string_equal(lines, cases[i].lines);
        free(lines);
    }
}

static void bytes_that_are_no_utf8_are_passed_on(void **state)
{
    (void)state;
    char *lines = wrapped("a\xff b", 0, 0, 10);
    assert_string_equal(lines, "a\xff b\n");
    free(lines);
    assert_int_equal(text_width("日本", strlen("日本")), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_break_where_their_script_lets_them),
        cmocka_unit_test(bytes_that_are_no_utf8_are_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
