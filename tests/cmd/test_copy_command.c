/* ferry cp, ls, cat and rm, as their users meet them, against the emulator. */
#include "scratch.h"

#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define B "gs://" SCRATCH_BUCKET

/* Names that URLs, shells and file systems take amiss. */
#define ODD "sub dir/日本/音声 #1 100%25?.wav"
static const char *const names[] = {"a.txt",         "b.bin", "zero", "one", ODD,   "sub dir/[x]*.bin",
                                    "deep/er/c.txt", " ",     "%",    "#",   "%2F", "100%/ü 日本.json"};
enum { NAMES = sizeof names / sizeof *names };

static void make_source(void)
{
    char path[300];
    for (size_t i = 0; i < NAMES; i++) {
        size_t size = strcmp(names[i], "zero") == 0 ? 0 : strcmp(names[i], "one") == 0 ? 1 : 1000 * i + 7;
        snprintf(path, sizeof path, "src/%s", names[i]);
        scratch_file(path, strcmp(names[i], "b.bin") == 0 ? 20000003 : size, (unsigned)i);
    }
}

static void expect_copy(const char *folder)
{
    char from[300], to[300];
    for (size_t i = 0; i < NAMES; i++) {
        snprintf(from, sizeof from, "src/%s", names[i]);
        snprintf(to, sizeof to, "%s/%s", folder, names[i]);
        scratch_same(from, to);
    }
}

static void folder_with_odd_names_survives_every_direction(void **state)
{
    struct scratch *s = *state;
    make_source();
    scratch_ok(s, "cp", "-r", "src", B "/up");      /* here to bucket */
    scratch_ok(s, "cp", "-r", B "/up", B "/again"); /* within it */
    scratch_ok(s, "cp", "-r", B "/again", "down");  /* bucket to here */
    expect_copy("down");
    scratch_ok(s, "cp", "-r", "down", "here"); /* here to here */
    expect_copy("here");
    scratch_file("hub/owner/name/sub/#1 %41.bin", 300000, 9); /* hub to both */
    scratch_text("hub/owner/name/config.json", "{}");
    scratch_ok(s, "cp", "-r", "hf://owner/name", "hub-down/");
    scratch_same("hub/owner/name/sub/#1 %41.bin", "hub-down/name/sub/#1 %41.bin");
    scratch_ok(s, "cp", "hf://owner/name/config.json", B);
    scratch_ok(s, "cat", B "/config.json");
    assert_string_equal(s->last.out, "{}");
}

/* What the copy is called, by what lies at the target. */
static void target_name_follows_what_is_there(void **state)
{
    struct scratch *s = *state;
    scratch_text("dir/x/a", "a");
    scratch_ok(s, "cp", "-r", "dir", B "/new");
    scratch_ok(s, "cp", "-r", "dir", B "/new");
    scratch_ok(s, "cp", "-r", "dir", B "/slash/");
    scratch_ok(s, "cp", "dir/x/a", B "/file");
    scratch_ok(s, "cp", "dir/x/a", B "/new");
    scratch_ok(s, "cp", "-r", "dir/.", B "/dot/");
    scratch_ok(s, "cp", "-r", "dir/*", B "/star/");
    scratch_ok(s, "ls", "-r", B);
    assert_string_equal(s->last.out, B "/dot/x/a\n" B "/file\n" B "/new/a\n" B "/new/dir/x/a\n" B
                                       "/new/x/a\n" B "/slash/dir/x/a\n" B "/star/x/a\n");
}

