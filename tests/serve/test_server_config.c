/* The live configuration as clients of the HTTP service see it. */
#include "fake_source.h"
#include "fixture.h"
#include "http_client.h"

#include "base/clock.h"
#include "base/log.h"
#include "serve/server.h"

#include <jansson.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define JSON "Content-Type: application/json\r\n"
#define CHAT "/v1/chat/completions"
#define NAMED "\r\nX-Ferry-Config-Generation: "
/* Sampled hot and without stop ids: goes on to max_tokens. */
#define HOT                                                                                                  \
    "\"model\":\"tiny-qwen2-audio\",\"logit_bias\":{\"1024\":-100,\"1026\":-100},\"temperature\":1.5,"       \
    "\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]"

enum { CONTEXT = 256 };

struct service {
    struct fake_source source;
    struct loaded_model model;
    struct server *server;
    int port;
    struct reply *r;
};

static void load(struct service *v)
{
    struct err e = {0};
    open_tiny(&v->model, 2, CONTEXT);
    assert_true(server_set_model(v->server, &v->model, &e));
}

/* Looks at each request: no answer is older than its question. */
static void start(struct service *v, bool loaded)
{
    struct err e = {0};
    struct server_options o = {.host = "127.0.0.1",
                               .version = "0",
                               .api_key = "key",
                               .config = &v->source.source,
                               .config_seconds = 1e-9};
    v->server = server_new(&o, &e);
    if (!v->server)
        fail_msg("%s", e.text);
    v->port = server_port(v->server);
    if (loaded)
        load(v);
}

static int setup(void **state)
{
    struct service *v = calloc(1, sizeof *v);
    v->r = calloc(1, sizeof *v->r);
    fake_source_init(&v->source);
    *state = v;
    return 0;
}

static int teardown(void **state)
{
    struct service *v = *state;
    server_free(v->server);
    loaded_model_close(&v->model);
    free(v->r);
    free(v);
    return 0;
}

static void ask(struct service *v, const char *body)
{
    client_ask(v->port, "POST", CHAT, JSON "Authorization: Bearer key\r\n", body, v->r);
}

static void get(struct service *v, const char *path)
{
    client_ask(v->port, "GET", path, "Authorization: Bearer key\r\n", NULL, v->r);
}

/* The reply's header; -1 when there is none. */
static long long generation(const struct reply *r)
{
    const char *found = strstr(r->head, NAMED);
    return found ? atoll(found + strlen(NAMED)) : -1;
}

static int usage(const struct reply *r, const char *what)
{
    json_t *body = json_loads(r->body, 0, NULL);
    int n = (int)json_integer_value(json_object_get(json_object_get(body, "usage"), what));
    json_decref(body);
    return n;
}

