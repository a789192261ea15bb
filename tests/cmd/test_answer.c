#include "cmd/answer.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void control_characters_end_the_tame_part(void **state)
{
    static const struct {
        const char *text;
        size_t tame;
    } cases[] = {
        {"", 0},
        {"plain\ttext\n", 11},
        {"ab\033[2J", 2},
        {"\a", 0},
        {"a\rb", 1},
        {"a\x7f", 1},
        {"a\xc2\x9b"
         "31m",
         1},
        {"\xc2\xa0", 2},
        {"\xe6\x97\xa5", 3},
        {"\xf0\x9f\x98\x80 \xc3\x9f", 7},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(answer_tame(cases[i].text, strlen(cases[i].text)), cases[i].tame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(control_characters_end_the_tame_part)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
