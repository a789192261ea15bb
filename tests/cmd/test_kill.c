/* ferry stage, killed at any moment, again and again: what was stored is not moved again, what is not
 * complete is never called so, and in the end every byte is there.
 *
 * A moment is a number of requests that the emulator has answered and a wait behind it. The first run of each
 * stage is killed after another number of them, until each has had its turn: so kills fall into listing,
 * parts, seals and manifest, however fast the machine is.
 *
 *   test_kill FERRY KILLS [SEED]      a failure names its seed */
#include "staged.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define B "gs://" SCRATCH_BUCKET
#define JOURNALS "state/ferry/*"

/* Reads trickle on each connection: a part takes 0.14 s, so that kills meet it halfway. */
#define SLOW "{\"host\":\"cdn\",\"method\":\"GET\",\"times\":0,\"do\":{\"bytes_per_second\":60000000}}"
/* 5.6 s: the journal's copy in the bucket is written every 5 s. */
#define VERY_SLOW "{\"host\":\"cdn\",\"method\":\"GET\",\"times\":0,\"do\":{\"bytes_per_second\":1500000}}"
#define NO_MULTIPART "{\"method\":\"POST\",\"query\":\"uploads*\",\"times\":0,\"do\":{\"status\":501}}"
#define FAULTS(rules) "{\"faults\":[" rules "]}"

enum {
    WINDOW = 2 * STAGED_PART, /* of two workers: what may be on its way when they are killed */
    MAX_REQUESTS = 1000,
    LONGEST_WAIT = 17, /* 2^17 us: a part */
};

static int kills;
static uint64_t seed, chance;

/* --- chance --- */

static uint64_t draw(uint64_t below)
{
    chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17; /* xorshift64 */
    return chance % below;
}

/* Mostly short, so as to fall between two requests. */
static useconds_t draw_wait(void)
{
    return (useconds_t)draw((uint64_t)1 << draw(LONGEST_WAIT + 1));
}

static void draw_order(int *numbers, int count)
{
    for (int i = 0; i < count; i++) {
        int k = (int)draw((uint64_t)i + 1);
        numbers[i] = numbers[k];
        numbers[k] = i;
    }
}

/* --- a run --- */

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    return info.si_pid != 0;
}

/* Until the log has so many lines or the program has ended. */
static void wait_for_requests(const struct scratch *s, pid_t pid, int requests)
{
    char bytes[4096];
    int fd = open(s->emulator.log, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    while (requests > 0 && !has_ended(pid)) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        for (ssize_t i = 0; i < n; i++)
            requests -= bytes[i] == '\n';
        if (n <= 0)
            usleep(200);
    }
    close(fd);
}

#define STAGE(uri) ((const char *const[]){"stage", "owner/name", uri, "--workers=2", "--quiet", NULL})

/* Kills it after so many answers and a wait. False: it had ended by itself. */
static bool kill_stage(struct scratch *s, const char *uri, int requests, useconds_t wait)
{
    static struct outcome o;
    struct program p;
    emulator_log_clear(&s->emulator);
    program_start(&p, s->ferry, STAGE(uri));
    wait_for_requests(s, p.pid, requests);
    usleep(wait);
    kill(p.pid, SIGKILL);
    program_finish(&p, NULL, &o);
    if (o.code != 0 && o.code != 128 + SIGKILL)
        fail_msg("it failed by itself: code %d: %s", o.code, o.err);
    return o.code != 0;
}

/* Whether --check calls it complete; then every byte has to be there. */
static bool is_complete(struct scratch *s, const char *uri)
{
    if (scratch_run(s, "stage", "--check", uri) == 0) {
        scratch_ok(s, "stage", "--check", "--deep", "-q", uri);
        return true;
    }
    if (!strstr(s->last.err, "there is no ferry-manifest.json"))
        fail_msg("check: %s", s->last.err);
    return false;
}

