/* The service while the model loads: what is held, what is told, what is refused. */
#include "http_client.h"
#include "late_service.h"

#include "base/clock.h"
#include "base/log.h"
#include "serve/server.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define JSON "Content-Type: application/json\r\n"
#define CHAT "/v1/chat/completions"
#define HELLO "\"model\":\"tiny-qwen2-audio\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]"
#define GREEDY HELLO ",\"temperature\":0,\"max_tokens\":8"

struct service {
    struct late_service v;
    struct server *server, *whole; /* whole: with the whole model, to compare with */
    int port, whole_port;
};

static struct server *server_of(const struct server_options *o)
{
    struct err e = {0};
    struct server *s = server_new(o, &e);
    if (!s)
        fail_msg("%s", e.text);
    return s;
}

static void open_service(struct service *v, bool gate)
{
    struct server_options o = {.host = "127.0.0.1", .version = "0"};
    struct err e = {0};
    late_open(&v->v, 2);
    v->whole = server_of(&o);
    assert_true(server_set_model(v->whole, &v->v.whole, &e));
    o.arrival = v->v.late.model.arrival;
    o.gate = gate;
    v->server = server_of(&o);
    v->port = server_port(v->server);
    v->whole_port = server_port(v->whole);
}

static void close_service(struct service *v)
{
    server_free(v->server);
    server_free(v->whole);
    late_close(&v->v);
}

static void give_model(struct service *v)
{
    struct err e = {0};
    assert_true(server_set_model(v->server, &v->v.arriving, &e));
}

static struct reply *reply_new(void)
{
    struct reply *r = calloc(1, sizeof *r);
    assert_non_null(r);
    return r;
}

static int begin_post(int port, const char *path, const char *body)
{
    char head[300];
    int fd = client_connect(port);
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\n" JSON "Content-Length: %zu\r\n\r\n", path,
             strlen(body));
    client_write(fd, head);
    client_write(fd, body);
    return fd;
}

static int begin_events(int port)
{
    int fd = client_connect(port);
    client_write(fd, "GET /v1/load HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
    return fd;
}

static void all_stages(struct service *v)
{
    late_begin_rows(&v->v);
    late_bring(&v->v, 0, stage_head(&v->v.late.model.config));
}

static void finish(struct service *v)
{
    late_end_rows(&v->v);
    late_bring(&v->v, stage_embedding(&v->v.late.model.config), stage_embedding(&v->v.late.model.config));
    late_end(&v->v.late);
}

static json_t *load_of(int port)
{
    struct reply *r = reply_new();
    client_ask(port, "GET", "/v1/load", "", NULL, r);
    assert_int_equal(r->status, 200);
    json_t *load = json_loads(r->body, 0, NULL);
    assert_non_null(load);
    free(r);
    return load;
}

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static double number_of(const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);
    if (!json_is_number(value))
        fail_msg("%s is no number", key);
    return json_number_value(value);
}

static int status_of(int port, const char *path)
{
    struct reply *r = reply_new();
    client_ask(port, "GET", path, "", NULL, r);
    int status = r->status;
    free(r);
    return status;
}

static void wait_until_asked(struct service *v)
{
    struct arrival_asked asked = {0};
    for (double until = clock_ms() + 10e3; !asked.audio && !asked.text; pause_ms(1)) {
        asked = arrival_asked(v->v.late.model.arrival);
        assert_true(clock_ms() < until);
    }
}

/* --- gate --- */

