#include "transfer/journal/state.h"

#include "base/crc32c.h"
#include "transfer/journal/line.h"

#include <stdlib.h>
#include <string.h>

enum outcome { LINE_TAKEN, LINE_DAMAGED, LINE_NO_MEMORY };

/* --- files by name --- */

static uint64_t hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325; /* FNV-1a */
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3;
    return h ^ h >> 32;
}

/* Where the name is in the index, or the free place where it belongs. */
static size_t *find_slot(const struct state *s, const char *name)
{
    size_t at = hash(name) % s->index_room;
    while (s->index[at] && strcmp(s->files[s->index[at] - 1]->start.name, name) != 0)
        at = (at + 1) % s->index_room;
    return &s->index[at];
}

struct journal_file *state_find(const struct state *s, const char *name)
{
    size_t *slot = s->index_room ? find_slot(s, name) : NULL;
    return slot && *slot ? s->files[*slot - 1] : NULL;
}

static bool grow(struct state *s)
{
    size_t room = s->room ? s->room * 2 : 64;
    struct journal_file **files = realloc(s->files, room * sizeof *files);
    if (!files)
        return false;
    s->files = files;
    size_t *index = calloc(room * 2, sizeof *index); /* never more than half full */
    if (!index)
        return false;
    free(s->index);
    s->index = index;
    s->index_room = room * 2;
    s->room = room;
    for (size_t i = 0; i < s->count; i++)
        *find_slot(s, s->files[i]->start.name) = i + 1;
    return true;
}

static struct journal_file *add_file(struct state *s, const char *name)
{
    if (s->count == s->room && !grow(s))
        return NULL;
    struct journal_file *f = calloc(1, sizeof *f);
    char *copy = strdup(name);
    if (!f || !copy) {
        free(f);
        free(copy);
        return NULL;
    }
    f->start.name = copy;
    *find_slot(s, name) = s->count + 1;
    s->files[s->count++] = f;
    return f;
}

/* --- memory of a file --- */

static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

static void forget_parts(struct state *s, struct journal_file *f)
{
    for (int i = 0; f->parts && i < f->part_count; i++) {
        free(f->parts[i].ranges);
        free(f->parts[i].sha256_state);
    }
    if (f->parts)
        s->parts -= (size_t)f->part_count;
    free(f->parts);
    f->parts = NULL;
}

static void forget_seal(struct journal_file *f)
{
    free_text(f->seal.sha256);
    free((void *)(uintptr_t)f->seal.ranges);
    f->seal = (struct journal_seal){0};
    f->sealing = false;
}

/* All but its name. */
static void forget(struct state *s, struct journal_file *f)
{
    const char *name = f->start.name;
    forget_parts(s, f);
    free_text(f->start.identity);
    free_text(f->start.upload_token);
    forget_seal(f);
    *f = (struct journal_file){.start.name = name};
}

void state_clear(struct state *s)
{
    for (size_t i = 0; i < s->count; i++) {
        forget(s, s->files[i]);
        free_text(s->files[i]->start.name);
        free(s->files[i]);
    }
    free(s->files);
    free(s->index);
    free(s->source);
    free(s->target);
    *s = (struct state){0};
}

/* --- arithmetic --- */

size_t state_ranges(const struct journal_start *s, uint64_t bytes)
{
    return (size_t)(bytes / s->range_bytes + (bytes % s->range_bytes != 0));
}

uint64_t state_part_size(const struct journal_file *f, int part)
{
    uint64_t begin = (uint64_t)part * f->start.part_bytes, left = f->start.size - begin;
    return left < f->start.part_bytes ? left : f->start.part_bytes;
}

int state_parts_there(const struct journal_file *f)
{
    int n = 0;
    for (int i = 0; f->parts && i < f->part_count; i++)
        n += f->parts[i].there;
    return n;
}

/* --- lines --- */

