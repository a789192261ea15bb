#include "cmd/sources.h"

#include "base/catalog.h"
#include "cmd/copy_name.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_MEMORY, "no memory for the list of files");
}

/* --- places --- */

bool place_open(struct place *p, struct stores *stores, const char *text, struct arena *a, struct err *e)
{
    *p = (struct place){0};
    if (!uri_parse(&p->uri, text, a, e))
        return false;
    if (p->uri.scheme == URI_STDIO)
        return err_set(e, ERR_USAGE, "- stands for stdin or stdout and cannot be used here");
    p->store = stores_open(stores, &p->uri, e);
    if (!p->store)
        return false;
    p->root = p->uri;
    p->root.path = "";
    size_t n = strlen(p->uri.path);
    while (n > 1 && p->uri.path[n - 1] == '/')
        n--;
    p->path = arena_strndup(a, p->uri.path, n);
    return p->path || no_memory(e);
}

bool place_writable(const char *text, struct arena *a, struct err *e)
{
    struct uri u;
    if (!uri_parse(&u, text, a, e))
        return false;
    return u.scheme != URI_HF ||
           err_set(e, ERR_USAGE, "%s: Ferry reads from the hub and does not write to it", text);
}

char *place_uri(const struct place *p, const char *name, struct arena *a)
{
    return uri_join(a, &p->root, name);
}

char *place_prefix(const struct place *p, struct arena *a)
{
    size_t n = strlen(p->path);
    return arena_printf(a, "%s%s", p->path, n == 0 || p->path[n - 1] == '/' ? "" : "/");
}

/* In Cloud Storage a prefix without objects is an empty list: what can be missing is the bucket. */
bool place_list(const struct place *p, const char *prefix, enum store_depth depth, entry_fn fn, void *arg,
                struct err *e)
{
    struct err problem = {0};
    if (store_list(p->store, prefix, depth, fn, arg, &problem))
        return true;
    *e = problem;
    if (problem.kind == ERR_NOT_FOUND && p->uri.scheme == URI_GS)
        err_set(e, ERR_NOT_FOUND, "%.800s `ferry bucket create %s` makes one", problem.text, p->uri.place);
    return false;
}

/* One is enough to know: the listing is ended by an error of our own. */
static bool note_one(void *arg, const struct entry *entry, struct err *e)
{
    (void)entry;
    *(bool *)arg = true;
    return err_set(e, ERR_CANCELLED, "seen enough");
}

bool place_is_folder(const struct place *p, struct arena *a, bool *is, struct err *e)
{
    struct stat st;
    struct err problem = {0};

    *is = false;
    if (p->uri.scheme == URI_LOCAL) {
        *is = stat(p->path, &st) == 0 && S_ISDIR(st.st_mode);
        return true;
    }
    char *prefix = place_prefix(p, a);
    if (!prefix)
        return no_memory(e);
    if (place_list(p, prefix, STORE_LEVEL, note_one, is, &problem) || *is)
        return true;
    *e = problem;
    return false;
}

bool place_stat(const struct place *p, struct arena *a, struct entry *out, bool *there, struct err *e)
{
    struct err problem = {0};
    struct stat st;

    *there = false;
    if (!*p->path || (p->uri.scheme == URI_LOCAL && stat(p->path, &st) == 0 && S_ISDIR(st.st_mode)))
        return true;
    *there = store_stat(p->store, p->path, a, out, &problem);
    if (*there || problem.kind == ERR_NOT_FOUND)
        return true;
    *e = problem;
    return false;
}

/* --- files --- */

static const char *copy_text(const char *text, struct arena *a, bool *ok)
{
    char *copy = text ? arena_strndup(a, text, strlen(text)) : NULL;
    *ok = *ok && (copy || !text);
    return copy;
}

bool entry_copy(struct entry *to, const struct entry *from, struct arena *a, struct err *e)
{
    bool ok = true;
    *to = *from;
    to->name = copy_text(from->name, a, &ok);
    to->sha256 = copy_text(from->sha256, a, &ok);
    to->git_blob = copy_text(from->git_blob, a, &ok);
    to->updated = copy_text(from->updated, a, &ok);
    return ok || no_memory(e);
}

static struct source *new_source(struct sources *s, struct err *e)
{
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        struct source *items = reallocarray(s->items, room, sizeof *items);
        if (!items) {
            no_memory(e);
            return NULL;
        }
        s->items = items;
        s->room = room;
    }
    return &s->items[s->count];
}

