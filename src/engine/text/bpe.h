/* bpe.h: the bytes of one pretoken to ids, by merging the neighbours of least rank, leftmost first, until
 * none can be merged. */
#ifndef FERRY_ENGINE_TEXT_BPE_H
#define FERRY_ENGINE_TEXT_BPE_H

#include "base/err.h"
#include "engine/text/vocab.h"
#include "engine/tokenizer.h"

/* Scratch for long pretokens. One thread. Zeroed is empty. */
struct bpe {
    uint64_t *heap; /* [3 * room] rank << 32 | position: at first one per pair, then two per merge */
    uint64_t *pair; /* [room] vocab_merge of the symbol and its right neighbour */
    uint32_t *id, *prev, *next; /* [room] the symbols, linked */
    size_t room;
};
void bpe_clear(struct bpe *b);

/* Appends the ids of bytes[0..n), 1 <= n < 2^32. n log n. False with *e set when memory is short. */
bool bpe_encode(struct bpe *b, const struct vocab *v, const unsigned char *bytes, size_t n, struct ids *out,
                struct err *e);

#endif
