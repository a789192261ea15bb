#include "transfer/journal_copy.h"

#include "cloud/storage.h"
#include "store/store.h"

#include <stdlib.h>

char *journal_copy_name(struct arena *a, const char *prefix, const char *source, const char *target)
{
    char leaf[JOURNAL_LEAF];
    return arena_printf(a, "%s.ferry/journal-%s", prefix, journal_leaf(source, target, leaf));
}

static bool read_text(struct store *s, const struct entry *there, char **text, struct err *e)
{
    if (there->size > JOURNAL_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "%llu bytes, at most %d expected", (unsigned long long)there->size,
                       JOURNAL_MAX_BYTES);
    *text = malloc((size_t)there->size + 1);
    if (!*text)
        return err_set(e, ERR_MEMORY, "no memory for a journal of %llu bytes",
                       (unsigned long long)there->size);
    return there->size == 0 || store_read(s, there, 0, (size_t)there->size, *text, NULL, e);
}

bool journal_copy_read(struct journal *j, struct store *s, const char *name, struct err *e)
{
    struct entry there;
    struct arena *a = arena_new(64 << 10);
    char *text = NULL;
    if (!a)
        return err_set(e, ERR_MEMORY, "no memory for a journal");
    bool found = store_stat(s, name, a, &there, e);
    bool none = !found && e->kind == ERR_NOT_FOUND;
    if (none)
        *e = (struct err){0};
    bool ok =
        none || (found && read_text(s, &there, &text, e) && journal_adopt(j, text, (size_t)there.size, e));
    if (!ok)
        err_wrap(e, "%s", name);
    free(text);
    arena_free(a);
    return ok;
}

struct journal *journal_copy_open(struct store *s, const char *name, const char *source, const char *target,
                                  struct err *e)
{
    struct entry there;
    struct journal *j = NULL;
    struct arena *a = arena_new(64 << 10);
    char *text = NULL;
    if (!a)
        err_set(e, ERR_MEMORY, "no memory for a journal");
    else if (store_stat(s, name, a, &there, e) && read_text(s, &there, &text, e))
        j = journal_of_text(source, target, text, (size_t)there.size, e);
    if (!j)
        err_wrap(e, "%s", name);
    free(text);
    arena_free(a);
    return j;
}

bool journal_copy_write(struct journal *j, struct store *s, const char *name, struct err *e)
{
    size_t size;
    struct arena *a = arena_new(64 << 10);
    char *text = a ? journal_text(j, &size, e) : NULL;
    bool ok = text && store_put(s, name, text, size, STORAGE_ANY_GENERATION, a, NULL, e);
    if (!a)
        err_set(e, ERR_MEMORY, "no memory for a journal");
    free(text);
    arena_free(a);
    return ok;
}

bool journal_copy_delete(struct store *s, const char *name, struct err *e)
{
    struct entry there;
    struct arena *a = arena_new(64 << 10);
    if (!a)
        return err_set(e, ERR_MEMORY, "no memory for a journal");
    bool ok = store_stat(s, name, a, &there, e) && store_delete(s, &there, e);
    if (!ok && e->kind == ERR_NOT_FOUND) {
        *e = (struct err){0};
        ok = true;
    }
    arena_free(a);
    return ok;
}
