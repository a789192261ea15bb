#include "remote.h"

#include "base/crc32c.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    PART = MULTIPART_MIN_PART,
    UNIT = RESUMABLE_UNIT, /* parts of a unit are too small for XML multipart */
};

struct sample {
    struct scratch *s;
    struct store *bucket;
    unsigned char *bytes;
    size_t size, part;
    uint32_t crc;
    struct upload_spec spec;
    char token[UPLOAD_TOKEN_BYTES];
};

static struct sample make_sample(struct scratch *s, const char *name, size_t size, size_t part)
{
    struct sample m = {.s = s, .bucket = remote_bucket(s), .size = size, .part = part};
    m.bytes = scratch_bytes(s, size);
    m.crc = crc32c(0, m.bytes, size);
    m.spec = (struct upload_spec){name, size, part, STORAGE_ANY_GENERATION};
    return m;
}

static int parts_of(const struct sample *m)
{
    return (int)((m->size + m->part - 1) / m->part);
}

static struct upload *begin(struct sample *m, const char *resume)
{
    struct err e = {0};
    struct upload *u = upload_begin(m->bucket, &m->spec, resume, &e);
    if (!u)
        fail_msg("%s", e.text);
    assert_true(upload_token(u, m->token));
    assert_null(strpbrk(m->token, " \n"));
    return u;
}

static bool try_send(const struct sample *m, struct upload *u, int part, struct err *e)
{
    size_t at = (size_t)part * m->part, size = m->size - at < m->part ? m->size - at : m->part;
    return upload_part(u, part, m->bytes + at, size, NULL, e);
}

static void send(const struct sample *m, struct upload *u, int part)
{
    struct err e = {0};
    if (!try_send(m, u, part, &e))
        fail_msg("part %d: %s", part, e.text);
    assert_true(upload_has(u, part));
}

static void send_all(const struct sample *m, struct upload *u)
{
    for (int i = 0; i < parts_of(m); i++)
        if (!upload_has(u, i))
            send(m, u, i);
}

static bool exists(const struct sample *m)
{
    struct entry entry;
    struct err e = {0};
    bool there = store_stat(m->bucket, m->spec.name, m->s->arena, &entry, &e);
    assert_true(there || e.kind == ERR_NOT_FOUND);
    return there;
}

/* Sealed, and the object is what was sent. Deleted again. */
static void seal(const struct sample *m, struct upload *u)
{
    struct entry entry;
    struct err e = {0};
    unsigned char *into = malloc(m->size + 1);
    if (!upload_seal(u, m->crc, m->s->arena, &entry, &e))
        fail_msg("%s", e.text);
    upload_free(u);
    assert_string_equal(entry.name, m->spec.name);
    assert_int_equal(entry.size, m->size);
    assert_true(entry.has_crc32c);
    assert_int_equal(entry.crc32c, m->crc);
    assert_true(store_read(m->bucket, &entry, 0, m->size, into, NULL, &e));
    assert_memory_equal(into, m->bytes, m->size);
    assert_true(store_delete(m->bucket, &entry, &e));
    free(into);
}

static void begin_fails(struct sample *m, const char *resume, enum err_kind kind, const char *why)
{
    struct err e = {0};
    assert_null(upload_begin(m->bucket, &m->spec, resume, &e));
    assert_error(&e, kind, why);
}

static void seal_fails(const struct sample *m, struct upload *u, uint32_t crc, enum err_kind kind,
                       const char *why)
{
    struct err e = {0};
    assert_false(upload_seal(u, crc, m->s->arena, NULL, &e));
    assert_error(&e, kind, why);
    upload_free(u);
}

static void put_object(const struct sample *m, const void *bytes, size_t size)
{
    struct err e = {0};
    if (!store_put(m->bucket, m->spec.name, bytes, size, STORAGE_ANY_GENERATION, m->s->arena, NULL, &e))
        fail_msg("%s", e.text);
}

static void delete_object(const struct sample *m)
{
    struct entry entry;
    struct err e = {0};
    assert_true(store_stat(m->bucket, m->spec.name, m->s->arena, &entry, &e));
    assert_true(store_delete(m->bucket, &entry, &e));
}

/* --- in parts, by XML multipart --- */

