#include "base/log.h"

#include "base/clock.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Lines go into a file with no name; read_line gives back what was logged since. */
static int open_sink(void **state)
{
    FILE *sink = tmpfile();
    if (!sink)
        return -1;
    log_set_fd(fileno(sink));
    log_set_level(LOG_INFO);
    *state = sink;
    return 0;
}

static int close_sink(void **state)
{
    log_set_fd(2);
    return fclose(*state);
}

static size_t read_sink(FILE *sink, char *text, size_t room)
{
    rewind(sink);
    size_t n = fread(text, 1, room - 1, sink);
    text[n] = '\0';
    rewind(sink);
    if (ftruncate(fileno(sink), 0) != 0)
        fail();
    return n;
}

/* The one line that was logged, as JSON. */
static json_t *read_line(FILE *sink)
{
    char text[20000];
    size_t n = read_sink(sink, text, sizeof text);
    assert_int_not_equal(n, 0);
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
    json_error_t at;
    json_t *line = json_loads(text, 0, &at);
    if (!line)
        fail_msg("%s: %s", at.text, text);
    return line;
}

static const char *text_of(const json_t *line, const char *key)
{
    return json_string_value(json_object_get(line, key));
}

static void line_has_severity_time_message_and_fields(void **state)
{
    log_warning("ready", LOG_STR("model", "tiny"), LOG_INT("load_ms", -27), LOG_NUM("rate", 1.5),
                LOG_STR("none", NULL), LOG_NUM("nan", NAN), LOG_END);
    json_t *line = read_line(*state);
    assert_string_equal(text_of(line, "severity"), "WARNING");
    assert_string_equal(text_of(line, "message"), "ready");
    assert_string_equal(text_of(line, "model"), "tiny");
    assert_int_equal(json_integer_value(json_object_get(line, "load_ms")), -27);
    assert_true(json_real_value(json_object_get(line, "rate")) == 1.5);
    assert_true(json_is_null(json_object_get(line, "none")));
    assert_true(json_is_null(json_object_get(line, "nan")));
    const char *time = text_of(line, "time"); /* 2026-11-23T19:57:57.123Z */
    assert_int_equal(strlen(time), 24);
    assert_int_equal(time[10], 'T');
    assert_int_equal(time[19], '.');
    assert_int_equal(time[23], 'Z');
    json_decref(line);
}

static void text_comes_back_as_it_was(void **state)
{
    static const char *const texts[] = {"", "a \"quoted\" \\ path", "line\nbreak\ttab\r\x01\x1f\x7f",
                                        "\xe3\x83\x95\xe3\x82\xa7\xe3\x83\xaa\xe3\x83\xbc \xf0\x9f\x9a\xa2"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        log_info(texts[i], LOG_STR("field", texts[i]), LOG_END);
        json_t *line = read_line(*state);
        assert_string_equal(text_of(line, "message"), texts[i]);
        assert_string_equal(text_of(line, "field"), texts[i]);
        json_decref(line);
    }
}

static void bytes_that_are_no_text_become_replacement_characters(void **state)
{
    log_info("a\xff\xc3", LOG_END);
    json_t *line = read_line(*state);
    assert_string_equal(text_of(line, "message"), "a\xef\xbf\xbd\xef\xbf\xbd");
    json_decref(line);
}

static void field_that_does_not_fit_is_left_out_whole(void **state)
{
    char text[9000];
    memset(text, '"', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t n = 3900; n < 4100; n++) {
        text[n] = '\0';
        log_info("m", LOG_INT("before", 1), LOG_STR("long", text), LOG_INT("after", 2), LOG_END);
        text[n] = '"';
        json_t *line = read_line(*state), *field = json_object_get(line, "long");
        assert_true(!field || json_string_length(field) == n);
        assert_int_equal(json_integer_value(json_object_get(line, "before")), 1);
        if (!field)
            assert_int_equal(json_integer_value(json_object_get(line, "after")), 2);
        json_decref(line);
    }
}

static void long_message_is_cut_and_fields_stay(void **state)
{
    char text[20001];
    for (int shift = 0; shift < 2; shift++) {
        for (size_t i = 0; i < sizeof text - 1; i++)
            text[i] = (i + (size_t)shift) % 2 ? '\xa9' : '\xc3';
        text[sizeof text - 1] = '\0';
        log_info(text, LOG_INT("after", 2), LOG_END);
        json_t *line = read_line(*state);
        const char *message = text_of(line, "message");
        assert_string_equal(message + strlen(message) - 3, "...");
        assert_int_equal(json_integer_value(json_object_get(line, "after")), 2);
        json_decref(line);
    }
}

static void lines_below_the_level_are_not_written(void **state)
{
    static const struct {
        const char *name;
        bool known;
        size_t lines;
    } cases[] = {
        {"", false, 0},    {"INFO", false, 0},   {"verbose", false, 0}, {"debug", true, 4},
        {"info", true, 3}, {"warning", true, 2}, {"error", true, 1},    {"off", true, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum log_level level = LOG_INFO;
        char text[2000];
        assert_int_equal(log_parse_level(cases[i].name, &level), cases[i].known);
        if (!cases[i].known)
            continue;
        log_set_level(level);
        log_debug("d", LOG_END);
        log_info("i", LOG_END);
        log_warning("w", LOG_END);
        log_error("e", LOG_END);
        size_t lines = 0;
        read_sink(*state, text, sizeof text);
        for (const char *c = text; *c; c++)
            lines += *c == '\n';
        assert_int_equal(lines, cases[i].lines);
    }
    log_set_level(LOG_INFO);
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 200; i++)
        log_info("some message of a thread", LOG_STR("thread", arg), LOG_INT("i", i), LOG_END);
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    enum { THREADS = 4, ROOM = 1 << 18 };
    static char names[THREADS][2] = {"a", "b", "c", "d"};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    char *text = malloc(ROOM), *rest = text;
    size_t lines = 0;
    assert_non_null(text);
    read_sink(*state, text, ROOM);
    for (char *line; (line = strsep(&rest, "\n")) && *line; lines++) {
        json_t *parsed = json_loads(line, 0, NULL);
        assert_non_null(parsed);
        json_decref(parsed);
    }
    assert_int_equal(lines, THREADS * 200);
    free(text);
}

static void clock_never_goes_back(void **state)
{
    uint64_t before = clock_ns();
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_ns();
        assert_true(now >= before);
        before = now;
    }
    assert_true(clock_ms() >= (double)before * 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_has_severity_time_message_and_fields),
        cmocka_unit_test(text_comes_back_as_it_was),
        cmocka_unit_test(bytes_that_are_no_text_become_replacement_characters),
        cmocka_unit_test(field_that_does_not_fit_is_left_out_whole),
        cmocka_unit_test(long_message_is_cut_and_fields_stay),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(lines_of_threads_do_not_mix),
        cmocka_unit_test(clock_never_goes_back),
    };
    return cmocka_run_group_tests(tests, open_sink, close_sink);
}
