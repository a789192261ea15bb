/* The real program: plans of the reference model against what they said when they were looked at last
 * (data/plan/), of models on the hub, in a bucket and in folders, against the emulator.
 *
 * With FERRY_WRITE_GOLDENS set, what it says now is written to data/plan: look at the difference. */
#include "reference_folder.h"
#include "scratch.h"

#include <jansson.h>
#include <math.h>
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
#define REPO "hub/owner/name/"

static char *ferry, *tests_folder; /* the program; tests/ of the sources */
static struct scratch scratch;

/* --- goldens --- */

static char *read_file(const char *path)
{
    static char text[1 << 17];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = 0;
    if (f)
        fclose(f);
    return text;
}

static void compare(const char *name, const char *found)
{
    char path[700];
    snprintf(path, sizeof path, "%s/data/plan/%s", tests_folder, name);
    if (getenv("FERRY_WRITE_GOLDENS")) {
        FILE *f = fopen(path, "w");
        assert_true(f && fputs(found, f) >= 0 && fclose(f) == 0);
    }
    const char *golden = read_file(path);
    for (int line = 1; *golden || *found; line++) {
        size_t a = strcspn(golden, "\n"), b = strcspn(found, "\n");
        if (a != b || strncmp(golden, found, a) != 0)
            fail_msg("%s: line %d is \"%.*s\", expected \"%.*s\"", name, line, (int)b, found, (int)a, golden);
        golden += a + (golden[a] == '\n');
        found += b + (found[b] == '\n');
    }
}

static void expect_columns(const char *text, int most)
{
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        int columns = 0;
        for (size_t i = 0; i < n; i++)
            columns += (line[i] & 0xc0) != 0x80; /* characters, all of one column here */
        if (columns > most)
            fail_msg("%d columns: %.*s", columns, (int)n, line);
        assert_false(n > 0 && line[n - 1] == ' ');
        line += n + (line[n] == '\n');
    }
}

static void reference_is_planned_as_it_was_looked_at(void **state)
{
    struct scratch *s = *state;
    reference_folder_make("reference", tests_folder);
    scratch_ok(s, "plan", "./reference", "--compare");
    compare("reference.txt", s->last.out);
    expect_columns(s->last.out, 100);
    scratch_ok(s, "plan", "./reference", "-e", "q8_0", "--requests", "2000", "--min-instances", "1",
               "--explain", "--region", "us-central1");
    compare("reference-q8-explained.txt", s->last.out);
    expect_columns(s->last.out, 100);
    scratch_ok(s, "plan", "./reference", "--rate", "150", "--audio", "0", "--kv", "q8", "--parallel", "4");
    compare("reference-yen.txt", s->last.out);
}

static json_t *plan_json(struct scratch *s, const char *const *words)
{
    scratch_ok_words(s, words);
    json_t *plan = json_loads(s->last.out, 0, NULL);
    assert_non_null(plan);
    return plan;
}

