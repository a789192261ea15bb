/* transfer.h: files from one store to another: in parts, in parallel, verified, resumable.
 *
 *   struct transfer *t = transfer_new(&options, e);
 *   transfer_add(t, &job, e); …                 what to copy
 *   bool ok = transfer_run(t, e);               returns when all is done, failed for good, or *stop
 *   transfer_progress(t, &p);                   any thread, meanwhile
 *
 * A fixed number of workers share a fixed number of buffers: memory is workers * part_bytes and a little,
 * whatever is copied. Small files are one part each; large ones are cut in parts that different workers
 * carry. Parts of a file are handed out in order, so that the sha256 of the whole is computed as they pass; a
 * part is stored after it is hashed, the last one only when the hash is the source's. Nothing touches the
 * local disk between two stores that are not local.
 *
 * One bad file does not stop the others; what failed is listed at the end, the first failure is *e. */
#ifndef FERRY_TRANSFER_TRANSFER_H
#define FERRY_TRANSFER_TRANSFER_H

#include "store/store.h"
#include "transfer/journal.h"

#include <signal.h>

enum {
    TRANSFER_WORKERS = 8,
    TRANSFER_PART_BYTES = 8 << 20,    /* also the manifest's range; grows in whole multiples for files of more
                                         than MULTIPART_MAX_PARTS parts, with fewer workers then */
    TRANSFER_SMALL_BYTES = 256 << 10, /* files up to here are written in one piece, */
    TRANSFER_SMALL_WORKERS = 32,      /* by so many more threads, which mostly wait for answers */
    TRANSFER_COPY_SECONDS = 5,        /* the journal's copy in the target is no older */
};

struct transfer_options {
    int workers;                       /* 0: TRANSFER_WORKERS; four times as many for small files */
    uint32_t part_bytes;               /* 0: TRANSFER_PART_BYTES; also the length of a range */
    struct journal *journal;           /* NULL: a copy that does not resume */
    struct store *copy_to;             /* where the journal's copy goes, under the name of */
    const char *copy_name;             /* journal_copy_name; NULL: none */
    bool skip_existing;                /* -n: what is there stays */
    bool want_ranges;                  /* keep sha256 and the CRC of every range, for a manifest */
    const volatile sig_atomic_t *stop; /* parts in flight are finished (as long as bytes move, when the stores
                                          wind down with it), the journal is kept */
};

enum transfer_state { TRANSFER_WAITING, TRANSFER_RUNNING, TRANSFER_DONE, TRANSFER_SKIPPED, TRANSFER_FAILED };

struct transfer_job {
    struct store *from, *to;
    struct entry source; /* copied */
    const char *target;  /* name in `to`; copied */
};

/* One file's outcome; strings are the transfer's. */
struct transfer_file {
    const char *name, *target;
    uint64_t size, moved; /* moved: bytes this run carried */
    enum transfer_state state;
    uint32_t crc32c;
    char sha256[SHA256_HEX]; /* "" unless the source names one or want_ranges */
    uint32_t *ranges;        /* with want_ranges */
    int range_count;
    int64_t generation;        /* of the target */
    const struct err *problem; /* when failed, else NULL */
};

struct transfer;
struct transfer *transfer_new(const struct transfer_options *o, struct err *e);
void transfer_free(struct transfer *t); /* NULL is fine */
/* ERR_USAGE: the file is its own target, or the target is another file's too. */
bool transfer_add(struct transfer *t, const struct transfer_job *job, struct err *e);
bool transfer_run(struct transfer *t, struct err *e);

int transfer_count(const struct transfer *t);
const struct transfer_file *transfer_at(const struct transfer *t, int i); /* after transfer_run */

/* How far it is. Files in flight are the ones with state TRANSFER_RUNNING. */
struct transfer_progress {
    uint64_t bytes_total, bytes_done; /* done includes what was there from an earlier run */
    uint64_t bytes_moved;             /* by this run */
    int files_total, files_done, files_skipped, files_failed;
    int running;
    struct {
        const char *name;
        uint64_t size, done;
    } flight[16]; /* [running], at most 16 */
};
void transfer_progress(struct transfer *t, struct transfer_progress *p);

/* How long the parts of a file are: the smallest multiple of part_bytes that fits into max_parts. */
uint32_t transfer_part_size(uint64_t size, uint32_t part_bytes, int max_parts);

/* A file from a store, or a range of it, in order, to fn: for `cat` and `cp … -`, several parts in flight. Of
 * a whole file what its place says of it (crc32c, sha256, git blob id) is compared before fn gets the last
 * piece: ERR_CORRUPT. */
bool transfer_stream_out(struct store *s, const struct entry *from, uint64_t offset, uint64_t size,
                         bool (*fn)(void *arg, const void *bytes, size_t size, struct err *e), void *arg,
                         const volatile sig_atomic_t *stop, struct err *e);
/* Bytes of unknown length from fn (size 0 ends) to a store. */
bool transfer_stream_in(struct store *s, const char *name, int64_t if_generation,
                        bool (*fn)(void *arg, void *into, size_t room, size_t *size, struct err *e),
                        void *arg, const volatile sig_atomic_t *stop, struct err *e);

#endif