static void wildcards_take_what_they_match(void **state)
{
    struct scratch *s = *state;
    scratch_text("w/a.bin", "a");
    scratch_text("w/b.bin", "b");
    scratch_text("w/c.txt", "c");
    scratch_text("w/sub/d.bin", "d");
    scratch_ok(s, "cp", "-r", "w", B "/w");
    scratch_ok(s, "cp", B "/w/*.bin", "level/");
    assert_true(scratch_exists("level/a.bin") && scratch_exists("level/b.bin"));
    assert_false(scratch_exists("level/c.txt") || scratch_exists("level/d.bin"));
    scratch_ok(s, "cp", B "/w/**.bin", "all/");
    assert_true(scratch_exists("all/a.bin") && scratch_exists("all/d.bin"));
    scratch_ok(s, "cp", "-r", B "/w/[s]*", "folder/");
    assert_true(scratch_exists("folder/sub/d.bin"));
    scratch_ok(s, "cp", "-r", "-x", "*.bin", B "/w", "excluded");
    assert_true(scratch_exists("excluded/c.txt") && !scratch_exists("excluded/a.bin"));
    assert_int_equal(scratch_run(s, "cp", B "/w/*", "passed/"), 0);
    assert_string_equal(s->last.err, "1 folder passed over; -r takes them too\n");
    scratch_ok(s, "ls", B "/w/*.bin");
    assert_string_equal(s->last.out, B "/w/a.bin\n" B "/w/b.bin\n");
}

static void pipes_go_in_and_out(void **state)
{
    struct scratch *s = *state;
    assert_int_equal(scratch_run_with(s, "through a pipe\n", "cp", "-", B "/pipe"), 0);
    scratch_ok(s, "cp", B "/pipe", "-");
    assert_string_equal(s->last.out, "through a pipe\n");
    scratch_ok(s, "cat", B "/pipe", B "/pipe");
    assert_string_equal(s->last.out, "through a pipe\nthrough a pipe\n");
    scratch_ok(s, "cat", "--range", "8-8", B "/pipe");
    assert_string_equal(s->last.out, "a");
    scratch_ok(s, "cat", "-r", "-5", B "/pipe");
    assert_string_equal(s->last.out, "pipe\n");
    assert_int_equal(scratch_run_with(s, "", "cp", "-", B "/nothing"), 0);
    scratch_ok(s, "ls", "-l", B "/nothing");
    assert_non_null(strstr(s->last.out, "             0  2"));
}

static void nothing_is_clobbered_with_n(void **state)
{
    struct scratch *s = *state;
    scratch_text("old", "old");
    scratch_text("new", "new");
    scratch_ok(s, "cp", "old", B "/kept");
    scratch_ok(s, "cp", "-n", "new", B "/kept");
    assert_string_equal(s->last.out, "0 files copied, 0 B, 1 was there already\n");
    scratch_ok(s, "cat", B "/kept");
    assert_string_equal(s->last.out, "old");
    scratch_ok(s, "cp", "new", B "/kept");
    scratch_ok(s, "cat", B "/kept");
    assert_string_equal(s->last.out, "new");
    assert_int_equal(scratch_run_with(s, "pipe", "cp", "-n", "-", B "/kept"), 1);
    scratch_ok(s, "cat", B "/kept");
    assert_string_equal(s->last.out, "new");
}

static void dry_run_writes_nothing(void **state)
{
    struct scratch *s = *state;
    scratch_text("plan/a", "abc");
    emulator_log_clear(&s->emulator);
    scratch_ok(s, "cp", "-r", "plan", B "/plan", "--dry-run");
    assert_string_equal(s->last.out, "copy plan/a to " B "/plan/a (3 B)\n1 file, 3 B; nothing was copied\n");
    assert_int_equal(emulator_count(&s->emulator, "POST", NULL, 0).requests, 0);
    assert_int_equal(emulator_count(&s->emulator, "PUT", NULL, 0).requests, 0);
    scratch_ok(s, "cp", "-r", "plan", B "/plan", "--dry-run", "--json");
    assert_string_equal(s->last.out, "{\"dry_run\":true,\"files\":[{\"source\":\"plan/a\",\"target\":\"" B
                                     "/plan/a\",\"size\":3}]}\n");
    assert_int_equal(truncate("plan/a", 60000000001), 0); /* a hole */
    scratch_ok(s, "cp", "plan/a", B "/plan", "--dry-run", "--json");
    assert_non_null(strstr(s->last.out, "\"size\":60000000001}"));
}

