/* `ferry status --watch`: what a look becomes, on a terminal (a real one: a pty) and in a pipe. */
#include "cmd/watch.h"
#include "program.h"

#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define DEMO "../models/demo"

static struct outcome outcome;
static char folder[] = "/tmp/ferry-watch-XXXXXX";

static struct service_metrics metrics(double began, double tokens)
{
    struct service_metrics m;
    service_metrics_parse("", &m);
    m.began_s = began;
    m.ready = 1;
    m.completion_tokens = tokens;
    m.resident_bytes = 19.9 * (1 << 30);
    return m;
}

static void tokens_between_two_looks_are_a_speed(void **state)
{
    (void)state;
    struct watched w = {0};
    struct service_metrics first = metrics(100, 50), second = metrics(100, 80), anew = metrics(200, 6);
    watched_take(&w, &first, 1000);
    assert_true(isnan(w.tokens_per_second));
    watched_take(&w, &second, 3000);
    assert_true(w.tokens_per_second == 15);
    watched_take(&w, &anew, 5000); /* another instance counts from 0 */
    assert_true(w.tokens_per_second == 3);
    for (int i = 0; i < 2 * WATCH_HISTORY; i++)
        watched_take(&w, &anew, 6000 + i);
    assert_int_equal(w.looks, WATCH_HISTORY);
}

/* 6 vCPU, the fewest with 21 GiB, for an hour in tier 1: 3600 * (6 * 0.000024 + 21 * 0.0000025) = 0.7074. */
static void cost_is_that_of_the_instance_since_it_began(void **state)
{
    (void)state;
    struct err e = {0};
    struct prices *p = prices_builtin(&e);
    struct watched w = {0};
    struct service_metrics m = metrics(1000, 0);
    assert_true(isnan(watched_cost(&w, p, "asia-northeast1", 4600)));
    watched_take(&w, &m, 1);
    assert_true(fabs(watched_cost(&w, p, "asia-northeast1", 4600) - 0.7074) < 1e-9);
    w.service.memory_limit_bytes = (uint64_t)21 << 30;
    w.now.resident_bytes = 1 << 20; /* the limit is what is paid */
    assert_true(fabs(watched_cost(&w, p, "asia-northeast1", 4600) - 0.7074) < 1e-9);
    w.now.began_s = NAN;
    assert_true(isnan(watched_cost(&w, p, "asia-northeast1", 4600)));
    prices_free(p);
}

/* Characters of one column each. */
static int columns(const char *line, size_t size)
{
    int n = 0;
    for (size_t i = 0; i < size; i++)
        n += ((unsigned char)line[i] & 0xc0) != 0x80;
    return n;
}

static void picture_keeps_its_width_and_has_no_control_characters(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    struct watched w = {.service = {.name = "a-name-that-is-as-long-as-names-of-services-may-be-12",
                                    .url = "http://127.0.0.1:8080/with/a/long/path/that/goes/on/and/on",
                                    .state = "failed",
                                    .problem = "\033[2Jno memory\nfor it"},
                        .usd = 12.5};
    struct service_metrics m = metrics(1000, 1e12);
    m.slots = 8, m.running = 20, m.waiting = 123456789, m.first_tokens = 1e15;
    m.load_bytes = 10e9, m.load_total_bytes = 16.8e9, m.load_bytes_per_second = 310e6;
    m.load_first_token_seconds = 12, m.ready = 0;
    for (int i = 0; i < WATCH_HISTORY; i++)
        watched_take(&w, &m, 1000 + i);
    static const int widths[] = {80, 40, 10};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        FILE *f = open_memstream(&text, &size);
        int lines = watched_draw(&w, 4600, widths[i], "\n", f), seen = 0;
        fclose(f);
        for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, seen++)
            assert_true(columns(line, (size_t)(end - line)) <= widths[i]);
        assert_int_equal(seen, lines);
        assert_null(strchr(text, '\033'));
        if (widths[i] == 80) {
            assert_non_null(strstr(text, "59 % of 16.8 GB, 310 MB/s; first token in 12 s"));
            assert_non_null(strstr(text, "20 of 8 busy"));
            assert_non_null(strstr(text, "$12.5000"));
        }
        free(text);
    }
}

