#include "target/elf/libraries.h"

#include "base/file.h"
#include "target/elf/elf.h"
#include "target/elf/ld_cache.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 512 };

static const char *const usual_folders[] = {
    "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib", NULL};
const struct library_places library_places_usual = {"/etc/ld.so.cache", usual_folders};

/* One that was found, and what it asks for. */
struct object {
    const struct object *loader; /* who asked for it first; NULL: the program */
    const char *name, *origin;   /* origin: its folder */
    struct elf elf;
};

struct search {
    const struct library_places *places;
    struct arena *arena;
    struct file_map cache_map;
    struct ld_cache cache;
    struct object objects[MOST + 1]; /* the program first */
    struct libraries *out;
};

/* Where a name was looked for and, at last, found. */
struct candidate {
    const char *path; /* NULL: nowhere yet */
    struct elf elf;
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_MEMORY, "no memory for the list of libraries");
}

/* The folder of a file, symbolic links resolved: what $ORIGIN stands for. */
static const char *origin_of(const char *path, struct arena *a)
{
    char real[PATH_MAX];
    if (!realpath(path, real))
        return arena_strndup(a, path, strlen(path));
    char *slash = strrchr(real, '/');
    return arena_strndup(a, real, slash == real ? 1 : (size_t)(slash - real));
}

static bool read_file(const char *path, struct elf *out, struct arena *a, struct err *e)
{
    struct file_map m;
    if (!file_map(&m, path, e))
        return false;
    bool ok = elf_read(out, m.data, m.size, a, e) || err_wrap(e, "%s", path);
    file_unmap(&m);
    return ok;
}

/* Takes the file for the candidate when it is there. One that cannot be opened or is for another machine is
 * passed over, as the loader does; false with *e set: one that is broken. */
static bool try_path(struct search *s, const char *path, struct candidate *c, struct err *e)
{
    struct err problem = {0};
    if (!path)
        return no_memory(e);
    if (read_file(path, &c->elf, s->arena, &problem)) {
        c->path = path;
        return true;
    }
    if (problem.kind == ERR_NOT_FOUND || problem.kind == ERR_IO || problem.kind == ERR_UNSUPPORTED)
        return true;
    return err_set(e, problem.kind, "%s", problem.text);
}

/* --- folders that a file names itself --- */

/* "$ORIGIN/../lib" with the folder put in; other tokens ($LIB, $PLATFORM) depend on how the loader was built.
 */
static bool expand(struct search *s, const struct object *o, const char *text, size_t size, char **out,
                   struct err *e)
{
    size_t token = strncmp(text, "$ORIGIN", 7) == 0 ? 7 : strncmp(text, "${ORIGIN}", 9) == 0 ? 9 : 0;
    const char *rest = text + token;
    if (token > size || memchr(rest, '$', size - token))
        return err_set(e, ERR_UNSUPPORTED,
                       "%s: looks for libraries in %.*s, of which ferry knows only $ORIGIN", o->name,
                       (int)size, text);
    *out = arena_printf(s->arena, "%s%.*s", token ? o->origin : "", (int)(size - token), rest);
    return *out || no_memory(e);
}

/* A list of folders. One that is relative to wherever the program is started is no place to take from. */
static bool try_list(struct search *s, const struct object *o, const char *list, const char *name,
                     struct candidate *c, struct err *e)
{
    char *folder = NULL;
    for (const char *p = list ? list : ""; *p && !c->path;) {
        size_t size = strcspn(p, ":");
        if (size && !expand(s, o, p, size, &folder, e))
            return false;
        if (size && *folder == '/' && !try_path(s, arena_printf(s->arena, "%s/%s", folder, name), c, e))
            return false;
        p += size + (p[size] == ':');
    }
    return true;
}

/* The old kind of list: of who asks and of those it came with, unless who asks has the new one. */
static bool try_rpaths(struct search *s, const struct object *asks, const char *name, struct candidate *c,
                       struct err *e)
{
    if (asks->elf.runpath)
        return true;
    for (const struct object *o = asks; o && !c->path; o = o->loader) {
        if (!o->elf.runpath && !try_list(s, o, o->elf.rpath, name, c, e))
            return false;
    }
    return true;
}

/* --- folders of the system --- */

static bool try_cache(struct search *s, const char *name, struct candidate *c, struct err *e)
{
    const char *path;
    for (uint32_t from = 0; !c->path && (path = ld_cache_find(&s->cache, name, &from));) {
        if (!try_path(s, arena_strndup(s->arena, path, strlen(path)), c, e))
            return false;
    }
    return true;
}

