/* The program as its users meet it: what it prints where, how it exits, and a question from end to end. */
#include "program.h"

#include <fcntl.h>
#include <jansson.h>
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

#define TINY "data/models/tiny-qwen2-audio"
#define WAV "data/goldens/audio/short_1p3s.wav"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#define EXPECTED                                                                                             \
    "expected the path of a model folder (config.json, *.safetensors, tokenizer files), gs://… or hf://…"

static const struct {
    const char *words[14];
    int code;
    const char *err; /* the whole of stderr */
} refused[] = {
    {{"sevre"}, 2, "ferry: there is no command \"sevre\"; did you mean `ferry serve`?\n"},
    {{"fly"}, 2, "ferry: there is no command \"fly\"; `ferry --help` lists those there are\n"},
    {{"--port"}, 2, "ferry: unknown option --port; a command comes first, see `ferry --help`\n"},
    {{"help", "fly"}, 2, "ferry: help: there is no command \"fly\"; `ferry --help` lists those there are\n"},
    {{"serve"}, 2, "ferry: serve: which model? usage: ferry serve FOLDER|URI [options]\n"},
    {{"serve", TINY, "--port", "x"},
     2,
     "ferry: serve: --port: \"x\", expected a whole number from 0 to 65535\n"},
    {{"serve", TINY, "--kv", "q4"}, 2, "ferry: serve: --kv: \"q4\", expected one of auto|bf16|q8|f32\n"},
    {{"serve", TINY, "--api-key-file", "data/none"},
     1,
     "ferry: serve: API key file: data/none: No such file or directory\n"},
    {{"deploy", "demo"},
     2,
     "ferry: deploy: what under which name? usage: ferry deploy NAME FOLDER|URI [--target TARGET] "
     "[options]\n"},
    {{"deploy", "demo", TINY, "--target", "cloud-run"},
     2,
     "ferry: deploy: " TINY
     ": a service on Cloud Run loads its model from a bucket, gs://BUCKET/PREFIX; `ferry stage` "
     "puts it there\n"},
    {{"deploy", "demo", TINY, "--target", "moon"},
     2,
     "ferry: deploy: --target: \"moon\", expected one of local, cloud-run, knative\n"},
    {{"deploy", "demo", TINY, "--target", "local", "--cpus", "2"},
     2,
     "ferry: deploy: --cpus does not go with --target local\n"},
    {{"deploy", "demo", "gs://bkt/m", "--target", "knative", "-p1"},
     2,
     "ferry: deploy: --port does not go with --target knative\n"},
    {{"deploy", "demo", "gs://bkt/m", "--target", "knative"},
     2,
     "ferry: deploy: which image? `ferry image push REGISTRY/REPOSITORY` makes one for --image\n"},
    {{"deploy", "demo", "gs://bkt/m", "--target", "knative", "--image", "me/ferry", "--config", "live.json"},
     2,
     "ferry: deploy: --config live.json: a cluster cannot read it, expected gs://BUCKET/NAME\n"},
    {{"deploy", "demo", "gs://bkt/m", "--target", "knative", "--image", "me/ferry", "--api-key-file", "k"},
     2,
     "ferry: deploy: a manifest carries no keys, and no files of this machine; --key-secret names a secret "
     "that "
     "is there\n"},
    {{"deploy", "demo", "gs://bkt/m", "--target", "knative", "--image", "me/ferry@1"},
     2,
     "ferry: deploy: me/ferry@1: expected @sha256: and 64 digits behind the @\n"},
    {{"deploy", "demo", "gs://bkt/m", "--target", "knative", "--image", "me/ferry", "--cpus", "1", "--memory",
      "4Gi", "--key-secret", "key:"},
     2,
     "ferry: deploy: --key-secret \"key:\": expected NAME or NAME:KEY\n"},
    {{"logs", "demo", "--target", "knative"},
     1,
     "ferry: logs: there is no service \"demo\"; `ferry status` lists those there are\n"},
    {{"deploy", "Demo", TINY, "--target", "local"},
     2,
     "ferry: deploy: \"Demo\": expected a service's name: at most 49 of a-z, 0-9 and -, a letter first, no - "
     "at "
     "the end\n"},
    {{"deploy", "demo", "data", "--target", "local"},
     1,
     "ferry: deploy: data: there is no config.json in it; expected a model folder\n"},
    {{"deploy", "demo", "./none", "--target", "local"},
     1,
     "ferry: deploy: ./none: expected a model folder, gs://BUCKET/PREFIX or hf://OWNER/NAME: No such file or "
     "directory\n"},
    {{"deploy", "demo", TINY, "--target=local", "--memory=much"},
     2,
     "ferry: deploy: --memory: \"much\", expected an amount such as 32Gi, 512Mi or 16.8GB\n"},
    {{"up"}, 2, "ferry: up: which model? usage: ferry up MODEL --region REGION [options]\n"},
    {{"up", "gs://bkt/m"},
     2,
     "ferry: up: gs://bkt/m: expected a model on the hub: OWNER/NAME or hf://OWNER/NAME[@REVISION]\n"},
    {{"up", TINY},
     2,
     "ferry: up: " TINY ": a path on this machine, expected a model on the hub: hf://OWNER/NAME. A folder is "
     "copied by `ferry cp -r`\n"},
    {{"up", "me/7B", "--region", "asia-northeast1"},
     2,
     "ferry: up: a name from the model's will not do, --name gives another: \"7b\": expected a service's "
     "name: at most 49 of a-z, 0-9 "
     "and -, a "
     "letter first, no - at the end\n"},
    {{"up", "me/m", "--name", "Audio"},
     2,
     "ferry: up: \"Audio\": expected a service's name: at most 49 of a-z, 0-9 and -, a letter first, no - at "
     "the end\n"},
    {{"up", "me/m", "--bucket", "gs://bkt/folder"},
     2,
     "ferry: up: --bucket \"gs://bkt/folder\": expected the name of a bucket alone\n"},
    {{"up", "me/m", "--memory", "much"},
     2,
     "ferry: up: --memory: \"much\", expected an amount such as 32Gi, 512Mi or 16.8GB\n"},
    {{"up", "me/m", "--encode", "q5"},
     2,
     "ferry: up: --encode: \"q5\", expected one of none|bf16|q8_0|q4_0\n"},
    {{"up", "me/m", "--rollback"}, 2, "ferry: up: unknown option --rollback; see `ferry up --help`\n"},
    {{"down"}, 2, "ferry: down: which service? usage: ferry down NAME [options]\n"},
    {{"down", "no-such"},
     1,
     "ferry: down: there is no service \"no-such\"; `ferry status` lists those there are\n"},
    {{"logs"}, 2, "ferry: logs: whose? usage: ferry logs NAME [-f] [-n N]\n"},
    {{"logs", "no-such"},
     1,
     "ferry: logs: there is no service \"no-such\"; `ferry status` lists those there are\n"},
    {{"status", "no-such"},
     1,
     "ferry: status: there is no service \"no-such\"; `ferry status` lists those there are\n"},
    {{"ask"},
     2,
     "ferry: ask: whom? usage: ferry ask FOLDER|URI|NAME|URL [QUESTION] [--audio FILE] [options]\n"},
    {{"ask", TINY},
     2,
     "ferry: ask: what is the question? put it behind " TINY ", or give a recording with --audio\n"},
    {{"ask", TINY, "--audio", "data/none.wav"}, 1, "ferry: ask: data/none.wav: No such file or directory\n"},
    {{"ask", "gs://B/model", "?"},
     2,
     "ferry: ask: gs://B: not a bucket's name (3 to 63 lower-case letters, digits, '-', '_', '.'); expected "
     "gs://BUCKET/PREFIX\n"},
    {{"serve", "-", "-p0", "--log=off"},
     2,
     "ferry: serve: -: a model is a folder or a URI (gs://…, hf://…)\n"},
    {{"ask", "data", "?"}, 1, "ferry: ask: data: there is no config.json in it; " EXPECTED "\n"},
    {{"ask", "Qwen/Qwen2-Audio-7B", "?"},
     2,
     "ferry: ask: hf://Qwen/Qwen2-Audio-7B: HF_HUB_OFFLINE is set: the hub is not asked; unset it\n"},
    {{"ask", "./Qwen/Qwen2-Audio-7B", "?"},
     1,
     "ferry: ask: ./Qwen/Qwen2-Audio-7B: " EXPECTED ": No such file or directory\n"},
    {{"ask", "http://me:pass@127.0.0.1/", "?"},
     2,
     "ferry: ask: the address contains a name or password; put the key in FERRY_API_KEY instead\n"},
};