static void pipe_gets_a_json_line_per_look(void **state)
{
    char url[64];
    struct program service;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", program_serve(&service, *state, DEMO));
    program_run(*state, WORDS("status", url, "--watch", "--every", "0.1", "--count", "3"), NULL, &outcome);
    assert_int_equal(outcome.code, 0);
    assert_string_equal(outcome.err, "");
    int lines = 0;
    for (char *line = strtok(outcome.out, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        json_t *json = json_loads(line, 0, NULL);
        json_t *one = json_array_get(json_object_get(json, "services"), 0);
        assert_true(json_is_true(json_object_get(one, "ready")));
        assert_true(json_number_value(json_object_get(one, "slots")) >= 1);
        assert_true(json_number_value(json_object_get(one, "resident_bytes")) > 1e6);
        assert_true(json_number_value(json_object_get(one, "usd_at_most")) > 0);
        json_decref(json);
    }
    assert_int_equal(lines, 3);
    kill(service.pid, SIGTERM);
    program_finish(&service, NULL, &outcome);
}

static void service_that_is_gone_is_told_of_and_looked_at_again(void **state)
{
    program_run(*state, WORDS("status", "http://127.0.0.1:1", "--watch", "--every", "0.05", "--count", "2"),
                NULL, &outcome);
    assert_int_equal(outcome.code, 0);
    char *second = strchr(outcome.out, '\n');
    assert_non_null(second);
    json_t *json = json_loads(second + 1, 0, NULL);
    json_t *one = json_array_get(json_object_get(json, "services"), 0);
    assert_non_null(strstr(json_string_value(json_object_get(one, "problem")), "no answer from"));
    assert_true(json_is_null(json_object_get(one, "ready")));
    json_decref(json);
}

/* What a terminal shows after these bytes: the few sequences that are used, nothing else. */
struct screen {
    char rows[40][200];
    int row, column, lowest;
};

static void screen_take(struct screen *s, const char *text)
{
    for (const char *at = text; *at;) {
        int n = 0, used = 0;
        if (sscanf(at, "\033[%dA%n", &n, &used) == 1 && used) {
            s->row -= n;
            assert_true(s->row >= 0);
            at += used;
        } else if (strncmp(at, "\033[K", 3) == 0) {
            s->rows[s->row][s->column] = 0;
            at += 3;
        } else if (strncmp(at, "\033[J", 3) == 0) {
            for (int i = s->row; i < 40; i++)
                s->rows[i][i == s->row ? s->column : 0] = 0;
            at += 3;
        } else if (*at == '\r') {
            s->column = 0, at++;
        } else if (*at == '\n') {
            s->row++, at++;
        } else {
            assert_true((unsigned char)*at >= 0x20);
            s->rows[s->row][s->column++] = *at++;
        }
        s->lowest = s->row > s->lowest ? s->row : s->lowest;
        assert_true(s->row < 40 && s->column < 200);
    }
}

/* ferry on a terminal of 80 columns; what it wrote, from malloc. */
static char *on_terminal(const char *ferry, const char *const *words, int *code)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    int fd, status;
    pid_t pid = forkpty(&fd, NULL, NULL, &size);
    assert_true(pid >= 0);
    if (pid == 0) {
        char *args[20] = {strdup(ferry)};
        for (int i = 0; words[i]; i++)
            args[i + 1] = strdup(words[i]);
        setenv("TERM", "xterm", 1);
        execv(ferry, args);
        _exit(127);
    }
    char *text = calloc(1, 1 << 16);
    size_t used = 0;
    for (ssize_t n; used < (1 << 16) - 1 && (n = read(fd, text + used, (1 << 16) - 1 - used)) > 0;)
        used += (size_t)n;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(fd);
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return text;
}

static void terminal_is_drawn_on_in_place(void **state)
{
    int code;
    struct screen s = {0};
    program_run(*state, WORDS("deploy", "watched", DEMO, "--target", "local", "--port", "0"), NULL, &outcome);
    assert_int_equal(outcome.code, 0);
    program_run(*state, WORDS("ask", "watched", "hi"), NULL, &outcome);
    assert_int_equal(outcome.code, 0);
    char *text =
        on_terminal(*state, WORDS("status", "watched", "--watch", "--every", "0.1", "--count", "4"), &code);
    assert_int_equal(code, 0);
    screen_take(&s, text);
    assert_int_equal(s.lowest, 6); /* four looks took the room of one: six lines, and where the cursor is */
    assert_int_equal(strncmp(s.rows[0], "watched  http://127.0.0.1:", 26), 0);
    assert_non_null(strstr(s.rows[0], "awake for"));
    assert_non_null(strstr(s.rows[1], "loaded"));
    assert_non_null(strstr(s.rows[2], "0 of "));
    assert_non_null(strstr(s.rows[3], "since it began, in 1 answers"));
    assert_non_null(strstr(s.rows[4], "memory"));
    assert_non_null(strstr(s.rows[5], "at most $"));
    free(text);
    program_run(*state, WORDS("down", "watched"), NULL, &outcome);
    assert_int_equal(outcome.code, 0);
}

static void watching_wakes_nothing_and_ends_well_on_ctrl_c(void **state)
{
    struct program watch;
    program_run(*state, WORDS("deploy", "sleeper", DEMO, "--target", "local", "--port", "0"), NULL, &outcome);
    program_start(&watch, *state, WORDS("status", "--watch", "--every", "0.1"));
    usleep(500000);
    kill(watch.pid, SIGINT);
    program_finish(&watch, NULL, &outcome);
    assert_int_equal(outcome.code, 0);
    assert_non_null(strstr(outcome.out, "\"state\":\"asleep\""));
    assert_null(strstr(outcome.out, "\"state\":\"awake\""));
    program_run(*state, WORDS("down", "sleeper"), NULL, &outcome);
}

static void what_cannot_be_watched_gets_one_line(void **state)
{
    static const struct {
        const char *words[6], *err;
        int code;
    } cases[] = {
        {{"status", "none", "--watch"},
         "ferry: status: there is no service \"none\"; `ferry status` lists those there are\n",
         1},
        {{"status", "--watch", "--region", "moon"},
         "ferry: status: --region: \"moon\" is not a region of Cloud Run; asia-northeast1 is one\n",
         2},
        {{"status", "http://127.0.0.1:1"},
         "ferry: status: an address can be watched: ferry status http://127.0.0.1:1 --watch\n",
         2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        program_run(*state, cases[i].words, NULL, &outcome);
        assert_string_equal(outcome.err, cases[i].err);
        assert_int_equal(outcome.code, cases[i].code);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_between_two_looks_are_a_speed),
        cmocka_unit_test(cost_is_that_of_the_instance_since_it_began),
        cmocka_unit_test(picture_keeps_its_width_and_has_no_control_characters),
        cmocka_unit_test_prestate(pipe_gets_a_json_line_per_look, argv[1]),
        cmocka_unit_test_prestate(service_that_is_gone_is_told_of_and_looked_at_again, argv[1]),
        cmocka_unit_test_prestate(terminal_is_drawn_on_in_place, argv[1]),
        cmocka_unit_test_prestate(watching_wakes_nothing_and_ends_well_on_ctrl_c, argv[1]),
        cmocka_unit_test_prestate(what_cannot_be_watched_gets_one_line, argv[1]),
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
