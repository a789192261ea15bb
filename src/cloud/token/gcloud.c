/* gcloud.c: tokens by way of the gcloud program, which knows every kind of login. */
#include "cloud/token/mint.h"

#include "base/catalog.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* gcloud renews before it prints but does not say until when; the usual hour less a margin. */
enum { ASSUMED_SECONDS = 45 * 60 };

/* One stream of the child: what fits is kept, the rest is read and dropped. */
struct stream {
    int fd; /* our end; -1 at its end */
    char text[TOKEN_MAX_BYTES];
    size_t size;
};

bool gcloud_is_there(void)
{
    const char *path = getenv("PATH");
    char file[4096];
    while (path && *path) {
        size_t n = strcspn(path, ":");
        if (n && snprintf(file, sizeof file, "%.*s/gcloud", (int)n, path) < (int)sizeof file &&
            access(file, X_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

static void read_some(struct stream *s)
{
    char dropped[512];
    size_t room = sizeof s->text - 1 - s->size;
    ssize_t n = room ? read(s->fd, s->text + s->size, room) : read(s->fd, dropped, sizeof dropped);
    if (n > 0 && room)
        s->size += (size_t)n;
    if (n > 0 || (n < 0 && errno == EINTR))
        return;
    close(s->fd);
    s->fd = -1;
}

/* Until both are at their end. False: the time is up. */
static bool read_both(struct stream s[2], uint64_t deadline_ns)
{
    while (s[0].fd >= 0 || s[1].fd >= 0) {
        struct pollfd p[2] = {{.fd = s[0].fd, .events = POLLIN}, {.fd = s[1].fd, .events = POLLIN}};
        uint64_t now = clock_ns();
        if (now >= deadline_ns)
            return false;
        if (poll(p, 2, (int)((deadline_ns - now) / 1000000) + 1) < 0 && errno != EINTR)
            return false;
        for (int i = 0; i < 2; i++)
            if (s[i].fd >= 0 && p[i].revents)
                read_some(&s[i]);
    }
    return true;
}

/* In a process group of its own, so that a timeout reaches the Python below the shell script, too. */
static int start(enum mint_kind kind, pid_t *pid, int out, int err)
{
    static char name[] = "gcloud", auth[] = "auth", access_verb[] = "print-access-token",
                identity_verb[] = "print-identity-token", quiet[] = "--quiet";
    char *argv[] = {name, auth, kind == MINT_IDENTITY ? identity_verb : access_verb, quiet, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, err, 2);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    int failed = posix_spawnp(pid, name, &files, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

/* gcloud's complaint without its "ERROR: (…) " and what follows the first line. */
static void first_line(char *text)
{
    text[strcspn(text, "\n")] = 0;
}

/* Whoever closed both pipes has ended or soon will; who does not is killed. */
static int reap(pid_t pid, uint64_t deadline_ns)
{
    int status = 0;
    for (;;) {
        pid_t done = waitpid(pid, &status, WNOHANG);
        if (done == pid)
            return status;
        if (done < 0 && errno != EINTR)
            return -1;
        if (clock_ns() >= deadline_ns)
            kill(-pid, SIGKILL);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
}

static bool take_answer(struct stream s[2], bool in_time, int status, struct minted *out, struct err *e)
{
    s[0].text[s[0].size] = s[1].text[s[1].size] = 0;
    first_line(s[0].text);
    first_line(s[1].text);
    if (!in_time)
        return err_set(e, ERR_AUTH, "it did not answer in time; try it yourself");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(e, ERR_AUTH, "%.300s; log in with `gcloud auth login`",
                       s[1].size ? s[1].text : _("it failed without a word"));
    out->seconds = ASSUMED_SECONDS;
    return mint_keep(out, s[0].text, e);
}

bool mint_gcloud(enum mint_kind kind, int timeout_ms, struct minted *out, struct err *e)
{
    int a[2], b[2];
    pid_t pid = 0;
    struct stream s[2] = {{.fd = -1}, {.fd = -1}};
    uint64_t deadline = clock_ns() + (uint64_t)timeout_ms * 1000000;

    if (pipe2(a, O_CLOEXEC) != 0)
        return err_errno(e, "pipe");
    if (pipe2(b, O_CLOEXEC) != 0) {
        err_errno(e, "pipe");
        close(a[0]), close(a[1]);
        return false;
    }
    errno = start(kind, &pid, a[1], b[1]);
    close(a[1]), close(b[1]);
    if (errno != 0) {
        close(a[0]), close(b[0]);
        return err_errno(e, "cannot start gcloud");
    }
    s[0].fd = a[0], s[1].fd = b[0];
    bool in_time = read_both(s, deadline);
    if (!in_time)
        kill(-pid, SIGKILL);
    for (int i = 0; i < 2; i++)
        if (s[i].fd >= 0)
            close(s[i].fd);
    int status = reap(pid, deadline);
    bool ok = take_answer(s, in_time, status, out, e) ||
              err_wrap(e, "gcloud auth print-%s-token", kind == MINT_IDENTITY ? "identity" : "access");
    explicit_bzero(s, sizeof s);
    return ok;
}