static void reference_for_programs_is_as_it_was_looked_at(void **state)
{
    struct scratch *s = *state;
    reference_folder_make("reference", tests_folder);
    json_t *plan = plan_json(s, (const char *const[]){"plan", "./reference", "--json", "--compare", NULL});
    char *text = json_dumps(plan, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    char *line_end = realloc(text, strlen(text) + 2);
    strcat(line_end, "\n");
    compare("reference.json", line_end);
    free(line_end);
    json_decref(plan);
}

static json_int_t number_at(const json_t *plan, const char *object, const char *key)
{
    return json_integer_value(json_object_get(json_object_get(plan, object), key));
}

/* --- what is read --- */

static void copy_tiny(const char *to)
{
    char command[1200];
    snprintf(command, sizeof command,
             "mkdir -p %s && cp '%s/data/models/tiny-qwen2-audio'/* %s && chmod -R u+w %s", to, tests_folder,
             to, to);
    assert_int_equal(system(command), 0);
}

static void model_on_the_hub_is_read_by_its_headers_alone(void **state)
{
    struct scratch *s = *state;
    copy_tiny(REPO);
    scratch_ok(s, "plan", "owner/name");
    assert_non_null(strstr(s->last.out, "hf://owner/name at "));
    emulator_log_clear(&s->emulator);
    json_t *plan = plan_json(s, (const char *const[]){"plan", "owner/name", "--json", NULL});
    assert_int_equal(number_at(plan, "model", "tensors"), 78);
    assert_int_equal(number_at(plan, "model", "files"), 3);
    json_int_t read = number_at(plan, "model", "bytes_read");
    json_decref(plan);
    assert_in_range(read, 10000, 250000); /* of 1.3 MB */
    struct emulator_count got = emulator_count(&s->emulator, "GET", "/cdn/*", 0);
    assert_true(got.sent <= (uint64_t)read + 4096);
}

static void staged_pack_in_a_bucket_is_planned_as_stored(void **state)
{
    struct scratch *s = *state;
    copy_tiny(REPO);
    scratch_ok(s, "stage", "owner/name", B "/m", "--encode", "q8_0");
    json_t *plan = plan_json(s, (const char *const[]){"plan", B "/m", "--json", NULL});
    json_t *types = json_object_get(json_object_get(plan, "model"), "bytes_by_dtype");
    assert_non_null(json_object_get(types, "q8_0"));
    assert_int_equal(json_array_size(json_object_get(plan, "encodings")), 1);
    json_decref(plan);
    /* What a plan of the model says of q8_0 is what the pack then is. */
    json_t *before = plan_json(s, (const char *const[]){"plan", "owner/name", "--json", "-e", "q8_0", NULL});
    json_t *q8 = json_array_get(json_object_get(before, "encodings"), 2);
    json_int_t predicted = json_integer_value(json_object_get(q8, "file_bytes"));
    json_decref(before);
    scratch_ok(s, "ls", "-l", B "/m/model.safetensors");
    long long size = strtoll(s->last.out, NULL, 10);
    assert_in_range(size, predicted, predicted + 200); /* source and commit stand in the header too */
    assert_int_equal(scratch_run(s, "plan", B "/m", "-e", "q4_0"), 2);
    assert_non_null(strstr(s->last.err, "the model is encoded already"));
}

static void config_alone_says_the_same_of_the_weights(void **state)
{
    struct scratch *s = *state;
    reference_folder_make("reference", tests_folder);
    json_t *whole = plan_json(s, (const char *const[]){"plan", "./reference", "--json", NULL});
    json_t *config = plan_json(s, (const char *const[]){"plan", "reference/config.json", "--json", NULL});
    static const char *const same[] = {"parameters", "tensors"};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(number_at(whole, "model", same[i]), number_at(config, "model", same[i]));
    assert_int_equal(number_at(whole, "model", "parameters"), 8397094912);
    assert_true(json_is_true(json_object_get(json_object_get(config, "model"), "from_config_alone")));
    json_decref(whole);
    json_decref(config);
    assert_int_equal(system("rm reference/*.safetensors reference/*.index.json"), 0);
    scratch_ok(s, "plan", "./reference"); /* a folder without weights */
    assert_non_null(strstr(s->last.out, "no file of weights was read"));
}

#define LLAMA                                                                                                \
    "{\"model_type\":\"llama\",\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2," \
    "\"hidden_size\":64,\"max_position_embeddings\":512}"

static void write_llama(const char *folder, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/config.json", folder);
    scratch_text(path, LLAMA);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    static const char header[] = "{\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[64],\"data_offsets\":[0,64]}}";
    char text[300] = {(char)(sizeof header - 1)};
    memcpy(text + 8, header, sizeof header - 1);
    memset(text + 8 + sizeof header - 1, 'x', 64);
    scratch_text(path, "");
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite(text, 1, 8 + sizeof header - 1 + 64, f), 8 + sizeof header - 1 + 64);
    fclose(f);
}

