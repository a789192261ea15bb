/* What holds of any record, whatever is in it. */
#include "situation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void an_empty_record_says_nothing(void **state)
{
    (void)state;
    json_t *record = json_object();
    struct findings *f = situation_judge(record);
    assert_int_equal(f->count, 0);
    assert_int_equal(f->skipped_count, 0);
    situation_free(f);
    json_decref(record);
}

/* Answers of other shapes than Google's: each question's body replaced by each of these. */
static const char *const odd[] = {"null",
                                  "[]",
                                  "\"text\"",
                                  "17",
                                  "{\"services\":17}",
                                  "{\"billingAccountName\":[]}",
                                  "{\"items\":[17,null,{}]}",
                                  "{\"conditions\":{}}"};

static void answers_of_odd_shapes_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        const char *question;
        json_t *record = situation_record("healthy"), *answer;
        json_object_foreach(json_object_get(record, "answers"), question, answer)
        {
            json_object_set_new(answer, "body", json_loads(odd[i], JSON_DECODE_ANY, NULL));
        }
        struct findings *f = situation_judge(record);
        assert_int_equal(f->lost, 0);
        situation_free(f);
        json_decref(record);
    }
}

/* Looked at only when another answer is bad, so that nobody misses them. */
static bool is_spare(const char *question)
{
    return strcmp(question, "accounts") == 0 || strcmp(question, "revision") == 0 ||
           strcmp(question, "hub_account") == 0;
}

/* Whatever one answer is, the checks behind it speak. */
static void one_answer_that_is_missing_stops_no_check(void **state)
{
    (void)state;
    const char *question;
    json_t *healthy = situation_record("healthy"), *answer;
    json_object_foreach(json_object_get(healthy, "answers"), question, answer)
    {
        if (strcmp(question, "clock") == 0 || is_spare(question))
            continue; /* without a network nothing else is asked */
        json_t *record = json_deep_copy(healthy);
        json_t *silent = json_pack("{s:s, s:s}", "request", "GET", "error", "connection reset");
        json_object_set_new(json_object_get(record, "answers"), question, silent);
        struct findings *f = situation_judge(record);
        assert_string_equal(f->items[f->count - 1].check, "machine");
        assert_true(f->skipped_count >= 1);
        assert_string_equal(f->skipped[0].question, question);
        assert_string_equal(f->skipped[0].reason, "connection reset");
        situation_free(f);
        json_decref(record);
    }
    json_decref(healthy);
}

/* What an answer says ends up on a terminal. */
static void control_characters_of_an_answer_do_not_reach_the_terminal(void **state)
{
    (void)state;
    json_t *record = situation_record("healthy");
    json_t *account = json_object_get(json_object_get(json_object_get(record, "answers"), "account"), "body");
    json_object_set_new(account, "displayName", json_string("a\033[2Jb\nc"));
    struct findings *f = situation_judge(record);
    for (int i = 0; i < f->count; i++)
        for (const char *c = f->items[i].what; *c; c++)
            assert_true((unsigned char)*c >= 0x20);
    situation_free(f);
    json_decref(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_record_says_nothing),
        cmocka_unit_test(answers_of_odd_shapes_are_judged),
        cmocka_unit_test(one_answer_that_is_missing_stops_no_check),
        cmocka_unit_test(control_characters_of_an_answer_do_not_reach_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