/* Names, sizes and checksums as the bucket tells them; without the manifest, in which the time differs. */
static json_t *list_staged(struct scratch *s, const char *uri)
{
    json_t *kept = json_array(), *all, *one;
    size_t i;
    scratch_ok(s, "ls", "-r", "--json", uri);
    all = json_loads(s->last.out, 0, NULL);
    json_array_foreach(all, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "uri")) + strlen(uri);
        if (strcmp(name, "/ferry-manifest.json") != 0)
            json_array_append_new(kept, json_pack("{s:s, s:O, s:O}", "name", name, "size",
                                                  json_object_get(one, "size"), "crc32c",
                                                  json_object_get(one, "crc32c")));
    }
    json_decref(all);
    return kept;
}

static void expect_bytes(struct scratch *s, const char *uri)
{
    char folder[100];
    scratch_ok(s, "cp", "-qr", uri, "fetched/");
    snprintf(folder, sizeof folder, "fetched%s", strrchr(uri, '/'));
    staged_same(folder);
}

static void expect_no_journal(void)
{
    glob_t left;
    assert_int_equal(glob(JOURNALS, 0, NULL, &left), GLOB_NOMATCH);
}

/* --- many kills --- */

enum moment { BEGINNING, PARTS, FILES, END, MOMENTS };

struct killing {
    struct scratch *s;
    json_t *expected;        /* list_staged of a stage that nobody killed */
    int requests;            /* that it took */
    int order[MAX_REQUESTS]; /* [requests] of the first kill of each stage */
    int killed, stages, met[MOMENTS];
};

static enum moment moment_of(const struct known *k, bool complete)
{
    int files = known_files(k);
    if (complete || files == STAGED_LARGE + STAGED_SMALL)
        return END;
    return k->done[0] || k->done[1] || k->done[2] ? FILES : files || known_parts(k) ? PARTS : BEGINNING;
}

/* Goes on undisturbed. What was moved in all is the model and a window per kill. */
static void finish_stage(struct killing *x, const char *uri, const struct known *k, struct moved *m,
                         int times)
{
    struct scratch *s = x->s;
    uint64_t repeated = (uint64_t)times * WINDOW;
    emulator_log_clear(&s->emulator);
    scratch_ok_words(s, STAGE(uri));
    moved_add(m, &s->emulator, k);
    if (m->sent > staged_large_bytes() + repeated)
        fail_msg("%d kills, %llu bytes were stored", times, (unsigned long long)m->sent);
    /* parts that were stored behind one that was not are read again, though not stored */
    if (m->fetched > staged_large_bytes() + 2 * repeated)
        fail_msg("%d kills, %llu bytes were read", times, (unsigned long long)m->fetched);
    json_t *list = list_staged(s, uri);
    if (!json_equal(list, x->expected))
        fail_msg("%s", json_dumps(list, 0));
    json_decref(list);
    assert_true(is_complete(s, uri));
    expect_no_journal();
}

/* A stage of its own, killed up to `most` times. */
static void kill_one_stage(struct killing *x, int most)
{
    char uri[60];
    struct known k = {0};
    struct moved m = {0};
    bool killed = true, complete = false;
    int n = 0;
    snprintf(uri, sizeof uri, B "/m%d", x->stages);
    while (killed && !complete && n < most) {
        int requests = n == 0 ? x->order[x->stages % x->requests] : (int)draw((uint64_t)x->requests / 2);
        killed = kill_stage(x->s, uri, requests, draw_wait());
        moved_add(&m, &x->s->emulator, &k);
        complete = is_complete(x->s, uri);
        assert_true(killed || complete);
        known_read(&k, JOURNALS);
        x->met[moment_of(&k, complete)] += killed;
        n += killed;
    }
    finish_stage(x, uri, &k, &m, n);
    x->killed += n;
    x->stages++;
}

