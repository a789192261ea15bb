/* manifest.c: ferry-manifest.json for a folder of files, as `ferry stage` leaves it, without the SHA-256s,
 * which only staging needs.
 *
 *   bench_manifest FOLDER     on stdout */
#include "store/manifest.h"
#include "base/arena.h"
#include "base/crc32c.h"
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANGE = 8 << 20, MAX_FILES = 256 };

static bool describe(struct manifest_file *f, const char *folder, const char *name, struct arena *a,
                     struct err *e)
{
    struct file_map m = {0};
    char *path = arena_printf(a, "%s/%s", folder, name);
    if (!path || !file_map(&m, path, e))
        return false;
    *f = (struct manifest_file){.name = arena_strndup(a, name, strlen(name)), .size = m.size};
    f->ranges = arena_alloc(a, m.size / RANGE + 1, sizeof *f->ranges);
    for (size_t at = 0; f->ranges && at < m.size; at += RANGE) {
        size_t size = m.size - at < RANGE ? m.size - at : RANGE;
        f->ranges[f->range_count] = crc32c(0, m.data + at, size);
        f->crc32c = crc32c_combine(f->crc32c, f->ranges[f->range_count++], size);
    }
    file_unmap(&m);
    return f->name && f->ranges;
}

int main(int argc, char **argv)
{
    struct manifest_file files[MAX_FILES];
    struct manifest m = {.ferry = "bench",
                         .source = "hf://bench/model",
                         .created = "2026-01-01T00:00:00Z",
                         .range_bytes = RANGE,
                         .files = files};
    struct err e = {0};
    struct arena *a = arena_new(64 << 20);
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    bool ok = folder && a;
    for (const struct dirent *d; ok && m.count < MAX_FILES && (d = readdir(folder));)
        if (d->d_name[0] != '.')
            ok = describe(&files[m.count++], argv[1], d->d_name, a, &e);
    char *text = ok ? manifest_print(&m, &e) : NULL;
    if (text)
        puts(text);
    else
        fprintf(stderr, "bench_manifest FOLDER: %s\n", e.text);
    free(text);
    if (folder)
        closedir(folder);
    arena_free(a);
    return text ? 0 : 1;
}
