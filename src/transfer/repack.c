#include "transfer/repack.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/pages.h"
#include "base/stop.h"
#include "transfer/engine/digest.h"
#include "transfer/journal_copy.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One shard of the source. */
struct shard {
    const struct entry *entry;
    unsigned char *head; /* [head_bytes] length and JSON, as they were when the plan was made */
    size_t head_bytes;
    struct safetensors header;
    const struct pack_tensor **tensors; /* [header.count] what becomes of each; NULL: nothing */
    int first_part, parts;              /* numbered through all shards */
    bool skipped; /* an earlier run found its hash right, and everything made of it is stored */
};

/* One part of the pack. */
struct target_part {
    unsigned char *bytes; /* NULL: not begun, or stored */
    size_t filled;
    bool stored;     /* the upload has it */
    uint32_t crc32c; /* when stored */
    int next_ready;  /* index + 1 of the next in the list; 0: none */
};

struct repack {
    struct repack_job job;
    struct transfer_options opt;
    struct arena *arena;
    struct weights *weights; /* shapes alone: nothing is ever read there */
    struct pack pack;
    const char *identity;
    struct shard *shards;
    int source_parts;
    uint32_t part_bytes; /* of both sides */
    int target_parts;
    struct pages buffers; /* [workers][part_bytes] */
    struct upload *upload;
    struct repack_result result;
    uint32_t *ranges;

    /* of the worker whose turn it is to hash */
    struct digest digest;
    uint32_t shard_crc;
    /* of the worker whose turn it is to encode */
    struct pack_encoder *encoder;
    size_t at_tensor; /* in the shard at hand */

    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        int next_part, hash_turn, encode_turn; /* of the source */
        struct target_part *target;            /* [target_parts] */
        int ready;                             /* index + 1 of a whole part that nobody stores yet; 0: none */
        int taken;                             /* workers there are */
        bool failed;
        struct err problem;
        struct transfer_progress progress;
        uint64_t copied_ns;
        bool copying;
    } locked;
};

/* --- the plan --------------------------------------------------------------------------------------------
 */

/* The length and the JSON of a safetensors file. */
static bool read_header(struct repack *r, struct shard *s, struct err *e)
{
    enum { FIRST = SAFETENSORS_LENGTH_BYTES };
    unsigned char first[FIRST];
    size_t n;
    if (s->entry->size < FIRST)
        return err_set(e, ERR_CORRUPT, "%" PRIu64 " bytes are no safetensors file", s->entry->size);
    if (!store_read(r->job.from, s->entry, 0, FIRST, first, r->opt.stop, e) ||
        !safetensors_header_bytes(first, s->entry->size, &n, e))
        return false;
    s->head_bytes = FIRST + n;
    s->head = malloc(s->head_bytes);
    if (!s->head)
        return err_set(e, ERR_MEMORY, "no memory for a header of %zu bytes", n);
    memcpy(s->head, first, FIRST);
    return (n == 0 || store_read(r->job.from, s->entry, FIRST, n, s->head + FIRST, r->opt.stop, e)) &&
           safetensors_parse(&s->header, (const char *)s->head + FIRST, n, s->entry->size, e);
}

/* No checksum covers a header alone: one that makes no sense is asked for once more, and when the shard
 * passes under its hash it is compared with what the plan was made of. */
static bool read_header_twice(struct repack *r, struct shard *s, struct err *e)
{
    if (read_header(r, s, e))
        return true;
    if (e->kind != ERR_CORRUPT && e->kind != ERR_LIMIT)
        return false;
    free(s->head);
    s->head = NULL;
    *e = (struct err){0};
    return read_header(r, s, e);
}

static bool same_head(const struct shard *s, uint64_t begin, const void *bytes, size_t size)
{
    if (begin >= s->head_bytes)
        return true;
    size_t n = s->head_bytes - begin < size ? (size_t)(s->head_bytes - begin) : size;
    return memcmp(s->head + begin, bytes, n) == 0;
}

