/* One stream of bytes out of a store or into it, several parts in flight: a ring of buffers, threads on one
 * side of it, the caller on the other. */
#include "base/crc32c.h"
#include "base/pages.h"
#include "base/stop.h"
#include "cloud/storage.h"
#include "transfer/engine/digest.h"
#include "transfer/transfer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = TRANSFER_WORKERS + 1 }; /* one more than threads: the caller's */

struct ring {
    struct pages buffers;
    size_t piece;
    pthread_t threads[TRANSFER_WORKERS];
    int thread_count;
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        uint64_t next;    /* piece that a thread takes next */
        uint64_t given;   /* pieces the caller has put in (in) or taken out (out) */
        bool full[SLOTS]; /* (piece % SLOTS): read, or given and not stored yet */
        bool over;        /* failed, or everything is done: threads end */
        struct err problem;
    } locked;
};

static char *slot(const struct ring *r, uint64_t piece)
{
    return (char *)r->buffers.data + (size_t)(piece % SLOTS) * r->piece;
}

static void ring_end(struct ring *r, const struct err *problem)
{
    pthread_mutex_lock(&r->locked.mutex);
    if (problem && r->locked.problem.kind == ERR_NONE)
        r->locked.problem = *problem;
    r->locked.over = true;
    pthread_cond_broadcast(&r->locked.changed);
    pthread_mutex_unlock(&r->locked.mutex);
}

static bool ring_open(struct ring *r, size_t piece, struct err *e)
{
    r->piece = piece;
    pthread_mutex_init(&r->locked.mutex, NULL);
    pthread_cond_init(&r->locked.changed, NULL);
    return pages_alloc(&r->buffers, SLOTS * piece, e);
}

static bool ring_start(struct ring *r, int threads, void *(*work)(void *arg), void *arg, struct err *e)
{
    sigset_t all, before; /* signals are the caller's */
    int problem = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (r->thread_count < threads &&
           (problem = pthread_create(&r->threads[r->thread_count], NULL, work, arg)) == 0)
        r->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r->thread_count > 0 || err_set(e, ERR_MEMORY, "no thread to be had: %s", strerror(problem));
}

static void ring_join(struct ring *r)
{
    for (int i = 0; i < r->thread_count; i++)
        pthread_join(r->threads[i], NULL);
    r->thread_count = 0;
}

static void ring_close(struct ring *r)
{
    pages_free(&r->buffers);
    pthread_cond_destroy(&r->locked.changed);
    pthread_mutex_destroy(&r->locked.mutex);
}

/* --- out --- */

struct outflow {
    struct ring ring;
    struct store *store;
    const struct entry *from;
    uint64_t offset, size, pieces;
    const volatile sig_atomic_t *stop;
};

static size_t piece_size(const struct outflow *o, uint64_t piece)
{
    uint64_t left = o->size - piece * o->ring.piece;
    return left < o->ring.piece ? (size_t)left : o->ring.piece;
}

/* The next piece to read, when its slot is free. */
static bool take_read(struct outflow *o, uint64_t *piece)
{
    struct ring *r = &o->ring;
    pthread_mutex_lock(&r->locked.mutex);
    while (!r->locked.over && r->locked.next < o->pieces && r->locked.next >= r->locked.given + SLOTS)
        pthread_cond_wait(&r->locked.changed, &r->locked.mutex);
    bool taken = !r->locked.over && r->locked.next < o->pieces;
    if (taken)
        *piece = r->locked.next++;
    pthread_mutex_unlock(&r->locked.mutex);
    return taken;
}

static void *read_pieces(void *arg)
{
    struct outflow *o = arg;
    struct ring *r = &o->ring;
    uint64_t piece;
    while (take_read(o, &piece)) {
        struct err e = {0};
        if (!store_read(o->store, o->from, o->offset + piece * r->piece, piece_size(o, piece), slot(r, piece),
                        o->stop, &e)) {
            ring_end(r, &e);
            return NULL;
        }
        pthread_mutex_lock(&r->locked.mutex);
        r->locked.full[piece % SLOTS] = true;
        pthread_cond_broadcast(&r->locked.changed);
        pthread_mutex_unlock(&r->locked.mutex);
    }
    return NULL;
}

