/* Stop strings: the same end wherever the text was cut. */
#include "engine/stop.h"
#include "engine/text/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct stop_case {
    const char *stops[4];
    const char *text;
    const char *want;
    bool stopped;
};

static const struct stop_case cases[] = {
    {{"aab"}, "aaaab!", "aa", true},
    {{"abab\xc3\xa9"}, "ababab\xc3\xa9 rest", "ab", true},
    {{"abcd", "bc"}, "xabcd", "xa", true}, /* the one that is complete first */
    {{"bc", "abc"}, "xabcd", "x", true},   /* of those complete at once, the longest */
    {{"\n\n", "User:"}, "a\nUse\n\nUser:", "a\nUse", true},
    {{"\xe6\x97\xa5\xe6\x9c\xac"}, "\xe6\x97\xa5\xe6\x97\xa5\xe6\x9c\xac", "\xe6\x97\xa5", true},
    {{"x"}, "x", "", true},
    {{"END"}, "the EN", "the EN", false}, /* held back, then handed out at the end */
    {{"END"}, "", "", false},
    {{NULL}, "anything", "anything", false},
    {{"aaaa"}, "aaabaaab", "aaabaaab", false},
};

static int count_stops(const struct stop_case *c)
{
    int n = 0;
    while (n < 4 && c->stops[n])
        n++;
    return n;
}

static struct stop_matcher *matcher_for(const char *const *stops, int count)
{
    struct err e = {0};
    struct stop_matcher *m = stop_new(stops, count, &e);
    if (!m)
        fail_msg("%s", e.text);
    return m;
}

/* Pushes text in pieces of the given sizes, the last one repeated. */
static void check_cut(const struct stop_case *c, size_t first, size_t then)
{
    struct stop_matcher *m = matcher_for(c->stops, count_stops(c));
    char out[256];
    size_t n = 0, size = strlen(c->text);
    bool stopped = false;
    for (size_t at = 0, take = first; at < size; at += take, take = then) {
        if (take > size - at)
            take = size - at;
        char piece[64];
        assert_true(stop_room(m, take) <= sizeof piece);
        size_t got = stop_push(m, c->text + at, take, piece, &stopped);
        memcpy(out + n, piece, got);
        n += got;
    }
    n += stop_finish(m, out + n);
    assert_int_equal(stopped, c->stopped);
    assert_int_equal(n, strlen(c->want));
    assert_memory_equal(out, c->want, n);
    stop_free(m);
}

static void text_ends_at_the_same_place_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t first = 1; first <= strlen(cases[i].text) + 1; first++)
            for (size_t then = 1; then <= 5; then++)
                check_cut(&cases[i], first, then);
}

/* Where and how the naive search ends: the stop string complete first, of those the longest. */
static size_t simple_end(const char *text, size_t size, const char *const *stops, int count)
{
    for (size_t end = 1; end <= size; end++) {
        size_t longest = 0;
        for (int i = 0; i < count; i++) {
            size_t n = strlen(stops[i]);
            if (n <= end && n > longest && memcmp(text + end - n, stops[i], n) == 0)
                longest = n;
        }
        if (longest)
            return end - longest;
    }
    return size;
}

static void random_texts_end_where_a_plain_search_ends(void **state)
{
    enum { SIZE = 200, STOPS = 16 };
    struct random r;
    (void)state;
    random_seed(&r, 5);
    for (int round = 0; round < 2000; round++) {
        char text[SIZE], words[STOPS][8], out[SIZE * 2];
        const char *stops[STOPS];
        int count = 1 + (int)(random_next(&r) % STOPS);
        for (int i = 0; i < SIZE; i++)
            text[i] = "ab"[random_next(&r) % 2];
        for (int i = 0; i < count; i++) {
            size_t size = 3 + random_next(&r) % 5;
            for (size_t k = 0; k < size; k++)
                words[i][k] = "abc"[random_next(&r) % (round % 2 ? 2 : 3)];
            words[i][size] = '\0';
            stops[i] = words[i];
        }
        struct stop_matcher *m = matcher_for(stops, count);
        size_t n = 0;
        bool stopped = false;
        for (size_t at = 0, take; at < SIZE; at += take) {
            take = 1 + random_next(&r) % 9;
            take = take < SIZE - at ? take : SIZE - at;
            n += stop_push(m, text + at, take, out + n, &stopped);
        }
        n += stop_finish(m, out + n);
        assert_int_equal(n, simple_end(text, SIZE, stops, count));
        assert_memory_equal(out, text, n);
        stop_free(m);
    }
}

static void only_what_may_begin_a_stop_string_is_held_back(void **state)
{
    static const char *const stops[] = {"<end>", "stop"};
    struct stop_matcher *m = matcher_for(stops, 2);
    char out[64];
    bool stopped;
    (void)state;
    assert_int_equal(stop_push(m, "Hello", 5, out, &stopped), 5);
    assert_int_equal(stop_push(m, "<en", 3, out, &stopped), 0);
    assert_int_equal(stop_push(m, "t", 1, out, &stopped), 4);
    assert_int_equal(stop_push(m, "sto", 3, out, &stopped), 0);
    assert_int_equal(stop_push(m, "st", 2, out, &stopped), 3);
    assert_false(stopped);
    assert_int_equal(stop_finish(m, out), 2);
    stop_free(m);
}

static void nothing_comes_after_the_stop(void **state)
{
    static const char *const stops[] = {"."};
    struct stop_matcher *m = matcher_for(stops, 1);
    char out[64];
    bool stopped;
    (void)state;
    assert_int_equal(stop_push(m, "ab.cd", 5, out, &stopped), 2);
    assert_true(stopped);
    assert_int_equal(stop_push(m, "ef", 2, out, &stopped), 0);
    assert_true(stopped);
    assert_int_equal(stop_finish(m, out), 0);
    stop_free(m);
}

static void bad_stop_strings_are_refused(void **state)
{
    static char huge[STOP_MAX_BYTES + 2];
    const char *many[STOP_MAX_STRINGS + 1], *one[] = {"ok", ""}, *large[] = {huge};
    struct err e = {0};
    (void)state;
    memset(huge, 'a', sizeof huge - 1);
    for (int i = 0; i <= STOP_MAX_STRINGS; i++)
        many[i] = "x";
    assert_null(stop_new(many, STOP_MAX_STRINGS + 1, &e));
    assert_string_equal(e.text, "17 stop strings, expected at most 16");
    assert_null(stop_new(one, 2, &e));
    assert_string_equal(e.text, "stop string 2: has 0 bytes, expected 1 to 4096");
    assert_null(stop_new(large, 1, &e));
    assert_string_equal(e.text, "stop string 1: has 4097 bytes, expected 1 to 4096");
    assert_int_equal(e.kind, ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_stop_strings_are_refused),
        cmocka_unit_test(text_ends_at_the_same_place_however_it_is_cut),
        cmocka_unit_test(random_texts_end_where_a_plain_search_ends),
        cmocka_unit_test(only_what_may_begin_a_stop_string_is_held_back),
        cmocka_unit_test(nothing_comes_after_the_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