/* Slots are filled with a place that nobody reads: shapes and dtypes are what is wanted of them. */
static bool fill_slot(struct repack *r, const struct shard *s, const struct safetensor *t, struct err *e)
{
    static const alignas(8) char nowhere[8];
    struct weight_slot *slot = weights_find(r->weights, t->name);
    enum dtype blocks;
    if (!slot)
        return weights_ignore(r->job.config, t->name) ||
               err_set(e, ERR_UNSUPPORTED, "tensor %.200s: not part of the model that config.json describes",
                       t->name);
    if (pack_blocks_of(&s->header, t->name, &blocks))
        return err_set(e, ERR_UNSUPPORTED, "tensor %.200s: is encoded already (%s); encode the model itself",
                       t->name, dtype_name(blocks));
    if (!t->dtype->computed)
        return err_set(e, ERR_UNSUPPORTED, "tensor %.200s: dtype %s, expected BF16, F16 or F32", t->name,
                       t->dtype->name);
    return weights_fill(slot, t->dtype->dtype, t->shape, t->dims, nowhere, t->end - t->begin, e);
}

static bool read_shards(struct repack *r, struct err *e)
{
    for (int i = 0; i < r->job.count; i++) {
        struct shard *s = &r->shards[i];
        s->entry = &r->job.shards[i];
        bool ok = read_header_twice(r, s, e);
        for (size_t k = 0; ok && k < s->header.count; k++)
            ok = fill_slot(r, s, &s->header.tensors[k], e);
        if (!ok)
            return err_wrap(e, "%s", s->entry->name);
        s->first_part = r->source_parts;
        s->parts = (int)((s->entry->size + r->part_bytes - 1) / r->part_bytes);
        r->source_parts += s->parts;
        r->locked.progress.bytes_total += s->entry->size;
    }
    r->locked.progress.files_total = r->job.count;
    return weights_complete(r->weights, r->job.config, e);
}

static bool plan(struct repack *r, struct err *e)
{
    const struct weights *w = r->weights;
    enum dtype *source = arena_alloc(r->arena, w->slot_count, sizeof *source);
    if (!source)
        return err_set(e, ERR_MEMORY, "no memory for the plan of a pack");
    for (size_t i = 0; i < w->slot_count; i++)
        source[i] = w->slots[i].tensor->dtype;
    if (!pack_plan(&r->pack, w, r->job.config, source, r->job.encoding, &r->job.origin, r->arena, e))
        return false;
    for (int i = 0; i < r->job.count; i++) {
        struct shard *s = &r->shards[i];
        s->tensors = arena_alloc(r->arena, s->header.count + 1, sizeof(*s->tensors));
        if (!s->tensors)
            return err_set(e, ERR_MEMORY, "no memory for the plan of a pack");
        for (size_t k = 0; k < s->header.count; k++) {
            const struct weight_slot *slot = weights_find(w, s->header.tensors[k].name);
            s->tensors[k] = slot ? pack_find(&r->pack, slot) : NULL;
        }
    }
    return true;
}

/* What tells this pack from any other: what its shards are, and how they are encoded. */
static char *identify(const struct repack *r)
{
    struct sha256 h;
    char hex[SHA256_HEX], line[80];
    sha256_start(&h);
    for (int i = 0; i < r->job.count; i++) {
        const struct entry *s = &r->job.shards[i];
        snprintf(line, sizeof line, "%" PRIu64 " %" PRId64, s->size, s->generation);
        sha256_add(&h, s->name, strlen(s->name) + 1);
        sha256_add(&h, line, strlen(line) + 1);
        if (s->sha256)
            sha256_add(&h, s->sha256, strlen(s->sha256) + 1);
    }
    sha256_add(&h, r->pack.header, r->pack.header_bytes);
    sha256_end(&h, hex);
    return arena_printf(r->arena, "%s:%s", pack_encoding_names[r->job.encoding], hex);
}

static bool take_memory(struct repack *r, struct err *e)
{
    r->part_bytes = transfer_part_size(r->pack.bytes, r->opt.part_bytes, MULTIPART_MAX_PARTS);
    r->target_parts = (int)((r->pack.bytes + r->part_bytes - 1) / r->part_bytes);
    r->locked.target = arena_alloc(r->arena, (size_t)r->target_parts + 1, sizeof *r->locked.target);
    r->result.range_count = (int)((r->pack.bytes + r->opt.part_bytes - 1) / r->opt.part_bytes);
    r->ranges = arena_alloc(r->arena, (size_t)r->result.range_count + 1, sizeof *r->ranges);
    r->identity = identify(r);
    return (r->locked.target && r->ranges && r->identity) ||
           err_set(e, ERR_MEMORY, "no memory for the plan of a pack");
}