static void what_makes_no_sense_gets_one_line_and_a_code(void **state)
{
    static struct outcome outcome;
    struct outcome *o = &outcome;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        program_run(*state, refused[i].words, NULL, o);
        assert_string_equal(o->err, refused[i].err);
        assert_string_equal(o->out, "");
        assert_int_equal(o->code, refused[i].code);
    }
}

static void missing_model_ends_the_service_with_the_reason(void **state)
{
    static struct outcome outcome;
    struct outcome *o = &outcome;
    program_run(*state, WORDS("serve", "data/nothing-here", "--port", "0", "--log", "off"), NULL, o);
    assert_int_equal(o->code, 1);
    assert_int_equal(strncmp(o->err, "ferry: serve: ", 14), 0);
    assert_non_null(strstr(o->err, "data/nothing-here"));
    assert_non_null(strstr(o->err, "No such file or directory"));
}

static void help_of_every_command_goes_to_stdout(void **state)
{
    static const struct {
        const char *words[4], *has;
    } cases[] = {
        {{NULL}, "  serve  "},
        {{"--help"}, "  ask  "},
        {{"help", "serve"}, "--port PORT"},
        {{"serve", "--help"}, "FERRY_API_KEY "},
        {{"ask", "-h"}, "--audio FILE"},
        {{"help", "--man"}, ".TH FERRY 1"},
        {{"--version"}, "ferry "},
    };
    static struct outcome outcome;
    struct outcome *o = &outcome;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        program_run(*state, cases[i].words, NULL, o);
        assert_int_equal(o->code, 0);
        assert_string_equal(o->err, "");
        assert_non_null(strstr(o->out, cases[i].has));
        for (const char *line = o->out, *end; (end = strchr(line, '\n')); line = end + 1) {
            if (i != 5 && !memchr(line, '#', 3) && end - line > 100)
                fail_msg("a line of help is too long: %.*s", (int)(end - line), line);
            assert_false(end > line && end[-1] == ' ');
        }
    }
}

