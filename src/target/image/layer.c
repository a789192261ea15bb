#include "target/image/layer.h"

#include "base/file.h"
#include "target/image/tar.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 30 };

static const unsigned char zeros[TAR_END];

static struct layer_file *find(const struct layer *l, const char *path)
{
    for (int i = 0; i < l->count; i++) {
        if (strcmp(l->files[i].path, path) == 0)
            return &l->files[i];
    }
    return NULL;
}

static bool append(struct layer *l, const struct layer_file *f, struct err *e)
{
    if (l->count == l->room) {
        int room = l->room ? 2 * l->room : 64;
        struct layer_file *files = realloc(l->files, (size_t)room * sizeof *files);
        if (!files)
            return err_set(e, ERR_MEMORY, "no memory for the files of a layer");
        l->files = files;
        l->room = room;
    }
    l->files[l->count++] = *f;
    return true;
}

static bool add_folders(struct layer *l, const char *path, struct err *e)
{
    for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
        struct layer_file folder = {
            .path = arena_strndup(l->arena, path, (size_t)(slash - path)), .mode = 0755, .folder = true};
        if (!folder.path)
            return err_set(e, ERR_MEMORY, "no memory for the files of a layer");
        const struct layer_file *there = find(l, folder.path);
        if (there && !there->folder)
            return err_set(e, ERR_USAGE, "/%s is a file and a folder", folder.path);
        if (!there && !append(l, &folder, e))
            return false;
    }
    return true;
}

bool layer_add(struct layer *l, const struct layer_file *f, struct err *e)
{
    if (find(l, f->path))
        return err_set(e, ERR_USAGE, "/%s is there twice", f->path);
    return add_folders(l, f->path, e) && append(l, f, e);
}

void layer_clear(struct layer *l)
{
    free(l->files);
    l->files = NULL;
    l->count = l->room = 0;
}

/* In byte order, a folder right before what is in it: as if each had its slash. */
static int compare(const void *a, const void *b)
{
    const struct layer_file *x = a, *y = b;
    size_t n = strlen(x->path), m = strlen(y->path), least = n < m ? n : m;
    int order = memcmp(x->path, y->path, least);
    if (order)
        return order;
    unsigned char next_x = n > least ? (unsigned char)x->path[least] : x->folder ? '/' : 0;
    unsigned char next_y = m > least ? (unsigned char)y->path[least] : y->folder ? '/' : 0;
    return next_x != next_y ? next_x - next_y : (n > m) - (n < m);
}

static bool pack_bytes(struct packer *p, const struct layer_file *f, struct err *e)
{
    unsigned char head[TAR_BLOCK];
    struct tar_member m = {.path = f->path, .mode = f->mode, .folder = f->folder, .size = f->size};
    return tar_head(head, &m, e) && packer_add(p, head, sizeof head, e) &&
           packer_add(p, f->bytes, f->size, e) && packer_add(p, zeros, tar_padding(f->size), e);
}

static bool pack_file(struct packer *p, struct layer_file *f, struct err *e)
{
    struct file_map m;
    if (!f->source)
        return pack_bytes(p, f, e);
    if (!file_map(&m, f->source, e))
        return false;
    struct layer_file mapped = *f;
    mapped.bytes = m.data;
    mapped.size = f->size = m.size;
    bool ok = pack_bytes(p, &mapped, e);
    file_unmap(&m);
    return ok;
}

bool layer_pack(struct layer *l, struct packed *out, struct err *e)
{
    struct packer *p = packer_new(MOST_BYTES, e);
    bool ok = p != NULL;
    if (l->count)
        qsort(l->files, (size_t)l->count, sizeof *l->files, compare);
    for (int i = 0; ok && i < l->count; i++)
        ok = pack_file(p, &l->files[i], e);
    ok = ok && packer_add(p, zeros, TAR_END, e) && packer_end(p, out, e);
    packer_free(p);
    return ok;
}
