#include "folder.h"
#include "target/local/home.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int make_state(void **state)
{
    char *path = malloc(FOLDER_PATH);
    folder_make(path);
    setenv("XDG_STATE_HOME", path, 1);
    *state = path;
    return 0;
}

static int remove_state(void **state)
{
    unsetenv("XDG_STATE_HOME");
    folder_remove(*state);
    free(*state);
    return 0;
}

static void folder_of_all_services_is_where_xdg_says(void **state)
{
    (void)state;
    static const struct {
        const char *xdg, *home, *root; /* root NULL: there is none */
    } rows[] = {
        {"/s", "/h", "/s/ferry/local"},
        {NULL, "/h", "/h/.local/state/ferry/local"},
        {"", "/h", "/h/.local/state/ferry/local"},
        {"relative", "/h", "/h/.local/state/ferry/local"},
        {NULL, NULL, NULL},
        {"relative", "h", NULL},
    };
    char *before = strdup(getenv("HOME") ? getenv("HOME") : "/");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char root[HOME_PATH];
        struct err e = {0};
        rows[i].xdg ? setenv("XDG_STATE_HOME", rows[i].xdg, 1) : unsetenv("XDG_STATE_HOME");
        rows[i].home ? setenv("HOME", rows[i].home, 1) : unsetenv("HOME");
        assert_int_equal(home_root(root, &e), rows[i].root != NULL);
        if (rows[i].root)
            assert_string_equal(root, rows[i].root);
        else
            assert_string_equal(e.text, "no place for what is known of local services: set HOME or "
                                        "XDG_STATE_HOME");
    }
    setenv("HOME", before, 1);
    unsetenv("XDG_STATE_HOME");
    free(before);
}

