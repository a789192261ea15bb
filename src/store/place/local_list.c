#include "store/place/local_list.h"

#include "store/place/local.h"
#include "store/place/part_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct walk {
    enum store_depth depth;
    entry_fn fn;
    void *arg;
    char path[PATH_MAX]; /* the folder at hand, "" or with its slash; one for all levels of the walk */
    size_t length;
};

/* The leaves of one folder; a folder's has its slash, so that sorting leaves sorts the whole names. */
struct leaves {
    char **names;
    size_t count, room;
};

static void leaves_clear(struct leaves *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->names[i]);
    free(l->names);
    *l = (struct leaves){0};
}

static bool leaves_add(struct leaves *l, const char *leaf, bool folder)
{
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        char **names = realloc(l->names, room * sizeof *names);
        if (!names)
            return false;
        l->names = names;
        l->room = room;
    }
    char *name;
    if (asprintf(&name, "%s%s", leaf, folder ? "/" : "") < 0)
        return false;
    l->names[l->count++] = name;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Files, links to files, and folders themselves; nothing else, and nothing that is gone by now. */
static bool wanted(int folder_fd, const struct dirent *d, const char *start, bool *folder)
{
    struct stat st;
    const char *leaf = d->d_name;
    if (strcmp(leaf, ".") == 0 || strcmp(leaf, "..") == 0 || strncmp(leaf, start, strlen(start)) != 0 ||
        part_file_is(leaf))
        return false;
    *folder = d->d_type == DT_DIR;
    if (d->d_type == DT_DIR || d->d_type == DT_REG)
        return true;
    if (d->d_type == DT_UNKNOWN && fstatat(folder_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        *folder = S_ISDIR(st.st_mode);
        if (*folder)
            return true;
    }
    return fstatat(folder_fd, leaf, &st, 0) == 0 && S_ISREG(st.st_mode);
}

static bool read_folder(struct walk *w, DIR *dir, const char *start, struct leaves *l, struct err *e)
{
    for (;;) {
        errno = 0;
        const struct dirent *d = readdir(dir);
        bool folder = false;
        if (!d)
            return errno == 0 || err_errno(e, "%s", *w->path ? w->path : ".");
        if (wanted(dirfd(dir), d, start, &folder) && !leaves_add(l, d->d_name, folder))
            return err_set(e, ERR_MEMORY, "%s: no memory for its list of files", *w->path ? w->path : ".");
    }
}

/* Everything in the folder whose leaf begins with start, sorted. */
static bool load_folder(struct walk *w, const char *start, struct leaves *l, struct err *e)
{
    const char *path = *w->path ? w->path : ".";
    DIR *dir = opendir(path);
    if (!dir)
        return errno == ENOENT || errno == ENOTDIR || err_errno(e, "%s", path);
    bool ok = read_folder(w, dir, start, l, e);
    closedir(dir);
    if (ok && l->count)
        qsort(l->names, l->count, sizeof *l->names, by_name);
    return ok;
}

static bool push(struct walk *w, const char *leaf, struct err *e)
{
    size_t n = strlen(leaf);
    if (n >= sizeof w->path - w->length)
        return err_set(e, ERR_LIMIT, "%.900s: its files' names have more than %d bytes", w->path,
                       PATH_MAX - 1);
    memcpy(w->path + w->length, leaf, n + 1);
    w->length += n;
    return true;
}

static void pop(struct walk *w, size_t length)
{
    w->length = length;
    w->path[length] = 0;
}

static bool tell_file(struct walk *w, struct err *e)
{
    struct stat st;
    char updated[LOCAL_UPDATED];
    struct entry entry;
    if (stat(w->path, &st) != 0)
        return errno == ENOENT || err_errno(e, "%s", w->path); /* deleted meanwhile */
    local_entry(&st, updated, &entry);
    entry.name = w->path;
    return w->fn(w->arg, &entry, e);
}

static bool tell_folder(struct walk *w, struct err *e)
{
    const struct entry entry = {.name = w->path, .updated = "", .folder = true};
    return w->fn(w->arg, &entry, e);
}

static bool walk_folder(struct walk *w, const char *start, struct err *e);

static bool walk_leaf(struct walk *w, const char *leaf, struct err *e)
{
    if (leaf[strlen(leaf) - 1] != '/')
        return tell_file(w, e);
    return w->depth == STORE_LEVEL ? tell_folder(w, e) : walk_folder(w, "", e);
}

static bool walk_folder(struct walk *w, const char *start, struct err *e)
{
    struct leaves l = {0};
    size_t length = w->length;
    bool ok = load_folder(w, start, &l, e);
    for (size_t i = 0; ok && i < l.count; i++) {
        ok = push(w, l.names[i], e) && walk_leaf(w, l.names[i], e);
        pop(w, length);
    }
    leaves_clear(&l);
    return ok;
}

bool local_list(const char *prefix, enum store_depth depth, entry_fn fn, void *arg, struct err *e)
{
    struct walk *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_MEMORY, "no memory for a list of files");
    w->depth = depth;
    w->fn = fn;
    w->arg = arg;
    const char *slash = strrchr(prefix, '/'), *start = slash ? slash + 1 : prefix;
    bool ok = push(w, prefix, e);
    if (ok) {
        pop(w, (size_t)(start - prefix));
        ok = walk_folder(w, start, e);
    }
    free(w);
    return ok;
}
