/* ferry stage and ferry bucket, as their users meet them, against the emulator. */
#include "scratch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define B "gs://" SCRATCH_BUCKET
#define REPO "hub/owner/name/"
#define SHARD_1 "model-00001-of-00002.safetensors"
#define SHARD_2 "model-00002-of-00002.safetensors"
#define ODD "sub/音声 #1 100%.json"

enum { SHARD_BYTES = 30000001, ALL_BYTES = 2 * SHARD_BYTES };

static const char *const taken[] = {SHARD_1, SHARD_2, "config.json", "empty.txt", ODD};

static void make_repository(void)
{
    scratch_file(REPO SHARD_1, SHARD_BYTES, 1);
    scratch_file(REPO SHARD_2, SHARD_BYTES, 2);
    scratch_text(REPO "config.json", "{}");
    scratch_text(REPO "empty.txt", "");
    scratch_text(REPO ODD, "{\"a\":1}");
    scratch_file(REPO "pytorch_model.bin", 200000, 3);
    scratch_text(REPO "original/params.json", "{}");
}

/* What was staged at the URI, byte for byte, as another command reads it. */
static void expect_staged(struct scratch *s, const char *uri)
{
    char from[300], to[300];
    scratch_ok(s, "stage", "--check", "--deep", uri);
    assert_non_null(strstr(s->last.out, "5 files of hf://owner/name at "));
    scratch_ok(s, "cp", "-r", uri, "fetched");
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        snprintf(from, sizeof from, REPO "%s", taken[i]);
        snprintf(to, sizeof to, "fetched/%s", taken[i]);
        scratch_same(from, to);
    }
    assert_false(scratch_exists("fetched/pytorch_model.bin") || scratch_exists("fetched/original"));
    assert_true(scratch_exists("fetched/ferry-manifest.json"));
    assert_false(scratch_exists("fetched/.ferry"));
}

static void model_is_staged_whole_and_once(void **state)
{
    struct scratch *s = *state;
    make_repository();
    scratch_ok(s, "stage", "owner/name", B "/m");
    assert_non_null(strstr(s->last.out, "5 files copied, 60.0 MB"));
    assert_non_null(strstr(s->last.out, "2 files left out, 200 kB"));
    assert_non_null(strstr(s->last.out, " is staged completely in " B "/m/\n"));
    expect_staged(s, B "/m");
    emulator_log_clear(&s->emulator);
    scratch_ok(s, "stage", "owner/name", B "/m");
    assert_non_null(strstr(s->last.out, "nothing to do"));
    assert_int_equal(emulator_count(&s->emulator, "PUT", NULL, 0).requests, 0);
    assert_int_equal(emulator_count(&s->emulator, "POST", NULL, 0).requests, 0);
}

static void folder_here_is_a_target_too(void **state)
{
    struct scratch *s = *state;
    make_repository();
    scratch_ok(s, "stage", "hf://owner/name@main", "here/it is");
    expect_staged(s, "here/it is");
}

static void dry_run_says_what_would_be_copied(void **state)
{
    struct scratch *s = *state;
    make_repository();
    emulator_log_clear(&s->emulator);
    scratch_ok(s, "stage", "owner/name", B "/m", "--dry-run");
    assert_non_null(strstr(s->last.out, "  copy      " SHARD_1 " (30.0 MB)\n"));
    assert_non_null(strstr(s->last.out, "  duplicate pytorch_model.bin (200 kB)\n"));
    assert_non_null(strstr(s->last.out, "5 files, 60.0 MB to copy; nothing was copied\n"));
    assert_int_equal(emulator_count(&s->emulator, "PUT", NULL, 0).requests, 0);
    assert_int_equal(emulator_count(&s->emulator, "POST", NULL, 0).requests, 0);
    scratch_ok(s, "stage", "owner/name", B "/m", "--dry-run", "--json", "-i", "*.bin", "-i", "config.json");
    json_t *plan = json_loads(s->last.out, 0, NULL);
    json_t *files = json_object_get(plan, "files"), *f;
    size_t i, copied = 0;
    json_array_foreach(files, i, f) copied +=
        strcmp(json_string_value(json_object_get(f, "action")), "copy") == 0;
    assert_int_equal(copied, 2);
    json_decref(plan);
}