static void parts_in_any_order_make_the_object(void **state)
{
    static const struct {
        const char *name;
        size_t size;
    } cases[] = {{"empty", 0},           {"one", 1},
                 {"one-part", PART},     {"a bit more #1 50%", PART + 1},
                 {"音声", 2 * PART - 1}, {"deep/er/three", 2 * PART + 77}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sample m = make_sample(*state, cases[i].name, cases[i].size, PART);
        struct upload *u = begin(&m, NULL);
        assert_false(upload_ordered(u));
        for (int k = parts_of(&m) - 1; k >= 0; k--)
            send(&m, u, k);
        assert_false(exists(&m));
        seal(&m, u);
    }
}

struct thread_arg {
    const struct sample *m;
    struct upload *u;
    int part;
};

static void *send_one(void *arg)
{
    const struct thread_arg *t = arg;
    send(t->m, t->u, t->part);
    return NULL;
}

static void threads_send_parts_at_once(void **state)
{
    enum { PARTS = 4 };
    struct sample m = make_sample(*state, "threads", (PARTS - 1) * PART + 5, PART);
    struct upload *u = begin(&m, NULL);
    pthread_t threads[PARTS];
    struct thread_arg args[PARTS];
    for (int i = 0; i < PARTS; i++) {
        args[i] = (struct thread_arg){&m, u, i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_one, &args[i]), 0);
    }
    for (int i = 0; i < PARTS; i++)
        pthread_join(threads[i], NULL);
    seal(&m, u);
}

static void resumed_upload_sends_only_what_is_missing(void **state)
{
    struct sample m = make_sample(*state, "resumed", 2 * PART + 9, PART);
    struct upload *u = begin(&m, NULL);
    char first[UPLOAD_TOKEN_BYTES];
    strcpy(first, m.token);
    send(&m, u, 0);
    send(&m, u, 2);
    upload_free(u);
    u = begin(&m, first);
    assert_string_equal(m.token, first);
    assert_true(upload_has(u, 0));
    assert_false(upload_has(u, 1));
    assert_true(upload_has(u, 2));
    emulator_log_clear(&remote);
    send_all(&m, u);
    assert_int_equal(emulator_count(&remote, "PUT", "*partNumber=*", 0).requests, 1);
    seal(&m, u);
}

static void part_of_another_length_is_sent_again(void **state)
{
    struct sample m = make_sample(*state, "lengths", PART + 9, PART);
    struct upload *u = begin(&m, NULL);
    send(&m, u, 0);
    send(&m, u, 1);
    upload_free(u);
    m.spec.size = m.size = PART + 8;
    m.crc = crc32c(0, m.bytes, m.size);
    u = begin(&m, m.token);
    assert_true(upload_has(u, 0));
    assert_false(upload_has(u, 1));
    send(&m, u, 1);
    seal(&m, u);
}

static void wrong_checksum_is_deleted_again(void **state)
{
    struct sample m = make_sample(*state, "wrong", PART + 9, PART);
    struct upload *u = begin(&m, NULL);
    char why[100];
    snprintf(why, sizeof why, "with crc32c %08x, crc32c %08x was sent; deleted again", m.crc, m.crc ^ 1);
    send_all(&m, u);
    seal_fails(&m, u, m.crc ^ 1, ERR_CORRUPT, why);
    assert_false(exists(&m));
}

