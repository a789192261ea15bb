/* Recorded answers, each folder a test of its own: exactly the findings that it names, in their order, with
 * what is said and the next step. */
#include "situation.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 200, LEAST = 60 };

static const char *const severities[] = {"fine", "note", "warning", "problem"};
static const char *const certainties[] = {"certain", "likely", "unknown"};

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "";
}

static void holds(const struct finding *x, const char *what, const char *text, const char *words)
{
    if (*words && (!text || !strstr(text, words)))
        fail_msg("%s: %s is \"%s\", which does not say \"%s\"", x->id, what, text ? text : "", words);
}

static void check_candidates(const struct finding *x, const json_t *wanted)
{
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        const char *words = json_string_value(json_array_get(wanted, i));
        bool found = false;
        for (int k = 0; k < x->candidate_count; k++)
            found = found || strstr(x->candidates[k].cause, words) || strstr(x->candidates[k].sign, words);
        if (!found)
            fail_msg("%s: no candidate says \"%s\"", x->id, words);
    }
    if (x->certainty == CERTAINTY_UNKNOWN && x->severity == SEVERITY_PROBLEM)
        assert_true(x->candidate_count >= 2); /* whoever cannot know must tell what it may be */
}

static void check_finding(const struct finding *x, const json_t *wanted)
{
    const json_t *usd = json_object_get(wanted, "usd_per_month");
    assert_string_equal(x->id, text_of(wanted, "id"));
    assert_string_equal(severities[x->severity], text_of(wanted, "severity"));
    assert_string_equal(certainties[x->certainty], text_of(wanted, "certainty"));
    holds(x, "what", x->what, text_of(wanted, "what"));
    holds(x, "why", x->why, text_of(wanted, "why"));
    holds(x, "reason", x->reason, text_of(wanted, "reason"));
    holds(x, "next", x->next, text_of(wanted, "next"));
    assert_true(*text_of(wanted, "next")); /* each situation names the next step */
    assert_true(x->why && *x->why && x->next && *x->next);
    check_candidates(x, json_object_get(wanted, "candidates"));
    if (usd)
        assert_float_equal(x->usd_per_month, json_number_value(usd), 0.005);
}

static void check_findings(const struct findings *f, const json_t *wanted)
{
    size_t n = 0;
    for (int i = 0; i < f->count; i++) {
        const struct finding *x = &f->items[i];
        if (x->severity == SEVERITY_FINE)
            continue;
        if (n == json_array_size(wanted))
            fail_msg("not expected: %s: %s", x->id, x->what);
        check_finding(x, json_array_get(wanted, n++));
    }
    if (n < json_array_size(wanted))
        fail_msg("expected, and not found: %s", text_of(json_array_get(wanted, n), "id"));
}

static void check_not_seen(const struct findings *f, const json_t *wanted)
{
    for (int i = 0; i < f->skipped_count; i++) {
        const char *question = json_string_value(json_array_get(wanted, (size_t)i));
        if (!question)
            fail_msg("not expected to be left out: %s: %s", f->skipped[i].question, f->skipped[i].reason);
        assert_string_equal(f->skipped[i].question, question);
    }
    assert_int_equal(f->skipped_count, json_array_size(wanted));
}

static void check_fine(const struct findings *f, const json_t *wanted)
{
    size_t n = 0;
    for (int i = 0; i < f->count && wanted; i++)
        if (f->items[i].severity == SEVERITY_FINE)
            assert_string_equal(f->items[i].id, json_string_value(json_array_get(wanted, n++)));
    assert_int_equal(n, json_array_size(wanted));
}

static void judged_as_expected(void **state)
{
    const char *name = *state;
    json_t *record = situation_record(name), *expected = situation_expected(name);
    struct findings *f = situation_judge(record);
    assert_int_equal(f->lost, 0);
    check_findings(f, json_object_get(expected, "findings"));
    check_not_seen(f, json_object_get(expected, "not_seen"));
    if (json_object_get(expected, "fine"))
        check_fine(f, json_object_get(expected, "fine"));
    situation_free(f);
    json_decref(record);
    json_decref(expected);
}

static int is_situation(const struct dirent *d)
{
    return d->d_name[0] != '.' && !strchr(d->d_name, '.');
}

int main(void)
{
    static struct CMUnitTest tests[MOST];
    struct dirent **names;
    int n = scandir(SITUATIONS, &names, is_situation, alphasort);
    if (n < LEAST || n > MOST) {
        fprintf(stderr, "%d situations in " SITUATIONS ", expected %d to %d\n", n, LEAST, MOST);
        return 1;
    }
    for (int i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){
            .name = names[i]->d_name, .test_func = judged_as_expected, .initial_state = names[i]->d_name};
    int failed = _cmocka_run_group_tests("situations", tests, (size_t)n, NULL, NULL);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return failed;
}
