#include "transfer/engine/copy.h"

#include "base/crc32c.h"

#include <stdlib.h>
#include <string.h>

const struct journal_file *known_file(const struct transfer *t, const struct copy *c)
{
    const struct journal_file *k = t->opt.journal ? journal_find(t->opt.journal, c->job.target) : NULL;
    if (!k || strcmp(k->start.identity, c->identity) != 0 || k->start.size != c->job.source.size ||
        k->start.range_bytes != t->opt.part_bytes || k->start.part_bytes != c->part_bytes)
        return NULL;
    if (c->hashed && k->sealing && !*k->seal.sha256)
        return NULL; /* made by a run that did not ask */
    return k;
}

static bool take_seal(struct copy *c, const struct journal_seal *seal, struct err *e)
{
    c->ranges = calloc((size_t)seal->range_count + 1, sizeof *c->ranges);
    if (!c->ranges)
        return err_set(e, ERR_MEMORY, "no memory for checksums");
    if (seal->range_count)
        memcpy(c->ranges, seal->ranges, (size_t)seal->range_count * sizeof *c->ranges);
    c->range_count = seal->range_count;
    c->out.crc32c = seal->crc32c;
    memcpy(c->out.sha256, seal->sha256, strlen(seal->sha256) + 1);
    return true;
}

/* False, without an error, when nothing has that name. */
static bool stat_target(const struct copy *c, struct arena *a, struct entry *out, bool *there, struct err *e)
{
    *there = store_stat(c->job.to, c->job.target, a, out, e);
    if (*there || e->kind != ERR_NOT_FOUND)
        return *there;
    *e = (struct err){0};
    return true;
}

bool known_whole(struct transfer *t, struct copy *c, struct worker *w, struct arena *a, bool *there,
                 struct err *e)
{
    (void)w;
    struct entry target;
    const struct journal_file *k = known_file(t, c);
    bool done = k && k->done, found;
    *there = false;
    if (!t->opt.skip_existing && !done)
        return true;
    if (!stat_target(c, a, &target, &found, e))
        return false;
    if (!found)
        return true;
    if (done && target.size == c->job.source.size && target.generation == k->generation) {
        *there = true;
        c->out.generation = target.generation;
        return take_seal(c, &k->seal, e);
    }
    if (!t->opt.skip_existing)
        return true;
    *there = true;
    c->out.generation = target.generation;
    c->out.crc32c = target.crc32c;
    return true;
}

/* The CRC of a file in a place that does not say it. */
static bool read_crc(struct transfer *t, const struct copy *c, const struct entry *target, struct worker *w,
                     uint32_t *crc, struct err *e)
{
    *crc = 0;
    for (uint64_t at = 0; at < target->size;) {
        size_t n = target->size - at < w->room ? (size_t)(target->size - at) : w->room;
        if (!store_read(c->job.to, target, at, n, w->buffer, t->opt.stop, e))
            return err_wrap(e, "reading it again");
        *crc = crc32c(*crc, w->buffer, n);
        at += n;
    }
    return true;
}

/* Killed after it was sealed and before that was written down: it is there, if what is there is it. */
static bool sealed_before(struct transfer *t, struct copy *c, const struct journal_file *k, struct worker *w,
                          struct arena *a, bool *there, struct err *e)
{
    struct entry target;
    uint32_t crc;
    bool found;
    *there = false;
    if (!stat_target(c, a, &target, &found, e))
        return false;
    if (!found || target.size != c->job.source.size)
        return true;
    crc = target.crc32c;
    if (!target.has_crc32c && !read_crc(t, c, &target, w, &crc, e))
        return false;
    if (crc != k->seal.crc32c)
        return true;
    *there = true;
    return take_seal(c, &k->seal, e) && copy_done(t, c, &target, e);
}

/* --- going on with an upload --- */

static bool make_room(struct transfer *t, struct copy *c, struct err *e)
{
    c->range_count = copy_part_ranges(t, c->job.source.size);
    c->ranges = calloc((size_t)c->range_count + 1, sizeof *c->ranges);
    c->earlier = calloc((size_t)c->parts + 1, sizeof *c->earlier);
    return (c->ranges && c->earlier) || err_set(e, ERR_MEMORY, "no memory for checksums");
}

static uint32_t *part_ranges(const struct transfer *t, const struct copy *c, int part)
{
    return c->ranges + (size_t)part * (c->part_bytes / t->opt.part_bytes);
}

