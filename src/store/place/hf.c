/* A repository of the hub at one commit: what hub_open listed. Only read. */
#include "store/place/level.h"
#include "store/place/place.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LISTING = 256 << 20 };

struct hf_store {
    struct store s;
    struct hub *hub;
    struct arena *arena;
    struct hub_repo repo;
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct hub_file *)a)->path, ((const struct hub_file *)b)->path);
}

static const struct hub_file *find_file(const struct hf_store *h, const char *name)
{
    const struct hub_file key = {.path = name};
    return h->repo.count ? bsearch(&key, h->repo.files, (size_t)h->repo.count, sizeof key, by_path) : NULL;
}

/* The store's strings, which live as long as it does. */
static struct entry entry_of(const struct hub_file *f)
{
    return (struct entry){
        .name = f->path, .size = f->size, .sha256 = f->sha256, .git_blob = f->git_blob, .updated = ""};
}

/* The first file whose path is not before prefix. */
static int first_file(const struct hf_store *h, const char *prefix)
{
    int low = 0, high = h->repo.count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (strcmp(h->repo.files[middle].path, prefix) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool hf_list(struct store *s, const char *prefix, enum store_depth depth, entry_fn fn, void *arg,
                    struct err *e)
{
    const struct hf_store *h = (const struct hf_store *)s;
    struct level level = {.prefix = prefix, .fn = fn, .arg = arg};
    for (int i = first_file(h, prefix); i < h->repo.count; i++) {
        const struct entry entry = entry_of(&h->repo.files[i]);
        if (strncmp(entry.name, prefix, strlen(prefix)) != 0)
            break;
        if (!(depth == STORE_DEEP ? fn(arg, &entry, e) : level_tell(&level, &entry, e)))
            return false;
    }
    return true;
}

static const struct hub_file *must_find(const struct hf_store *h, const char *name, struct err *e)
{
    const struct hub_file *f = find_file(h, name);
    if (!f)
        err_set(e, ERR_NOT_FOUND, "hf://%s@%.12s/%s: no such file", h->repo.name, h->repo.commit, name);
    return f;
}

static bool hf_stat(struct store *s, const char *name, struct arena *a, struct entry *out, struct err *e)
{
    (void)a; /* the strings are the store's */
    const struct hub_file *f = must_find((const struct hf_store *)s, name, e);
    if (f)
        *out = entry_of(f);
    return f != NULL;
}

static bool hf_read(struct store *s, const struct entry *from, uint64_t offset, size_t size, void *into,
                    const volatile sig_atomic_t *stop, struct err *e)
{
    struct hf_store *h = (struct hf_store *)s;
    const struct hub_file *f = must_find(h, from->name, e);
    return f && (size == 0 || hub_read(h->hub, &h->repo, f, offset, size, into, stop, e));
}

static bool only_read(const struct store *s, struct err *e)
{
    return err_set(e, ERR_UNSUPPORTED, "hf://%s: Ferry reads from the hub, it does not write there",
                   s->uri.place);
}

static bool hf_remove(struct store *s, const struct entry *what, struct err *e)
{
    (void)what;
    return only_read(s, e);
}

static bool hf_put(struct store *s, const char *name, const void *bytes, size_t size, int64_t if_generation,
                   struct arena *a, struct entry *out, struct err *e)
{
    (void)name, (void)bytes, (void)size, (void)if_generation, (void)a, (void)out;
    return only_read(s, e);
}

static struct upload *hf_begin(struct store *s, const struct upload_spec *spec, const char *resume,
                               struct err *e)
{
    (void)spec, (void)resume;
    only_read(s, e);
    return NULL;
}

static void hf_close(struct store *s)
{
    struct hf_store *h = (struct hf_store *)s;
    arena_free(h->arena);
    free(h);
}

/* A mirror may say anything; git has no such names. */
static bool check_names(const struct hub_repo *r, struct err *e)
{
    for (int i = 0; i < r->count; i++)
        if (!name_stays_below(r->files[i].path, e)) {
            if (e)
                e->kind = ERR_CORRUPT;
            return err_wrap(e, "hf://%s", r->name);
        }
    return true;
}

static bool hf_fill(struct hf_store *h, const struct uri *u, struct err *e)
{
    h->s.uri.place = arena_strndup(h->arena, u->place, strlen(u->place));
    if (u->revision)
        h->s.uri.revision = arena_strndup(h->arena, u->revision, strlen(u->revision));
    if (!h->s.uri.place || (u->revision && !h->s.uri.revision))
        return err_set(e, ERR_MEMORY, "hf://%s: no memory for a store", u->place);
    if (!hub_open(h->hub, u->place, u->revision, h->arena, &h->repo, e) || !check_names(&h->repo, e))
        return false;
    h->s.commit = h->repo.commit;
    return true;
}

struct store *hf_open(struct hub *hub, const struct uri *u, struct err *e)
{
    static const struct store_kind kind = {.list = hf_list,
                                           .stat = hf_stat,
                                           .read = hf_read,
                                           .remove = hf_remove,
                                           .put = hf_put,
                                           .begin = hf_begin,
                                           .close = hf_close};
    struct hf_store *h = calloc(1, sizeof *h);
    if (h)
        *h = (struct hf_store){.s = {.kind = &kind, .uri = {.scheme = URI_HF, .path = ""}},
                               .hub = hub,
                               .arena = arena_new(MAX_LISTING)};
    if (!h || !h->arena)
        err_set(e, ERR_MEMORY, "hf://%s: no memory for a store", u->place);
    else if (hf_fill(h, u, e))
        return &h->s;
    if (h)
        hf_close(&h->s);
    return NULL;
}
