#include "target/local/memory_limit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define V1_MOUNT "33 28 0:30 / /sys/fs/cgroup/memory rw,nosuid shared:15 - cgroup cgroup rw,memory\n"
#define V2_MOUNT "35 24 0:29 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"

static const struct {
    const char *groups, *mounts, *folder; /* folder NULL: nowhere */
    bool old;
} places[] = {
    {"", "", NULL, false},
    {"0::/a\n", "", NULL, false},
    {"", V2_MOUNT, NULL, false},
    {"nonsense\n0:\n::\n", V2_MOUNT, "/sys/fs/cgroup", false}, /* "::" has an empty path */
    {"0::/\n", V2_MOUNT, "/sys/fs/cgroup", false},
    {"0::/user.slice/a.scope\n", V2_MOUNT, "/sys/fs/cgroup/user.slice/a.scope", false},
    /* both: memory is where version 1 has it */
    {"12:cpu,cpuacct:/c\n4:memory:/a/b\n0::/x\n", V2_MOUNT V1_MOUNT, "/sys/fs/cgroup/memory/a/b", true},
    {"4:hugetlb:/a\n0::/x\n", V1_MOUNT V2_MOUNT, "/sys/fs/cgroup/x", false},
    {"4:memoryless:/a\n", V1_MOUNT, NULL, false},
    {"4:cpu,memory:/a", "1 2 0:3 / /cg rw - cgroup cgroup rw,cpu,memory", "/cg/a", true},
    /* a container sees its own part of the tree alone */
    {"4:memory:/docker/77/b\n", "1 2 0:3 /docker/77 /cg ro - cgroup cgroup rw,memory\n", "/cg/b", true},
    {"4:memory:/docker/77\n", "1 2 0:3 /docker/77 /cg ro - cgroup cgroup rw,memory\n", "/cg", true},
    {"4:memory:/docker/777\n", "1 2 0:3 /docker/77 /cg ro - cgroup cgroup rw,memory\n", "/cg", true},
    {"4:memory:/\n", "1 2 0:3 /docker/77 /cg ro - cgroup cgroup rw,memory\n", "/cg", true},
    /* lines that are cut off */
    {"0::/a\n", "35 24 0:29 / /sys\n35 24 - cgroup2\n- cgroup2 a b\n", NULL, false},
    {"0::/a\n", "35 24 0:29 / /cg rw - cgroup2\n", NULL, false},
    {"0::/a\n", "35 24 0:29 / /cg rw - tmpfs tmpfs rw\n" V2_MOUNT, "/sys/fs/cgroup/a", false},
};

static void folder_of_the_group_is_found_where_the_system_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char folder[100] = "";
        bool old;
        bool found = memory_limit_find(places[i].groups, places[i].mounts, folder, sizeof folder, &old);
        if (found != (places[i].folder != NULL))
            fail_msg("row %zu: %s", i, found ? folder : "nowhere");
        if (!found)
            continue;
        assert_string_equal(folder, places[i].folder);
        assert_int_equal(old, places[i].old);
    }
}

static void folder_too_long_for_its_buffer_is_not_cut(void **state)
{
    (void)state;
    char folder[8];
    bool old;
    assert_false(memory_limit_find("0::/0123456\n", V2_MOUNT, folder, sizeof folder, &old));
}

/* Touches so many bytes under the limit; how it ended. */
static int touch(const struct memory_limit *m, size_t bytes)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (!memory_limit_enter(m, 0))
            _exit(9);
        char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (size_t i = 0; p != MAP_FAILED && i < bytes; i += 4096)
            ((volatile char *)p)[i] = 1;
        _exit(p == MAP_FAILED);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* Where this account may make no group, what it is told is all there is to see. */
static void process_over_its_limit_is_killed_and_counted(void **state)
{
    (void)state;
    struct memory_limit m;
    struct err e = {0};
    char folder[512];
    if (!memory_limit_make(&m, "ferry-test", 64 << 20, &e)) {
        assert_true(strstr(e.text, "cannot make the control group ") || strstr(e.text, "no control groups"));
        assert_string_equal(m.folder, "");
        print_message("no group can be made here: %s\n", e.text);
        skip();
    }
    snprintf(folder, sizeof folder, "%s", m.folder);
    int within = touch(&m, 16 << 20), over = touch(&m, 256 << 20);
    int kills = memory_limit_kills(&m);
    memory_limit_remove(&m);
    assert_true(WIFEXITED(within) && WEXITSTATUS(within) == 0);
    assert_true(WIFSIGNALED(over) && WTERMSIG(over) == SIGKILL);
    assert_int_equal(kills, 1);
    struct stat st;
    assert_int_equal(stat(folder, &st), -1);
    assert_int_equal(errno, ENOENT);
}

static void zeroed_limit_is_none(void **state)
{
    (void)state;
    struct memory_limit m = {0};
    assert_int_equal(memory_limit_kills(&m), 0);
    memory_limit_remove(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder_of_the_group_is_found_where_the_system_says),
        cmocka_unit_test(folder_too_long_for_its_buffer_is_not_cut),
        cmocka_unit_test(process_over_its_limit_is_killed_and_counted),
        cmocka_unit_test(zeroed_limit_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
