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

/* Looked at before and after: what was written meanwhile is not taken for the entry's bytes. */
static bool local_read(struct store *s, const struct entry *from, uint64_t offset, size_t size, void *into,
                       const volatile sig_atomic_t *stop, struct err *e)
{
    struct stat st;
    (void)s;
    int fd = open(from->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to hang on a fifo */
    if (fd < 0)
        return err_errno(e, "%s", from->name);
    bool ok = (fstat(fd, &st) == 0 || err_errno(e, "%s", from->name)) && check_kind(from->name, &st, e) &&
              is_same(from, &st, e) && read_all(fd, from, offset, size, into, stop, e) &&
              (fstat(fd, &st) == 0 || err_errno(e, "%s", from->name)) && is_same(from, &st, e);
    close(fd);
    return ok;
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

static bool write_whole(struct part_file *f, const void *bytes, size_t size, bool only_new, struct stat *st,
                        struct err *e)
{
    return part_file_write(f, bytes, size, 0, e) && part_file_publish(f, only_new, e) &&
           (fstat(f->fd, st) == 0 || err_errno(e, "%s", f->target));
}

/* Without fsync: of thousands of small files each would wait for the disk. A killed process loses nothing. */
static bool local_put(struct store *s, const char *name, const void *bytes, size_t size,
                      int64_t if_generation, struct arena *a, struct entry *out, struct err *e)
{
    struct part_file f;
    struct stat st;
    (void)s;
    if (!local_check_absent(name, if_generation, e) || !part_file_open(&f, name, false, e))
        return false;
    if (!write_whole(&f, bytes, size, if_generation == STORAGE_ABSENT, &st, e)) {
        part_file_discard(&f);
        return false;
    }
    part_file_close(&f);
    return !out || local_entry_in(a, name, &st, out, e);
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