static bool wait_for_piece(struct ring *r, uint64_t piece)
{
    pthread_mutex_lock(&r->locked.mutex);
    while (!r->locked.over && !r->locked.full[piece % SLOTS])
        pthread_cond_wait(&r->locked.changed, &r->locked.mutex);
    bool ok = !r->locked.over;
    pthread_mutex_unlock(&r->locked.mutex);
    return ok;
}

static void free_piece(struct ring *r, uint64_t piece)
{
    pthread_mutex_lock(&r->locked.mutex);
    r->locked.full[piece % SLOTS] = false;
    r->locked.given++;
    pthread_cond_broadcast(&r->locked.changed);
    pthread_mutex_unlock(&r->locked.mutex);
}

/* What is known of a whole file, compared as it goes by. */
struct proof {
    const struct entry *from;
    bool whole; /* else nothing is known of the range */
    uint32_t crc32c;
    struct digest digest;
};

static bool proof_start(struct proof *p, const struct entry *from, uint64_t offset, uint64_t size,
                        struct err *e)
{
    *p = (struct proof){.from = from, .whole = offset == 0 && size == from->size};
    return !p->whole || digest_start(&p->digest, from, "", e);
}

/* Before the last piece is handed out: whoever reads on gets a file that is short, never one that is wrong.
 */
static bool proof_add(struct proof *p, const void *bytes, size_t size, bool last, struct err *e)
{
    char sha256[SHA256_HEX];
    if (!p->whole)
        return true;
    p->crc32c = crc32c(p->crc32c, bytes, size);
    if (p->from->sha256 || p->from->git_blob)
        digest_add(&p->digest, bytes, size);
    if (!last)
        return true;
    if (p->from->has_crc32c && p->crc32c != p->from->crc32c)
        return err_set(e, ERR_CORRUPT,
                       "crc32c of what arrived is %08x, of the source %08x; the end is held back", p->crc32c,
                       p->from->crc32c);
    return (!p->from->sha256 && !p->from->git_blob) || digest_end(&p->digest, p->from, sha256, e);
}

bool transfer_stream_out(struct store *s, const struct entry *from, uint64_t offset, uint64_t size,
                         bool (*fn)(void *arg, const void *bytes, size_t size, struct err *e), void *arg,
                         const volatile sig_atomic_t *stop, struct err *e)
{
    struct outflow o = {.store = s, .from = from, .offset = offset, .size = size, .stop = stop};
    size_t piece = size < TRANSFER_PART_BYTES ? (size_t)size : TRANSFER_PART_BYTES;
    if (offset > from->size || size > from->size - offset)
        return err_set(e, ERR_USAGE, "%s: %llu bytes, a range that ends behind them was asked for",
                       from->name, (unsigned long long)from->size);
    if (size == 0)
        return true;
    o.pieces = size / piece + (size % piece != 0);
    int threads = o.pieces < TRANSFER_WORKERS ? (int)o.pieces : TRANSFER_WORKERS;
    struct proof proof = {0};
    bool ok = ring_open(&o.ring, piece, e) && proof_start(&proof, from, offset, size, e) &&
              ring_start(&o.ring, threads, read_pieces, &o, e);
    for (uint64_t i = 0; ok && i < o.pieces; i++) {
        ok = wait_for_piece(&o.ring, i);
        struct err problem = {0};
        if (ok && (!proof_add(&proof, slot(&o.ring, i), piece_size(&o, i), i + 1 == o.pieces, &problem) ||
                   !fn(arg, slot(&o.ring, i), piece_size(&o, i), &problem))) {
            ring_end(&o.ring, &problem);
            ok = false;
        }
        if (ok)
            free_piece(&o.ring, i);
    }
    ring_join(&o.ring);
    if (!ok && o.ring.locked.problem.kind != ERR_NONE)
        *e = o.ring.locked.problem;
    ring_close(&o.ring);
    digest_clear(&proof.digest);
    return ok;
}

