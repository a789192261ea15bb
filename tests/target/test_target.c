#include "target/target.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void names_are_those_that_every_target_takes(void **state)
{
    (void)state;
    static const char longest[] = "a234567890123456789012345678901234567890123456789";
    static const char *const good[] = {"a", "demo", "a-1", "qwen2-audio-7b", longest};
    static const char *const bad[] = {"",    "1a",  "-a",
                                      "a-",  "A",   "a_b",
                                      "a.b", "a/b", "..",
                                      "a b",

                                      "ä",   "a:1", "a2345678901234567890123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(target_check_name(good[i], NULL));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = {0};
        char begin[100];
        assert_false(target_check_name(bad[i], &e));
        snprintf(begin, sizeof begin, "\"%s\": expected a service's name: ", bad[i]);
        assert_memory_equal(e.text, begin, strlen(begin));
        assert_int_equal(e.kind, ERR_USAGE);
    }
}

/* It runs services, or it writes down what others are to run. */
static void targets_have_names_of_their_own_and_all_functions_of_their_kind(void **state)
{
    (void)state;
    const struct target *t;
    for (size_t i = 0; (t = target_at(i)); i++) {
        bool runs = t->apply && t->status && t->logs && t->destroy;
        bool writes = t->manifest && !t->apply && !t->status && !t->logs && !t->destroy;
        assert_true(t->name && (t->manifest ? writes : runs));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(t->name, target_at(k)->name);
    }
    assert_string_equal(target_at(0)->name, "local");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_that_every_target_takes),
        cmocka_unit_test(targets_have_names_of_their_own_and_all_functions_of_their_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