static void upload_that_is_gone_begins_anew(void **state)
{
    struct sample m = make_sample(*state, "gone", PART + 9, PART);
    struct err e = {0};
    struct upload *u = begin(&m, NULL);
    send(&m, u, 0);
    assert_true(upload_abort(u, &e));
    begin_fails(&m, m.token, ERR_NOT_FOUND, "what an earlier run sent is gone");
    static const char *const bad[] = {"", "multipart:", "multipart:x:y", "local:0:0123", "nonsense"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        begin_fails(&m, bad[i], ERR_NOT_FOUND, "not the token of an upload to a bucket");
    begin_fails(&m, "multipart:0:no-such-id", ERR_NOT_FOUND, "is gone");
    m.spec.size = UPLOAD_SIZE_UNKNOWN;
    begin_fails(&m, m.token, ERR_NOT_FOUND, "not the token");
}

static void upload_killed_after_its_seal_is_found(void **state)
{
    struct sample m = make_sample(*state, "sealed", PART + 9, PART);
    struct upload *u = begin(&m, NULL);
    struct err e = {0};
    send_all(&m, u);
    assert_true(upload_seal(u, m.crc, m.s->arena, NULL, &e));
    upload_free(u); /* and nobody wrote down that it is done */
    emulator_log_clear(&remote);
    u = begin(&m, m.token);
    assert_true(upload_has(u, 0));
    assert_true(upload_has(u, 1));
    send(&m, u, 1); /* not looked at */
    assert_int_equal(emulator_count(&remote, "PUT", "*", 0).requests, 0);
    seal(&m, u);
}

static void object_that_replaced_ours_is_left_alone(void **state)
{
    struct sample m = make_sample(*state, "replaced", PART + 9, PART);
    struct upload *u = begin(&m, NULL);
    struct err e = {0};
    send_all(&m, u);
    assert_true(upload_abort(u, &e));
    m.bytes[7] ^= 1;
    put_object(&m, m.bytes, m.size);
    u = begin(&m, m.token);
    seal_fails(&m, u, m.crc, ERR_NOT_FOUND, "what an earlier run sent is gone, another object is there");
    assert_true(exists(&m));
    u = begin(&m, m.token);
    assert_true(upload_abort(u, &e));
    assert_true(exists(&m));
    delete_object(&m);
}

static void object_that_stood_there_before_is_not_ours(void **state)
{
    struct sample m = make_sample(*state, "before", PART + 9, PART);
    struct err e = {0};
    put_object(&m, m.bytes, m.size);
    struct upload *u = begin(&m, NULL);
    assert_true(upload_abort(u, &e));
    begin_fails(&m, m.token, ERR_NOT_FOUND, "what an earlier run sent is gone");
    delete_object(&m);
}

static void preconditions_hold_at_both_ends(void **state)
{
    struct sample m = make_sample(*state, "pre", PART + 9, PART);
    m.spec.if_generation = STORAGE_ABSENT;
    struct upload *u = begin(&m, NULL);
    send_all(&m, u);
    put_object(&m, "other", 5); /* came while it was sent */
    seal_fails(&m, u, m.crc, ERR_BUSY, "gs://" BUCKET "/pre: is there already");
    begin_fails(&m, NULL, ERR_BUSY, "gs://" BUCKET "/pre: is there already");
    m.spec.if_generation = 12345;
    begin_fails(&m, NULL, ERR_BUSY, "has changed meanwhile");
    m.spec.if_generation = STORAGE_ANY_GENERATION;
    u = begin(&m, NULL);
    send_all(&m, u);
    seal(&m, u);
}

static void too_many_parts_are_refused(void **state)
{
    struct sample m = make_sample(*state, "many", 1, PART);
    m.spec.size = (uint64_t)PART * (MULTIPART_MAX_PARTS + 1);
    begin_fails(&m, NULL, ERR_LIMIT, "10001 parts, Cloud Storage takes at most 10000");
}

static void size_may_come_late(void **state)
{
    static const size_t sizes[] = {0, 5, 2 * PART, 2 * PART + 3};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        struct sample m = make_sample(*state, "late", sizes[i / 2], PART);
        struct err e = {0};
        if (i % 2)
            emulator_faults(&remote, "no-multipart");
        m.spec.size = UPLOAD_SIZE_UNKNOWN;
        struct upload *u = begin(&m, NULL);
        assert_int_equal(upload_ordered(u), i % 2);
        for (int k = 0; k + 1 < parts_of(&m); k++)
            send(&m, u, k);
        assert_true(upload_size(u, m.size, &e));
        send_all(&m, u);
        m.spec.size = m.size;
        seal(&m, u);
        emulator_faults(&remote, NULL);
        if (i % 2) /* the store remembers */
            assert_int_equal(remote_teardown(state) | remote_setup(state), 0);
    }
}

static void seal_whose_answer_is_lost_is_a_seal(void **state)
{
    for (int ordered = 0; ordered < 2; ordered++) {
        struct sample m = make_sample(*state, "lost", 2 * PART + 1, PART);
        if (ordered)
            emulator_faults(&remote, "no-multipart");
        struct upload *u = begin(&m, NULL);
        assert_int_equal(upload_ordered(u), ordered);
        send_all(&m, u);
        emulator_faults(&remote, "lost-answer-of-seal");
        seal(&m, u);
        emulator_faults(&remote, NULL);
    }
}

