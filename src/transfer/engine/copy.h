/* copy.h: what the threads of a transfer share, and one file on its way. */
#ifndef FERRY_TRANSFER_ENGINE_COPY_H
#define FERRY_TRANSFER_ENGINE_COPY_H

#include "base/arena.h"
#include "base/pages.h"
#include "base/stop.h"
#include "cloud/storage.h"
#include "transfer/engine/digest.h"
#include "transfer/transfer.h"

#include <pthread.h>

/* A part that an earlier run stored. */
struct earlier {
    bool stored;
    uint32_t crc32c;
};

/* One file. What is set once needs no lock; `out` and `locked` are the transfer's mutex's. */
struct copy {
    struct transfer_job job;
    const char *identity;
    uint32_t part_bytes;
    int parts;
    bool within;  /* the place makes the copy itself */
    bool hashed;  /* somebody wants its sha256: parts wait for their turn to be hashed */
    bool ordered; /* the target wants its parts in order: they wait for their turn to be stored too */

    /* while it is open */
    struct upload *upload;
    struct digest digest; /* of the thread whose part's turn it is */
    struct earlier *earlier;
    uint32_t *ranges; /* [range_count], each part writes its own */
    int range_count;

    struct transfer_file out;
    struct {
        struct copy *next; /* of those that are open */
        int next_part;     /* to be handed out */
        int hash_turn, store_turn;
        int carried, left; /* workers that carry parts; parts that are not stored yet */
        int tries;
        bool failed;
        bool gone; /* what was sent: the upload ended before it was sealed, by this run or an earlier one */
        struct err problem;
        uint64_t done; /* bytes counted in the transfer's bytes_done */
    } locked;
};

struct worker {
    struct transfer *t;
    bool small; /* takes only files that go in one piece */
    char *buffer;
    size_t room;
    struct copy *at; /* the transfer's mutex's; for progress */
    pthread_t thread;
};

struct queue {
    struct copy **copies;
    int count, room, next;
};

struct transfer {
    struct transfer_options opt; /* set once, no zeros */
    struct arena *names;
    struct copy **copies;
    int count, room;
    int *index; /* [index_room] 1 + place in copies, by hash of the target; 0: free */
    int index_room;
    struct pages buffers;
    struct worker *workers;
    int worker_count;
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
        struct queue large, small;
        struct copy *open; /* handed out in parts now */
        int open_count, opening;
        int failures_in_row;
        struct err first_problem;
        uint64_t copied_ns; /* when the journal's copy was written */
        bool copying, uncopied;
        struct transfer_progress progress;
    } locked;
};

static inline bool transfer_stopped(const struct transfer *t)
{
    return stop_wanted(t->opt.stop);
}

/* --- one file (copy.c) --- */

uint64_t copy_part_size(const struct copy *c, int part);
int copy_part_ranges(const struct transfer *t, uint64_t bytes);
void copy_range_crcs(const struct transfer *t, const void *bytes, size_t size, uint32_t *ranges);
uint32_t copy_combine(const struct transfer *t, const uint32_t *ranges, uint64_t bytes);

/* The CRC of the whole is what the source says, if it says one. */
bool copy_is_source(const struct copy *c, uint32_t crc, struct err *e);

/* The journal's last words on a file: all is stored and verified, now it appears. */
bool copy_sealing(struct transfer *t, struct copy *c, uint32_t crc, struct err *e);
/* It has appeared. */
bool copy_done(struct transfer *t, struct copy *c, const struct entry *there, struct err *e);

/* How it ended, for the lists. e is taken for failures. */
void copy_ended(struct transfer *t, struct copy *c, enum transfer_state state, const struct err *e);
void copy_moved_locked(struct transfer *t, struct copy *c, uint64_t bytes, bool now);

/* --- what is there already (known.c) --- */

/* *there: it needs no copying, and its outcome is filled in. buffer: to read in. */
bool known_whole(struct transfer *t, struct copy *c, struct worker *w, struct arena *a, bool *there,
                 struct err *e);
/* What the journal says about this very file in these very parts, or NULL. */
const struct journal_file *known_file(const struct transfer *t, const struct copy *c);
/* Opens the upload where an earlier run left it, or anew. */
bool known_upload(struct transfer *t, struct copy *c, struct worker *w, struct arena *a, bool *there,
                  struct err *e);

/* --- the three ways of carrying a file --- */

void small_carry(struct worker *w, struct copy *c);
void within_carry(struct worker *w, struct copy *c);
void large_open(struct worker *w, struct copy *c);
void large_parts(struct worker *w, struct copy *c, int first, int count); /* in one request */
void large_close(struct transfer *t, struct copy *c);                     /* nobody carries a part of it */

#endif
