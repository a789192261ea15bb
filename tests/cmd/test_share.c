/* `ferry stage` as the tasks of a job: several processes share one copy through the bucket alone. */
#include "staged.h"

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
#define MANIFEST B "/m/ferry-manifest.json"
#define STAGE "stage", "owner/name", B "/m", "--workers=2", "--quiet"

/* Reads trickle on each connection: a part takes 0.8 s. */
#define SLOW                                                                                                 \
    "{\"faults\":[{\"host\":\"cdn\",\"method\":\"GET\",\"times\":0,\"do\":{\"bytes_per_second\":10000000}}]" \
    "}"

enum { TASKS = 3 };

static char *ferry;
static struct scratch scratch;

/* Variables of the processes started from now on; each has a state folder of its own, like a machine. */
static void be_task(int task, int tasks)
{
    char number[20], folder[240];
    snprintf(number, sizeof number, "%d", task);
    setenv("CLOUD_RUN_TASK_INDEX", number, 1);
    snprintf(number, sizeof number, "%d", tasks);
    setenv("CLOUD_RUN_TASK_COUNT", number, 1);
    snprintf(folder, sizeof folder, "%s/state-%d", scratch.folder, task);
    setenv("XDG_STATE_HOME", folder, 1);
}

static void be_nobody(void)
{
    char folder[240];
    unsetenv("CLOUD_RUN_TASK_INDEX");
    unsetenv("CLOUD_RUN_TASK_COUNT");
    snprintf(folder, sizeof folder, "%s/state", scratch.folder);
    setenv("XDG_STATE_HOME", folder, 1);
}

static int run_task(struct scratch *s, int task, int tasks)
{
    be_task(task, tasks);
    int code = scratch_run(s, STAGE);
    be_nobody();
    return code;
}

static bool is_sealed(struct scratch *s)
{
    return scratch_run(s, "cat", MANIFEST) == 0;
}

/* Complete, byte for byte, and nothing but the model is left. */
static void expect_staged(struct scratch *s)
{
    be_nobody();
    scratch_ok(s, "stage", "--check", "--deep", B "/m");
    scratch_ok(s, "ls", "-r", B "/m");
    if (strstr(s->last.out, ".ferry/"))
        fail_msg("left: %s", s->last.out);
    scratch_ok(s, STAGE);
    assert_non_null(strstr(s->last.out, "nothing to do"));
}

static void expect_moved_once(struct scratch *s)
{
    static const struct known none;
    struct moved m = {0};
    moved_add(&m, &s->emulator, &none);
    assert_int_equal(m.fetched, staged_large_bytes());
    assert_int_equal(m.sent, staged_large_bytes());
}

static void tasks_at_once_copy_each_file_once_and_one_manifest_comes_of_it(void **state)
{
    struct scratch *s = *state;
    struct program p[TASKS];
    static struct outcome o[TASKS];
    int sealed = 0;
    for (int i = 0; i < TASKS; i++) {
        be_task(i, TASKS);
        program_start(&p[i], ferry, (const char *const[]){STAGE, NULL});
    }
    be_nobody();
    for (int i = 0; i < TASKS; i++) {
        program_finish(&p[i], NULL, &o[i]);
        if (o[i].code != 0)
            fail_msg("task %d: code %d: %s", i, o[i].code, o[i].err);
        sealed += strstr(o[i].out, "is staged completely") != NULL;
    }
    assert_in_range(sealed, 1, TASKS); /* those that end in the same moment both see it */
    expect_moved_once(s);
    expect_staged(s);
}

/* In whatever order they come. */
static void last_task_seals_and_none_before_it(void **state)
{
    static const int orders[][TASKS] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
    struct scratch *s = *state;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        for (int k = 0; k < TASKS; k++) {
            assert_false(is_sealed(s));
            assert_int_equal(run_task(s, orders[i][k], TASKS), 0);
            const char *says =
                k + 1 < TASKS ? "is done; the last one to be done seals" : "is staged completely";
            if (!strstr(s->last.out, says))
                fail_msg("task %d: %s", orders[i][k], s->last.out);
        }
        expect_staged(s);
        scratch_ok(s, "rm", "-r", "--yes", B "/m");
    }
}

static void task_that_was_done_does_nothing_twice(void **state)
{
    struct scratch *s = *state;
    assert_int_equal(run_task(s, 0, 2), 0);
    emulator_log_clear(&s->emulator);
    assert_int_equal(run_task(s, 0, 2), 0); /* on another machine, as it were */
    static const struct known none;
    struct moved m = {0};
    moved_add(&m, &s->emulator, &none);
    assert_int_equal(m.fetched + m.sent, 0);
    assert_int_equal(run_task(s, 1, 2), 0);
    expect_staged(s);
}

