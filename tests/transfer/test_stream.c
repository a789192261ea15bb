/* Streams out of stores and into them: a store made for the test, which fails where it is told to and looks
 * at what it is given, then real ones. */
#include "base/crc32c.h"
#include "base/stop.h"
#include "run.h"
#include "run_emulator.h"
#include "store/place/place.h"
#include "store/upload/upload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BUCKET "model-bkt"
#define PART ((uint64_t)TRANSFER_PART_BYTES)

enum { NONE = -1, SLOTS = TRANSFER_WORKERS + 1 };

/* Every byte is told by where it stands: a period that no part is a multiple of. */
static unsigned char noise[1000003];

static bool each_stretch(uint64_t offset, void *bytes, size_t size,
                         bool (*fn)(const void *here, void *bytes, size_t n))
{
    bool ok = true;
    for (size_t at = 0; at < size;) {
        size_t begin = (size_t)((offset + at) % sizeof noise), left = sizeof noise - begin;
        size_t n = size - at < left ? size - at : left;
        ok = fn(noise + begin, (char *)bytes + at, n) && ok;
        at += n;
    }
    return ok;
}

static bool fill(const void *here, void *bytes, size_t n)
{
    memcpy(bytes, here, n);
    return true;
}

static bool compare(const void *here, void *bytes, size_t n)
{
    return memcmp(bytes, here, n) == 0;
}

static void pattern(uint64_t offset, void *bytes, size_t size)
{
    each_stretch(offset, bytes, size, fill);
}

static bool is_pattern(uint64_t offset, const void *bytes, size_t size)
{
    return each_stretch(offset, (void *)(uintptr_t)bytes, size, compare);
}

static uint32_t pattern_crc(uint64_t size)
{
    uint32_t crc = 0;
    for (uint64_t at = 0; at < size; at += sizeof noise)
        crc = crc32c(crc, noise, size - at < sizeof noise ? (size_t)(size - at) : sizeof noise);
    return crc;
}

/* --- the store made for it --- */

struct fake {
    struct store store; /* first */
    bool ordered, bad_seal, short_seal;
    int bad_piece; /* the one that cannot be read or stored */
    atomic_int parts, wrong_parts, sealed, aborted, ended, puts;
    int next_part; /* of an ordered upload: one thread */
    uint64_t size; /* that was told, or put */
    uint32_t crc32c;
};

static bool fake_read(struct store *s, const struct entry *from, uint64_t offset, size_t size, void *into,
                      const volatile sig_atomic_t *stop, struct err *e)
{
    const struct fake *f = (const struct fake *)s;
    (void)from;
    if (stop_wanted(stop))
        return err_set(e, ERR_CANCELLED, "interrupted");
    if (f->bad_piece != NONE && offset / PART == (uint64_t)f->bad_piece)
        return err_set(e, ERR_IO, "piece %d is bad", f->bad_piece);
    pattern(offset, into, size);
    return true;
}

static bool fake_put(struct store *s, const char *name, const void *bytes, size_t size, int64_t if_generation,
                     struct arena *a, struct entry *out, struct err *e)
{
    struct fake *f = (struct fake *)s;
    (void)name, (void)if_generation, (void)a, (void)out, (void)e;
    f->puts++;
    f->size = size;
    f->wrong_parts += !is_pattern(0, bytes, size);
    return true;
}

struct fake_upload {
    struct upload u; /* first */
    struct fake *f;
};

static bool fake_part(struct upload *u, int part, const void *bytes, size_t size,
                      const volatile sig_atomic_t *stop, struct err *e)
{
    struct fake *f = ((struct fake_upload *)u)->f;
    (void)stop;
    if (part == f->bad_piece)
        return err_set(e, ERR_IO, "part %d is bad", part);
    f->parts++;
    f->wrong_parts += !is_pattern((uint64_t)part * PART, bytes, size);
    if (f->ordered)
        f->wrong_parts += part != f->next_part++;
    return upload_mark_part(u, part, 0, e);
}

