#include "base/file.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct place {
    char folder[256], file[300], empty[300], fifo[300], link[300];
};

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    const char *tmp = getenv("TMPDIR");
    snprintf(p->folder, sizeof p->folder, "%.200s/ferry-file-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(p->folder))
        return -1;
    snprintf(p->file, sizeof p->file, "%s/file", p->folder);
    snprintf(p->empty, sizeof p->empty, "%s/empty", p->folder);
    snprintf(p->fifo, sizeof p->fifo, "%s/fifo", p->folder);
    snprintf(p->link, sizeof p->link, "%s/link", p->folder);
    FILE *f = fopen(p->file, "w");
    fputs("sixteen bytes...", f);
    fclose(f);
    fclose(fopen(p->empty, "w"));
    *state = p;
    return mkfifo(p->fifo, 0600) | symlink("file", p->link);
}

static int remove_place(void **state)
{
    struct place *p = *state;
    unlink(p->file);
    unlink(p->empty);
    unlink(p->fifo);
    unlink(p->link);
    rmdir(p->folder);
    free(p);
    return 0;
}

static void what_is_no_regular_file_is_refused(void **state)
{
    struct place *p = *state;
    const char *paths[] = {p->folder, p->fifo};
    struct arena *a = arena_new(1000);
    for (size_t i = 0; i < 2; i++) {
        struct file_map m;
        struct err e = {0};
        assert_false(file_map(&m, paths[i], &e));
        assert_int_equal(e.kind, ERR_CORRUPT);
        assert_non_null(strstr(e.text, ": not a regular file"));
        assert_null(file_read(a, paths[i], 1000, NULL, &e));
    }
    arena_free(a);
}

static void missing_file_is_named(void **state)
{
    struct place *p = *state;
    char path[400], expected[500];
    struct file_map m;
    struct err e = {0};
    snprintf(path, sizeof path, "%s/none", p->folder);
    snprintf(expected, sizeof expected, "%s: No such file or directory", path);
    assert_false(file_map(&m, path, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_string_equal(e.text, expected);
    assert_false(file_exists(path));
    assert_true(file_exists(p->file));
}

static void file_over_the_ceiling_is_refused(void **state)
{
    struct place *p = *state;
    struct arena *a = arena_new(1000);
    struct err e = {0};
    assert_null(file_read(a, p->file, 15, NULL, &e));
    assert_int_equal(e.kind, ERR_LIMIT);
    assert_non_null(strstr(e.text, "16 bytes, at most 15 expected"));
    arena_free(a);
}

static void file_over_the_arena_is_refused(void **state)
{
    struct place *p = *state;
    struct arena *a = arena_new(16); /* no room for the NUL */
    struct err e = {0};
    assert_null(file_read(a, p->file, 1000, NULL, &e));
    assert_int_equal(e.kind, ERR_MEMORY);
    arena_free(a);
}

static void read_and_map_give_the_same_bytes(void **state)
{
    struct place *p = *state;
    const char *paths[] = {p->file, p->link};
    struct arena *a = arena_new(1000);
    for (size_t i = 0; i < 2; i++) {
        struct file_map m;
        struct err e = {0};
        size_t size = 0;
        assert_string_equal(file_read(a, paths[i], 16, &size, &e), "sixteen bytes...");
        assert_int_equal(size, 16);
        assert_true(file_map(&m, paths[i], &e));
        assert_int_equal(m.size, 16);
        assert_memory_equal(m.data, "sixteen bytes...", 16);
        file_unmap(&m);
        assert_null(m.data);
        file_unmap(&m);
    }
    arena_free(a);
}

static void empty_file_is_fine(void **state)
{
    struct place *p = *state;
    struct arena *a = arena_new(1000);
    struct file_map m;
    struct err e = {0};
    size_t size = 77;
    assert_string_equal(file_read(a, p->empty, 0, &size, &e), "");
    assert_int_equal(size, 0);
    assert_true(file_map(&m, p->empty, &e));
    assert_int_equal(m.size, 0);
    file_unmap(&m);
    arena_free(a);
}

/* --- writing --- */

enum { MUCH = 1 << 20 };

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i ^ i >> 8);
}

struct reader {
    int fd;
    size_t count;
    bool same;
};

static void *read_slowly(void *arg)
{
    struct reader *r = arg;
    unsigned char bytes[16384];
    r->same = true;
    for (ssize_t n; (n = read(r->fd, bytes, sizeof bytes)) > 0; usleep(2000))
        for (ssize_t i = 0; i < n; i++)
            r->same &= bytes[i] == byte_at(r->count++);
    return NULL;
}

static volatile sig_atomic_t interruptions;

static void interrupt(int signal)
{
    (void)signal;
    interruptions = interruptions + 1;
}

/* The pipe is full most of the time: a signal ends a write before its first byte or in the middle. */
static void write_goes_on_after_interruptions(void **state)
{
    (void)state;
    static unsigned char bytes[MUCH];
    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = byte_at(i);
    int ends[2];
    pthread_t thread;
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = interrupt}, NULL);
    assert_int_equal(pipe(ends), 0);
    struct reader r = {.fd = ends[0]};
    pthread_sigmask(SIG_BLOCK, &alarms, NULL); /* the reader's too */
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &r), 0);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 500}, {0, 500}}, NULL);
    bool ok = file_write(ends[1], bytes, MUCH);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    close(ends[1]);
    pthread_join(thread, NULL);
    close(ends[0]);
    assert_true(ok);
    assert_true(interruptions > 0);
    assert_int_equal(r.count, MUCH);
    assert_true(r.same);
}

static void write_that_has_no_room_for_the_rest_says_so(void **state)
{
    (void)state;
    char bytes[4000] = "";
    struct rlimit was;
    struct stat st;
    FILE *f = tmpfile();
    assert_non_null(f);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, was.rlim_max});
    bool ok = file_write(fileno(f), bytes, sizeof bytes);
    int problem = errno;
    setrlimit(RLIMIT_FSIZE, &was);
    assert_false(ok);
    assert_int_equal(problem, EFBIG);
    assert_int_equal(fstat(fileno(f), &st), 0);
    assert_int_equal(st.st_size, 1000);
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_regular_file_is_refused),
        cmocka_unit_test(missing_file_is_named),
        cmocka_unit_test(file_over_the_ceiling_is_refused),
        cmocka_unit_test(file_over_the_arena_is_refused),
        cmocka_unit_test(read_and_map_give_the_same_bytes),
        cmocka_unit_test(empty_file_is_fine),
        cmocka_unit_test(write_goes_on_after_interruptions),
        cmocka_unit_test(write_that_has_no_room_for_the_rest_says_so),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
