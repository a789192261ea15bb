#include "base/crc32c.h"
#include "run.h"
#include "transfer/engine/copy.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { RANGE = 4096 }; /* parts of the tests; small ones, so that small files have many */

static struct scratch scratch;

static void open_with(struct run *r, struct transfer_options o)
{
    run_open(r);
    r->options = o;
    if (!o.part_bytes)
        r->options.part_bytes = RANGE;
}

static void need_ok(struct run *r)
{
    struct err e = {0};
    if (!run_go(r, &e))
        fail_msg("%s", e.text);
}

static void ranges_are_right(const char *name, const struct transfer_file *f)
{
    struct stat st;
    FILE *in = fopen(scratch_path(&scratch, name), "rb");
    assert_non_null(in);
    assert_int_equal(fstat(fileno(in), &st), 0);
    assert_int_equal(f->range_count, (st.st_size + RANGE - 1) / RANGE);
    for (int i = 0; i < f->range_count; i++) {
        char bytes[RANGE];
        size_t n = fread(bytes, 1, RANGE, in);
        assert_int_equal(f->ranges[i], crc32c(0, bytes, n));
    }
    fclose(in);
}

static void sizes_around_part_borders_arrive_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,
                                   1,
                                   63,
                                   64,
                                   65,
                                   RANGE - 1,
                                   RANGE,
                                   RANGE + 1,
                                   2 * RANGE - 1,
                                   2 * RANGE,
                                   2 * RANGE + 1,
                                   20 * RANGE,
                                   20 * RANGE + 77};
    char from[64], to[64], sha256[SHA256_HEX], git[GIT_BLOB_HEX];
    uint32_t crc;
    for (int workers = 1; workers <= 8; workers *= 2) {
        struct run r;
        open_with(&r, (struct transfer_options){.workers = workers, .want_ranges = true});
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            snprintf(from, sizeof from, "borders/%u", i);
            snprintf(to, sizeof to, "out/%u", i);
            scratch_write(&scratch, from, sizes[i], i + 1);
            run_add(&r, &scratch, from, to, NULL);
        }
        need_ok(&r);
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            snprintf(from, sizeof from, "borders/%u", i);
            snprintf(to, sizeof to, "out/%u", i);
            const struct transfer_file *f = run_file(&r, &scratch, to);
            hash_file(&scratch, from, sha256, git, &crc);
            assert_true(scratch_same(&scratch, from, to));
            assert_int_equal(f->state, TRANSFER_DONE);
            assert_int_equal(f->moved, sizes[i]);
            assert_int_equal(f->crc32c, crc);
            assert_string_equal(f->sha256, sha256);
            assert_null(f->problem);
            ranges_are_right(from, f);
        }
        struct transfer_progress p;
        transfer_progress(r.transfer, &p);
        assert_int_equal(p.bytes_done, p.bytes_total);
        assert_int_equal(p.bytes_moved, p.bytes_total);
        assert_int_equal(p.files_done, p.files_total);
        assert_int_equal(p.running, 0);
        run_close(&r);
        scratch_delete(&scratch, "out");
    }
}

static void long_files_get_longer_parts(void **state)
{
    (void)state;
    assert_int_equal(transfer_part_size(0, 8, 10), 8);
    assert_int_equal(transfer_part_size(80, 8, 10), 8);
    assert_int_equal(transfer_part_size(81, 8, 10), 16);
    assert_int_equal(transfer_part_size(161, 8, 10), 24);
    assert_int_equal(transfer_part_size((uint64_t)60 << 30, TRANSFER_PART_BYTES, 10000), 8 << 20);
    assert_int_equal(transfer_part_size((uint64_t)100 << 30, TRANSFER_PART_BYTES, 10000), 16 << 20);
    assert_int_equal(transfer_part_size((uint64_t)5 << 40, TRANSFER_PART_BYTES, 10000), 528 << 20);
    assert_int_equal(transfer_part_size(UINT64_MAX, TRANSFER_PART_BYTES, 1), 4088u << 20);
}

static void parts_of_a_very_large_file_cover_it_exactly(void **state)
{
    (void)state;
    static const uint64_t gb = 1000000000, sizes[] = {60 * gb, 60 * gb + 1,       80 * gb,
                                                      84 * gb, (uint64_t)5 << 40, ((uint64_t)5 << 40) - 1};
    const struct transfer t = {.opt.part_bytes = TRANSFER_PART_BYTES};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct copy c = {.job.source.size = sizes[i],
                         .part_bytes =
                             transfer_part_size(sizes[i], TRANSFER_PART_BYTES, MULTIPART_MAX_PARTS)};
        uint64_t bytes = 0;
        int ranges = 0, parts = 0;
        for (; bytes < sizes[i]; parts++) {
            uint64_t size = copy_part_size(&c, parts);
            assert_true(size == c.part_bytes || bytes + size == sizes[i]);
            assert_int_equal(bytes, (uint64_t)parts * c.part_bytes);
            bytes += size;
            ranges += copy_part_ranges(&t, size);
        }
        assert_int_equal(bytes, sizes[i]);
        assert_true(parts <= MULTIPART_MAX_PARTS);
        assert_int_equal(ranges, copy_part_ranges(&t, sizes[i]));
    }
}

