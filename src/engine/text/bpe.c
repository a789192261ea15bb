#include "engine/text/bpe.h"

#include <stdlib.h>
#include <string.h>

enum { SHORT = 64 }; /* symbols for which looking at every pair beats a heap */

#define END UINT32_MAX

void bpe_clear(struct bpe *b)
{
    free(b->heap);
    free(b->pair);
    free(b->id);
    free(b->prev);
    free(b->next);
    *b = (struct bpe){0};
}

static bool reserve(struct bpe *b, size_t n, struct err *e)
{
    if (n <= b->room)
        return true;
    bpe_clear(b);
    b->heap = calloc(n, 3 * sizeof *b->heap);
    b->pair = calloc(n, sizeof *b->pair);
    b->id = calloc(n, sizeof *b->id);
    b->prev = calloc(n, sizeof *b->prev);
    b->next = calloc(n, sizeof *b->next);
    if (!b->heap || !b->pair || !b->id || !b->prev || !b->next)
        return err_set(e, ERR_MEMORY, "no memory to encode a word of %zu bytes", n);
    b->room = n;
    return true;
}

/* ids[0..n) merged in place, n <= SHORT; the new count. */
static size_t merge_short(const struct vocab *v, uint32_t *ids, size_t n)
{
    uint64_t pair[SHORT];
    for (size_t i = 0; i + 1 < n; i++)
        pair[i] = vocab_merge(v, ids[i], ids[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (pair[i] < pair[best])
                best = i;
        if (pair[best] == VOCAB_NO_MERGE)
            break;
        ids[best] = (uint32_t)pair[best];
        n--;
        memmove(ids + best + 1, ids + best + 2, (n - best - 1) * sizeof *ids);
        if (best + 1 < n) {
            memmove(pair + best + 1, pair + best + 2, (n - best - 1) * sizeof *pair);
            pair[best] = vocab_merge(v, ids[best], ids[best + 1]);
        }
        if (best > 0)
            pair[best - 1] = vocab_merge(v, ids[best - 1], ids[best]);
    }
    return n;
}

static void sift_up(uint64_t *heap, size_t i)
{
    uint64_t key = heap[i];
    for (; i > 0 && heap[(i - 1) / 2] > key; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = key;
}

static uint64_t pop(uint64_t *heap, size_t *count)
{
    uint64_t least = heap[0], key = heap[--*count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < *count; i = child) {
        if (child + 1 < *count && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= key)
            break;
        heap[i] = heap[child];
    }
    heap[i] = key;
    return least;
}

/* Looks up the pair that begins at symbol `at` and queues it when it can be merged. */
static void queue_pair(struct bpe *b, const struct vocab *v, uint32_t at, size_t *queued)
{
    b->pair[at] = b->next[at] == END ? VOCAB_NO_MERGE : vocab_merge(v, b->id[at], b->id[b->next[at]]);
    if (b->pair[at] == VOCAB_NO_MERGE)
        return;
    b->heap[*queued] = b->pair[at] >> VOCAB_RANK_SHIFT << VOCAB_RANK_SHIFT | at;
    sift_up(b->heap, (*queued)++);
}

static void merge_at(struct bpe *b, const struct vocab *v, uint32_t at, size_t *queued)
{
    uint32_t gone = b->next[at];
    b->id[at] = (uint32_t)b->pair[at];
    b->pair[gone] = VOCAB_NO_MERGE;
    b->next[at] = b->next[gone];
    if (b->next[at] != END)
        b->prev[b->next[at]] = at;
    queue_pair(b, v, at, queued);
    if (b->prev[at] != END)
        queue_pair(b, v, b->prev[at], queued);
}

/* b->id[0..n) merged; the first symbol stays the first, b->next leads through the rest. */
static void merge_long(struct bpe *b, const struct vocab *v, size_t n)
{
    size_t queued = 0;
    for (uint32_t i = 0; i < n; i++) {
        b->prev[i] = i ? i - 1 : END;
        b->next[i] = i + 1 < n ? i + 1 : END;
    }
    for (uint32_t i = 0; i < n; i++)
        queue_pair(b, v, i, &queued);
    while (queued) {
        uint64_t key = pop(b->heap, &queued);
        uint32_t at = (uint32_t)key;
        if (b->pair[at] >> VOCAB_RANK_SHIFT == key >> VOCAB_RANK_SHIFT) /* else a neighbour took part of it */
            merge_at(b, v, at, &queued);
    }
}

static bool encode_long(struct bpe *b, const struct vocab *v, const unsigned char *bytes, size_t n,
                        struct ids *out, struct err *e)
{
    if (!reserve(b, n, e))
        return false;
    for (size_t i = 0; i < n; i++)
        b->id[i] = v->byte_ids[bytes[i]];
    merge_long(b, v, n);
    for (uint32_t i = 0; i != END; i = b->next[i])
        if (!ids_push(out, (int)b->id[i], e))
            return false;
    return true;
}

static bool encode_short(const struct vocab *v, const unsigned char *bytes, size_t n, struct ids *out,
                         struct err *e)
{
    uint32_t ids[SHORT];
    for (size_t i = 0; i < n; i++)
        ids[i] = v->byte_ids[bytes[i]];
    n = merge_short(v, ids, n);
    for (size_t i = 0; i < n; i++)
        if (!ids_push(out, (int)ids[i], e))
            return false;
    return true;
}

bool bpe_encode(struct bpe *b, const struct vocab *v, const unsigned char *bytes, size_t n, struct ids *out,
                struct err *e)
{
    /* Most words are one token. That a word is in the vocabulary does not say that merging leads there, so
     * the first to meet it merges, and notes for everyone whether it does. */
    int known = vocab_find(v, bytes, n);
    if (known >= 0 && atomic_load_explicit(&v->whole[known].is, memory_order_relaxed) == WHOLE_YES)
        return ids_push(out, known, e);
    size_t before = out->count;
    if (!(n <= SHORT ? encode_short(v, bytes, n, out, e) : encode_long(b, v, bytes, n, out, e)))
        return false;
    if (known >= 0) {
        bool whole = out->count == before + 1 && out->data[before] == known;
        atomic_store_explicit(&v->whole[known].is, whole ? WHOLE_YES : WHOLE_NO, memory_order_relaxed);
    }
    return true;
}