/* Parts on their way are finished, so that nothing goes twice. */
static void interrupted_it_says_how_to_go_on(void **state)
{
    struct scratch *s = *state;
    static struct outcome o;
    struct program p;
    make_repository();
    emulator_faults(&s->emulator, "slow");
    emulator_log_clear(&s->emulator);
    program_start(&p, s->ferry, (const char *const[]){"stage", "owner/name", B "/m", "-w", "1", NULL});
    usleep(900000);
    kill(p.pid, SIGINT);
    program_finish(&p, NULL, &o);
    emulator_faults(&s->emulator, NULL);
    assert_int_equal(o.code, 128 + SIGINT);
    assert_non_null(strstr(o.err, "nothing of it is lost; to go on: ferry stage owner/name " B "/m -w 1\n"));
    uint64_t before = emulator_count(&s->emulator, "PUT", "*partNumber*", 0).body;
    assert_true(before > 0 && before < ALL_BYTES);
    scratch_ok(s, "stage", "owner/name", B "/m", "-w", "1");
    assert_int_equal(emulator_count(&s->emulator, "PUT", "*partNumber*", 0).body, ALL_BYTES);
    expect_staged(s, B "/m");
}

/* How the network dies: every read stalls in its middle, every write does, nobody answers any more. */
#define STALL "\"times\":0,\"do\":{\"after_bytes\":300000,\"then\":\"stall\",\"stall_seconds\":8}}]}"
static const char *const dead[] = {"{\"faults\":[{\"host\":\"cdn\"," STALL,
                                   "{\"faults\":[{\"method\":\"PUT\"," STALL, NULL};

#define TRICKLE "{\"faults\":[{\"host\":\"cdn\",\"times\":0,\"do\":{\"bytes_per_second\":3000000}}]}"

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Starts a stage, lets the network die, and sends so many Ctrl-C; how long it takes to end. */
static double end_with_dead_network(struct scratch *s, const char *fault, int times)
{
    static struct outcome o;
    struct program p;
    emulator_faults(&s->emulator, fault ? fault : TRICKLE);
    program_start(&p, s->ferry, (const char *const[]){"stage", "owner/name", B "/m", "-q", "-w", "3", NULL});
    usleep(1500000);
    if (!fault)
        kill(s->emulator.pid, SIGSTOP);
    double begin = seconds();
    for (int i = 0; i < times; i++) {
        kill(p.pid, SIGINT);
        usleep(100000);
    }
    program_finish(&p, NULL, &o);
    double took = seconds() - begin;
    kill(s->emulator.pid, SIGCONT);
    emulator_faults(&s->emulator, NULL);
    assert_int_equal(o.code, 128 + SIGINT);
    if (times == 1)
        assert_non_null(
            strstr(o.err, "nothing of it is lost; to go on: ferry stage owner/name " B "/m -q -w 3\n"));
    return took;
}

static void dead_network_does_not_keep_an_interrupted_copy(void **state)
{
    struct scratch *s = *state;
    for (size_t i = 0; i < sizeof dead / sizeof *dead; i++) {
        make_repository();
        double once = end_with_dead_network(s, dead[i], 1), twice = end_with_dead_network(s, dead[i], 2);
        /* two seconds without a byte, looked at once a second; the journal's copy may wait as long again */
        if (once > 7 || twice > 1)
            fail_msg("%zu: %.1f s after one Ctrl-C, %.1f s after two", i, once, twice);
        print_message("%.1f s after one Ctrl-C, %.1f s after two\n", once, twice);
        scratch_ok(s, "stage", "owner/name", B "/m");
        expect_staged(s, B "/m");
        scratch_ok(s, "rm", "-ry", B "/m");
    }
}

