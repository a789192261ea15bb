/* `ferry stage --via vm`: a machine is made beside the bucket, followed, and gone afterwards, however it
 * ends. The emulator runs the script that it is given, and in it this very ferry. */
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

#define PROJECT "/compute/v1/projects/demo-proj"
#define VMS PROJECT "/zones/*/instances"
#define VIA VIA_WORDS("vm", "me/ferry:1")

#define NO_WRITING                                                                                           \
    "{\"faults\":[{\"method\":\"POST\",\"query\":\"uploads*\",\"times\":0,\"do\":{\"status\":403}},"         \
    "{\"method\":\"PUT\",\"path\":\"/model-bkt/*\",\"times\":0,\"do\":{\"status\":403}}]}"

static int made(struct scratch *s)
{
    return via_requests(s, "POST", VMS "?requestId=*");
}

/* Whatever was made has been taken away again: nothing of ours is listed. */
static void expect_no_vm(struct scratch *s)
{
    char command[500];
    snprintf(command, sizeof command,
             "curl -sf -H 'Authorization: Bearer %s' "
             "'%s" PROJECT
             "/aggregated/instances?filter=labels.managed-by%%3Dferry' | grep -q '\"items\": *{}'",
             EMULATOR_TOKEN, emulator_url(&s->emulator));
    assert_int_equal(system(command), 0);
}

static void machine_copies_and_is_gone(void **state)
{
    static const struct known none;
    struct scratch *s = *state;
    struct moved m = {0};
    if (scratch_run(s, VIA, "--yes") != 0)
        fail_msg("%s", s->last.err);
    assert_non_null(strstr(s->last.err, "the VM starts"));
    assert_non_null(strstr(s->last.out, "is staged completely in " VIA_TARGET "/: "));
    assert_non_null(strstr(s->last.out, " by a VM, for about 0.00 USD; it is gone\n"));
    moved_add(&m, &s->emulator, &none);
    assert_int_equal(m.fetched, staged_large_bytes());
    assert_int_equal(m.sent, staged_large_bytes());
    assert_int_equal(made(s), 1);
    expect_no_vm(s);
    via_expect_staged(s);
    emulator_log_clear(&s->emulator);
    scratch_ok(s, VIA, "--yes"); /* nothing to do: no machine for that */
    assert_int_equal(via_requests(s, NULL, PROJECT "*"), 0);
}

static void nothing_that_costs_is_made_before_somebody_says_yes(void **state)
{
    struct scratch *s = *state;
    assert_int_equal(scratch_run(s, VIA), 4);
    assert_non_null(strstr(
        s->last.err, " by a VM of Compute Engine in asia-northeast1 (e2-standard-4): 40 s to 2 min 31 s, "
                     "0.00 to 0.01 USD; it deletes itself, at the latest after 1 h 0 min. Begin?"));
    assert_int_equal(via_requests(s, "POST", PROJECT "*") + via_requests(s, "DELETE", "*"), 0);
}

static void dry_run_prints_the_requests_and_sends_none(void **state)
{
    struct scratch *s = *state;
    scratch_ok(s, VIA, "--dry-run", "--token-secret", "hub", "--include", "*.safetensors");
    static const char *const says[] = {"POST http://127.0.0.1:",
                                       PROJECT "/zones/asia-northeast1-a/instances\n{",
                                       "\"zones/asia-northeast1-a/machineTypes/e2-standard-4\"",
                                       "\"me/ferry:1\"",
                                       "--yes\\n--via\\nhere\\n--include\\n*.safetensors\\n\"",
                                       "\"ferry-token-secret\"",
                                       "\"managed-by\": \"ferry\"",
                                       "\"seconds\": \"3600\"",
                                       "\"instanceTerminationAction\": \"DELETE\"",
                                       "}\nDELETE http://127.0.0.1:"};
    for (size_t i = 0; i < sizeof says / sizeof *says; i++)
        if (!strstr(s->last.out, says[i]))
            fail_msg("%s is not in %s", says[i], s->last.out);
    assert_null(strstr(s->last.out, EMULATOR_HF_TOKEN));
    assert_int_equal(via_requests(s, "POST", PROJECT "*") + via_requests(s, "DELETE", "*"), 0);
}

static void model_is_encoded_on_the_way(void **state)
{
    struct scratch *s = *state;
    via_add_tiny();
    int code = scratch_run(s, "stage", "owner/tiny", VIA_TARGET, "--via=vm", "--image=me/ferry",
                           "--project=demo-proj", "--yes", "--encode=q8_0"); /* where the bucket is */
    if (code != 0)
        fail_msg("%s", s->last.err);
    expect_no_vm(s);
    via_expect_staged(s);
    scratch_ok(s, "cat", VIA_TARGET "/ferry-manifest.json");
    assert_non_null(strstr(s->last.out, "\"q8_0\""));
    assert_int_equal(via_requests(s, "POST", PROJECT "/zones/asia-northeast1-a/instances?*"), 1);
}