static void parts_of_several_ranges_keep_the_crc_of_each(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 9, 10, 11, 20, 25, 40};
    const struct transfer t = {.opt.part_bytes = 10};
    char bytes[40];
    uint32_t ranges[4];
    scratch_noise(bytes, sizeof bytes, 1);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i];
        copy_range_crcs(&t, bytes, size, ranges);
        assert_int_equal(copy_part_ranges(&t, size), (size + 9) / 10);
        for (size_t k = 0; k * 10 < size; k++)
            assert_int_equal(ranges[k], crc32c(0, bytes + k * 10, size - k * 10 < 10 ? size - k * 10 : 10));
        assert_int_equal(copy_combine(&t, ranges, size), crc32c(0, bytes, size));
    }
}

static void two_files_with_the_same_content_are_two(void **state)
{
    (void)state;
    struct run r;
    open_with(&r, (struct transfer_options){.want_ranges = true});
    scratch_write(&scratch, "twins/a", 3 * RANGE, 5);
    scratch_write(&scratch, "twins/b", 3 * RANGE, 5);
    run_add_folder(&r, &scratch, "twins/", "out/");
    need_ok(&r);
    assert_true(scratch_same(&scratch, "twins/a", "out/a") && scratch_same(&scratch, "twins/b", "out/b"));
    assert_string_equal(transfer_at(r.transfer, 0)->sha256, transfer_at(r.transfer, 1)->sha256);
    run_close(&r);
}

static void names_that_need_care_are_kept(void **state)
{
    (void)state;
    static const char *const names[] = {"odd/a b", "odd/#", "odd/100%", "odd/%41", "odd/音声/日本語.bin",
                                        "odd/-"};
    struct run r;
    struct err e = {0};
    open_with(&r, (struct transfer_options){0});
    r.options.journal = journal_open("odd", "out/odd", &e);
    for (unsigned i = 0; i < 6; i++)
        scratch_write(&scratch, names[i], 100 + i * RANGE, i);
    run_add_folder(&r, &scratch, "odd/", "out/odd/");
    need_ok(&r);
    for (unsigned i = 0; i < 6; i++) {
        char to[100];
        snprintf(to, sizeof to, "out/%s", names[i]);
        assert_true(scratch_same(&scratch, names[i], to));
    }
    assert_true(journal_remove(r.options.journal, &e));
    run_close(&r);
}

/* --- what must not become visible --- */

static void say_wrong_sha256(struct entry *e)
{
    e->sha256 = "0000000000000000000000000000000000000000000000000000000000000000";
}

static void say_wrong_git_blob(struct entry *e)
{
    e->git_blob = "0000000000000000000000000000000000000000";
}

static void say_wrong_crc32c(struct entry *e)
{
    e->has_crc32c = true;
    e->crc32c = 7;
}

static void what_is_not_what_the_source_says_never_appears(void **state)
{
    (void)state;
    static const struct {
        void (*lie)(struct entry *e);
        const char *what;
    } lies[] = {{say_wrong_sha256, "sha256 of what arrived"},
                {say_wrong_git_blob, "git blob id of what arrived"},
                {say_wrong_crc32c, "crc32c of what arrived"}};
    static const size_t sizes[] = {0, 10, RANGE + 1, 30 * RANGE};
    for (int with_journal = 0; with_journal < 2; with_journal++)
        for (unsigned l = 0; l < 3; l++)
            for (unsigned i = 0; i < 4; i++) {
                struct run r;
                struct err e = {0};
                open_with(&r, (struct transfer_options){0});
                if (with_journal)
                    r.options.journal = journal_open("lies", "out", &e);
                scratch_write(&scratch, "lie/file", sizes[i], 3);
                scratch_write(&scratch, "lie/good", 5 * RANGE, 4);
                run_add(&r, &scratch, "lie/file", "lies/file", lies[l].lie);
                run_add(&r, &scratch, "lie/good", "lies/good", NULL);
                assert_false(run_go(&r, &e));
                assert_int_equal(e.kind, ERR_CORRUPT);
                assert_non_null(strstr(e.text, "lie/file: "));
                assert_non_null(strstr(e.text, lies[l].what));
                assert_non_null(strstr(e.text, "nothing was stored"));
                assert_int_equal(run_file(&r, &scratch, "lies/file")->state, TRANSFER_FAILED);
                assert_string_equal(run_file(&r, &scratch, "lies/file")->problem->text, e.text);
                assert_int_equal(scratch_count(&scratch, "lies"), 1); /* and no part of it stays */
                assert_true(scratch_same(&scratch, "lie/good", "lies/good"));
                if (with_journal)
                    assert_true(journal_remove(r.options.journal, &e));
                run_close(&r);
                scratch_delete(&scratch, "lies");
            }
}

