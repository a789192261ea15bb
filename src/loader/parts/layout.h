/* layout.h: the shards of a model cut into the ranges that are fetched, each with what needs it. */
#ifndef FERRY_LOADER_PARTS_LAYOUT_H
#define FERRY_LOADER_PARTS_LAYOUT_H

#include "model/folder.h"
#include "store/manifest.h"
#include "store/store.h"

enum {
    RANGE_BYTES = 8 << 20,       /* where no manifest says otherwise */
    RANGE_MOST_BYTES = 64 << 20, /* two must fit beside the model */
    RANGES_MOST = 4096,          /* smaller ones of a manifest are fetched several at a time */
};

/* Who is waited for: the order of stages differs. */
enum order { ORDER_AUDIO, ORDER_TEXT, ORDER_COUNT };

/* One file with tensors, in the place and in memory. */
struct source {
    const struct entry *entry;             /* its name in the place */
    const char *name;                      /* without the prefix */
    const char *title;                     /* for messages: "gs://bucket/x/model.safetensors" */
    const struct manifest_file *certified; /* NULL: no manifest */
    uint32_t unit;                         /* bytes of a range, but the last */
    struct shard *shard;                   /* where its bytes go */
    int *stages;                           /* [tensors] of its header: the stage of each, or -1 */
    int first, count;                      /* its ranges */
};

struct range {
    int source;
    uint64_t begin;
    uint32_t size;
    uint32_t crc32c;       /* expected, when certified */
    int rank[ORDER_COUNT]; /* place of its first byte in the order of stages */
};

struct layout {
    struct source *sources; /* [source_count], the caller's */
    int source_count;
    struct range *ranges;
    int count;
};

/* How long the ranges of a model of so many bytes are. m NULL: no manifest. False with *e set: longer than
 * RANGE_MOST_BYTES. */
bool layout_unit(const struct manifest *m, uint64_t bytes, uint32_t *unit, struct err *e);

/* Of sources whose shards are open and assembled in m: stages, ranges, ranks; and what arrival expects.
 * Arrays in the arena. */
bool layout_make(struct layout *l, struct source *sources, int count, const struct model *m,
                 const struct manifest *manifest, struct arena *a, struct err *e);

/* Tells arrival that a range is there. */
void layout_arrived(const struct layout *l, const struct range *r, struct arrival *a);

/* The ranges [*first, *last] that hold a row of the embedding. */
struct row_places {
    int source;           /* -1: none */
    uint64_t begin;       /* of the table in its file */
    uint64_t group_bytes; /* of the rows that lie together: one, or a strip of blocks */
    int group_rows;
};
struct row_places layout_rows(const struct layout *l, const struct model *m);
void layout_row(const struct layout *l, const struct row_places *p, int id, int *first, int *last);

#endif