static void behind_the_gate_requests_are_503_until_all_is_there(void **state)
{
    struct service v;
    struct reply *r = reply_new();
    (void)state;
    open_service(&v, true);
    const char *paths[] = {CHAT, "/v1/audio/transcriptions"};
    for (size_t i = 0; i < 2; i++) {
        client_ask(v.port, "POST", paths[i], JSON, "{" GREEDY "}", r);
        assert_int_equal(r->status, 503);
        assert_non_null(strstr(r->body, "model_loading"));
        assert_non_null(strstr(r->body, "the model is not loaded yet (loading 0 %)"));
        assert_non_null(strstr(r->head, "\r\nRetry-After: "));
    }
    assert_int_equal(status_of(v.port, "/healthz"), 200);
    assert_int_equal(status_of(v.port, "/readyz"), 503);
    late_bring(&v.v, 0, stage_embedding(&v.v.late.model.config));
    late_end(&v.v.late);
    assert_int_equal(status_of(v.port, "/readyz"), 503); /* nobody has given the model */
    give_model(&v);
    assert_int_equal(status_of(v.port, "/readyz"), 200);
    client_ask(v.port, "POST", CHAT, JSON, "{" GREEDY "}", r);
    assert_int_equal(r->status, 200);
    free(r);
    close_service(&v);
}

static void retry_after_is_when_the_model_will_be_there(void **state)
{
    struct service v;
    struct reply *r = reply_new();
    int seconds = 0;
    (void)state;
    open_service(&v, true);
    arrival_expect(v.v.late.model.arrival, -1, (uint64_t)1 << 40); /* a large model */
    late_bring(&v.v, 0, 2);
    client_ask(v.port, "POST", CHAT, JSON, "{" GREEDY "}", r);
    const char *header = strstr(r->head, "\r\nRetry-After: ");
    assert_non_null(header);
    assert_int_equal(sscanf(header, "\r\nRetry-After: %d", &seconds), 1);
    assert_int_equal(seconds, 300); /* not longer, whatever the rate says */
    free(r);
    close_service(&v);
}

/* --- held --- */

static void request_is_held_and_answered_as_by_the_whole_model(void **state)
{
    struct service v;
    struct reply *held = reply_new(), *whole = reply_new();
    (void)state;
    open_service(&v, false);
    int before = begin_post(v.port, CHAT, "{" GREEDY ",\"logprobs\":true,\"top_logprobs\":3}");
    pause_ms(20);
    give_model(&v);
    int behind = begin_post(v.port, CHAT, "{" GREEDY ",\"logprobs\":true,\"top_logprobs\":3}");
    wait_until_asked(&v);
    all_stages(&v);
    client_ask(v.whole_port, "POST", CHAT, JSON, "{" GREEDY ",\"logprobs\":true,\"top_logprobs\":3}", whole);
    json_t *want = json_loads(whole->body, 0, NULL);
    int fds[] = {before, behind};
    for (size_t i = 0; i < 2; i++) {
        client_read(fds[i], held);
        assert_int_equal(held->status, 200);
        json_t *got = json_loads(held->body, 0, NULL);
        assert_true(json_equal(json_object_get(got, "choices"), json_object_get(want, "choices")));
        json_decref(got);
        close(fds[i]);
    }
    assert_int_equal(status_of(v.port, "/readyz"), 503); /* the embedding is not there */
    finish(&v);
    assert_int_equal(status_of(v.port, "/readyz"), 200);
    json_decref(want);
    free(held);
    free(whole);
    close_service(&v);
}

static void stream_that_waits_is_told_how_far_the_load_is(void **state)
{
    struct service v;
    struct reply *r = reply_new(), *whole = reply_new();
    (void)state;
    open_service(&v, false);
    give_model(&v);
    int fd = begin_post(v.port, CHAT, "{" GREEDY ",\"stream\":true}");
    late_bring(&v.v, 0, 2);
    pause_ms(2400);
    all_stages(&v);
    client_read(fd, r);
    assert_int_equal(r->status, 200);
    assert_non_null(strstr(r->head, "text/event-stream"));
    int comments = 0;
    const char *last = r->body;
    for (const char *at = r->body; (at = strstr(at, "\n: loading ")); at++, comments++)
        last = at;
    comments += strncmp(r->body, ": loading ", 10) == 0;
    assert_in_range(comments, 1, 3);
    assert_non_null(strstr(r->body, " %, first token in about "));
    assert_non_null(strstr(r->body, "data: [DONE]\n\n"));
    const char *text = strstr(r->body, "\"delta\":{\"content\":");
    assert_true(text && text > last); /* nothing of it behind the first text */
    client_ask(v.whole_port, "POST", CHAT, JSON, "{" GREEDY ",\"stream\":true}", whole);
    assert_null(strstr(whole->body, ": loading"));
    finish(&v);
    close(fd);
    free(r);
    free(whole);
    close_service(&v);
}