static char right_sha256[SHA256_HEX], right_git[GIT_BLOB_HEX];
static uint32_t right_crc;

static void say_all(struct entry *e)
{
    e->sha256 = right_sha256;
    e->has_crc32c = true;
    e->crc32c = right_crc;
}

static void say_git_blob(struct entry *e)
{
    e->git_blob = right_git;
}

static void what_the_source_says_is_compared_and_right(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 10, RANGE, 30 * RANGE + 5};
    for (unsigned i = 0; i < 4; i++) {
        struct run r;
        open_with(&r, (struct transfer_options){0});
        scratch_write(&scratch, "right/file", sizes[i], i);
        hash_file(&scratch, "right/file", right_sha256, right_git, &right_crc);
        run_add(&r, &scratch, "right/file", "out/all", say_all);
        run_add(&r, &scratch, "right/file", "out/git", say_git_blob);
        need_ok(&r);
        assert_true(scratch_same(&scratch, "right/file", "out/all"));
        assert_true(scratch_same(&scratch, "right/file", "out/git"));
        run_close(&r);
    }
}

static void a_source_that_changes_under_way_is_told_and_not_taken(void **state)
{
    (void)state;
    for (size_t size = 10; size < 100 * RANGE; size *= 1000) {
        struct run r;
        struct err e = {0};
        open_with(&r, (struct transfer_options){0});
        scratch_write(&scratch, "changing/file", size, 3);
        run_add(&r, &scratch, "changing/file", "changed/file", NULL);
        struct timeval other[2] = {{1, 0}, {1, 0}};
        assert_int_equal(utimes(scratch_path(&scratch, "changing/file"), other), 0);
        assert_false(run_go(&r, &e));
        assert_int_equal(e.kind, ERR_BUSY);
        assert_non_null(strstr(e.text, "changing/file"));
        assert_int_equal(scratch_count(&scratch, "changed"), 0);
        run_close(&r);
    }
}

