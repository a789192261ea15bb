#include "engine/stop.h"
#include "serve/service_config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct model_config model = {
    .generation =
        {.do_sample = true, .temperature = 0.7F, .top_p = 0.5F, .top_k = 20, .repetition_penalty = 1.1F},
};
static const struct request_rules rules = {.model = "m", .vocab = 1000};

#define HI "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static bool parse(struct service_config *c, struct arena *a, const char *json, struct err *e)
{
    return service_config_parse(c, json, strlen(json), a, e);
}

static void a_bad_object_is_refused_as_a_whole_and_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"", "not JSON: "},
        {"{", "not JSON: "},
        {"{\"temperature\":0.5}x", "not JSON: end of file expected near 'x' at line 1, column 20"},
        {"[]", "got an array, expected an object"},
        {"\"temperature\"", "not JSON"},
        {"{\"temperature\":1,\"temperature\":1}", "duplicate object key"},
        {"{\"system_prompt\":\"a\\u0000b\"}", "not JSON: \\u0000 is not allowed"},
        {"{\"system_prompt\":\"\xff\"}", "not JSON: unable to decode byte 0xff"},
        {"{\"tempreature\":1}", "tempreature: this service does not know such a field"},
        {"{\"temperature\":\"0.5\"}", "temperature: got a string, expected a number"},
        {"{\"temperature\":-0.01}", "temperature: -0.01 is out of range, expected 0 to 2"},
        {"{\"temperature\":2.01}", "temperature: 2.01 is out of range"},
        {"{\"top_p\":1.5}", "top_p: 1.5 is out of range, expected 0 to 1"},
        {"{\"min_p\":-1}", "min_p: -1 is out of range, expected 0 to 1"},
        {"{\"top_k\":-2}", "top_k: -2 is out of range, expected -1 to 1073741824"},
        {"{\"top_k\":1.5}", "top_k: got a number, expected a whole number"},
        {"{\"repetition_penalty\":0}", "repetition_penalty: 0 is out of range, expected 0.01 to 100"},
        {"{\"repetition_penalty\":1e300}", "repetition_penalty: 1e+300 is out of range"},
        {"{\"max_tokens\":0}", "max_tokens: 0 is out of range, expected 1 to 1073741824"},
        {"{\"max_tokens\":9223372036854775807}", "max_tokens: 9223372036854775807 is out of range"},
        {"{\"max_tokens\":true}", "max_tokens: got true, expected a whole number"},
        {"{\"seed\":1.0}", "seed: got a number, expected a whole number"},
        {"{\"stop\":\"\"}", "stop: expected a string that is not empty"},
        {"{\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}", "stop: 5 strings, expected at most 4"},
        {"{\"stop\":[\"a\",1]}", "stop[1]: expected a string"},
        {"{\"stop\":{}}", "stop: got an object, expected a string or an array"},
        {"{\"system_prompt\":[\"a\"]}", "system_prompt: got an array, expected a string"},
        {"{\"temperature\":0.5,\"model\":\"m\"}", "model: this service does not know such a field"},
    };
    struct arena *a = arena_new(SERVICE_CONFIG_ARENA);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct service_config c;
        struct err e = {0};
        service_config_init(&c);
        c.max_tokens = 77;
        if (parse(&c, a, cases[i].json, &e) || !strstr(e.text, cases[i].message))
            fail_msg("%s: %s", cases[i].json, e.text);
        assert_int_equal(c.max_tokens, 77); /* nothing of it was taken */
    }
    arena_free(a);
}