static void client_that_leaves_while_it_waits_frees_its_place(void **state)
{
    struct service v;
    (void)state;
    open_service(&v, false);
    give_model(&v);
    const char *bodies[] = {"{" GREEDY ",\"stream\":true}", "{" GREEDY "}"};
    for (size_t i = 0; i < 2; i++) {
        int fd = begin_post(v.port, CHAT, bodies[i]);
        wait_until_asked(&v);
        close(fd);
        double until = clock_ms() + 5e3;
        while (arrival_asked(v.v.late.model.arrival).text && clock_ms() < until)
            pause_ms(5);
        assert_int_equal(arrival_asked(v.v.late.model.arrival).text, 0);
    }
    close_service(&v);
}

static void load_that_fails_tells_who_waits(void **state)
{
    struct service v;
    struct reply *r = reply_new();
    struct err why = {0};
    (void)state;
    open_service(&v, false);
    give_model(&v);
    int plain = begin_post(v.port, CHAT, "{" GREEDY "}");
    int stream = begin_post(v.port, CHAT, "{" GREEDY ",\"stream\":true}"), events = begin_events(v.port);
    pause_ms(1200);
    err_set(&why, ERR_CORRUPT, "model.safetensors: bytes 8-15 are wrong");
    arrival_fail(v.v.late.model.arrival, &why);
    client_read(plain, r);
    assert_int_equal(r->status, 503);
    assert_non_null(strstr(r->body, "the model did not load: model.safetensors: bytes 8-15 are wrong"));
    client_read(stream, r);
    assert_int_equal(r->status, 200);
    assert_non_null(strstr(r->body, "data: {\"error\":{\"message\":\"the model did not load: "));
    client_read(events, r);
    assert_non_null(strstr(r->body, "\"state\":\"failed\""));
    assert_non_null(strstr(r->body, "\"failure\":\"model.safetensors: bytes 8-15 are wrong\""));
    json_t *load = load_of(v.port);
    assert_string_equal(text_of(load, "state"), "failed");
    json_decref(load);
    close(plain);
    close(stream);
    close(events);
    free(r);
    close_service(&v);
}

/* --- told --- */

static void load_tells_bytes_stages_and_phases(void **state)
{
    struct service v;
    (void)state;
    open_service(&v, false);
    json_t *load = load_of(v.port);
    assert_string_equal(text_of(load, "object"), "load");
    assert_string_equal(text_of(load, "state"), "loading");
    assert_true(json_is_null(json_object_get(load, "first_token_ms")));
    assert_true(json_is_null(json_object_get(load, "failure")));
    double total = number_of(load, "total");
    json_decref(load);
    give_model(&v);
    int fd = begin_post(v.port, CHAT, "{" GREEDY "}");
    wait_until_asked(&v);
    all_stages(&v);
    struct reply *r = reply_new();
    client_read(fd, r);
    load = load_of(v.port);
    assert_true(number_of(load, "bytes") < total);
    assert_true(number_of(load, "percent") < 100);
    const json_t *reached = json_object_get(load, "reached");
    assert_string_equal(text_of(reached, "waits_for"), "embedding");
    assert_int_equal((int)number_of(reached, "done"), 8);
    assert_int_equal((int)number_of(reached, "of"), 9);
    const json_t *stages = json_object_get(load, "stages");
    assert_int_equal(json_array_size(stages), 9);
    const json_t *decoder = json_array_get(stages, 4), *tower = json_array_get(stages, 1);
    assert_string_equal(text_of(decoder, "name"), "decoder layer 0");
    assert_true(number_of(decoder, "arrived_ms") > 0);
    assert_true(number_of(decoder, "done_ms") >= number_of(decoder, "begun_ms"));
    assert_true(json_is_null(json_object_get(tower, "busy_ms"))); /* text does not pass there */
    json_decref(load);
    finish(&v);
    load = load_of(v.port);
    assert_string_equal(text_of(load, "state"), "loaded");
    assert_int_equal((int)number_of(load, "percent"), 100);
    assert_true(number_of(load, "bytes") == total);
    double sum = 0;
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(load, "phases"), key, value) sum += json_number_value(value);
    assert_true(sum > number_of(load, "elapsed_ms") - 1 && sum < number_of(load, "elapsed_ms") + 1);
    json_decref(load);
    close(fd);
    free(r);
    close_service(&v);
}

