#include "cmd/ask.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct ask_settings nothing_said = {.seed = ASK_SEED_UNSET, .temperature = -1};

static json_t *build(const struct ask *q)
{
    struct err e = {0};
    char *text = ask_json(q, "tiny", &e);
    assert_string_equal(e.text, "");
    json_t *request = json_loads(text, 0, NULL);
    assert_non_null(request);
    free(text);
    return request;
}

static void question_alone_says_no_more_than_it_must(void **state)
{
    struct ask q = {.settings = nothing_said, .question = "Why?"};
    json_t *expected = json_pack("{s:s, s:[{s:s, s:[{s:s, s:s}]}], s:b, s:{s:b}}", "model", "tiny",
                                 "messages", "role", "user", "content", "type", "text", "text", "Why?",
                                 "stream", 1, "stream_options", "include_usage", 1);
    (void)state;
    json_t *request = build(&q);
    assert_true(json_equal(request, expected));
    json_decref(request);
    json_decref(expected);
}

static void recordings_come_before_the_question_and_settings_are_carried(void **state)
{
    struct ask q = {.settings = nothing_said, .question = "?", .audio_count = 2};
    const char *a, *a_format, *b, *b_format, *system;
    int max_tokens, seed;
    double temperature;
    (void)state;
    q.settings.system = "Be brief.";
    q.settings.max_tokens = 5;
    q.settings.seed = 0;
    q.settings.temperature = 0;
    q.audio[0] = (struct ask_audio){"a", "RIFF\xff\xfe", 6};
    q.audio[1] = (struct ask_audio){"b", "OggSx", 5};
    json_t *request = build(&q);
    int ok =
        json_unpack(request, "{s:[{s:s},{s:[{s:{s:s,s:s}},{s:{s:s,s:s}},{s:s}]}], s:i, s:i, s:f}", "messages",
                    "content", &system, "content", "input_audio", "data", &a, "format", &a_format,
                    "input_audio", "data", &b, "format", &b_format, "text", &(const char *){0}, "max_tokens",
                    &max_tokens, "seed", &seed, "temperature", &temperature);
    assert_int_equal(ok, 0);
    assert_string_equal(system, "Be brief.");
    assert_string_equal(a, "UklGRv/+");
    assert_string_equal(a_format, "wav");
    assert_string_equal(b, "T2dnU3g=");
    assert_string_equal(b_format, "ogg");
    assert_int_equal(max_tokens, 5);
    assert_int_equal(seed, 0);
    assert_true(temperature == 0);
    json_decref(request);
}

static void what_cannot_be_sent_is_refused(void **state)
{
    struct ask movie = {.settings = nothing_said, .audio_count = 1, .audio = {{"a.mp4", "\0\0\0 ftyp", 8}}};
    struct ask empty = {.settings = nothing_said, .audio_count = 1, .audio = {{"empty.wav", "", 0}}};
    struct ask latin1 = {.settings = nothing_said, .question = "caf\xe9"};
    const struct {
        const struct ask *q;
        const char *says;
    } cases[] = {
        {&movie, "a.mp4: neither wav, mp3, flac nor ogg by its first bytes"},
        {&empty, "empty.wav: neither wav, mp3, flac nor ogg by its first bytes"},
        {&latin1, "the question is not valid UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        assert_null(ask_json(cases[i].q, "tiny", &e));
        assert_string_equal(e.text, cases[i].says);
    }
}

static void formats_are_told_by_their_first_bytes(void **state)
{
    static const struct {
        const char *bytes, *format;
    } cases[] = {{"", NULL},      {"RIF", NULL},    {"RIFF", "wav"},         {"fLaC", "flac"},
                 {"OggS", "ogg"}, {"ID3\4", "mp3"}, {"\xff\xfb\x90", "mp3"}, {"\xff\xf1\x50", NULL},
                 {"text", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *format = ask_audio_format(cases[i].bytes, strlen(cases[i].bytes));
        if (cases[i].format)
            assert_string_equal(format, cases[i].format);
        else
            assert_null(format);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(question_alone_says_no_more_than_it_must),
        cmocka_unit_test(recordings_come_before_the_question_and_settings_are_carried),
        cmocka_unit_test(what_cannot_be_sent_is_refused),
        cmocka_unit_test(formats_are_told_by_their_first_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
