/* A copy that was killed behind its seal and before that was written down: what stands at the target may be
 * it, may be another file by now, or gone. */
#include "run.h"
#include "run_emulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BUCKET "model-bkt"

enum { PART = MULTIPART_MIN_PART, SIZE = 2 * PART + 77, LAST = 77 };

static struct scratch scratch;
static struct emulator remote;
static char from_bytes[SIZE], there_bytes[SIZE];

static const struct place {
    const char *name, *faults;
    bool cloud;
} places[] = {{"folder", NULL, false}, {"multipart", NULL, true}, {"session", "no-multipart", true}};

/* --- a copy --- */

static struct store *open_target(struct run *r, const struct place *p)
{
    struct err e = {0};
    const struct uri bucket = {.scheme = URI_GS, .place = BUCKET, .path = "", .folder = true};
    struct store *s = p->cloud ? stores_open(r->stores, &bucket, &e) : r->store;
    assert_non_null(s);
    return s;
}

static const char *target_name(const struct place *p)
{
    return p->cloud ? p->name : scratch_path(&scratch, p->name);
}

/* Copies a file of the scratch folder to the place; the bytes that were carried. */
static uint64_t copy(const struct place *p, const char *from, struct journal *j)
{
    struct run r;
    struct err e = {0};
    run_open(&r);
    r.options = (struct transfer_options){.part_bytes = PART, .journal = j, .want_ranges = true};
    r.transfer = transfer_new(&r.options, &e);
    struct transfer_job job = {.from = r.store, .to = open_target(&r, p), .target = target_name(p)};
    assert_true(store_stat(r.store, scratch_path(&scratch, from), r.arena, &job.source, &e));
    assert_true(transfer_add(r.transfer, &job, &e));
    if (!transfer_run(r.transfer, &e))
        fail_msg("%s: %s", p->name, e.text);
    assert_int_equal(transfer_at(r.transfer, 0)->state, TRANSFER_DONE);
    uint64_t moved = transfer_at(r.transfer, 0)->moved;
    run_close(&r);
    return moved;
}

static struct journal *open_journal(const struct place *p)
{
    struct err e = {0};
    struct journal *j = journal_open("resume", p->name, &e);
    assert_non_null(j);
    return j;
}

/* The last line is the one that was not written. */
static void forget_done(struct journal *j)
{
    char path[1000], line[8192];
    long begin = 0, end = 0;
    snprintf(path, sizeof path, "%s", journal_path(j));
    journal_close(j);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (*line = 0; fgets(line, sizeof line, f); end = ftell(f))
        begin = end;
    fclose(f);
    assert_int_equal(strncmp(line, "done ", 5), 0);
    assert_int_equal(truncate(path, begin), 0);
}

static void expect_bytes(const struct place *p)
{
    struct run r;
    struct entry there;
    struct err e = {0};
    run_open(&r);
    struct store *s = open_target(&r, p);
    assert_true(store_stat(s, target_name(p), r.arena, &there, &e));
    assert_int_equal(there.size, SIZE);
    assert_true(store_read(s, &there, 0, SIZE, there_bytes, NULL, &e));
    assert_memory_equal(there_bytes, from_bytes, SIZE);
    run_close(&r);
}

/* --- what happens meanwhile --- */

static void nothing(const struct place *p)
{
    (void)p;
}

static void replace(const struct place *p)
{
    copy(p, "other", NULL);
}

static void delete (const struct place *p)
{
    struct run r;
    struct entry there;
    struct err e = {0};
    run_open(&r);
    struct store *s = open_target(&r, p);
    assert_true(store_stat(s, target_name(p), r.arena, &there, &e) && store_delete(s, &there, &e));
    run_close(&r);
}

static const struct {
    const char *name;
    void (*meanwhile)(const struct place *p);
    uint64_t least,
        most;  /* bytes carried by the run that goes on: to compare the hash, it reads the last part */
    bool sent; /* and sends them */
} worlds[] = {{"kept", nothing, 0, LAST, false},
              {"replaced", replace, SIZE, SIZE + LAST, true},
              {"deleted", delete, SIZE, SIZE + LAST, true}};

static void killed_behind_its_seal_it_is_found_or_begins_anew(void **state)
{
    (void)state;
    struct err e = {0};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (size_t k = 0; k < sizeof worlds / sizeof *worlds; k++) {
            const struct place *p = &places[i];
            emulator_faults(&remote, p->faults);
            struct journal *j = open_journal(p);
            assert_int_equal(copy(p, "from", j), SIZE);
            forget_done(j);
            worlds[k].meanwhile(p);
            emulator_log_clear(&remote);
            j = open_journal(p);
            uint64_t moved = copy(p, "from", j);
            if (moved < worlds[k].least || moved > worlds[k].most)
                fail_msg("%s %s: %llu bytes", p->name, worlds[k].name, (unsigned long long)moved);
            if (p->cloud)
                assert_int_equal(emulator_count(&remote, "PUT", NULL, 0).body, worlds[k].sent ? SIZE : 0);
            expect_bytes(p);
            assert_true(journal_remove(j, &e));
            delete (p);
        }
}

/* --- in its first run --- */

/* The session ends before its time: nothing of an earlier run is to blame, and still it begins anew, once. */
static void session_that_dies_under_way_begins_anew(void **state)
{
    (void)state;
    static const char *const faults[] = {"session-expired", "session-forgotten", "corrupt-session"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        emulator_faults(&remote, faults[i]);
        emulator_log_clear(&remote);
        copy(&places[2], "from", NULL);
        assert_int_equal(emulator_count(&remote, "POST", "*uploadType=resumable*", 200).requests, 2);
        expect_bytes(&places[2]);
        delete (&places[2]);
    }
}

static int make(void **state)
{
    (void)state;
    scratch_make(&scratch);
    scratch_noise(from_bytes, sizeof from_bytes, 1);
    scratch_write(&scratch, "from", SIZE, 1);
    scratch_write(&scratch, "other", SIZE, 2);
    emulator_start(&remote, &(struct emulator_options){.bucket = BUCKET});
    emulator_setenv(&remote);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    emulator_stop(&remote);
    int left = scratch_count(&scratch, "state");
    scratch_remove(&scratch);
    return left;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_behind_its_seal_it_is_found_or_begins_anew),
        cmocka_unit_test(session_that_dies_under_way_begins_anew),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
