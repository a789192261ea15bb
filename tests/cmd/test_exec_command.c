/* ferry exec, as its users meet it, against the emulator: what the program finds, and what ends before it is
 * started. */
#include "scratch.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

enum { SHARD_BYTES = 30000001 };

static const char *const taken[] = {SHARD_1, SHARD_2, "config.json", "empty.txt", "sub/音声 #1.json"};

static void make_repository(void)
{
    scratch_file(REPO SHARD_1, SHARD_BYTES, 1);
    scratch_file(REPO SHARD_2, SHARD_BYTES, 2);
    scratch_text(REPO "config.json", "{}");
    scratch_text(REPO "empty.txt", "");
    scratch_text(REPO "sub/音声 #1.json", "{\"a\":1}");
    scratch_file(REPO "pytorch_model.bin", 200000, 3);
}

static void script(const char *name, const char *text)
{
    scratch_text(name, text);
    assert_int_equal(chmod(name, 0700), 0);
}

/* Says its words, its folder, and how many connections and files of ours it has open. */
#define SHOW                                                                                                 \
    "#!/bin/sh\nprintf '<%s>' \"$@\"\necho\necho \"$FERRY_MODEL_DIR\"\n"                                     \
    "ls -l /proc/self/fd | grep -c -e socket -e journal -e eventfd -e ferry-part\nexit 7\n"

static void expect_shown(struct scratch *s, const char *words, const char *folder)
{
    char expected[3 * PATH_MAX];
    snprintf(expected, sizeof expected, "%s\n%s\n0\n", words, folder);
    assert_int_equal(s->last.code, 7);
    assert_string_equal(s->last.out, expected);
}

static void expect_files(const char *folder)
{
    char from[300], to[500];
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        snprintf(from, sizeof from, REPO "%s", taken[i]);
        snprintf(to, sizeof to, "%s/%s", folder, taken[i]);
        scratch_same(from, to);
    }
    snprintf(to, sizeof to, "%s/pytorch_model.bin", folder);
    assert_false(scratch_exists(to));
}

static int media_requests(struct scratch *s)
{
    return emulator_count(&s->emulator, "GET", "*alt=media*", 0).requests +
           emulator_count(&s->emulator, "GET", "*/resolve/*", 0).requests;
}

static void program_finds_the_model_its_words_and_nothing_else(void **state)
{
    static const struct {
        const char *uri, *folder;
    } cases[] = {{B "/m", "cache/ferry/gs/" SCRATCH_BUCKET "/m"},
                 {B "/m/", "cache/ferry/gs/" SCRATCH_BUCKET "/m"},
                 {"hf://owner/name", "cache/ferry/hf/owner/name"},
                 {"owner/name@main", "cache/ferry/hf/owner/name@main"}};
    struct scratch *s = *state;
    char folder[300], words[700];
    make_repository();
    script("show", SHOW);
    scratch_ok(s, "stage", "owner/name", B "/m");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(folder, sizeof folder, "%s/%s", s->folder, cases[i].folder);
        snprintf(words, sizeof words, "<%s><--model=%s/config.json><--><-x>", folder, folder);
        scratch_run(s, "exec", cases[i].uri, "--", "./show", "{model}", "--model={model}/config.json", "--",
                    "-x");
        expect_shown(s, words, folder);
        expect_files(folder);
    }
}

static void second_run_pulls_nothing(void **state)
{
    static const char *const uris[] = {B "/m", "hf://owner/name"};
    struct scratch *s = *state;
    make_repository();
    script("show", SHOW);
    scratch_ok(s, "stage", "owner/name", B "/m");
    for (size_t i = 0; i < 2; i++) {
        scratch_run(s, "exec", uris[i], "--to", "here/it is", "--", "./show");
        assert_non_null(strstr(s->last.err, "5 files copied, 60.0 MB"));
        emulator_log_clear(&s->emulator);
        scratch_run(s, "exec", uris[i], "--to", "here/it is", "--", "./show");
        assert_int_equal(s->last.code, 7);
        assert_non_null(strstr(s->last.err, " is already in "));
        assert_true(media_requests(s) <= 1); /* the source's manifest */
        expect_files("here/it is");
        scratch_run(s, "exec", uris[i], "--to", "here/it is", "-q", "--", "./show");
        assert_string_equal(s->last.err, "");
        scratch_run(s, "exec", uris[i], "--to", "other", "-q", "-i", "*.json", "--", "./show");
        assert_true(scratch_exists("other/config.json") && !scratch_exists("other/" SHARD_1));
        scratch_run(s, "exec", uris[i], "--to", "other", "-q", "--", "./show"); /* the rest */
        expect_files("other");
        assert_int_equal(system("rm -r 'here/it is' other"), 0);
    }
}

