/* files.h: what lies in the place, and the small files of a model in memory. */
#ifndef FERRY_LOADER_PARTS_FILES_H
#define FERRY_LOADER_PARTS_FILES_H

#include "base/file_source.h"
#include "store/manifest.h"
#include "store/store.h"

#include <signal.h>

enum { FILES_MAX = 4096, SMALL_MAX_BYTES = 64 << 20 };

struct small_file {
    const char *name;          /* without the prefix */
    const struct entry *entry; /* NULL: not there */
    char *bytes;               /* [entry->size], a NUL behind them */
    bool right;                /* they are what the place says of them */
};

struct files {
    struct store *store;
    const char *prefix, *where;
    const volatile sig_atomic_t *stop;
    struct arena *arena;
    struct entry *entries; /* [count], by name; names are whole */
    int count;
    bool unfinished; /* there is what `ferry stage` leaves while it is not through */
    bool has_manifest;
    struct manifest manifest;
    struct small_file *small; /* [small_count] */
    int small_count;
    struct file_source source; /* of the small files */
};

/* f's first five members are set. Lists the place; reads and checks manifest, config, tokenizer and index, at
 * the same time. Everything in the arena. False with *e set. */
bool files_open(struct files *f, struct err *e);

/* A file directly in the place, by its name without the prefix; NULL: not there. */
const struct entry *files_find(const struct files *f, const char *name);

/* "gs://bucket/x/name", in the arena; NULL: no memory. */
const char *files_title(const struct files *f, const char *name);

/* What the manifest says of it. NULL without a manifest. False with *e set: the manifest does not know it, or
 * says something else than the place. */
bool files_certified(const struct files *f, const char *name, const struct manifest_file **out,
                     struct err *e);

/* Reads pieces of files at the same time. */
struct read_job {
    const struct entry *entry;
    uint64_t offset;
    size_t size;
    void *into;
};
bool files_read(const struct files *f, const struct read_job *jobs, int count, struct err *e);

/* Whether bytes[0..size) are the whole of that file, by what the place says of it: CRC32C, SHA-256 or git's
 * blob id. */
bool file_is_whole(const struct entry *entry, uint32_t crc, const void *bytes, struct err *e);

#endif