static const struct {
    const char *token, *words[5];
    int code;
    const char *says; /* somewhere on stderr */
} refused[] = {
    {EMULATOR_HF_TOKEN, {"stage", "owner/none", B "/x"}, 1, "there is no such repository"},
    {"", {"stage", "owner/private", B "/x"}, 1, "private or gated"},
    {"", {"stage", "owner/gated", B "/x"}, 1, "accept its licence at http"},
    {EMULATOR_HF_TOKEN_NO_LICENCE, {"stage", "owner/gated", B "/x"}, 1, "has not accepted its licence"},
    {"hf_wrong", {"stage", "owner/name", B "/x"}, 1, "is wrong or has expired"},
    {EMULATOR_HF_TOKEN, {"stage", "owner/disabled", B "/x"}, 1, "has disabled this repository"},
    {EMULATOR_HF_TOKEN, {"stage", "owner/name@none", B "/x"}, 1, "there is no revision \"none\""},
    {EMULATOR_HF_TOKEN,
     {"stage", "owner/name", "gs://no-bucket/x"},
     1,
     "`ferry bucket create no-bucket` makes one"},
    {EMULATOR_HF_TOKEN, {"stage", "--check", B "/x"}, 1, "there is no ferry-manifest.json"},
    {"", {"stage", "owner/name"}, 2, "which model, to where?"},
    {"", {"stage", "./hub", B "/x"}, 2, "a path on this machine, expected a model on the hub"},
    {"", {"stage", B "/m", B "/x"}, 2, "expected a model on the hub"},
    {"", {"stage", "hf://owner/name/config.json", B "/x"}, 2, "--include 'config.json' takes part of it"},
    {"", {"stage", "owner/name", "hf://a/b"}, 2, "does not write to it"},
    {"",
     {"stage", "owner/name", B "/x", "--via", "us"},
     2,
     "--via: \"us\", expected one of here|job|vm|auto"},
    {"", {"stage", "owner/name", B "/x", "--tasks=2"}, 2, "--tasks goes with --via job"},
    {"",
     {"stage", "owner/name", B "/x", "--via=here", "--image=a/b"},
     2,
     "--image and --token-secret go with --via job"},
    {"", {"stage", "owner/name", B "/x", "--token-secret=a"}, 2, "--token-secret goes with --image"},
    {EMULATOR_HF_TOKEN, {"stage", "owner/name", B "/x", "--via=job"}, 2, "which image? `ferry image push"},
    {EMULATOR_HF_TOKEN, {"stage", "owner/name", "here", "--via=job"}, 2, "expected gs://BUCKET/PREFIX"},
    {"", {"stage", "owner/name", B "/x", "--deep"}, 2, "--deep goes with --check"},
    {"", {"stage", "hf://owner/name@a", B "/x", "--revision=b"}, 2, "--revision says b; give one of them"},
    {EMULATOR_HF_TOKEN, {"stage", "owner/name", B "/x", "-x*"}, 2, "none of its 1 files is asked for"},
};

static void each_refusal_says_what_to_do(void **state)
{
    struct scratch *s = *state;
    const char *words[6] = {NULL};
    scratch_text("hub/owner/name/config.json", "{}");
    scratch_text("hub/owner/gated/config.json", "{}");
    scratch_text("hub/owner/gated/.emulator.json", "{\"gated\":\"auto\"}");
    scratch_text("hub/owner/private/.emulator.json", "{\"private\":true}");
    scratch_text("hub/owner/disabled/.emulator.json", "{\"disabled\":true}");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        memcpy(words, refused[i].words, sizeof refused[i].words);
        setenv("HF_TOKEN", refused[i].token, 1);
        int code = scratch_run_words(s, NULL, words);
        if (code != refused[i].code || !strstr(s->last.err, refused[i].says))
            fail_msg("%s %s: code %d: %s", words[0], words[1], code, s->last.err);
        assert_ptr_equal(strchr(s->last.err, '\n'), strrchr(s->last.err, '\n')); /* one line */
        assert_string_equal(s->last.out, "");
    }
    scratch_ok(s, "ls", B);
    assert_string_equal(s->last.out, ""); /* nothing was begun */
}

static void other_commit_is_replaced_only_when_told(void **state)
{
    struct scratch *s = *state;
    scratch_text(REPO "config.json", "{}");
    scratch_text(REPO "old.json", "{}");
    scratch_ok(s, "stage", "owner/name", B "/m");
    remove(REPO "old.json");
    scratch_text(REPO "config.json", "{\"new\":1}");
    assert_int_equal(scratch_run(s, "stage", "owner/name", B "/m"), 4);
    assert_non_null(strstr(s->last.err, "--yes says yes"));
    scratch_ok(s, "cat", B "/m/config.json");
    assert_string_equal(s->last.out, "{}");
    scratch_ok(s, "stage", "owner/name", B "/m", "--yes");
    assert_non_null(strstr(s->last.out, "1 file of what was staged before stays (old.json)"));
    scratch_ok(s, "stage", "--check", "--deep", B "/m");
    scratch_ok(s, "cat", B "/m/config.json");
    assert_string_equal(s->last.out, "{\"new\":1}");
}