struct repack *repack_new(const struct repack_job *job, const struct transfer_options *o, struct err *e)
{
    struct repack *r = calloc(1, sizeof *r);
    if (r)
        r->arena = arena_new(SIZE_MAX);
    if (!r || !r->arena) {
        free(r);
        err_set(e, ERR_MEMORY, "no memory for a pack");
        return NULL;
    }
    r->job = *job;
    r->opt = *o;
    if (r->opt.workers <= 0)
        r->opt.workers = TRANSFER_WORKERS;
    if (r->opt.part_bytes == 0)
        r->opt.part_bytes = TRANSFER_PART_BYTES;
    r->part_bytes = r->opt.part_bytes;
    pthread_mutex_init(&r->locked.mutex, NULL);
    pthread_cond_init(&r->locked.changed, NULL);
    r->shards = arena_alloc(r->arena, (size_t)job->count + 1, sizeof *r->shards);
    if (!r->shards)
        err_set(e, ERR_MEMORY, "no memory for a pack");
    else if ((r->weights = weights_new(job->config, e)) && read_shards(r, e) && plan(r, e) &&
             take_memory(r, e))
        return r;
    repack_free(r);
    return NULL;
}

void repack_free(struct repack *r)
{
    if (!r)
        return;
    for (int i = 0; r->shards && i < r->job.count; i++) {
        safetensors_clear(&r->shards[i].header);
        free(r->shards[i].head);
    }
    for (int i = 0; r->locked.target && i < r->target_parts; i++)
        free(r->locked.target[i].bytes);
    upload_free(r->upload);
    digest_clear(&r->digest);
    pack_encoder_free(r->encoder);
    pages_free(&r->buffers);
    weights_free(r->weights);
    pthread_cond_destroy(&r->locked.changed);
    pthread_mutex_destroy(&r->locked.mutex);
    arena_free(r->arena);
    free(r);
}

const struct pack *repack_plan(const struct repack *r)
{
    return &r->pack;
}

const struct repack_result *repack_result(const struct repack *r)
{
    return &r->result;
}

void repack_progress(struct repack *r, struct transfer_progress *p)
{
    pthread_mutex_lock(&r->locked.mutex);
    *p = r->locked.progress;
    pthread_mutex_unlock(&r->locked.mutex);
}

/* --- turns -----------------------------------------------------------------------------------------------
 */

static void fail(struct repack *r, const struct err *e)
{
    pthread_mutex_lock(&r->locked.mutex);
    if (!r->locked.failed)
        r->locked.problem = *e;
    r->locked.failed = true;
    pthread_cond_broadcast(&r->locked.changed);
    pthread_mutex_unlock(&r->locked.mutex);
}

/* Parts are handed out in order, so whoever waits waits for workers with lower ones, the lowest for nobody.
 */
static bool wait_for_turn(struct repack *r, const int *turn, int part)
{
    pthread_mutex_lock(&r->locked.mutex);
    while (*turn != part && !r->locked.failed)
        pthread_cond_wait(&r->locked.changed, &r->locked.mutex);
    bool ok = !r->locked.failed;
    pthread_mutex_unlock(&r->locked.mutex);
    return ok;
}

static void pass_turn(struct repack *r, int *turn)
{
    pthread_mutex_lock(&r->locked.mutex);
    ++*turn;
    pthread_cond_broadcast(&r->locked.changed);
    pthread_mutex_unlock(&r->locked.mutex);
}

/* --- hashing ---------------------------------------------------------------------------------------------
 */

/* "the hash of this shard was right" as a file of no bytes in the journal. */
static char *verified_name(const struct repack *r, const struct shard *s, struct arena *a)
{
    return arena_printf(a, "verified:%s:%s", r->job.target, s->entry->name);
}

