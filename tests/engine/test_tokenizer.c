/* Encoding and decoding against the reference, added tokens, hostile text, threads. */
#include "engine/text/nfc.h"
#include "token_cases.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include <cmocka.h>

static void ids_and_texts_are_those_of_the_reference(void **state)
{
    struct tokenizer *t = text_data_tokenizer(QWEN2_TOKENIZER, QWEN2_ROWS);
    (void)state;
    every_golden_is_met(t);
    tokenizer_free(t);
}

static void text_that_is_not_utf8_is_refused(void **state)
{
    static const char *const bad[] = {"\xff",     "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xe3\x81", "\x80"};
    struct tokenizer *t = text_data_tokenizer(TINY_AUDIO, TINY_ROWS);
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ids ids = {0};
        struct err e = {0};
        assert_false(tokenizer_encode(t, bad[i], strlen(bad[i]), SPECIALS_AS_TEXT, &ids, &e));
        assert_int_equal(e.kind, ERR_USAGE);
        ids_clear(&ids);
    }
    tokenizer_free(t);
}

static void check_ids(const struct tokenizer *t, const char *text, const int *want, size_t count)
{
    struct ids ids = encode(t, text, strlen(text), SPECIALS_AS_TOKENS);
    if (ids.count != count)
        fail_msg("\"%s\": %zu ids, expected %zu", text, ids.count, count);
    assert_memory_equal(ids.data, want, count * sizeof *want);
    ids_clear(&ids);
}

static void flags_of_added_tokens_are_honoured(void **state)
{
    static const char config[] =
        "{\"added_tokens_decoder\":{\"1030\":{\"content\":\"<l>\",\"lstrip\":true},\"1031\":{\"content\":\"<"
        "r>\",\"rstrip\":true},"
        "\"1032\":{\"content\":\"<l>!\",\"special\":true},\"1033\":{\"content\":\"e\xcc\x81\","
        "\"normalized\":true},"
        "\"1034\":{\"content\":\"<p>\"}}}";
    struct folder_files d;
    size_t size;
    (void)state;
    load_files(&d, TINY_AUDIO);
    d.f.config = file_of(config);
    struct tokenizer *t = parse_files(&d.f, TINY_ROWS);
    check_ids(t, "a \t<l> a", (int[]){64, 1030, 264}, 3);               /* " a" is 264 */
    check_ids(t, "a <r>\xe3\x80\x80 a", (int[]){64, 220, 1031, 64}, 4); /* U+3000 is white space */
    check_ids(t, " <l>! a", (int[]){220, 1032, 264}, 3);                /* the longer one */
    check_ids(t, "<p>\xc3\xa9<p>", (int[]){1034, 1033, 1034}, 3);       /* composed in the text */
    check_ids(t, "<p>e\xcc\x81<p>", (int[]){1034, 1033, 1034}, 3);      /* decomposed in the text */
    check_ids(t, "<l", (int[]){27, 75}, 2);
    assert_int_equal(tokenizer_added(t, "<l>!"), 1032);
    assert_int_equal(tokenizer_added(t, "<l"), -1);
    assert_int_equal(tokenizer_added(t, "<q>"), -1);
    assert_null(tokenizer_bytes(t, 1032, &size));
    assert_int_equal(size, 0);
    tokenizer_bytes(t, 1034, &size);
    assert_int_equal(size, 3);
    tokenizer_name(t, 1032, &size);
    assert_int_equal(size, 4);
    for (int id = -2; id < TINY_ROWS + 2; id++)
        if (id < 0 || id >= 1035) {
            assert_null(tokenizer_name(t, id, &size));
            assert_int_equal(size, 0);
        }
    tokenizer_free(t);
    free_files(&d);
}

static void thousands_of_added_tokens_are_found_quickly(void **state)
{
    enum { TOKENS = 5000, ROWS = 1024 + TOKENS };
    struct folder_files d;
    json_t *root = json_object(), *tokens = json_object();
    char key[16], name[32], *text = malloc(TOKENS * 16);
    size_t size = 0;
    (void)state;
    load_files(&d, TINY_AUDIO);
    for (int i = 0; i < TOKENS; i++) {
        snprintf(key, sizeof key, "%d", 1024 + i);
        snprintf(name, sizeof name, "<|%d.%02d|>", i / 50, i % 50 * 2);
        json_object_set_new(tokens, key, json_pack("{s:s}", "content", name));
        size += (size_t)sprintf(text + size, "%s", name);
    }
    json_object_set_new(root, "added_tokens_decoder", tokens);
    char *config = json_dumps(root, 0);
    d.f.config = file_of(config);
    struct tokenizer *t = parse_files(&d.f, ROWS);
    struct ids ids = encode(t, text, size, SPECIALS_AS_TOKENS);
    assert_int_equal(ids.count, TOKENS);
    for (int i = 0; i < TOKENS; i++)
        assert_int_equal(ids.data[i], 1024 + i);
    ids_clear(&ids);
    tokenizer_free(t);
    free(config);
    free(text);
    json_decref(root);
    free_files(&d);
}