static enum outcome take_header(struct state *s, const struct line *l)
{
    if (s->source || l->count != 4 || strcmp(l->fields[0], "ferry-journal") != 0 ||
        strcmp(l->fields[1], "1") != 0)
        return LINE_DAMAGED;
    s->source = strdup(l->fields[2]);
    s->target = strdup(l->fields[3]);
    return s->source && s->target ? LINE_TAKEN : LINE_NO_MEMORY;
}

static enum outcome take_begin(struct state *s, const struct line *l)
{
    uint64_t size, part_bytes, range_bytes, open;
    if (l->count != 8 || !*l->fields[1] || !field_u64(l->fields[2], 0, INT64_MAX, &size) ||
        !field_u64(l->fields[4], 1, UINT32_MAX, &part_bytes) ||
        !field_u64(l->fields[5], 1, UINT32_MAX, &range_bytes) || !field_u64(l->fields[6], 0, 1, &open) ||
        part_bytes % range_bytes != 0)
        return LINE_DAMAGED;
    uint64_t parts = size / part_bytes + (size % part_bytes != 0);
    if (parts > JOURNAL_MAX_PARTS || size / range_bytes > JOURNAL_MAX_BYTES / 9)
        return LINE_DAMAGED;
    struct journal_file *f = state_find(s, l->fields[1]);
    if (f)
        forget(s, f);
    else
        f = add_file(s, l->fields[1]);
    if (!f)
        return LINE_NO_MEMORY;
    f->start.size = size;
    f->start.part_bytes = (uint32_t)part_bytes;
    f->start.range_bytes = (uint32_t)range_bytes;
    f->start.token_is_secret = !open;
    f->start.identity = strdup(l->fields[3]);
    f->start.upload_token = strdup(l->fields[7]);
    f->part_count = (int)parts;
    return f->start.identity && f->start.upload_token ? LINE_TAKEN : LINE_NO_MEMORY;
}

static bool state_fits(const struct journal_file *f, int part, const char *state)
{
    struct sha256 h;
    uint64_t end = (uint64_t)part * f->start.part_bytes + state_part_size(f, part);
    return !*state || (sha256_load(&h, state) && h.bytes == end);
}

static enum outcome make_parts(struct state *s, struct journal_file *f)
{
    if (f->parts)
        return LINE_TAKEN;
    if ((size_t)f->part_count > JOURNAL_MAX_PARTS - s->parts)
        return LINE_DAMAGED;
    f->parts = calloc((size_t)f->part_count, sizeof *f->parts);
    if (!f->parts)
        return LINE_NO_MEMORY;
    s->parts += (size_t)f->part_count;
    return LINE_TAKEN;
}

/* ranges is the part's from here on. */
static enum outcome fill_part(struct journal_part *p, uint32_t *ranges, size_t count, const char *state)
{
    char *copy = strdup(state);
    if (!copy)
        return LINE_NO_MEMORY;
    free(p->ranges);
    free(p->sha256_state);
    *p = (struct journal_part){
        .there = true, .ranges = ranges, .range_count = (int)count, .sha256_state = copy};
    return LINE_TAKEN;
}

static enum outcome take_part(struct state *s, const struct line *l)
{
    uint64_t part;
    struct journal_file *f = l->count == 5 ? state_find(s, l->fields[1]) : NULL;
    if (!f || f->done || f->part_count == 0 ||
        !field_u64(l->fields[2], 0, (uint64_t)f->part_count - 1, &part) ||
        !state_fits(f, (int)part, l->fields[4]))
        return LINE_DAMAGED;
    size_t count = state_ranges(&f->start, state_part_size(f, (int)part));
    if (strlen(l->fields[3]) != count * 9 - 1)
        return LINE_DAMAGED;
    enum outcome made = make_parts(s, f);
    if (made != LINE_TAKEN)
        return made;
    uint32_t *ranges = malloc(count * sizeof *ranges);
    enum outcome filled = !ranges                                      ? LINE_NO_MEMORY
                          : !field_ranges(l->fields[3], ranges, count) ? LINE_DAMAGED
                                                                       : LINE_TAKEN;
    if (filled == LINE_TAKEN)
        filled = fill_part(&f->parts[part], ranges, count, l->fields[4]);
    if (filled == LINE_TAKEN)
        forget_seal(f); /* it did not come to that: a part is stored again */
    if (filled != LINE_TAKEN)
        free(ranges);
    return filled;
}

