#include "target/layout.h"

#include "base/arena.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAG_KEY "org.opencontainers.image.ref.name"

enum { ARENA_BYTES = 16 << 20, MOST_INDEX_BYTES = 4 << 20 };

static const char layout_text[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

/* A layout being written. */
struct layout {
    const char *folder;
    struct arena *arena;
    struct err *e;
};

static char *path_in(const struct layout *l, const char *name)
{
    char *path = arena_printf(l->arena, "%s/%s", l->folder, name);
    if (!path)
        err_set(l->e, ERR_MEMORY, "no memory for a path");
    return path;
}

/* --- writing --- */

/* Under another name first, so that nobody finds half a file. */
static bool write_file(const struct layout *l, const char *name, const void *bytes, size_t size)
{
    char *path = path_in(l, name), *part = path ? arena_printf(l->arena, "%s.part", path) : NULL;
    if (!part)
        return err_set(l->e, ERR_MEMORY, "no memory for a path");
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_errno(l->e, "%s", part);
    bool ok = file_write(fd, bytes, size) || err_errno(l->e, "%s", part);
    if (close(fd) != 0 && ok)
        ok = err_errno(l->e, "%s", part);
    if (ok && rename(part, path) != 0)
        ok = err_errno(l->e, "%s", path);
    if (!ok)
        unlink(part);
    return ok;
}

/* A blob that is there with the right size is the same: its name is its digest. */
static bool write_blob(const struct layout *l, const struct image_blob *b)
{
    char name[sizeof "blobs/sha256/" + DIGEST_TEXT];
    struct stat st;
    snprintf(name, sizeof name, "blobs/sha256/%s", b->digest + strlen("sha256:"));
    char *path = path_in(l, name);
    if (!path)
        return false;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (size_t)st.st_size == b->size)
        return true;
    return write_file(l, name, b->bytes, b->size);
}

static bool write_blobs(const struct layout *l, const struct image *im)
{
    for (int i = 0; i < IMAGE_LAYERS; i++) {
        if (!write_blob(l, &im->layers[i].blob))
            return false;
    }
    return write_blob(l, &im->config) && write_blob(l, &im->manifest);
}

/* --- the folder --- */

static bool is_empty(const char *folder)
{
    DIR *d = opendir(folder);
    struct dirent *entry = NULL;
    while (d && (entry = readdir(d)) && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0))
        continue;
    if (d)
        closedir(d);
    return d && !entry;
}

static bool make_folder(const struct layout *l, const char *name)
{
    char *path = path_in(l, name);
    return path && (mkdir(path, 0777) == 0 || errno == EEXIST || err_errno(l->e, "%s", path));
}

/* New, empty or a layout: its oci-layout is what makes it one. */
static bool open_folder(const struct layout *l)
{
    char *mark = path_in(l, "oci-layout");
    if (!mark)
        return false;
    if (mkdir(l->folder, 0777) != 0 && errno != EEXIST)
        return err_errno(l->e, "%s", l->folder);
    if (!file_exists(mark) && !is_empty(l->folder))
        return err_set(l->e, ERR_USAGE, "%s: holds something else than images; name a new folder", l->folder);
    return make_folder(l, "blobs") && make_folder(l, "blobs/sha256") &&
           (file_exists(mark) || write_file(l, "oci-layout", layout_text, sizeof layout_text - 1));
}

/* --- index.json --- */

static bool parse_index(const struct layout *l, const char *path, json_t **index)
{
    size_t size;
    char *text = file_read(l->arena, path, MOST_INDEX_BYTES, &size, l->e);
    if (!text)
        return false;
    *index = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    if (*index && json_is_array(json_object_get(*index, "manifests")))
        return true;
    json_decref(*index);
    return err_set(l->e, ERR_CORRUPT,
                   "%s: not the index of an image layout; remove the folder, or name another", path);
}

/* What is there, or an empty one. */
static bool read_index(const struct layout *l, json_t **index)
{
    char *path = path_in(l, "index.json");
    if (!path)
        return false;
    if (file_exists(path))
        return parse_index(l, path, index);
    *index = json_pack("{s:i, s:[]}", "schemaVersion", 2, "manifests");
    return *index || err_set(l->e, ERR_MEMORY, "no memory for an index");
}

static bool has_tag(const json_t *entry, const char *tag)
{
    const json_t *annotations = json_object_get(entry, "annotations");
    const char *is = json_string_value(json_object_get(annotations, TAG_KEY));
    return is && strcmp(is, tag) == 0;
}

/* The entry takes the place of those with its tag. False: no memory. */
static bool put_entry(json_t *index, const struct image_blob *manifest, const char *tag)
{
    json_t *entries = json_object_get(index, "manifests");
    for (size_t i = json_array_size(entries); i-- > 0;) {
        if (has_tag(json_array_get(entries, i), tag))
            json_array_remove(entries, i);
    }
    return json_array_append_new(
               entries, json_pack("{s:s, s:s, s:I, s:{s:s, s:s}, s:{s:s}}", "mediaType", manifest->type,
                                  "digest", manifest->digest, "size", (json_int_t)manifest->size, "platform",
                                  "architecture", "amd64", "os", "linux", "annotations", TAG_KEY, tag)) == 0;
}

static bool write_index(const struct layout *l, const struct image *im, const char *tag)
{
    json_t *index;
    if (!read_index(l, &index))
        return false;
    char *text =
        put_entry(index, &im->manifest, tag) ? json_dumps(index, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(index);
    if (!text)
        return err_set(l->e, ERR_MEMORY, "no memory for an index");
    bool ok = write_file(l, "index.json", text, strlen(text));
    free(text);
    return ok;
}

bool layout_write(const struct image *im, const char *folder, const char *tag, struct err *e)
{
    struct layout l = {.folder = folder, .arena = arena_new(ARENA_BYTES), .e = e};
    if (!l.arena)
        return err_set(e, ERR_MEMORY, "no memory for a layout");
    bool ok = open_folder(&l) && write_blobs(&l, im) && write_index(&l, im, tag);
    arena_free(l.arena);
    return ok;
}