/* Which parts are there, and what they are. */
static void take_parts(struct transfer *t, struct copy *c, const struct journal_file *k)
{
    for (int i = 0; k->parts && i < c->parts; i++) {
        const struct journal_part *p = &k->parts[i];
        if (!p->there || !upload_has(c->upload, i))
            continue;
        memcpy(part_ranges(t, c, i), p->ranges, (size_t)p->range_count * sizeof *p->ranges);
        c->earlier[i].stored = true;
        c->earlier[i].crc32c = copy_combine(t, p->ranges, copy_part_size(c, i));
    }
}

/* Parts that need not be read again: those at the beginning, and the hash at their end must be known. Never
 * the last one: its reader compares the hash and lets the file be sealed. A git blob's hash cannot be put
 * down. */
static int count_known(const struct copy *c, const struct journal_file *k)
{
    int n = 0;
    if (c->hashed && c->job.source.git_blob && !c->job.source.sha256)
        return 0;
    while (n < c->parts - 1 && c->earlier[n].stored && (!c->hashed || *k->parts[n].sha256_state))
        n++;
    return n;
}

static bool go_on(struct transfer *t, struct copy *c, const struct journal_file *k, struct err *e)
{
    take_parts(t, c, k);
    int known = count_known(c, k);
    if (c->hashed &&
        !digest_start(&c->digest, &c->job.source, known ? k->parts[known - 1].sha256_state : "", e))
        return false;
    pthread_mutex_lock(&t->locked.mutex);
    c->locked.next_part = c->locked.hash_turn = c->locked.store_turn = known;
    c->locked.left = c->parts - known;
    copy_moved_locked(t, c, (uint64_t)known * c->part_bytes, false);
    pthread_mutex_unlock(&t->locked.mutex);
    return true;
}

static bool begin_anew(struct transfer *t, struct copy *c, const struct upload_spec *spec, struct err *e)
{
    char token[UPLOAD_TOKEN_BYTES];
    c->upload = upload_begin(c->job.to, spec, NULL, e);
    if (!c->upload || (c->hashed && !digest_start(&c->digest, &c->job.source, "", e)))
        return false;
    c->locked.next_part = c->locked.hash_turn = c->locked.store_turn = 0; /* nobody else knows it yet */
    c->locked.left = c->parts;
    if (!t->opt.journal)
        return true;
    struct journal_start start = {.name = c->job.target,
                                  .identity = c->identity,
                                  .upload_token = upload_token(c->upload, token) ? token : "",
                                  .token_is_secret = upload_ordered(c->upload), /* a session's URL */
                                  .size = c->job.source.size,
                                  .part_bytes = c->part_bytes,
                                  .range_bytes = t->opt.part_bytes};
    return journal_begin(t->opt.journal, &start, e);
}

/* An upload of what the source was before: nobody will go on with it. Not worth an error. */
static void drop_old(struct transfer *t, struct copy *c)
{
    const struct journal_file *k = t->opt.journal ? journal_find(t->opt.journal, c->job.target) : NULL;
    if (!k || k->done || !*k->start.upload_token)
        return;
    struct upload_spec spec = {c->job.target, k->start.size, k->start.part_bytes, STORAGE_ANY_GENERATION};
    struct err ignored = {0};
    struct upload *u = upload_begin(c->job.to, &spec, k->start.upload_token, &ignored);
    if (u && !upload_abort(u, &ignored))
        return;
}

bool known_upload(struct transfer *t, struct copy *c, struct worker *w, struct arena *a, bool *there,
                  struct err *e)
{
    const struct journal_file *k = known_file(t, c);
    struct upload_spec spec = {c->job.target, c->job.source.size, c->part_bytes,
                               t->opt.skip_existing ? STORAGE_ABSENT : STORAGE_ANY_GENERATION};
    *there = false;
    if (k && *k->start.upload_token && !k->done) {
        c->upload = upload_begin(c->job.to, &spec, k->start.upload_token, e);
        if (!c->upload && e->kind != ERR_NOT_FOUND)
            return false;
        *e = (struct err){0};
    } else {
        drop_old(t, c);
    }
    if (!c->upload && k && k->sealing && !k->done && !sealed_before(t, c, k, w, a, there, e))
        return false;
    if (*there)
        return true;
    if (!make_room(t, c, e))
        return false;
    bool ok = c->upload ? go_on(t, c, k, e) : begin_anew(t, c, &spec, e);
    c->ordered = ok && upload_ordered(c->upload);
    return ok;
}