static bool ranges_make(const struct journal_file *f, const uint32_t *ranges, size_t count, uint32_t crc)
{
    uint32_t whole = 0;
    uint64_t left = f->start.size;
    for (size_t i = 0; i < count; i++) {
        uint64_t size = left < f->start.range_bytes ? left : f->start.range_bytes;
        whole = crc32c_combine(whole, ranges[i], size);
        left -= size;
    }
    return whole == crc;
}

static enum outcome take_seal(struct state *s, const struct line *l)
{
    uint32_t crc;
    struct journal_file *f = l->count == 5 ? state_find(s, l->fields[1]) : NULL;
    if (!f || f->done || !field_hex32(l->fields[2], &crc) || !field_sha256(l->fields[3]))
        return LINE_DAMAGED;
    size_t count = state_ranges(&f->start, f->start.size);
    if (strlen(l->fields[4]) != (count ? count * 9 - 1 : 0)) /* before memory is taken for them */
        return LINE_DAMAGED;
    uint32_t *ranges = malloc((count + 1) * sizeof *ranges);
    char *sha256 = strdup(l->fields[3]);
    enum outcome taken = !ranges || !sha256 ? LINE_NO_MEMORY
                         : field_ranges(l->fields[4], ranges, count) && ranges_make(f, ranges, count, crc)
                             ? LINE_TAKEN
                             : LINE_DAMAGED;
    if (taken != LINE_TAKEN) {
        free(ranges);
        free(sha256);
        return taken;
    }
    forget_seal(f);
    f->seal = (struct journal_seal){crc, sha256, ranges, (int)count};
    f->sealing = true;
    return LINE_TAKEN;
}

static enum outcome take_done(struct state *s, const struct line *l)
{
    int64_t generation;
    struct journal_file *f = l->count == 3 ? state_find(s, l->fields[1]) : NULL;
    if (!f || !f->sealing || f->done || !field_i64(l->fields[2], &generation))
        return LINE_DAMAGED;
    f->done = true;
    f->generation = generation;
    forget_parts(s, f); /* nobody asks for them any more */
    return LINE_TAKEN;
}

static enum outcome take_line(struct state *s, char *text, size_t size)
{
    static const struct {
        const char *verb;
        enum outcome (*take)(struct state *s, const struct line *l);
    } verbs[] = {{"begin", take_begin}, {"part", take_part}, {"seal", take_seal}, {"done", take_done}};
    struct line l;
    if (!line_split(&l, text, size))
        return LINE_DAMAGED;
    if (!s->source)
        return take_header(s, &l);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(l.fields[0], verbs[i].verb) == 0)
            return verbs[i].take(s, &l);
    return LINE_DAMAGED;
}

bool state_read(struct state *s, char *text, size_t size, size_t *good, int *lines, struct err *e)
{
    *good = 0;
    *lines = 0;
    while (*good < size) {
        char *line = text + *good, *newline = memchr(line, '\n', size - *good);
        if (!newline)
            return true;
        enum outcome taken = take_line(s, line, (size_t)(newline - line));
        if (taken == LINE_NO_MEMORY)
            return err_set(e, ERR_MEMORY, "no memory for a journal of %zu bytes", size);
        if (taken == LINE_DAMAGED)
            return true;
        *good = (size_t)(newline - text) + 1;
        ++*lines;
    }
    return true;
}
