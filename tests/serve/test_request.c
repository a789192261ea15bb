#include "engine/stop.h"
#include "serve/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct model_config config = {
    .generation =
        {.do_sample = true, .temperature = 0.7F, .top_p = 0.5F, .top_k = 20, .repetition_penalty = 1.1F},
};
static const struct request_rules rules = {.model = "m", .vocab = 1000, .audio = true};
static const struct request_rules deaf = {.model = "m", .vocab = 1000, .audio = false};

/* A request whose top level has `fields` beside a model and one user message. */
#define WITH(fields) "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]," fields "}"
#define MESSAGES(m) "{\"model\":\"m\",\"messages\":" m "}"
#define PART(p) MESSAGES("[{\"role\":\"user\",\"content\":[" p "]}]")
#define AUDIO "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"Zm9v\",\"format\":\"wav\"}}"

static bool parse(struct chat_request *r, struct arena *a, const struct request_rules *with, const char *json,
                  struct api_error *e)
{
    chat_request_init(r, &config);
    return chat_request_parse(r, a, with, json, strlen(json), e);
}

static void refuses_with(const struct request_rules *with, const char *json, int status, const char *param,
                         const char *message)
{
    struct arena *a = arena_new(1 << 20);
    struct chat_request r;
    struct api_error e = {0};
    if (parse(&r, a, with, json, &e))
        fail_msg("accepted: %s", json);
    if (api_error_status(&e) != status || strcmp(e.param, param) != 0 || !strstr(e.err.text, message))
        fail_msg("%s\n  answered %d, param \"%s\", \"%s\"\n  expected %d, param \"%s\", \"%s\"", json,
                 api_error_status(&e), e.param, e.err.text, status, param, message);
    arena_free(a);
}

