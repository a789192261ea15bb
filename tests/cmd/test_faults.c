/* Every file of tests/emulator/faults, while ferry copies: from the hub to a bucket, from a bucket to a
 * folder, from a folder to a bucket. Each copy ends with every byte where it belongs, or with one line that
 * says what the file's "ends" wants, and then nothing wrong is visible and the same command, once the fault
 * is over, completes.
 *
 *   test_faults FERRY FOLDER [NAME]      the folder of the faults; one of them
 *
 * Most of the time goes into waiting before another try, so that many run side by side, each with an
 * emulator. */
#include "../cloud/keys.h"
#include "scratch.h"

#include <errno.h>
#include <glob.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define B "gs://" SCRATCH_BUCKET
#define REPO "hub/owner/name/"

enum { LARGE_BYTES = 20000000, SIDE_BY_SIDE = 12, MAX_FAULTS = 100 };

static const char *const files[] = {"model.safetensors", "config.json", "音声/#1 100%.json"};
enum { FILES = sizeof files / sizeof *files };

static const char *ferry, *faults_folder;
static const char *fault; /* of this process */
static EVP_PKEY *key;

/* --- the ways --- */

static void expect_fetched(struct scratch *s, const char *uri, const char *folder)
{
    char from[100], to[200];
    scratch_ok(s, "cp", "-qr", uri, folder);
    for (int i = 0; i < FILES; i++) {
        snprintf(from, sizeof from, REPO "%s", files[i]);
        snprintf(to, sizeof to, "%s/%s", folder, files[i]);
        scratch_same(from, to);
    }
}

static void expect_staged(struct scratch *s)
{
    scratch_ok(s, "stage", "--check", "--deep", "-q", B "/staged");
    expect_fetched(s, B "/staged", "staged");
}

/* The source may be another by now. */
static void expect_down(struct scratch *s)
{
    char from[100], to[100];
    scratch_ok(s, "cp", "-qr", B "/source", "source-now");
    for (int i = 0; i < FILES; i++) {
        snprintf(from, sizeof from, "source-now/%s", files[i]);
        snprintf(to, sizeof to, "down/%s", files[i]);
        scratch_same(from, to);
    }
}

static void expect_up(struct scratch *s)
{
    expect_fetched(s, B "/up", "up-again");
}

static void expect_within(struct scratch *s)
{
    expect_fetched(s, B "/within", "within");
}

/* --- what must not be seen when a copy failed --- */

static void expect_unstaged(struct scratch *s)
{
    assert_int_equal(scratch_run(s, "stage", "--check", B "/staged"), 1);
}

/* A file that is there is right, and so is an object. */
static void expect_right_files(struct scratch *s)
{
    char from[100], to[100];
    (void)s;
    for (int i = 0; i < FILES; i++) {
        snprintf(from, sizeof from, REPO "%s", files[i]);
        snprintf(to, sizeof to, "down/%s", files[i]);
        if (scratch_exists(to))
            scratch_same(from, to);
    }
}

static void expect_right_below(struct scratch *s, const char *folder)
{
    char from[100], uri[200], to[20];
    for (int i = 0; i < FILES; i++) {
        snprintf(from, sizeof from, REPO "%s", files[i]);
        snprintf(uri, sizeof uri, B "/%s/%s", folder, files[i]);
        snprintf(to, sizeof to, "half-%d", i);
        if (scratch_run(s, "cp", uri, to) == 0)
            scratch_same(from, to);
    }
}

static void expect_right_objects(struct scratch *s)
{
    expect_right_below(s, "up");
}

static void expect_right_copies(struct scratch *s)
{
    expect_right_below(s, "within");
}

static const struct way {
    const char *name, *words[6];
    void (*right)(struct scratch *s);
    void (*not_wrong)(struct scratch *s);
} ways[] = {
    {"stage", {"stage", "-q", "owner/name", B "/staged"}, expect_staged, expect_unstaged},
    {"down", {"cp", "-qr", B "/source", "down"}, expect_down, expect_right_files},
    {"up", {"cp", "-qr", REPO, B "/up"}, expect_up, expect_right_objects},
    {"within", {"cp", "-qr", B "/source", B "/within"}, expect_within, expect_right_copies},
};
enum { WAYS = sizeof ways / sizeof *ways };

/* --- one fault, one way --- */

/* Words that its last line must have; NULL: the copy is to succeed. */
static json_t *ends_of(const json_t *file, const struct way *w)
{
    return json_object_get(json_object_get(file, "ends"), w->name);
}

static void expect_line(const struct outcome *o, const json_t *words)
{
    size_t i;
    json_t *word;
    if (o->code != 1 || !*o->err || strchr(o->err, '\n') != o->err + strlen(o->err) - 1)
        fail_msg("not one line and code 1, but %d: %s", o->code, o->err);
    assert_string_equal(o->out, "");
    json_array_foreach(words, i, word) if (!strstr(o->err, json_string_value(word)))
        fail_msg("nothing of \"%s\": %s", json_string_value(word), o->err);
}

static bool has_struck(const struct scratch *s)
{
    json_t *log = emulator_log(&s->emulator), *request;
    size_t i;
    bool struck = false;
    json_array_foreach(log, i, request) struck |= json_is_string(json_object_get(request, "fault"));
    json_decref(log);
    return struck;
}

static const struct way *way; /* of this process */
static bool struck;