static void commands_that_cannot_work_are_refused_before_anything_is_made(void **state)
{
    struct scratch *s = *state;
    static const struct via_refusal rows[] = {
        {{NULL}, "which image? `ferry image push"},
        {{"--image", "me/ferry@1"}, "expected @sha256: and 64 digits behind the @"},
        {{"--image", "me/ferry", "--tasks=2"}, "--tasks goes with --via job"},
        {{"--image", "me/ferry"}, "in which project? --project PROJECT, or set GOOGLE_CLOUD_PROJECT"},
        {{"--image", "me/ferry", "--include=a\nb*", "--include=model*"}, "a name with a line break"},
        {{"--image", "me/ferry", "--project=demo-proj", "--region=mars-east1"}, "region mars-east1: "},
    };
    via_expect_refused(s, "vm", rows, sizeof rows / sizeof *rows);
    const char *folder[] = {"stage", "owner/name", "here", "--via=vm", "--image=me/ferry", "--yes", NULL};
    via_expect_problem(s, scratch_run_words(s, NULL, folder), "--via vm copies to a bucket");
    assert_int_equal(made(s), 0);
}

/* --- what Compute Engine refuses --- */

static void refusals_are_told_with_their_next_step(void **state)
{
    struct scratch *s = *state;
    static const struct {
        const char *fault, *problem;
        int tries;
    } rows[] = {
        {"{\"faults\":[{\"method\":\"POST\",\"path\":\"*/"
         "instances\",\"times\":0,\"do\":{\"operation_error\":{"
         "\"errors\":[{\"code\":\"ZONE_RESOURCE_POOL_EXHAUSTED\",\"message\":\"The zone does not have enough "
         "resources available.\"}]}}}]}",
         "none of the 3 zones of asia-northeast1 has an e2-standard-4 free; try again later, or --via job",
         3},
        {"{\"faults\":[{\"method\":\"POST\",\"path\":\"*/"
         "instances\",\"times\":0,\"do\":{\"operation_error\":{"
         "\"errors\":[{\"code\":\"QUOTA_EXCEEDED\",\"message\":\"Quota 'CPUS' exceeded.  Limit: 2.0 in "
         "region "
         "asia-northeast1.\"}]}}}]}",
         "Quota 'CPUS' exceeded.  Limit: 2.0 in region asia-northeast1.; ", 1},
        {"{\"faults\":[{\"method\":\"POST\",\"path\":\"*/instances\",\"times\":0,\"do\":{\"status\":403,"
         "\"body\":{\"error\":{\"code\":403,\"message\":\"Required 'compute.instances.create' permission for "
         "'projects/demo-proj/zones/asia-northeast1-a/instances/"
         "f'\",\"errors\":[{\"reason\":\"forbidden\"}]}}}}]}",
         "Required 'compute.instances.create' permission", 1},
        {"{\"faults\":[{\"method\":\"GET\",\"path\":\"*/aggregated/"
         "instances\",\"times\":0,\"do\":{\"status\":403,"
         "\"body\":{\"error\":{\"code\":403,\"message\":\"Compute Engine API has not been used in project 1 "
         "before or it is disabled.\",\"status\":\"PERMISSION_DENIED\",\"details\":[{\"reason\":"
         "\"SERVICE_DISABLED\",\"metadata\":{\"service\":\"compute.googleapis.com\"}}]}}}}]}",
         "compute.googleapis.com", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        emulator_faults(&s->emulator, rows[i].fault);
        emulator_log_clear(&s->emulator);
        via_expect_problem(s, scratch_run(s, VIA, "--yes", "--quiet"), rows[i].problem);
        assert_ptr_equal(strchr(s->last.err, '\n'), s->last.err + strlen(s->last.err) - 1); /* one line */
        assert_int_equal(made(s), rows[i].tries);
        emulator_faults(&s->emulator, NULL);
        expect_no_vm(s);
    }
}

static void zone_that_has_none_left_gives_way_to_the_next(void **state)
{
    struct scratch *s = *state;
    emulator_faults(&s->emulator,
                    "{\"faults\":[{\"method\":\"POST\",\"path\":\"*/instances\",\"do\":{\"operation_error\":{"
                    "\"errors\":[{\"code\":\"ZONE_RESOURCE_POOL_EXHAUSTED\",\"message\":\"None.\"}]}}}]}");
    assert_int_equal(scratch_run(s, VIA, "--yes", "--quiet"), 0);
    assert_int_equal(made(s), 2);
    assert_int_equal(via_requests(s, "DELETE", PROJECT "/zones/asia-northeast1-b/instances/*"), 1);
    expect_no_vm(s);
    via_expect_staged(s);
}

/* --- what goes wrong in it --- */

static void what_goes_wrong_in_it_is_told_and_leaves_no_machine(void **state)
{
    struct scratch *s = *state;
    via_expect_problem(
        s, scratch_run(s, VIA_WORDS("vm", "me/none:1"), "--yes", "--quiet"),
        ": the image could not be pulled: Error response from daemon: manifest for me/none:1 not "
        "found: manifest unknown; what was copied stays, the same command goes on");
    expect_no_vm(s);
    emulator_faults(&s->emulator, NO_WRITING);
    via_expect_problem(s, scratch_run(s, VIA, "--yes", "--quiet"), " in asia-northeast1-a: ");
    assert_non_null(strstr(s->last.err,
                           ": HTTP 403: no reason given; what was copied stays, the same command goes on\n"));
    emulator_faults(&s->emulator, NULL);
    expect_no_vm(s);
    assert_int_equal(scratch_run(s, VIA, "--yes", "--quiet"), 0);
    via_expect_staged(s);
}

#define SECRET                                                                                               \
    "{\"faults\":[{\"method\":\"GET\",\"path\":\"/v1/projects/demo-proj/secrets/hub/versions/"               \
    "latest:access\","                                                                                       \
    "\"times\":0,\"do\":{\"status\":%s,\"body\":{\"payload\":{\"data\":\"aGZfZW11bGF0b3I=\"}}}}]}"

/* Where it has been put by `ferry`'s user, and never into what a project's viewers can read. */
static void token_is_read_from_its_secret_in_the_machine(void **state)
{
    struct scratch *s = *state;
    char faults[500];
    scratch_text("hub/owner/name/.emulator.json", "{\"gated\":\"auto\"}");
    via_expect_problem(s, scratch_run(s, VIA, "--yes", "--quiet"), " in asia-northeast1-a: ");
    snprintf(faults, sizeof faults, SECRET, "403");
    emulator_faults(&s->emulator, faults);
    via_expect_problem(
        s, scratch_run(s, VIA, "--yes", "--quiet", "--token-secret", "hub"),
        "secret hub could not be read: has the VM's account roles/secretmanager.secretAccessor on it?");
    snprintf(faults, sizeof faults, SECRET, "200");
    emulator_faults(&s->emulator, faults);
    assert_int_equal(scratch_run(s, VIA, "--yes", "--quiet", "--token-secret", "hub"), 0);
    emulator_faults(&s->emulator, NULL);
    expect_no_vm(s);
    via_expect_staged(s);
    assert_null(via_logged(s, "\"" EMULATOR_HF_TOKEN));
}

/* Begun, and at work in the machine. */
static void start_slow(struct scratch *s, struct program *p)
{
    via_start_slow(s, p, (const char *const[]){VIA, "--yes", "--quiet", NULL});
    via_wait_for(s, "/serialPort?");
    via_wait_for(s, "?uploads");
}

static void interrupted_it_deletes_the_machine(void **state)
{
    struct scratch *s = *state;
    static struct outcome o;
    struct program p;
    start_slow(s, &p);
    kill(p.pid, SIGINT);
    program_finish(&p, NULL, &o);
    if (o.code == 0 || !strstr(o.err, "interrupted; the VM is deleted"))
        fail_msg("code %d: %s", o.code, o.err);
    emulator_faults(&s->emulator, NULL);
    expect_no_vm(s);
    assert_int_equal(scratch_run(s, VIA, "--yes", "--quiet"), 0);
    via_expect_staged(s);
}

static void kill_follower(struct scratch *s)
{
    static struct outcome o;
    struct program p;
    start_slow(s, &p);
    kill(p.pid, SIGKILL);
    program_finish(&p, NULL, &o);
    emulator_faults(&s->emulator, NULL);
}

static void machine_of_a_killed_command_is_followed_again(void **state)
{
    struct scratch *s = *state;
    kill_follower(s);
    assert_int_equal(scratch_run(s, VIA, "--yes"), 0);
    assert_non_null(
        strstr(s->last.err, "a VM in asia-northeast1-a is at this work already: it is followed\n"));
    assert_non_null(strstr(s->last.out, " by a VM; it is gone\n"));
    assert_int_equal(made(s), 1);
    expect_no_vm(s);
    via_expect_staged(s);
}

static void machine_at_other_work_is_replaced(void **state)
{
    struct scratch *s = *state;
    kill_follower(s);
    assert_int_equal(scratch_run(s, VIA, "--yes", "--quiet", "--include", "*.safetensors"), 0);
    assert_int_equal(made(s), 2);
    expect_no_vm(s);
    via_expect_staged(s);
}

static void machine_that_nobody_follows_ends_its_work_and_deletes_itself(void **state)
{
    struct scratch *s = *state;
    kill_follower(s);
    via_wait_for(s, "\"method\":\"DELETE\",\"path\":\"" PROJECT);
    expect_no_vm(s);
    via_expect_staged(s);
    assert_int_equal(made(s), 1);
}

static void machine_that_disappears_is_told(void **state)
{
    struct scratch *s = *state;
    static struct outcome o;
    struct program p;
    char command[500], name[29] = "";
    start_slow(s, &p);
    memcpy(name, via_logged(s, "/instances/ferry-stage-") + 11, 28);
    snprintf(command, sizeof command,
             "curl -sf -o /dev/null -X DELETE -H 'Authorization: Bearer %s' '%s" PROJECT
             "/zones/asia-northeast1-a/instances/%s'",
             EMULATOR_TOKEN, emulator_url(&s->emulator), name);
    assert_int_equal(system(command), 0);
    program_finish(&p, NULL, &o);
    if (o.code == 0 ||
        !strstr(o.err, " is gone before it was done: somebody deleted it, or its time was over"))
        fail_msg("code %d: %s", o.code, o.err);
    emulator_faults(&s->emulator, NULL);
    assert_int_equal(scratch_run(s, VIA, "--yes", "--quiet"), 0);
    via_expect_staged(s);
}

static void machine_that_cannot_be_followed_is_left_to_itself(void **state)
{
    struct scratch *s = *state;
    emulator_faults(&s->emulator,
                    "{\"faults\":[{\"host\":\"cdn\",\"times\":0,\"do\":{\"bytes_per_second\":5000000}},{"
                    "\"method\":\"GET\",\"path\":\"*/serialPort\",\"times\":0,\"do\":{\"status\":"
                    "403,\"body\":{\"error\":{\"code\":403,\"message\":\"Required "
                    "'compute.instances.getSerialPortOutput' permission\"}}}}]}");
    via_expect_problem(s, scratch_run(s, VIA, "--yes", "--quiet"),
                       " goes on by itself and then deletes itself, the same command follows it: ");
    assert_non_null(strstr(s->last.err, "compute.instances.getSerialPortOutput"));
    emulator_faults(&s->emulator, NULL);
    assert_int_equal(scratch_run(s, VIA, "--yes", "--quiet"), 0);
    assert_int_equal(made(s), 1);
    expect_no_vm(s);
    via_expect_staged(s);
}

static void machine_that_cannot_be_deleted_is_told(void **state)
{
    struct scratch *s = *state;
    emulator_faults(
        &s->emulator,
        "{\"faults\":[{\"method\":\"DELETE\",\"path\":\"*/instances/*\",\"times\":0,\"do\":{\"status\":"
        "403,\"body\":{\"error\":{\"code\":403,\"message\":\"Required 'compute.instances.delete' "
        "permission\"}}}}]}");
    via_expect_problem(s, scratch_run(s, VIA, "--yes", "--quiet"), "all is copied, but: VM ferry-stage-");
    assert_non_null(strstr(s->last.err, "it deletes itself when it has ended, at the latest after 60 min"));
    emulator_faults(&s->emulator, NULL);
    emulator_log_clear(&s->emulator);
    via_wait_for(s, "\"method\":\"DELETE\",\"path\":\"" PROJECT);
    expect_no_vm(s);
    via_expect_staged(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        VIA_TEST(machine_copies_and_is_gone),
        VIA_TEST(nothing_that_costs_is_made_before_somebody_says_yes),
        VIA_TEST(dry_run_prints_the_requests_and_sends_none),
        VIA_TEST(model_is_encoded_on_the_way),
        VIA_TEST(commands_that_cannot_work_are_refused_before_anything_is_made),
        VIA_TEST(refusals_are_told_with_their_next_step),
        VIA_TEST(zone_that_has_none_left_gives_way_to_the_next),
        VIA_TEST(what_goes_wrong_in_it_is_told_and_leaves_no_machine),
        VIA_TEST(token_is_read_from_its_secret_in_the_machine),
        VIA_TEST(interrupted_it_deletes_the_machine),
        VIA_TEST(machine_of_a_killed_command_is_followed_again),
        VIA_TEST(machine_at_other_work_is_replaced),
        VIA_TEST(machine_that_nobody_follows_ends_its_work_and_deletes_itself),
        VIA_TEST(machine_that_disappears_is_told),
        VIA_TEST(machine_that_cannot_be_followed_is_left_to_itself),
        VIA_TEST(machine_that_cannot_be_deleted_is_told),
    };
    if (!via_arguments(argc, argv))
        return 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
