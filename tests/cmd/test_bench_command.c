/* `ferry bench` against the demo model, served for real. */
#include "program.h"

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define DEMO "../models/demo"

static struct outcome outcome;
static char folder[] = "/tmp/ferry-bench-XXXXXX";

/* Runs ferry; what it prints is JSON. */
static json_t *run_json(const char *ferry, const char *const *words)
{
    program_run(ferry, words, NULL, &outcome);
    if (outcome.code != 0)
        fail_msg("%s", outcome.err);
    json_t *json = json_loads(outcome.out, 0, NULL);
    assert_non_null(json);
    return json;
}

static double number(json_t *row, const char *object, const char *field)
{
    json_t *from = object ? json_object_get(row, object) : row;
    assert_true(json_is_number(json_object_get(from, field)));
    return json_number_value(json_object_get(from, field));
}

static void check_row(json_t *row)
{
    assert_true(number(row, NULL, "requests") >= 1);
    assert_true(number(row, NULL, "failed") == 0);
    assert_true(number(row, NULL, "tokens") >= number(row, NULL, "requests"));
    double first = number(row, "first_token_ms", "p50"), total = number(row, "total_ms", "p50");
    assert_true(first > 0 && first <= total);
    assert_true(number(row, "total_ms", "p50") <= number(row, "total_ms", "p90"));
    assert_true(number(row, "total_ms", "p90") <= number(row, "total_ms", "p99"));
    assert_true(number(row, NULL, "busy_seconds") <= number(row, NULL, "seconds") + 1e-3);
    assert_true(number(row, NULL, "usd_per_1000") > 0.0004); /* requests alone cost that */
}

static void service_is_measured_in_every_way(void **state)
{
    char url[64], page[100], saved[100];
    struct program service;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/", program_serve(&service, *state, DEMO));
    snprintf(page, sizeof page, "%s/bench.html", folder);
    snprintf(saved, sizeof saved, "%s/old.json", folder);
    json_t *json = run_json(*state, WORDS("bench", url, "-c", "1,3", "-r", "20", "-l", "0.5,2", "-t", "0.5",
                                          "--json", "--html", page));
    json_t *rows = json_object_get(json, "points"), *row;
    size_t i;
    static const char *const kinds[] = {"closed", "closed", "open", "length", "length"};
    assert_int_equal(json_array_size(rows), 5);
    json_array_foreach(rows, i, row)
    {
        assert_string_equal(json_string_value(json_object_get(row, "kind")), kinds[i]);
        check_row(row);
    }
    assert_true(number(json_array_get(rows, 2), NULL, "requests") == 10); /* 20 a second for half of one */
    assert_string_equal(json_string_value(json_object_get(json, "model")), "demo");
    assert_int_equal(access(page, R_OK), 0);
    json_dump_file(json, saved, 0);
    json_decref(json);
    program_run(*state, WORDS("bench", url, "-c", "1,2", "-n", "4", "--compare", saved), NULL, &outcome);
    assert_int_equal(outcome.code, 0);
    assert_non_null(strstr(outcome.out, "Beside the run of "));
    assert_non_null(strstr(outcome.err, "1 at a time: 4 requests in "));
    kill(service.pid, SIGTERM);
    program_finish(&service, NULL, &outcome);
}

/* Everything of a request arrives while it is there, else the warm-up had not counted. */
static void limit_of_requests_holds_for_each_row(void **state)
{
    char url[64];
    struct program service;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", program_serve(&service, *state, DEMO));
    json_t *json = run_json(*state, WORDS("bench", url, "-c", "2", "-n", "7", "-t", "60", "--json", "--audio",
                                          "../samples/digits-en.wav", "--max-tokens", "3"));
    json_t *row = json_array_get(json_object_get(json, "points"), 0);
    assert_true(number(row, NULL, "requests") == 7);
    assert_true(number(row, NULL, "tokens") <= 21);
    assert_true(number(json, NULL, "audio_seconds") > 1);
    json_decref(json);
    kill(service.pid, SIGTERM);
    program_finish(&service, NULL, &outcome);
}

static bool is_what(const json_t *prediction, const char *what)
{
    return strcmp(json_string_value(json_object_get(prediction, "what")), what) == 0;
}

/* Of the demo model here: what one request took, and the memory, which lies within what was said. */
static void check_predictions(json_t *list)
{
    char path[200];
    json_t *one;
    size_t i;
    assert_int_equal(json_array_size(list), 3);
    json_array_foreach(list, i, one)
    {
        static const char *const whats[] = {"first_token_seconds", "tokens_per_second", "memory_bytes"};
        assert_true(is_what(one, whats[i]) && number(one, NULL, "measured") > 0);
        assert_string_equal(json_string_value(json_object_get(one, "where")), "here");
        assert_string_equal(json_string_value(json_object_get(one, "service")), "bench-demo");
    }
    assert_true(json_is_true(json_object_get(json_array_get(list, 2), "holds")));
    snprintf(path, sizeof path, "%s/ferry/predictions.json", folder);
    json_t *kept = json_load_file(path, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(kept, "predictions")), 3);
    json_decref(kept);
}