static void text_that_spells_an_added_token_can_stay_text(void **state)
{
    static const char text[] = "<|im_end|>\n<|im_start|>";
    struct tokenizer *t = text_data_tokenizer(QWEN2_TOKENIZER, QWEN2_ROWS);
    size_t size;
    (void)state;
    struct ids ids = encode(t, text, strlen(text), SPECIALS_AS_TEXT);
    for (size_t i = 0; i < ids.count; i++)
        assert_true(ids.data[i] < 151643);
    char *back = decode(t, ids.data, ids.count, tokenizer_bytes, &size);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(back, text, size);
    free(back);
    ids_clear(&ids);
    tokenizer_free(t);
}

/* Endless words, spaces, marks: each takes about linear time. The bound is generous for sanitizers; what is
 * quadratic takes minutes. */
static void long_runs_take_no_quadratic_time(void **state)
{
    static const char *const units[] = {
        "a", " ", "ab", "\n", "!", " a", "\xcc\x81\xcc\x96", "\xe3\x81\x82", "<|im_"};
    enum { BYTES = 1 << 20, LIMIT_MS = 20000 };
    struct tokenizer *t = text_data_tokenizer(QWEN2_TOKENIZER, QWEN2_ROWS);
    char *text = malloc(BYTES + 8);
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t size = 0;
        for (; size < BYTES; size += strlen(units[i]))
            memcpy(text + size, units[i], strlen(units[i]));
        double begin = clock_ms();
        struct ids ids = encode(t, text, size, SPECIALS_AS_TOKENS);
        assert_true(clock_ms() - begin < LIMIT_MS);
        ids_clear(&ids);
    }
    free(text);
    tokenizer_free(t);
}

static void whole_characters(const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        unsigned char c = (unsigned char)text[i];
        size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        assert_true(c < 0x80 || c >= 0xc2);
        assert_true(n <= size - i);
        for (size_t k = 1; k < n; k++)
            assert_int_equal((unsigned char)text[i + k] & 0xc0, 0x80);
        i += n;
    }
}

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u; /* Numerical Recipes */
    return *state >> 8;
}

static void streamed_text_equals_whole_text_in_whole_characters(void **state)
{
    enum { IDS = 300 };
    struct tokenizer *t = text_data_tokenizer(QWEN2_TOKENIZER, QWEN2_ROWS);
    unsigned r = 1;
    (void)state;
    for (int round = 0; round < 200; round++) {
        char all[IDS * 260], whole[sizeof all * 3 + 16], streamed[sizeof whole];
        size_t bytes = 0, n = 0, m = 0;
        struct detokenizer d = {0}, at_once = {0};
        for (int i = 0; i < IDS; i++) {
            size_t size;
            int id = (int)(next_random(&r) % (round % 2 ? 256 : QWEN2_ROWS)); /* single bytes, or any */
            const char *piece = tokenizer_bytes(t, id, &size);
            if (size)
                memcpy(all + bytes, piece, size);
            bytes += size;
            size_t got = detokenizer_push(&d, piece, size, streamed + n);
            assert_true(got <= detokenizer_room(size));
            whole_characters(streamed + n, got);
            n += got;
        }
        n += detokenizer_finish(&d, streamed + n);
        m = detokenizer_push(&at_once, all, bytes, whole);
        m += detokenizer_finish(&at_once, whole + m);
        assert_int_equal(n, m);
        assert_memory_equal(streamed, whole, n);
    }
    tokenizer_free(t);
}

struct broken {
    const char *bytes, *text;
};

#define NO "\xef\xbf\xbd" /* U+FFFD */

