#include "serve/http/headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void only_the_whole_key_opens(void **state)
{
    (void)state;
    static const struct {
        const char *given;
        bool ok;
    } cases[] = {
        {NULL, false},
        {"", false},
        {"Bearer", false},
        {"Bearer ", false},
        {"secret", false},
        {"Basic secret", false},
        {"Bearer secre", false},
        {"Bearer secret ", false},
        {"Bearer secretsecret", false},
        {"Bearer Secret", false},
        {"Bearer secret", true},
        {"bearer secret", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(header_has_key(cases[i].given, "secret"), cases[i].ok);
}

static void accept_names_a_type_itself(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool ok;
    } cases[] = {
        {NULL, false},
        {"", false},
        {",", false},
        {",,;;, ,", false},
        {"*/*", false},
        {"text/*", false},
        {"text/event-streams", false},
        {"text/event-strea", false},
        {"application/json;x=text/event-stream", false},
        {"text/event-stream", true},
        {"TEXT/Event-Stream", true},
        {"text/event-stream;q=0.9", true},
        {"application/json, text/event-stream", true},
        {"application/json;q=0.5,\ttext/event-stream ; q=1, */*", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (header_accepts(cases[i].accept, "text/event-stream") != cases[i].ok)
            fail_msg("%s", cases[i].accept);
}

static void content_types_match_whatever_their_case_and_parameters(void **state)
{
    (void)state;
    assert_false(header_is_type(NULL, "application/json"));
    assert_false(header_is_type("application/jsonx", "application/json"));
    assert_false(header_is_type("text/plain", "application/json"));
    assert_true(header_is_type("application/json", "application/json"));
    assert_true(header_is_type("Application/JSON; charset=utf-8", "application/json"));
}

static void a_trace_id_is_32_hex_digits_or_nothing(void **state)
{
    (void)state;
    static const char id[] = "0123456789abcdef0123456789abcdef";
    char trace[33];
    assert_false(header_trace(NULL, NULL, trace));
    assert_false(header_trace("00-short", "also/short", trace));
    assert_false(header_trace(NULL, "0123456789abcdef0123456789abcdef0/1", trace));
    assert_false(header_trace(NULL, "0123456789abcdef\"injected\"456789abcdef/1", trace));
    assert_string_equal(trace, "");
    assert_true(header_trace("00-0123456789ABCDEF0123456789abcdef-0123456789abcdef-01", NULL, trace));
    assert_string_equal(trace, id);
    assert_true(header_trace(NULL, "0123456789abcdef0123456789abcdef/99;o=1", trace));
    assert_string_equal(trace, id);
}

static void lengths_that_are_not_numbers_are_none(void **state)
{
    (void)state;
    assert_int_equal(header_length(NULL), -1);
    assert_int_equal(header_length(""), -1);
    assert_int_equal(header_length("-1"), -1);
    assert_int_equal(header_length("12x"), -1);
    assert_int_equal(header_length("99999999999999999999"), -1);
    assert_int_equal(header_length("0"), 0);
    assert_int_equal(header_length("67108865"), 67108865);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_whole_key_opens),
        cmocka_unit_test(accept_names_a_type_itself),
        cmocka_unit_test(content_types_match_whatever_their_case_and_parameters),
        cmocka_unit_test(a_trace_id_is_32_hex_digits_or_nothing),
        cmocka_unit_test(lengths_that_are_not_numbers_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
