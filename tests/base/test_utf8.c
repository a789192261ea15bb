#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    const char *text;
    int length;
} cases[] = {
    {"\x80", 0},             /* a continuation byte alone */
    {"\xc0\xaf", 0},         /* overlong '/' */
    {"\xc1\xbf", 0},         /* overlong, two bytes */
    {"\xe0\x9f\xbf", 0},     /* overlong, three bytes */
    {"\xf0\x8f\xbf\xbf", 0}, /* overlong, four bytes */
    {"\xed\xa0\x80", 0},     /* a surrogate */
    {"\xf4\x90\x80\x80", 0}, /* beyond U+10FFFF */
    {"\xf5\x80\x80\x80", 0}, /* no lead byte */
    {"\xff", 0},             /* never in UTF-8 */
    {"\xc3", 0},             /* ends too early, each length */
    {"\xe3\x81", 0},
    {"\xf0\x9f\x98", 0},
    {"\xe3\x41\x82", 0},
    {"", 1},
    {"a", 1},
    {"\xc2\x80", 2},
    {"\xc3\xa9", 2},
    {"\xe0\xa0\x80", 3},
    {"\xed\x9f\xbf", 3},
    {"\xee\x80\x80", 3},
    {"\xe3\x81\x82", 3},
    {"\xf0\x90\x80\x80", 4},
    {"\xf4\x8f\xbf\xbf", 4},
};

static void only_well_formed_characters_have_a_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(utf8_length(cases[i].text), cases[i].length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_well_formed_characters_have_a_length)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
