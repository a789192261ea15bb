#include "loader/parts/layout.h"

#include "base/crc32c.h"
#include "model/blocks.h"

#include <inttypes.h>
#include <limits.h>

bool layout_unit(const struct manifest *m, uint64_t bytes, uint32_t *unit, struct err *e)
{
    uint64_t range = m ? m->range_bytes : RANGE_BYTES, several = range;
    while (several <= RANGE_MOST_BYTES && bytes / several >= RANGES_MOST)
        several += range;
    *unit = (uint32_t)several;
    return several <= RANGE_MOST_BYTES ||
           err_set(e, ERR_UNSUPPORTED, "ranges of %" PRIu64 " bytes (%s), expected at most %d", several,
                   MANIFEST_NAME, RANGE_MOST_BYTES);
}

/* --- order ------------------------------------------------------------------------------------------------
 */

/* Stages of a model are its own order when a recording waits. Text passes the tower by. */
static int rank_of(const struct model_config *c, enum order order, int stage)
{
    int first_text = stage_decoder(c, 0), head = stage_head(c);
    if (stage < 0)
        return stage_count(c);
    if (order == ORDER_AUDIO || stage > head)
        return stage;
    return stage >= first_text ? stage - first_text : stage + head + 1 - first_text;
}

/* The first tensor of a shard that ends behind `at`. */
static size_t first_tensor(const struct safetensors *s, uint64_t at)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->tensors[middle].end <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What of a range belongs to a tensor. */
static uint64_t overlap(const struct range *r, const struct safetensor *t)
{
    uint64_t begin = t->begin > r->begin ? t->begin : r->begin, end = r->begin + r->size;
    end = t->end < end ? t->end : end;
    return end > begin ? end - begin : 0;
}

static void rank_range(const struct layout *l, struct range *r, const struct model_config *c)
{
    const struct source *s = &l->sources[r->source];
    const struct safetensors *header = &s->shard->header;
    for (int o = 0; o < ORDER_COUNT; o++)
        r->rank[o] = INT_MAX;
    for (size_t i = first_tensor(header, r->begin);
         i < header->count && header->tensors[i].begin < r->begin + r->size; i++)
        for (int o = 0; o < ORDER_COUNT; o++) {
            int rank = rank_of(c, (enum order)o, s->stages[i]);
            r->rank[o] = rank < r->rank[o] ? rank : r->rank[o];
        }
}

/* --- making -----------------------------------------------------------------------------------------------
 */

/* The CRC of several of the manifest's ranges together. */
static uint32_t expected_crc(const struct source *s, const struct range *r, uint32_t manifest_range)
{
    uint32_t crc = 0;
    for (uint64_t at = r->begin; at < r->begin + r->size; at += manifest_range) {
        uint64_t left = r->begin + r->size - at, size = left < manifest_range ? left : manifest_range;
        crc = crc32c_combine(crc, s->certified->ranges[at / manifest_range], size);
    }
    return crc;
}

static bool find_stages(struct source *s, const struct model *m, struct arena *a)
{
    const struct safetensors *header = &s->shard->header;
    s->stages = arena_alloc(a, header->count + 1, sizeof *s->stages);
    for (size_t i = 0; s->stages && i < header->count; i++) {
        const struct weight_slot *slot = weights_find(m->weights, header->tensors[i].name);
        s->stages[i] = slot ? stage_of_slot(&m->config, m->weights, slot) : -1;
    }
    return s->stages != NULL;
}

/* The bytes of a range by the stage that they belong to. */
static void tell_stages(const struct layout *l, const struct range *r, struct arrival *a,
                        void (*tell)(struct arrival *, int, uint64_t))
{
    const struct source *s = &l->sources[r->source];
    const struct safetensors *header = &s->shard->header;
    uint64_t rest = r->size;
    for (size_t i = first_tensor(header, r->begin);
         i < header->count && header->tensors[i].begin < r->begin + r->size; i++) {
        uint64_t bytes = overlap(r, &header->tensors[i]);
        if (bytes)
            tell(a, s->stages[i], bytes);
        rest -= bytes;
    }
    if (rest) /* of the header */
        tell(a, -1, rest);
}

static void cut(struct layout *l, struct source *s, int index, const struct model *m,
                const struct manifest *manifest)
{
    s->first = l->count;
    for (uint64_t at = 0; at < s->shard->bytes; at += s->unit) {
        struct range *r = &l->ranges[l->count++];
        uint64_t left = s->shard->bytes - at;
        *r = (struct range){.source = index, .begin = at, .size = left < s->unit ? (uint32_t)left : s->unit};
        if (s->certified)
            r->crc32c = expected_crc(s, r, manifest->range_bytes);
        rank_range(l, r, &m->config);
        tell_stages(l, r, m->arrival, arrival_expect);
    }
    s->count = l->count - s->first;
}

bool layout_make(struct layout *l, struct source *sources, int count, const struct model *m,
                 const struct manifest *manifest, struct arena *a, struct err *e)
{
    size_t ranges = 0;
    *l = (struct layout){.sources = sources, .source_count = count};
    for (int i = 0; i < count; i++)
        ranges += (size_t)((sources[i].shard->bytes + sources[i].unit - 1) / sources[i].unit);
    if (ranges <= INT_MAX)
        l->ranges = arena_alloc(a, ranges + 1, sizeof *l->ranges);
    bool ok = l->ranges != NULL;
    for (int i = 0; ok && i < count; i++)
        ok = find_stages(&sources[i], m, a);
    if (!ok)
        return err_set(e, ERR_MEMORY, "no memory for a list of %zu ranges", ranges);
    for (int i = 0; i < count; i++)
        cut(l, &sources[i], i, m, manifest);
    return true;
}

void layout_arrived(const struct layout *l, const struct range *r, struct arrival *a)
{
    tell_stages(l, r, a, arrival_add);
}

/* --- rows -------------------------------------------------------------------------------------------------
 */

struct row_places layout_rows(const struct layout *l, const struct model *m)
{
    const struct tensor *t = &m->weights->embedding;
    struct row_places p = {.source = -1, .group_rows = dtype_is_blocks(t->dtype) ? TILE_ROWS : 1};
    p.group_bytes = tensor_bytes(t->dtype, p.group_rows, t->cols);
    for (int i = 0; i < l->source_count; i++) {
        const struct shard *s = l->sources[i].shard;
        const unsigned char *data = t->data;
        if (data >= s->data && data < s->data + s->bytes) {
            p.source = i;
            p.begin = (uint64_t)(data - s->data);
        }
    }
    return p;
}

void layout_row(const struct layout *l, const struct row_places *p, int id, int *first, int *last)
{
    const struct source *s = &l->sources[p->source];
    uint64_t begin = p->begin + (uint64_t)(id / p->group_rows) * p->group_bytes;
    *first = s->first + (int)(begin / s->unit);
    *last = s->first + (int)((begin + p->group_bytes - 1) / s->unit);
}
