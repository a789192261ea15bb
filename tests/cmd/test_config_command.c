/* ferry config, as its users meet it: objects in the emulator's bucket and here, and a service that reads
 * them. */
#include "scratch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define B "gs://" SCRATCH_BUCKET
#define URI B "/live/config.json"
#define TINY FERRY_TESTS "/data/models/tiny-qwen2-audio"

/* Everything below holds for both. */
static const char *const places[] = {URI, "live/config.json"};

static void expect_out(struct scratch *s, const char *part)
{
    if (!strstr(s->last.out, part))
        fail_msg("\"%s\" is not in: %s", part, s->last.out);
}

static json_t *result(struct scratch *s)
{
    json_t *o = json_loads(s->last.out, 0, NULL);
    if (!o)
        fail_msg("not JSON: %s", s->last.out);
    return o;
}

static void expect_object(struct scratch *s, const char *uri, const char *text)
{
    scratch_ok(s, "cat", uri);
    assert_string_equal(s->last.out, text);
}

static void fields_are_set_changed_and_taken_out(void **state)
{
    struct scratch *s = *state;
    for (size_t i = 0; i < 2; i++) {
        const char *uri = places[i];
        scratch_ok(s, "config", "set", uri, "temperature=0.7", "system_prompt=Réponds en \"bref\".",
                   "stop=[\"a\", \"b\"]");
        expect_out(s, " is now generation ");
        expect_object(s, uri,
                      "{\n  \"temperature\": 0.7,\n  \"system_prompt\": \"Réponds en \\\"bref\\\".\",\n"
                      "  \"stop\": [\n    \"a\",\n    \"b\"\n  ]\n}\n");
        scratch_ok(s, "config", "set", uri, "temperature=0.2", "seed=7", "--unset", "stop", "-u",
                   "system_prompt");
        expect_out(s, "is kept: `ferry config rollback ");
        scratch_ok(s, "config", "get", uri);
        assert_string_equal(s->last.out, "{\n  \"temperature\": 0.2,\n  \"seed\": 7\n}\n");
        scratch_ok(s, "config", "set", uri, "seed=7");
        expect_out(s, "is so already");
        scratch_ok(s, "config", "set", uri, "seed=8", "--dry-run");
        expect_out(s, "\"seed\": 8");
        expect_object(s, uri, "{\n  \"temperature\": 0.2,\n  \"seed\": 7\n}\n");
    }
}

static void whole_object_comes_from_a_file_or_stdin(void **state)
{
    struct scratch *s = *state;
    scratch_text("new.json", "{\"max_tokens\":9}");
    for (size_t i = 0; i < 2; i++) {
        scratch_ok(s, "config", "set", places[i], "--file", "new.json");
        expect_object(s, places[i], "{\n  \"max_tokens\": 9\n}\n");
        assert_int_equal(scratch_run_with(s, "{}", "config", "set", places[i], "-f", "-"), 0);
        expect_object(s, places[i], "{}\n");
    }
}