static void one_bad_file_does_not_stop_the_others(void **state)
{
    (void)state;
    struct run r;
    struct err e = {0};
    char name[64];
    open_with(&r, (struct transfer_options){0});
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "many/%02d", i);
        scratch_write(&scratch, name, i % 2 ? 10 : 3 * RANGE, (unsigned)i);
    }
    run_add_folder(&r, &scratch, "many/", "most/");
    scratch_delete(&scratch, "many/10"); /* a large one */
    scratch_delete(&scratch, "many/31"); /* and a small one are gone by now */
    assert_false(run_go(&r, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(scratch_count(&scratch, "most"), 38);
    assert_int_equal(run_file(&r, &scratch, "most/10")->problem->kind, ERR_NOT_FOUND);
    assert_int_equal(run_file(&r, &scratch, "most/31")->state, TRANSFER_FAILED);
    struct transfer_progress p;
    transfer_progress(r.transfer, &p);
    assert_int_equal(p.files_done, 38);
    assert_int_equal(p.files_failed, 2);
    run_close(&r);
}

static void a_place_that_cannot_be_written_is_named(void **state)
{
    (void)state;
    struct run r;
    struct err e = {0};
    open_with(&r, (struct transfer_options){0});
    scratch_write(&scratch, "wall", 1, 1); /* a file where a folder is wanted */
    scratch_write(&scratch, "plain/a", 10, 1);
    scratch_write(&scratch, "plain/b", 9 * RANGE, 2);
    run_add_folder(&r, &scratch, "plain/", "wall/");
    assert_false(run_go(&r, &e));
    assert_non_null(strstr(e.text, "wall"));
    assert_int_equal(run_file(&r, &scratch, "wall/a")->state, TRANSFER_FAILED);
    assert_int_equal(run_file(&r, &scratch, "wall/b")->state, TRANSFER_FAILED);
    run_close(&r);
}

static void two_sources_for_one_target_are_refused(void **state)
{
    (void)state;
    struct run r;
    struct err e = {0};
    open_with(&r, (struct transfer_options){0});
    scratch_write(&scratch, "pair/a", 10, 1);
    scratch_write(&scratch, "pair/b", 10, 2);
    run_add(&r, &scratch, "pair/a", "out/pair", NULL);
    struct transfer_job job = {.from = r.store, .to = r.store, .target = scratch_path(&scratch, "out/pair")};
    assert_true(store_stat(r.store, scratch_path(&scratch, "pair/b"), r.arena, &job.source, &e));
    assert_false(transfer_add(r.transfer, &job, &e));
    assert_int_equal(e.kind, ERR_USAGE);
    assert_non_null(strstr(e.text, "would both become"));
    job.target = scratch_path(&scratch, "pair/b");
    assert_false(transfer_add(r.transfer, &job, &e));
    assert_non_null(strstr(e.text, "onto itself"));
    need_ok(&r);
    run_close(&r);
}

static void what_is_there_stays_when_asked(void **state)
{
    (void)state;
    struct run r;
    open_with(&r, (struct transfer_options){.skip_existing = true});
    scratch_write(&scratch, "new/small", 10, 1);
    scratch_write(&scratch, "new/large", 5 * RANGE, 2);
    scratch_write(&scratch, "new/other", 5 * RANGE, 3);
    scratch_write(&scratch, "kept/small", 11, 4);
    scratch_write(&scratch, "kept/large", 12, 5);
    scratch_write(&scratch, "kept.large", 12, 5);
    run_add_folder(&r, &scratch, "new/", "kept/");
    need_ok(&r);
    assert_int_equal(run_file(&r, &scratch, "kept/small")->state, TRANSFER_SKIPPED);
    assert_int_equal(run_file(&r, &scratch, "kept/large")->state, TRANSFER_SKIPPED);
    assert_int_equal(run_file(&r, &scratch, "kept/other")->state, TRANSFER_DONE);
    assert_true(scratch_same(&scratch, "kept/large", "kept.large"));
    struct transfer_progress p;
    transfer_progress(r.transfer, &p);
    assert_int_equal(p.files_skipped, 2);
    assert_int_equal(p.bytes_moved, 5 * RANGE);
    assert_int_equal(p.bytes_done, p.bytes_total);
    run_close(&r);
}

static void nothing_to_do_is_done(void **state)
{
    (void)state;
    struct run r;
    open_with(&r, (struct transfer_options){0});
    need_ok(&r);
    run_close(&r);
}

/* --- with a journal --- */

static void what_an_earlier_run_finished_is_not_moved_again(void **state)
{
    (void)state;
    struct err e = {0};
    char name[64];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "twice/%02d", i);
        scratch_write(&scratch, name, i % 2 ? 100 : 7 * RANGE + 3, (unsigned)i);
    }
    for (int pass = 0; pass < 4; pass++) {
        struct run r;
        open_with(&r, (struct transfer_options){.want_ranges = true});
        r.options.journal = journal_open("twice", "out", &e);
        assert_non_null(r.options.journal);
        if (pass == 2) { /* somebody replaced one, the other's source is new */
            scratch_write(&scratch, "again/04", 7 * RANGE + 3, 99);
            scratch_write(&scratch, "twice/05", 100, 98);
        }
        run_add_folder(&r, &scratch, "twice/", "again/");
        need_ok(&r);
        struct transfer_progress p;
        transfer_progress(r.transfer, &p);
        uint64_t all = 10 * 100 + 10 * (7 * RANGE + 3);
        assert_int_equal(p.bytes_moved, pass == 0 ? all : pass == 2 ? 100 + 7 * RANGE + 3 : 0);
        assert_int_equal(p.bytes_done, all);
        assert_int_equal(p.files_skipped, pass == 0 ? 0 : pass == 2 ? 18 : 20);
        for (int i = 0; i < 20; i++) {
            char to[64], sha256[SHA256_HEX], git[GIT_BLOB_HEX];
            uint32_t crc;
            snprintf(name, sizeof name, "twice/%02d", i);
            snprintf(to, sizeof to, "again/%02d", i);
            hash_file(&scratch, name, sha256, git, &crc);
            assert_true(scratch_same(&scratch, name, to));
            assert_string_equal(run_file(&r, &scratch, to)->sha256, sha256); /* of the journal, too */
            assert_int_equal(run_file(&r, &scratch, to)->crc32c, crc);
            ranges_are_right(name, run_file(&r, &scratch, to));
        }
        if (pass < 3)
            journal_close(r.options.journal);
        else
            assert_true(journal_remove(r.options.journal, &e));
        run_close(&r);
    }
}

