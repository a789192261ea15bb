#include "shards_out.h"

#include "random_weights.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t shard_bytes = 4000000000u; /* of data */

enum { MAX_SHARDS = 64, HEADER_STEP = 8 /* the header's length is a multiple of it */ };

struct shards {
    const char *folder;
    struct placement *list; /* [count], shard after shard */
    size_t count;
    size_t ends[MAX_SHARDS]; /* of each shard's placements */
    int fds[MAX_SHARDS];
    int shards;
};

static void shard_name(const struct shards *s, int shard, char out[64])
{
    if (s->shards == 1)
        snprintf(out, 64, "model.safetensors");
    else
        snprintf(out, 64, "model-%05d-of-%05d.safetensors", shard + 1, s->shards);
}

static int by_name(const void *a, const void *b)
{
    const struct placement *x = a, *y = b;
    return strcmp(x->slot->name, y->slot->name);
}

static bool cut(struct shards *s, const struct weights *w, struct err *e)
{
    uint64_t bytes = 0;
    for (; s->count < w->slot_count; s->count++) {
        struct placement *p = &s->list[s->count];
        *p = (struct placement){.slot = &w->slots[s->count], .fd = -1};
        if (bytes > 0 && bytes + placement_bytes(p) > shard_bytes) {
            s->ends[s->shards++] = s->count;
            bytes = 0;
        }
        if (s->shards == MAX_SHARDS - 1)
            return err_set(e, ERR_LIMIT, "more than %d shards; ask for fewer layers", MAX_SHARDS - 1);
        bytes += placement_bytes(p);
    }
    s->ends[s->shards++] = s->count;
    for (int i = 0; i < s->shards; i++) {
        size_t begin = i ? s->ends[i - 1] : 0;
        qsort(s->list + begin, s->ends[i] - begin, sizeof *s->list, by_name);
    }
    return true;
}

/* The header's JSON. Offsets count from its end. */
static void print_header(FILE *out, const struct placement *p, size_t count)
{
    uint64_t at = 0;
    fputs("{\"__metadata__\":{\"format\":\"pt\"}", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", p[i].slot->name, dtype_name(DTYPE_BF16));
        for (int k = 0; k < p[i].slot->dims; k++)
            fprintf(out, "%s%d", k ? "," : "", p[i].slot->shape[k]);
        uint64_t end = at + placement_bytes(&p[i]);
        fprintf(out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, end);
        at = end;
    }
    fputc('}', out);
    while (ftell(out) % HEADER_STEP != 0)
        fputc(' ', out);
}

/* Length and JSON at the start of fd, and the tensors' places behind them. */
static bool write_header(int fd, struct placement *p, size_t count, struct err *e)
{
    char *json = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&json, &size);
    if (!out)
        return err_errno(e, "header");
    print_header(out, p, count);
    bool ok = fclose(out) == 0;
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)size >> (8 * i));
    ok = ok && pwrite(fd, length, 8, 0) == 8 && pwrite(fd, json, size, 8) == (ssize_t)size;
    free(json);

    uint64_t at = 8 + size;
    for (size_t i = 0; i < count; i++) {
        p[i].fd = fd;
        p[i].offset = at;
        at += placement_bytes(&p[i]);
    }
    return ok || err_errno(e, "header");
}

static bool open_shard(struct shards *s, int shard, struct err *e)
{
    char name[64], path[4096];
    shard_name(s, shard, name);
    snprintf(path, sizeof path, "%s/%s", s->folder, name);
    s->fds[shard] = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (s->fds[shard] < 0)
        return err_errno(e, "%s", path);
    size_t begin = shard ? s->ends[shard - 1] : 0;
    return write_header(s->fds[shard], s->list + begin, s->ends[shard] - begin, e) || err_wrap(e, "%s", path);
}

static bool write_index(const struct shards *s, struct err *e)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", s->folder);
    FILE *out = fopen(path, "w");
    if (!out)
        return err_errno(e, "%s", path);
    uint64_t total = 0;
    for (size_t i = 0; i < s->count; i++)
        total += placement_bytes(&s->list[i]);
    fprintf(out, "{\n  \"metadata\": {\"total_size\": %" PRIu64 "},\n  \"weight_map\": {", total);
    int shard = 0;
    for (size_t i = 0; i < s->count; i++) {
        char name[64];
        shard += i == s->ends[shard];
        shard_name(s, shard, name);
        fprintf(out, "%s\n    \"%s\": \"%s\"", i ? "," : "", s->list[i].slot->name, name);
    }
    fputs("\n  }\n}\n", out);
    return fclose(out) == 0 || err_errno(e, "%s", path);
}

static bool close_shards(struct shards *s, struct err *e)
{
    bool ok = true;
    for (int i = 0; i < s->shards; i++)
        if (s->fds[i] > 0 && close(s->fds[i]) != 0)
            ok = false;
    return ok || err_errno(e, "%s", s->folder);
}

bool shards_out_write(const char *folder, const struct weights *w, struct pool *pool, struct err *e)
{
    struct shards s = {.folder = folder, .list = calloc(w->slot_count, sizeof *s.list)};
    bool ok = s.list || err_set(e, ERR_MEMORY, "no memory for a list of tensors");
    ok = ok && cut(&s, w, e);
    for (int i = 0; ok && i < s.shards; i++)
        ok = open_shard(&s, i, e);
    if (ok && s.shards > 1)
        ok = write_index(&s, e);
    ok = ok && random_weights_write(s.list, s.count, pool, e);
    ok = close_shards(&s, ok ? e : NULL) && ok;
    free(s.list);
    return ok;
}