static void what_cannot_be_honoured_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *param, *message;
    } cases[] = {
        {"", "", "not JSON"},
        {"{", "", "not JSON"},
        {"[]", "", "got an array, expected an object"},
        {"{\"model\":\"m\",\"model\":\"m\"}", "", "duplicate"},
        {"{}", "model", "missing, expected 'm'"},
        {"{\"model\":\"m\"}", "messages", "missing"},
        {"{\"model\":7}", "model", "got a number, expected a string"},
        {WITH("\"nonsense\":1"), "nonsense", "does not know such a field"},
        {WITH("\"n\\u00f6\":1"), "n??", "does not know such a field"},
        {WITH("\"temperature\":\"hot\""), "temperature", "got a string, expected a number"},
        {WITH("\"temperature\":2.5"), "temperature", "2.5 is out of range, expected 0 to 2"},
        {WITH("\"temperature\":-0.1"), "temperature", "out of range"},
        {WITH("\"top_p\":1.1"), "top_p", "expected 0 to 1"},
        {WITH("\"n\":0"), "n", "0 is out of range, expected 1 to 128"},
        {WITH("\"n\":129"), "n", "out of range"},
        {WITH("\"n\":1.5"), "n", "expected a whole number"},
        {WITH("\"n\":99999999999999999"), "n", "out of range"},
        {WITH("\"max_tokens\":0"), "max_tokens", "out of range"},
        {WITH("\"max_tokens\":5,\"max_completion_tokens\":6"), "max_tokens",
         "differs from max_completion_tokens"},
        {WITH("\"frequency_penalty\":3"), "frequency_penalty", "expected -2 to 2"},
        {WITH("\"presence_penalty\":-3"), "presence_penalty", "expected -2 to 2"},
        {WITH("\"repetition_penalty\":0"), "repetition_penalty", "0 is out of range, expected 0.01 to 100"},
        {WITH("\"repetition_penalty\":0.001"), "repetition_penalty", "expected 0.01 to 100"},
        {WITH("\"min_p\":2"), "min_p", "expected 0 to 1"},
        {WITH("\"top_k\":-2"), "top_k", "out of range"},
        {WITH("\"logit_bias\":[]"), "logit_bias", "expected an object"},
        {WITH("\"logit_bias\":{\"1000\":1}"), "logit_bias.1000", "expected 0 to 999"},
        {WITH("\"logit_bias\":{\"x\":1}"), "logit_bias.x", "not a token id"},
        {WITH("\"logit_bias\":{\"5\":101}"), "logit_bias.5", "expected -100 to 100"},
        {WITH("\"top_logprobs\":3"), "top_logprobs", "only with \"logprobs\": true"},
        {WITH("\"logprobs\":true,\"top_logprobs\":21"), "top_logprobs", "expected 0 to 20"},
        {WITH("\"logprobs\":1"), "logprobs", "expected true or false"},
        {WITH("\"seed\":\"x\""), "seed", "expected a whole number"},
        {WITH("\"stop\":\"\""), "stop", "not empty"},
        {WITH("\"stop\":[\"a\",7]"), "stop[1]", "expected a string"},
        {WITH("\"stop\":[\"a\\u0000b\"]"), "stop[0]", "NUL"},
        {WITH("\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]"), "stop", "5 strings, expected at most 4"},
        {WITH("\"stream_options\":{\"include_usage\":true}"), "stream_options", "only with \"stream\": true"},
        {WITH("\"stream\":true,\"stream_options\":{\"x\":1}"), "stream_options.x", "does not know"},
        {WITH("\"tools\":[{\"type\":\"function\"}]"), "tools", "calls no tools"},
        {WITH("\"tool_choice\":\"required\""), "tool_choice", "calls no tools"},
        {WITH("\"functions\":[{}]"), "functions", "calls no functions"},
        {WITH("\"function_call\":{\"name\":\"f\"}"), "function_call", "calls no functions"},
        {WITH("\"audio\":{\"voice\":\"alloy\"}"), "audio", "does not speak"},
        {WITH("\"modalities\":[\"text\",\"audio\"]"), "modalities", "answers in text only"},
        {WITH("\"response_format\":{\"type\":\"json_object\"}"), "response_format", "plain text only"},
        {WITH("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{}}"), "response_format",
         "plain text"},
        {WITH("\"prediction\":{\"type\":\"content\"}"), "prediction", "not supported"},
        {WITH("\"web_search_options\":{}"), "web_search_options", "cannot be honoured"},
        {WITH("\"reasoning_effort\":\"high\""), "reasoning_effort", "no reasoning"},
        {WITH("\"verbosity\":\"low\""), "verbosity", "cannot be set"},
        {WITH("\"ferry\":{\"long_audio\":\"cut\"}"), "ferry.long_audio",
         "expected split, truncate or refuse"},
        {WITH("\"ferry\":{\"x\":1}"), "ferry.x", "does not know"},
        {MESSAGES("[]"), "messages", "0 messages, expected 1"},
        {MESSAGES("{}"), "messages", "expected an array"},
        {MESSAGES("[7]"), "messages[0]", "expected an object"},
        {MESSAGES("[{\"content\":\"x\"}]"), "messages[0].role", "missing or unknown"},
        {MESSAGES("[{\"role\":\"judge\",\"content\":\"x\"}]"), "messages[0].role", "missing or unknown"},
        {MESSAGES("[{\"role\":\"user\\u0000\",\"content\":\"x\"}]"), "messages[0].role",
         "missing or unknown"},
        {MESSAGES("[{\"role\":\"tool\",\"content\":\"x\"}]"), "messages[0].role", "takes no tool messages"},
        {MESSAGES("[{\"role\":\"function\",\"content\":\"x\"}]"), "messages[0].role",
         "takes no function messages"},
        {MESSAGES("[{\"role\":\"user\"}]"), "messages[0].content", "missing"},
        {MESSAGES("[{\"role\":\"user\",\"content\":null}]"), "messages[0].content", "missing"},
        {MESSAGES("[{\"role\":\"user\",\"content\":[]}]"), "messages[0].content", "0 parts"},
        {MESSAGES("[{\"role\":\"user\",\"content\":\"x\",\"name\":\"Bo\"}]"), "messages[0].name",
         "cannot be honoured"},
        {MESSAGES("[{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":[{}]}]"),
         "messages[0].tool_calls", "calls no tools"},
        {MESSAGES("[{\"role\":\"assistant\",\"content\":\"x\",\"audio\":{\"id\":\"a\"}}]"),
         "messages[0].audio", "cannot be honoured"},
        {MESSAGES("[{\"role\":\"assistant\",\"content\":[" AUDIO "]}]"), "messages[0].content[0]",
         "only user messages may carry audio"},
        {MESSAGES("[{\"role\":\"developer\",\"content\":[" AUDIO "]}]"), "messages[0].content[0]",
         "only user messages may carry audio"},
        {PART("7"), "messages[0].content[0]", "expected an object"},
        {PART("{}"), "messages[0].content[0].type", "missing or unknown"},
        {PART("{\"type\":\"video\"}"), "messages[0].content[0].type", "missing or unknown"},
        {PART("{\"type\":\"text\"}"), "messages[0].content[0]", "the field text is missing"},
        {PART("{\"type\":\"text\",\"text\":\"x\",\"y\":1}"), "messages[0].content[0].y", "does not know"},
        {PART("{\"type\":\"image_url\",\"image_url\":{}}"), "messages[0].content[0].type",
         "no image_url parts"},
        {PART("{\"type\":\"file\",\"file\":{}}"), "messages[0].content[0].type", "no file parts"},
        {PART("{\"type\":\"input_audio\"}"), "messages[0].content[0]", "input_audio is missing"},
        {PART("{\"type\":\"input_audio\",\"input_audio\":{}}"), "messages[0].content[0].input_audio",
         "data is missing"},
        {PART("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"Zm9\"}}"),
         "messages[0].content[0].input_audio.data", "not a multiple of 4"},
        {PART("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"\"}}"),
         "messages[0].content[0].input_audio.data", "no audio in it"},
        {PART("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"data:audio/wav;base64,Zm9v\"}}"),
         "messages[0].content[0].input_audio.data", "this is a data: URL"},
        {PART("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"Zm9v\",\"format\":\"aac\"}}"),
         "messages[0].content[0].input_audio.format", "accepted: wav mp3 flac ogg"},
        {PART("{\"type\":\"audio_url\",\"audio_url\":{\"url\":\"https://example.com/a.wav\"}}"),
         "messages[0].content[0].audio_url.url", "this service fetches nothing"},
        {PART("{\"type\":\"audio_url\",\"audio_url\":{\"url\":\"data:audio/wav,Zm9v\"}}"),
         "messages[0].content[0].audio_url.url", "expected data:TYPE;base64,DATA"},
        {PART("{\"type\":\"audio_url\",\"audio_url\":{\"url\":\"data:,\"}}"),
         "messages[0].content[0].audio_url.url", "expected data:TYPE;base64,DATA"},
        {PART("{\"type\":\"audio_url\",\"audio_url\":{}}"), "messages[0].content[0].audio_url",
         "url is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuses_with(&rules, cases[i].json, 400, cases[i].param, cases[i].message);
}