static void an_object_of_the_largest_size_is_taken_and_one_byte_more_is_not(void **state)
{
    (void)state;
    enum { FRAME = sizeof "{\"system_prompt\":\"\"}" - 1 };
    struct arena *a = arena_new(SERVICE_CONFIG_ARENA);
    char *json = malloc(SERVICE_CONFIG_MAX_BYTES + 2);
    struct service_config c;
    struct err e = {0};
    for (int more = 0; more < 2; more++) {
        size_t size = SERVICE_CONFIG_MAX_BYTES + (size_t)more;
        memset(json, 'a', size);
        memcpy(json, "{\"system_prompt\":\"", FRAME - 2);
        memcpy(json + size - 2, "\"}", 2);
        assert_int_equal(service_config_parse(&c, json, size, a, &e), more == 0);
    }
    assert_string_equal(e.text, "262145 bytes, expected at most 262144");
    assert_int_equal(strlen(c.system_prompt), SERVICE_CONFIG_MAX_BYTES - FRAME);
    free(json);
    arena_free(a);
}

static struct chat_request applied(struct service_config *c, struct arena *a, const char *config,
                                   const char *request)
{
    struct chat_request r;
    struct err e = {0};
    struct api_error problem = {0};
    if (!parse(c, a, config, &e))
        fail_msg("%s: %s", config, e.text);
    chat_request_init(&r, &model);
    service_config_apply(c, &r);
    if (!chat_request_parse(&r, a, &rules, request, strlen(request), &problem))
        fail_msg("%s: %s", request, problem.err.text);
    return r;
}

static void an_empty_object_leaves_the_models_own_defaults(void **state)
{
    (void)state;
    static const char *const cases[] = {"{}", " {\n} ", "{\"temperature\":null,\"stop\":null,\"seed\":null}"};
    struct arena *a = arena_new(1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct service_config c;
        struct chat_request r = applied(&c, a, cases[i], "{" HI "}");
        assert_float_equal(r.sampling.temperature, 0.7, 1e-6);
        assert_float_equal(r.sampling.top_p, 0.5, 1e-6);
        assert_float_equal(r.sampling.min_p, 0, 0);
        assert_float_equal(r.sampling.repetition_penalty, 1.1, 1e-6);
        assert_int_equal(r.sampling.top_k, 20);
        assert_int_equal(r.max_tokens, 0);
        assert_int_equal(r.stop_count, 0);
        assert_false(r.has_seed);
        assert_null(r.system_prompt);
    }
    arena_free(a);
}

#define ALL                                                                                                  \
    "{\"system_prompt\":\"be brief\",\"temperature\":0.25,\"top_p\":0.125,\"top_k\":3,\"min_p\":0.5,"        \
    "\"repetition_penalty\":2,\"max_tokens\":9,\"stop\":[\"x\",\"yz\"],\"seed\":-5}"

static void every_field_reaches_a_request_that_says_nothing(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct service_config c;
    struct chat_request r = applied(&c, a, ALL, "{" HI "}");
    assert_string_equal(r.system_prompt, "be brief");
    assert_float_equal(r.sampling.temperature, 0.25, 0);
    assert_float_equal(r.sampling.top_p, 0.125, 0);
    assert_int_equal(r.sampling.top_k, 3);
    assert_float_equal(r.sampling.min_p, 0.5, 0);
    assert_float_equal(r.sampling.repetition_penalty, 2, 0);
    assert_int_equal(r.max_tokens, 9);
    assert_int_equal(r.stop_count, 2);
    assert_string_equal(r.stops[1], "yz");
    assert_true(r.has_seed);
    assert_int_equal(r.sampling.seed, (uint64_t)-5);
    assert_string_equal(c.json, ALL);
    arena_free(a);
}

static void what_a_request_says_itself_wins(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct service_config c;
    struct chat_request r = applied(&c, a, ALL,
                                    "{" HI ",\"temperature\":0,\"top_p\":1,\"top_k\":-1,\"min_p\":0,"
                                    "\"repetition_penalty\":1,\"max_completion_tokens\":50,\"stop\":[],"
                                    "\"seed\":7}");
    assert_float_equal(r.sampling.temperature, 0, 0);
    assert_float_equal(r.sampling.top_p, 1, 0);
    assert_int_equal(r.sampling.top_k, 0);
    assert_float_equal(r.sampling.min_p, 0, 0);
    assert_float_equal(r.sampling.repetition_penalty, 1, 0);
    assert_int_equal(r.max_tokens, 50);
    assert_int_equal(r.stop_count, 0);
    assert_int_equal(r.sampling.seed, 7);
    arena_free(a);
}