/* The golden's answer, repetition penalty 1.1 as the folder's generation_config says. From malloc. */
static char *golden_answer(void)
{
    const char *text;
    json_t *golden = json_load_file("data/goldens/b_short/case.json", 0, NULL);
    assert_int_equal(json_unpack(golden, "{s:{s:s}}", "greedy_repetition_penalty_1.1", "text", &text), 0);
    char *line = malloc(strlen(text) + 2);
    strcat(strcpy(line, text), "\n");
    json_decref(golden);
    return line;
}

#define GREEDY "--temperature", "0", "--max-tokens", "24", "--audio", WAV, "What does the speaker say?"

static void folder_answers_as_the_reference_does(void **state)
{
    static struct outcome outcome;
    struct outcome *o = &outcome;
    char *expected = golden_answer();
    program_run(*state, WORDS("ask", TINY, "--math", "exact", GREEDY), NULL, o);
    assert_string_equal(o->err, "");
    assert_string_equal(o->out, expected);
    assert_int_equal(o->code, 0);
    free(expected);
}

static void service_answers_the_same_and_ends_on_sigterm(void **state)
{
    static struct outcome outcome;
    struct outcome *o = &outcome;
    char *expected = golden_answer(), url[64];
    struct program service;
    snprintf(url, sizeof url, "http://127.0.0.1:%d", program_serve(&service, *state, TINY));
    program_run(*state, WORDS("ask", url, GREEDY), NULL, o);
    assert_string_equal(o->err, "");
    assert_string_equal(o->out, expected);
    strcat(url, "/v1/"); /* any spelling of the address */
    program_run(*state, WORDS("ask", url, "--json", GREEDY), NULL, o);
    json_t *answer = json_loads(o->out, 0, NULL);
    const char *text, *finish, *model;
    int audio, completion;
    assert_int_equal(json_unpack(answer, "{s:s, s:s, s:s, s:{s:i, s:i}}", "answer", &text, "finish_reason",
                                 &finish, "model", &model, "usage", "audio_tokens", &audio,
                                 "completion_tokens", &completion),
                     0);
    assert_int_equal(strncmp(text, expected, strlen(text)), 0);
    assert_string_equal(finish, "length");
    assert_string_equal(model, "tiny-qwen2-audio");
    assert_int_equal(audio, 32);
    assert_int_equal(completion, 24);
    json_decref(answer);
    kill(service.pid, SIGTERM);
    program_finish(&service, NULL, o);
    assert_int_equal(o->code, 0);
    assert_non_null(strstr(o->err, "\"message\":\"stopped\""));
    free(expected);
}