static bool fake_seal(struct upload *u, uint32_t crc32c, struct arena *a, struct entry *out, struct err *e)
{
    struct fake *f = ((struct fake_upload *)u)->f;
    (void)a;
    if (f->bad_seal)
        return err_set(e, ERR_BUSY, "somebody else has changed it");
    f->sealed++;
    f->size = u->spec.size;
    f->crc32c = crc32c;
    *out = (struct entry){.name = u->spec.name, .size = u->spec.size - f->short_seal};
    return true;
}

static bool fake_abort(struct upload *u, struct err *e)
{
    (void)e;
    ((struct fake_upload *)u)->f->aborted++;
    return true;
}

static void fake_free(struct upload *u)
{
    ((struct fake_upload *)u)->f->ended++;
    upload_clear(u);
}

static bool no_token(const struct upload *u, char out[UPLOAD_TOKEN_BYTES])
{
    (void)u, (void)out;
    return false;
}

static struct upload *fake_begin(struct store *s, const struct upload_spec *spec, const char *resume,
                                 struct err *e)
{
    static const struct upload_kind kinds[] = {
        {.token = no_token, .part = fake_part, .seal = fake_seal, .abort = fake_abort, .free = fake_free},
        {.ordered = true,
         .token = no_token,
         .part = fake_part,
         .seal = fake_seal,
         .abort = fake_abort,
         .free = fake_free}};
    struct fake *f = (struct fake *)s;
    assert_null(resume);
    struct fake_upload *u = upload_new(&kinds[f->ordered], sizeof *u, spec, e);
    assert_non_null(u);
    u->f = f;
    return &u->u;
}

static struct fake *make(bool ordered, int bad_piece)
{
    static const struct store_kind kind = {.read = fake_read, .put = fake_put, .begin = fake_begin};
    static struct fake f;
    f = (struct fake){
        .store = {.kind = &kind, .uri = {.scheme = URI_LOCAL}}, .ordered = ordered, .bad_piece = bad_piece};
    return &f;
}

static volatile sig_atomic_t stop;

/* --- out --- */

struct sink {
    uint64_t at, refuse_at, stop_at; /* offsets; UINT64_MAX: never */
    bool wrong;
};

static bool take(void *arg, const void *bytes, size_t size, struct err *e)
{
    struct sink *k = arg;
    k->wrong |= !is_pattern(k->at, bytes, size);
    k->at += size;
    if (k->at > k->stop_at)
        stop_ask(&stop);
    return k->at <= k->refuse_at || err_set(e, ERR_LIMIT, "no more than %d", 1);
}

static bool stream_out(struct fake *f, uint64_t offset, uint64_t size, struct sink *k, struct err *e)
{
    const struct entry all = {.name = "all", .size = 1000 * PART};
    stop = 0;
    k->at = offset;
    return transfer_stream_out(&f->store, &all, offset, size, take, k, &stop, e);
}

static void stretches_come_out_whole_and_in_order(void **state)
{
    (void)state;
    static const struct {
        uint64_t offset, size;
    } cases[] = {
        {0, 0},
        {999 * PART, 0},
        {0, 1},
        {7, PART - 1},
        {0, PART},
        {5, PART},
        {0, PART + 1},
        {PART - 1, 2},
        {3, 2 * PART - 1},
        {0, SLOTS * PART},
        {1, SLOTS * PART + 1},
        {2, 20 * PART + 77},
        {1000 * PART - 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        struct sink k = {.refuse_at = UINT64_MAX, .stop_at = UINT64_MAX};
        if (!stream_out(make(false, NONE), cases[i].offset, cases[i].size, &k, &e))
            fail_msg("%zu: %s", i, e.text);
        assert_false(k.wrong);
        assert_int_equal(k.at, cases[i].offset + cases[i].size);
    }
}

static void stretch_behind_the_end_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint64_t offset, size;
    } cases[] = {{0, 1000 * PART + 1}, {1000 * PART, 1}, {1001 * PART, 0}, {1, UINT64_MAX}, {UINT64_MAX, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        struct sink k = {.refuse_at = UINT64_MAX, .stop_at = UINT64_MAX};
        assert_false(stream_out(make(false, NONE), cases[i].offset, cases[i].size, &k, &e));
        assert_int_equal(e.kind, ERR_USAGE);
    }
}

