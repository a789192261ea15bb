#include "base/crc32c.h"
#include "transfer/engine/copy.h"

#include <stdlib.h>

/* Read, and the CRCs of its ranges. */
static bool read_whole(struct transfer *t, struct copy *c, struct worker *w, struct err *e)
{
    size_t size = (size_t)c->job.source.size;
    if (size && !store_read(c->job.from, &c->job.source, 0, size, w->buffer, NULL, e))
        return false;
    c->range_count = copy_part_ranges(t, size);
    if (!c->ranges)
        c->ranges = calloc((size_t)c->range_count + 1, sizeof *c->ranges);
    if (!c->ranges)
        return err_set(e, ERR_MEMORY, "no memory for checksums");
    copy_range_crcs(t, w->buffer, size, c->ranges);
    return true;
}

static bool hash_whole(struct copy *c, const struct worker *w, struct err *e)
{
    struct digest d = {0};
    if (!c->hashed)
        return true;
    bool ok = digest_start(&d, &c->job.source, "", e);
    if (ok)
        digest_add(&d, w->buffer, (size_t)c->job.source.size);
    ok = ok && digest_end(&d, &c->job.source, c->out.sha256, e);
    digest_clear(&d);
    return ok;
}

/* Read and found to be what the source says. */
static bool fetch(struct transfer *t, struct copy *c, struct worker *w, struct err *e)
{
    return read_whole(t, c, w, e) && hash_whole(c, w, e) &&
           copy_is_source(c, copy_combine(t, c->ranges, c->job.source.size), e);
}

/* It is there. Killed before this is written, it is copied again: no more than is on its way at any time. */
static bool note(struct transfer *t, struct copy *c, const struct entry *there, struct err *e)
{
    const struct journal_start start = {.name = c->job.target,
                                        .identity = c->identity,
                                        .upload_token = "",
                                        .size = c->job.source.size,
                                        .part_bytes = c->part_bytes,
                                        .range_bytes = t->opt.part_bytes};
    const struct journal_seal seal = {c->out.crc32c, c->out.sha256, c->ranges, c->range_count};
    c->out.generation = there->generation;
    return !t->opt.journal || journal_whole(t->opt.journal, &start, &seal, there->generation, e);
}

static bool put(struct transfer *t, struct copy *c, struct worker *w, struct arena *a, struct err *e)
{
    struct entry there = {0};
    size_t size = (size_t)c->job.source.size;
    int64_t precondition = t->opt.skip_existing ? STORAGE_ABSENT : STORAGE_ANY_GENERATION;
    c->out.crc32c = copy_combine(t, c->ranges, size);
    if (!store_put(c->job.to, c->job.target, w->buffer, size, precondition, a, &there, e) ||
        !note(t, c, &there, e))
        return false;
    pthread_mutex_lock(&t->locked.mutex);
    copy_moved_locked(t, c, size, true);
    pthread_mutex_unlock(&t->locked.mutex);
    return true;
}

void small_carry(struct worker *w, struct copy *c)
{
    struct transfer *t = w->t;
    struct arena *a = arena_new(64 << 10);
    struct err e = {0};
    bool there = false, ok = a || err_set(&e, ERR_MEMORY, "no memory for a file");
    ok = ok && known_whole(t, c, w, a, &there, &e);
    if (ok && !there) {
        ok = fetch(t, c, w, &e);
        if (!ok && e.kind == ERR_CORRUPT) /* once more: it may have been the way */
            ok = fetch(t, c, w, &e);
        ok = ok && put(t, c, w, a, &e);
        if (!ok && e.kind == ERR_BUSY && t->opt.skip_existing) /* somebody else's is there now */
            there = ok = true;
    }
    if (!ok)
        err_wrap(&e, "%s", c->job.source.name);
    copy_ended(t, c, !ok ? TRANSFER_FAILED : there ? TRANSFER_SKIPPED : TRANSFER_DONE, &e);
    arena_free(a);
}