static void broken_connections_are_tried_again(void **state)
{
    static const char *const faults[] = {"reset-while-writing", "unavailable-after-bytes", "rate-limit"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct sample m = make_sample(*state, "broken", 2 * PART + 1, PART);
        emulator_faults(&remote, faults[i]);
        struct upload *u = begin(&m, NULL);
        send_all(&m, u);
        seal(&m, u);
    }
}

static void full_bucket_is_one_line(void **state)
{
    struct sample m = make_sample(*state, "full", PART + 1, PART);
    struct err e = {0};
    struct upload *u = begin(&m, NULL);
    emulator_faults(&remote, "disk-full");
    assert_false(try_send(&m, u, 0, &e));
    assert_non_null(strstr(e.text, "Insufficient Storage"));
    assert_null(strchr(e.text, '\n'));
    assert_false(upload_has(u, 0));
    emulator_faults(&remote, NULL);
    assert_true(upload_abort(u, &e));
}

/* --- in order, through a session --- */

static void endpoint_without_multipart_gets_a_session(void **state)
{
    struct sample m = make_sample(*state, "session", 3 * PART + 1, PART);
    struct err e = {0};
    emulator_faults(&remote, "no-multipart");
    struct upload *u = begin(&m, NULL);
    assert_true(upload_ordered(u));
    assert_false(try_send(&m, u, 1, &e));
    assert_error(&e, ERR_USAGE, "part 1 before its turn");
    send_all(&m, u);
    assert_false(exists(&m)); /* the last part waits */
    seal(&m, u);
    emulator_log_clear(&remote);
    u = begin(&m, NULL); /* the endpoint is not asked again */
    assert_int_equal(emulator_count(&remote, "POST", "*?uploads*", 0).requests, 0);
    assert_true(upload_abort(u, &e));
    begin_fails(&m, m.token, ERR_NOT_FOUND, "gs://" BUCKET "/session: upload session: ");
}

static void small_parts_go_through_a_session(void **state)
{
    static const size_t sizes[] = {UNIT + 1, 3 * UNIT, 5 * UNIT + 77};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sample m = make_sample(*state, "small-parts", sizes[i], UNIT);
        struct upload *u = begin(&m, NULL);
        assert_true(upload_ordered(u));
        send_all(&m, u);
        seal(&m, u);
    }
    struct sample m = make_sample(*state, "odd-parts", 1000, 300);
    begin_fails(&m, NULL, ERR_USAGE, "parts of 300 bytes, expected a multiple of 262144");
}

static void resumed_session_goes_on_where_it_was(void **state)
{
    struct sample m = make_sample(*state, "go-on", 4 * UNIT + 5, UNIT);
    for (int sent = 0; sent <= 5; sent++) {
        struct upload *u = begin(&m, NULL);
        for (int i = 0; i < sent; i++)
            send(&m, u, i);
        upload_free(u);
        u = begin(&m, m.token);
        for (int i = 0; i < 5; i++)
            assert_int_equal(upload_has(u, i), i < sent && i < 4); /* the last one was held back */
        emulator_log_clear(&remote);
        send_all(&m, u);
        seal(&m, u);
        assert_int_equal(emulator_count(&remote, "PUT", "*upload_id=*", 0).body,
                         m.size - (size_t)(sent < 4 ? sent : 4) * UNIT);
    }
}

/* What arrived of a chunk before the connection broke counts in whole units. */
static void session_that_holds_half_a_part_gets_the_rest(void **state)
{
    struct sample m = make_sample(*state, "half", 8 * UNIT + 5, 4 * UNIT);
    struct upload *u = begin(&m, NULL);
    struct err e = {0};
    assert_true(upload_ordered(u));
    emulator_faults(&remote,
                    "{\"faults\": [{\"method\": \"PUT\", \"times\": 1, \"do\": {\"after_bytes\": 600000, "
                    "\"then\": \"reset\"}}, {\"method\": \"PUT\", \"times\": 0, \"do\": "
                    "{\"status\": 403}}]}");
    assert_false(try_send(&m, u, 0, &e));
    emulator_faults(&remote, NULL);
    upload_free(u);
    u = begin(&m, m.token);
    assert_false(upload_has(u, 0));
    emulator_log_clear(&remote);
    send_all(&m, u);
    assert_int_equal(emulator_count(&remote, "PUT", "*upload_id=*", 0).body, 6 * UNIT); /* of eight */
    seal(&m, u);
}

