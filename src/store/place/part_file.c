#include "store/place/part_file.h"

#include "base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static bool out_of_memory(const char *target, struct err *e)
{
    return err_set(e, ERR_MEMORY, "%s: no memory for its name", target);
}

/* --- names --- */

static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

static char *temp_name(const char *target)
{
    size_t folder = folder_length(target), leaf = strlen(target) - folder;
    char *temp = NULL;
    int n;
    if (leaf + sizeof "." PART_FILE_END - 1 <= NAME_MAX)
        n = asprintf(&temp, "%.*s.%s" PART_FILE_END, (int)folder, target, target + folder);
    else /* a name so long has no room for more */
        n = asprintf(&temp, "%.*s.%08x-%zu" PART_FILE_END, (int)folder, target,
                     crc32c(0, target + folder, leaf), leaf);
    return n < 0 ? NULL : temp;
}

bool part_file_is(const char *leaf)
{
    size_t n = strlen(leaf), end = sizeof PART_FILE_END - 1;
    return leaf[0] == '.' && n > end && strcmp(leaf + n - end, PART_FILE_END) == 0;
}

uint64_t part_file_held(const char *target)
{
    char *temp = temp_name(target);
    struct stat st;
    bool there = temp && stat(temp, &st) == 0 && S_ISREG(st.st_mode);
    free(temp);
    return there ? (uint64_t)st.st_blocks * 512 : 0; /* POSIX: of 512 bytes, whatever the disk's are */
}

/* --- opening --- */

static bool check_target(const char *target, struct err *e)
{
    struct stat st;
    size_t n = strlen(target);
    if (n == 0 || target[n - 1] == '/')
        return err_set(e, ERR_USAGE, "%s: the name of a folder, expected that of a file",
                       n ? target : "\"\"");
    if (stat(target, &st) != 0)
        return true; /* what is wrong with its folder shows when it is opened */
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_USAGE, "%s: a folder of that name is there", target);
    return S_ISREG(st.st_mode) ||
           err_set(e, ERR_UNSUPPORTED, "%s: not a regular file, so it cannot be replaced by one", target);
}

static bool make_folders(const char *target, struct err *e)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s", target) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return err_errno(e, "%.100s…", target);
    }
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return err_errno(e, "%s", path);
        *slash = '/';
    }
    return true;
}

static int open_temp(const struct part_file *f, bool create)
{
    return open(f->temp, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (create ? O_CREAT : 0), 0666);
}

/* The one who had the lock before may have given the file its final name meanwhile. *size: what is in it. */
static bool still_named(const struct part_file *f, off_t *size)
{
    struct stat open_one, named;
    if (fstat(f->fd, &open_one) != 0 || lstat(f->temp, &named) != 0)
        return false;
    *size = open_one.st_size;
    return open_one.st_ino == named.st_ino && open_one.st_dev == named.st_dev;
}