static void begin_killing(struct killing *x, struct scratch *s, const char *faults)
{
    struct moved m = {0};
    *x = (struct killing){.s = s};
    staged_make();
    emulator_faults(&s->emulator, faults);
    emulator_log_clear(&s->emulator);
    scratch_ok_words(s, STAGE(B "/whole"));
    x->requests = moved_add(&m, &s->emulator, &(struct known){0});
    assert_in_range(x->requests, 50, MAX_REQUESTS);
    assert_int_equal(m.sent, staged_large_bytes());
    x->expected = list_staged(s, B "/whole");
    assert_int_equal(json_array_size(x->expected), STAGED_LARGE + STAGED_SMALL);
    expect_bytes(s, B "/whole");
    draw_order(x->order, x->requests);
}

static void kill_often(struct scratch *s, const char *faults, int count)
{
    static struct killing x;
    char uri[60];
    begin_killing(&x, s, faults);
    while (x.killed < count)
        kill_one_stage(&x, 1 + (int)draw(4));
    snprintf(uri, sizeof uri, B "/m%d", x.stages - 1);
    expect_bytes(s, uri);
    print_message(
        "%d kills of %d stages of %d requests: %d at the beginning, %d among parts, %d among files, %d "
        "at the end\n",
        x.killed, x.stages, x.requests, x.met[BEGINNING], x.met[PARTS], x.met[FILES], x.met[END]);
    for (int i = 0; x.stages >= x.requests && i < MOMENTS; i++) /* then each request had its kill */
        assert_true(x.met[i] > 0);
    json_decref(x.expected);
}

static void killed_at_any_moment_it_goes_on(void **state)
{
    kill_often(*state, FAULTS(SLOW), kills);
}

/* Through resumable sessions, since the endpoint has no XML multipart. */
static void killed_with_a_session_it_goes_on(void **state)
{
    kill_often(*state, FAULTS(SLOW "," NO_MULTIPART), kills / 4);
}

/* Each run on a machine of its own, that has nothing but the journal's copy in the bucket. */
static void another_machine_goes_on_from_the_bucket(void **state)
{
    struct scratch *s = *state;
    struct known k = {0};
    struct moved m = {0};
    char machine[300];
    int known = 0, n = 0;
    staged_make();
    emulator_faults(&s->emulator, FAULTS(VERY_SLOW));
    for (bool killed = true; killed && n < 3; n++) {
        snprintf(machine, sizeof machine, "%s/machine-%d", s->folder, n);
        setenv("XDG_STATE_HOME", machine, 1);
        killed = kill_stage(s, B "/m", 0, 5800000 + (useconds_t)draw(2000000));
        moved_add(&m, &s->emulator, &k);
        if (killed && scratch_run(s, "cp", B "/m/.ferry/*", "copy") == 0)
            known_read(&k, "copy");
        known += known_parts(&k);
    }
    assert_true(known > 0); /* or this proves nothing */
    snprintf(machine, sizeof machine, "%s/state", s->folder);
    setenv("XDG_STATE_HOME", machine, 1);
    emulator_faults(&s->emulator, NULL);
    emulator_log_clear(&s->emulator);
    scratch_ok_words(s, STAGE(B "/m"));
    moved_add(&m, &s->emulator, &k);
    assert_true(is_complete(s, B "/m"));
    expect_bytes(s, B "/m");
    assert_int_equal(scratch_run(s, "ls", B "/m/.ferry"), 1);
}

/* --- */

static char *ferry;
static struct scratch scratch;

static int start(void **state)
{
    chance = seed;
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
        test(killed_at_any_moment_it_goes_on),
        test(killed_with_a_session_it_goes_on),
        test(another_machine_goes_on_from_the_bucket),
    };
    if (argc < 3)
        return 2;
    ferry = argv[1];
    kills = atoi(argv[2]);
    seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed)
        fprintf(stderr, "with the seed %llu\n", (unsigned long long)seed);
    return failed;
}