static const struct {
    const char *words[8];
    int code;
    const char *says; /* somewhere on stderr */
} refused[] = {
    {{"config"}, 2, "what with which configuration?"},
    {{"config", "get"}, 2, "what with which configuration?"},
    {{"config", "put", URI}, 2, "what with which configuration?"},
    {{"config", "get", URI, "x"}, 2, "unexpected argument \"x\""},
    {{"config", "get", URI, "--file", "x"}, 2, "--file and --unset go with set"},
    {{"config", "get", URI, "--dry-run"}, 2, "--dry-run goes with set and rollback"},
    {{"config", "set", URI, "seed=1", "--all"}, 2, "--all goes with history"},
    {{"config", "set", URI}, 2, "what is to be set?"},
    {{"config", "set", URI, "seed=1", "--file", "x"}, 2, "what is to be set?"},
    {{"config", "set", URI, "seed"}, 2, "\"seed\": expected KEY=VALUE"},
    {{"config", "set", URI, "prompt=x"}, 2, "there is no field \"prompt\"; there are system_prompt, "},
    {{"config", "set", URI, "-u", "prompt"}, 2, "there is no field \"prompt\""},
    {{"config", "set", URI, "seed=x"}, 2, "seed: \"x\" is not JSON"},
    {{"config", "set", URI, "temperature=3"}, 2, "nothing was written: temperature: 3 is out of range"},
    {{"config", "set", URI, "max_tokens=\"3\""}, 2, "max_tokens: got a string, expected a whole number"},
    {{"config", "set", URI, "--file", "none.json"}, 1, "none.json: No such file"},
    {{"config", "set", URI, "--file", "bad.json"}, 2, "bad.json: this is not a configuration"},
    {{"config", "set", URI, "--file", "large.json"}, 1, "262145 bytes, expected at most 262144"},
    {{"config", "get", URI}, 1, "there is no configuration; `ferry config set " URI},
    {{"config", "get", B}, 2, "a folder, expected the name of an object in it: " B "/config.json"},
    {{"config", "get", "hf://owner/name"}, 2, "expected gs://BUCKET/NAME or the path of a file"},
    {{"config", "get", "gs://none-bkt/c.json"}, 1, "there is no configuration"},
    {{"config", "set", "gs://none-bkt/c.json", "seed=1"}, 1, "HTTP 404"},
    {{"config", "rollback", URI}, 1, "0 earlier versions are kept"},
    {{"config", "rollback", URI, "x"}, 2, "\"x\": expected how many versions back"},
    {{"config", "rollback", URI, "1795624753"}, 1, "generation 1795624753 is not kept"},
    {{"config", "get", "http://me:pass@127.0.0.1/"}, 2, "the address contains a name or password"},
    {{"config", "get", "http://127.0.0.1:1"}, 1, "no answer from http://127.0.0.1:1/v1/config"},
    {{"serve", TINY, "--config", "hf://owner/name"}, 2, "expected gs://BUCKET/NAME or the path of a file"},
    {{"serve", TINY, "--config", B "/"}, 2, "a folder, expected the name of an object in it"},
};

static void each_refusal_says_what_to_do(void **state)
{
    struct scratch *s = *state;
    const char *words[9] = {NULL};
    static char large[262145 + 1];
    memset(large, ' ', sizeof large - 1);
    scratch_text("large.json", large);
    scratch_text("bad.json", "{\"temperature\":\"hot\"}");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        memcpy(words, refused[i].words, sizeof refused[i].words);
        int code = scratch_run_words(s, NULL, words);
        if (code != refused[i].code || !strstr(s->last.err, refused[i].says))
            fail_msg("case %zu: code %d: %s", i, code, s->last.err);
        assert_ptr_equal(strchr(s->last.err, '\n'), strrchr(s->last.err, '\n')); /* one line */
        assert_string_equal(s->last.out, "");
    }
    scratch_ok(s, "ls", "-r", B);
    assert_string_equal(s->last.out, ""); /* nothing was begun */
}

static void bad_object_is_shown_and_can_be_set_right(void **state)
{
    struct scratch *s = *state;
    assert_int_equal(scratch_run_with(s, "{\"tempreature\":1,\"seed\":2}", "cp", "-", URI), 0);
    assert_int_equal(scratch_run(s, "config", "get", URI), 2);
    expect_out(s, "\"tempreature\": 1");
    assert_non_null(strstr(s->last.err, "a service refuses it: tempreature: this service does not know"));
    assert_int_equal(scratch_run(s, "config", "set", URI, "seed=3"), 2); /* it would stay bad */
    scratch_ok(s, "config", "set", URI, "--unset", "tempreature");
    expect_object(s, URI, "{\n  \"seed\": 2\n}\n");
    assert_int_equal(scratch_run_with(s, "{\"seed\":", "cp", "-", URI), 0);
    assert_int_equal(scratch_run(s, "config", "get", URI), 2);
    assert_string_equal(s->last.out, "");
    assert_non_null(strstr(s->last.err, "`ferry cat` prints it"));
    assert_int_equal(scratch_run(s, "config", "set", URI, "seed=3"), 2);
    assert_non_null(strstr(s->last.err, "--file replaces it whole"));
    assert_int_equal(scratch_run_with(s, "{\"seed\":4}", "config", "set", URI, "-f", "-"), 0);
    scratch_ok(s, "config", "history", URI);
    expect_out(s, "(refused by services)");
    assert_int_equal(scratch_run(s, "config", "rollback", URI), 1);
    assert_non_null(strstr(s->last.err, "is one that services refuse: not JSON"));
}

