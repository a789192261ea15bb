/* folder.h: the files of a Hugging Face model, opened for the engine: from a folder on disk, or from shards
 * whose bytes somebody else brings (loader). */
#ifndef FERRY_MODEL_FOLDER_H
#define FERRY_MODEL_FOLDER_H

#include "base/err.h"
#include "base/pool.h"
#include "model/arrival.h"
#include "model/config.h"
#include "model/shard.h"
#include "model/shard_index.h"
#include "model/weights.h"

#define MODEL_SINGLE_FILE "model.safetensors"
#define MODEL_INDEX_FILE "model.safetensors.index.json"
enum { MODEL_MAX_INDEX_BYTES = 16 << 20 };

struct folder; /* the mapped, read or reserved shards */

enum folder_memory {
    FOLDER_AUTO, /* map what is small or lies in memory already (tmpfs), read the rest into huge pages */
    FOLDER_MAP,
    FOLDER_READ,
};

struct model {
    struct model_config config;
    struct weights *weights; /* complete */
    struct folder *folder;   /* owns the bytes */
    struct arrival *arrival; /* how many of them are there; NULL: all. Whoever brings them owns it */
    char path[4096];
    char name[256]; /* last part of the path, for /v1/models */
};

/* The path or URI that messages name, and the name that follows from it. *m is zeroed first. False with *e
 * set: empty, or too long. */
bool model_name(struct model *m, const char *path, struct err *e);

/* Opens config, index and shards, checks every header and fills every slot. pool may be NULL; it reads with
 * several threads. False with *e set and nothing left open; the message names file, tensor and what was
 * expected. Tensors that no slot asks for are refused too: they mean that the model computes something that
 * this program would silently leave out (rotary inverse frequencies, a known buffer of old files, excepted).
 */
bool model_open(struct model *m, const char *path, enum folder_memory memory, struct pool *pool,
                struct err *e);

/* The same from shards whose headers are parsed and whose data has its place (shards_reserve), whatever is in
 * it yet; m has its name and its config. Takes over index (NULL: the one shard is MODEL_SINGLE_FILE) and
 * shards, from malloc, in any case; their names must live as long as the index, or for ever. False with *e
 * set: model_close then. */
bool model_assemble(struct model *m, struct shard *shards, size_t count, struct shard_index *index,
                    struct err *e);
void model_close(struct model *m); /* a zeroed one is fine */

#endif
