/* repack.h: a model's weights from one store to another, encoded on the way into one pack (model/pack.h).
 *
 *   struct repack *r = repack_new(&job, &options, e);      reads the headers, makes the plan
 *   bool ok = repack_run(r, e);                            returns when the pack is there, failed, or *stop
 *   repack_progress(r, &p);                                any thread, meanwhile
 *
 * The shards are read from their first byte to their last, several parts in flight, so that each is hashed as
 * it passes and compared with what its place says of it; what becomes of a part is put where it belongs in
 * the pack. A pack stands in execution order and shards do not, so its parts are collected in memory until
 * they are whole, then stored in whatever order that is: the target must take parts in any order (Cloud
 * Storage's XML uploads, folders). Memory: workers * part, and as many parts as are begun at a time (two for
 * each layer that borders on one not read yet; some 30 for Qwen2-Audio-7B).
 *
 * Resumed from the journal: stored parts are not sent again. A shard whose parts are all stored and whose
 * hash was right is not read again, any other from its beginning. The pack appears only when every hash was
 * right. */
#ifndef FERRY_TRANSFER_REPACK_H
#define FERRY_TRANSFER_REPACK_H

#include "model/pack.h"
#include "transfer/transfer.h"

struct repack_job {
    struct store *from, *to;
    const struct entry *shards; /* [count] safetensors files of one model; the caller's */
    int count;
    const struct model_config *config;
    enum pack_encoding encoding;
    struct pack_origin origin;
    const char *target; /* name in `to` */
};

/* The pack, when it is there. Strings and ranges are the repack's. Its sha256 is not known: bytes were stored
 * in another order. */
struct repack_result {
    uint64_t size, moved; /* moved: bytes of the pack stored by this run */
    uint32_t crc32c;
    const uint32_t *ranges; /* [range_count] CRC of each part_bytes */
    int range_count;
    int64_t generation;
    bool was_there; /* an earlier run had finished it */
};

struct repack;

/* o: workers, part_bytes, journal, copy_to, copy_name and stop count. NULL with *e set: a shard that cannot
 * be read or is none, tensors that are missing, unknown or of the wrong shape (named), no memory. */
struct repack *repack_new(const struct repack_job *job, const struct transfer_options *o, struct err *e);
void repack_free(struct repack *r); /* NULL is fine */
const struct pack *repack_plan(const struct repack *r);
bool repack_run(struct repack *r, struct err *e);
const struct repack_result *repack_result(const struct repack *r); /* after repack_run */

/* Bytes are those of the shards. */
void repack_progress(struct repack *r, struct transfer_progress *p);

#endif