static void piece_that_cannot_be_read_ends_the_stream_there(void **state)
{
    (void)state;
    static const int bad[] = {0, 1, SLOTS - 1, SLOTS, 29};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = {0};
        struct sink k = {.refuse_at = UINT64_MAX, .stop_at = UINT64_MAX};
        assert_false(stream_out(make(false, bad[i]), 0, 30 * PART, &k, &e));
        assert_int_equal(e.kind, ERR_IO);
        assert_false(k.wrong);
        assert_true(k.at <= (uint64_t)bad[i] * PART); /* nothing of it, nor behind it */
    }
}

static void taker_that_refuses_ends_the_stream_with_its_words(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 25 * PART; at += 8 * PART) {
        struct err e = {0};
        struct sink k = {.refuse_at = at, .stop_at = UINT64_MAX};
        assert_false(stream_out(make(false, NONE), 0, 30 * PART, &k, &e));
        assert_int_equal(e.kind, ERR_LIMIT);
        assert_string_equal(e.text, "no more than 1");
    }
}

static void stop_ends_the_stream(void **state)
{
    (void)state;
    struct err e = {0};
    struct sink k = {.refuse_at = UINT64_MAX, .stop_at = 2 * PART};
    assert_false(stream_out(make(false, NONE), 0, 100 * PART, &k, &e));
    assert_int_equal(e.kind, ERR_CANCELLED);
    assert_true(k.at < 100 * PART);
    assert_false(k.wrong);
}

/* --- in --- */

struct well {
    uint64_t at, size;
    size_t sip;                 /* at most so many bytes at a time; 0: as many as there is room for */
    uint64_t break_at, stop_at; /* offsets; UINT64_MAX: never */
};

static bool give(void *arg, void *into, size_t room, size_t *size, struct err *e)
{
    struct well *w = arg;
    uint64_t left = w->size - w->at;
    size_t n = w->sip && w->sip < room ? w->sip : room;
    if (w->at >= w->break_at)
        return err_set(e, ERR_LIMIT, "the pipe broke");
    if (w->at >= w->stop_at)
        stop_ask(&stop);
    *size = left < n ? (size_t)left : n;
    pattern(w->at, into, *size);
    w->at += *size;
    return true;
}

static struct well well(uint64_t size, size_t sip)
{
    return (struct well){.size = size, .sip = sip, .break_at = UINT64_MAX, .stop_at = UINT64_MAX};
}

static bool stream_in(struct fake *f, struct well *w, struct err *e)
{
    stop = 0;
    return transfer_stream_in(&f->store, "all", STORAGE_ANY_GENERATION, give, w, &stop, e);
}

static const uint64_t sizes[] = {0,
                                 1,
                                 PART - 1,
                                 PART,
                                 PART + 1,
                                 2 * PART - 1,
                                 2 * PART,
                                 2 * PART + 1,
                                 (SLOTS - 1) * PART,
                                 SLOTS *PART,
                                 SLOTS *PART + 1,
                                 12 * PART + 77};