static volatile sig_atomic_t stop;
static atomic_bool ended;

static void *stop_soon(void *arg)
{
    struct run *r = arg;
    struct transfer_progress p;
    do
        transfer_progress(r->transfer, &p);
    while (p.bytes_moved < p.bytes_total / 10 && !ended && usleep(100) == 0);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void stopped_in_the_middle_the_next_run_goes_on(void **state)
{
    (void)state;
    struct err e = {0};
    uint64_t moved = 0, total = (uint64_t)4 * 500 * RANGE;
    char name[64], to[64];
    int stopped = 0;
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "stop/%d", i);
        scratch_write(&scratch, name, 500 * RANGE, (unsigned)i);
    }
    for (bool done = false; !done;) {
        struct run r;
        pthread_t thread;
        stop = 0;
        open_with(&r, (struct transfer_options){.stop = &stop, .want_ranges = true});
        r.options.journal = journal_open("stop", "out", &e);
        run_add_folder(&r, &scratch, "stop/", "stopped/");
        assert_int_equal(pthread_create(&thread, NULL, stop_soon, &r), 0);
        ended = false;
        done = run_go(&r, &e);
        ended = true;
        pthread_join(thread, NULL);
        moved += run_moved(&r);
        if (!done) {
            assert_int_equal(e.kind, ERR_CANCELLED);
            assert_non_null(strstr(e.text, "interrupted with "));
            assert_true(++stopped < 50);
        }
        journal_close(r.options.journal);
        run_close(&r);
    }
    assert_true(stopped > 0);
    /* at most a part of each file was carried twice for each stop, since parts in flight are finished */
    if (moved > total + (uint64_t)stopped * 4 * RANGE)
        fail_msg("%d stops, %llu bytes moved of %llu", stopped, (unsigned long long)moved,
                 (unsigned long long)total);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "stop/%d", i);
        snprintf(to, sizeof to, "stopped/%d", i);
        assert_true(scratch_same(&scratch, name, to));
    }
    assert_int_equal(scratch_count(&scratch, "stopped"), 4);
    assert_true(journal_remove(journal_open("stop", "out", &e), &e));
}

static void twenty_thousand_small_files(void **state)
{
    (void)state;
    struct run r;
    struct err e = {0};
    char name[64];
    char bytes[40] = "";
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "crowd/%d/%d", i / 500, i);
        int n = snprintf(bytes, sizeof bytes, "file %d", i);
        scratch_write_bytes(&scratch, name, bytes, (size_t)n);
    }
    open_with(&r, (struct transfer_options){.want_ranges = true});
    r.options.journal = journal_open("crowd", "out", &e);
    run_add_folder(&r, &scratch, "crowd/", "crowded/");
    need_ok(&r);
    assert_int_equal(scratch_count(&scratch, "crowded"), 20000);
    assert_true(scratch_same(&scratch, "crowd/39/19999", "crowded/39/19999"));
    assert_true(scratch_same(&scratch, "crowd/0/0", "crowded/0/0"));
    assert_true(journal_remove(r.options.journal, &e));
    run_close(&r);
    scratch_delete(&scratch, "crowd");
    scratch_delete(&scratch, "crowded");
}

/* --- */

static int make(void **state)
{
    (void)state;
    scratch_make(&scratch);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    int left = scratch_count(&scratch, "state"); /* every test removed its journals */
    scratch_remove(&scratch);
    return left;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_around_part_borders_arrive_whole),
        cmocka_unit_test(long_files_get_longer_parts),
        cmocka_unit_test(parts_of_a_very_large_file_cover_it_exactly),
        cmocka_unit_test(parts_of_several_ranges_keep_the_crc_of_each),
        cmocka_unit_test(two_files_with_the_same_content_are_two),
        cmocka_unit_test(names_that_need_care_are_kept),
        cmocka_unit_test(what_is_not_what_the_source_says_never_appears),
        cmocka_unit_test(what_the_source_says_is_compared_and_right),
        cmocka_unit_test(a_source_that_changes_under_way_is_told_and_not_taken),
        cmocka_unit_test(one_bad_file_does_not_stop_the_others),
        cmocka_unit_test(a_place_that_cannot_be_written_is_named),
        cmocka_unit_test(two_sources_for_one_target_are_refused),
        cmocka_unit_test(what_is_there_stays_when_asked),
        cmocka_unit_test(nothing_to_do_is_done),
        cmocka_unit_test(what_an_earlier_run_finished_is_not_moved_again),
        cmocka_unit_test(stopped_in_the_middle_the_next_run_goes_on),
        cmocka_unit_test(twenty_thousand_small_files),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
