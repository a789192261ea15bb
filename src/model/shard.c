#include "model/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)8 << 20) /* of one pread: long enough for a disk, short enough to share out */

/* Exactly n bytes. False with *e set: an error, or the file ends before. */
static bool read_at(int fd, void *out, size_t n, uint64_t offset, struct err *e)
{
    for (size_t got = 0; got < n;) {
        ssize_t r = pread(fd, (char *)out + got, n - got, (off_t)(offset + got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return err_errno(e, "read at byte %" PRIu64, offset + got);
        if (r == 0)
            return err_set(e, ERR_CORRUPT,
                           "ends at byte %" PRIu64 ", expected %" PRIu64 ": truncated, fetch it again",
                           offset + got, offset + n);
        got += (size_t)r;
    }
    return true;
}

static bool read_header(struct shard *s, struct err *e)
{
    unsigned char first[SAFETENSORS_LENGTH_BYTES];
    size_t n;
    if (!read_at(s->fd, first, sizeof first, 0, e) || !safetensors_header_bytes(first, s->bytes, &n, e))
        return false;
    char *header = malloc(n + 1);
    if (!header)
        return err_set(e, ERR_MEMORY, "no memory for a header of %zu bytes", n);
    bool ok =
        read_at(s->fd, header, n, sizeof first, e) && safetensors_parse(&s->header, header, n, s->bytes, e);
    free(header);
    return ok;
}

static bool open_file(struct shard *s, const char *folder, struct err *e)
{
    char path[4096 + 256];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", folder, s->name);
    s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to hang on a fifo */
    if (s->fd < 0 || fstat(s->fd, &st) != 0)
        return err_errno(e, "open");
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_CORRUPT, "not a regular file");
    s->bytes = (uint64_t)st.st_size;
    return true;
}

bool shard_open(struct shard *s, const char *folder, const char *name, struct err *e)
{
    *s = (struct shard){.name = name, .fd = -1};
    if (open_file(s, folder, e) && read_header(s, e))
        return true;
    shard_close(s);
    return err_wrap(e, "%s", name);
}

void shard_close(struct shard *s)
{
    if (s->pages.mapping)
        pages_free(&s->pages);
    else if (s->data)
        munmap((void *)(uintptr_t)s->data, s->bytes);
    if (s->fd >= 0)
        close(s->fd);
    safetensors_clear(&s->header);
    *s = (struct shard){.fd = -1};
}

bool shard_in_memory(const struct shard *s)
{
    struct statfs fs;
    return fstatfs(s->fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

bool shards_map(struct shard *shards, size_t count, struct err *e)
{
    for (struct shard *s = shards; s < shards + count; s++) {
        void *p = mmap(NULL, s->bytes, PROT_READ, MAP_PRIVATE, s->fd, 0);
        if (p == MAP_FAILED)
            return err_errno(e, "%s: mmap of %" PRIu64 " bytes", s->name, s->bytes);
        s->data = p;
    }
    return true;
}

/* All pieces of all shards, numbered through; shared by the threads that read. */
struct pieces {
    struct shard *shards;
    size_t *first; /* [count + 1] number of each shard's first piece */
    size_t count;
    _Atomic bool failed; /* e belongs to the thread that set it */
    struct err *e;
};

static bool read_piece(const struct shard *s, size_t piece, struct err *e)
{
    uint64_t begin = piece * (uint64_t)PIECE_BYTES;
    size_t n = s->bytes - begin < PIECE_BYTES ? (size_t)(s->bytes - begin) : PIECE_BYTES;
    unsigned char *out = (unsigned char *)(uintptr_t)s->data;
    bool ok = read_at(s->fd, out + begin, n, begin, e) || err_wrap(e, "%s", s->name);
    posix_fadvise(s->fd, (off_t)begin, (off_t)n, POSIX_FADV_DONTNEED);
    return ok;
}

static void read_pieces(void *arg, size_t begin, size_t end, int thread)
{
    struct pieces *p = arg;
    size_t at = 0;
    (void)thread;
    for (size_t i = begin; i < end && !atomic_load(&p->failed); i++) {
        struct err e = {0};
        while (i >= p->first[at + 1])
            at++;
        if (!read_piece(&p->shards[at], i - p->first[at], &e) && !atomic_exchange(&p->failed, true))
            *p->e = e;
    }
}

bool shards_reserve(struct shard *shards, size_t count, struct err *e)
{
    for (struct shard *s = shards; s < shards + count; s++) {
        if (!pages_alloc(&s->pages, s->bytes, e))
            return err_wrap(e, "%s", s->name);
        s->data = s->pages.data;
    }
    return true;
}

static bool read_all(struct pieces *p, struct pool *pool)
{
    for (size_t i = 0; i < p->count; i++)
        p->first[i + 1] = p->first[i] + (size_t)((p->shards[i].bytes + PIECE_BYTES - 1) / PIECE_BYTES);
    if (pool)
        pool_each(pool, p->first[p->count], 1, read_pieces, p);
    else
        read_pieces(p, 0, p->first[p->count], 0);
    for (size_t i = 0; i < p->count; i++)
        mprotect((void *)(uintptr_t)p->shards[i].data, p->shards[i].bytes, PROT_READ);
    return !atomic_load(&p->failed);
}

bool shards_read(struct shard *shards, size_t count, struct pool *pool, struct err *e)
{
    struct err failure = {0};
    struct pieces p = {.shards = shards, .count = count, .e = &failure};
    p.first = calloc(count + 1, sizeof *p.first);
    if (!p.first)
        return err_set(e, ERR_MEMORY, "no memory to list %zu shards", count);
    bool ok = read_all(&p, pool);
    free(p.first);
    if (!ok && e)
        *e = failure;
    return ok;
}
