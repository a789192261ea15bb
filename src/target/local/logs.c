#include "target/local/logs.h"

#include "base/stop.h"
#include "target/local/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 100, PIECE = 64 << 10 };

/* Lines being put together from pieces of a file. */
struct reader {
    target_line_fn line;
    void *arg;
    int skip; /* so many lines are not wanted */
    char text[16 << 10];
    size_t size;
};

static bool end_line(struct reader *r, struct err *e)
{
    size_t size = r->size;
    r->size = 0;
    if (r->skip > 0) {
        r->skip--;
        return true;
    }
    return r->line(r->arg, r->text, size, e);
}

static bool take(struct reader *r, const char *bytes, size_t size, struct err *e)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n' || r->size == sizeof r->text)
            if (!end_line(r, e))
                return false;
        if (bytes[i] != '\n')
            r->text[r->size++] = bytes[i];
    }
    return true;
}

/* To the end of the file, from where it is. */
static bool read_on(struct reader *r, int fd, struct err *e)
{
    char piece[PIECE];
    for (ssize_t n; (n = read(fd, piece, sizeof piece)) != 0;) {
        if (n < 0 && errno != EINTR)
            return err_errno(e, "cannot read the log");
        if (n > 0 && !take(r, piece, (size_t)n, e))
            return false;
    }
    return true;
}

static bool count_line(void *arg, const char *line, size_t size, struct err *e)
{
    (void)line, (void)size, (void)e;
    ++*(int *)arg;
    return true;
}

static int open_log(const struct home *p, const char *file)
{
    return openat(p->folder, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

static int lines_in(int fd)
{
    int count = 0;
    struct reader r = {.line = count_line, .arg = &count};
    if (fd >= 0)
        read_on(&r, fd, NULL);
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return count;
}

static bool is_same(int fd, const struct home *p)
{
    struct stat mine, now;
    return fstat(fd, &mine) == 0 && fstatat(p->folder, LOG_FILE_NAME, &now, 0) == 0 &&
           mine.st_ino == now.st_ino;
}

/* When the file is another one now: the rest of the old, then the new from its begin. */
static bool follow(struct reader *reader, struct target_run *r, const struct home *p, int *fd, struct err *e)
{
    while (!stop_wanted(r->stop)) {
        bool same = *fd >= 0 && is_same(*fd, p);
        if (*fd >= 0 && !read_on(reader, *fd, e))
            return false;
        if (!same) {
            int next = open_log(p, LOG_FILE_NAME);
            if (next < 0)
                return true; /* taken down */
            if (*fd >= 0)
                close(*fd);
            *fd = next;
            continue;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000}, NULL);
    }
    return true;
}

bool logs_read(struct target_run *r, const struct home *p, const struct target_log_options *o,
               target_line_fn line, void *arg, struct err *e)
{
    struct reader *reader = calloc(1, sizeof *reader);
    int old = open_log(p, LOG_FILE_OLD), fd = open_log(p, LOG_FILE_NAME);
    int count = lines_in(old) + lines_in(fd);
    bool ok = reader || err_set(e, ERR_MEMORY, "no memory for the log");
    if (ok)
        *reader = (struct reader){.line = line, .arg = arg, .skip = count > o->lines ? count - o->lines : 0};
    ok = ok && (old < 0 || read_on(reader, old, e)) && (fd < 0 || read_on(reader, fd, e)) &&
         (!o->follow || follow(reader, r, p, &fd, e));
    if (old >= 0)
        close(old);
    if (fd >= 0)
        close(fd);
    free(reader);
    return ok;
}