static bool note_verified(struct repack *r, const struct shard *s, struct err *e)
{
    struct arena *a = arena_new(16 << 10);
    char *name = a ? verified_name(r, s, a) : NULL;
    struct journal_start start = {.name = name,
                                  .identity = r->identity,
                                  .upload_token = "",
                                  .part_bytes = r->part_bytes,
                                  .range_bytes = r->opt.part_bytes};
    struct journal_seal seal = {.sha256 = ""};
    bool ok = name ? !r->opt.journal || (journal_begin(r->opt.journal, &start, e) &&
                                         journal_sealing(r->opt.journal, name, &seal, e) &&
                                         journal_done(r->opt.journal, name, 0, e))
                   : err_set(e, ERR_MEMORY, "no memory for a name");
    arena_free(a);
    return ok;
}

static bool end_hash(struct repack *r, const struct shard *s, struct err *e)
{
    char sha256[SHA256_HEX], arrived[CRC32C_TEXT], said[CRC32C_TEXT];
    const struct entry *source = s->entry;
    bool ok = digest_end(&r->digest, source, sha256, e);
    if (ok && source->has_crc32c && source->crc32c != r->shard_crc) {
        crc32c_print(r->shard_crc, arrived);
        crc32c_print(source->crc32c, said);
        ok = err_set(e, ERR_CORRUPT, "crc32c of what arrived is %s, of the source %s", arrived, said);
    }
    return ok && note_verified(r, s, e);
}

static bool hash_part(struct repack *r, const struct shard *s, int part, const void *bytes, size_t size,
                      struct err *e)
{
    if (part == s->first_part) {
        r->shard_crc = 0;
        if (!digest_start(&r->digest, s->entry, "", e))
            return false;
    }
    digest_add(&r->digest, bytes, size);
    r->shard_crc = crc32c(r->shard_crc, bytes, size);
    if (!same_head(s, (uint64_t)(part - s->first_part) * r->part_bytes, bytes, size))
        return err_set(e, ERR_CORRUPT, "its header is not the one that was read before");
    return part < s->first_part + s->parts - 1 || end_hash(r, s, e);
}

/* --- parts of the pack -----------------------------------------------------------------------------------
 */

static size_t target_part_size(const struct repack *r, int part)
{
    uint64_t left = r->pack.bytes - (uint64_t)part * r->part_bytes;
    return left < r->part_bytes ? (size_t)left : r->part_bytes;
}

static void add_ready(struct repack *r, int part)
{
    pthread_mutex_lock(&r->locked.mutex);
    r->locked.target[part].next_ready = r->locked.ready;
    r->locked.ready = part + 1;
    pthread_cond_broadcast(&r->locked.changed);
    pthread_mutex_unlock(&r->locked.mutex);
}

/* pack_out_fn, of the worker whose turn it is (and, before there are workers, of the one who starts). */
static bool collect(void *arg, uint64_t at, const void *bytes, size_t size, struct err *e)
{
    struct repack *r = arg;
    const char *from = bytes;
    while (size) {
        int part = (int)(at / r->part_bytes);
        size_t offset = (size_t)(at % r->part_bytes), whole = target_part_size(r, part);
        size_t n = whole - offset < size ? whole - offset : size;
        struct target_part *t = &r->locked.target[part];
        if (!t->bytes && !(t->bytes = malloc(whole)))
            return err_set(e, ERR_MEMORY, "no memory for a part of %zu bytes", whole);
        memcpy(t->bytes + offset, from, n);
        t->filled += n;
        from += n;
        at += n;
        size -= n;
        if (t->filled == whole)
            add_ready(r, part);
    }
    return true;
}

/* The header, and what fills up between tensors. */
static bool collect_rest(struct repack *r, struct err *e)
{
    static const char zeros[PACK_ALIGNMENT];
    uint64_t at = r->pack.header_bytes;
    if (!collect(r, 0, r->pack.header, r->pack.header_bytes, e))
        return false;
    for (size_t i = 0; i <= r->pack.count; i++) {
        uint64_t next = i < r->pack.count ? r->pack.tensors[i].begin : r->pack.bytes;
        if (!collect(r, at, zeros, (size_t)(next - at), e))
            return false;
        at = i < r->pack.count ? r->pack.tensors[i].end : next;
    }
    return true;
}

