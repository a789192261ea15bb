#include "store/place/local.h"

#include "base/stop.h"
#include "store/place/local_list.h"
#include "store/place/part_file.h"
#include "store/place/place.h"
#include "store/upload/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* --- entries --- */

int64_t local_generation(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

void local_entry(const struct stat *st, char updated[LOCAL_UPDATED], struct entry *out)
{
    struct tm tm;
    *updated = 0;
    if (gmtime_r(&st->st_mtim.tv_sec, &tm) &&
        strftime(updated, LOCAL_UPDATED, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        *updated = 0;
    *out =
        (struct entry){.size = (uint64_t)st->st_size, .generation = local_generation(st), .updated = updated};
}

bool local_entry_in(struct arena *a, const char *name, const struct stat *st, struct entry *out,
                    struct err *e)
{
    char *updated = arena_alloc(a, LOCAL_UPDATED, 1), *copy = arena_strndup(a, name, strlen(name));
    if (!updated || !copy)
        return err_set(e, ERR_MEMORY, "%s: no memory for what is known of it", name);
    local_entry(st, updated, out);
    out->name = copy;
    return true;
}

static bool check_kind(const char *name, const struct stat *st, struct err *e)
{
    if (S_ISREG(st->st_mode))
        return true;
    if (S_ISDIR(st->st_mode))
        return err_set(e, ERR_NOT_FOUND, "%s: a folder, not a file", name);
    return err_set(e, ERR_UNSUPPORTED, "%s: neither a file nor a folder", name);
}

/* stat, with "not there" for every way of not being there. */
static bool stat_file(const char *name, struct stat *st, struct err *e)
{
    if (stat(name, st) == 0)
        return check_kind(name, st, e);
    if (errno == ENOTDIR)
        return err_set(e, ERR_NOT_FOUND, "%s: No such file or directory", name);
    return err_errno(e, "%s", name);
}

static bool local_stat(struct store *s, const char *name, struct arena *a, struct entry *out, struct err *e)
{
    struct stat st;
    (void)s;
    return stat_file(name, &st, e) && local_entry_in(a, name, &st, out, e);
}

/* --- reading --- */

static bool is_same(const struct entry *from, const struct stat *st, struct err *e)
{
    if ((uint64_t)st->st_size == from->size && local_generation(st) == from->generation)
        return true;
    return err_set(e, ERR_BUSY, "%s: has changed since it was listed", from->name);
}

static bool read_all(int fd, const struct entry *from, uint64_t offset, size_t size, char *into,
                     const volatile sig_atomic_t *stop, struct err *e)
{
    while (size > 0) {
        if (stop_wanted(stop))
            return err_set(e, ERR_CANCELLED, "%s: interrupted", from->name);
        ssize_t n = pread(fd, into, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, "%s", from->name);
        if (n == 0)
            return err_set(e, ERR_BUSY, "%s: has changed since it was listed", from->name);
        into += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return true;
}

static int open_to_read(const char *name)
{
    return open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to hang on a fifo */
}

/* Looked at before and after: what was written meanwhile is not taken for the entry's bytes. */
static bool local_read(struct store *s, const struct entry *from, uint64_t offset, size_t size, void *into,
                       const volatile sig_atomic_t *stop, struct err *e)
{
    struct stat st;
    (void)s;
    int fd = open_to_read(from->name);
    if (fd < 0)
        return err_errno(e, "%s", from->name);
    bool ok = (fstat(fd, &st) == 0 || err_errno(e, "%s", from->name)) && check_kind(from->name, &st, e) &&
              is_same(from, &st, e) && read_all(fd, from, offset, size, into, stop, e) &&
              (fstat(fd, &st) == 0 || err_errno(e, "%s", from->name)) && is_same(from, &st, e);
    close(fd);
    return ok;
}

static bool local_read_changed(struct store *s, const char *name, int64_t known, void *into, size_t room,
                               const volatile sig_atomic_t *stop, struct store_change *out, struct err *e)
{
    struct stat st;
    if (!stat_file(name, &st, e))
        return false;
    const struct entry now = {
        .name = name, .size = (uint64_t)st.st_size, .generation = local_generation(&st)};
    if (now.generation == known)
        return true;
    *out = (struct store_change){.changed = true, .generation = now.generation, .size = now.size};
    return now.size > room || local_read(s, &now, 0, (size_t)now.size, into, stop, e);
}

/* --- writing --- */

static bool local_remove(struct store *s, const struct entry *what, struct err *e)
{
    struct stat st;
    (void)s;
    if (!stat_file(what->name, &st, e) || !is_same(what, &st, e))
        return false;
    return unlink(what->name) == 0 || err_errno(e, "%s", what->name);
}

bool local_check_absent(const char *name, int64_t if_generation, struct err *e)
{
    struct stat st;
    if (if_generation != STORAGE_ABSENT || lstat(name, &st) != 0)
        return true;
    return err_set(e, ERR_BUSY, "%s: is there already", name);
}

/* A file that is replaced only as long as it is the one that was looked at: locked, so that of two processes
 * one comes after the other and sees that it is no longer there. */
struct replaced {
    int fd; /* -1: no matter which */
    int64_t generation;
};

static bool still_there(const char *name, const struct stat *locked, int64_t generation, struct err *e)
{
    struct stat st;
    if (stat(name, &st) == 0 && st.st_dev == locked->st_dev && st.st_ino == locked->st_ino &&
        local_generation(locked) == generation)
        return true;
    return err_set(e, ERR_BUSY, "%s: has changed meanwhile", name);
}

static bool replaced_open(struct replaced *r, const char *name, int64_t generation, struct err *e)
{
    struct stat st;
    *r = (struct replaced){.fd = -1, .generation = generation};
    if (generation == STORAGE_ANY_GENERATION || generation == STORAGE_ABSENT)
        return local_check_absent(name, generation, e);
    r->fd = open_to_read(name);
    if (r->fd < 0 && errno == ENOENT)
        return err_set(e, ERR_BUSY, "%s: is gone meanwhile", name);
    if (r->fd < 0)
        return err_errno(e, "%s", name);
    /* some file systems have no locks: then two writers are the user's to avoid */
    (void)flock(r->fd, LOCK_EX);
    return (fstat(r->fd, &st) == 0 || err_errno(e, "%s", name)) && still_there(name, &st, generation, e);
}

static void replaced_close(const struct replaced *r)
{
    if (r->fd >= 0)
        close(r->fd);
}

/* Two files written within one tick of the clock have the same time: another generation must differ. */
static bool set_later(const struct part_file *f, const struct replaced *r, struct stat *st, struct err *e)
{
    if (fstat(f->fd, st) != 0)
        return err_errno(e, "%s", f->target);
    if (r->fd < 0 || local_generation(st) > r->generation)
        return true;
    int64_t later = r->generation + 1;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = later / 1000000000, .tv_nsec = later % 1000000000}};
    return (futimens(f->fd, times) == 0 && fstat(f->fd, st) == 0) || err_errno(e, "%s", f->target);
}

static bool write_whole(struct part_file *f, const struct replaced *r, const void *bytes, size_t size,
                        bool only_new, struct stat *st, struct err *e)
{
    return part_file_write(f, bytes, size, 0, e) && set_later(f, r, st, e) &&
           part_file_publish(f, only_new, e);
}

/* Without fsync: of thousands of small files each would wait for the disk. A killed process loses nothing. */
static bool local_put(struct store *s, const char *name, const void *bytes, size_t size,
                      int64_t if_generation, struct arena *a, struct entry *out, struct err *e)
{
    struct replaced r;
    struct part_file f = {.fd = -1};
    struct stat st;
    (void)s;
    bool ok = replaced_open(&r, name, if_generation, e) && part_file_open(&f, name, false, e);
    if (ok) {
        ok = write_whole(&f, &r, bytes, size, if_generation == STORAGE_ABSENT, &st, e);
        if (!ok)
            part_file_discard(&f);
    }
    part_file_close(&f);
    replaced_close(&r);
    return ok && (!out || local_entry_in(a, name, &st, out, e));
}

static struct upload *local_begin(struct store *s, const struct upload_spec *spec, const char *resume,
                                  struct err *e)
{
    (void)s;
    return local_upload_begin(spec, resume, e);
}

static bool list(struct store *s, const char *prefix, enum store_depth depth, entry_fn fn, void *arg,
                 struct err *e)
{
    (void)s;
    return local_list(prefix, depth, fn, arg, e);
}

static void local_close(struct store *s)
{
    free(s);
}

struct store *local_open(struct err *e)
{
    static const struct store_kind kind = {.list = list,
                                           .stat = local_stat,
                                           .read = local_read,
                                           .read_changed = local_read_changed,
                                           .remove = local_remove,
                                           .put = local_put,
                                           .begin = local_begin,
                                           .close = local_close};
    struct store *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_MEMORY, "no memory for a store");
        return NULL;
    }
    s->kind = &kind;
    s->uri = (struct uri){.scheme = URI_LOCAL, .path = ""};
    return s;
}