/* --- in --- */

struct inflow {
    struct ring ring;
    struct upload *upload;
    const volatile sig_atomic_t *stop;
    size_t last_size; /* of the last piece, once it is given */
    uint64_t last;    /* which it is; UINT64_MAX before */
    uint32_t *crcs;   /* [crc_room] per piece */
    uint64_t crc_room;
};

static bool take_write(struct inflow *in, uint64_t *piece, size_t *size)
{
    struct ring *r = &in->ring;
    pthread_mutex_lock(&r->locked.mutex);
    while (!r->locked.over && r->locked.next == r->locked.given && in->last == UINT64_MAX)
        pthread_cond_wait(&r->locked.changed, &r->locked.mutex);
    bool taken = !r->locked.over && r->locked.next < r->locked.given;
    if (taken) {
        *piece = r->locked.next++;
        *size = *piece == in->last ? in->last_size : r->piece;
    }
    pthread_mutex_unlock(&r->locked.mutex);
    return taken;
}

static bool note_crc_locked(struct inflow *in, uint64_t piece, uint32_t crc)
{
    if (piece >= in->crc_room) {
        uint64_t room = piece * 2 + 64;
        uint32_t *crcs = realloc(in->crcs, room * sizeof *crcs);
        if (!crcs)
            return false;
        in->crcs = crcs;
        in->crc_room = room;
    }
    in->crcs[piece] = crc;
    return true;
}

static void *write_pieces(void *arg)
{
    struct inflow *in = arg;
    struct ring *r = &in->ring;
    uint64_t piece;
    size_t size;
    while (take_write(in, &piece, &size)) {
        struct err e = {0};
        uint32_t crc = crc32c(0, slot(r, piece), size);
        bool ok = upload_part(in->upload, (int)piece, slot(r, piece), size, in->stop, &e);
        pthread_mutex_lock(&r->locked.mutex);
        if (ok && !note_crc_locked(in, piece, crc))
            ok = err_set(&e, ERR_MEMORY, "no memory for checksums");
        r->locked.full[piece % SLOTS] = false;
        pthread_cond_broadcast(&r->locked.changed);
        pthread_mutex_unlock(&r->locked.mutex);
        if (!ok) {
            ring_end(r, &e);
            return NULL;
        }
    }
    return NULL;
}

typedef bool (*source_fn)(void *arg, void *into, size_t room, size_t *size, struct err *e);

/* A whole piece, or less at the end. */
static bool fill(source_fn fn, void *arg, char *into, size_t room, size_t *size,
                 const volatile sig_atomic_t *stop, struct err *e)
{
    size_t n = 1;
    *size = 0;
    while (*size < room && n > 0) {
        if (stop_wanted(stop))
            return err_set(e, ERR_CANCELLED, "interrupted");
        if (!fn(arg, into + *size, room - *size, &n, e))
            return false;
        *size += n;
    }
    return true;
}

static bool wait_for_slot(struct ring *r, uint64_t piece)
{
    pthread_mutex_lock(&r->locked.mutex);
    while (!r->locked.over && r->locked.full[piece % SLOTS])
        pthread_cond_wait(&r->locked.changed, &r->locked.mutex);
    bool ok = !r->locked.over;
    pthread_mutex_unlock(&r->locked.mutex);
    return ok;
}

static void give(struct inflow *in, uint64_t piece, size_t size, bool last)
{
    struct ring *r = &in->ring;
    pthread_mutex_lock(&r->locked.mutex);
    r->locked.full[piece % SLOTS] = true;
    r->locked.given = piece + 1;
    if (last) {
        in->last = piece;
        in->last_size = size;
    }
    pthread_cond_broadcast(&r->locked.changed);
    pthread_mutex_unlock(&r->locked.mutex);
}

/* Everything that was given is stored. */
static bool drain(struct ring *r)
{
    bool ok = true;
    for (uint64_t i = 0; ok && i < SLOTS; i++)
        ok = wait_for_slot(r, i);
    return ok;
}