/* As it is known after a look that ended since. */
static json_t *config_now(struct service *v)
{
    double begin = clock_ms();
    for (;;) {
        get(v, "/v1/config");
        json_t *body = json_loads(v->r->body, 0, NULL), *ago = json_object_get(body, "checked_seconds_ago");
        if (v->r->status != 200)
            fail_msg("%s", v->r->body);
        if (json_is_real(ago) && json_real_value(ago) * 1e3 < clock_ms() - begin)
            return body;
        json_decref(body);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static const char *text(const json_t *body, const char *name)
{
    return json_string_value(json_object_get(body, name));
}

static void answers_are_made_by_the_configuration_they_name(void **state)
{
    struct service *v = *state;
    fake_source_put(&v->source, 10, "{\"max_tokens\":3}");
    start(v, true);
    ask(v, "{" HOT "}");
    assert_int_equal(v->r->status, 200);
    assert_int_equal(generation(v->r), 10);
    assert_int_equal(usage(v->r, "completion_tokens"), 3);
    int prompt = usage(v->r, "prompt_tokens");
    fake_source_put(&v->source, 11,
                    "{\"max_tokens\":5,\"system_prompt\":\"You are a helpful assistant. Yes.\"}");
    ask(v, "{" HOT "}");
    assert_int_equal(generation(v->r), 11);
    assert_int_equal(usage(v->r, "completion_tokens"), 5);
    assert_true(usage(v->r, "prompt_tokens") > prompt);
    ask(v, "{" HOT ",\"max_tokens\":7}"); /* a request's own word */
    assert_int_equal(generation(v->r), 11);
    assert_int_equal(usage(v->r, "completion_tokens"), 7);
}

static void streams_and_errors_name_it_too(void **state)
{
    struct service *v = *state;
    static const struct {
        const char *headers, *body;
        int status;
        long long generation;
    } cases[] = {
        {JSON "Authorization: Bearer key\r\n", "{" HOT ",\"stream\":true}", 200, 10},
        {JSON "Authorization: Bearer key\r\n", "{", 400, 10},
        {JSON "Authorization: Bearer key\r\n", "{" HOT ",\"tools\":[1]}", 400, 10},
        {JSON "Authorization: Bearer key\r\n", "{\"model\":\"x\"}", 404, 10},
        {"Authorization: Bearer key\r\n", "{}", 415, 10},
        {JSON "Authorization: Bearer key\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n", NULL,
         413, 10},
        {JSON, "{" HOT "}", 401, -1}, /* not of the world's business */
    };
    fake_source_put(&v->source, 10, "{\"max_tokens\":3}");
    start(v, true);
    json_decref(config_now(v));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client_ask(v->port, "POST", CHAT, cases[i].headers, cases[i].body, v->r);
        if (v->r->status != cases[i].status || generation(v->r) != cases[i].generation)
            fail_msg("case %zu: %s", i, v->r->head);
    }
    get(v, "/v1/models");
    assert_int_equal(generation(v->r), -1); /* nothing there depends on it */
}

static void bad_one_changes_nothing_and_is_told(void **state)
{
    struct service *v = *state;
    fake_source_put(&v->source, 10, "{\"max_tokens\":3}");
    start(v, true);
    ask(v, "{" HOT "}");
    fake_source_put(&v->source, 11, "{\"max_tokens\":0}");
    ask(v, "{" HOT "}");
    assert_int_equal(v->r->status, 200);
    assert_int_equal(generation(v->r), 10);
    assert_int_equal(usage(v->r, "completion_tokens"), 3);
    json_t *c = config_now(v), *rejected = json_object_get(c, "rejected");
    assert_string_equal(text(c, "object"), "config");
    assert_string_equal(text(c, "source"), "fake");
    assert_string_equal(text(c, "generation"), "10");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(c, "config"), "max_tokens")), 3);
    assert_string_equal(text(rejected, "generation"), "11");
    assert_string_equal(text(rejected, "problem"), "max_tokens: 0 is out of range, expected 1 to 1073741824");
    assert_true(json_is_true(json_object_get(rejected, "stands")));
    assert_int_equal(json_integer_value(json_object_get(c, "rejected_total")), 1);
    assert_true(json_is_null(json_object_get(c, "failure")));
    assert_true(json_number_value(json_object_get(c, "checked_seconds_ago")) < 60);
    json_decref(c);
    get(v, "/metrics");
    assert_non_null(strstr(v->r->body, "\nferry_config_generation 10\n"));
    assert_non_null(strstr(v->r->body, "\nferry_config_rejected_generation 11\n"));
    assert_non_null(strstr(v->r->body, "\nferry_config_rejected 1\n"));
    assert_non_null(strstr(v->r->body, "\nferry_config_rejected_total 1\n"));
    fake_source_put(&v->source, 12, "{\"max_tokens\":4}");
    ask(v, "{" HOT "}");
    assert_int_equal(generation(v->r), 12);
    get(v, "/metrics");
    assert_non_null(strstr(v->r->body, "\nferry_config_rejected 0\n"));
}

static void prompt_that_would_fill_the_context_is_refused(void **state)
{
    struct service *v = *state;
    static char large[20 * CONTEXT + 100];
    int n = snprintf(large, sizeof large, "{\"system_prompt\":\"");
    for (int i = 0; i < CONTEXT; i++)
        n += snprintf(large + n, sizeof large - (size_t)n, "word %d ", i);
    snprintf(large + n, sizeof large - (size_t)n, "\"}");
    fake_source_put(&v->source, 10, large);
    start(v, false);
    json_decref(config_now(v)); /* before the model: it is taken, since nobody knows better */
    load(v);
    ask(v, "{" HOT ",\"max_tokens\":3}");
    assert_int_equal(v->r->status, 200);
    assert_int_equal(generation(v->r), 0);
    json_t *c = config_now(v);
    assert_non_null(strstr(text(json_object_get(c, "rejected"), "problem"),
                           "expected at most 192 of the 256 that the context holds"));
    json_decref(c);
}