/* Objects that Ferry did not stage are as good, and checked by the bucket's checksum. */
static void plain_objects_are_pulled_and_renewed(void **state)
{
    struct scratch *s = *state;
    make_repository();
    script("show", SHOW);
    scratch_ok(s, "cp", "-r", "hub/owner/name", B "/plain/");
    scratch_run(s, "exec", B "/plain/name", "--to", "here", "--", "./show");
    expect_files("here");
    scratch_text("new.json", "{\"new\":1}");
    scratch_ok(s, "cp", "new.json", B "/plain/name/config.json");
    scratch_run(s, "exec", B "/plain/name", "--to", "here", "--", "./show");
    assert_int_equal(s->last.code, 7);
    assert_non_null(strstr(s->last.err, "1 file copied, 9 B"));
    scratch_same("new.json", "here/config.json");
}

static void folder_here_is_used_as_it_is(void **state)
{
    struct scratch *s = *state;
    char folder[PATH_MAX], words[PATH_MAX + 2];
    make_repository();
    script("show", SHOW);
    emulator_log_clear(&s->emulator);
    scratch_run(s, "exec", "./hub/owner/../owner/name", "--", "./show", "{model}");
    assert_non_null(realpath("hub/owner/name", folder));
    snprintf(words, sizeof words, "<%s>", folder);
    expect_shown(s, words, folder);
    assert_string_equal(s->last.err, "");
    json_t *log = emulator_log(&s->emulator);
    assert_int_equal(json_array_size(log), 0);
    json_decref(log);
}

