/* vocab.h: the tokens of a vocabulary by id and by bytes, and the merges of byte-level BPE.
 *
 * Filled once (vocab_add, vocab_place, vocab_add_merge), checked with vocab_finish, then shared by any
 * threads; only the whole-token notes still change, and they are atomic. */
#ifndef FERRY_ENGINE_TEXT_VOCAB_H
#define FERRY_ENGINE_TEXT_VOCAB_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vocab_token {
    uint32_t begin, size; /* in bytes; size 0: no such token */
};

struct vocab_slot {
    uint32_t tag; /* the hash, so that most comparisons need no look at the bytes */
    uint32_t id;  /* plus 1; 0: empty */
};

struct vocab_merge {
    uint32_t left, right;
    uint32_t rank; /* plus 1; 0: empty */
    uint32_t id;
};

/* Does BPE of a token's bytes give that token? */
enum whole { WHOLE_UNKNOWN, WHOLE_YES, WHOLE_NO };
struct vocab_whole {
    _Atomic unsigned char is; /* enum whole */
};

struct vocab {
    uint32_t room;              /* ids are below it */
    struct vocab_token *tokens; /* [room] */
    unsigned char *bytes;       /* of all tokens */
    size_t bytes_used, bytes_room;
    struct vocab_slot *slots; /* [slot_mask + 1], open addressing */
    uint32_t slot_mask;
    struct vocab_merge *merges; /* [merge_mask + 1], open addressing, at most half full */
    uint32_t merge_mask, merge_count;
    uint32_t byte_ids[256];    /* the token of each single byte */
    uint32_t longest;          /* bytes of the longest token that vocab_find knows */
    struct vocab_whole *whole; /* [room] */
};

/* Empty, for ids 0..room-1. vocab_clear after either outcome is fine. */
bool vocab_init(struct vocab *v, int room, struct err *e);
void vocab_clear(struct vocab *v); /* a zeroed one is fine */

/* A token of the base vocabulary: bytes copied. Refused: an id or bytes that another token has, no bytes. */
bool vocab_add(struct vocab *v, const void *bytes, size_t size, int id, struct err *e);

/* A token that BPE never produces (an added one): known by id only. The same bytes at the same id twice are
 * fine. */
bool vocab_place(struct vocab *v, const void *bytes, size_t size, int id, struct err *e);

/* The next merge: ranks count up from 0 in the order of the calls. The three tokens by their bytes: `joined`
 * begins with left_size bytes of the left one. Refused: unknown tokens, a pair that is there already. */
bool vocab_add_merge(struct vocab *v, const unsigned char *joined, size_t left_size, size_t size,
                     struct err *e);

/* True when every byte has a token, so that any text can be encoded. */
bool vocab_finish(struct vocab *v, struct err *e);

int vocab_find(const struct vocab *v, const void *bytes, size_t size); /* id, or -1 */

enum { VOCAB_RANK_SHIFT = 32 };
#define VOCAB_NO_MERGE UINT64_MAX

static inline uint64_t vocab_pair_hash(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio */
    return h ^ h >> 32;
}

/* rank << 32 | id of the merged token, so that the least one is the next to be done; VOCAB_NO_MERGE. */
static inline uint64_t vocab_merge(const struct vocab *v, uint32_t left, uint32_t right)
{
    for (uint32_t i = (uint32_t)vocab_pair_hash(left, right);; i++) {
        const struct vocab_merge *m = &v->merges[i & v->merge_mask];
        if (m->rank == 0)
            return VOCAB_NO_MERGE;
        if (m->left == left && m->right == right)
            return (uint64_t)(m->rank - 1) << VOCAB_RANK_SHIFT | m->id;
    }
}

static inline const unsigned char *vocab_bytes(const struct vocab *v, uint32_t id, size_t *size)
{
    *size = id < v->room ? v->tokens[id].size : 0;
    return *size ? v->bytes + v->tokens[id].begin : NULL;
}

#endif
