#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_regular(const char *path, struct stat *st, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to hang on a fifo */
    if (fd < 0) {
        err_errno(e, "%s", path);
        return -1;
    }
    if (fstat(fd, st) != 0)
        err_errno(e, "%s", path);
    else if (!S_ISREG(st->st_mode))
        err_set(e, ERR_CORRUPT, "%s: not a regular file", path);
    else
        return fd;
    close(fd);
    return -1;
}

bool file_map(struct file_map *m, const char *path, struct err *e)
{
    struct stat st;
    *m = (struct file_map){0};
    int fd = open_regular(path, &st, e);
    if (fd < 0)
        return false;
    bool ok = true;
    if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            ok = err_errno(e, "%s: mmap", path);
        else
            *m = (struct file_map){.data = p, .size = (size_t)st.st_size};
    }
    close(fd);
    return ok;
}

void file_unmap(struct file_map *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->size);
    *m = (struct file_map){0};
}

char *file_read(struct arena *a, const char *path, size_t ceiling, size_t *size, struct err *e)
{
    struct stat st;
    int fd = open_regular(path, &st, e);
    if (fd < 0)
        return NULL;
    char *bytes = NULL;
    if ((size_t)st.st_size > ceiling) {
        err_set(e, ERR_LIMIT, "%s: %lld bytes, at most %zu expected", path, (long long)st.st_size, ceiling);
    } else if (!(bytes = arena_alloc(a, (size_t)st.st_size + 1, 1))) {
        err_set(e, ERR_MEMORY, "%s: no memory for %lld bytes", path, (long long)st.st_size);
    } else {
        size_t got = 0;
        while (got < (size_t)st.st_size) {
            ssize_t n = read(fd, bytes + got, (size_t)st.st_size - got);
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0) {
                err_errno(e, "%s: read", path);
                bytes = NULL;
                break;
            }
            if (n == 0)
                break; /* it shrank meanwhile: what is there is what there is */
            got += (size_t)n;
        }
        if (size)
            *size = got;
    }
    close(fd);
    return bytes;
}

bool file_write(int fd, const void *bytes, size_t size)
{
    const char *from = bytes;
    while (size > 0) {
        ssize_t n = write(fd, from, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        from += n;
        size -= (size_t)n;
    }
    return true;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}
