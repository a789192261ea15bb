/* The log of a service, written and read again. */
#include "folder.h"
#include "target/local/log_file.h"
#include "target/local/logs.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct place {
    char path[FOLDER_PATH];
    struct home home;
};

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    folder_make(p->path);
    snprintf(p->home.path, sizeof p->home.path, "%s", p->path);
    p->home.folder = open(p->path, O_RDONLY | O_DIRECTORY);
    *state = p;
    return p->home.folder < 0;
}

static int remove_place(void **state)
{
    struct place *p = *state;
    close(p->home.folder);
    folder_remove(p->path);
    free(p);
    return 0;
}

static void write_lines(const struct place *p, uint64_t limit, int from, int to)
{
    struct log_file l;
    assert_true(log_file_open(&l, p->home.folder, limit, -1, NULL));
    for (int i = from; i < to; i++) {
        char line[20];
        snprintf(line, sizeof line, "line %04d", i);
        log_file_line(&l, line, strlen(line));
    }
    log_file_close(&l);
}

static size_t size_of(const struct place *p, const char *file)
{
    struct stat st;
    return fstatat(p->home.folder, file, &st, 0) == 0 ? (size_t)st.st_size : 0;
}

/* What is read, joined by commas; at most so many lines. */
struct heard {
    char text[2000];
    atomic_int count;
    int stop_at;
    volatile sig_atomic_t stop;
};

static bool hear(void *arg, const char *line, size_t size, struct err *e)
{
    struct heard *h = arg;
    size_t n = strlen(h->text);
    (void)e;
    snprintf(h->text + n, sizeof h->text - n, "%s%.*s", n ? "," : "", (int)size, line);
    if (++h->count == h->stop_at)
        h->stop = 1;
    return true;
}

static const char *last(const struct place *p, int lines, struct heard *h)
{
    struct target_run r = {0};
    *h = (struct heard){0};
    assert_true(logs_read(&r, &p->home, &(struct target_log_options){.lines = lines}, hear, h, NULL));
    return h->text;
}

static void log_takes_twice_its_limit_at_most(void **state)
{
    const struct place *p = *state;
    write_lines(p, 100, 0, 1000); /* each 10 bytes */
    assert_int_equal(size_of(p, "log"), 100);
    assert_int_equal(size_of(p, "log.1"), 100);
    struct stat st;
    assert_int_equal(fstatat(p->home.folder, "log", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void line_longer_than_the_limit_is_kept_whole(void **state)
{
    const struct place *p = *state;
    struct log_file l;
    char line[301];
    memset(line, 'x', sizeof line);
    assert_true(log_file_open(&l, p->home.folder, 100, -1, NULL));
    log_file_line(&l, "short", 5);
    log_file_line(&l, line, sizeof line);
    log_file_line(&l, "short", 5);
    log_file_close(&l);
    assert_int_equal(size_of(p, "log.1"), sizeof line + 1);
    assert_int_equal(size_of(p, "log"), 6);
}

static void log_that_was_there_is_gone_on_with(void **state)
{
    struct heard h;
    const struct place *p = *state;
    write_lines(p, 100, 0, 3);
    write_lines(p, 100, 3, 5);
    assert_string_equal(last(p, 9, &h), "line 0000,line 0001,line 0002,line 0003,line 0004");
}

static void last_lines_are_those_of_both_files(void **state)
{
    struct heard h;
    const struct place *p = *state;
    assert_string_equal(last(p, 5, &h), "");
    write_lines(p, 50, 0, 8); /* 0 to 4 in log.1, 5 to 7 in log */
    assert_string_equal(last(p, 0, &h), "");
    assert_string_equal(last(p, 2, &h), "line 0006,line 0007");
    assert_string_equal(last(p, 4, &h), "line 0004,line 0005,line 0006,line 0007");
    last(p, 100, &h);
    assert_int_equal(h.count, 8);
}

static void line_without_an_end_is_not_told_yet(void **state)
{
    struct heard h;
    const struct place *p = *state;
    folder_write(folder_path(p->path, "log"), "one\ntw", 6);
    assert_string_equal(last(p, 5, &h), "one");
}

static void each_line_is_echoed_where_that_is_wanted(void **state)
{
    const struct place *p = *state;
    struct log_file l;
    int ends[2];
    char bytes[40] = "";
    assert_int_equal(pipe(ends), 0);
    assert_true(log_file_open(&l, p->home.folder, 0, ends[1], NULL));
    log_file_line(&l, "said", 4);
    log_file_close(&l);
    assert_int_equal(read(ends[0], bytes, sizeof bytes), 5);
    assert_string_equal(bytes, "said\n");
    close(ends[0]);
    close(ends[1]);
}

static void symbolic_link_in_place_of_the_log_is_refused(void **state)
{
    const struct place *p = *state;
    struct log_file l;
    struct err e = {0};
    assert_int_equal(symlinkat("elsewhere", p->home.folder, "log"), 0);
    assert_false(log_file_open(&l, p->home.folder, 0, -1, &e));
    assert_int_equal(e.kind, ERR_IO);
    log_file_line(&l, "lost", 4);
    log_file_close(&l);
}

static void *follow(void *arg)
{
    struct place *p = ((void **)arg)[0];
    struct heard *h = ((void **)arg)[1];
    struct target_run r = {.stop = &h->stop};
    assert_true(
        logs_read(&r, &p->home, &(struct target_log_options){.lines = 1, .follow = true}, hear, h, NULL));
    return NULL;
}

static void followed_log_loses_nothing_when_it_becomes_the_older_part(void **state)
{
    struct place *p = *state;
    struct heard *h = calloc(1, sizeof *h);
    pthread_t thread;
    write_lines(p, 100, 0, 3);
    h->stop_at = 16;
    assert_int_equal(pthread_create(&thread, NULL, follow, (void *[]){p, h}), 0);
    for (int i = 3; i < 18; i++) {
        while (atomic_load(&h->count) < i - 2)
            usleep(1000);
        write_lines(p, 100, i, i + 1);
    }
    pthread_join(thread, NULL);
    assert_memory_equal(h->text, "line 0002,line 0003,", 20);
    assert_string_equal(h->text + strlen(h->text) - 19, "line 0016,line 0017");
    assert_int_equal(h->count, 16);
    free(h);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(log_takes_twice_its_limit_at_most),
        IN_PLACE(line_longer_than_the_limit_is_kept_whole),
        IN_PLACE(log_that_was_there_is_gone_on_with),
        IN_PLACE(last_lines_are_those_of_both_files),
        IN_PLACE(line_without_an_end_is_not_told_yet),
        IN_PLACE(each_line_is_echoed_where_that_is_wanted),
        IN_PLACE(symbolic_link_in_place_of_the_log_is_refused),
        IN_PLACE(followed_log_loses_nothing_when_it_becomes_the_older_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