static void task_that_was_killed_goes_on_elsewhere(void **state)
{
    struct scratch *s = *state;
    static struct outcome o;
    struct program p;
    assert_int_equal(run_task(s, 1, 2), 0);
    emulator_faults(&s->emulator, SLOW);
    be_task(0, 2);
    program_start(&p, ferry, (const char *const[]){STAGE, NULL});
    usleep(250000);
    kill(p.pid, SIGKILL);
    program_finish(&p, NULL, &o);
    be_nobody();
    assert_int_equal(o.code, 128 + SIGKILL);
    emulator_faults(&s->emulator, NULL);
    assert_false(is_sealed(s));
    assert_int_equal(run_task(s, 0, 2), 0);
    assert_non_null(strstr(s->last.out, "is staged completely"));
    expect_staged(s);
}

/* Whoever is last looks at the bucket, not at the journals alone. */
static void file_that_went_meanwhile_is_not_called_there(void **state)
{
    struct scratch *s = *state;
    assert_int_equal(run_task(s, 0, 2), 0);
    scratch_ok(s, "ls", B "/m/*.safetensors");
    char *name = strtok(strstr(s->last.out, "gs://"), "\n");
    char gone[200];
    snprintf(gone, sizeof gone, "%s", name);
    scratch_ok(s, "rm", "--yes", gone);
    assert_int_equal(run_task(s, 1, 2), 0);
    assert_false(is_sealed(s));
    assert_int_equal(run_task(s, 0, 2), 0); /* copies it again */
    expect_staged(s);
}

static void more_tasks_than_files_have_nothing_to_do(void **state)
{
    struct scratch *s = *state;
    const int tasks = STAGED_LARGE + STAGED_SMALL + 2;
    assert_int_equal(run_task(s, tasks - 1, tasks), 0);
    assert_non_null(strstr(s->last.out, "nothing falls to task 21 of 21"));
    for (int i = 0; i < tasks - 2; i++)
        assert_int_equal(run_task(s, i, tasks), 0);
    expect_staged(s);
}

static void variables_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        const char *index, *count, *problem;
    } rows[] = {
        {"0", "x", "CLOUD_RUN_TASK_COUNT: \"x\", expected a number from 1 to 10000"},
        {"0", "0", "CLOUD_RUN_TASK_COUNT: \"0\", expected a number from 1 to 10000"},
        {"3", "3", "CLOUD_RUN_TASK_INDEX: \"3\", expected a number from 0 to 2"},
        {"-1", "3", "CLOUD_RUN_TASK_INDEX: \"-1\", expected a number from 0 to 2"},
        {NULL, "3", "CLOUD_RUN_TASK_INDEX: \"\", expected a number from 0 to 2"},
    };
    struct scratch *s = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rows[i].index ? setenv("CLOUD_RUN_TASK_INDEX", rows[i].index, 1) : unsetenv("CLOUD_RUN_TASK_INDEX");
        setenv("CLOUD_RUN_TASK_COUNT", rows[i].count, 1);
        assert_int_equal(scratch_run(s, STAGE), 2);
        assert_non_null(strstr(s->last.err, rows[i].problem));
    }
    be_task(0, 2);
    assert_int_equal(scratch_run(s, "stage", "owner/name", "./here"), 2);
    assert_non_null(strstr(s->last.err, "the tasks of a job share a copy to a bucket"));
}

static int start(void **state)
{
    scratch_start(&scratch, ferry);
    staged_make();
    be_nobody();
    *state = &scratch;
    return 0;
}

static int end(void **state)
{
    be_nobody();
    scratch_end(*state);
    return 0;
}

#define SHARED(test) cmocka_unit_test_setup_teardown(test, start, end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SHARED(tasks_at_once_copy_each_file_once_and_one_manifest_comes_of_it),
        SHARED(last_task_seals_and_none_before_it),
        SHARED(task_that_was_done_does_nothing_twice),
        SHARED(task_that_was_killed_goes_on_elsewhere),
        SHARED(file_that_went_meanwhile_is_not_called_there),
        SHARED(more_tasks_than_files_have_nothing_to_do),
        SHARED(variables_that_make_no_sense_are_refused),
    };
    if (argc != 2)
        return 2;
    ferry = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
