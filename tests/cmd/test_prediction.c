/* Predictions beside what came: how they are judged, kept, and told. */
#include "cmd/plan_prediction.h"
#include "cmd/plan_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/ferry-prediction-XXXXXX";

static struct prediction like(double least, double most, double measured)
{
    return (struct prediction){.of = {.date = "2026-11-25",
                                      .service = "qwen",
                                      .model = "gs://b/m",
                                      .where = "cloud-run asia-northeast1",
                                      .encoding = "q8_0",
                                      .vcpu = 8,
                                      .gib = 16},
                               .what = PREDICTED_LOADED,
                               .predicted = {least, most},
                               .measured = measured};
}

/* 61 to 95: sqrt(5795) = 76.125, of which 71 is 93.27 %. */
static void error_counts_from_the_geometric_middle(void **state)
{
    static const struct {
        double least, most, measured, percent;
        bool holds;
    } cases[] = {
        {10, 40, 20, 0, true},       {10, 40, 10, -50, true}, {10, 40, 41, 105, false},
        {10, 10, 10, 0, true},       {10, 10, 11, 10, false}, {61, 95, 71, -6.73222, true},
        {10, 40, 9.9, -50.5, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct prediction p = like(cases[i].least, cases[i].most, cases[i].measured);
        assert_true(fabs(prediction_error_percent(&p) - cases[i].percent) < 1e-3);
        assert_int_equal(prediction_holds(&p), cases[i].holds);
    }
}

static void what_is_kept_comes_back_newest_last_and_the_oldest_goes(void **state)
{
    static struct predictions fresh, all;
    struct arena *a = arena_new(64 << 20);
    struct err e = {0};
    (void)state;
    for (int i = 1; i <= PREDICTIONS_MOST + 3; i++) {
        struct prediction one = like(1, 2, i);
        fresh.count = 0;
        predictions_add(&fresh, &one);
        assert_true(predictions_keep(&fresh, a, &e));
    }
    assert_true(predictions_read(&all, a, &e));
    assert_int_equal(all.count, PREDICTIONS_MOST);
    assert_true(all.items[0].measured == 4 && all.items[all.count - 1].measured == PREDICTIONS_MOST + 3);
    assert_string_equal(all.items[0].of.model, "gs://b/m");
    arena_free(a);
}

static void file_is_its_owners_alone(void **state)
{
    char path[100];
    struct stat st;
    (void)state;
    snprintf(path, sizeof path, "%s/deep/ferry/predictions.json", folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    snprintf(path, sizeof path, "%s/deep/ferry", folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void only_those_of_the_model_or_the_place_are_looked_at(void **state)
{
    static struct predictions p;
    (void)state;
    static const char *const places[][2] = {{"gs://b/m", "here"}, {"gs://b/n", "cloud-run x"}, {"o", "p"}};
    for (size_t i = 0; i < 3; i++) {
        struct prediction one = like(1, 2, (double)i + 1);
        strcpy(one.of.model, places[i][0]);
        strcpy(one.of.where, places[i][1]);
        predictions_add(&p, &one);
    }
    predictions_only(&p, "gs://b/m", "cloud-run x");
    assert_int_equal(p.count, 2);
    assert_true(p.items[1].measured == 2);
}

static void names_are_cut_between_characters(void **state)
{
    static const struct {
        const char *text, *kept; /* in 8 bytes */
    } cases[] = {
        {"short", "short"},
        {"1234567", "1234567"},
        {"12345678", "1234567"},
        {"123456モ", "123456"},
        {"1234モ", "1234モ"},
        {"a\nb\x7f", "a?b?"},
        {"", ""},
    };
    char out[8];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plan_state_copy(out, sizeof out, cases[i].text);
        assert_string_equal(out, cases[i].kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_counts_from_the_geometric_middle),
        cmocka_unit_test(what_is_kept_comes_back_newest_last_and_the_oldest_goes),
        cmocka_unit_test(file_is_its_owners_alone),
        cmocka_unit_test(only_those_of_the_model_or_the_place_are_looked_at),
        cmocka_unit_test(names_are_cut_between_characters),
    };
    char state[100], command[100];
    if (!mkdtemp(folder))
        return 1;
    snprintf(state, sizeof state, "%s/deep", folder);
    setenv("XDG_STATE_HOME", state, 1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0 || failed;
}