static void pipes_of_every_length_arrive_whole(void **state)
{
    (void)state;
    static const size_t sips[] = {0, 1000003};
    for (int ordered = 0; ordered < 2; ordered++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (size_t k = 0; k < sizeof sips / sizeof *sips; k++) {
                struct fake *f = make(ordered, NONE);
                struct well w = well(sizes[i], sips[k]);
                struct err e = {0};
                if (!stream_in(f, &w, &e))
                    fail_msg("%llu bytes: %s", (unsigned long long)sizes[i], e.text);
                assert_int_equal(f->wrong_parts, 0);
                assert_int_equal(f->size, sizes[i]);
                bool small = sizes[i] < PART;
                assert_int_equal(f->puts, small);
                assert_int_equal(f->sealed, !small);
                assert_int_equal(f->parts, small ? 0 : (sizes[i] + PART - 1) / PART);
                if (!small)
                    assert_int_equal(f->crc32c, pattern_crc(sizes[i]));
                assert_int_equal(f->aborted, 0);
                assert_int_equal(f->ended, !small);
            }
}

static void expect_aborted(const struct fake *f)
{
    assert_int_equal(f->sealed, 0);
    assert_int_equal(f->aborted, 1);
    assert_int_equal(f->ended, 1);
    assert_int_equal(f->wrong_parts, 0);
}

static void part_that_cannot_be_stored_ends_it_and_nothing_stays(void **state)
{
    (void)state;
    static const int bad[] = {0, 1, SLOTS - 1, SLOTS, 19};
    for (int ordered = 0; ordered < 2; ordered++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            struct fake *f = make(ordered, bad[i]);
            struct well w = well(20 * PART, 0);
            struct err e = {0};
            assert_false(stream_in(f, &w, &e));
            assert_int_equal(e.kind, ERR_IO);
            expect_aborted(f);
        }
}

static void pipe_that_breaks_ends_it_and_nothing_stays(void **state)
{
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++)
        for (uint64_t at = PART; at <= 10 * PART; at += 3 * PART) {
            struct fake *f = make(ordered, NONE);
            struct well w = well(20 * PART, 0);
            struct err e = {0};
            w.break_at = at;
            assert_false(stream_in(f, &w, &e));
            assert_int_equal(e.kind, ERR_LIMIT);
            assert_string_equal(e.text, "the pipe broke");
            expect_aborted(f);
        }
}