static bool encode_part(struct repack *r, const struct shard *s, uint64_t begin, const char *bytes,
                        size_t size, struct err *e)
{
    const struct safetensors *h = &s->header;
    if (begin == 0)
        r->at_tensor = 0;
    for (; r->at_tensor < h->count; r->at_tensor++) {
        const struct safetensor *t = &h->tensors[r->at_tensor];
        const struct pack_tensor *to = s->tensors[r->at_tensor];
        if (t->begin >= begin + size)
            return true;
        uint64_t from = t->begin > begin ? t->begin : begin,
                 end = t->end < begin + size ? t->end : begin + size;
        if (to && t->begin >= begin && !pack_encoder_begin(r->encoder, to, e))
            return false;
        if (to && end > from &&
            !pack_encoder_push(r->encoder, bytes + (from - begin), (size_t)(end - from), e))
            return false;
        if (t->end > begin + size)
            return true;
    }
    return true;
}

/* --- storing ---------------------------------------------------------------------------------------------
 */

static void part_ranges(const struct repack *r, const unsigned char *bytes, size_t size, uint32_t *ranges)
{
    for (size_t at = 0; at < size; at += r->opt.part_bytes) {
        size_t n = size - at < r->opt.part_bytes ? size - at : r->opt.part_bytes;
        *ranges++ = crc32c(0, bytes + at, n);
    }
}

static int ranges_of(const struct repack *r, uint64_t bytes)
{
    return (int)((bytes + r->opt.part_bytes - 1) / r->opt.part_bytes);
}

static uint32_t combined(const struct repack *r, const uint32_t *ranges, uint64_t bytes)
{
    uint32_t crc = 0;
    for (; bytes; ranges++) {
        uint64_t n = bytes < r->opt.part_bytes ? bytes : r->opt.part_bytes;
        crc = crc32c_combine(crc, *ranges, n);
        bytes -= n;
    }
    return crc;
}

static uint32_t *ranges_at(const struct repack *r, int part)
{
    return r->ranges + (size_t)part * (r->part_bytes / r->opt.part_bytes);
}

/* What an earlier run stored is compared, not sent again. */
static bool store_part(struct repack *r, int part, struct err *e)
{
    struct target_part *t = &r->locked.target[part];
    size_t size = target_part_size(r, part);
    uint32_t *ranges = ranges_at(r, part);
    part_ranges(r, t->bytes, size, ranges);
    uint32_t crc = combined(r, ranges, size);
    if (t->stored && t->crc32c == crc)
        return true;
    if (!upload_part(r->upload, part, t->bytes, size, NULL, e))
        return false;
    if (r->opt.journal &&
        !journal_part(r->opt.journal, r->job.target, part, ranges, ranges_of(r, size), "", e))
        return false;
    pthread_mutex_lock(&r->locked.mutex);
    t->stored = true;
    r->result.moved += size;
    pthread_mutex_unlock(&r->locked.mutex);
    return true;
}

/* Index of a whole part, taken off the list; -1: none. */
static int take_ready(struct repack *r)
{
    pthread_mutex_lock(&r->locked.mutex);
    int part = r->locked.failed ? -1 : r->locked.ready - 1;
    if (part >= 0)
        r->locked.ready = r->locked.target[part].next_ready;
    pthread_mutex_unlock(&r->locked.mutex);
    return part;
}

static bool store_ready(struct repack *r, struct err *e)
{
    for (int part; (part = take_ready(r)) >= 0;) {
        bool ok = store_part(r, part, e);
        free(r->locked.target[part].bytes);
        r->locked.target[part].bytes = NULL;
        if (!ok)
            return err_wrap(e, "%s: part %d", r->job.target, part + 1);
    }
    return true;
}

/* --- the journal's copy ----------------------------------------------------------------------------------
 */

/* It only saves work elsewhere; if the place is out of order, the parts say so. */
static void write_copy(struct repack *r)
{
    struct err ignored = {0};
    if (r->opt.copy_name && r->opt.journal)
        (void)!journal_copy_write(r->opt.journal, r->opt.copy_to, r->opt.copy_name, &ignored);
}

static void write_copy_if_old(struct repack *r)
{
    pthread_mutex_lock(&r->locked.mutex);
    bool old =
        !r->locked.copying && clock_ns() - r->locked.copied_ns >= TRANSFER_COPY_SECONDS * 1000000000ull;
    r->locked.copying |= old;
    pthread_mutex_unlock(&r->locked.mutex);
    if (!old)
        return;
    write_copy(r);
    pthread_mutex_lock(&r->locked.mutex);
    r->locked.copied_ns = clock_ns();
    r->locked.copying = false;
    pthread_mutex_unlock(&r->locked.mutex);
}