static void list_tells_sizes_times_and_checksums(void **state)
{
    struct scratch *s = *state;
    scratch_text("nine", "123456789");
    scratch_ok(s, "cp", "nine", B "/l/nine");
    scratch_ok(s, "cp", "nine", B "/l/m/nine");
    scratch_ok(s, "ls", B "/l");
    assert_string_equal(s->last.out, B "/l/m/\n" B "/l/nine\n");
    scratch_ok(s, "ls", "-lr", B "/l");
    assert_non_null(strstr(s->last.out, "             9  20"));
    assert_non_null(strstr(s->last.out, "            18  bytes in 2 files (18 B)\n"));
    scratch_ok(s, "ls", "--json", B "/l/nine");
    json_t *list = json_loads(s->last.out, 0, NULL);
    const char *uri, *crc32c;
    int size;
    assert_int_equal(json_unpack(list, "[{s:s, s:i, s:s}]", "uri", &uri, "size", &size, "crc32c", &crc32c),
                     0);
    assert_string_equal(uri, B "/l/nine");
    assert_int_equal(size, 9);
    assert_string_equal(crc32c, "4waSgw==");
    json_decref(list);
    scratch_ok(s, "ls", "--json", B "/l/", "-r");
    list = json_loads(s->last.out, 0, NULL);
    assert_int_equal(json_array_size(list), 2);
    json_decref(list);
}

static void remove_asks_and_only_then_deletes(void **state)
{
    struct scratch *s = *state;
    scratch_text("rm/a", "a");
    scratch_text("rm/b/c", "c");
    scratch_ok(s, "cp", "-r", "rm", B "/rm");
    assert_int_equal(scratch_run(s, "rm", "-r", B "/rm"), 4);
    assert_string_equal(s->last.err, "ferry: rm: Delete 2 objects, 2 B: " B
                                     "/rm? There is no terminal to ask at: --yes says yes\n");
    scratch_ok(s, "rm", "-r", "--dry-run", B "/rm");
    assert_string_equal(s->last.out, "delete " B "/rm/a (1 B)\ndelete " B
                                     "/rm/b/c (1 B)\n2 objects, 2 B; nothing was deleted\n");
    scratch_ok(s, "ls", "-r", B "/rm");
    assert_string_equal(s->last.out, B "/rm/a\n" B "/rm/b/c\n");
    scratch_ok(s, "rm", "--yes", B "/rm/a", B "/rm/a*"); /* the same object twice */
    assert_string_equal(s->last.out, "1 object deleted, 1 B\n");
    scratch_ok(s, "rm", "-ry", B "/rm", "--json");
    assert_string_equal(s->last.out, "{\"deleted\":1,\"bytes\":1}\n");
    assert_int_equal(scratch_run(s, "rm", "-ry", B "/rm"), 1);
    assert_string_equal(s->last.err, "ferry: rm: " B "/rm: there is nothing of that name\n");
}