static void another_model_is_not_found(void **state)
{
    (void)state;
    refuses_with(&rules, "{\"model\":\"gpt-4o\",\"messages\":[]}", 404, "model",
                 "there is no model 'gpt-4o' here, only 'm'");
}

static void audio_for_a_model_without_ears_is_refused(void **state)
{
    (void)state;
    refuses_with(&deaf, PART(AUDIO), 400, "messages[0].content[0]", "cannot hear audio");
}

static void json_nested_without_end_is_refused(void **state)
{
    (void)state;
    char deep[20000];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    refuses_with(&rules, deep, 400, "", "not JSON");
}

static void more_text_than_the_arena_holds_is_an_error_not_a_crash(void **state)
{
    (void)state;
    struct arena *a = arena_new(64);
    struct chat_request r;
    struct api_error e = {0};
    assert_false(parse(&r, a, &rules, PART(AUDIO "," AUDIO), &e));
    assert_int_equal(e.err.kind, ERR_MEMORY);
    assert_int_equal(api_error_status(&e), 503);
    arena_free(a);
}

/* What the stop matcher or the sampler would refuse later, in the middle of an answer. */
static void edges_of_stop_and_penalty_are_those_of_the_engine(void **state)
{
    (void)state;
    char json[5000];
    struct arena *a = arena_new(1 << 20);
    struct chat_request r;
    struct api_error e = {0};
    snprintf(json, sizeof json, WITH("\"stop\":\"%0*d\""), STOP_MAX_BYTES + 1, 0);
    refuses_with(&rules, json, 400, "stop", "4097 bytes, expected at most 4096");
    snprintf(json, sizeof json, WITH("\"repetition_penalty\":0.01,\"stop\":\"%0*d\""), STOP_MAX_BYTES, 0);
    assert_true(parse(&r, a, &rules, json, &e));
    struct sampler *sampler = sampler_new(&r.sampling, 1000, NULL, 0, &e.err);
    struct stop_matcher *stop = stop_new(r.stops, r.stop_count, &e.err);
    assert_true(sampler && stop);
    sampler_free(sampler);
    stop_free(stop);
    arena_free(a);
}