/* --- working ---------------------------------------------------------------------------------------------
 */

static const struct shard *shard_of(const struct repack *r, int part)
{
    const struct shard *s = r->shards;
    while (part >= s->first_part + s->parts)
        s++;
    return s;
}

/* Parts of shards that are skipped go by as if they were read. */
static bool take_part(struct repack *r, int *part)
{
    pthread_mutex_lock(&r->locked.mutex);
    bool taken = !r->locked.failed && !stop_wanted(r->opt.stop) && r->locked.next_part < r->source_parts;
    if (taken)
        *part = r->locked.next_part++;
    pthread_mutex_unlock(&r->locked.mutex);
    return taken;
}

static void note_progress(struct repack *r, const struct shard *s, int part, size_t size)
{
    pthread_mutex_lock(&r->locked.mutex);
    struct transfer_progress *p = &r->locked.progress;
    p->bytes_done += size;
    p->bytes_moved += s->skipped ? 0 : size;
    p->running = 1;
    if (p->flight[0].name != s->entry->name)
        p->flight[0].done = 0;
    p->flight[0].name = s->entry->name;
    p->flight[0].size = s->entry->size;
    p->flight[0].done += size;
    p->files_done += part == s->first_part + s->parts - 1;
    pthread_mutex_unlock(&r->locked.mutex);
}

static bool carry(struct repack *r, const struct shard *s, int part, char *buffer, size_t size, struct err *e)
{
    uint64_t begin = (uint64_t)(part - s->first_part) * r->part_bytes;
    if (!s->skipped && !store_read(r->job.from, s->entry, begin, size, buffer, NULL, e))
        return false;
    if (!wait_for_turn(r, &r->locked.hash_turn, part) ||
        (!s->skipped && !hash_part(r, s, part, buffer, size, e)))
        return false;
    pass_turn(r, &r->locked.hash_turn);
    if (!wait_for_turn(r, &r->locked.encode_turn, part) ||
        (!s->skipped && !encode_part(r, s, begin, buffer, size, e)))
        return false;
    pass_turn(r, &r->locked.encode_turn);
    return true;
}

struct repack_worker {
    struct repack *r;
    char *buffer;
    pthread_t thread;
};

static void *work(void *arg)
{
    struct repack_worker *w = arg;
    struct repack *r = w->r;
    struct err e = {0};
    int part;
    bool ok = true;
    while (ok && take_part(r, &part)) {
        const struct shard *s = shard_of(r, part);
        uint64_t begin = (uint64_t)(part - s->first_part) * r->part_bytes, left = s->entry->size - begin;
        size_t size = left < r->part_bytes ? (size_t)left : r->part_bytes;
        ok = carry(r, s, part, w->buffer, size, &e);
        if (!ok && e.kind != ERR_NONE)
            err_wrap(&e, "%s", s->entry->name);
        if (ok)
            note_progress(r, s, part, size);
        ok = ok && store_ready(r, &e);
        if (ok)
            write_copy_if_old(r);
    }
    ok = ok && store_ready(r, &e);
    if (!ok && e.kind != ERR_NONE) /* else another worker has failed */
        fail(r, &e);
    return NULL;
}

static bool run_workers(struct repack *r, struct err *e)
{
    int count = r->source_parts < r->opt.workers ? r->source_parts : r->opt.workers, started = 0, problem = 0;
    struct repack_worker *w = arena_alloc(r->arena, (size_t)count + 1, sizeof *w);
    sigset_t all, before; /* signals are for the thread that called */
    if (!w)
        return err_set(e, ERR_MEMORY, "no memory for %d threads", count);
    if (!pages_alloc(&r->buffers, (size_t)count * r->part_bytes + 1, e))
        return false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; started < count && !problem; started += !problem) {
        w[started] = (struct repack_worker){
            .r = r, .buffer = (char *)r->buffers.data + (size_t)started * r->part_bytes};
        problem = pthread_create(&w[started].thread, NULL, work, &w[started]);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    for (int i = 0; i < started; i++)
        pthread_join(w[i].thread, NULL);
    if (started == 0 && count)
        return err_set(e, ERR_MEMORY, "no thread to be had: %s", strerror(problem));
    if (r->locked.failed)
        *e = r->locked.problem;
    return !r->locked.failed;
}