static void service_refusal_reaches_the_asker(void **state)
{
    static struct outcome outcome;
    struct outcome *o = &outcome;
    char url[64];
    struct program service;
    setenv("FERRY_API_KEY", "sesame-1", 1);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", program_serve(&service, *state, TINY));
    program_run(*state, WORDS("ask", url, "--temperature", "0", "--max-tokens", "1", "Hi"), NULL, o);
    assert_int_equal(o->code, 0);
    setenv("FERRY_API_KEY", "sesame-2", 1);
    program_run(*state, WORDS("ask", url, "Hi"), NULL, o);
    unsetenv("FERRY_API_KEY");
    assert_int_equal(o->code, 1);
    assert_non_null(strstr(o->err, "ferry: ask: the service wants a key, set FERRY_API_KEY: HTTP 401: "));
    assert_null(strstr(o->err, "sesame"));
    kill(service.pid, SIGINT);
    program_finish(&service, NULL, o);
    assert_int_equal(o->code, 0);
    assert_null(strstr(o->err, "sesame"));
}

static void question_comes_from_stdin(void **state)
{
    static struct outcome first, second;
    struct outcome *o = &first, *p = &second;
    program_run(*state, WORDS("ask", TINY, "-t0", "-n8", "-"), "What is said?", o);
    program_run(*state, WORDS("ask", TINY, "-t0", "-n8", "What is said?"), NULL, p);
    assert_int_equal(o->code, 0);
    assert_string_equal(o->err, "");
    assert_string_equal(o->out, p->out);
}

static void same_seed_gives_the_same_answer(void **state)
{
    static struct outcome first, second;
    struct outcome *o = &first, *p = &second;
    program_run(*state, WORDS("ask", TINY, "--seed", "7", "-n16", "-t1", "--stats", "Tell me."), NULL, o);
    program_run(*state, WORDS("ask", TINY, "--seed", "7", "-n16", "-t1", "Tell me."), NULL, p);
    assert_int_equal(o->code, 0);
    assert_string_equal(o->out, p->out);
    assert_string_equal(p->err, "");
    assert_non_null(strstr(o->err, "first text after "));
}

static void answer_nobody_reads_is_an_error(void **state)
{
    static struct outcome outcome;
    struct outcome *o = &outcome;
    struct program p;
    program_start(&p, *state, WORDS("ask", TINY, "-n100", "Tell me."));
    close(p.out);
    p.out = open("/dev/null", O_RDONLY | O_CLOEXEC);
    program_finish(&p, NULL, o);
    assert_true(o->code == 128 + SIGPIPE || o->code == 1);
}

static char *ferry; /* what is tested, for the fixtures */

static int give_program(void **state)
{
    *state = ferry;
    return 0;
}

int main(int argc, char **argv)
{
    setenv("HF_HUB_OFFLINE", "1", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_no_sense_gets_one_line_and_a_code),
        cmocka_unit_test(missing_model_ends_the_service_with_the_reason),
        cmocka_unit_test(help_of_every_command_goes_to_stdout),
        cmocka_unit_test(folder_answers_as_the_reference_does),
        cmocka_unit_test(service_answers_the_same_and_ends_on_sigterm),
        cmocka_unit_test(service_refusal_reaches_the_asker),
        cmocka_unit_test(question_comes_from_stdin),
        cmocka_unit_test(same_seed_gives_the_same_answer),
        cmocka_unit_test(answer_nobody_reads_is_an_error),
    };
    if (argc != 2)
        return 2;
    ferry = argv[1];
    return cmocka_run_group_tests(tests, give_program, NULL);
}