static void check_finds_what_is_wrong_and_stage_repairs_it(void **state)
{
    struct scratch *s = *state;
    make_repository();
    scratch_ok(s, "stage", "owner/name", B "/m");
    scratch_ok(s, "rm", "-y", B "/m/config.json");
    assert_int_equal(scratch_run_with(s, "[]", "cp", "-", B "/m/" ODD), 0);
    assert_int_equal(scratch_run_with(s, "x", "cp", "-", B "/m/empty.txt"), 0);
    assert_int_equal(scratch_run(s, "stage", "--check", B "/m"), 1);
    assert_non_null(strstr(s->last.out, "config.json: is missing\n"));
    assert_non_null(strstr(s->last.out, "empty.txt: has 1 bytes, the manifest says 0\n"));
    assert_non_null(
        strstr(s->last.err, "3 of 5 files are not what was staged; to set it right: ferry stage "));
    emulator_log_clear(&s->emulator);
    scratch_ok(s, "stage", "owner/name", B "/m");
    assert_non_null(strstr(s->last.out, "3 files copied, 9 B, 2 were there already"));
    expect_staged(s, B "/m");
}

static void changed_byte_is_found_by_deep_alone(void **state)
{
    struct scratch *s = *state;
    make_repository();
    scratch_ok(s, "stage", "owner/name", "here");
    scratch_text("here/config.json", "[]");
    scratch_ok(s, "stage", "--check", "here");
    assert_int_equal(scratch_run(s, "stage", "--check", "--deep", "--json", "here"), 1);
    json_t *o = json_loads(s->last.out, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(o, "problems")), 1);
    json_decref(o);
    assert_non_null(strstr(s->last.err, "delete those whose bytes are wrong"));
}

static void bucket_is_created_shown_and_set_right(void **state)
{
    struct scratch *s = *state;
    assert_int_equal(scratch_run(s, "bucket", "create", "new-bkt", "-r", "asia-northeast1"), 2);
    assert_non_null(strstr(s->last.err, "in which project?"));
    assert_int_equal(scratch_run(s, "bucket", "create", "new-bkt", "-p", "p"), 2);
    assert_non_null(strstr(s->last.err, "in which region?"));
    assert_int_equal(scratch_run(s, "bucket", "create", "new-bkt", "-p", "p", "-r", "us"), 2);
    scratch_ok(s, "bucket", "create", "new-bkt", "-p", "p", "-r", "us-central1", "--soft-delete", "off");
    assert_non_null(strstr(s->last.out, "  location            US-CENTRAL1 (region)\n"));
    assert_non_null(strstr(s->last.out, "  deleted objects     gone at once\n"));
    assert_null(strstr(s->last.out, "!"));
    scratch_ok(s, "bucket", "create", "new-bkt", "-p", "p", "-r", "us-central1"); /* content */
    assert_int_equal(scratch_run(s, "bucket", "create", "new-bkt", "-p", "p", "-r", "asia-northeast1"), 1);
    assert_non_null(strstr(s->last.err, "Take another name"));
    assert_int_equal(scratch_run(s, "bucket", "fix", "new-bkt", "--expire-days", "30"), 4);
    scratch_ok(s, "bucket", "fix", "new-bkt", "--expire-days", "30", "--yes");
    assert_non_null(strstr(s->last.out, "  objects             deleted after 30 days\n"));
    scratch_ok(s, "bucket", "fix", "gs://new-bkt", "--expire-days", "30");
    assert_non_null(strstr(s->last.out, "all is as it should be"));
    scratch_ok(s, "bucket", "show", "new-bkt", "--json");
    json_t *o = json_loads(s->last.out, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(o, "name")), "new-bkt");
    json_decref(o);
    assert_int_equal(scratch_run(s, "bucket", "show", "none-bkt"), 1);
    assert_int_equal(scratch_run(s, "bucket", "mend", "new-bkt"), 2);
    assert_int_equal(scratch_run(s, "bucket", "show", "new-bkt", "--soft-delete", "3"), 2);
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
        test(model_is_staged_whole_and_once),
        test(folder_here_is_a_target_too),
        test(dry_run_says_what_would_be_copied),
        test(interrupted_it_says_how_to_go_on),
        test(dead_network_does_not_keep_an_interrupted_copy),
        test(each_refusal_says_what_to_do),
        test(other_commit_is_replaced_only_when_told),
        test(check_finds_what_is_wrong_and_stage_repairs_it),
        test(changed_byte_is_found_by_deep_alone),

        test(bucket_is_created_shown_and_set_right),
    };
    if (argc != 2)
        return 2;
    ferry = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