static void copy_ends_well_or_in_one_clear_line(void **state)
{
    struct scratch *s = *state;
    char path[1000];
    snprintf(path, sizeof path, "%s/%s.json", faults_folder, fault);
    json_t *file = json_load_file(path, 0, NULL);
    assert_non_null(file);
    const json_t *ends = ends_of(file, way);
    emulator_log_clear(&s->emulator);
    emulator_faults(&s->emulator, fault);
    scratch_run_words(s, NULL, way->words);
    struck = has_struck(s);
    emulator_faults(&s->emulator, NULL);
    printf("code %d: %s%s", s->last.code, s->last.out, s->last.err);
    if (!ends && s->last.code != 0)
        fail_msg("it was to end well: code %d: %s", s->last.code, s->last.err);
    if (ends) {
        expect_line(&s->last, ends);
        way->not_wrong(s);
        scratch_ok_words(s, way->words);
    }
    way->right(s);
    json_decref(file);
}

/* --- a folder and an emulator --- */

/* A service account, so that tokens can be renewed and the clock matters. */
static void write_credentials(const struct scratch *s)
{
    char uri[100];
    FILE *f = fopen(SCRATCH_PUBLIC_KEY, "w");
    assert_true(f && PEM_write_PUBKEY(f, key) == 1 && fclose(f) == 0);
    snprintf(uri, sizeof uri, "%s/token", emulator_url(&s->emulator));
    char *text = service_account_text(key, uri);
    scratch_text("account.json", text);
    free(text);
    snprintf(uri, sizeof uri, "%.80s/account.json", s->folder);
    setenv("GOOGLE_APPLICATION_CREDENTIALS", uri, 1);
    unsetenv("FERRY_ACCESS_TOKEN");
}

static int start(void **state)
{
    static struct scratch s;
    char path[100];
    *state = &s;
    scratch_start(&s, ferry);
    write_credentials(&s);
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, REPO "%s", files[i]);
        scratch_file(path, i ? (size_t)i * 1000 : LARGE_BYTES, (unsigned)i + 1);
    }
    scratch_ok(&s, "cp", "-qr", REPO, B "/source");
    return 0;
}

static int end(void **state)
{
    scratch_end(*state);
    return 0;
}

/* --- side by side --- */

enum { STRUCK, FAILED, NOT_STRUCK }; /* how a process ends */

struct trial {
    const char *fault;
    const struct way *way;
    pid_t pid;
    FILE *said;
    int end;
};

static int run_trial(const struct trial *t)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(copy_ends_well_or_in_one_clear_line, start, end)};
    fault = t->fault;
    way = t->way;
    dup2(fileno(t->said), STDOUT_FILENO);
    dup2(fileno(t->said), STDERR_FILENO);
    int failed = cmocka_run_group_tests_name(t->fault, tests, NULL, NULL);
    fflush(NULL);
    return failed ? FAILED : struck ? STRUCK : NOT_STRUCK;
}

static void begin_trial(struct trial *t)
{
    fflush(NULL);
    t->said = tmpfile();
    t->pid = t->said ? fork() : -1;
    if (t->pid == 0)
        _exit(run_trial(t));
    if (t->pid < 0) {
        perror("fork");
        exit(1);
    }
}

static void print_said(const struct trial *t)
{
    char text[4096];
    rewind(t->said);
    for (size_t n; (n = fread(text, 1, sizeof text, t->said)) > 0;)
        fwrite(text, 1, n, stdout);
}

/* The one that ends next. */
static void end_trial(struct trial *trials)
{
    int status;
    pid_t pid = wait(&status);
    struct trial *t = trials;
    while (t->pid != pid)
        t++;
    t->end = WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
    bool failed = t->end != STRUCK && t->end != NOT_STRUCK;
    if (failed)
        print_said(t);
    printf("%s, %s: %s\n", t->fault, t->way->name,
           failed             ? "FAILED"
           : t->end == STRUCK ? "as it should be"
                              : "not touched");
    fclose(t->said);
}

static void run_trials(struct trial *trials, int count)
{
    int running = 0;
    for (int i = 0; i < count; i++) {
        if (running == SIDE_BY_SIDE) {
            end_trial(trials);
            running--;
        }
        begin_trial(&trials[i]);
        running++;
    }
    while (running-- > 0)
        end_trial(trials);
}

/* The trials of one fault: none failed, and it struck in one of them at least. */
static bool judge(const struct trial *trials)
{
    int ends[3] = {0};
    for (int i = 0; i < WAYS; i++)
        ends[trials[i].end == STRUCK || trials[i].end == NOT_STRUCK ? trials[i].end : FAILED]++;
    if (!ends[STRUCK] && !ends[FAILED])
        printf("%s strikes nowhere\n", trials->fault);
    return ends[STRUCK] && !ends[FAILED];
}

static int make_trials(struct trial *trials, const glob_t *found)
{
    int count = 0;
    for (size_t i = 0; i < found->gl_pathc && i < MAX_FAULTS; i++)
        for (int k = 0; k < WAYS; k++) {
            char *leaf = strrchr(found->gl_pathv[i], '/') + 1;
            leaf[strcspn(leaf, ".")] = 0;
            trials[count++] = (struct trial){.fault = leaf, .way = &ways[k]};
        }
    return count;
}

int main(int argc, char **argv)
{
    static struct trial trials[MAX_FAULTS * WAYS];
    glob_t found;
    char pattern[1000];
    int failed = 0;
    if (argc < 3)
        return 2;
    ferry = argv[1];
    faults_folder = argv[2];
    snprintf(pattern, sizeof pattern, "%s/%s.json", faults_folder, argc > 3 ? argv[3] : "*");
    if (glob(pattern, 0, NULL, &found) != 0)
        return 2;
    key = make_key();
    int count = make_trials(trials, &found);
    run_trials(trials, count);
    for (int i = 0; i < count; i += WAYS)
        failed += !judge(&trials[i]);
    printf("%d of %d faults do not end as they should\n", failed, count / WAYS);
    EVP_PKEY_free(key);
    globfree(&found);
    return failed != 0;
}