static void model_of_another_server_is_planned_and_said_to_be_one(void **state)
{
    struct scratch *s = *state;
    write_llama("llama", "part-1.safetensors");
    scratch_ok(s, "plan", "./llama", "--context", "512");
    assert_non_null(strstr(s->last.out, "llama; 6.4e-05 million parameters in 1 tensors"));
    assert_non_null(strstr(s->last.out, "F8_E4M3 64 B"));
    assert_non_null(strstr(s->last.out, "Ferry's own engine does not run it"));
    assert_non_null(strstr(s->last.out, "`ferry exec`"));
    assert_non_null(strstr(s->last.out, "the server itself"));
    expect_columns(s->last.out, 100);
}

static const struct {
    const char *words[8];
    int code;
    const char *says;
} refused[] = {
    {{"plan"}, 2, "which model? usage: ferry plan MODEL"},
    {{"plan", "owner/name", "--region", "tokyo"},
     2,
     "--region tokyo: not a region that Ferry knows, expected one such as asia-northeast1"},
    {{"plan", "owner/name", "--cpu", "3"}, 2, "--cpu 3: Cloud Run has 1, 2, 4, 6 or 8"},
    {{"plan", "owner/name", "--requests", "-1"}, 2, "--requests: \"-1\", expected a number from 0 to"},
    {{"plan", "owner/name", "--context", "9000"},
     2,
     "--context 9000: the model was made for at most 8192 tokens"},
    {{"plan", "owner/name", "--prices", "none.json"}, 1, "none.json: No such file or directory"},
    {{"plan", "owner/name", "--prices", REPO "config.json"}, 1, REPO "config.json: schema: expected 1"},
    {{"plan", "owner/name", "--html", "no/such/folder.html"},
     1,
     "no/such/folder.html: No such file or directory"},
    {{"plan", "owner/none"}, 1, "owner/none"},
    {{"plan", "./none"}, 1, "./none: nothing there"},
    {{"plan", "./gguf"},
     1,
     "./gguf: no safetensors there, which a plan reads the headers of; model.gguf is another format"},
    {{"plan", "./deep"}, 1, "./deep: no safetensors there; there are folders, for example ./deep/unet/"},
    {{"plan", "./broken"}, 1, "./broken: model.safetensors: header of "},
    {{"plan", "./short"}, 1, "2 bytes are no safetensors file"},
    {{"plan", "./torn"}, 1, "model.safetensors.index.json lists model-2.safetensors, which is not there"},
    {{"plan", "llama/config.json"}, 1, "the config alone does not say how large this model is"},
    {{"plan", "torn/no.json"}, 1, "torn/no.json: config.json: line 1: "},
    {{"plan", "./llama", "-e", "q8_0"}, 2, "--encode: Ferry's own engine does not run this model"},
    {{"plan", B "x/m"}, 1, "`ferry bucket create"},
};

static void each_refusal_says_what_to_do(void **state)
{
    struct scratch *s = *state;
    copy_tiny(REPO);
    write_llama("llama", "model.safetensors");
    scratch_text("gguf/model.gguf", "GGUF");
    scratch_text("deep/unet/x.safetensors", "");
    scratch_text("broken/model.safetensors", "no safetensors file");
    scratch_text("short/model.safetensors", "no");
    scratch_text("torn/model.safetensors.index.json", "{\"weight_map\":{\"a\":\"model-2.safetensors\"}}");
    scratch_text("torn/no.json", "{");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *words[9] = {NULL};
        memcpy(words, refused[i].words, sizeof refused[i].words);
        int code = scratch_run_words(s, NULL, words);
        if (code != refused[i].code || !strstr(s->last.err, refused[i].says))
            fail_msg("%s %s: code %d: %s", words[0], words[1] ? words[1] : "", code, s->last.err);
        assert_ptr_equal(strchr(s->last.err, '\n'), strrchr(s->last.err, '\n')); /* one line */
    }
}

static void without_a_network_it_says_what_does(void **state)
{
    struct scratch *s = *state;
    setenv("HF_ENDPOINT", "http://127.0.0.1:9", 1); /* nobody listens there */
    scratch_run(s, "plan", "owner/name");
    assert_int_equal(s->last.code, 1);
    assert_non_null(
        strstr(s->last.err, "without a network a folder or a config.json does: ferry plan ./config.json"));
    emulator_setenv(&s->emulator);
}