static bool try_folders(struct search *s, const char *name, struct candidate *c, struct err *e)
{
    for (const char *const *f = s->places->folders; *f && !c->path; f++) {
        if (!try_path(s, arena_printf(s->arena, "%s/%s", *f, name), c, e))
            return false;
    }
    return true;
}

static bool find(struct search *s, const struct object *asks, const char *name, struct candidate *c,
                 struct err *e)
{
    *c = (struct candidate){0};
    return try_rpaths(s, asks, name, c, e) && (c->path || try_list(s, asks, asks->elf.runpath, name, c, e)) &&
           (c->path || try_cache(s, name, c, e)) && (c->path || try_folders(s, name, c, e)) &&
           (c->path || err_set(e, ERR_NOT_FOUND,
                               "%s: needed by %s and not on this machine; install the package it is in", name,
                               asks->name));
}

/* --- all of them --- */

/* The loader is loaded before all others; libraries that ask for it by name get it. */
static bool known(const struct search *s, const char *name)
{
    const char *loader = s->out->interpreter ? strrchr(s->out->interpreter, '/') : NULL;
    if (loader && strcmp(loader + 1, name) == 0)
        return true;
    for (int i = 0; i < s->out->count; i++) {
        if (strcmp(s->out->items[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool add(struct search *s, const struct object *asks, const char *name, struct err *e)
{
    struct candidate c;
    if (known(s, name))
        return true;
    if (strchr(name, '/'))
        return err_set(e, ERR_UNSUPPORTED, "%s: needs a library by its path, %s", asks->name, name);
    if (s->out->count == MOST)
        return err_set(e, ERR_LIMIT, "%s: needs more than %d libraries", s->objects[0].name, MOST);
    if (!find(s, asks, name, &c, e))
        return false;
    struct object *o = &s->objects[s->out->count + 1];
    *o = (struct object){.loader = asks, .name = name, .origin = origin_of(c.path, s->arena), .elf = c.elf};
    s->out->items[s->out->count++] = (struct library){name, c.path, asks->name};
    return o->origin || no_memory(e);
}

/* As the loader goes: breadth first, what is loaded at run time after all that comes with the program. */
static bool add_needed(struct search *s, int from, struct err *e)
{
    for (int i = from; i <= s->out->count; i++) {
        const struct object *o = &s->objects[i];
        for (int k = 0; k < o->elf.needed_count; k++) {
            if (!add(s, o, o->elf.needed[k], e))
                return false;
        }
    }
    return true;
}

static bool open_cache(struct search *s, struct err *e)
{
    struct err problem = {0};
    if (!file_map(&s->cache_map, s->places->cache, &problem))
        return problem.kind == ERR_NOT_FOUND || err_set(e, problem.kind, "%s", problem.text);
    return ld_cache_open(&s->cache, s->cache_map.data, s->cache_map.size, e) ||
           err_wrap(e, "%s", s->places->cache);
}

static bool open_program(struct search *s, const char *path, struct err *e)
{
    struct object *o = &s->objects[0];
    const char *slash = strrchr(path, '/');
    *o = (struct object){.name = slash ? slash + 1 : path, .origin = origin_of(path, s->arena)};
    if (!o->origin)
        return no_memory(e);
    if (!read_file(path, &o->elf, s->arena, e))
        return false;
    s->out->interpreter = o->elf.interpreter;
    return true;
}

static bool search(struct search *s, const char *program, const char *const *at_run_time, struct err *e)
{
    if (!open_cache(s, e) || !open_program(s, program, e) || !add_needed(s, 0, e))
        return false;
    for (const char *const *name = at_run_time; *name; name++) {
        int from = s->out->count + 1;
        if (!add(s, &s->objects[0], *name, e) || !add_needed(s, from, e))
            return false;
    }
    return true;
}

bool libraries_find(struct libraries *out, const char *program, const char *const *at_run_time,
                    const struct library_places *places, struct arena *a, struct err *e)
{
    *out = (struct libraries){.items = arena_alloc(a, MOST, sizeof *out->items)};
    struct search *s = arena_alloc(a, 1, sizeof *s);
    if (!out->items || !s)
        return no_memory(e);
    s->places = places;
    s->arena = a;
    s->out = out;
    bool ok = search(s, program, at_run_time, e);
    file_unmap(&s->cache_map);
    return ok;
}
