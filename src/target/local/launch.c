#include "target/local/launch.h"

#include "base/catalog.h"
#include "target/local/environment.h"
#include "target/local/log_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell_began(void *arg)
{
    int fd = *(int *)arg;
    ssize_t n = write(fd, "", 1); /* a \0: no error */
    (void)n;
    close(fd);
}

/* All that Ferry opens is close-on-exec; what is not came from whoever started this program: a lock of a
 * script, say, which must not be held for as long as the service lives. */
static void close_inherited(void)
{
    DIR *d = opendir("/proc/self/fd");
    for (struct dirent *entry; d && (entry = readdir(d));) {
        int fd = atoi(entry->d_name);
        if (fd > STDERR_FILENO && fd != dirfd(d) && fcntl(fd, F_GETFD) == 0)
            close(fd);
    }
    if (d)
        closedir(d);
}

/* A sanitizer's or the C library's last words go to the log. */
static bool leave_terminal(const struct home *p)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log = openat(p->folder, LOG_FILE_NAME, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = null >= 0 && log >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0 &&
              dup2(log, STDERR_FILENO) >= 0;
    if (null >= 0)
        close(null);
    if (log >= 0)
        close(log);
    return ok;
}

/* In the new process; does not return. */
static void become_activator(struct activator_options *o, int told)
{
    struct err e = {0};
    setsid();
    close_inherited();
    bool ok = leave_terminal(o->home) || err_errno(&e, "cannot leave the terminal");
    o->began = tell_began;
    o->arg = &told;
    ok = ok && activator_run(o, &e);
    if (!ok) {
        ssize_t n = write(told, e.text, strlen(e.text));
        (void)n;
    }
    exit(ok ? 0 : 1);
}

/* What the new process says: \0, or what is wrong. */
static bool hear(int fd, struct err *e)
{
    char text[sizeof e->text];
    size_t size = 0;
    for (ssize_t n = 1; n > 0 && size + 1 < sizeof text; size += n > 0 ? (size_t)n : 0)
        n = read(fd, text + size, sizeof text - 1 - size);
    text[size] = 0;
    if (size == 1 && !*text)
        return true;
    return err_set(e, ERR_IO, "%s", *text ? text : _("the activator ended before it began"));
}

/* Two forks: the activator is no child of this process, which need not wait for it. */
static void fork_activator(struct activator_options *o, int told, int not_for_it)
{
    pid_t pid = fork();
    if (pid == 0) {
        close(not_for_it);
        become_activator(o, told);
    }
    _exit(pid > 0 ? 0 : 1);
}

bool launch_activator(struct activator_options *o, int lock, int not_for_it, struct err *e)
{
    int ends[2] = {-1, -1};
    bool ok = pipe2(ends, O_CLOEXEC) == 0 || err_errno(e, "pipe");
    fflush(NULL);
    pid_t pid = ok ? fork() : -1;
    if (pid == 0) {
        close(ends[0]);
        fork_activator(o, ends[1], not_for_it);
    }
    if (ok)
        close(ends[1]);
    ok = ok && ((pid > 0 && waitpid(pid, NULL, 0) == pid) || err_errno(e, "cannot start a process")) &&
         hear(ends[0], e);
    if (ends[0] >= 0)
        close(ends[0]);
    close(lock);
    close(o->listener);
    spec_clear(o->spec);
    environment_free(o->environment);
    return ok;
}
