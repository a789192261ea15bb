#include "target/local/control_message.h"
#include "target/local/environment.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void requests_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line, *problem;
        enum err_kind kind;
    } rows[] = {
        {"", "expected status, apply, sleep or stop", ERR_CORRUPT},
        {"null", "expected status, apply, sleep or stop", ERR_CORRUPT},
        {"[\"stop\"]", "expected status, apply, sleep or stop", ERR_CORRUPT},
        {"{\"do\":\"stop\"", "expected status, apply, sleep or stop", ERR_CORRUPT},
        {"{\"do\":\"stop\"} x", "expected status, apply, sleep or stop", ERR_CORRUPT},
        {"{\"do\":\"Stop\"}", "expected status, apply, sleep or stop", ERR_CORRUPT},
        {"{\"do\":1}", "expected status, apply, sleep or stop", ERR_CORRUPT},
        {"{\"do\":\"status\",\"do\":\"stop\"}", "expected status, apply, sleep or stop", ERR_CORRUPT},
        {"{\"do\":\"apply\"}", "environment_bytes: expected a number of bytes", ERR_CORRUPT},
        {"{\"do\":\"apply\",\"environment_bytes\":-1}", "environment_bytes: expected a number of bytes",
         ERR_CORRUPT},
        {"{\"do\":\"apply\",\"environment_bytes\":1.5}", "environment_bytes: expected a number of bytes",
         ERR_CORRUPT},
        {"{\"do\":\"apply\",\"environment_bytes\":4194305}", "the environment is larger than 4194304 bytes",
         ERR_LIMIT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct control_request q;
        struct err e = {0};
        if (control_request_parse(&q, rows[i].line, strlen(rows[i].line), &e))
            fail_msg("taken: %s", rows[i].line);
        assert_string_equal(e.text, rows[i].problem);
        assert_int_equal(e.kind, rows[i].kind);
        assert_null(q.spec);
    }
}

static void what_is_behind_a_nul_is_not_overlooked(void **state)
{
    (void)state;
    static const char line[] = "{\"do\":\"stop\"}\0{\"do\":\"status\"}";
    struct control_request q;
    assert_false(control_request_parse(&q, line, sizeof line - 1, NULL));
}

static void requests_are_read_as_they_are_written(void **state)
{
    (void)state;
    static const char apply[] =
        "{\"do\":\"apply\",\"spec\":{\"name\":\"a\"},\"wait\":true,\"environment_bytes\":12}";
    struct control_request q;
    assert_true(control_request_parse(&q, "{\"do\":\"status\"}", 15, NULL));
    assert_int_equal(q.verb, CONTROL_STATUS);
    assert_true(control_request_parse(&q, "{\"do\":\"stop\"}", 13, NULL));
    assert_int_equal(q.verb, CONTROL_STOP);
    assert_true(control_request_parse(&q, apply, sizeof apply - 1, NULL));
    assert_int_equal(q.verb, CONTROL_APPLY);
    assert_true(q.wait);
    assert_int_equal(q.environment_bytes, 12);
    assert_string_equal(json_string_value(json_object_get(q.spec, "name")), "a");
    control_request_clear(&q);
    assert_null(q.spec);
}

static void note_line(void *arg, const char *line)
{
    snprintf(arg, 40, "%s", line);
}

static void answers_say_something_end_well_or_name_a_problem(void **state)
{
    (void)state;
    static const char nonsense[] = "its activator says something that makes no sense";
    static const struct {
        const char *line;
        enum control_answer answer;
        const char *said, *problem;
    } rows[] = {
        {"", CONTROL_PROBLEM, "", nonsense},
        {"{}", CONTROL_PROBLEM, "", nonsense},
        {"{\"ok\":1}", CONTROL_PROBLEM, "", nonsense},
        {"{\"ok\":false,\"problem\":7}", CONTROL_PROBLEM, "", nonsense},
        {"{\"ok\":false,\"problem\":\"no memory %s\"}", CONTROL_PROBLEM, "", "no memory %s"},
        {"{\"say\":\"starting\"}", CONTROL_SAID, "starting", ""},
        {"{\"ok\":true,\"status\":{\"pid\":5}}", CONTROL_OK, "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char said[40] = "";
        struct err e = {0};
        json_t *out = NULL;
        assert_int_equal(control_answer_parse(rows[i].line, strlen(rows[i].line), note_line, said, &out, &e),
                         rows[i].answer);
        assert_string_equal(said, rows[i].said);
        assert_string_equal(e.text, rows[i].problem);
        assert_int_equal(out != NULL, rows[i].answer == CONTROL_OK);
        json_decref(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_that_make_no_sense_are_refused),
        cmocka_unit_test(what_is_behind_a_nul_is_not_overlooked),
        cmocka_unit_test(requests_are_read_as_they_are_written),
        cmocka_unit_test(answers_say_something_end_well_or_name_a_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
