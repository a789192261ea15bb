#include "target/image.h"

#include "base/file.h"
#include "net/http.h"
#include "target/elf/elf.h"
#include "target/elf/libraries.h"
#include "target/image/description.h"
#include "target/image/root.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 64 << 20 };

/* An image being built. */
struct build {
    const struct image_options *o;
    struct image *image;
    const char *path; /* of the program */
    struct file_map program;
    struct layer layers[IMAGE_LAYERS];
    struct err *e;
};

static void name_digest(char out[DIGEST_TEXT], const char *hex)
{
    snprintf(out, DIGEST_TEXT, "sha256:%.64s", hex);
}

/* --- the program --- */

/* The path of the running program, for its name and $ORIGIN; one that was replaced meanwhile is still there
 * as /proc/self/exe. */
static const char *own_path(struct arena *a)
{
    char path[PATH_MAX];
    return realpath("/proc/self/exe", path) ? arena_strndup(a, path, strlen(path)) : "/proc/self/exe";
}

static bool open_program(struct build *b)
{
    struct arena *a = b->image->arena;
    b->path = b->o->program ? b->o->program : own_path(a);
    if (!b->path)
        return err_set(b->e, ERR_MEMORY, "no memory for an image");
    return file_map(&b->program, b->path, b->e) &&
           (build_note_read(&b->image->note, b->program.data, b->program.size, a, b->e) ||
            err_wrap(b->e, "%s", b->path));
}

/* The part of the program that is loaded, with a header that promises no more. */
static bool add_program(struct build *b)
{
    struct elf elf;
    struct arena *a = b->image->arena;
    if (b->o->keep_symbols)
        return root_add_program(&b->layers[IMAGE_PROGRAM], b->program.data, b->program.size, b->e);
    if (!elf_read(&elf, b->program.data, b->program.size, a, b->e))
        return err_wrap(b->e, "%s", b->path);
    char *bytes = arena_strndup(a, (const char *)b->program.data, elf.end);
    if (!bytes)
        return err_set(b->e, ERR_MEMORY, "%s: no memory for %zu bytes", b->path, elf.end);
    elf_forget_sections(bytes);
    return root_add_program(&b->layers[IMAGE_PROGRAM], bytes, elf.end, b->e);
}

/* Also what is loaded only when it is needed: a service needs it as soon as its model lies in a bucket. */
static bool add_libraries(struct build *b)
{
    static const char *const at_run_time[] = {http_library, NULL};
    struct libraries found;
    return libraries_find(&found, b->path, at_run_time, &library_places_usual, b->image->arena, b->e) &&
           root_add_libraries(&b->layers[IMAGE_LIBRARIES], &found, b->o->certificates, b->e);
}

/* --- blobs --- */

static bool pack_layer(struct build *b, int i, const char *name)
{
    struct packed packed;
    struct image_layer *l = &b->image->layers[i];
    if (!layer_pack(&b->layers[i], &packed, b->e))
        return err_wrap(b->e, "layer of %s", name);
    l->blob = (struct image_blob){
        .name = name, .type = IMAGE_LAYER_TYPE, .bytes = packed.bytes, .size = packed.size};
    l->unpacked_size = packed.unpacked_size;
    name_digest(l->blob.digest, packed.sha256);
    name_digest(l->diff_id, packed.unpacked_sha256);
    return true;
}

/* Takes text over; false when it is NULL. */
static bool keep_text(struct image_blob *blob, const char *name, const char *type, char *text)
{
    struct sha256 s;
    char hex[SHA256_HEX];
    if (!text)
        return false;
    *blob = (struct image_blob){.name = name, .type = type, .bytes = text, .size = strlen(text)};
    sha256_start(&s);
    sha256_add(&s, text, blob->size);
    sha256_end(&s, hex);
    name_digest(blob->digest, hex);
    return true;
}

static bool describe(struct build *b)
{
    struct image *im = b->image;
    int64_t created = b->o->created == IMAGE_DATE_OF_PROGRAM ? im->note.date : b->o->created;
    return keep_text(&im->config, "config", IMAGE_CONFIG_TYPE, image_config(im, created, b->e)) &&
           keep_text(&im->manifest, "manifest", IMAGE_MANIFEST_TYPE, image_manifest(im, b->e));
}

/* --- the list of files --- */

static bool list_file(struct build *b, const struct layer_file *f, int layer, struct image_file *out)
{
    char *path = arena_printf(b->image->arena, "/%s%s", f->path, f->folder ? "/" : "");
    char *source = f->source ? arena_strndup(b->image->arena, f->source, strlen(f->source)) : NULL;
    *out = (struct image_file){path, source, f->mode, f->size, layer};
    return path && (source || !f->source);
}

static bool list_files(struct build *b)
{
    const struct layer *l = b->layers;
    int count = l[IMAGE_LIBRARIES].count + l[IMAGE_PROGRAM].count, n = 0;
    struct image_file *files = arena_alloc(b->image->arena, (size_t)count, sizeof *files);
    for (int i = 0; files && i < IMAGE_LAYERS; i++) {
        for (int k = 0; k < l[i].count; k++) {
            if (!list_file(b, &l[i].files[k], i, &files[n++]))
                return err_set(b->e, ERR_MEMORY, "no memory for an image");
        }
    }
    b->image->files = files;
    b->image->file_count = n;
    return files || err_set(b->e, ERR_MEMORY, "no memory for an image");
}

static bool build(struct build *b)
{
    return open_program(b) && add_libraries(b) && add_program(b) &&
           pack_layer(b, IMAGE_LIBRARIES, "libraries") && pack_layer(b, IMAGE_PROGRAM, "ferry") &&
           describe(b) && list_files(b);
}

struct image *image_build(const struct image_options *o, struct err *e)
{
    struct image *im = calloc(1, sizeof *im);
    if (!im || !(im->arena = arena_new(ARENA_BYTES))) {
        err_set(e, ERR_MEMORY, "no memory for an image");
        free(im);
        return NULL;
    }
    struct build b = {.o = o, .image = im, .e = e};
    for (int i = 0; i < IMAGE_LAYERS; i++)
        b.layers[i].arena = im->arena;
    bool ok = build(&b);
    for (int i = 0; i < IMAGE_LAYERS; i++)
        layer_clear(&b.layers[i]);
    file_unmap(&b.program);
    if (ok)
        return im;
    image_free(im);
    return NULL;
}

static void free_blob(struct image_blob *b)
{
    free((void *)(uintptr_t)b->bytes);
}

void image_free(struct image *im)
{
    if (!im)
        return;
    for (int i = 0; i < IMAGE_LAYERS; i++)
        free_blob(&im->layers[i].blob);
    free_blob(&im->config);
    free_blob(&im->manifest);
    arena_free(im->arena);
    free(im);
}

uint64_t image_size(const struct image *im)
{
    uint64_t size = im->config.size + im->manifest.size;
    for (int i = 0; i < IMAGE_LAYERS; i++)
        size += im->layers[i].blob.size;
    return size;
}
