#include "scratch.h"

#include "base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { PART = 1000 };

/* --- system calls that fail when a test says so (the linker's --wrap) --- */

static struct {
    int fallocate, pwrite, fsync, renameat2; /* errno; 0: the real one */
    int pwrites_before;                      /* so many succeed first */
} failing;

int __real_fallocate(int fd, int mode, off_t offset, off_t size);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t size);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t size)
{
    errno = failing.fallocate;
    return errno ? -1 : __real_fallocate(fd, mode, offset, size);
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    errno = failing.pwrite;
    if (errno && failing.pwrites_before-- <= 0)
        return -1;
    return __real_pwrite(fd, bytes, size > 700 ? 700 : size, offset); /* short writes are legal */
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    errno = failing.fsync;
    return errno ? -1 : __real_fsync(fd);
}

int __real_renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags);
int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags);
int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    errno = failing.renameat2;
    return errno ? -1 : __real_renameat2(from_folder, from, to_folder, to, flags);
}

/* --- an upload under test --- */

struct sample {
    struct scratch *s;
    unsigned char *bytes;
    size_t size;
    char *name, *temp;
    uint32_t crc;
    struct upload_spec spec;
    char token[UPLOAD_TOKEN_BYTES];
};

static struct sample make_sample(struct scratch *s, size_t size)
{
    struct sample m = {.s = s, .bytes = scratch_bytes(s, size), .size = size};
    m.name = scratch_name(s, "to/model.bin");
    m.temp = scratch_name(s, "to/.model.bin.ferry-part");
    m.crc = crc32c(0, m.bytes, size);
    m.spec = (struct upload_spec){m.name, size, PART, STORAGE_ANY_GENERATION};
    return m;
}

static int parts_of(const struct sample *m)
{
    return (int)((m->size + PART - 1) / PART);
}

static struct upload *begin(struct sample *m, const char *resume)
{
    struct err e = {0};
    struct upload *u = upload_begin(m->s->local, &m->spec, resume, &e);
    if (!u)
        fail_msg("%s", e.text);
    assert_false(upload_ordered(u));
    if (m->spec.size != UPLOAD_SIZE_UNKNOWN)
        assert_true(upload_token(u, m->token));
    return u;
}

static void send(const struct sample *m, struct upload *u, int part)
{
    size_t begin = (size_t)part * PART, size = m->size - begin < PART ? m->size - begin : PART;
    struct err e = {0};
    if (!upload_part(u, part, m->bytes + begin, size, NULL, &e))
        fail_msg("%s", e.text);
    assert_true(upload_has(u, part));
}

static void seal(const struct sample *m, struct upload *u)
{
    struct entry entry;
    struct err e = {0};
    size_t size;
    if (!upload_seal(u, m->crc, m->s->arena, &entry, &e))
        fail_msg("%s", e.text);
    assert_string_equal(entry.name, m->name);
    assert_int_equal(entry.size, m->size);
    assert_memory_equal(scratch_read(m->s, m->name, &size), m->bytes, m->size);
    assert_int_equal(size, m->size);
    upload_free(u);
    assert_int_equal(scratch_count(scratch_name(m->s, "to")), 1);
}

static void assert_error(const struct err *e, enum err_kind kind, const char *part)
{
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("kind %d: %s; expected kind %d: …%s…", e->kind, e->text, kind, part);
}

static void begin_fails(struct sample *m, const char *resume, enum err_kind kind, const char *why)
{
    struct err e = {0};
    struct upload *u = upload_begin(m->s->local, &m->spec, resume, &e);
    assert_null(u);
    assert_error(&e, kind, why);
}

static int exists(const char *name)
{
    return access(name, F_OK) == 0;
}

/* --- the plain way --- */

static void any_size_in_any_order_gives_the_same_file(void **state)
{
    struct scratch *s = *state;
    static const size_t sizes[] = {0, 1, PART - 1, PART, PART + 1, 5 * PART, 7 * PART + 13};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sample m = make_sample(s, sizes[i]);
        struct upload *u = begin(&m, NULL);
        int parts = parts_of(&m);
        for (int k = 0; k < parts; k++)
            send(&m, u, (k * 5 + 3) % parts == k ? k : parts - 1 - k);
        for (int k = 0; k < parts; k++)
            if (!upload_has(u, k))
                send(&m, u, k);
        seal(&m, u);
        assert_int_equal(unlink(m.name), 0);
    }
}