static void session_with_a_wrong_checksum_never_shows(void **state)
{
    struct sample m = make_sample(*state, "session-wrong", 2 * UNIT + 5, UNIT);
    struct upload *u = begin(&m, NULL);
    struct err e = {0};
    send_all(&m, u);
    assert_false(upload_seal(u, m.crc ^ 1, m.s->arena, NULL, &e));
    assert_non_null(strstr(e.text, "gs://" BUCKET "/session-wrong"));
    assert_false(exists(&m));
    upload_free(u);
}

static void session_that_is_gone_begins_anew(void **state)
{
    static const char *const faults[] = {"session-forgotten", "session-expired"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct sample m = make_sample(*state, "forgotten", 3 * UNIT, UNIT);
        struct upload *u = begin(&m, NULL);
        struct err e = {0};
        emulator_faults(&remote, faults[i]);
        send(&m, u, 0);
        assert_false(try_send(&m, u, 1, &e));
        assert_error(&e, ERR_NOT_FOUND, "gs://" BUCKET "/forgotten: upload session: ");
        assert_null(strstr(e.text, "upload_id")); /* the session's URL is a secret */
        upload_free(u);
        begin_fails(&m, m.token, ERR_NOT_FOUND, "the upload session is gone");
    }
}

static void session_killed_after_its_seal_is_found(void **state)
{
    struct sample m = make_sample(*state, "session-sealed", 2 * UNIT + 5, UNIT);
    struct upload *u = begin(&m, NULL);
    struct err e = {0};
    send_all(&m, u);
    assert_true(upload_seal(u, m.crc, m.s->arena, NULL, &e));
    upload_free(u);
    u = begin(&m, m.token);
    for (int i = 0; i < 3; i++)
        assert_true(upload_has(u, i));
    send(&m, u, 2);
    seal(&m, u);
    u = begin(&m, m.token); /* the session says done, the object is gone */
    seal_fails(&m, u, m.crc, ERR_NOT_FOUND, "session-sealed");
}

static void session_keeps_its_precondition(void **state)
{
    struct sample m = make_sample(*state, "session-pre", 2 * UNIT + 5, UNIT);
    struct err e = {0};
    m.spec.if_generation = STORAGE_ABSENT;
    struct upload *u = begin(&m, NULL);
    send_all(&m, u);
    put_object(&m, "other", 5);
    assert_false(upload_seal(u, m.crc, m.s->arena, NULL, &e));
    assert_error(&e, ERR_BUSY, "session-pre");
    upload_free(u);
    struct entry entry;
    assert_true(store_stat(m.bucket, m.spec.name, m.s->arena, &entry, &e));
    assert_int_equal(entry.size, 5);
    delete_object(&m);
}

static int start(void **state)
{
    (void)state;
    return remote_start(NULL);
}

static int stop(void **state)
{
    (void)state;
    return remote_stop();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, remote_setup, remote_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(parts_in_any_order_make_the_object),
        TEST(threads_send_parts_at_once),
        TEST(resumed_upload_sends_only_what_is_missing),
        TEST(part_of_another_length_is_sent_again),
        TEST(wrong_checksum_is_deleted_again),
        TEST(upload_that_is_gone_begins_anew),
        TEST(upload_killed_after_its_seal_is_found),
        TEST(object_that_replaced_ours_is_left_alone),
        TEST(object_that_stood_there_before_is_not_ours),
        TEST(preconditions_hold_at_both_ends),
        TEST(too_many_parts_are_refused),
        TEST(size_may_come_late),
        TEST(seal_whose_answer_is_lost_is_a_seal),
        TEST(broken_connections_are_tried_again),
        TEST(full_bucket_is_one_line),
        TEST(endpoint_without_multipart_gets_a_session),
        TEST(small_parts_go_through_a_session),
        TEST(resumed_session_goes_on_where_it_was),
        TEST(session_that_holds_half_a_part_gets_the_rest),
        TEST(session_with_a_wrong_checksum_never_shows),
        TEST(session_that_is_gone_begins_anew),
        TEST(session_killed_after_its_seal_is_found),
        TEST(session_keeps_its_precondition),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
