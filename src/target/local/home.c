#include "target/local/home.h"

#include "base/file.h"
#include "base/stop.h"
#include "target/local/log_file.h"
#include "target/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_BYTES = 1 << 20, WAIT_MS = 50 };

static const char *const files[] = {"service.json", "service.json.new", "state.json", "state.json.new",
                                    "control",      LOG_FILE_NAME,      LOG_FILE_OLD, "lock",
                                    "deploy.lock"};

/* --- the folder --- */

bool home_root(char *out, struct err *e)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;
    if (state && *state == '/') /* a relative one is to be ignored, says the XDG specification */
        n = snprintf(out, HOME_PATH, "%s/ferry/local", state);
    else if (home && *home == '/')
        n = snprintf(out, HOME_PATH, "%s/.local/state/ferry/local", home);
    else
        return err_set(e, ERR_USAGE,
                       "no place for what is known of local services: set HOME or "
                       "XDG_STATE_HOME");
    return n < HOME_PATH - 64 ||
           err_set(e, ERR_USAGE, "the path of the folder for local services is too long");
}

static bool make_folders(const char *path, struct err *e)
{
    char part[HOME_PATH];
    for (size_t n = 1; path[n - 1]; n++) {
        if (path[n] != '/' && path[n] != 0)
            continue;
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return err_errno(e, "%s", part);
    }
    return true;
}

bool home_open(struct home *p, const char *name, bool make, struct err *e)
{
    char root[HOME_PATH];
    p->folder = -1;
    if (!target_check_name(name, e) || !home_root(root, e))
        return false;
    snprintf(p->path, sizeof p->path, "%.440s/%s", root, name);
    if (make && !make_folders(p->path, e))
        return false;
    p->folder = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (p->folder >= 0)
        return true;
    if (errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, "there is no local service \"%s\"", name);
    return err_errno(e, "%s", p->path);
}

void home_close(struct home *p)
{
    if (p->folder >= 0)
        close(p->folder);
    p->folder = -1;
}

bool home_remove(struct home *p, struct err *e)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (unlinkat(p->folder, files[i], 0) != 0 && errno != ENOENT)
            return err_errno(e, "%s/%s", p->path, files[i]);
    return rmdir(p->path) == 0 || err_errno(e, "%s", p->path);
}

/* --- locks --- */

/* The file that has this name still: another process may remove it between open and lock. */
static bool is_there(const struct home *p, const char *file, int fd)
{
    struct stat mine, now;
    return fstat(fd, &mine) == 0 && fstatat(p->folder, file, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           mine.st_ino == now.st_ino && mine.st_dev == now.st_dev;
}

int home_lock(const struct home *p, const char *file, struct err *e)
{
    int fd = openat(p->folder, file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        err_errno(e, "%s/%s", p->path, file);
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_there(p, file, fd))
        return fd;
    err_set(e, ERR_BUSY, "%s/%s is held by another process", p->path, file);
    close(fd);
    return -1;
}

int home_lock_wait(const struct home *p, const char *file, const volatile sig_atomic_t *stop,
                   void (*waits)(void *arg), void *arg, struct err *e)
{
    struct err problem = {0};
    int fd;
    while ((fd = home_lock(p, file, &problem)) < 0 && problem.kind == ERR_BUSY && !stop_wanted(stop)) {
        if (waits)
            waits(arg);
        waits = NULL;
        nanosleep(&(struct timespec){.tv_nsec = WAIT_MS * 1000000}, NULL);
        problem = (struct err){0};
    }
    if (fd < 0 && problem.kind == ERR_BUSY)
        err_set(&problem, ERR_CANCELLED, "interrupted");
    if (fd < 0)
        *e = problem;
    return fd;
}

bool home_is_locked(const struct home *p, const char *file)
{
    int fd = openat(p->folder, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0;
    if (fd >= 0)
        close(fd);
    return locked;
}

/* --- files --- */

static bool replace_file(const struct home *p, const char *file, const char *text, struct err *e)
{
    char fresh[64];
    snprintf(fresh, sizeof fresh, "%s.new", file);
    int fd = openat(p->folder, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok =
        fd >= 0 && file_write(fd, text, strlen(text)) && renameat(p->folder, fresh, p->folder, file) == 0;
    if (!ok)
        err_errno(e, "%s/%s", p->path, file);
    if (fd >= 0)
        close(fd);
    return ok;
}

bool home_write_json(const struct home *p, const char *file, const json_t *json, struct err *e)
{
    char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    bool ok = text ? replace_file(p, file, text, e) : err_set(e, ERR_MEMORY, "%s: no memory", file);
    free(text);
    return ok;
}

json_t *home_read_json(const struct home *p, const char *file, struct err *e)
{
    json_error_t problem;
    struct stat st;
    json_t *json = NULL;
    int fd = openat(p->folder, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        err_errno(e, "%s/%s", p->path, file);
    else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_BYTES)
        err_set(e, ERR_CORRUPT, "%s/%s: no file of at most %d bytes", p->path, file, MAX_BYTES);
    else if (!(json = json_loadfd(fd, JSON_REJECT_DUPLICATES, &problem)))
        err_set(e, ERR_CORRUPT, "%s/%s: %s", p->path, file, problem.text);
    if (fd >= 0)
        close(fd);
    return json;
}

bool home_read_spec(const struct home *p, struct spec *s, struct err *e)
{
    json_t *json = home_read_json(p, "service.json", e);
    *s = (struct spec){0};
    if (!json)
        return false;
    bool ok = spec_take(s, json, e) || err_wrap(e, "%s/service.json", p->path);
    json_decref(json);
    return ok;
}

void home_control(const struct home *p, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/control", p->folder);
}

/* --- processes --- */

unsigned long long process_begun(long pid)
{
    char path[40], text[1024];
    unsigned long long begun = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = 0;
    if (f)
        fclose(f);
    /* the 22nd field; the second one, the name, may contain anything, and ends with the last ")" */
    const char *rest = strrchr(text, ')');
    for (int field = 2; rest && field < 22; field++)
        rest = strchr(rest + 1, ' ');
    if (rest)
        begun = strtoull(rest, NULL, 10);
    return begun;
}

bool process_is_alive(const struct process *p)
{
    return p->pid > 0 && p->begun > 0 && process_begun(p->pid) == p->begun;
}