/* --- what is there already -------------------------------------------------------------------------------
 */

static const struct journal_file *known(const struct repack *r, const char *name)
{
    const struct journal_file *k = r->opt.journal ? journal_find(r->opt.journal, name) : NULL;
    return k && strcmp(k->start.identity, r->identity) == 0 && k->start.part_bytes == r->part_bytes &&
                   k->start.range_bytes == r->opt.part_bytes
               ? k
               : NULL;
}

static void take_seal(struct repack *r, const struct journal_seal *seal, int64_t generation)
{
    memcpy(r->ranges, seal->ranges, (size_t)seal->range_count * sizeof *r->ranges);
    r->result.crc32c = seal->crc32c;
    r->result.generation = generation;
    r->result.was_there = true;
}

/* The pack stands there as an earlier run sealed it, whether or not it could write that down. */
static bool find_whole(struct repack *r, bool *there, struct err *e)
{
    const struct journal_file *k = known(r, r->job.target);
    struct arena *a = arena_new(64 << 10);
    struct entry target;
    *there = false;
    if (!a)
        return err_set(e, ERR_MEMORY, "no memory for a file");
    bool ok = true, found = k && (k->done || k->sealing) && k->start.size == r->pack.bytes &&
                            store_stat(r->job.to, r->job.target, a, &target, e);
    if (!found && e->kind != ERR_NONE) {
        ok = e->kind == ERR_NOT_FOUND;
        if (ok)
            *e = (struct err){0};
    }
    if (found && target.size == r->pack.bytes &&
        (k->done ? target.generation == k->generation
                 : target.has_crc32c && target.crc32c == k->seal.crc32c)) {
        *there = true;
        take_seal(r, &k->seal, target.generation);
    }
    arena_free(a);
    return ok;
}

static void take_parts(struct repack *r, const struct journal_file *k)
{
    for (int i = 0; k->parts && i < r->target_parts; i++) {
        const struct journal_part *p = &k->parts[i];
        struct target_part *t = &r->locked.target[i];
        if (!p->there || !upload_has(r->upload, i))
            continue;
        memcpy(ranges_at(r, i), p->ranges, (size_t)p->range_count * sizeof *p->ranges);
        t->stored = true;
        t->crc32c = combined(r, p->ranges, target_part_size(r, i));
    }
}

/* Everything made of this shard is stored. */
static bool all_stored(const struct repack *r, const struct shard *s)
{
    for (size_t k = 0; k < s->header.count; k++) {
        const struct pack_tensor *t = s->tensors[k];
        if (!t || t->begin == t->end)
            continue;
        for (uint64_t part = t->begin / r->part_bytes; part <= (t->end - 1) / r->part_bytes; part++)
            if (!r->locked.target[part].stored)
                return false;
    }
    return true;
}

static bool skip_shards(struct repack *r, struct err *e)
{
    struct arena *a = arena_new(1 << 20);
    bool ok = a || err_set(e, ERR_MEMORY, "no memory for names");
    for (int i = 0; ok && i < r->job.count; i++) {
        struct shard *s = &r->shards[i];
        char *name = verified_name(r, s, a);
        const struct journal_file *k = name ? known(r, name) : NULL;
        s->skipped = k && k->done && all_stored(r, s);
        ok = name || err_set(e, ERR_MEMORY, "no memory for names");
    }
    arena_free(a);
    return ok;
}

static bool begin_upload(struct repack *r, struct err *e)
{
    struct upload_spec spec = {r->job.target, r->pack.bytes, r->part_bytes, STORAGE_ANY_GENERATION};
    const struct journal_file *k = known(r, r->job.target);
    char token[UPLOAD_TOKEN_BYTES];
    if (k && *k->start.upload_token && !k->done) {
        r->upload = upload_begin(r->job.to, &spec, k->start.upload_token, e);
        if (!r->upload && e->kind != ERR_NOT_FOUND)
            return false;
        *e = (struct err){0};
    }
    if (r->upload) {
        take_parts(r, k);
        return true;
    }
    if (!(r->upload = upload_begin(r->job.to, &spec, NULL, e)))
        return false;
    struct journal_start start = {.name = r->job.target,
                                  .identity = r->identity,
                                  .upload_token = upload_token(r->upload, token) ? token : "",
                                  .size = r->pack.bytes,
                                  .part_bytes = r->part_bytes,
                                  .range_bytes = r->opt.part_bytes};
    return !r->opt.journal || journal_begin(r->opt.journal, &start, e);
}