static void zero_and_off_are_values_too(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct service_config c;
    struct chat_request r = applied(
        &c, a, "{\"temperature\":0,\"top_p\":0,\"top_k\":-1,\"stop\":[],\"system_prompt\":\"\"}", "{" HI "}");
    assert_float_equal(r.sampling.temperature, 0, 0);
    assert_float_equal(r.sampling.top_p, 0, 0);
    assert_int_equal(r.sampling.top_k, 0);
    assert_int_equal(r.stop_count, 0);
    assert_string_equal(r.system_prompt, "");
    arena_free(a);
}

/* A configuration that was taken must not fail requests later, in the engine. */
static void the_engine_takes_the_edges_of_every_range(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "{\"temperature\":2,\"top_p\":1,\"min_p\":1,\"top_k\":1073741824,\"repetition_penalty\":100}",
        "{\"temperature\":0,\"top_p\":0,\"min_p\":0,\"top_k\":0,\"repetition_penalty\":0.01}",
        "{\"temperature\":1e-45,\"top_p\":1e-45,\"stop\":[\"a\",\"a\",\"aa\",\"\xe3\x81\x82\"]}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *a = arena_new(1 << 20);
        struct service_config c;
        struct chat_request r = applied(&c, a, cases[i], "{" HI "}");
        struct err e = {0};
        static const float logits[1000] = {[5] = 3, [6] = 2};
        struct sampler *sampler = sampler_new(&r.sampling, 1000, NULL, 0, &e);
        struct stop_matcher *stop = sampler ? stop_new(r.stops, r.stop_count, &e) : NULL;
        if (!stop)
            fail_msg("%s: %s", cases[i], e.text);
        assert_true(sampler_pick(sampler, logits) >= 0);
        sampler_free(sampler);
        stop_free(stop);
        arena_free(a);
    }
}

static void words_of_a_command_line_become_the_right_json(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *json; /* json NULL: refused */
        const char *message;
    } cases[] = {
        {"temperature", "0.5", "0.5", NULL},
        {"max_tokens", "12", "12", NULL},
        {"system_prompt", "42", "\"42\"", NULL},
        {"system_prompt", "", "\"\"", NULL},
        {"stop", "END", "\"END\"", NULL},
        {"stop", "[\"a\", \"b\"]", "[\"a\",\"b\"]", NULL},
        {"seed", "null", "null", NULL},
        {"temperature", "hot", NULL, "temperature: \"hot\" is not JSON"},
        {"temperature", "", NULL, "temperature: \"\" is not JSON"},
        {"stop", "[", NULL, "stop: \"[\" is not JSON"},
        {"system_prompt", "\xff", NULL, "system_prompt: not UTF-8"},
        {"prompt", "x", NULL,
         "there is no field \"prompt\"; there are system_prompt, temperature, top_p, top_k, min_p, "
         "repetition_penalty, max_tokens, stop, seed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        json_t *v = service_config_value(cases[i].name, cases[i].text, &e);
        char *text = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        if (!v != !cases[i].json || (v && strcmp(text, cases[i].json) != 0) ||
            (!v && !strstr(e.text, cases[i].message)))
            fail_msg("%s=%s: %s %s", cases[i].name, cases[i].text, text ? text : "", e.text);
        free(text);
        json_decref(v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_object_is_refused_as_a_whole_and_says_why),
        cmocka_unit_test(an_object_of_the_largest_size_is_taken_and_one_byte_more_is_not),
        cmocka_unit_test(an_empty_object_leaves_the_models_own_defaults),
        cmocka_unit_test(every_field_reaches_a_request_that_says_nothing),
        cmocka_unit_test(what_a_request_says_itself_wins),
        cmocka_unit_test(zero_and_off_are_values_too),
        cmocka_unit_test(the_engine_takes_the_edges_of_every_range),
        cmocka_unit_test(words_of_a_command_line_become_the_right_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