/* `named`: how many bytes of the name were named; the rest, behind a slash, lies below that. */
static bool add(struct sources *s, const struct place *p, const struct entry *entry, size_t named,
                struct err *e)
{
    size_t n = strlen(entry->name);
    if (!s->with_markers && n && entry->name[n - 1] == '/')
        return true;
    struct source *to = new_source(s, e);
    if (!to || !entry_copy(&to->entry, entry, s->arena, e))
        return false;
    const char *name = to->entry.name;
    char *top = arena_strndup(s->arena, name, named);
    to->place = p;
    to->below = name + named + strspn(name + named, "/");
    to->base = !top ? NULL : last_name(s->arena, named || !p->root.place ? top : p->root.place);
    s->count++;
    return to->base || no_memory(e);
}

/* --- folders --- */

struct search {
    struct sources *into;
    const struct place *place;
    size_t named;       /* bytes of the folder's name */
    char *last_matched; /* the match before, to count a folder once */
};

static bool add_in_folder(void *arg, const struct entry *entry, struct err *e)
{
    struct search *s = arg;
    return add(s->into, s->place, entry, s->named, e);
}

static bool add_folder(struct sources *s, const struct place *p, struct err *e)
{
    struct search search = {.into = s, .place = p, .named = strlen(p->path)};
    char *prefix = place_prefix(p, s->arena);
    if (!prefix)
        return no_memory(e);
    s->things++;
    return place_list(p, prefix, STORE_DEEP, add_in_folder, &search, e);
}

/* --- wildcards --- */

size_t matched_part(const char *pattern, const char *name)
{
    char part[4096];                            /* a path's most */
    bool whole = strstr(pattern, "**") != NULL; /* it matches the parts as well as the whole */
    for (const char *end = name; !whole && (end = strchr(end, '/')); end++) {
        size_t n = (size_t)(end - name);
        if (n == 0 || n >= sizeof part)
            continue;
        *(char *)mempcpy(part, name, n) = 0;
        if (wildcard_match(pattern, part))
            return n;
    }
    return wildcard_match(pattern, name) ? strlen(name) : 0;
}

static bool same_match(struct search *s, const char *name, size_t n)
{
    if (s->last_matched && strlen(s->last_matched) == n && strncmp(s->last_matched, name, n) == 0)
        return true;
    free(s->last_matched);
    s->last_matched = strndup(name, n);
    return false;
}

static bool add_match(void *arg, const struct entry *entry, struct err *e)
{
    struct search *s = arg;
    size_t n = matched_part(s->place->path, entry->name);
    bool is_folder = entry->folder || entry->name[n] == '/';

    if (n == 0)
        return true;
    bool again = is_folder && same_match(s, entry->name, n);
    if (is_folder && !s->into->recursive) {
        s->into->folders_passed += !again;
        return true;
    }
    s->into->things += !again;
    return add(s->into, s->place, entry, n, e);
}

static bool add_matches(struct sources *s, const struct place *p, struct err *e)
{
    struct search search = {.into = s, .place = p};
    size_t literal = strcspn(p->path, "*?[");
    bool deep = s->recursive || strchr(p->path + literal, '/') || strstr(p->path, "**");
    char *prefix = arena_strndup(s->arena, p->path, literal);
    if (!prefix)
        return no_memory(e);
    bool ok = place_list(p, prefix, deep ? STORE_DEEP : STORE_LEVEL, add_match, &search, e);
    free(search.last_matched);
    return ok;
}

/* --- all --- */

static bool find(struct sources *s, const struct place *p, const char *text, struct err *e)
{
    struct entry entry;
    bool there = false, folder = false;
    int things = s->things, passed = s->folders_passed;

    if (!p->uri.folder && !place_stat(p, s->arena, &entry, &there, e))
        return false;
    if (there) {
        s->things++;
        return add(s, p, &entry, strlen(entry.name), e);
    }
    if (!place_is_folder(p, s->arena, &folder, e))
        return false;
    if (folder && !s->recursive)
        return err_set(e, ERR_USAGE, "%s is a folder; with -r all in it is taken", text);
    if (folder)
        return add_folder(s, p, e);
    if (wildcard_in(p->path) && !add_matches(s, p, e))
        return false;
    if (s->things > things)
        return true;
    if (s->folders_passed > passed)
        return err_set(e, ERR_USAGE, "%s matches only folders; with -r all in them is taken", text);
    return err_set(e, ERR_NOT_FOUND,
                   wildcard_in(p->path) ? N_("%s: there is nothing that matches")
                                        : N_("%s: there is nothing of that name"),
                   text);
}

bool sources_find(struct sources *s, const char *text, struct err *e)
{
    struct place *p = arena_alloc(s->arena, 1, sizeof *p);
    if (!p)
        return no_memory(e);
    return place_open(p, s->stores, text, s->arena, e) && find(s, p, text, e);
}

void sources_clear(struct sources *s)
{
    free(s->items);
    s->items = NULL;
    s->count = s->room = 0;
}
