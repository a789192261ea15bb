/* `ferry stage --via job`: a job is made beside the bucket, followed, and gone afterwards, however it ends.
 * The emulator runs its tasks: this very ferry. */
#include "via.h"

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

#define JOBS "/v2/projects/demo-proj/locations/asia-northeast1/jobs"
#define VIA VIA_WORDS("job", "me/ferry:1")

#define NO_WRITING                                                                                           \
    "{\"faults\":[{\"method\":\"POST\",\"query\":\"uploads*\",\"times\":0,\"do\":{\"status\":403}},"         \
    "{\"method\":\"PUT\",\"times\":0,\"do\":{\"status\":403}}]}"

/* Whatever was made has been taken away again. */
static void expect_no_job(struct scratch *s)
{
    json_t *log = emulator_log(&s->emulator), *r;
    int there = 0;
    size_t i;
    json_array_foreach(log, i, r)
    {
        const char *method = json_string_value(json_object_get(r, "method"));
        const char *path = json_string_value(json_object_get(r, "path"));
        bool well = json_integer_value(json_object_get(r, "status")) == 200;
        if (!well || strncmp(path, JOBS, strlen(JOBS)) != 0)
            continue;
        there += strcmp(method, "POST") == 0 && strstr(path, "?jobId=");
        there -= strcmp(method, "DELETE") == 0;
    }
    json_decref(log);
    assert_int_equal(there, 0);
}

static void tasks_copy_each_file_once_and_the_job_is_gone(void **state)
{
    static const struct known none;
    struct scratch *s = *state;
    struct moved m = {0};
    if (scratch_run(s, VIA, "--yes", "--tasks", "3") != 0)
        fail_msg("%s", s->last.err);
    assert_non_null(strstr(s->last.err, "of 3 tasks done"));
    assert_non_null(strstr(s->last.out, "is staged completely in " VIA_TARGET "/: "));
    assert_non_null(strstr(s->last.out, " by 3 tasks; the job is gone\n"));
    moved_add(&m, &s->emulator, &none);
    assert_int_equal(m.fetched, staged_large_bytes());
    assert_int_equal(m.sent, staged_large_bytes());
    assert_int_equal(via_requests(s, "POST", JOBS "?jobId=*"), 1);
    expect_no_job(s);
    via_expect_staged(s);
    emulator_log_clear(&s->emulator);
    scratch_ok(s, VIA, "--yes"); /* nothing to do: no job for that */
    assert_int_equal(via_requests(s, "POST", JOBS "*"), 0);
}

static void nothing_that_costs_is_made_before_somebody_says_yes(void **state)
{
    struct scratch *s = *state;
    assert_int_equal(scratch_run(s, VIA), 4);
    assert_non_null(strstr(s->last.err,
                           " by 1 task of Cloud Run in asia-northeast1 (2 vCPU, 2 GiB): 0 s to 1 s, "
                           "less than 0.01 USD. Begin?"));
    assert_int_equal(via_requests(s, "POST", JOBS "*") + via_requests(s, "DELETE", "*"), 0);
}

static void dry_run_prints_the_requests_and_sends_none(void **state)
{
    struct scratch *s = *state;
    scratch_ok(s, VIA, "--dry-run", "--tasks", "2", "--token-secret", "hub", "--include", "*.safetensors");
    static const char *const says[] = {"POST http://127.0.0.1:",    JOBS "?jobId=ferry-stage-",
                                       "\"taskCount\": 2",          "\"image\": \"me/ferry:1\"",
                                       "\"--include\",\n",          "\"secret\": \"hub\"",
                                       "\"managed-by\": \"ferry\"", ":run\n{}\nDELETE http://127.0.0.1:"};
    for (size_t i = 0; i < sizeof says / sizeof *says; i++)
        if (!strstr(s->last.out, says[i]))
            fail_msg("%s is not in %s", says[i], s->last.out);
    assert_null(strstr(s->last.out, EMULATOR_HF_TOKEN));
    assert_int_equal(via_requests(s, NULL, JOBS "*"), 0);
}

/* Who names an image and no way has the sooner one chosen, which asks like the other. */
static void way_is_chosen_when_there_is_an_image(void **state)
{
#define AUTO "stage", "owner/name", VIA_TARGET, "--project", "demo-proj", "--region", "asia-northeast1"
    struct scratch *s = *state;
    assert_int_equal(scratch_run(s, AUTO, "--image", "me/ferry:1"), 4);
    assert_non_null(strstr(s->last.err, " by --via job, which is expected to be done first: here "));
    assert_non_null(strstr(s->last.err, " of Cloud Run in asia-northeast1"));
    scratch_text("state/ferry/measured.json",
                 "{\"measured\":[{\"what\":\"fetch\",\"where\":\"here\",\"from\":\"hf://a/b\","
                 "\"bytes_per_second\":900000000.0,\"cores\":2,\"date\":\"2026-11-25\"}]}");
    assert_int_equal(scratch_run(s, AUTO, "--image", "me/ferry:1"), 0);
    assert_non_null(strstr(s->last.err,
                           " by --via here, which is expected to be done first: here 0 s at least, at "
                           "the 900 MB/s that came from the hub on 2026-11-25; job "));
    assert_int_equal(via_requests(s, NULL, JOBS "*"), 0);
    via_expect_staged(s);
#undef AUTO
}