static void pipe_that_breaks_before_its_first_part_leaves_nothing_begun(void **state)
{
    (void)state;
    struct fake *f = make(false, NONE);
    struct well w = well(20 * PART, 1000);
    struct err e = {0};
    w.break_at = 5000;
    assert_false(stream_in(f, &w, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_int_equal(f->puts + f->sealed + f->ended, 0);
}

static void stop_ends_a_pipe_and_nothing_stays(void **state)
{
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++) {
        struct fake *f = make(ordered, NONE);
        struct well w = well(100 * PART, 0);
        struct err e = {0};
        w.stop_at = 3 * PART;
        assert_false(stream_in(f, &w, &e));
        assert_int_equal(e.kind, ERR_CANCELLED);
        assert_true(w.at < 100 * PART);
        expect_aborted(f);
    }
}

static void seal_that_fails_or_tells_another_size_is_an_error(void **state)
{
    (void)state;
    struct well w = well(3 * PART, 0);
    struct err e = {0};
    struct fake *f = make(false, NONE);
    f->bad_seal = true;
    assert_false(stream_in(f, &w, &e));
    assert_int_equal(e.kind, ERR_BUSY);
    expect_aborted(f);
    f = make(true, NONE);
    f->short_seal = true;
    w = well(3 * PART, 0);
    assert_false(stream_in(f, &w, &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
}

/* --- real places --- */

static struct scratch scratch;
static struct emulator remote;

static const struct place {
    const char *name, *faults;
    bool cloud;
} places[] = {{"folder/all", NULL, false}, {"all #1", NULL, true}, {"session", "no-multipart", true}};

static struct store *open_place(struct run *r, const struct place *p)
{
    struct err e = {0};
    const struct uri bucket = {.scheme = URI_GS, .place = BUCKET, .path = "", .folder = true};
    emulator_faults(&remote, p->faults);
    run_open(r);
    struct store *s = p->cloud ? stores_open(r->stores, &bucket, &e) : r->store;
    assert_non_null(s);
    return s;
}

static const char *name_in(const struct place *p)
{
    return p->cloud ? p->name : scratch_path(&scratch, p->name);
}

static void pipe_into_a_real_place_and_out_again(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, 100, PART, PART + 1, 3 * PART + 100};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            struct run r;
            struct entry there;
            struct err e = {0};
            struct store *s = open_place(&r, &places[i]);
            struct well w = well(lengths[k], 100000);
            struct sink out = {.refuse_at = UINT64_MAX, .stop_at = UINT64_MAX};
            stop = 0;
            if (!transfer_stream_in(s, name_in(&places[i]), STORAGE_ABSENT, give, &w, &stop, &e) ||
                !store_stat(s, name_in(&places[i]), r.arena, &there, &e) ||
                !transfer_stream_out(s, &there, 0, there.size, take, &out, &stop, &e))
                fail_msg("%s, %llu bytes: %s", places[i].name, (unsigned long long)lengths[k], e.text);
            assert_int_equal(out.at, lengths[k]);
            assert_false(out.wrong);
            w = well(lengths[k], 0);
            assert_false(transfer_stream_in(s, name_in(&places[i]), STORAGE_ABSENT, give, &w, &stop, &e));
            assert_int_equal(e.kind, ERR_BUSY); /* it is there by now */
            assert_true(store_delete(s, &there, &e));
            run_close(&r);
        }
    assert_int_equal(scratch_count(&scratch, "folder"), 0);
}

static void broken_pipe_leaves_nothing_in_a_real_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct run r;
        struct entry there;
        struct err e = {0};
        struct store *s = open_place(&r, &places[i]);
        struct well w = well(5 * PART, 0);
        w.break_at = 3 * PART;
        assert_false(transfer_stream_in(s, name_in(&places[i]), STORAGE_ANY_GENERATION, give, &w, NULL, &e));
        assert_string_equal(e.text, "the pipe broke");
        assert_false(store_stat(s, name_in(&places[i]), r.arena, &there, &e));
        assert_int_equal(e.kind, ERR_NOT_FOUND);
        run_close(&r);
    }
    assert_int_equal(scratch_count(&scratch, "folder"), 0);
    emulator_faults(&remote, NULL);
    assert_int_equal(emulator_count(&remote, "DELETE", "*uploadId=*", 204).requests, 1);
    assert_int_equal(emulator_count(&remote, "DELETE", "*upload_id=*", 499).requests, 1);
}

static int set_up(void **state)
{
    (void)state;
    scratch_make(&scratch);
    scratch_noise(noise, sizeof noise, 1);
    emulator_start(&remote, &(struct emulator_options){.bucket = BUCKET});
    emulator_setenv(&remote);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    emulator_stop(&remote);
    scratch_remove(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stretches_come_out_whole_and_in_order),
        cmocka_unit_test(stretch_behind_the_end_is_refused),
        cmocka_unit_test(piece_that_cannot_be_read_ends_the_stream_there),
        cmocka_unit_test(taker_that_refuses_ends_the_stream_with_its_words),
        cmocka_unit_test(stop_ends_the_stream),
        cmocka_unit_test(pipes_of_every_length_arrive_whole),
        cmocka_unit_test(part_that_cannot_be_stored_ends_it_and_nothing_stays),
        cmocka_unit_test(pipe_that_breaks_ends_it_and_nothing_stays),
        cmocka_unit_test(pipe_that_breaks_before_its_first_part_leaves_nothing_begun),
        cmocka_unit_test(stop_ends_a_pipe_and_nothing_stays),
        cmocka_unit_test(seal_that_fails_or_tells_another_size_is_an_error),
        cmocka_unit_test(pipe_into_a_real_place_and_out_again),
        cmocka_unit_test(broken_pipe_leaves_nothing_in_a_real_place),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