static void load_is_a_stream_for_who_accepts_events(void **state)
{
    struct service v;
    struct reply *r = reply_new();
    (void)state;
    open_service(&v, false);
    int fd = begin_events(v.port);
    pause_ms(1300);
    late_bring(&v.v, 0, stage_embedding(&v.v.late.model.config));
    late_end(&v.v.late);
    give_model(&v);
    client_read(fd, r);
    assert_int_equal(r->status, 200);
    assert_non_null(strstr(r->head, "text/event-stream"));
    assert_true(r->whole);
    int events = 0;
    for (const char *at = r->body; (at = strstr(at, "data: {\"object\":\"load\"")); at++)
        events++;
    assert_in_range(events, 3, 6);
    const char *end = strstr(r->body, "\"state\":\"loaded\"");
    assert_non_null(end);
    assert_non_null(strstr(end, "\"stages\":[{"));
    close(fd);
    fd = begin_events(v.port); /* afterwards it says so and ends */
    client_read(fd, r);
    assert_true(r->whole);
    assert_non_null(strstr(r->body, "\"state\":\"loaded\""));
    close(fd);
    free(r);
    close_service(&v);
}

static void stopping_ends_the_stream_of_the_load(void **state)
{
    struct service v;
    struct reply *r = reply_new();
    (void)state;
    open_service(&v, false);
    int fd = begin_events(v.port);
    pause_ms(100);
    double begun = clock_ms();
    server_stop(v.server, 5);
    assert_true(clock_ms() - begun < 3000);
    client_read(fd, r);
    assert_true(r->whole);
    close(fd);
    free(r);
    close_service(&v);
}

static void metrics_tell_of_the_load(void **state)
{
    static const char *const names[] = {
        "\nferry_ready 0\n",
        "\nferry_load_bytes ",
        "\nferry_load_total_bytes ",
        "\nferry_load_seconds ",
        "\nferry_load_bytes_per_second ",
        "\nferry_load_phase_seconds{phase=\"headers\"} ",
    };
    struct service v;
    struct reply *r = reply_new();
    (void)state;
    open_service(&v, false);
    give_model(&v);
    late_bring(&v.v, 0, 3);
    client_ask(v.port, "GET", "/metrics", "", NULL, r);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strstr(r->body, names[i]))
            fail_msg("%s is missing in %s", names[i], r->body);
    free(r);
    close_service(&v);
}

int main(void)
{
    log_set_level(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behind_the_gate_requests_are_503_until_all_is_there),
        cmocka_unit_test(retry_after_is_when_the_model_will_be_there),
        cmocka_unit_test(load_that_fails_tells_who_waits),
        cmocka_unit_test(client_that_leaves_while_it_waits_frees_its_place),
        cmocka_unit_test(stopping_ends_the_stream_of_the_load),
        cmocka_unit_test(request_is_held_and_answered_as_by_the_whole_model),
        cmocka_unit_test(stream_that_waits_is_told_how_far_the_load_is),
        cmocka_unit_test(load_tells_bytes_stages_and_phases),
        cmocka_unit_test(load_is_a_stream_for_who_accepts_events),
        cmocka_unit_test(metrics_tell_of_the_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