static bool open_once(struct part_file *f, bool keep, struct err *e)
{
    f->fd = open_temp(f, !keep);
    if (f->fd < 0 && errno == ENOENT && !keep) {
        if (!make_folders(f->target, e))
            return false;
        f->fd = open_temp(f, true);
    }
    if (f->fd < 0)
        return err_errno(e, "%s", f->target);
    /* some file systems have no locks: then two writers are the user's to avoid */
    if (flock(f->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return err_set(e, ERR_BUSY, "%s: somebody else is writing it just now", f->target);
    return true;
}

static bool open_locked(struct part_file *f, bool keep, struct err *e)
{
    enum { TRIES = 100 };
    for (int i = 0; i < TRIES; i++) {
        off_t size;
        if (!open_once(f, keep, e))
            return false;
        if (still_named(f, &size))
            return keep || size == 0 || ftruncate(f->fd, 0) == 0 || err_errno(e, "%s", f->target);
        close(f->fd);
        f->fd = -1;
    }
    return err_set(e, ERR_BUSY, "%s: others keep writing it", f->target);
}

bool part_file_open(struct part_file *f, const char *target, bool keep, struct err *e)
{
    *f = (struct part_file){.fd = -1};
    if (!check_target(target, e))
        return false;
    f->target = strdup(target);
    f->temp = temp_name(target);
    if (!f->target || !f->temp)
        out_of_memory(target, e);
    else if (open_locked(f, keep, e))
        return true;
    part_file_close(f);
    return false;
}

void part_file_close(struct part_file *f)
{
    if (f->temp && f->fd >= 0)
        close(f->fd);
    free(f->target);
    free(f->temp);
    *f = (struct part_file){.fd = -1};
}

void part_file_discard(struct part_file *f)
{
    if (f->temp)
        unlink(f->temp); /* before the lock goes */
    part_file_close(f);
}

/* --- bytes --- */

static bool disk_full(const struct part_file *f, uint64_t wanted, struct err *e)
{
    struct statvfs v;
    unsigned long long need = wanted;
    if (fstatvfs(f->fd, &v) != 0)
        return err_set(e, ERR_IO, "%s: the disk is full: %llu bytes needed", f->target, need);
    return err_set(e, ERR_IO, "%s: the disk is full: %llu bytes needed, %llu free", f->target, need,
                   (unsigned long long)v.f_bavail * v.f_frsize);
}

static bool write_failed(const struct part_file *f, uint64_t wanted, struct err *e)
{
    if (errno == ENOSPC)
        return disk_full(f, wanted, e);
    return err_errno(e, "%s", f->target);
}

static bool fits(const struct part_file *f, uint64_t size)
{
    struct statvfs v;
    return fstatvfs(f->fd, &v) != 0 || size <= (uint64_t)v.f_bavail * v.f_frsize;
}

bool part_file_reserve(struct part_file *f, uint64_t size, struct err *e)
{
    int rc;
    if (size == 0)
        return true;
    do
        rc = fallocate(f->fd, 0, 0, (off_t)size);
    while (rc != 0 && errno == EINTR);
    if (rc == 0)
        return true;
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
        return write_failed(f, size, e);
    if (!fits(f, size))
        return disk_full(f, size, e);
    return ftruncate(f->fd, (off_t)size) == 0 || write_failed(f, size, e);
}

bool part_file_write(struct part_file *f, const void *bytes, size_t size, uint64_t offset, struct err *e)
{
    const char *from = bytes;
    while (size > 0) {
        ssize_t n = pwrite(f->fd, from, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return write_failed(f, size, e);
        from += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return true;
}

bool part_file_read(struct part_file *f, void *bytes, size_t size, uint64_t offset, struct err *e)
{
    char *to = bytes;
    while (size > 0) {
        ssize_t n = pread(f->fd, to, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, "%s", f->temp);
        if (n == 0)
            return err_set(e, ERR_CORRUPT, "%s: shorter than it was", f->temp);
        to += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return true;
}

/* --- publishing --- */

void part_file_start_writing(struct part_file *f, uint64_t offset, uint64_t size)
{
    (void)sync_file_range(f->fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
}

bool part_file_finish(struct part_file *f, uint64_t size, struct err *e)
{
    return (ftruncate(f->fd, (off_t)size) == 0 && fsync(f->fd) == 0) || write_failed(f, size, e);
}

void part_file_sync_name(const struct part_file *f)
{
    char folder[PATH_MAX];
    int n = snprintf(folder, sizeof folder, "%.*s.", (int)folder_length(f->target), f->target);
    int fd = n < (int)sizeof folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* Without RENAME_NOREPLACE (some network file systems) a hard link does the same. */
static int rename_new(const struct part_file *f)
{
    int rc = renameat2(AT_FDCWD, f->temp, AT_FDCWD, f->target, RENAME_NOREPLACE);
    if (rc == 0 || (errno != EINVAL && errno != ENOSYS))
        return rc;
    rc = link(f->temp, f->target);
    if (rc == 0)
        unlink(f->temp);
    return rc;
}

bool part_file_publish(struct part_file *f, bool only_new, struct err *e)
{
    if ((only_new ? rename_new(f) : rename(f->temp, f->target)) == 0)
        return true;
    if (only_new && errno == EEXIST)
        return err_set(e, ERR_BUSY, "%s: is there already", f->target);
    return err_errno(e, "%s", f->target);
}