/* --- the whole -------------------------------------------------------------------------------------------
 */

static bool seal(struct repack *r, struct err *e)
{
    struct arena *a = arena_new(64 << 10);
    struct entry there = {0};
    r->result.crc32c = combined(r, r->ranges, r->pack.bytes);
    struct journal_seal s = {r->result.crc32c, "", r->ranges, r->result.range_count};
    bool ok = a || err_set(e, ERR_MEMORY, "no memory for a file");
    ok = ok && (!r->opt.journal || journal_sealing(r->opt.journal, r->job.target, &s, e)) &&
         upload_seal(r->upload, r->result.crc32c, a, &there, e) &&
         (!r->opt.journal || journal_done(r->opt.journal, r->job.target, there.generation, e));
    r->result.generation = there.generation;
    arena_free(a);
    return ok || err_wrap(e, "%s", r->job.target);
}

static bool refuse_order(const struct repack *r, struct err *e)
{
    return !upload_ordered(r->upload) ||
           err_set(
               e, ERR_UNSUPPORTED,
               "%s: this endpoint takes the parts of a file only in order, and a pack is made in another; "
               "stage the model as it is",
               r->job.target);
}

/* Wrong bytes were stored, or what an earlier run left is gone: nobody may go on from there. */
static void drop_upload(struct repack *r)
{
    struct err ignored = {0};
    struct journal_start start = {.name = r->job.target,
                                  .identity = r->identity,
                                  .upload_token = "",
                                  .size = r->pack.bytes,
                                  .part_bytes = r->part_bytes,
                                  .range_bytes = r->opt.part_bytes};
    bool ok = !r->opt.journal || journal_begin(r->opt.journal, &start, &ignored);
    ok = upload_abort(r->upload, &ignored) && ok;
    (void)ok; /* what cannot be removed now, a bucket's lifecycle removes */
    r->upload = NULL;
}

/* As before the first try. */
static void begin_anew(struct repack *r)
{
    for (int i = 0; i < r->target_parts; i++) {
        free(r->locked.target[i].bytes);
        r->locked.target[i] = (struct target_part){0};
    }
    pages_free(&r->buffers);
    digest_clear(&r->digest);
    r->locked.next_part = r->locked.hash_turn = r->locked.encode_turn = r->locked.ready = 0;
    r->locked.failed = false;
    r->locked.progress.bytes_done = 0;
    r->locked.progress.files_done = 0;
}

static bool check_stored(const struct repack *r, struct err *e)
{
    for (int i = 0; i < r->target_parts; i++)
        if (!r->locked.target[i].stored)
            return stop_wanted(r->opt.stop) ? err_set(e, ERR_CANCELLED, "interrupted")
                                            : err_set(e, ERR_CORRUPT, "%s: part %d of %d was not made",
                                                      r->job.target, i + 1, r->target_parts);
    return true;
}

static bool run_once(struct repack *r, struct err *e)
{
    if (!begin_upload(r, e) || !refuse_order(r, e) || !skip_shards(r, e))
        return false;
    pack_encoder_free(r->encoder);
    if (!(r->encoder = pack_encoder_new(collect, r, e)) || !collect_rest(r, e))
        return false;
    r->locked.copied_ns = clock_ns();
    return run_workers(r, e) && check_stored(r, e) && seal(r, e);
}

bool repack_run(struct repack *r, struct err *e)
{
    bool there, ok = find_whole(r, &there, e);
    r->result.size = r->pack.bytes;
    r->result.ranges = r->ranges;
    if (!ok || there)
        return ok;
    for (int tries = 0; tries < 2; tries++) {
        if (run_once(r, e))
            return true;
        bool spoiled = r->upload && (e->kind == ERR_CORRUPT || e->kind == ERR_NOT_FOUND);
        if (spoiled)
            drop_upload(r);
        if (!spoiled || tries == 1)
            break;
        *e = (struct err){0};
        begin_anew(r);
    }
    write_copy(r);
    return false;
}
