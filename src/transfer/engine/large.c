/* Files in parts, carried by several workers at once.
 *
 * Parts are handed out in order. A worker that has read its part waits until the parts before it are hashed
 * (and, where the target wants them in order, stored). This cannot lock up: whoever waits for its turn waits
 * for lower parts of the same file only; these were handed out before, to workers that are at nothing else;
 * the one with the lowest part among them waits for nobody, so it goes on, ends, and makes the next one the
 * lowest. When it fails instead, the file fails, and all who wait for it are woken and give up. */
#include "base/crc32c.h"
#include "transfer/engine/copy.h"

#include <stdlib.h>
#include <string.h>

/* --- taking turns --- */

/* False when the file has failed meanwhile. */
static bool wait_for_turn(struct transfer *t, const struct copy *c, const int *turn, int part)
{
    pthread_mutex_lock(&t->locked.mutex);
    while (*turn != part && !c->locked.failed)
        pthread_cond_wait(&t->locked.changed, &t->locked.mutex);
    bool ok = !c->locked.failed;
    pthread_mutex_unlock(&t->locked.mutex);
    return ok;
}

static void pass_turn(struct transfer *t, int *turn)
{
    pthread_mutex_lock(&t->locked.mutex);
    ++*turn;
    pthread_cond_broadcast(&t->locked.changed);
    pthread_mutex_unlock(&t->locked.mutex);
}

static void fail(struct transfer *t, struct copy *c, const struct err *e)
{
    pthread_mutex_lock(&t->locked.mutex);
    if (!c->locked.failed) {
        c->locked.failed = true;
        c->locked.problem = *e;
    }
    pthread_cond_broadcast(&t->locked.changed);
    pthread_mutex_unlock(&t->locked.mutex);
}

/* --- a part --- */

static bool hash_part(struct transfer *t, struct copy *c, int part, const void *bytes, size_t size,
                      char *state, struct err *e)
{
    bool ok = true;
    *state = '\0';
    if (!c->hashed)
        return true;
    if (!wait_for_turn(t, c, &c->locked.hash_turn, part))
        return false;
    digest_add(&c->digest, bytes, size);
    if (part == c->parts - 1)
        ok = digest_end(&c->digest, &c->job.source, c->out.sha256, e);
    else if (!sha256_save(&c->digest.sha256, state))
        *state = '\0'; /* parts of an odd length: resuming starts the hash anew */
    if (ok)
        pass_turn(t, &c->locked.hash_turn);
    return ok;
}

/* Always false. A session lives a week, and may die before: then all that was sent is gone. */
static bool upload_failed(struct transfer *t, struct copy *c, const struct err *e)
{
    pthread_mutex_lock(&t->locked.mutex);
    c->locked.gone |= e->kind == ERR_NOT_FOUND;
    pthread_mutex_unlock(&t->locked.mutex);
    return false;
}

static bool store_part(struct transfer *t, struct copy *c, int part, const void *bytes, size_t size,
                       uint32_t *ranges, const char *state, struct err *e)
{
    const struct earlier *earlier = &c->earlier[part];
    if (c->ordered && !wait_for_turn(t, c, &c->locked.store_turn, part))
        return false;
    bool stored = earlier->stored
                      ? earlier->crc32c == copy_combine(t, ranges, size)
                      : c->ordered && upload_has(c->upload, part); /* killed before it was noted */
    if (!stored && !upload_part(c->upload, part, bytes, size, NULL, e))
        return upload_failed(t, c, e);
    if (t->opt.journal &&
        !journal_part(t->opt.journal, c->job.target, part, ranges, copy_part_ranges(t, size), state, e))
        return false;
    if (c->ordered)
        pass_turn(t, &c->locked.store_turn);
    return true;
}

static uint32_t *ranges_of(const struct worker *w, const struct copy *c, int part)
{
    return c->ranges + (uint64_t)part * c->part_bytes / w->t->opt.part_bytes;
}

/* The part is in the worker's buffer, and the CRCs of its ranges are known. */
static bool keep_part(struct worker *w, struct copy *c, int part, struct err *e)
{
    struct transfer *t = w->t;
    char state[SHA256_STATE_TEXT];
    size_t size = (size_t)copy_part_size(c, part);
    uint32_t *ranges = ranges_of(w, c, part);
    if (!hash_part(t, c, part, w->buffer, size, state, e) ||
        !store_part(t, c, part, w->buffer, size, ranges, state, e))
        return false;
    pthread_mutex_lock(&t->locked.mutex);
    c->locked.left--;
    copy_moved_locked(t, c, size, true);
    t->locked.uncopied = true;
    pthread_mutex_unlock(&t->locked.mutex);
    return true;
}