static void without_an_object_requests_are_answered_with_the_defaults(void **state)
{
    struct service *v = *state;
    start(v, true);
    ask(v, "{" HOT ",\"max_tokens\":3}");
    assert_int_equal(v->r->status, 200);
    assert_int_equal(generation(v->r), 0);
    json_t *c = config_now(v);
    assert_string_equal(text(c, "failure"), "fake: no such object");
    assert_true(json_is_null(json_object_get(c, "rejected")));
    json_decref(c);
}

static void a_running_answer_keeps_its_configuration(void **state)
{
    struct service *v = *state;
    char head[300];
    fake_source_put(&v->source, 10, "{\"max_tokens\":150}");
    start(v, true);
    const char *body = "{" HOT ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}";
    int fd = client_connect(v->port);
    snprintf(head, sizeof head,
             "POST " CHAT " HTTP/1.1\r\nHost: x\r\n" JSON
             "Authorization: Bearer key\r\nContent-Length: %zu\r\n\r\n",
             strlen(body));
    client_write(fd, head);
    client_write(fd, body);
    struct pollfd begun = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&begun, 1, 10000), 1); /* its first event is here */
    fake_source_put(&v->source, 11, "{\"max_tokens\":2}");
    ask(v, "{" HOT "}");
    assert_int_equal(generation(v->r), 11);
    assert_int_equal(usage(v->r, "completion_tokens"), 2);
    client_read(fd, v->r);
    assert_int_equal(generation(v->r), 10);
    assert_non_null(strstr(v->r->body, "\"completion_tokens\":150"));
    close(fd);
}

static void place_that_hangs_does_not_hang_the_service(void **state)
{
    struct service *v = *state;
    fake_source_put(&v->source, 10, "{\"max_tokens\":3}");
    start(v, true);
    ask(v, "{" HOT "}");
    fake_source_delay(&v->source, 3600 * 1000);
    double begin = clock_ms();
    ask(v, "{" HOT "}");
    assert_int_equal(v->r->status, 200);
    assert_int_equal(generation(v->r), 10);
    assert_true(clock_ms() - begin < 20000);
    begin = clock_ms();
    server_stop(v->server, 8);
    assert_true(clock_ms() - begin < 5000);
}

static void without_a_source_nothing_of_it_shows(void **state)
{
    struct service *v = *state;
    struct err e = {0};
    struct server_options o = {.host = "127.0.0.1", .version = "0", .api_key = "key"};
    v->server = server_new(&o, &e);
    assert_non_null(v->server);
    v->port = server_port(v->server);
    load(v);
    ask(v, "{" HOT ",\"max_tokens\":2}");
    assert_int_equal(v->r->status, 200);
    assert_int_equal(generation(v->r), -1);
    get(v, "/metrics");
    assert_null(strstr(v->r->body, "ferry_config"));
    get(v, "/v1/config");
    assert_string_equal(v->r->body, "{\"object\":\"config\",\"source\":null}");
    client_ask(v->port, "GET", "/v1/config", "", NULL, v->r);
    assert_int_equal(v->r->status, 401);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    log_set_level(LOG_OFF);
    const struct CMUnitTest tests[] = {
        TEST(answers_are_made_by_the_configuration_they_name),
        TEST(streams_and_errors_name_it_too),
        TEST(bad_one_changes_nothing_and_is_told),
        TEST(prompt_that_would_fill_the_context_is_refused),
        TEST(without_an_object_requests_are_answered_with_the_defaults),
        TEST(a_running_answer_keeps_its_configuration),
        TEST(place_that_hangs_does_not_hang_the_service),
        TEST(without_a_source_nothing_of_it_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
