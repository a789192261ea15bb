#include "target/local/log_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static bool open_file(struct log_file *l, struct err *e)
{
    struct stat st;
    l->fd = openat(l->folder, LOG_FILE_NAME, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (l->fd < 0)
        return err_errno(e, LOG_FILE_NAME);
    l->size = fstat(l->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    return true;
}

bool log_file_open(struct log_file *l, int folder, uint64_t limit, int echo, struct err *e)
{
    *l = (struct log_file){.folder = folder, .limit = limit ? limit : LOG_FILE_BYTES, .echo = echo};
    return open_file(l, e);
}

void log_file_close(struct log_file *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

/* Where it could not be opened again, the next line tries once more. */
static void rotate(struct log_file *l)
{
    if (l->fd >= 0 && renameat(l->folder, LOG_FILE_NAME, l->folder, LOG_FILE_OLD) != 0)
        return;
    log_file_close(l);
    open_file(l, NULL);
}

static void put_line(int fd, const char *line, size_t size)
{
    struct iovec parts[] = {{(void *)(uintptr_t)line, size}, {(void *)(uintptr_t) "\n", 1}};
    ssize_t written = writev(fd, parts, 2);
    (void)written; /* log_file.h says why */
}

void log_file_line(struct log_file *l, const char *line, size_t size)
{
    if (l->size > 0 && l->size + size + 1 > l->limit)
        rotate(l);
    l->size += size + 1;
    if (l->fd >= 0)
        put_line(l->fd, line, size);
    if (l->echo >= 0)
        put_line(l->echo, line, size);
}