/* The name of something else entirely. */
static void what_is_no_configuration_is_not_overwritten(void **state)
{
    struct scratch *s = *state;
    scratch_file("weights", 300000, 1);
    scratch_ok(s, "cp", "weights", B "/weights");
    assert_int_equal(scratch_run_with(s, "{}", "config", "set", B "/weights", "-f", "-"), 2);
    assert_non_null(strstr(s->last.err, "has 300000 bytes, which is no configuration; is that its name?"));
    scratch_ok(s, "cp", TINY "/config.json", B "/m/config.json");
    assert_int_equal(scratch_run(s, "config", "set", B "/m/config.json", "seed=1"), 2);
    scratch_ok(s, "cp", B "/m/config.json", "fetched.json");
    scratch_same(TINY "/config.json", "fetched.json");
}

/* The first one has read what is there, and waits for its stdin while a second one changes it. */
static void of_two_at_once_the_slower_is_told(void **state)
{
    struct scratch *s = *state;
    static struct outcome slower;
    struct program p;
    scratch_ok(s, "config", "set", URI, "seed=1");
    emulator_log_clear(&s->emulator);
    program_start(&p, s->ferry, (const char *const[]){"config", "set", URI, "--file", "-", NULL});
    while (emulator_count(&s->emulator, "GET", "*alt=media*", 206).requests == 0)
        usleep(10000);
    scratch_ok(s, "config", "set", URI, "seed=3");
    program_finish(&p, "{\"seed\":2}", &slower);
    assert_int_equal(slower.code, 1);
    assert_string_equal(slower.out, "");
    assert_non_null(strstr(slower.err, "somebody else has changed it just now, so yours was not written"));
    assert_ptr_equal(strchr(slower.err, '\n'), strrchr(slower.err, '\n'));
    expect_object(s, URI, "{\n  \"seed\": 3\n}\n");
    scratch_ok(s, "config", "history", URI, "--json");
    json_t *h = result(s);
    assert_int_equal(json_array_size(json_object_get(h, "versions")), 1);
    json_decref(h);
}

static void history_counts_back_and_rollback_brings_back(void **state)
{
    struct scratch *s = *state;
    for (size_t i = 0; i < 2; i++) {
        const char *uri = places[i], *generation;
        scratch_ok(s, "config", "history", uri);
        expect_out(s, "there is no configuration, and none is kept");
        scratch_ok(s, "config", "set", uri, "seed=1");
        scratch_ok(s, "config", "set", uri, "seed=2");
        scratch_ok(s, "config", "set", uri, "seed=3");
        scratch_ok(s, "config", "history", uri, "--json");
        json_t *h = result(s), *versions = json_object_get(h, "versions"),
               *second = json_array_get(versions, 1);
        assert_int_equal(json_array_size(versions), 2);
        assert_int_equal(json_integer_value(json_object_get(h, "older")), 0);
        assert_int_equal(json_integer_value(json_object_get(json_object_get(second, "config"), "seed")), 1);
        scratch_ok(s, "config", "rollback", uri); /* to 2 */
        expect_object(s, uri, "{\n  \"seed\": 2\n}\n");
        scratch_ok(s, "config", "rollback", uri); /* and forth, to 3 */
        expect_object(s, uri, "{\n  \"seed\": 3\n}\n");
        generation = json_string_value(json_object_get(second, "generation"));
        scratch_ok(s, "config", "rollback", uri, generation, "--dry-run");
        expect_out(s, "\"seed\": 1");
        expect_object(s, uri, "{\n  \"seed\": 3\n}\n");
        scratch_ok(s, "config", "rollback", uri, generation);
        expect_object(s, uri, "{\n  \"seed\": 1\n}\n");
        json_decref(h);
        assert_int_equal(scratch_run(s, "config", "rollback", uri, "99"), 1);
        assert_non_null(strstr(s->last.err, "earlier versions are kept, so there is no number 99"));
    }
}

static void long_history_says_how_much_it_leaves_out(void **state)
{
    struct scratch *s = *state;
    char word[20];
    for (int i = 0; i < 23; i++) {
        snprintf(word, sizeof word, "seed=%d", i);
        scratch_ok(s, "config", "set", "c.json", word);
    }
    scratch_ok(s, "config", "history", "c.json");
    expect_out(s, "  20  ");
    expect_out(s, "… and 2 older; --all shows them\n");
    scratch_ok(s, "config", "history", "c.json", "--all");
    expect_out(s, "  22  ");
}