static void what_has_no_effect_is_accepted(void **state)
{
    (void)state;
    static const char *const cases[] = {
        WITH("\"user\":\"u\",\"metadata\":{\"a\":\"b\"},\"store\":true,\"service_tier\":\"auto\""),
        WITH("\"tools\":[],\"tool_choice\":\"none\",\"parallel_tool_calls\":true,\"functions\":[]"),
        WITH("\"tools\":null,\"stop\":null,\"temperature\":null,\"audio\":null,\"stream_options\":null"),
        WITH("\"response_format\":{\"type\":\"text\"},\"modalities\":[\"text\"],\"verbosity\":\"medium\""),
        WITH("\"stream\":true,\"stream_options\":{\"include_obfuscation\":false}"),
        WITH("\"prompt_cache_key\":\"k\",\"safety_identifier\":\"s\",\"reasoning_effort\":\"none\""),
        MESSAGES("[{\"role\":\"assistant\",\"content\":\"x\",\"refusal\":null,\"annotations\":[],\"tool_"
                 "calls\":[]}]"),
        PART("{\"type\":\"text\",\"text\":\"\",\"prompt_cache_breakpoint\":{}}"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *a = arena_new(1 << 20);
        struct chat_request r;
        struct api_error e = {0};
        if (!parse(&r, a, &rules, cases[i], &e))
            fail_msg("%s: %s", cases[i], e.err.text);
        arena_free(a);
    }
}

static void fields_left_out_take_the_models_own_sampling(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct chat_request r;
    struct api_error e = {0};
    assert_true(parse(&r, a, &rules, WITH("\"user\":\"u\""), &e));
    assert_float_equal(r.sampling.temperature, 0.7, 1e-6);
    assert_float_equal(r.sampling.top_p, 0.5, 1e-6);
    assert_float_equal(r.sampling.repetition_penalty, 1.1, 1e-6);
    assert_int_equal(r.sampling.top_k, 20);
    assert_int_equal(r.choices, 1);
    assert_int_equal(r.max_tokens, 0);
    assert_false(r.has_seed);
    assert_false(r.stream);
    assert_int_equal(r.long_audio, LONG_AUDIO_SPLIT);
    arena_free(a);
}

static void a_model_that_does_not_sample_is_greedy(void **state)
{
    (void)state;
    struct model_config greedy = config;
    struct chat_request r;
    greedy.generation.do_sample = false;
    chat_request_init(&r, &greedy);
    assert_float_equal(r.sampling.temperature, 0, 0);
}

static void every_honoured_field_arrives(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct chat_request r;
    struct api_error e = {0};
    assert_true(parse(
        &r, a, &rules,
        WITH("\"temperature\":0,\"top_p\":0.25,\"n\":3,\"max_completion_tokens\":9,\"stop\":[\"a\",\"bc\"],"
             "\"frequency_penalty\":-1,\"presence_penalty\":1.5,\"logit_bias\":{\"7\":-100,\"999\":2},"
             "\"logprobs\":true,\"top_logprobs\":4,\"seed\":-3,\"stream\":true,"
             "\"stream_options\":{\"include_usage\":true},\"top_k\":-1,\"min_p\":0.125,"
             "\"repetition_penalty\":2,\"ferry\":{\"long_audio\":\"refuse\"}"),
        &e));
    const struct sampling *s = &r.sampling;
    assert_float_equal(s->temperature, 0, 0);
    assert_float_equal(s->top_p, 0.25, 0);
    assert_float_equal(s->min_p, 0.125, 0);
    assert_int_equal(s->top_k, 0);
    assert_float_equal(s->frequency_penalty, -1, 0);
    assert_float_equal(s->presence_penalty, 1.5, 0);
    assert_float_equal(s->repetition_penalty, 2, 0);
    assert_int_equal(s->bias_count, 2);
    assert_int_equal(s->bias[0].id, 7);
    assert_float_equal(s->bias[0].bias, -100, 0);
    assert_int_equal(s->bias[1].id, 999);
    assert_true(r.has_seed);
    assert_int_equal(s->seed, (uint64_t)-3);
    assert_int_equal(r.choices, 3);
    assert_int_equal(r.max_tokens, 9);
    assert_int_equal(r.stop_count, 2);
    assert_string_equal(r.stops[1], "bc");
    assert_true(r.logprobs && r.stream && r.include_usage);
    assert_int_equal(r.top_logprobs, 4);
    assert_int_equal(r.long_audio, LONG_AUDIO_REFUSE);
    arena_free(a);
}

static void messages_keep_roles_parts_and_bytes(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct chat_request r;
    struct api_error e = {0};
    assert_true(
        parse(&r, a, &rules,
              MESSAGES("[{\"role\":\"developer\",\"content\":\"be\\u0000brief\"},"
                       "{\"role\":\"user\",\"content\":[" AUDIO ",{\"type\":\"text\",\"text\":\"what?\"},"
                       "{\"type\":\"audio_url\",\"audio_url\":{\"url\":\"data:audio/wav;base64,YmFy\"}},"
                       "{\"type\":\"audio_url\",\"audio_url\":\"data:;base64,YmFyMg==\"}]},"
                       "{\"role\":\"assistant\",\"content\":\"x\"}]"),
              &e));
    assert_int_equal(r.message_count, 3);
    assert_string_equal(r.messages[0].role, "system");
    assert_int_equal(r.messages[0].parts[0].text_size, 8);
    const struct request_message *m = &r.messages[1];
    assert_string_equal(m->role, "user");
    assert_int_equal(m->part_count, 4);
    assert_null(m->parts[0].text);
    assert_int_equal(m->parts[0].audio_size, 3);
    assert_memory_equal(m->parts[0].audio, "foo", 3);
    assert_string_equal(m->parts[1].text, "what?");
    assert_memory_equal(m->parts[2].audio, "bar", 3);
    assert_int_equal(m->parts[3].audio_size, 4);
    assert_string_equal(r.messages[2].role, "assistant");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_honoured_is_refused_by_name),
        cmocka_unit_test(another_model_is_not_found),
        cmocka_unit_test(audio_for_a_model_without_ears_is_refused),
        cmocka_unit_test(json_nested_without_end_is_refused),
        cmocka_unit_test(more_text_than_the_arena_holds_is_an_error_not_a_crash),
        cmocka_unit_test(edges_of_stop_and_penalty_are_those_of_the_engine),
        cmocka_unit_test(what_has_no_effect_is_accepted),
        cmocka_unit_test(fields_left_out_take_the_models_own_sampling),
        cmocka_unit_test(a_model_that_does_not_sample_is_greedy),
        cmocka_unit_test(every_honoured_field_arrives),
        cmocka_unit_test(messages_keep_roles_parts_and_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