static void what_does_not_fit_says_what_would_help(void **state)
{
    struct scratch *s = *state;
    reference_folder_make("reference", tests_folder);
    scratch_ok(s, "plan", "./reference", "--parallel", "4");
    assert_non_null(strstr(s->last.out, "It does not fit as stored on Cloud Run's CPUs: "));
    assert_non_null(strstr(s->last.out, "Encoded as q8_0: "));
    scratch_ok(s, "plan", "./reference", "--cpu", "1");
    assert_non_null(strstr(s->last.out, "1 vCPU have at most 4 GiB"));
    assert_null(strstr(s->last.out, "Encoded as"));
}

/* --- the rest of what it does --- */

static void page_loads_nothing_and_has_its_charts(void **state)
{
    struct scratch *s = *state;
    reference_folder_make("reference", tests_folder);
    scratch_ok(s, "plan", "./reference", "--html", "plan.html");
    const char *page = read_file("plan.html");
    assert_null(strstr(page, "://"));
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "nan"));
    int charts = 0;
    for (const char *at = page; (at = strstr(at, "<svg ")); at++)
        charts++;
    assert_int_equal(charts, 3);
    assert_non_null(strstr(page, "prefers-color-scheme:dark"));
    assert_non_null(strstr(page, "default-src 'none'"));
    assert_non_null(strstr(page, "</html>\n"));
}

static void what_was_measured_is_remembered(void **state)
{
    struct scratch *s = *state;
    copy_tiny(REPO);
    scratch_ok(s, "stage", "owner/name", B "/m");
    scratch_ok(s, "plan", B "/m", "--measure");
    assert_non_null(strstr(s->last.out, "On this machine"));
    assert_non_null(strstr(s->last.out, B ", measured 2"));
    scratch_ok(s, "plan", B "/m");
    assert_non_null(strstr(s->last.out, "On this machine")); /* and changes no number of the plan */
    assert_non_null(strstr(s->last.out, "100 MB/s to 1.00 GB/s from the bucket, assumed"));
    assert_true(scratch_exists("state/ferry/measured.json"));
    setenv("CLOUD_RUN_JOB", "probe", 1);
    scratch_ok(s, "plan", B "/m", "--measure");
    unsetenv("CLOUD_RUN_JOB");
    assert_non_null(strstr(s->last.out, "from the bucket, as measured there"));
    scratch_ok(s, "plan", B "/m", "--region", "us-central1"); /* another region is another way */
    assert_non_null(strstr(s->last.out, "from the bucket, assumed"));
    scratch_text("state/ferry/measured.json", "{\"measured\":7}");
    assert_int_equal(scratch_run(s, "plan", B "/m"), 1);
    assert_non_null(strstr(s->last.err, "measured.json: not what `ferry plan --measure` writes; remove it"));
}

#define EARLIER                                                                                              \
    "{\"predictions\":["                                                                                     \
    "{\"date\":\"2026-11-20\",\"service\":\"a\",\"model\":\"hf://owner/"                                     \
    "name\",\"where\":\"here\",\"encoding\":\"BF16\","                                                       \
    "\"vcpu\":2,\"gib\":0,\"what\":\"tokens_per_second\",\"predicted\":[50,200],\"measured\":110},"          \
    "{\"date\":\"2026-11-21\",\"service\":\"b\",\"model\":\"gs://b/m\",\"where\":\"cloud-run us-central1\"," \
    "\"encoding\":\"q8_0\",\"vcpu\":8,\"gib\":16,\"what\":\"loaded_seconds\",\"predicted\":[10,10],"         \
    "\"measured\":13}]}"