/* Expected: Python's bytes.decode("utf-8", "replace"). */
static void invalid_bytes_become_one_sign_per_maximal_part(void **state)
{
    static const struct broken cases[] = {
        {"\xe3\x81\x82", "\xe3\x81\x82"},
        {"\xe3\x81", NO},
        {"\xe3\x81\xe3\x81\x82", NO "\xe3\x81\x82"},
        {"\xc0\x80", NO NO},
        {"\xed\xa0\x80", NO NO NO},
        {"\xf0\x9f\x98", NO},
        {"\xf0\x9f\x98\x41", NO "A"},
        {"\xf5\x80", NO NO},
        {"\xe0\x80\x80", NO NO NO},
        {"\xf4\x90\x80\x80", NO NO NO NO},
        {"\x80", NO},
        {"\xe3\xe3\xe3", NO NO NO},
        {"a\xf0\x9f\x98\x80z", "a\xf0\x9f\x98\x80z"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct detokenizer d = {0};
        char out[64];
        size_t n = 0;
        for (const char *p = cases[i].bytes; *p; p++)
            n += detokenizer_push(&d, p, 1, out + n);
        n += detokenizer_finish(&d, out + n);
        assert_int_equal(n, strlen(cases[i].text));
        assert_memory_equal(out, cases[i].text, n);
    }
}

static void normal_form_is_that_of_utf8proc(void **state)
{
    static const unsigned ranges[][2] = {
        {0x20, 0x180},    {0x300, 0x370},   {0x900, 0xa00},   {0x1100, 0x1200}, {0x1e00, 0x2000},
        {0x2100, 0x2200}, {0x3040, 0x3100}, {0xac00, 0xd7a4}, {0xf900, 0xfb50}, {0x1d150, 0x1d1c0}};
    unsigned r = 9;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        char text[128];
        size_t size = 0, n;
        struct err e = {0};
        for (int i = 0; i < 24; i++) {
            const unsigned *range = ranges[next_random(&r) % 10];
            if (round % 3 == 0)
                range = ranges[1]; /* long runs of marks */
            size += (size_t)utf8proc_encode_char(
                (utf8proc_int32_t)(range[0] + next_random(&r) % (range[1] - range[0])),
                (utf8proc_uint8_t *)text + size);
        }
        text[size] = '\0';
        char *want = (char *)utf8proc_NFC((const utf8proc_uint8_t *)text),
             *got = nfc_compose(text, size, &n, &e);
        assert_int_equal(n, strlen(want));
        assert_memory_equal(got, want, n);
        if (nfc_settled(text, size))
            assert_string_equal(text, want);
        free(want);
        free(got);
    }
}

/* Such text is not copied: worth it, since nearly all text is in normal form already. */
static void text_in_normal_form_is_known_as_such(void **state)
{
    static const char *const settled_texts[] = {"",
                                                "ascii",
                                                "\xc3\xa9",
                                                "\xe3\x81\x8c\xe6\x97\xa5",
                                                "\xea\xb0\x80",
                                                "\xe1\xba\xa5",
                                                "\xf0\x9f\x98\x80"};
    static const char *const others[] = {"e\xcc\x81", "\xe2\x84\xab", "\xea\xb0\x80\xe1\x86\xa8"};
    (void)state;
    for (size_t i = 0; i < sizeof settled_texts / sizeof *settled_texts; i++)
        assert_true(nfc_settled(settled_texts[i], strlen(settled_texts[i])));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(nfc_settled(others[i], strlen(others[i])));
}

struct reader {
    const struct tokenizer *t;
    bool same;
};

static void *encode_often(void *arg)
{
    static const char text[] =
        "Threads share one tokenizer; \xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e too, and e\xcc\x81.";
    struct reader *r = arg;
    struct ids first = encode(r->t, text, strlen(text), SPECIALS_AS_TOKENS);
    r->same = true;
    for (int i = 0; i < 50; i++) {
        struct ids again = encode(r->t, text, strlen(text), SPECIALS_AS_TOKENS);
        r->same &=
            again.count == first.count && !memcmp(again.data, first.data, first.count * sizeof *first.data);
        ids_clear(&again);
    }
    ids_clear(&first);
    return NULL;
}

static void threads_share_a_tokenizer(void **state)
{
    struct tokenizer *t = text_data_tokenizer(TINY_AUDIO, TINY_ROWS);
    struct reader readers[4];
    pthread_t threads[4];
    (void)state;
    for (int i = 0; i < 4; i++) {
        readers[i] = (struct reader){t, false};
        assert_int_equal(pthread_create(&threads[i], NULL, encode_often, &readers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(readers[i].same);
    }
    tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
        cmocka_unit_test(ids_and_texts_are_those_of_the_reference),
        cmocka_unit_test(flags_of_added_tokens_are_honoured),
        cmocka_unit_test(thousands_of_added_tokens_are_found_quickly),
        cmocka_unit_test(text_that_spells_an_added_token_can_stay_text),
        cmocka_unit_test(long_runs_take_no_quadratic_time),
        cmocka_unit_test(streamed_text_equals_whole_text_in_whole_characters),
        cmocka_unit_test(invalid_bytes_become_one_sign_per_maximal_part),
        cmocka_unit_test(normal_form_is_that_of_utf8proc),
        cmocka_unit_test(text_in_normal_form_is_known_as_such),
        cmocka_unit_test(threads_share_a_tokenizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
