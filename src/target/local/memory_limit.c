#include "target/local/memory_limit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROC_BYTES = 64 << 10 };

/* --- where groups lie --- */

static bool has_word(const char *list, size_t size, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; at < list + size;) {
        const char *comma = memchr(at, ',', (size_t)(list + size - at));
        size_t length = (size_t)((comma ? comma : list + size) - at);
        if (length == n && memcmp(at, word, n) == 0)
            return true;
        at += length + 1;
    }
    return false;
}

/* "4:memory:/a/b" (version 1) or "0::/a/b" (version 2): the path behind; NULL: not this line. */
static const char *group_path(const char *line, bool old)
{
    const char *list = strchr(line, ':');
    const char *path = list ? strchr(list + 1, ':') : NULL;
    if (!path)
        return NULL;
    size_t size = (size_t)(path - list - 1);
    return (old ? has_word(list + 1, size, "memory") : size == 0) ? path + 1 : NULL;
}

/* "36 35 98:0 ROOT POINT … - TYPE SOURCE OPTIONS" of such groups. Cuts the line apart. */
static bool is_mount(char *line, bool old, const char **root, const char **point)
{
    char *fields[5] = {0}, *rest = line;
    char *behind = strstr(line, " - "), *save = NULL;
    if (!behind)
        return false;
    *behind = 0;
    for (int i = 0; i < 5; i++, rest = NULL)
        if (!(fields[i] = strtok_r(rest, " ", &save)))
            return false;
    *root = fields[3];
    *point = fields[4];
    const char *type = strtok_r(behind + 3, " ", &save), *source = strtok_r(NULL, " ", &save),
               *options = strtok_r(NULL, " ", &save);
    if (!type || !source || !options)
        return false;
    return old ? strcmp(type, "cgroup") == 0 && has_word(options, strlen(options), "memory")
               : strcmp(type, "cgroup2") == 0;
}

/* Each line of text, cut out, to be passed to who looks for something in it. */
static bool next_line(const char **text, char *line, size_t room)
{
    size_t n = strcspn(*text, "\n");
    if (!**text)
        return false;
    snprintf(line, room, "%.*s", (int)n, *text);
    *text += n + ((*text)[n] != 0);
    return true;
}

static bool find(const char *groups, const char *mounts, bool old, char *folder, size_t room)
{
    char group[1024], mount[4096];
    const char *path = NULL, *root, *point;
    while (!path && next_line(&groups, group, sizeof group))
        path = group_path(group, old);
    while (path && next_line(&mounts, mount, sizeof mount)) {
        if (!is_mount(mount, old, &root, &point))
            continue;
        size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);
        bool beneath = strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == 0);
        const char *rest = beneath && strcmp(path + n, "/") != 0 ? path + n : "";
        return snprintf(folder, room, "%s%s", point, rest) < (int)room;
    }
    return false;
}

bool memory_limit_find(const char *groups, const char *mounts, char *folder, size_t room, bool *old)
{
    *old = true;
    if (find(groups, mounts, true, folder, room))
        return true;
    *old = false;
    return find(groups, mounts, false, folder, room);
}

/* --- files of a group --- */

static int open_in(const char *folder, const char *file, int flags)
{
    char path[600];
    if (snprintf(path, sizeof path, "%s/%s", folder, file) >= (int)sizeof path)
        return errno = ENAMETOOLONG, -1;
    return open(path, flags | O_CLOEXEC);
}

static bool write_text(const char *folder, const char *file, const char *text)
{
    int fd = open_in(folder, file, O_WRONLY);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int problem = errno;
    if (fd >= 0)
        close(fd);
    errno = problem;
    return ok;
}

static bool read_text(int fd, char *text, size_t room)
{
    size_t size = 0;
    for (ssize_t n = 1; fd >= 0 && n > 0 && size + 1 < room; size += n > 0 ? (size_t)n : 0)
        n = read(fd, text + size, room - 1 - size);
    text[size] = 0;
    if (fd >= 0)
        close(fd);
    return size > 0;
}

static bool set_limit(const struct memory_limit *m, uint64_t bytes)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, bytes);
    if (!write_text(m->folder, m->old ? "memory.limit_in_bytes" : "memory.max", text))
        return false;
    /* no swap, as on Cloud Run; where the kernel has no such file there is none to limit */
    (void)!write_text(m->folder, m->old ? "memory.memsw.limit_in_bytes" : "memory.swap.max",
                      m->old ? text : "0");
    return true;
}

/* A group beneath `parent`. */
static bool make_in(struct memory_limit *m, const char *parent, const char *name, uint64_t bytes)
{
    if (snprintf(m->folder, sizeof m->folder, "%s/%s", parent, name) >= (int)sizeof m->folder)
        return errno = ENAMETOOLONG, false;
    if (!m->old)
        (void)!write_text(parent, "cgroup.subtree_control", "+memory"); /* set_limit tells whether it is on */
    if (mkdir(m->folder, 0755) != 0 && errno != EEXIST)
        return false;
    if (set_limit(m, bytes))
        return true;
    int problem = errno;
    rmdir(m->folder);
    errno = problem;
    return false;
}

static bool read_proc(const char *path, char *text)
{
    return read_text(open(path, O_RDONLY | O_CLOEXEC), text, PROC_BYTES);
}

/* This process's own group in `folder`. */
static bool find_own(struct memory_limit *m, char *folder, size_t room, struct err *e)
{
    char *groups = malloc(PROC_BYTES), *mounts = malloc(PROC_BYTES);
    bool ok = groups && mounts && read_proc("/proc/self/cgroup", groups) &&
              read_proc("/proc/self/mountinfo", mounts) &&
              memory_limit_find(groups, mounts, folder, room, &m->old);
    free(groups);
    free(mounts);
    return ok || err_set(e, ERR_UNSUPPORTED, "this system has no control groups for memory");
}

bool memory_limit_make(struct memory_limit *m, const char *name, uint64_t bytes, struct err *e)
{
    char parent[400];
    *m = (struct memory_limit){0};
    if (!find_own(m, parent, sizeof parent, e))
        return false;
    /* In version 2 a group that has processes may pass no limits on: then beside this process's own. */
    bool made = make_in(m, parent, name, bytes);
    char *slash = strrchr(parent, '/');
    if (!made && slash && slash != parent && (errno == ENOENT || errno == EBUSY)) {
        *slash = 0;
        made = make_in(m, parent, name, bytes);
    }
    if (!made)
        err_errno(e, "cannot make the control group %s/%s", parent, name);
    if (!made)
        *m->folder = 0;
    return made;
}

bool memory_limit_enter(const struct memory_limit *m, pid_t pid)
{
    char text[24];
    snprintf(text, sizeof text, "%ld", (long)pid);
    return write_text(m->folder, "cgroup.procs", text);
}

int memory_limit_kills(const struct memory_limit *m)
{
    char text[1024];
    const char *count;
    if (!*m->folder)
        return 0;
    read_text(open_in(m->folder, m->old ? "memory.oom_control" : "memory.events", O_RDONLY), text,
              sizeof text);
    count = strstr(text, "oom_kill ");
    return count ? atoi(count + strlen("oom_kill ")) : 0;
}

void memory_limit_remove(struct memory_limit *m)
{
    if (*m->folder)
        rmdir(m->folder);
    *m->folder = 0;
}
