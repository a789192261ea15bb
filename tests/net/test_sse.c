#include "net/sse.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Events as text: "name=data;" each. */
struct heard {
    char text[2000];
    int room_for; /* refuse the event after so many; -1: take all */
};

static bool hear(void *arg, const struct sse_event *event, struct err *e)
{
    struct heard *h = arg;
    size_t used = strlen(h->text);
    assert_int_equal(strlen(event->data), event->size);
    if (h->room_for == 0)
        return err_set(e, ERR_CANCELLED, "enough");
    h->room_for--;
    snprintf(h->text + used, sizeof h->text - used, "%s=%s;", event->name, event->data);
    return true;
}

/* The stream in pieces that end at cut_a and cut_b. */
static void read_in_pieces(const char *stream, size_t size, size_t cut_a, size_t cut_b, struct heard *h)
{
    struct err e = {0};
    *h = (struct heard){.room_for = -1};
    struct sse *s = sse_new(1000, hear, h, &e);
    assert_non_null(s);
    assert_true(sse_push(s, stream, cut_a, &e));
    assert_true(sse_push(s, stream + cut_a, cut_b - cut_a, &e));
    assert_true(sse_push(s, stream + cut_b, size - cut_b, &e));
    sse_free(s);
}

static const struct {
    const char *stream, *events;
} streams[] = {
    {"data", ""},                  /* cut in the middle of a line */
    {"data: half an event\n", ""}, /* no empty line: dropped */
    {"event: ping\n\n", ""},       /* no data: no event */
    {":\n: comment\n\n\n", ""},
    {"data\n\n", "message=;"},
    {"data: a\n\ndata: b\n\n", "message=a;message=b;"},
    {"data: a\r\rdata: b\r\n\r\ndata: c\n\n", "message=a;message=b;message=c;"},
    {"data:a\ndata:  b\ndata\n\n", "message=a\n b\n;"}, /* one space goes, the rest stays */
    {"event: ping\ndata: {}\n\ndata: x\n\n", "ping={};message=x;"},
    {"id: 7\nretry: 10\nbogus: y\ndata: x\n\n", "message=x;"},
    {"\xef\xbb\xbf"
     "data: x\n\n",
     "message=x;"},
    {"data: x\n\n\xef\xbb\xbf"
     "data: y\n\n",
     "message=x;"}, /* only the stream's first line may have one */
    {"data: \xe6\x97\xa5\n: keep alive\ndata: \xe6\x9c\xac\n\n", "message=\xe6\x97\xa5\n\xe6\x9c\xac;"},
    {"data: [DONE]\r\n\r\n", "message=[DONE];"},
};

static void any_split_gives_the_same_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        size_t size = strlen(streams[i].stream);
        for (size_t a = 0; a <= size; a++) {
            for (size_t b = a; b <= size; b++) {
                struct heard h;
                read_in_pieces(streams[i].stream, size, a, b, &h);
                assert_string_equal(h.text, streams[i].events);
            }
        }
    }
}

static void event_over_the_ceiling_is_refused(void **state)
{
    static const char *const greedy[] = {"data: 12345678901234567890\n\n",
                                         "data: 1234567890\ndata: 1234567890\n\n",
                                         ": a comment without an end "};
    (void)state;
    for (size_t i = 0; i < sizeof greedy / sizeof *greedy; i++) {
        struct err e = {0};
        struct heard h = {.room_for = -1};
        struct sse *s = sse_new(20, hear, &h, &e);
        bool ok = true;
        for (const char *c = greedy[i]; ok && *c; c++)
            ok = sse_push(s, c, 1, &e);
        assert_false(ok);
        assert_int_equal(e.kind, ERR_LIMIT);
        assert_string_equal(e.text, "event stream: an event of more than 20 bytes");
        assert_string_equal(h.text, "");
        sse_free(s);
    }
}

static void listener_ends_the_reading(void **state)
{
    struct err e = {0};
    struct heard h = {.room_for = 1};
    struct sse *s = sse_new(100, hear, &h, &e);
    const char stream[] = "data: a\n\ndata: b\n\ndata: c\n\n";
    (void)state;
    assert_false(sse_push(s, stream, strlen(stream), &e));
    assert_int_equal(e.kind, ERR_CANCELLED);
    assert_string_equal(h.text, "message=a;");
    sse_free(s);
}

static void free_of_null_is_fine(void **state)
{
    (void)state;
    sse_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_split_gives_the_same_events),
        cmocka_unit_test(event_over_the_ceiling_is_refused),
        cmocka_unit_test(listener_ends_the_reading),
        cmocka_unit_test(free_of_null_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
