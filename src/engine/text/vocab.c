#include "engine/text/vocab.h"

#include "base/catalog.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 1 << 16, FIRST_MERGES = 1 << 12, MAX_SHOWN = 60 /* bytes of a token in a message */ };

static uint32_t hash_bytes(const unsigned char *s, size_t n)
{
    uint64_t h = n;
    for (; n > 0;) {
        uint64_t word = 0;
        size_t take = n < sizeof word ? n : sizeof word;
        memcpy(&word, s, take);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
        s += take;
        n -= take;
    }
    return (uint32_t)h;
}

static uint32_t power_of_two(uint64_t least)
{
    uint64_t n = 16;
    while (n < least)
        n *= 2;
    return (uint32_t)n;
}

bool vocab_init(struct vocab *v, int room, struct err *e)
{
    *v = (struct vocab){.room = (uint32_t)room, .bytes_room = FIRST_BYTES};
    v->slot_mask = power_of_two((uint64_t)room * 2) - 1;
    v->merge_mask = FIRST_MERGES - 1;
    v->tokens = calloc(v->room, sizeof *v->tokens);
    v->whole = calloc(v->room, sizeof *v->whole);
    v->bytes = malloc(v->bytes_room);
    v->slots = calloc((size_t)v->slot_mask + 1, sizeof *v->slots);
    v->merges = calloc((size_t)v->merge_mask + 1, sizeof *v->merges);
    if (!v->tokens || !v->whole || !v->bytes || !v->slots || !v->merges)
        return err_set(e, ERR_MEMORY, "no memory for a vocabulary of %d tokens", room);
    return true;
}

void vocab_clear(struct vocab *v)
{
    free(v->tokens);
    free(v->whole);
    free(v->bytes);
    free(v->slots);
    free(v->merges);
    *v = (struct vocab){0};
}

static bool keep_bytes(struct vocab *v, const void *bytes, size_t size, int id, struct err *e)
{
    if (size > v->bytes_room - v->bytes_used) {
        size_t room = v->bytes_room * 2 + size;
        unsigned char *more = room <= UINT32_MAX ? realloc(v->bytes, room) : NULL;
        if (!more)
            return err_set(e, ERR_MEMORY, "no memory for the bytes of the tokens");
        v->bytes = more;
        v->bytes_room = room;
    }
    memcpy(v->bytes + v->bytes_used, bytes, size);
    v->tokens[id] = (struct vocab_token){(uint32_t)v->bytes_used, (uint32_t)size};
    v->bytes_used += size;
    return true;
}

static bool id_fits(const struct vocab *v, int id, struct err *e)
{
    if (id >= 0 && (uint32_t)id < v->room)
        return true;
    return err_set(e, ERR_CORRUPT, "id %d, expected 0 to %u: the model has a row for each of those only", id,
                   v->room - 1);
}

static bool holds(const struct vocab *v, uint32_t id, const void *bytes, size_t size)
{
    return v->tokens[id].size == size && memcmp(v->bytes + v->tokens[id].begin, bytes, size) == 0;
}

static bool id_taken(const struct vocab *v, int id, struct err *e)
{
    struct vocab_token t = v->tokens[id];
    return err_set(e, ERR_CORRUPT, "id %d is already that of \"%.*s\", expected one id per token", id,
                   (int)(t.size < MAX_SHOWN ? t.size : MAX_SHOWN), (const char *)v->bytes + t.begin);
}

/* The slot that has these bytes, or the empty one where they belong. */
static struct vocab_slot *find_slot(const struct vocab *v, const void *bytes, size_t size, uint32_t tag)
{
    for (uint32_t i = tag;; i++) {
        struct vocab_slot *s = &v->slots[i & v->slot_mask];
        if (s->id == 0 || (s->tag == tag && holds(v, s->id - 1, bytes, size)))
            return s;
    }
}