static void cold_starts_are_cold(void **state)
{
    program_run(*state, WORDS("deploy", "bench-demo", DEMO, "--target", "local", "--port", "0"), NULL,
                &outcome);
    assert_int_equal(outcome.code, 0);
    json_t *json =
        run_json(*state, WORDS("bench", "bench-demo", "-c", "1", "-n", "5", "--cold", "3", "--json"));
    json_t *rows = json_object_get(json, "points");
    json_t *cold = json_array_get(rows, 1);
    check_row(cold);
    assert_true(number(cold, NULL, "requests") == 3);
    check_predictions(json_object_get(json, "predictions"));
    json_decref(json);
    program_run(*state, WORDS("bench", "bench-demo", "-c", "1", "-n", "2"), NULL, &outcome);
    assert_non_null(strstr(outcome.out, "Predicted and measured"));
    assert_null(strstr(outcome.out, "first token, cold")); /* a plan says nothing of one that is here */
    program_run(*state, WORDS("logs", "bench-demo"), NULL, &outcome);
    int stops = 0;
    for (const char *at = outcome.out; (at = strstr(at, "server stops: put to sleep")); at++)
        stops++;
    assert_int_equal(stops, 3);
    program_run(*state, WORDS("down", "bench-demo"), NULL, &outcome);
    assert_int_equal(outcome.code, 0);
}

/* Nothing that time could have stopped was: what answers afterwards is what answered before. */
static void instance_that_stayed_is_no_cold_start(void **state)
{
    char url[64];
    struct program service;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", program_serve(&service, *state, DEMO));
    json_t *json =
        run_json(*state, WORDS("bench", url, "-c", "none", "--cold", "1", "--idle", "0.002", "--json"));
    json_t *row = json_array_get(json_object_get(json, "points"), 0);
    assert_true(number(row, NULL, "requests") == 0 && number(row, NULL, "failed") == 1);
    assert_string_equal(json_string_value(json_object_get(row, "failure")),
                        "an instance was still there after 0.002 min");
    json_decref(json);
    kill(service.pid, SIGTERM);
    program_finish(&service, NULL, &outcome);
}

static const struct {
    const char *words[8];
    int code;
    const char *err; /* how stderr begins */
} refused[] = {
    {{"bench"}, 2, "ferry: bench: which service? usage: ferry bench NAME|URL [options]\n"},
    {{"bench", "no-such"}, 1, "ferry: bench: there is no service \"no-such\"; `ferry status` lists"},
    {{"bench", "http://me:pass@127.0.0.1"}, 2, "ferry: bench: the address contains a name or password"},
    {{"bench", "http://127.0.0.1:1", "-c", "1"},
     1,
     "ferry: bench: no answer from http://127.0.0.1:1/v1/models"},
    {{"bench", "demo", "-c", "0"},
     2,
     "ferry: bench: --concurrency: \"0\", expected whole numbers from 1 to 256"},
    {{"bench", "demo", "-c", "none"}, 2, "ferry: bench: nothing to measure: "},
    {{"bench", "demo", "--region", "moon"},
     2,
     "ferry: bench: --region: \"moon\" is not a region of Cloud Run"},
    {{"bench", "demo", "--compare", "none.json"}, 1, "ferry: bench: none.json: No such file or directory\n"},
    {{"bench", "demo", "--compare", "CMakeLists.txt"}, 1, "ferry: bench: CMakeLists.txt: line 1: not JSON"},
    {{"bench", "demo", "--audio", "CMakeLists.txt"}, 1, "ferry: bench: CMakeLists.txt: "},
};

static void what_makes_no_sense_gets_one_line(void **state)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        program_run(*state, refused[i].words, NULL, &outcome);
        if (strncmp(outcome.err, refused[i].err, strlen(refused[i].err)) != 0 ||
            outcome.code != refused[i].code)
            fail_msg("%d %s instead of %d %s", outcome.code, outcome.err, refused[i].code, refused[i].err);
        assert_string_equal(outcome.out, "");
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(service_is_measured_in_every_way, argv[1]),
        cmocka_unit_test_prestate(limit_of_requests_holds_for_each_row, argv[1]),
        cmocka_unit_test_prestate(cold_starts_are_cold, argv[1]),
        cmocka_unit_test_prestate(instance_that_stayed_is_no_cold_start, argv[1]),
        cmocka_unit_test_prestate(what_makes_no_sense_gets_one_line, argv[1]),
    };
    char command[100];
    if (argc < 2 || !mkdtemp(folder))
        return 1;
    setenv("XDG_STATE_HOME", folder, 1);
    unsetenv("FERRY_API_KEY");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0 || failed;
}