/* Of the model, and of the region; each error from the middle: 110 of 100, 13 of 10. */
static void what_came_of_earlier_plans_is_told(void **state)
{
    struct scratch *s = *state;
    copy_tiny(REPO);
    scratch_text("state/ferry/predictions.json", EARLIER);
    scratch_ok(s, "plan", "owner/name");
    assert_non_null(
        strstr(s->last.out, "Earlier plans of this model or region: 1 of 1 numbers measured since"));
    scratch_ok(s, "plan", "owner/name", "--region", "us-central1");
    assert_non_null(strstr(s->last.out, "1 of 2 numbers measured since 2026-11-20"));
    assert_non_null(strstr(s->last.out, "20 % off its middle"));
    json_t *plan = plan_json(s, (const char *const[]){"plan", "owner/name", "--json", NULL});
    json_t *list = json_object_get(plan, "predictions"), *one = json_array_get(list, 0);
    assert_int_equal(json_array_size(list), 1);
    assert_true(json_is_true(json_object_get(one, "holds")));
    assert_true(fabs(json_number_value(json_object_get(one, "error_percent")) - 10) < 1e-9);
    json_decref(plan);
    scratch_text("state/ferry/predictions.json", "{}");
    assert_int_equal(scratch_run(s, "plan", "owner/name"), 1);
    assert_non_null(
        strstr(s->last.err, "predictions.json: not what Ferry writes of its predictions; remove it"));
}

static void prices_may_be_others(void **state)
{
    struct scratch *s = *state;
    copy_tiny(REPO);
    scratch_text("prices.json",
                 "{\"schema\":1,\"currency\":\"USD\",\"newest_source\":\"2027-01-01\",\"items\":[],"
                 "\"aws_limits\":[]}");
    scratch_ok(s, "plan", "owner/name", "--prices", "prices.json", "--html", "p.html", "--compare");
    assert_non_null(strstr(s->last.out, "Prices: prices.json, newest source 2027-01-01"));
    assert_non_null(strstr(s->last.out, "unknown a month when nothing is kept"));
    assert_null(strstr(s->last.out, "nan"));
    assert_null(strstr(read_file("p.html"), "nan"));
}

/* The catalog is in the program, so no locale need be installed. */
static void japanese_locale_is_told_how_to_see_yen_in_japanese(void **state)
{
    struct scratch *s = *state;
    copy_tiny(REPO);
    setenv("LC_ALL", "ja_JP.UTF-8", 1);
    scratch_ok(s, "plan", "owner/name");
    assert_non_null(strstr(s->last.out, "円で表示するには --rate で 1 ドルあたりの円を指定します。"));
    assert_non_null(strstr(s->last.out, "最初のトークン"));
    assert_int_equal(scratch_run(s, "plan", "owner/name", "--cpu", "3"), 2);
    assert_non_null(strstr(s->last.err, "--cpu 3: Cloud Run で選べるのは 1、2、4、6、8 です"));
    setenv("FERRY_YEN_PER_USD", "155.5", 1);
    scratch_ok(s, "plan", "owner/name");
    assert_non_null(strstr(s->last.out, "¥"));
    assert_non_null(strstr(s->last.out, " 155.5 "));
    unsetenv("LC_ALL");
    unsetenv("FERRY_YEN_PER_USD");
    scratch_ok(s, "plan", "owner/name");
    assert_null(strstr(s->last.out, "yen"));
}

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
        test(reference_is_planned_as_it_was_looked_at),
        test(reference_for_programs_is_as_it_was_looked_at),
        test(model_on_the_hub_is_read_by_its_headers_alone),
        test(staged_pack_in_a_bucket_is_planned_as_stored),
        test(config_alone_says_the_same_of_the_weights),
        test(model_of_another_server_is_planned_and_said_to_be_one),
        test(each_refusal_says_what_to_do),
        test(without_a_network_it_says_what_does),
        test(what_does_not_fit_says_what_would_help),
        test(page_loads_nothing_and_has_its_charts),
        test(what_was_measured_is_remembered),
        test(what_came_of_earlier_plans_is_told),
        test(prices_may_be_others),
        test(japanese_locale_is_told_how_to_see_yen_in_japanese),
    };
    if (argc != 3)
        return 2;
    ferry = argv[1];
    tests_folder = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