static bool carry(struct worker *w, struct copy *c, int part, struct err *e)
{
    size_t size = (size_t)copy_part_size(c, part);
    if (!store_read(c->job.from, &c->job.source, (uint64_t)part * c->part_bytes, size, w->buffer, NULL, e))
        return false;
    copy_range_crcs(w->t, w->buffer, size, ranges_of(w, c, part));
    return keep_part(w, c, part, e);
}

/* Parts of one request, put together as its bytes come. */
struct run {
    struct worker *w;
    struct copy *c;
    int part, end;
    size_t got;   /* of the part */
    bool dropped; /* in the middle: somebody stopped, or another part has failed */
};

static bool goes_on(struct run *r)
{
    struct transfer *t = r->w->t;
    pthread_mutex_lock(&t->locked.mutex);
    r->dropped = r->part < r->end && (transfer_stopped(t) || r->c->locked.failed);
    pthread_mutex_unlock(&t->locked.mutex);
    return !r->dropped;
}

/* As many as belong to one range; checked while they are in the cache. */
static size_t take_some(struct run *r, const char *bytes, size_t size)
{
    size_t range = r->w->t->opt.part_bytes, whole = (size_t)copy_part_size(r->c, r->part);
    size_t end = (r->got / range + 1) * range, missing = (end < whole ? end : whole) - r->got;
    size_t n = size < missing ? size : missing;
    uint32_t *crc = ranges_of(r->w, r->c, r->part) + r->got / range;
    *crc = crc32c(r->got % range ? *crc : 0, bytes, n);
    memcpy(r->w->buffer + r->got, bytes, n);
    r->got += n;
    return n;
}

static bool take_bytes(void *arg, const char *bytes, size_t size, struct err *e)
{
    struct run *r = arg;
    while (size > 0) {
        size_t n = take_some(r, bytes, size);
        bytes += n;
        size -= n;
        if (r->got < copy_part_size(r->c, r->part))
            continue;
        r->got = 0;
        if (!keep_part(r->w, r->c, r->part++, e))
            return false;
        if (!goes_on(r))
            return err_set(e, ERR_CANCELLED, "interrupted");
    }
    return true;
}

static bool carry_run(struct worker *w, struct copy *c, int first, int count, struct err *e)
{
    struct run r = {.w = w, .c = c, .part = first, .end = first + count};
    uint64_t size = 0;
    for (int i = first; i < r.end; i++)
        size += copy_part_size(c, i);
    if (store_pour(c->job.from, &c->job.source, (uint64_t)first * c->part_bytes, size, take_bytes, &r, NULL,
                   e))
        return true;
    if (r.dropped)
        *e = (struct err){0};
    return false;
}

/* --- the end of a file --- */

static void close_upload(struct copy *c)
{
    upload_free(c->upload);
    c->upload = NULL;
    digest_clear(&c->digest);
    free(c->earlier);
    c->earlier = NULL;
}

/* Wrong bytes were sent: nobody may go on from there, not even when they cannot be removed now. */
static void drop_upload(struct transfer *t, struct copy *c)
{
    struct err ignored = {0};
    struct journal_start start = {.name = c->job.target,
                                  .identity = c->identity,
                                  .upload_token = "",
                                  .size = c->job.source.size,
                                  .part_bytes = c->part_bytes,
                                  .range_bytes = t->opt.part_bytes};
    bool ok = !t->opt.journal || journal_begin(t->opt.journal, &start, &ignored);
    if (c->upload)
        ok = upload_abort(c->upload, &ignored) && ok;
    (void)ok; /* what cannot be removed now, a bucket's lifecycle removes */
    c->upload = NULL;
    close_upload(c);
}

static bool seal(struct transfer *t, struct copy *c, struct err *e)
{
    struct entry there = {0};
    struct arena *a = arena_new(64 << 10);
    uint32_t crc = copy_combine(t, c->ranges, c->job.source.size);
    bool ok = a || err_set(e, ERR_MEMORY, "no memory for a file");
    ok = ok && copy_sealing(t, c, crc, e) &&
         (upload_seal(c->upload, crc, a, &there, e) || upload_failed(t, c, e)) && copy_done(t, c, &there, e);
    arena_free(a);
    return ok;
}