/* By one task, whatever there are of files. */
static void model_is_encoded_on_the_way(void **state)
{
    struct scratch *s = *state;
    via_add_tiny();
    int code = scratch_run(s, "stage", "owner/tiny", VIA_TARGET, "--via=job", "--image=me/ferry",
                           "--project=demo-proj", "--yes", "--encode=q8_0");
    if (code != 0)
        fail_msg("%s", s->last.err);
    assert_non_null(strstr(s->last.out, " by 1 task; the job is gone\n"));
    expect_no_job(s);
    via_expect_staged(s);
    scratch_ok(s, "cat", VIA_TARGET "/ferry-manifest.json");
    assert_non_null(strstr(s->last.out, "\"q8_0\""));
}

/* Bytes that cross regions cost. */
static void job_runs_where_the_bucket_is(void **state)
{
#define DRY "--via", "job", "--image", "me/ferry", "--project", "demo-proj", "--dry-run"
    struct scratch *s = *state;
    scratch_ok(s, "stage", "owner/name", VIA_TARGET, DRY);
    assert_non_null(strstr(s->last.out, "/locations/asia-northeast1/jobs?"));
    assert_int_equal(scratch_run(s, "stage", "owner/name", "gs://" SCRATCH_BUCKET "-none/m", DRY), 1);
    assert_non_null(strstr(s->last.err, "`ferry bucket create"));
#undef DRY
}

static void commands_that_cannot_work_are_refused_before_anything_is_made(void **state)
{
    struct scratch *s = *state;
    static const struct via_refusal rows[] = {
        {{"--image", "me/ferry@1"}, "expected @sha256: and 64 digits behind the @"},
        {{"--image", "me/ferry", "--encode=q8_0", "--tasks=2"}, "--tasks 2: an encoding is one task's work"},
        {{"--image", "me/ferry"}, "in which project? --project PROJECT, or set GOOGLE_CLOUD_PROJECT"},
    };
    via_expect_refused(s, "job", rows, sizeof rows / sizeof *rows);
    assert_int_equal(via_requests(s, NULL, JOBS "*"), 0);
}

static void tasks_that_fail_are_told_and_leave_no_job(void **state)
{
    struct scratch *s = *state;
    emulator_faults(&s->emulator, NO_WRITING);
    assert_int_equal(scratch_run(s, VIA, "--yes", "--tasks", "2", "--quiet"), 1);
    assert_non_null(strstr(s->last.err, "2 of its tasks failed: The execution failed.; their log: https://"));
    assert_non_null(strstr(s->last.err, "the same command goes on"));
    emulator_faults(&s->emulator, NULL);
    expect_no_job(s);
    assert_int_equal(scratch_run(s, VIA, "--yes", "--tasks", "2", "--quiet"), 0);
    via_expect_staged(s);
}

/* Begun, and its tasks at work. */
static void start_slow(struct scratch *s, struct program *p)
{
    via_start_slow(s, p, (const char *const[]){VIA, "--yes", "--tasks", "2", "--quiet", NULL});
    via_wait_for(s, ":run\"");
    usleep(500000);
}

static void interrupted_it_stops_the_tasks_and_leaves_no_job(void **state)
{
    struct scratch *s = *state;
    static struct outcome o;
    struct program p;
    start_slow(s, &p);
    kill(p.pid, SIGINT);
    program_finish(&p, NULL, &o);
    if (o.code == 0 || !strstr(o.err, "interrupted"))
        fail_msg("code %d: %s", o.code, o.err);
    assert_int_equal(via_requests(s, "POST", JOBS "/*:cancel"), 1);
    emulator_faults(&s->emulator, NULL);
    expect_no_job(s);
    assert_int_equal(scratch_run(s, VIA, "--yes", "--tasks", "2", "--quiet"), 0);
    via_expect_staged(s);
}

static void job_that_a_killed_command_left_behind_is_replaced(void **state)
{
    struct scratch *s = *state;
    static struct outcome o;
    struct program p;
    start_slow(s, &p);
    kill(p.pid, SIGKILL);
    program_finish(&p, NULL, &o);
    emulator_faults(&s->emulator, NULL);
    assert_int_equal(scratch_run(s, VIA, "--yes", "--tasks", "2", "--quiet"), 0);
    assert_int_equal(via_requests(s, "POST", JOBS "?jobId=*"), 2);
    expect_no_job(s);
    via_expect_staged(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        VIA_TEST(tasks_copy_each_file_once_and_the_job_is_gone),
        VIA_TEST(nothing_that_costs_is_made_before_somebody_says_yes),
        VIA_TEST(dry_run_prints_the_requests_and_sends_none),
        VIA_TEST(way_is_chosen_when_there_is_an_image),
        VIA_TEST(model_is_encoded_on_the_way),
        VIA_TEST(job_runs_where_the_bucket_is),
        VIA_TEST(commands_that_cannot_work_are_refused_before_anything_is_made),
        VIA_TEST(tasks_that_fail_are_told_and_leave_no_job),
        VIA_TEST(interrupted_it_stops_the_tasks_and_leaves_no_job),
        VIA_TEST(job_that_a_killed_command_left_behind_is_replaced),
    };
    if (!via_arguments(argc, argv))
        return 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