/* Piece 0 is in its slot. A piece is given away when it is known whether it is the last. */
static bool feed(struct inflow *in, source_fn fn, void *arg, uint64_t max_pieces, uint64_t *total,
                 struct err *e)
{
    struct ring *r = &in->ring;
    for (uint64_t i = 0;; i++) {
        size_t next;
        if (!wait_for_slot(r, i + 1)) /* the ring has ended: what it says counts */
            return false;
        if (!fill(fn, arg, slot(r, i + 1), r->piece, &next, in->stop, e))
            return false;
        if (next && i + 1 == max_pieces)
            return err_set(e, ERR_LIMIT, "more than %llu bytes from a pipe; write them to a file first",
                           (unsigned long long)(max_pieces * r->piece));
        if (next == r->piece) {
            give(in, i, r->piece, false);
            continue;
        }
        *total = (i + 1) * r->piece + next;
        if (!drain(r)) /* nobody reads the size while it changes */
            return false;
        if (!upload_size(in->upload, *total, e))
            return false;
        give(in, i, r->piece, next == 0);
        if (next)
            give(in, i + 1, next, true);
        return true;
    }
}

static bool seal_stream(struct inflow *in, uint64_t total, struct err *e)
{
    uint32_t crc = 0;
    struct entry there;
    struct arena *a = arena_new(64 << 10);
    if (!a)
        return err_set(e, ERR_MEMORY, "no memory for a file");
    for (uint64_t i = 0; i <= in->last; i++)
        crc = crc32c_combine(crc, in->crcs[i], i == in->last ? in->last_size : in->ring.piece);
    bool ok = upload_seal(in->upload, crc, a, &there, e) &&
              (there.size == total || err_set(e, ERR_CORRUPT, "%llu bytes are there, %llu were sent",
                                              (unsigned long long)there.size, (unsigned long long)total));
    arena_free(a);
    return ok;
}

static bool stream_parts(struct inflow *in, const struct upload_spec *spec, struct store *s, source_fn fn,
                         void *arg, struct err *e)
{
    struct ring *r = &in->ring;
    uint64_t total = 0, most = store_scheme(s) == URI_GS ? MULTIPART_MAX_PARTS : JOURNAL_MAX_PARTS;
    in->upload = upload_begin(s, spec, NULL, e);
    if (!in->upload)
        return false;
    int threads = upload_ordered(in->upload) ? 1 : TRANSFER_WORKERS;
    bool ok = ring_start(r, threads, write_pieces, in, e) && feed(in, fn, arg, most, &total, e);
    if (!ok)
        ring_end(r, NULL);
    ring_join(r);
    if (r->locked.problem.kind != ERR_NONE) {
        *e = r->locked.problem;
        ok = false;
    }
    return ok && seal_stream(in, total, e);
}

bool transfer_stream_in(struct store *s, const char *name, int64_t if_generation, source_fn fn, void *arg,
                        const volatile sig_atomic_t *stop, struct err *e)
{
    struct inflow in = {.stop = stop, .last = UINT64_MAX};
    struct upload_spec spec = {name, UPLOAD_SIZE_UNKNOWN, TRANSFER_PART_BYTES, if_generation};
    struct err ignored;
    size_t first;
    bool ok = ring_open(&in.ring, TRANSFER_PART_BYTES, e) &&
              fill(fn, arg, slot(&in.ring, 0), TRANSFER_PART_BYTES, &first, stop, e);
    if (ok && first < TRANSFER_PART_BYTES) {
        struct arena *a = arena_new(64 << 10);
        ok = a ? store_put(s, name, slot(&in.ring, 0), first, if_generation, a, NULL, e)
               : err_set(e, ERR_MEMORY, "no memory for a file");
        arena_free(a);
    } else if (ok) {
        ok = stream_parts(&in, &spec, s, fn, arg, e);
    }
    if (ok)
        upload_free(in.upload);
    else if (in.upload && !upload_abort(in.upload, &ignored)) /* what came from a pipe cannot go on later */
        err_wrap(e, "%s (parts of it may be left)", name);
    ring_close(&in.ring);
    free(in.crcs);
    return ok;
}
