/* image.h: an OCI image of ferry in memory (opencontainers/image-spec 1.0): the program, the shared libraries
 * it needs on this machine, CA certificates, three files of /etc, /tmp; no shell, nothing else.
 *
 *   struct image *im = image_build(&(struct image_options){0}, e);
 *   layout_write(im, "ferry-image", "latest", e);     or registry_push
 *
 * Two layers: libraries and certificates, which rarely change, and the program, so that an update sends
 * little. The same files give the same digests, byte for byte, with the same zlib: no time, owner or name of
 * this machine gets in. Layers are gzip, which every registry and runtime takes. For linux/amd64.
 *
 * Libraries lie in one folder, the one this machine's libc is in, where the loader looks without a table. The
 * service runs as a user without rights (65532), which Kubernetes can check as it is a number. */
#ifndef FERRY_TARGET_IMAGE_H
#define FERRY_TARGET_IMAGE_H

#include "base/err.h"
#include "target/build_note.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define IMAGE_CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define IMAGE_LAYER_TYPE "application/vnd.oci.image.layer.v1.tar+gzip"

enum { IMAGE_DATE_OF_PROGRAM = -1 };

struct image_options {
    const char *program;      /* a ferry; NULL: the one that runs */
    const char *certificates; /* PEM file of CA certificates; NULL: this system's */
    bool keep_symbols;        /* else the program's sections that are not loaded are left out */
    int64_t created;          /* seconds since 1970, or IMAGE_DATE_OF_PROGRAM */
};

enum { IMAGE_LIBRARIES, IMAGE_PROGRAM, IMAGE_LAYERS };
enum { DIGEST_TEXT = 72 }; /* "sha256:" and 64 hex digits */

struct image_blob {
    const char *name; /* "libraries", "ferry", "config", "manifest" */
    const char *type; /* its media type */
    char digest[DIGEST_TEXT];
    const void *bytes;
    size_t size;
};

struct image_layer {
    struct image_blob blob;
    char diff_id[DIGEST_TEXT]; /* of the tar archive */
    uint64_t unpacked_size;
};

struct image_file {
    const char *path;   /* "/lib/x86_64-linux-gnu/libc.so.6"; of a folder with a slash behind */
    const char *source; /* on this machine; NULL: made here */
    unsigned mode;
    uint64_t size;
    int layer;
};

/* Read-only once it is built: any thread. */
struct image {
    struct image_layer layers[IMAGE_LAYERS];
    struct image_blob config, manifest;
    const struct image_file *files;
    int file_count;
    struct build_note note; /* of the program */
    struct arena *arena;
};

/* NULL with *e set: no ferry, a library or the certificates are not on this machine. */
struct image *image_build(const struct image_options *o, struct err *e);
void image_free(struct image *im); /* NULL is fine */

/* Bytes that a registry keeps: layers, config and manifest. */
uint64_t image_size(const struct image *im);

#endif