bool vocab_add(struct vocab *v, const void *bytes, size_t size, int id, struct err *e)
{
    if (!id_fits(v, id, e))
        return false;
    if (size == 0)
        return err_set(e, ERR_CORRUPT, "id %d has an empty token, expected at least one byte", id);
    if (v->tokens[id].size)
        return id_taken(v, id, e);
    uint32_t tag = hash_bytes(bytes, size);
    struct vocab_slot *s = find_slot(v, bytes, size, tag);
    if (s->id)
        return err_set(e, ERR_CORRUPT, "ids %u and %d have the same token, expected it once", s->id - 1, id);
    if (!keep_bytes(v, bytes, size, id, e))
        return false;
    *s = (struct vocab_slot){tag, (uint32_t)id + 1};
    if (size > v->longest)
        v->longest = (uint32_t)size;
    return true;
}

bool vocab_place(struct vocab *v, const void *bytes, size_t size, int id, struct err *e)
{
    if (!id_fits(v, id, e))
        return false;
    if (v->tokens[id].size)
        return holds(v, (uint32_t)id, bytes, size) ? true : id_taken(v, id, e);
    return keep_bytes(v, bytes, size, id, e);
}

int vocab_find(const struct vocab *v, const void *bytes, size_t size)
{
    if (size == 0 || size > v->longest)
        return -1;
    return (int)find_slot(v, bytes, size, hash_bytes(bytes, size))->id - 1;
}

static struct vocab_merge *merge_place(struct vocab_merge *table, uint32_t mask, uint32_t left,
                                       uint32_t right)
{
    for (uint32_t i = (uint32_t)vocab_pair_hash(left, right);; i++) {
        struct vocab_merge *m = &table[i & mask];
        if (m->rank == 0 || (m->left == left && m->right == right))
            return m;
    }
}

static bool more_merges(struct vocab *v, struct err *e)
{
    uint32_t mask = v->merge_mask * 2 + 1;
    struct vocab_merge *table = calloc((size_t)mask + 1, sizeof *table);
    if (!table)
        return err_set(e, ERR_MEMORY, "no memory for %u merges", v->merge_count);
    for (size_t i = 0; i <= v->merge_mask; i++)
        if (v->merges[i].rank)
            *merge_place(table, mask, v->merges[i].left, v->merges[i].right) = v->merges[i];
    free(v->merges);
    v->merges = table;
    v->merge_mask = mask;
    return true;
}

bool vocab_add_merge(struct vocab *v, const unsigned char *joined, size_t left_size, size_t size,
                     struct err *e)
{
    int left = vocab_find(v, joined, left_size);
    int right = vocab_find(v, joined + left_size, size - left_size);
    int id = vocab_find(v, joined, size);
    if (left < 0 || right < 0 || id < 0)
        return err_set(e, ERR_CORRUPT, "%s is not in the vocabulary, expected the pair and what it becomes",
                       left < 0    ? _("the left token")
                       : right < 0 ? _("the right token")
                                   : _("the merged token"));
    if (v->merge_count >= v->merge_mask / 2 && !more_merges(v, e))
        return false;
    struct vocab_merge *m = merge_place(v->merges, v->merge_mask, (uint32_t)left, (uint32_t)right);
    if (m->rank)
        return err_set(e, ERR_CORRUPT, "the pair is merge %u already, expected it once", m->rank);
    *m = (struct vocab_merge){(uint32_t)left, (uint32_t)right, ++v->merge_count, (uint32_t)id};
    return true;
}

bool vocab_finish(struct vocab *v, struct err *e)
{
    for (int byte = 0; byte < 256; byte++) {
        unsigned char b = (unsigned char)byte;
        int id = vocab_find(v, &b, 1);
        if (id < 0)
            return err_set(e, ERR_CORRUPT, "no token for byte 0x%02x, expected one for each of the 256",
                           byte);
        v->byte_ids[byte] = (uint32_t)id;
    }
    return true;
}
