/* manifest.h: what a staged folder holds, written last: a folder is complete exactly when its manifest is
 * there.
 *
 *   PREFIX/ferry-manifest.json
 *   {"ferry":"0.1.0","source":"hf://Qwen/Qwen2-Audio-7B-Instruct","commit":"0a09…","created":"2026-11-23T…Z",
 *    "range_bytes":8388608,
 *    "files":[{"name":"model-00001-of-00005.safetensors","size":3911340848,"sha256":"383d…","crc32c":"4waSgw==",
 *              "ranges":["4waSgw==",…]}]}
 * A range is range_bytes long (the last one of a file shorter), its CRC in base64. Small files have the
 * git_blob the hub named, and our own sha256. A folder whose weights were encoded on the way says how
 * ("encoding":"q8_0"); its pack was written in another order than that of its bytes, so it has no sha256.
 * Members that are not named here are passed over, so that an older reader gets along with a newer writer. */
#ifndef FERRY_STORE_MANIFEST_H
#define FERRY_STORE_MANIFEST_H

#include "base/arena.h"
#include "base/err.h"

#include <stdint.h>

#define MANIFEST_NAME "ferry-manifest.json"
#define MANIFEST_UNFINISHED ".ferry/" /* a folder that is there while a model is being staged */
enum { MANIFEST_MAX_BYTES = 16 << 20, MANIFEST_MAX_FILES = 100000 };

struct manifest_file {
    const char *name;
    uint64_t size;
    const char *sha256;   /* 64 hex digits, lower case; or NULL */
    const char *git_blob; /* or NULL */
    uint32_t crc32c;
    uint32_t *ranges; /* [range_count] */
    int range_count;
};

struct manifest {
    const char *ferry, *source, *created;
    const char *commit;   /* or NULL: the source is no repository */
    const char *encoding; /* of the pack in it, or NULL: as in the source */
    uint32_t range_bytes;
    struct manifest_file *files; /* manifest_parse sorts them by name */
    int count;
};

/* Everything in the arena, every number checked against the others; names are such that they can be put
 * behind a folder (no "..", no "/" in front). False with *e (ERR_CORRUPT) set. */
bool manifest_parse(struct manifest *m, const char *text, size_t size, struct arena *a, struct err *e);
/* From malloc; NULL with *e set. */
char *manifest_print(const struct manifest *m, struct err *e);
/* NULL: no such file. Only of a parsed one, or one whose files are in byte order of their names. */
const struct manifest_file *manifest_find(const struct manifest *m, const char *name);

#endif
