/* stage_files.c: what the repository holds and which of it is taken; what lies at the target. */
#include "cmd/stage.h"

#include <stdlib.h>
#include <string.h>

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_MEMORY, "no memory for the list of files");
}

/* --- lists --- */

struct listing {
    struct stage_list *into;
    struct arena *arena;
    size_t prefix; /* bytes to leave out of the names */
};

static bool collect(void *arg, const struct entry *entry, struct err *e)
{
    struct listing *l = arg;
    struct stage_list *to = l->into;
    struct entry named = *entry;

    named.name += l->prefix;
    if (to->count == to->room) {
        size_t room = to->room ? 2 * to->room : 64;
        struct entry *items = reallocarray(to->items, room, sizeof *items);
        if (!items)
            return no_memory(e);
        to->items = items;
        to->room = room;
    }
    return entry_copy(&to->items[to->count++], &named, l->arena, e);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

const struct entry *stage_find(const struct stage_list *list, const char *name)
{
    struct entry key = {.name = name};
    if (list->count == 0)
        return NULL;
    return bsearch(&key, list->items, list->count, sizeof key, by_name);
}

bool stage_list_target(struct stage *s, struct err *e)
{
    struct listing l = {&s->there, s->arena, strlen(s->prefix)};

    if (!place_list(&s->target, s->prefix, STORE_DEEP, collect, &l, e))
        return false;
    if (s->there.count)
        qsort(s->there.items, s->there.count, sizeof *s->there.items, by_name);
    return true;
}

/* --- the repository --- */

static bool choose(struct stage *s, const struct stage_list *list, size_t prefix, struct err *e)
{
    const char **names = arena_alloc(s->arena, list->count, sizeof *names);
    enum choice *choices = arena_alloc(s->arena, list->count, sizeof *choices);
    s->files = arena_alloc(s->arena, list->count, sizeof *s->files);
    if (!names || !choices || !s->files)
        return no_memory(e);
    s->count = (int)list->count;
    for (int i = 0; i < s->count; i++)
        names[i] = list->items[i].name + prefix;
    choose_files(names, s->count, &s->settings.include, &s->settings.exclude, choices);
    for (int i = 0; i < s->count; i++)
        s->files[i] =
            (struct stage_file){.source = list->items[i], .name = names[i], .choice = choices[i], .job = -1};
    return true;
}

static bool is_ours(const char *name)
{
    return strcmp(name, MANIFEST_NAME) == 0 || strncmp(name, ".ferry/", 7) == 0;
}

/* What would overwrite our own files, or leave the target. A folder that Ferry staged has such files itself.
 */
static bool check_names(struct stage *s, struct err *e)
{
    int taken = 0;
    for (int i = 0; i < s->count; i++) {
        const char *name = s->files[i].name;
        if (s->files[i].choice != CHOICE_TAKEN)
            continue;
        if (is_ours(name) && s->model.uri.scheme != URI_HF) {
            s->files[i].choice = CHOICE_EXCLUDED;
            continue;
        }
        taken++;
        if (!name_stays_below(name, e))
            return false;
        if (is_ours(name))
            return err_set(e, ERR_UNSUPPORTED, "%s has a file %s, which is a name Ferry uses; --exclude it",
                           s->source, name);
    }
    if (taken == 0)
        return err_set(e, ERR_USAGE, "%s: none of its %d files is asked for; see --include and --exclude",
                       s->source, s->count);
    return true;
}

bool stage_list_model(struct stage *s, struct err *e)
{
    struct stage_list list = {0};
    struct listing l = {&list, s->arena, 0};
    const char *prefix = place_prefix(&s->model, s->arena);
    if (!prefix)
        return no_memory(e);
    bool ok = store_list(s->model.store, prefix, STORE_DEEP, collect, &l, e);
    if (ok && list.count > MANIFEST_MAX_FILES)
        ok = err_set(e, ERR_LIMIT, "%s: %zu files, at most %d can be staged", s->source, list.count,
                     MANIFEST_MAX_FILES);
    ok = ok && choose(s, &list, strlen(prefix), e) && check_names(s, e) && stage_choose_encoded(s, e);
    free(list.items);
    return ok;
}

/* --- what is there --- */

static bool same_text(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static bool as_manifest_says(const struct manifest_file *m, const struct entry *there)
{
    return m && there && there->size == m->size && (!there->has_crc32c || there->crc32c == m->crc32c);
}

/* The manifest knows this content of the source, and the file there has the manifest's size and checksum. (A
 * folder on this machine says no checksum: sizes have to do, --check --deep reads.) */
static bool certifies(const struct manifest_file *m, const struct stage_file *f)
{
    const struct entry *source = &f->source;
    if (!m || m->size != source->size || !as_manifest_says(m, f->there))
        return false;
    if (!source->sha256 && !source->git_blob)
        return source->has_crc32c && m->crc32c == source->crc32c;
    return source->sha256 ? same_text(m->sha256, source->sha256) : same_text(m->git_blob, source->git_blob);
}

void stage_compare(struct stage *s)
{
    bool usable = s->has_manifest && s->manifest.range_bytes == TRANSFER_PART_BYTES;
    for (int i = 0; i < s->count; i++) {
        struct stage_file *f = &s->files[i];
        f->there = stage_find(&s->there, f->name);
        const struct manifest_file *m = usable ? manifest_find(&s->manifest, f->name) : NULL;
        f->certified = !f->encoded && certifies(m, f) ? m : NULL;
    }
    const struct manifest_file *pack =
        usable && s->commit && stage_same_model(s) ? manifest_find(&s->manifest, PACK_NAME) : NULL;
    s->pack_certified = s->encoding && as_manifest_says(pack, stage_find(&s->there, PACK_NAME)) ? pack : NULL;
}

void stage_clear(struct stage *s)
{
    free(s->there.items);
    s->there = (struct stage_list){0};
    repack_free(s->repack);
    s->repack = NULL;
}