static void read_line(int fd, char *line, size_t room)
{
    size_t n = 0;
    while (n < room - 1 && read(fd, line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = 0;
}

static void signals_go_to_the_program(void **state)
{
    static const struct {
        int number, code;
    } cases[] = {{SIGTERM, 9}, {SIGINT, 128 + SIGINT}};
    struct scratch *s = *state;
    static struct outcome o;
    struct program p;
    char line[40];
    scratch_text(REPO "config.json", "{}");
    script("wait", "#!/bin/sh\ntrap 'echo got it; exit 9' TERM\necho $$\nwhile :; do sleep 0.02; done\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        program_start(&p, s->ferry, (const char *const[]){"exec", "owner/name", "--", "./wait", NULL});
        read_line(p.out, line, sizeof line);
        assert_int_equal(atoi(line), p.pid); /* the same process */
        kill(p.pid, cases[i].number);
        program_finish(&p, NULL, &o);
        assert_int_equal(o.code, cases[i].code);
    }
}

/* Until the journal knows of a part that is stored. */
static void wait_for_a_part(void)
{
    for (int i = 0; i < 6000; i++, usleep(10000))
        if (system("grep -qs '^part ' state/ferry/*") == 0)
            return;
    fail_msg("no part was stored within a minute");
}

static void stopped_while_pulling_it_goes_on_the_next_time(void **state)
{
    struct scratch *s = *state;
    static struct outcome o;
    struct program p;
    make_repository();
    script("show", SHOW);
    scratch_ok(s, "stage", "owner/name", B "/m");
    emulator_faults(&s->emulator, "slow");
    program_start(&p, s->ferry,
                  (const char *const[]){"exec", B "/m", "--to", "here", "-w", "1", "--", "./show", NULL});
    wait_for_a_part();
    kill(p.pid, SIGTERM);
    program_finish(&p, NULL, &o);
    emulator_faults(&s->emulator, NULL);
    assert_int_equal(o.code, 128 + SIGTERM);
    assert_string_equal(o.out, "");
    assert_non_null(
        strstr(o.err, "nothing of it is lost; to go on: ferry exec " B "/m --to here -w 1 -- ./show\n"));
    emulator_log_clear(&s->emulator);
    scratch_run(s, "exec", B "/m", "--to", "here", "--", "./show");
    assert_int_equal(s->last.code, 7);
    assert_true(emulator_count(&s->emulator, "GET", "*alt=media*", 0).sent < 2 * SHARD_BYTES);
    expect_files("here");
}

static void killed_at_any_moment_it_goes_on(void **state)
{
    struct scratch *s = *state;
    static struct outcome o;
    make_repository();
    script("show", SHOW);
    emulator_faults(&s->emulator, "slow");
    for (int i = 0; i < 4; i++) {
        struct program p;
        program_start(
            &p, s->ferry,
            (const char *const[]){"exec", "owner/name", "--to", "here", "-w", "2", "--", "./show", NULL});
        usleep((useconds_t)(80000 + 90000 * i));
        kill(p.pid, SIGKILL);
        program_finish(&p, NULL, &o);
        assert_int_equal(o.code, 128 + SIGKILL);
    }
    emulator_faults(&s->emulator, NULL);
    scratch_run(s, "exec", "owner/name", "--to", "here", "--", "./show");
    assert_int_equal(s->last.code, 7);
    expect_files("here");
}

static const struct {
    const char *words[10];
    int code;
    const char *says;
} refused[] = {
    {{"exec"}, 2, "which model, for which program?"},
    {{"exec", B "/m"}, 2, "which model, for which program?"},
    {{"exec", B "/m", "--", "no-such-program"},
     1,
     "nothing was pulled: no-such-program: there is no such program in PATH"},
    {{"exec", B "/m", "--", "./none"}, 1, "nothing was pulled: ./none: No such file"},
    {{"exec", B "/m", "--", "./hub"}, 2, "nothing was pulled: ./hub: a folder"},
    {{"exec", B "/m", "--", "./plain.txt"}, 2, "nothing was pulled: ./plain.txt: may not be run"},
    {{"exec", B "/m", "--to", "x", "--memory", "--", "true"}, 2, "--to and --memory: give one of them"},
    {{"exec", B "/m", "--to=", "--", "true"}, 2, "--to: expected the name of a folder"},
    {{"exec", B "/m", "--json", "--", "true"}, 2, "--json goes with --dry-run"},
    {{"exec", B "/none", "--", "true"}, 1, B "/none: there is nothing of that name"},
    {{"exec", B "/file", "--", "true"}, 1, B "/file: a file; a folder is pulled"},
    {{"exec", "gs://none-bkt/m", "--", "true"}, 1, "`ferry bucket create none-bkt`"},
    {{"exec", "owner/none", "--", "true"}, 1, "there is no such repository"},
    {{"exec", "./none", "--", "true"}, 1, "./none: No such file or directory"},
    {{"exec", "./plain.txt", "--", "true"}, 2, "a file, expected the folder of a model"},
    {{"exec", "./hub", "--to", "x", "--", "true"}, 2, "a folder here is used as it is"},
    {{"exec", "-", "--", "true"}, 2, "- is no model"},
    {{"exec", B "/half", "--", "true"}, 1, "is not staged completely yet; `ferry stage` goes on"},
    {{"exec", "owner/name", "-x*", "--", "true"}, 2, "none of its 1 files is asked for"},
    {{"exec", B "/odd/../up", "--", "true"}, 1, "no name for a folder here; --to gives one"},
};

static void each_refusal_comes_before_anything_is_pulled(void **state)
{
    struct scratch *s = *state;
    const char *words[11] = {NULL};
    scratch_text(REPO "config.json", "{}");
    scratch_text("plain.txt", "x");
    scratch_ok(s, "cp", "plain.txt", B "/file");
    scratch_ok(s, "cp", "plain.txt", B "/half/.ferry/journal-1");
    scratch_ok(s, "cp", "plain.txt", B "/half/config.json");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        memcpy(words, refused[i].words, sizeof refused[i].words);
        int code = scratch_run_words(s, NULL, words);
        if (code != refused[i].code || !strstr(s->last.err, refused[i].says))
            fail_msg("case %zu: code %d: %s", i, code, s->last.err);
        assert_ptr_equal(strchr(s->last.err, '\n'), strrchr(s->last.err, '\n')); /* one line */
        assert_string_equal(s->last.out, "");
    }
    assert_false(scratch_exists("cache") || scratch_exists("x"));
}

/* The bucket says that it has ten petabytes. */
#define HUGE_LISTING                                                                                         \
    "{\"faults\":[{\"method\":\"GET\",\"path\":\"*/b/" SCRATCH_BUCKET                                        \
    "/o\",\"times\":0,\"do\":{\"status\":200,\"body\":{\"items\":[{\"name\":\"m/model.safetensors\","        \
    "\"size\":\"10000000000000000\",\"generation\":\"1\",\"crc32c\":\"AAAAAA==\"}]}}}]}"

static void too_little_room_is_told_at_once(void **state)
{
    static const char *const to[] = {"--to=here", "--memory"};
    struct scratch *s = *state;
    for (int i = 0; i < (access("/dev/shm", W_OK) == 0 ? 2 : 1); i++) {
        emulator_faults(&s->emulator, HUGE_LISTING);
        assert_int_equal(scratch_run(s, "exec", B "/m", to[i], "--", "true"), 1);
        emulator_faults(&s->emulator, NULL);
        assert_non_null(strstr(s->last.err, ": 10.0 PB are needed, 0 B of them are there, "));
        assert_non_null(strstr(s->last.err, i ? " are free in memory: " : " are free: "));
        assert_non_null(strstr(s->last.err, " too few. Nothing was pulled; --to names another folder\n"));
        assert_int_equal(media_requests(s), 0);
        assert_false(scratch_exists("here") || scratch_exists("/dev/shm/ferry/gs/" SCRATCH_BUCKET "/m"));
        emulator_log_clear(&s->emulator);
    }
}

static void manifest_with_a_missing_file_is_told(void **state)
{
    struct scratch *s = *state;
    make_repository();
    scratch_ok(s, "stage", "owner/name", B "/m");
    scratch_ok(s, "rm", "-y", B "/m/" SHARD_2);
    assert_int_equal(scratch_run(s, "exec", B "/m", "--", "true"), 1);
    assert_non_null(
        strstr(s->last.err, SHARD_2 " of its manifest is missing; `ferry stage --check` says more"));
}

static void folder_of_another_model_is_left_alone_and_a_new_commit_taken(void **state)
{
    struct scratch *s = *state;
    scratch_text(REPO "config.json", "{}");
    scratch_text("hub/owner/other/config.json", "[]");
    assert_int_equal(scratch_run(s, "exec", "owner/name", "--to", "here", "--", "true"), 0);
    assert_int_equal(scratch_run(s, "exec", "owner/other", "--to", "here", "--", "true"), 2);
    assert_non_null(
        strstr(s->last.err, "/here holds hf://owner/name; --to names another folder for hf://owner/other\n"));
    scratch_same(REPO "config.json", "here/config.json");
    scratch_text(REPO "config.json", "{\"new\":1}");
    assert_int_equal(scratch_run(s, "exec", "owner/name", "--to", "here", "--", "true"), 0);
    scratch_same(REPO "config.json", "here/config.json");
}

static void dry_run_says_what_would_happen(void **state)
{
    struct scratch *s = *state;
    make_repository();
    scratch_ok(s, "exec", "owner/name", "--to", "it is", "--dry-run", "--", "echo", "--model={model}");
    assert_non_null(strstr(s->last.out, "  copy      " SHARD_1 " (30.0 MB)\n"));
    assert_non_null(strstr(s->last.out, "  duplicate pytorch_model.bin (200 kB)\n"));
    assert_non_null(strstr(s->last.out, "nothing was copied\nThen: echo '--model="));
    assert_non_null(strstr(s->last.out, "/it is'\n"));
    scratch_ok(s, "exec", "owner/name", "--to", "it is", "--dry-run", "--json", "--", "echo", "{model}/x");
    json_t *o = json_loads(s->last.out, 0, NULL), *command = json_object_get(o, "command");
    assert_int_equal(json_array_size(json_object_get(o, "files")), 6);
    assert_int_equal(json_array_size(command), 2);
    assert_non_null(strstr(json_string_value(json_array_get(command, 1)), "/it is/x"));
    json_decref(o);
    scratch_ok(s, "exec", "./hub", "--dry-run", "--", "echo", "{model}");
    assert_int_equal(strncmp(s->last.out, "Then: echo /", 12), 0);
    assert_false(scratch_exists("it is"));
}

static void program_in_the_models_folder_is_looked_for_there(void **state)
{
    struct scratch *s = *state;
    scratch_text(REPO "run.sh", "echo \"$1\" from the model\n");
    assert_int_equal(
        scratch_run(s, "exec", "owner/name", "--to", "here", "--", "sh", "{model}/run.sh", "hello"), 0);
    assert_string_equal(s->last.out, "hello from the model\n");
    assert_int_equal(scratch_run(s, "exec", "owner/name", "--to", "here", "--", "{model}/none"), 1);
    assert_non_null(strstr(s->last.err, "/here/none: No such file"));
    assert_int_equal(scratch_run(s, "exec", "owner/name", "--to", "here", "--", "{model}/run.sh"), 2);
    assert_non_null(strstr(s->last.err, "/here/run.sh: may not be run"));
}

static char *ferry;
static struct scratch scratch;

static int start(void **state)
{
    char cache[300];
    scratch_start(&scratch, ferry);
    snprintf(cache, sizeof cache, "%s/cache", scratch.folder);
    setenv("XDG_CACHE_HOME", cache, 1);
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
        test(program_finds_the_model_its_words_and_nothing_else),
        test(second_run_pulls_nothing),
        test(plain_objects_are_pulled_and_renewed),
        test(folder_here_is_used_as_it_is),
        test(signals_go_to_the_program),
        test(stopped_while_pulling_it_goes_on_the_next_time),
        test(killed_at_any_moment_it_goes_on),
        test(each_refusal_comes_before_anything_is_pulled),
        test(too_little_room_is_told_at_once),
        test(manifest_with_a_missing_file_is_told),
        test(folder_of_another_model_is_left_alone_and_a_new_commit_taken),
        test(dry_run_says_what_would_happen),
        test(program_in_the_models_folder_is_looked_for_there),
    };
    if (argc != 2)
        return 2;
    ferry = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
