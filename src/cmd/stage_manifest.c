/* stage_manifest.c: the manifest of a staged folder: read first, written last. */
#include "cloud/storage.h"
#include "cmd/stage.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

bool stage_read_manifest(struct stage *s, struct err *e)
{
    const struct entry *there = stage_find(&s->there, MANIFEST_NAME);
    if (!there)
        return true;
    struct entry whole = *there;
    whole.name = arena_printf(s->arena, "%s%s", s->prefix, MANIFEST_NAME);
    char *uri = whole.name ? place_uri(&s->target, whole.name, s->arena) : NULL;
    if (whole.size > MANIFEST_MAX_BYTES)
        return err_set(e, ERR_CORRUPT, "%s: %llu bytes are too many for a manifest", uri ? uri : "",
                       (unsigned long long)whole.size);
    char *text = arena_alloc(s->arena, (size_t)whole.size + 1, 1);
    if (!uri || !text)
        return err_set(e, ERR_MEMORY, "no memory for the manifest");
    if (!store_read(s->target.store, &whole, 0, (size_t)whole.size, text, NULL, e) ||
        !manifest_parse(&s->manifest, text, (size_t)whole.size, s->arena, e))
        return err_wrap(e, "%s", uri);
    s->has_manifest = true;
    s->manifest_generation = whole.generation;
    return true;
}

static int taken_count(const struct stage *s)
{
    int n = 0;
    for (int i = 0; i < s->count; i++)
        n += s->files[i].choice == CHOICE_TAKEN;
    return n;
}

bool stage_complete(const struct stage *s)
{
    if (!s->has_manifest || strcmp(s->manifest.source, s->source) != 0 ||
        strcmp(s->manifest.commit, s->commit) != 0 || s->manifest.count != taken_count(s))
        return false;
    for (int i = 0; i < s->count; i++)
        if (s->files[i].choice == CHOICE_TAKEN && !s->files[i].certified)
            return false;
    return true;
}

/* RFC 3339, in UTC. */
static char *now_text(struct arena *a)
{
    time_t now = time(NULL);
    struct tm tm;
    char text[40];
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return arena_strndup(a, text, strlen(text));
}

static bool describe(const struct stage_file *f, const struct transfer *t, struct manifest_file *out,
                     struct err *e)
{
    if (f->job < 0) {
        *out = *f->certified;
        return true;
    }
    const struct transfer_file *done = transfer_at(t, f->job);
    uint64_t ranges = (f->source.size + TRANSFER_PART_BYTES - 1) / TRANSFER_PART_BYTES;
    if (!*done->sha256 || (uint64_t)done->range_count != ranges)
        return err_set(e, ERR_CORRUPT,
                       "%s: copied, but its checksums are not known; run the same command again",
                       f->source.name);
    *out = (struct manifest_file){.name = f->source.name,
                                  .size = f->source.size,
                                  .sha256 = done->sha256,
                                  .git_blob = f->source.git_blob,
                                  .crc32c = done->crc32c,
                                  .ranges = done->ranges,
                                  .range_count = done->range_count};
    return true;
}

static bool fill(struct stage *s, const struct transfer *t, struct manifest *m, struct err *e)
{
    *m = (struct manifest){.ferry = FERRY_VERSION,
                           .source = s->source,
                           .commit = s->commit,
                           .created = now_text(s->arena),
                           .range_bytes = TRANSFER_PART_BYTES,
                           .files = arena_alloc(s->arena, (size_t)s->count, sizeof *m->files)};
    if (!m->files || !m->created)
        return err_set(e, ERR_MEMORY, "no memory for the manifest");
    for (int i = 0; i < s->count; i++)
        if (s->files[i].choice == CHOICE_TAKEN && !describe(&s->files[i], t, &m->files[m->count++], e))
            return false;
    return true;
}

bool stage_write_manifest(struct stage *s, const struct transfer *t, struct err *e)
{
    struct manifest m;
    char *name = arena_printf(s->arena, "%s%s", s->prefix, MANIFEST_NAME);
    if (!name)
        return err_set(e, ERR_MEMORY, "no memory for the manifest");
    if (!fill(s, t, &m, e))
        return false;
    char *text = manifest_print(&m, e);
    bool ok = text &&
              store_put(s->target.store, name, text, strlen(text), STORAGE_ANY_GENERATION, s->arena, NULL, e);
    free(text);
    return ok || err_wrap(e, "the files are copied, the manifest is not written: %s", MANIFEST_NAME);
}

bool stage_delete_manifest(struct stage *s, struct err *e)
{
    const struct entry *there = stage_find(&s->there, MANIFEST_NAME);
    if (!there)
        return true;
    struct entry whole = *there;
    whole.name = arena_printf(s->arena, "%s%s", s->prefix, MANIFEST_NAME);
    return whole.name ? store_delete(s->target.store, &whole, e) : err_set(e, ERR_MEMORY, "no memory");
}