static void service_that_is_not_there_is_not_made_by_looking(void **state)
{
    (void)state;
    struct home p;
    struct err e = {0};
    assert_false(home_open(&p, "demo", false, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_string_equal(e.text, "there is no local service \"demo\"");
    home_close(&p);
    assert_false(home_open(&p, "../demo", true, &e));
    home_close(&p);
    assert_true(home_open(&p, "demo", true, &e));
    struct stat st;
    assert_int_equal(stat(p.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_true(home_remove(&p, &e));
    home_close(&p);
    assert_false(home_open(&p, "demo", false, &e));
}

static void folder_with_a_file_of_somebody_elses_is_not_removed(void **state)
{
    (void)state;
    struct home p;
    struct err e = {0};
    assert_true(home_open(&p, "demo", true, &e));
    folder_write(folder_path(p.path, "precious"), "x", 1);
    assert_false(home_remove(&p, &e));
    assert_non_null(strstr(e.text, "Directory not empty"));
    home_close(&p);
}

static void lock_is_had_by_one_at_a_time(void **state)
{
    (void)state;
    struct home p;
    struct err e = {0};
    assert_true(home_open(&p, "demo", true, &e));
    assert_false(home_is_locked(&p, "lock"));
    int fd = home_lock(&p, "lock", &e);
    assert_true(fd >= 0);
    assert_true(home_is_locked(&p, "lock"));
    assert_int_equal(home_lock(&p, "lock", &e), -1);
    assert_int_equal(e.kind, ERR_BUSY);
    close(fd);
    assert_false(home_is_locked(&p, "lock"));
    fd = home_lock(&p, "lock", &e);
    assert_true(fd >= 0);
    close(fd);
    home_close(&p);
}

static void count_wait(void *arg)
{
    ++*(int *)arg;
}

static void *let_go(void *arg)
{
    usleep(120000);
    close(*(int *)arg);
    return NULL;
}

static void wait_for_a_lock_is_told_once_and_ends_with_it_or_when_asked(void **state)
{
    (void)state;
    struct home p;
    struct err e = {0};
    volatile sig_atomic_t stop = 1;
    pthread_t thread;
    int waits = 0;
    assert_true(home_open(&p, "demo", true, &e));
    int fd = home_lock(&p, "lock", &e);
    assert_int_equal(home_lock_wait(&p, "lock", &stop, count_wait, &waits, &e), -1);
    assert_int_equal(e.kind, ERR_CANCELLED);
    assert_int_equal(waits, 0);
    assert_int_equal(pthread_create(&thread, NULL, let_go, &fd), 0);
    int mine = home_lock_wait(&p, "lock", NULL, count_wait, &waits, &e);
    assert_true(mine >= 0);
    assert_int_equal(waits, 1);
    pthread_join(thread, NULL);
    close(mine);
    home_close(&p);
}

/* Whoever takes a service down removes the file while another waits for its lock. */
static void lock_on_a_file_that_was_removed_is_none(void **state)
{
    (void)state;
    struct home p;
    struct err e = {0};
    assert_true(home_open(&p, "demo", true, &e));
    int old = home_lock(&p, "lock", &e);
    assert_int_equal(unlinkat(p.folder, "lock", 0), 0);
    int fresh = home_lock(&p, "lock", &e);
    assert_true(fresh >= 0);
    assert_int_equal(home_lock(&p, "lock", &e), -1);
    close(old);
    assert_true(home_is_locked(&p, "lock"));
    close(fresh);
    home_close(&p);
}

static void json_is_replaced_whole_for_its_owner_alone(void **state)
{
    (void)state;
    struct home p;
    struct err e = {0};
    struct stat st;
    assert_true(home_open(&p, "demo", true, &e));
    for (int i = 1; i <= 2; i++) {
        json_t *json = json_pack("{s:i}", "n", i);
        assert_true(home_write_json(&p, "state.json", json, &e));
        json_decref(json);
        json = home_read_json(&p, "state.json", &e);
        assert_int_equal(json_integer_value(json_object_get(json, "n")), i);
        json_decref(json);
    }
    assert_int_equal(fstatat(p.folder, "state.json", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fstatat(p.folder, "state.json.new", &st, 0), -1);
    home_close(&p);
}

/* Of anything but a small regular file with an object in it: told, not waited for, not followed. */
static void what_is_no_json_file_is_refused(void **state)
{
    (void)state;
    struct home p;
    struct err e = {0};
    struct spec s;
    assert_true(home_open(&p, "demo", true, &e));
    assert_null(home_read_json(&p, "state.json", &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
    assert_int_equal(mkfifoat(p.folder, "fifo", 0600), 0);
    assert_null(home_read_json(&p, "fifo", &e));
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_int_equal(symlinkat("/proc/self/status", p.folder, "link"), 0);
    assert_null(home_read_json(&p, "link", &e));
    static char large[(1 << 20) + 1];
    memset(large, ' ', sizeof large);
    folder_write(folder_path(p.path, "large"), large, sizeof large);
    assert_null(home_read_json(&p, "large", &e));
    assert_non_null(strstr(e.text, "no file of at most 1048576 bytes"));
    folder_write(folder_path(p.path, "service.json"), "{\"name\":1}", 10);
    assert_false(home_read_spec(&p, &s, &e));
    assert_non_null(strstr(e.text, "demo/service.json: expected an object of 8 fields"));
    home_close(&p);
}

static void process_is_the_one_that_began_then(void **state)
{
    (void)state;
    struct process mine = {getpid(), process_begun(getpid())};
    assert_true(mine.begun > 0);
    assert_true(process_is_alive(&mine));
    mine.begun++; /* the number, but of another one */
    assert_false(process_is_alive(&mine));
    pid_t pid = fork();
    if (pid == 0)
        pause();
    struct process child = {pid, process_begun(pid)};
    assert_true(process_is_alive(&child));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_false(process_is_alive(&child));
    assert_false(process_is_alive(&(struct process){0}));
}

#define WITH_STATE(test) cmocka_unit_test_setup_teardown(test, make_state, remove_state)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder_of_all_services_is_where_xdg_says),
        WITH_STATE(service_that_is_not_there_is_not_made_by_looking),
        WITH_STATE(folder_with_a_file_of_somebody_elses_is_not_removed),
        WITH_STATE(lock_is_had_by_one_at_a_time),
        WITH_STATE(wait_for_a_lock_is_told_once_and_ends_with_it_or_when_asked),
        WITH_STATE(lock_on_a_file_that_was_removed_is_none),
        WITH_STATE(json_is_replaced_whole_for_its_owner_alone),
        WITH_STATE(what_is_no_json_file_is_refused),
        cmocka_unit_test(process_is_the_one_that_began_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