/* Runs ferry rm at a terminal that types the answer; its exit code. */
static int rm_at_a_terminal(const struct scratch *s, const char *uri, const char *answer, char *said,
                            size_t room)
{
    int fd, status;
    size_t used = 0;
    pid_t pid = forkpty(&fd, NULL, NULL, NULL);
    assert_true(pid >= 0);
    if (pid == 0) {
        execl(s->ferry, s->ferry, "rm", uri, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(write(fd, answer, strlen(answer)), strlen(answer));
    for (ssize_t n; used < room - 1 && (n = read(fd, said + used, room - 1 - used)) > 0;)
        used += (size_t)n;
    said[used] = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void answer_at_the_terminal_counts(void **state)
{
    struct scratch *s = *state;
    char said[4096];
    scratch_text("asked", "a");
    scratch_ok(s, "cp", "asked", B "/asked");
    assert_int_equal(rm_at_a_terminal(s, B "/asked", "n\n", said, sizeof said), 4);
    assert_non_null(strstr(said, "[y/N]"));
    assert_non_null(strstr(said, "nothing was done"));
    assert_int_equal(rm_at_a_terminal(s, B "/asked", "\n", said, sizeof said), 4);
    scratch_ok(s, "ls", B "/asked");
    assert_int_equal(rm_at_a_terminal(s, B "/asked", "y\n", said, sizeof said), 0);
    assert_int_equal(scratch_run(s, "ls", B "/asked"), 1);
}

static const struct {
    const char *words[6];
    int code;
    const char *err;
} refused[] = {
    {{"cp"}, 2, "ferry: cp: from where to where? usage: ferry cp SOURCE… TARGET [-r] [-n] [options]\n"},
    {{"cp", "d", B}, 2, "ferry: cp: d is a folder; with -r all in it is taken\n"},
    {{"cp", "none", B}, 1, "ferry: cp: none: there is nothing of that name\n"},
    {{"cp", "z*", B}, 1, "ferry: cp: z*: there is nothing that matches\n"},
    {{"cp", "d*", B}, 2, "ferry: cp: d* matches only folders; with -r all in them is taken\n"},
    {{"cp", "f", "f"}, 2, "ferry: cp: f is its own target\n"},
    {{"cp", "f", "."}, 2, "ferry: cp: f is its own target\n"},
    {{"cp", "f", "g", "nowhere"},
     2,
     "ferry: cp: nowhere: several files need a folder, and there is none of that name; put a slash behind it "
     "and "
     "it is made\n"},
    {{"cp", "f", "d/e", "g"}, 2, "ferry: cp: g is a file, expected a folder\n"},
    {{"cp", "f", "g/"}, 2, "ferry: cp: g/ is a file, expected a folder\n"},
    {{"cp", "f", "d/f", B}, 2, "ferry: cp: f and d/f would both become f\n"},
    {{"cp", "f", "hf://owner/name"},
     2,
     "ferry: cp: hf://owner/name: Ferry reads from the hub and does not write to it\n"},
    {{"cp", "f", "s3://b/x"},
     2,
     "ferry: cp: s3://: not a place Ferry knows; expected gs://BUCKET/PREFIX, hf://OWNER/NAME or a path\n"},
    {{"cp", "-", "f", B}, 2, "ferry: cp: - as a source stands alone: ferry cp - TARGET\n"},
    {{"cp", "-", B "/x", "--dry-run"}, 2, "ferry: cp: --json and --dry-run do not go with -\n"},
    {{"cp", "-", B}, 2, "ferry: cp: " B " is a folder; what comes from stdin needs a name of its own\n"},
    {{"cp", "f", "gs://no-bucket/x"},
     1,
     "ferry: cp: gs://no-bucket: HTTP 404: The specified bucket does not exist. `ferry bucket create "
     "no-bucket` "
     "makes one\n"},
    {{"ls"}, 2, "ferry: ls: which place? usage: ferry ls URI… [-l] [-r] [--json]\n"},
    {{"ls", B "/none"}, 1, "ferry: ls: " B "/none: there is nothing of that name\n"},
    {{"ls", "-"}, 2, "ferry: ls: - stands for stdin or stdout and cannot be used here\n"},
    {{"cat"}, 2, "ferry: cat: which file? usage: ferry cat URI… [--range A-B]\n"},
    {{"cat", "d"}, 2, "ferry: cat: d is a folder; with -r all in it is taken\n"},
    {{"rm"}, 2, "ferry: rm: which object? usage: ferry rm URI… [-r] [--yes] [--dry-run]\n"},
    {{"rm", "f"}, 2, "ferry: rm: f: ferry rm deletes in Cloud Storage only; expected gs://BUCKET/NAME\n"},
};

static void what_makes_no_sense_gets_one_line(void **state)
{
    struct scratch *s = *state;
    scratch_text("f", "f");
    scratch_text("g", "g");
    scratch_text("d/e", "e");
    scratch_text("d/f", "f");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_int_equal(scratch_run_words(s, "", refused[i].words), refused[i].code);
        assert_string_equal(s->last.err, refused[i].err);
        assert_string_equal(s->last.out, "");
    }
    assert_false(scratch_exists("nowhere"));
}

static void name_that_would_leave_the_folder_is_refused(void **state)
{
    struct scratch *s = *state;
    assert_int_equal(scratch_run_with(s, "x", "cp", "-", B "/evil/../../escaped"), 0);
    assert_int_equal(scratch_run(s, "cp", "-r", B "/evil", "evil"), 1);
    assert_non_null(strstr(s->last.err, "cannot be a file here"));
    assert_false(scratch_exists("../escaped") || scratch_exists("escaped"));
}

static void one_file_that_fails_does_not_stop_the_others(void **state)
{
    struct scratch *s = *state;
    scratch_text("some/a", "a");
    scratch_text("some/b", "b");
    scratch_text("some/c", "c");
    scratch_ok(s, "cp", "-r", "some", B "/some");
    scratch_text("into/b/in the way", "x"); /* a folder where a file is to be */
    assert_int_equal(scratch_run(s, "cp", B "/some/*", "into/"), 2);
    assert_string_equal(s->last.err, "ferry: cp: some/b: into/b: a folder of that name is there\n");
    scratch_same("some/a", "into/a");
    scratch_same("some/c", "into/c");
}

static void interrupted_copy_says_how_to_go_on(void **state)
{
    struct scratch *s = *state;
    static struct outcome o;
    struct program p;
    scratch_file("large file", 60000000, 3);
    scratch_ok(s, "cp", "large file", B "/large");
    emulator_faults(&s->emulator, "slow");
    program_start(&p, s->ferry, (const char *const[]){"cp", B "/large", "it's here", "-w", "1", NULL});
    usleep(1000000);
    kill(p.pid, SIGINT);
    program_finish(&p, NULL, &o);
    emulator_faults(&s->emulator, NULL);
    assert_int_equal(o.code, 128 + SIGINT);
    assert_non_null(
        strstr(o.err, "nothing of it is lost; to go on: ferry cp " B "/large 'it'\\''s here' -w 1\n"));
    assert_false(scratch_exists("it's here"));
    emulator_log_clear(&s->emulator);
    scratch_ok(s, "cp", B "/large", "it's here", "-w", "1");
    scratch_same("large file", "it's here");
    assert_true(emulator_count(&s->emulator, "GET", "*alt=media*", 0).sent < 60000000);
}

#define NO_MULTIPART "{\"query\":\"uploads*\",\"times\":0,\"do\":{\"status\":501}}"
#define PUT_FAILS(which, n, times, what)                                                                     \
    "{\"method\":\"PUT\",\"query\":\"*" which "*\",\"from\":" n ",\"times\":" times ",\"do\":{" what "}}"

/* A session lives a week and may end before; the bucket's rules remove a multipart upload. */
static void upload_that_is_gone_in_the_middle_begins_anew(void **state)
{
    struct scratch *s = *state;
    static const struct {
        const char *faults;
        int status;
    } cases[] = {
        {NO_MULTIPART "," PUT_FAILS("upload_id=", "2", "1", "\"forget_session\":410"), 410},
        {NO_MULTIPART "," PUT_FAILS("upload_id=", "3", "1", "\"forget_session\":404"), 404},
        {PUT_FAILS("partNumber=3", "1", "1", "\"status\":404"), 404},
    };
    scratch_file("large", 20000003, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char faults[500];
        snprintf(faults, sizeof faults, "{\"faults\":[%s]}", cases[i].faults);
        emulator_faults(&s->emulator, faults);
        emulator_log_clear(&s->emulator);
        scratch_ok(s, "cp", "large", B "/large");
        emulator_faults(&s->emulator, NULL);
        scratch_ok(s, "cp", B "/large", "back");
        scratch_same("large", "back");
        assert_int_equal(emulator_count(&s->emulator, "PUT", NULL, cases[i].status).requests, 1);
    }
}

/* A file gets one more chance, not more. */
static void upload_that_is_gone_for_good_is_told(void **state)
{
    struct scratch *s = *state;
    scratch_file("large", 20000003, 3);
    emulator_faults(&s->emulator, "{\"faults\":[" NO_MULTIPART
                                  "," PUT_FAILS("upload_id=", "1", "0", "\"status\":410") "]}");
    assert_int_equal(scratch_run(s, "cp", "large", B "/large"), 1);
    assert_string_equal(s->last.err, "ferry: cp: large: " B "/large: upload session: HTTP 410: the upload "
                                     "session is gone\n");
    assert_int_equal(emulator_count(&s->emulator, "POST", "*uploadType=resumable*", 200).requests, 2);
    assert_int_equal(scratch_run(s, "cat", B "/large"), 1);
}

static void wrong_bytes_do_not_pass_through_a_pipe_as_a_whole_file(void **state)
{
    struct scratch *s = *state;
    assert_int_equal(scratch_run_with(s, "through a pipe\n", "cp", "-", B "/pipe"), 0);
    emulator_faults(&s->emulator, "corrupt-byte-always");
    assert_int_equal(scratch_run(s, "cat", B "/pipe"), 1);
    assert_string_equal(s->last.out, "");
    assert_non_null(strstr(s->last.err, "the end is held back\n"));
    assert_int_equal(scratch_run(s, "cp", B "/pipe", "-"), 1);
    assert_string_equal(s->last.out, "");
    emulator_faults(&s->emulator, NULL);
}

/* Of a small file and a large one, by the crc32c that the bucket says. */
static void bytes_that_arrive_changed_are_fetched_again(void **state)
{
    struct scratch *s = *state;
    static const size_t sizes[] = {1000, 20000003};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        scratch_file("from", sizes[i], 3);
        scratch_ok(s, "cp", "from", B "/from");
        emulator_faults(&s->emulator, "corrupt-byte-while-reading");
        scratch_ok(s, "cp", B "/from", "back");
        scratch_same("from", "back");
        emulator_faults(&s->emulator, "corrupt-byte-always");
        assert_int_equal(scratch_run(s, "cp", B "/from", "wrong"), 1);
        assert_non_null(strstr(s->last.err, "ferry: cp: from: crc32c of what arrived is "));
        assert_false(scratch_exists("wrong"));
        emulator_faults(&s->emulator, NULL);
    }
}

/* The folder that was to be its new name is there by then, and does not become the folder it is put in. */
static void killed_copy_of_a_folder_goes_on_under_its_name(void **state)
{
    static const struct {
        const char *from, *to, *fault, *method, *path;
    } ways[] = {{B "/dir", "new", "slow", "GET", "*alt=media*"},
                {"dir", B "/new",
                 "{\"faults\":[{\"method\":\"PUT\",\"from\":2,\"times\":0,\"do\":{\"after_bytes\":100,"
                 "\"then\":\"stall\",\"stall_seconds\":3}}]}",
                 "PUT", "*partNumber*"}};
    struct scratch *s = *state;
    static struct outcome o;
    struct program p;
    scratch_file("dir/large", 40000000, 3);
    scratch_text("dir/a", "a");
    scratch_ok(s, "cp", "-r", "dir", B "/dir");
    for (int i = 0; i < 2; i++) {
        const char *const words[] = {"cp", "-r", ways[i].from, ways[i].to, "-w", "1", NULL};
        emulator_faults(&s->emulator, ways[i].fault);
        program_start(&p, s->ferry, words);
        usleep(1000000);
        kill(p.pid, SIGKILL);
        program_finish(&p, NULL, &o);
        assert_int_equal(o.code, 128 + SIGKILL);
        emulator_faults(&s->emulator, NULL);
        scratch_ok(s, "ls", ways[i].to); /* it is begun */
        emulator_log_clear(&s->emulator);
        scratch_ok_words(s, words);
        struct emulator_count again = emulator_count(&s->emulator, ways[i].method, ways[i].path, 0);
        assert_true(again.sent + again.body < 40000000);
    }
    scratch_same("dir/large", "new/large");
    assert_false(scratch_exists("new/dir"));
    scratch_ok(s, "ls", "-r", B "/new");
    assert_string_equal(s->last.out, B "/new/a\n" B "/new/large\n");
    scratch_ok(s, "cp", "-r", B "/dir", "new"); /* once it is complete it is a folder like any other */
    scratch_same("dir/large", "new/dir/large");
}

/* Not by way of this machine: Cloud Storage copies, and keeps what it knows of the object. */
static void copy_within_the_cloud_moves_no_byte_here(void **state)
{
    struct scratch *s = *state;
    scratch_file("w/large", 20000000, 1);
    scratch_text("w/a b/#1 100%.json", "{}");
    scratch_text("w/empty", "");
    scratch_ok(s, "bucket", "create", "other-bkt", "-p", "p", "-r", "us-central1");
    scratch_ok(s, "cp", "-r", "w", B "/w");
    emulator_log_clear(&s->emulator);
    scratch_ok(s, "cp", "-r", B "/w", "gs://other-bkt/w");
    assert_string_equal(s->last.out, "3 files copied, 20.0 MB\n");
    assert_int_equal(emulator_count(&s->emulator, "POST", "*rewriteTo*", 200).requests, 3);
    assert_int_equal(emulator_count(&s->emulator, "GET", "*alt=media*", 0).requests, 0);
    assert_int_equal(emulator_count(&s->emulator, NULL, "*upload*", 0).requests, 0);
    scratch_ok(s, "cp", "-r", "gs://other-bkt/w", "back");
    scratch_same("w/large", "back/large");
    scratch_same("w/a b/#1 100%.json", "back/a b/#1 100%.json");
    scratch_same("w/empty", "back/empty");
    scratch_text("w/empty", "no longer");
    scratch_ok(s, "cp", "w/empty", B "/w/empty");
    emulator_log_clear(&s->emulator);
    scratch_ok(s, "cp", "-nr", B "/w/*", "gs://other-bkt/w/");
    assert_string_equal(s->last.out, "0 files copied, 0 B, 3 were there already\n");
    scratch_ok(s, "cp", "-n", B "/w/empty", "gs://other-bkt/w/new");
    assert_int_equal(emulator_count(&s->emulator, "POST", "*rewriteTo*ifGenerationMatch=0", 200).requests, 1);
    scratch_ok(s, "cat", "gs://other-bkt/w/empty", "gs://other-bkt/w/new");
    assert_string_equal(s->last.out, "no longer");
}

/* Of more than 100 MiB, in two calls; killed in the second, the next run begins with that one. */
static void killed_copy_within_the_cloud_goes_on(void **state)
{
    struct scratch *s = *state;
    static struct outcome o;
    struct program p;
    const char *const words[] = {"cp", "-qr", B "/w", B "/copy", NULL};
    scratch_file("w/large", 110000000, 1);
    scratch_text("w/small", "s");
    scratch_ok(s, "cp", "-qr", "w", B);
    emulator_faults(&s->emulator,
                    "{\"faults\":[{\"query\":\"*rewriteToken*\",\"do\":{\"stall_seconds\":60}}]}");
    program_start(&p, s->ferry, words);
    usleep(1500000);
    kill(p.pid, SIGKILL);
    program_finish(&p, NULL, &o);
    assert_int_equal(o.code, 128 + SIGKILL);
    emulator_faults(&s->emulator, NULL);
    emulator_log_clear(&s->emulator);
    scratch_ok_words(s, words);
    assert_non_null(strstr(s->last.out, ", 1 was there already\n"));
    assert_int_equal(emulator_count(&s->emulator, "POST", "*rewriteTo*", 0).requests, 1);
    assert_int_equal(emulator_count(&s->emulator, "POST", "*rewriteTo*rewriteToken=104857600", 200).requests,
                     1);
    scratch_ok(s, "cp", "-qr", B "/copy", "back");
    scratch_same("w/large", "back/large");
    scratch_same("w/small", "back/small");
}

/* A limit on the size of files stands for the disk: the test has no disk of its own to fill. */
static int run_with_limit(struct scratch *s, rlim_t bytes, const char *const *words)
{
    struct rlimit before, limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){bytes, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int code = scratch_run_words(s, NULL, words);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    return code;
}

static const struct {
    const char *words[4];
    int code;
    const char *says;
} japanese[] = {
    {{"cp", "gs://none-bkt/x", "."}, 1, "`ferry bucket create none-bkt` で作れます"},
    {{"cp", "x"}, 2, "コピー元とコピー先を指定してください。使い方: ferry cp "},
    {{"cp", "there-is-none", B "/"}, 1, "there-is-none: その名前のものはありません"},
    {{"ls", "gs://A/"}, 2, "バケット名ではありません"},
    {{"rm", "x"}, 1, "rm: x: その名前のものはありません"},
    {{"stage", "owner/name", B "/m", "--deep"}, 2, "--deep は --check と一緒に使います"},
    {{"down", "qwen", "--target=local"}, 1, "サービス \"qwen\" はありません"},
};

static void errors_are_in_the_language_of_the_locale(void **state)
{
    struct scratch *s = *state;
    setenv("LC_ALL", "ja_JP.UTF-8", 1);
    for (size_t i = 0; i < sizeof japanese / sizeof *japanese; i++) {
        const char *words[5] = {japanese[i].words[0], japanese[i].words[1], japanese[i].words[2],
                                japanese[i].words[3]};
        int code = scratch_run_words(s, NULL, words);
        if (code != japanese[i].code || !strstr(s->last.err, japanese[i].says))
            fail_msg("ferry %s %s: %d, %s", words[0], words[1], code, s->last.err);
    }
    unsetenv("LC_ALL");
}

static void full_disk_ends_in_one_line_and_goes_on(void **state)
{
    static const struct {
        const char *words[4];
        rlim_t bytes;
        const char *says;
    } cases[] = {
        {{"cp", B "/large", "here"},
         5000000,
         "large: here: File too large; to go on: ferry cp " B "/large here\n"},
        {{"cp", B "/small", "here"},
         5000,
         "small: here: File too large; to go on: ferry cp " B "/small here\n"},
        {{"cp", "large", B "/up"}, 10, "/state/ferry/"}, /* the journal */
    };
    struct scratch *s = *state;
    scratch_file("large", 20000000, 1);
    scratch_file("small", 10000, 2);
    scratch_ok(s, "cp", "large", "small", B);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(run_with_limit(s, cases[i].bytes, cases[i].words), 1);
        assert_non_null(strstr(s->last.err, cases[i].says));
        assert_ptr_equal(strchr(s->last.err, '\n'), strrchr(s->last.err, '\n'));
        assert_false(scratch_exists("here"));
        scratch_ok_words(s, cases[i].words);
        remove("here");
    }
    scratch_ok(s, "cp", B "/up", "again");
    scratch_same("large", "again");
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

/* A bucket of its own for each. */
#define test(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        test(folder_with_odd_names_survives_every_direction),
        test(target_name_follows_what_is_there),
        test(wildcards_take_what_they_match),
        test(pipes_go_in_and_out),
        test(nothing_is_clobbered_with_n),
        test(dry_run_writes_nothing),
        test(list_tells_sizes_times_and_checksums),
        test(remove_asks_and_only_then_deletes),
        test(answer_at_the_terminal_counts),
        test(what_makes_no_sense_gets_one_line),
        test(name_that_would_leave_the_folder_is_refused),
        test(one_file_that_fails_does_not_stop_the_others),
        test(interrupted_copy_says_how_to_go_on),
        test(upload_that_is_gone_in_the_middle_begins_anew),
        test(upload_that_is_gone_for_good_is_told),
        test(wrong_bytes_do_not_pass_through_a_pipe_as_a_whole_file),
        test(bytes_that_arrive_changed_are_fetched_again),
        test(killed_copy_of_a_folder_goes_on_under_its_name),
        test(errors_are_in_the_language_of_the_locale),
        test(full_disk_ends_in_one_line_and_goes_on),
        test(copy_within_the_cloud_moves_no_byte_here),
        test(killed_copy_within_the_cloud_goes_on),
    };
    if (argc != 2)
        return 2;
    ferry = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
