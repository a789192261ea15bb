/* stage_manifest.c: the manifest of a staged folder: read first, written last. */
#include "cloud/storage.h"
#include "cmd/human.h"
#include "cmd/stage.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* there: with its name in the place. */
static bool read_at(struct stage *s, const struct place *p, const struct entry *there, struct manifest *m,
                    struct err *e)
{
    char *uri = place_uri(p, there->name, s->arena);
    if (there->size > MANIFEST_MAX_BYTES)
        return err_set(e, ERR_CORRUPT, "%s: %llu bytes are too many for a manifest", uri ? uri : "",
                       (unsigned long long)there->size);
    char *text = arena_alloc(s->arena, (size_t)there->size + 1, 1);
    if (!uri || !text)
        return err_set(e, ERR_MEMORY, "no memory for the manifest");
    return (store_read(p->store, there, 0, (size_t)there->size, text, NULL, e) &&
            manifest_parse(m, text, (size_t)there->size, s->arena, e)) ||
           err_wrap(e, "%s", uri);
}

bool stage_read_manifest(struct stage *s, struct err *e)
{
    const struct entry *there = stage_find(&s->there, MANIFEST_NAME);
    if (!there)
        return true;
    struct entry whole = *there;
    whole.name = arena_printf(s->arena, "%s%s", s->prefix, MANIFEST_NAME);
    if (!whole.name)
        return err_set(e, ERR_MEMORY, "no memory for the manifest");
    s->has_manifest = read_at(s, &s->target, &whole, &s->manifest, e);
    s->manifest_generation = whole.generation;
    return s->has_manifest;
}

bool stage_read_source_manifest(struct stage *s, struct manifest *m, bool *there, struct err *e)
{
    const char *prefix = place_prefix(&s->model, s->arena);
    char *name = prefix ? arena_printf(s->arena, "%s%s", prefix, MANIFEST_NAME) : NULL;
    struct err problem = {0};
    struct entry found;
    *there = false;
    if (!name)
        return err_set(e, ERR_MEMORY, "no memory for the manifest");
    *there = store_stat(s->model.store, name, s->arena, &found, &problem);
    if (*there)
        return read_at(s, &s->model, &found, m, e);
    if (problem.kind == ERR_NOT_FOUND)
        return true;
    *e = problem;
    return false;
}

bool stage_read_origin(struct stage *s, struct err *e)
{
    struct manifest m;
    bool there;
    if (!stage_read_source_manifest(s, &m, &there, e))
        return false;
    if (!there)
        return true;
    if (m.encoding)
        return err_set(e, ERR_UNSUPPORTED, "%s: is encoded already (%s); pack the model itself, %s",
                       s->source, m.encoding, m.source);
    s->source = m.source;
    s->commit = m.commit;
    return true;
}

static bool is_copied(const struct stage_file *f)
{
    return f->choice == CHOICE_TAKEN && !f->encoded;
}

static int copied_count(const struct stage *s)
{
    int n = 0;
    for (int i = 0; i < s->count; i++)
        n += is_copied(&s->files[i]);
    return n;
}

/* Both may be NULL. */
static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool stage_same_model(const struct stage *s)
{
    return s->has_manifest && same_text(s->manifest.source, s->source) &&
           same_text(s->manifest.commit, s->commit) && same_text(s->manifest.encoding, s->encoding);
}

bool stage_complete(const struct stage *s)
{
    if ((s->encoding && !s->commit) || !stage_same_model(s) ||
        s->manifest.count != copied_count(s) + (s->encoding != NULL) || (s->encoding && !s->pack_certified))
        return false;
    for (int i = 0; i < s->count; i++)
        if (is_copied(&s->files[i]) && !s->files[i].certified)
            return false;
    return true;
}

static char *now_text(struct arena *a)
{
    char text[HUMAN_TIME];
    human_time((int64_t)time(NULL), text);
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
                       "%s: copied, but its checksums are not known; run the same command again", f->name);
    *out = (struct manifest_file){.name = f->name,
                                  .size = f->source.size,
                                  .sha256 = done->sha256,
                                  .git_blob = f->source.git_blob,
                                  .crc32c = done->crc32c,
                                  .ranges = done->ranges,
                                  .range_count = done->range_count};
    return true;
}

static void describe_pack(const struct stage *s, struct manifest_file *out)
{
    if (s->pack_certified) {
        *out = *s->pack_certified;
        return;
    }
    const struct repack_result *r = repack_result(s->repack);
    *out = (struct manifest_file){.name = PACK_NAME,
                                  .size = r->size,
                                  .crc32c = r->crc32c,
                                  .ranges = (uint32_t *)(uintptr_t)r->ranges,
                                  .range_count = r->range_count};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct manifest_file *)a)->name, ((const struct manifest_file *)b)->name);
}

static bool fill(struct stage *s, const struct transfer *t, struct manifest *m, struct err *e)
{
    *m = (struct manifest){.ferry = FERRY_VERSION,
                           .source = s->source,
                           .commit = s->commit,
                           .encoding = s->encoding,
                           .created = now_text(s->arena),
                           .range_bytes = TRANSFER_PART_BYTES,
                           .files = arena_alloc(s->arena, (size_t)s->count + 1, sizeof *m->files)};
    if (!m->files || !m->created)
        return err_set(e, ERR_MEMORY, "no memory for the manifest");
    for (int i = 0; i < s->count; i++)
        if (is_copied(&s->files[i]) && !describe(&s->files[i], t, &m->files[m->count++], e))
            return false;
    if (s->encoding)
        describe_pack(s, &m->files[m->count++]);
    qsort(m->files, (size_t)m->count, sizeof *m->files, by_name);
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