static void empty_file_may_have_an_empty_part(void **state)
{
    struct sample m = make_sample(*state, 0);
    struct upload *u = begin(&m, NULL);
    struct err e = {0};
    assert_true(upload_part(u, 0, "", 0, NULL, &e));
    seal(&m, u);
}

static void nothing_shows_before_the_seal(void **state)
{
    struct sample m = make_sample(*state, 3 * PART);
    size_t size;
    scratch_write(m.s, "to/model.bin", "old", 3);
    struct upload *u = begin(&m, NULL);
    for (int i = 0; i < 3; i++) {
        send(&m, u, i);
        assert_string_equal(scratch_read(m.s, m.name, &size), "old");
        assert_string_equal(scratch_list(m.s, m.s->local, scratch_name(m.s, ""), STORE_DEEP),
                            "to/model.bin ");
    }
    seal(&m, u);
}

struct thread_arg {
    const struct sample *m;
    struct upload *u;
    int first, step;
};

static void *send_some(void *arg)
{
    const struct thread_arg *t = arg;
    for (int i = t->first; i < parts_of(t->m); i += t->step)
        send(t->m, t->u, i);
    return NULL;
}

static void threads_send_parts_at_once(void **state)
{
    enum { THREADS = 4 };
    struct sample m = make_sample(*state, 101 * PART + 7);
    struct upload *u = begin(&m, NULL);
    pthread_t threads[THREADS];
    struct thread_arg args[THREADS];
    for (int i = 0; i < THREADS; i++) {
        args[i] = (struct thread_arg){&m, u, i, THREADS};
        assert_int_equal(pthread_create(&threads[i], NULL, send_some, &args[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    seal(&m, u);
}

static void size_may_come_late(void **state)
{
    struct sample m = make_sample(*state, 200 * PART + 5);
    struct err e = {0};
    m.spec.size = UPLOAD_SIZE_UNKNOWN;
    struct upload *u = begin(&m, NULL);
    char token[UPLOAD_TOKEN_BYTES];
    assert_false(upload_token(u, token)); /* from a pipe: nobody can go on with it */
    assert_string_equal(token, "");
    for (int i = 0; i < 200; i++)
        send(&m, u, i);
    assert_false(upload_part(u, 200, m.bytes, 5, NULL, &e)); /* not known to be the last */
    assert_error(&e, ERR_USAGE, "5 bytes, expected 1000");
    assert_false(upload_seal(u, m.crc, m.s->arena, NULL, &e));
    assert_error(&e, ERR_USAGE, "before its size was told");
    assert_false(upload_size(u, UPLOAD_SIZE_UNKNOWN, &e));
    assert_true(upload_size(u, m.size, &e));
    assert_false(upload_size(u, m.size + 1, &e));
    assert_error(&e, ERR_USAGE, "was told before");
    send(&m, u, 200);
    seal(&m, u);

    m = make_sample(*state, 0);
    m.spec.size = UPLOAD_SIZE_UNKNOWN;
    u = begin(&m, NULL);
    assert_true(upload_size(u, 0, &e));
    seal(&m, u);
}

static void upload_of_unknown_size_leaves_nothing(void **state)
{
    struct sample m = make_sample(*state, 2 * PART);
    m.spec.size = UPLOAD_SIZE_UNKNOWN;
    struct upload *u = begin(&m, NULL);
    send(&m, u, 0);
    upload_free(u);
    assert_int_equal(scratch_count(scratch_name(m.s, "to")), 0);
}

/* --- what is refused --- */

static void wrong_parts_are_refused(void **state)
{
    struct sample m = make_sample(*state, 2 * PART + 1);
    struct upload *u = begin(&m, NULL);
    struct err e = {0};
    static const volatile sig_atomic_t stop = 1;
    assert_false(upload_part(u, 3, m.bytes, 1, NULL, &e));
    assert_error(&e, ERR_USAGE, "part 3 of 3");
    assert_false(upload_part(u, -1, m.bytes, 1, NULL, &e));
    assert_false(upload_part(u, 0, m.bytes, 1, NULL, &e));
    assert_error(&e, ERR_USAGE, "part 0: 1 bytes, expected 1000");
    assert_false(upload_part(u, 2, m.bytes, 2, NULL, &e));
    assert_false(upload_part(u, 0, m.bytes, PART, &stop, &e));
    assert_error(&e, ERR_CANCELLED, "interrupted");
    assert_false(upload_has(u, 0));
    assert_false(upload_has(u, -1));
    assert_false(upload_has(u, 99));
    send(&m, u, 0);
    send(&m, u, 2);
    assert_false(upload_seal(u, m.crc, m.s->arena, NULL, &e));
    assert_error(&e, ERR_USAGE, "sealed without part 1");
    assert_false(exists(m.name));
    send(&m, u, 1);
    seal(&m, u);
}

static void impossible_specs_are_refused(void **state)
{
    struct sample m = make_sample(*state, 2 * PART);
    m.spec.part_size = 0;
    begin_fails(&m, NULL, ERR_USAGE, "parts of 0 bytes");
    m.spec.part_size = 1;
    m.spec.size = (uint64_t)1 << 40;
    begin_fails(&m, NULL, ERR_LIMIT, "more than 1048576 parts");
    m.spec.part_size = m.spec.size = UINT64_MAX - 1;
    begin_fails(&m, NULL, ERR_LIMIT, "more than");
    m = make_sample(*state, PART);
    m.spec.name = m.s->path;
    begin_fails(&m, NULL, ERR_USAGE, "a folder of that name is there");
    assert_int_equal(scratch_count(m.s->path), 0);
}

static void wrong_checksum_never_shows(void **state)
{
    struct sample m = make_sample(*state, 2 * PART);
    struct upload *u = begin(&m, NULL);
    struct err e = {0};
    char why[100];
    send(&m, u, 0);
    send(&m, u, 1);
    snprintf(why, sizeof why, "crc32c %08x written, expected %08x", m.crc, m.crc ^ 1);
    assert_false(upload_seal(u, m.crc ^ 1, m.s->arena, NULL, &e));
    assert_error(&e, ERR_CORRUPT, why);
    upload_free(u);
    assert_int_equal(scratch_count(scratch_name(m.s, "to")), 0);
    begin_fails(&m, m.token, ERR_NOT_FOUND, "is gone");
}

static void what_must_be_absent_is_not_replaced(void **state)
{
    struct sample m = make_sample(*state, PART);
    struct err e = {0};
    size_t size;
    m.spec.if_generation = STORAGE_ABSENT;
    struct upload *u = begin(&m, NULL);
    send(&m, u, 0);
    scratch_write(m.s, "to/model.bin", "other", 5); /* came while it was sent */
    assert_false(upload_seal(u, m.crc, m.s->arena, NULL, &e));
    assert_error(&e, ERR_BUSY, "/model.bin: is there already");
    assert_true(upload_abort(u, &e));
    assert_string_equal(scratch_read(m.s, m.name, &size), "other");
    assert_int_equal(scratch_count(scratch_name(m.s, "to")), 1);
    begin_fails(&m, NULL, ERR_BUSY, "/model.bin: is there already");
    assert_int_equal(unlink(m.name), 0);
    failing.renameat2 = EINVAL; /* a file system without it: a hard link does the same */
    u = begin(&m, NULL);
    send(&m, u, 0);
    seal(&m, u);
    u = NULL;
    assert_int_equal(unlink(m.name), 0);
    u = begin(&m, NULL);
    send(&m, u, 0);
    scratch_write(m.s, "to/model.bin", "other", 5);
    assert_false(upload_seal(u, m.crc, m.s->arena, NULL, &e));
    assert_error(&e, ERR_BUSY, "is there already");
    upload_free(u);
}

static void two_do_not_write_the_same_file(void **state)
{
    struct sample m = make_sample(*state, 2 * PART);
    struct upload *u = begin(&m, NULL);
    struct err e = {0};
    begin_fails(&m, NULL, ERR_BUSY, "somebody else is writing it just now");
    begin_fails(&m, m.token, ERR_BUSY, "somebody else is writing it just now");
    assert_false(store_put(m.s->local, m.name, "x", 1, STORAGE_ANY_GENERATION, m.s->arena, NULL, &e));
    assert_error(&e, ERR_BUSY, "somebody else");
    send(&m, u, 0);
    send(&m, u, 1);
    seal(&m, u);
}

static void abort_forgets_what_was_sent(void **state)
{
    struct sample m = make_sample(*state, 2 * PART);
    struct upload *u = begin(&m, NULL);
    struct err e = {0};
    send(&m, u, 0);
    assert_true(upload_abort(u, &e));
    assert_int_equal(scratch_count(scratch_name(m.s, "to")), 0);
    begin_fails(&m, m.token, ERR_NOT_FOUND, "what an earlier run wrote is gone");
    upload_free(NULL);
    assert_true(upload_abort(NULL, &e));
}

/* --- full disks --- */

static void full_disk_shows_at_the_start(void **state)
{
    struct sample m = make_sample(*state, 2 * PART);
    failing.fallocate = ENOSPC;
    begin_fails(&m, NULL, ERR_IO, "/model.bin: the disk is full: 2128 bytes needed, ");
    assert_int_equal(scratch_count(scratch_name(m.s, "to")), 0);
    failing.fallocate = EOPNOTSUPP; /* a file system that cannot reserve */
    struct upload *u = begin(&m, NULL);
    send(&m, u, 0);
    send(&m, u, 1);
    seal(&m, u);
    m.spec.size = (uint64_t)1 << 60;
    m.spec.part_size = (uint64_t)1 << 50;
    begin_fails(&m, NULL, ERR_IO, "the disk is full");
}

static void full_disk_on_the_way_is_one_line_and_resumable(void **state)
{
    struct sample m = make_sample(*state, 3 * PART);
    struct upload *u = begin(&m, NULL);
    struct err e = {0};
    send(&m, u, 1);
    failing.pwrite = ENOSPC;
    failing.pwrites_before = 1; /* in the middle of a part */
    assert_false(upload_part(u, 0, m.bytes, PART, NULL, &e));
    assert_error(&e, ERR_IO, "/model.bin: the disk is full: 300 bytes needed, ");
    assert_false(upload_has(u, 0));
    failing.pwrite = EIO;
    failing.pwrites_before = 0;
    assert_false(upload_part(u, 0, m.bytes, PART, NULL, &e));
    assert_error(&e, ERR_IO, "/model.bin: Input/output error");
    upload_free(u);
    failing.pwrite = 0;
    u = begin(&m, m.token);
    assert_false(upload_has(u, 0));
    assert_true(upload_has(u, 1));
    send(&m, u, 0);
    send(&m, u, 2);
    failing.fsync = EIO;
    assert_false(upload_seal(u, m.crc, m.s->arena, NULL, &e));
    assert_error(&e, ERR_IO, "/model.bin: Input/output error");
    assert_false(exists(m.name));
    failing.fsync = 0;
    seal(&m, u);
}

/* --- going on --- */

static void resumed_upload_has_what_was_sent(void **state)
{
    struct sample m = make_sample(*state, 5 * PART + 1);
    struct upload *u = begin(&m, NULL);
    char first[UPLOAD_TOKEN_BYTES];
    strcpy(first, m.token);
    send(&m, u, 1);
    send(&m, u, 5);
    upload_free(u);
    u = begin(&m, first);
    assert_string_equal(m.token, first);
    send(&m, u, 0);
    upload_free(u);
    u = begin(&m, first);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(upload_has(u, i), i == 0 || i == 1 || i == 5);
        if (!upload_has(u, i))
            send(&m, u, i);
    }
    seal(&m, u);
}

static void broken_off_upload_says_what_it_holds_of_the_disk(void **state)
{
    struct sample m = make_sample(*state, 100 * PART + 1);
    assert_int_equal(upload_held(m.s->local, m.name), 0);
    struct upload *u = begin(&m, NULL);
    send(&m, u, 0);
    upload_free(u);
    assert_true(upload_held(m.s->local, m.name) >= m.size); /* room for all of it was reserved */
    u = begin(&m, m.token);
    for (int i = 1; i <= 100; i++)
        send(&m, u, i);
    seal(&m, u);
    assert_int_equal(upload_held(m.s->local, m.name), 0);
}

static void token_of_something_else_is_not_taken(void **state)
{
    struct sample m = make_sample(*state, 2 * PART);
    static const char *const bad[] = {
        "", "local", "local:0:", "local:0:xyz", "multipart:0:abc", "session:http://x"};
    char token[UPLOAD_TOKEN_BYTES], longer[UPLOAD_TOKEN_BYTES + 1];
    struct upload *u = begin(&m, NULL);
    send(&m, u, 0);
    upload_free(u);
    strcpy(token, m.token);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        begin_fails(&m, bad[i], ERR_NOT_FOUND, "not the token of an upload to this machine");
    snprintf(longer, sizeof longer, "%s0", token);
    begin_fails(&m, longer, ERR_NOT_FOUND, "not the token");
    m.spec.size++;
    begin_fails(&m, token, ERR_NOT_FOUND, "is gone");
    m.spec.size--;
    m.spec.part_size++;
    begin_fails(&m, token, ERR_NOT_FOUND, "is gone");
    m.spec.part_size--;
    upload_free(begin(&m, NULL)); /* anew: another nonce */
    begin_fails(&m, token, ERR_NOT_FOUND, "is gone");
    upload_free(begin(&m, m.token));
}

static void part_file_that_lost_its_tail_is_not_taken(void **state)
{
    struct sample m = make_sample(*state, 2 * PART);
    static const off_t lengths[] = {0, 1, PART, 2 * PART - 1, 2 * PART + 1, 2 * PART + 50};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct upload *u = begin(&m, NULL);
        send(&m, u, 0);
        upload_free(u);
        assert_int_equal(truncate(m.temp, lengths[i]), 0);
        begin_fails(&m, m.token, ERR_NOT_FOUND, "is gone");
    }
    struct upload *u = begin(&m, NULL);
    upload_free(u);
    assert_int_equal(truncate(m.temp, 2 * PART + 116), 0); /* the head is there, marks are not */
    begin_fails(&m, m.token, ERR_CORRUPT, "shorter than it was");
}

/* A machine that crashed may have kept a mark and lost the bytes. */
static void parts_from_before_a_crash_are_read_again(void **state)
{
    struct sample m = make_sample(*state, 3 * PART);
    struct upload *u = begin(&m, NULL);
    for (int i = 0; i < 3; i++)
        send(&m, u, i);
    upload_free(u);
    int fd = open(m.temp, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(__real_pwrite(fd, "other boot", 10, 3 * PART + 72), 10); /* the head's last field */
    assert_int_equal(__real_pwrite(fd, "\0\0\0\0", 4, PART + 77), 4);
    close(fd);
    u = begin(&m, m.token);
    assert_true(upload_has(u, 0));
    assert_false(upload_has(u, 1));
    assert_true(upload_has(u, 2));
    upload_free(u);
    u = begin(&m, m.token); /* now it is this boot's, and part 1 is still missing */
    assert_false(upload_has(u, 1));
    send(&m, u, 1);
    seal(&m, u);
}

/* --- killed while sealing --- */

static void sealed_part_file_is_found_again(void **state)
{
    struct sample m = make_sample(*state, 2 * PART + 1);
    struct upload *u = begin(&m, NULL);
    for (int i = 0; i < 3; i++)
        send(&m, u, i);
    upload_free(u);
    assert_int_equal(truncate(m.temp, (off_t)m.size), 0); /* as far as a killed seal came */
    u = begin(&m, m.token);
    for (int i = 0; i < 3; i++)
        assert_true(upload_has(u, i));
    send(&m, u, 2);
    seal(&m, u);
}

static void sealed_part_file_with_other_bytes_is_dropped(void **state)
{
    struct sample m = make_sample(*state, 2 * PART);
    struct err e = {0};
    upload_free(begin(&m, NULL));
    assert_int_equal(truncate(m.temp, (off_t)m.size), 0);
    struct upload *u = begin(&m, m.token);
    assert_false(upload_seal(u, m.crc, m.s->arena, NULL, &e));
    assert_error(&e, ERR_NOT_FOUND, "is another file");
    upload_free(u);
    assert_int_equal(scratch_count(scratch_name(m.s, "to")), 0);
}

static void published_file_is_found_again(void **state)
{
    struct sample m = make_sample(*state, 2 * PART + 1);
    struct upload *u = begin(&m, NULL);
    for (int i = 0; i < 3; i++)
        send(&m, u, i);
    seal(&m, u); /* and killed before anybody wrote that down */
    u = begin(&m, m.token);
    for (int i = 0; i < 3; i++)
        assert_true(upload_has(u, i));
    send(&m, u, 2);
    seal(&m, u);
    u = begin(&m, m.token);
    struct err e = {0};
    assert_true(upload_abort(u, &e)); /* it is not the upload's any more */
    assert_true(exists(m.name));
}

static void published_file_that_was_replaced_is_left_alone(void **state)
{
    struct sample m = make_sample(*state, 2 * PART);
    struct upload *u = begin(&m, NULL);
    struct err e = {0};
    size_t size;
    send(&m, u, 0);
    send(&m, u, 1);
    seal(&m, u);
    m.bytes[5] ^= 1;
    scratch_write(m.s, "to/model.bin", m.bytes, m.size);
    u = begin(&m, m.token);
    assert_false(upload_seal(u, m.crc, m.s->arena, NULL, &e));
    assert_error(&e, ERR_NOT_FOUND, "was replaced by another file");
    upload_free(u);
    assert_memory_equal(scratch_read(m.s, m.name, &size), m.bytes, m.size);
}

static void file_that_stood_there_before_is_not_taken_for_ours(void **state)
{
    struct sample m = make_sample(*state, 2 * PART);
    unsigned char *old = arena_alloc(m.s->arena, m.size, 1);
    scratch_write(m.s, "to/model.bin", old, m.size);
    struct upload *u = begin(&m, NULL);
    upload_free(u);
    assert_int_equal(unlink(m.temp), 0);
    begin_fails(&m, m.token, ERR_NOT_FOUND, "what an earlier run wrote is gone");
}

/* A child sends parts until it is killed; whoever comes next finishes. Killed after any number of parts, and
 * at any moment of the seal. */
static void upload_killed_anywhere_goes_on(void **state)
{
    struct sample m = make_sample(*state, 6 * PART + 11);
    for (int parts = 0; parts <= parts_of(&m) + 1; parts++) {
        struct upload *u = begin(&m, NULL);
        upload_free(u);
        pid_t child = fork();
        if (child == 0) {
            struct err e = {0};
            u = upload_begin(m.s->local, &m.spec, m.token, &e);
            for (int i = 0; u && i < parts && i < parts_of(&m); i++)
                if (!upload_part(u, i, m.bytes + i * PART, i == 6 ? 11 : PART, NULL, &e))
                    break;
            if (u && parts > parts_of(&m) && !upload_seal(u, m.crc, m.s->arena, NULL, &e))
                _exit(1);
            raise(SIGKILL);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        u = begin(&m, m.token);
        for (int i = 0; i < parts_of(&m); i++) {
            assert_int_equal(upload_has(u, i), i < parts);
            if (!upload_has(u, i))
                send(&m, u, i);
        }
        seal(&m, u);
        assert_int_equal(unlink(m.name), 0);
    }
}

static int setup(void **state)
{
    memset(&failing, 0, sizeof failing);
    return scratch_setup(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_size_in_any_order_gives_the_same_file),
        TEST(empty_file_may_have_an_empty_part),
        TEST(nothing_shows_before_the_seal),
        TEST(threads_send_parts_at_once),
        TEST(size_may_come_late),
        TEST(upload_of_unknown_size_leaves_nothing),
        TEST(wrong_parts_are_refused),
        TEST(impossible_specs_are_refused),
        TEST(wrong_checksum_never_shows),
        TEST(what_must_be_absent_is_not_replaced),
        TEST(two_do_not_write_the_same_file),
        TEST(abort_forgets_what_was_sent),
        TEST(full_disk_shows_at_the_start),
        TEST(full_disk_on_the_way_is_one_line_and_resumable),
        TEST(resumed_upload_has_what_was_sent),
        TEST(broken_off_upload_says_what_it_holds_of_the_disk),
        TEST(token_of_something_else_is_not_taken),
        TEST(part_file_that_lost_its_tail_is_not_taken),
        TEST(parts_from_before_a_crash_are_read_again),
        TEST(sealed_part_file_is_found_again),
        TEST(sealed_part_file_with_other_bytes_is_dropped),
        TEST(published_file_is_found_again),
        TEST(published_file_that_was_replaced_is_left_alone),
        TEST(file_that_stood_there_before_is_not_taken_for_ours),
        TEST(upload_killed_anywhere_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
