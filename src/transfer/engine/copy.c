#include "transfer/engine/copy.h"

#include "base/crc32c.h"

#include <stdlib.h>
#include <string.h>

uint64_t copy_part_size(const struct copy *c, int part)
{
    uint64_t left = c->job.source.size - (uint64_t)part * c->part_bytes;
    return left < c->part_bytes ? left : c->part_bytes;
}

int copy_part_ranges(const struct transfer *t, uint64_t bytes)
{
    return (int)(bytes / t->opt.part_bytes + (bytes % t->opt.part_bytes != 0));
}

void copy_range_crcs(const struct transfer *t, const void *bytes, size_t size, uint32_t *ranges)
{
    for (size_t at = 0; at < size; at += t->opt.part_bytes) {
        size_t n = size - at < t->opt.part_bytes ? size - at : t->opt.part_bytes;
        *ranges++ = crc32c(0, (const char *)bytes + at, n);
    }
}

uint32_t copy_combine(const struct transfer *t, const uint32_t *ranges, uint64_t bytes)
{
    uint32_t crc = 0;
    while (bytes) {
        uint64_t n = bytes < t->opt.part_bytes ? bytes : t->opt.part_bytes;
        crc = crc32c_combine(crc, *ranges++, n);
        bytes -= n;
    }
    return crc;
}

bool copy_is_source(const struct copy *c, uint32_t crc, struct err *e)
{
    const struct entry *source = &c->job.source;
    char arrived[CRC32C_TEXT], said[CRC32C_TEXT];
    if (!source->has_crc32c || source->crc32c == crc)
        return true;
    crc32c_print(crc, arrived);
    crc32c_print(source->crc32c, said);
    return err_set(e, ERR_CORRUPT, "crc32c of what arrived is %s, of the source %s: nothing was stored",
                   arrived, said);
}

bool copy_sealing(struct transfer *t, struct copy *c, uint32_t crc, struct err *e)
{
    if (!copy_is_source(c, crc, e))
        return false;
    c->out.crc32c = crc;
    struct journal_seal seal = {crc, c->out.sha256, c->ranges, c->range_count};
    return !t->opt.journal || journal_sealing(t->opt.journal, c->job.target, &seal, e);
}

bool copy_done(struct transfer *t, struct copy *c, const struct entry *there, struct err *e)
{
    c->out.generation = there->generation;
    return !t->opt.journal || journal_done(t->opt.journal, c->job.target, there->generation, e);
}

void copy_moved_locked(struct transfer *t, struct copy *c, uint64_t bytes, bool now)
{
    c->locked.done += bytes;
    t->locked.progress.bytes_done += bytes;
    if (now) {
        c->out.moved += bytes;
        t->locked.progress.bytes_moved += bytes;
    }
}

/* When the place itself is the trouble, the next file will fare no better. */
static void count_failure_locked(struct transfer *t, const struct err *e)
{
    if (e->kind == ERR_TRANSIENT || e->kind == ERR_AUTH)
        t->locked.failures_in_row++;
    if (t->locked.first_problem.kind == ERR_NONE)
        t->locked.first_problem = *e;
}

void copy_ended(struct transfer *t, struct copy *c, enum transfer_state state, const struct err *e)
{
    struct err *problem = state == TRANSFER_FAILED ? malloc(sizeof *problem) : NULL;
    if (problem)
        *problem = *e;
    bool there = state == TRANSFER_DONE || state == TRANSFER_SKIPPED;
    if (there && t->opt.want_ranges) {
        c->out.ranges = c->ranges;
        c->out.range_count = c->range_count;
        c->ranges = NULL;
    }
    free(c->ranges);
    c->ranges = NULL;
    pthread_mutex_lock(&t->locked.mutex);
    struct transfer_progress *p = &t->locked.progress;
    c->out.state = state;
    c->out.problem = problem;
    p->files_done += state == TRANSFER_DONE;
    p->files_skipped += state == TRANSFER_SKIPPED;
    p->files_failed += state == TRANSFER_FAILED;
    t->locked.uncopied = true;
    if (there) {
        copy_moved_locked(t, c, c->job.source.size - c->locked.done, false);
        t->locked.failures_in_row = 0;
    } else if (e && state == TRANSFER_FAILED) {
        count_failure_locked(t, e);
    }
    pthread_mutex_unlock(&t->locked.mutex);
}