static void service_says_what_is_in_force_and_what_it_refused(void **state)
{
    struct scratch *s = *state;
    struct program service;
    static struct outcome o;
    char url[64];
    setenv("FERRY_CONFIG", URI, 1);
    setenv("FERRY_CONFIG_SECONDS", "0.05", 1);
    setenv("FERRY_API_KEY", "sesame-1", 1);
    scratch_ok(s, "config", "set", URI, "max_tokens=5");
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", program_serve(&service, s->ferry, TINY));
    scratch_ok(s, "config", "get", url);
    expect_out(s, "source    " URI ", looked at ");
    expect_out(s, "in force  generation ");
    expect_out(s, "\n{\n  \"max_tokens\": 5\n}\n");
    scratch_ok(s, "config", "set", url, "max_tokens=6"); /* the object that it reads */
    expect_object(s, URI, "{\n  \"max_tokens\": 6\n}\n");
    usleep(200000);
    scratch_ok(s, "config", "get", url, "--json");
    json_t *now = result(s);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(now, "config"), "max_tokens")), 6);
    json_decref(now);
    assert_int_equal(scratch_run_with(s, "{\"max_tokens\":-1}", "cp", "-", URI), 0);
    usleep(200000);
    scratch_ok(s, "config", "get", url);
    expect_out(s, "refused   generation ");
    expect_out(s, ": max_tokens: -1 is out of range, expected 1 to 1073741824 (it lies there now)\n");
    expect_out(s, "\"max_tokens\": 6");
    scratch_ok(s, "config", "history", url);
    expect_out(s, "{\"max_tokens\":5}");
    setenv("FERRY_API_KEY", "sesame-2", 1);
    assert_int_equal(scratch_run(s, "config", "get", url), 1);
    assert_non_null(strstr(s->last.err, "the service wants a key, set FERRY_API_KEY"));
    kill(service.pid, SIGTERM);
    program_finish(&service, NULL, &o);
    assert_int_equal(o.code, 0);
    unsetenv("FERRY_CONFIG"), unsetenv("FERRY_CONFIG_SECONDS"), unsetenv("FERRY_API_KEY");
}

static void service_without_one_says_so(void **state)
{
    struct scratch *s = *state;
    struct program service;
    static struct outcome o;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", program_serve(&service, s->ferry, TINY));
    scratch_ok(s, "config", "get", url);
    expect_out(s, "The service has no live configuration; `ferry serve --config URI` gives it one\n");
    assert_int_equal(scratch_run(s, "config", "set", url, "seed=1"), 1);
    assert_non_null(strstr(s->last.err, "has no live configuration"));
    kill(service.pid, SIGTERM);
    program_finish(&service, NULL, &o);
}

#define ANSWERS(answer) "{\"faults\":[{\"path\":\"/v1/config\",\"times\":0,\"do\":" answer "}]}"

static void another_service_is_none_of_ferrys(void **state)
{
    static const struct {
        const char *answer, *says;
    } cases[] = {
        {ANSWERS("{\"status\":404,\"body\":{\"detail\":\"Not Found\"}}"), "is it Ferry's?"},
        {ANSWERS("{\"status\":200,\"body\":{\"object\":\"list\"}}"), "is it Ferry's?"},
        {ANSWERS("{\"status\":200,\"body\":\"<html>\"}"), "is this the address of a service?"},
        {ANSWERS("{\"status\":502,\"body\":\"<html>\"}"), "HTTP 502"},
    };
    struct scratch *s = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        emulator_faults(&s->emulator, cases[i].answer);
        assert_int_equal(scratch_run(s, "config", "get", emulator_url(&s->emulator)), 1);
        if (!strstr(s->last.err, cases[i].says))
            fail_msg("%s", s->last.err);
    }
}

static char *ferry;
static struct scratch scratch;

static int start(void **state)
{
    scratch_start(&scratch, ferry);
    *state = &scratch;
    return 0;
}

static int end(void **state)
{
    scratch_end(*state);
    return 0;
}

#define test(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        test(fields_are_set_changed_and_taken_out),
        test(whole_object_comes_from_a_file_or_stdin),
        test(each_refusal_says_what_to_do),
        test(bad_object_is_shown_and_can_be_set_right),
        test(what_is_no_configuration_is_not_overwritten),
        test(of_two_at_once_the_slower_is_told),
        test(history_counts_back_and_rollback_brings_back),
        test(long_history_says_how_much_it_leaves_out),
        test(service_says_what_is_in_force_and_what_it_refused),
        test(service_without_one_says_so),
        test(another_service_is_none_of_ferrys),
    };
    if (argc != 2)
        return 2;
    ferry = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