/* Wrong bytes arrived, or what was sent is gone: it is useless, and the file gets one more chance. */
static bool try_again(struct transfer *t, struct copy *c)
{
    pthread_mutex_lock(&t->locked.mutex);
    bool useless = c->locked.problem.kind == ERR_CORRUPT || c->locked.gone;
    bool again = useless && c->locked.tries++ == 0;
    if (again) {
        t->locked.progress.bytes_done -= c->locked.done;
        c->locked.done = 0;
        c->locked.failed = c->locked.gone = false;
        c->out.state = TRANSFER_WAITING;
        t->locked.large.copies[t->locked.large.count++] = c; /* the queue has room for each file twice */
        pthread_cond_broadcast(&t->locked.changed);
    }
    pthread_mutex_unlock(&t->locked.mutex);
    return again;
}

static void unlink_locked(struct transfer *t, struct copy *c)
{
    struct copy **at = &t->locked.open;
    while (*at && *at != c)
        at = &(*at)->locked.next;
    if (!*at)
        return;
    *at = c->locked.next;
    t->locked.open_count--;
    pthread_cond_broadcast(&t->locked.changed);
}

static void give_up(struct transfer *t, struct copy *c)
{
    enum err_kind kind = c->locked.problem.kind;
    if (kind == ERR_CORRUPT || kind == ERR_BUSY || kind == ERR_NOT_FOUND)
        drop_upload(t, c);
    else
        close_upload(c);
    free(c->ranges);
    c->ranges = NULL;
    if (try_again(t, c))
        return;
    err_wrap(&c->locked.problem, "%s", c->job.source.name);
    copy_ended(t, c, TRANSFER_FAILED, &c->locked.problem);
}

/* By the last one to leave; nobody else can come to it, as all parts are handed out or it has failed. */
static void finish(struct transfer *t, struct copy *c)
{
    struct err e = {0};
    if (!c->locked.failed && !seal(t, c, &e))
        fail(t, c, &e);
    pthread_mutex_lock(&t->locked.mutex);
    unlink_locked(t, c);
    pthread_mutex_unlock(&t->locked.mutex);
    if (c->locked.failed) {
        give_up(t, c);
        return;
    }
    close_upload(c);
    copy_ended(t, c, TRANSFER_DONE, NULL);
}

void large_parts(struct worker *w, struct copy *c, int first, int count)
{
    struct transfer *t = w->t;
    struct err e = {0};
    bool ok = count == 1 ? carry(w, c, first, &e) : carry_run(w, c, first, count, &e);
    if (!ok && e.kind != ERR_NONE) /* else another part has failed */
        fail(t, c, &e);
    pthread_mutex_lock(&t->locked.mutex);
    bool last = --c->locked.carried == 0 && (c->locked.failed || c->locked.left == 0);
    pthread_mutex_unlock(&t->locked.mutex);
    if (last)
        finish(t, c);
}

/* --- the beginning, and a stop in the middle --- */

void large_open(struct worker *w, struct copy *c)
{
    struct transfer *t = w->t;
    struct arena *a = arena_new(64 << 10);
    struct err e = {0};
    bool there = false, ok = a || err_set(&e, ERR_MEMORY, "no memory for a file");
    ok = ok && known_whole(t, c, w, a, &there, &e) && (there || known_upload(t, c, w, a, &there, &e));
    arena_free(a);
    pthread_mutex_lock(&t->locked.mutex);
    t->locked.opening--;
    if (ok && !there) {
        c->locked.next = t->locked.open;
        t->locked.open = c;
        t->locked.open_count++;
    }
    pthread_cond_broadcast(&t->locked.changed);
    pthread_mutex_unlock(&t->locked.mutex);
    if (!ok) {
        c->locked.problem = e; /* nobody else has it */
        give_up(t, c);
    } else if (there) {
        copy_ended(t, c, TRANSFER_SKIPPED, NULL);
    }
}

void large_close(struct transfer *t, struct copy *c)
{
    close_upload(c);
    free(c->ranges);
    c->ranges = NULL;
    pthread_mutex_lock(&t->locked.mutex);
    unlink_locked(t, c);
    c->out.state = TRANSFER_WAITING;
    pthread_mutex_unlock(&t->locked.mutex);
}
