#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A mono 16-bit wav of silence; the caller frees. */
static char *silence(int rate, size_t samples, size_t *size)
{
    *size = 44 + samples * 2;
    char *w = calloc(1, *size);
    assert_non_null(w);
    uint32_t data = (uint32_t)(samples * 2), riff = data + 36, bytes_per_second = (uint32_t)rate * 2,
             r = (uint32_t)rate;
    uint32_t fmt_size = 16;
    uint16_t pcm = 1, channels = 1, block = 2, bits = 16;
    memcpy(w, "RIFF", 4), memcpy(w + 4, &riff, 4), memcpy(w + 8, "WAVEfmt ", 8), memcpy(w + 16, &fmt_size, 4);
    memcpy(w + 20, &pcm, 2), memcpy(w + 22, &channels, 2), memcpy(w + 24, &r, 4),
        memcpy(w + 28, &bytes_per_second, 4);
    memcpy(w + 32, &block, 2), memcpy(w + 34, &bits, 2), memcpy(w + 36, "data", 4), memcpy(w + 40, &data, 4);
    return w;
}

static struct chat_request asking(const struct loaded_model *m, struct request_message *message,
                                  struct request_part *parts, int count)
{
    struct chat_request r;
    chat_request_init(&r, &m->model.config);
    *message = (struct request_message){.role = "user", .parts = parts, .part_count = count};
    r.messages = message;
    r.message_count = 1;
    return r;
}

static bool prepare_silence(const struct loaded_model *m, size_t samples, enum long_audio when_long,
                            struct prepared *p, struct api_error *e)
{
    struct request_message message;
    struct request_part part = {0};
    char *wav = silence(16000, samples, &part.audio_size);
    part.audio = wav;
    struct chat_request r = asking(m, &message, &part, 1);
    r.long_audio = when_long;
    bool ok = prepare_chat(p, m, &r, e);
    free(wav);
    return ok;
}

static void what_is_not_audio_is_refused_with_its_place(void **state)
{
    struct loaded_model *m = *state;
    struct request_message message;
    struct request_part parts[] = {{.text = "x", .text_size = 1}, {.audio = "not audio", .audio_size = 9}};
    struct chat_request r = asking(m, &message, parts, 2);
    struct prepared p = {0};
    struct api_error e = {0};
    assert_false(prepare_chat(&p, m, &r, &e));
    assert_int_equal(api_error_status(&e), 400);
    assert_string_equal(e.param, "messages[0].content[1]");
    assert_non_null(strstr(e.err.text, "messages[0].content[1]: "));
    prepared_clear(&p);
}

static void long_audio_is_refused_when_asked_to(void **state)
{
    struct loaded_model *m = *state;
    struct prepared p = {0};
    struct api_error e = {0};
    assert_false(prepare_silence(m, 496000, LONG_AUDIO_REFUSE, &p, &e));
    assert_int_equal(api_error_status(&e), 400);
    assert_non_null(strstr(e.err.text, "31.0 s of audio, expected at most 30 s"));
    prepared_clear(&p);
}

static void a_prompt_over_the_context_is_refused(void **state)
{
    struct loaded_model *m = *state;
    struct request_message message;
    char *long_text = malloc(100000);
    assert_non_null(long_text);
    memset(long_text, '1', 100000); /* a digit is a token */
    struct request_part part = {.text = long_text, .text_size = 100000};
    struct chat_request r = asking(m, &message, &part, 1);
    struct prepared p = {0};
    struct api_error e = {0};
    assert_false(prepare_chat(&p, m, &r, &e));
    assert_string_equal(api_error_code(&e), "context_length_exceeded");
    assert_int_equal(api_error_status(&e), 400);
    assert_non_null(strstr(e.err.text, "tokens of prompt leave no room in the context of 8192"));
    prepared_clear(&p);
    free(long_text);
}

static void audio_over_the_context_is_refused(void **state)
{
    struct loaded_model *m = *state;
    struct prepared p = {0};
    struct api_error e = {0};
    assert_false(prepare_silence(m, 16000 * 330, LONG_AUDIO_SPLIT, &p, &e)); /* 8250 tokens */
    assert_string_equal(api_error_code(&e), "audio_too_long");
    assert_int_equal(api_error_status(&e), 400);
    prepared_clear(&p);
    e = (struct api_error){0};
    assert_false(prepare_silence(m, 16000 * 327, LONG_AUDIO_SPLIT, &p, &e)); /* 8175 tokens and a prompt */
    assert_string_equal(api_error_code(&e), "context_length_exceeded");
    prepared_clear(&p);
}

/* Windows, clips and tokens of lengths around the window's. */
static void long_audio_is_split_at_windows(void **state)
{
    struct loaded_model *m = *state;
    static const struct {
        size_t samples;
        int clips, tokens;
    } cases[] = {
        {1, 1, 0},
        {320, 1, 0},
        {321, 1, 0},
        {800, 1, 1},
        {480000, 1, 750},
        {480001, 1, 750}, /* the rest makes no token */
        {480000 + 800, 2, 751},
        {960000, 2, 1500},
        {960000 + 16000, 3, 1525},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct prepared p = {0};
        struct api_error e = {0};
        if (!prepare_silence(m, cases[i].samples, LONG_AUDIO_SPLIT, &p, &e))
            fail_msg("%zu samples: %s", cases[i].samples, e.err.text);
        assert_int_equal(p.recording_count, 1);
        assert_int_equal(p.recordings[0].clip_count, cases[i].clips);
        assert_int_equal(p.chat.prompt.clip_count, cases[i].clips);
        if (cases[i].samples > 321)
            assert_int_equal(p.audio_tokens, cases[i].tokens);
        assert_int_equal(p.audio_tokens, p.chat.audio_tokens);
        assert_int_equal(p.warning_count, 0);
        prepared_clear(&p);
    }
}

static void truncation_says_so(void **state)
{
    struct loaded_model *m = *state;
    struct prepared p = {0};
    struct api_error e = {0};
    assert_true(prepare_silence(m, 544000, LONG_AUDIO_TRUNCATE, &p, &e));
    assert_int_equal(p.recordings[0].clip_count, 1);
    assert_int_equal(p.recordings[0].window_count, 2);
    assert_int_equal(p.audio_tokens, 750);
    assert_int_equal(p.warning_count, 1);
    assert_string_equal(p.warnings[0],
                        "messages[0].content[0]: only the first 30 s of 34.0 s of audio were used");
    prepared_clear(&p);
}

static void short_audio_is_not_truncated(void **state)
{
    struct loaded_model *m = *state;
    struct prepared p = {0};
    struct api_error e = {0};
    assert_true(prepare_silence(m, 480000, LONG_AUDIO_TRUNCATE, &p, &e));
    assert_int_equal(p.warning_count, 0);
    prepared_clear(&p);
}

static int setup(void **state)
{
    static struct loaded_model m;
    open_tiny(&m, 1, 0);
    *state = &m;
    return 0;
}

static int teardown(void **state)
{
    loaded_model_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_audio_is_refused_with_its_place),
        cmocka_unit_test(long_audio_is_refused_when_asked_to),
        cmocka_unit_test(a_prompt_over_the_context_is_refused),
        cmocka_unit_test(audio_over_the_context_is_refused),
        cmocka_unit_test(long_audio_is_split_at_windows),
        cmocka_unit_test(truncation_says_so),
        cmocka_unit_test(short_audio_is_not_truncated),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
