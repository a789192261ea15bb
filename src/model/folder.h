/* folder.h: a Hugging Face model folder on disk, opened for the engine. */
#ifndef FERRY_MODEL_FOLDER_H
#define FERRY_MODEL_FOLDER_H

#include "base/err.h"
#include "base/pool.h"
#include "model/config.h"
#include "model/weights.h"

struct folder; /* the mapped or read shards */

enum folder_memory {
    FOLDER_AUTO, /* map what is small or lies in memory already (tmpfs), read the rest into huge pages */
    FOLDER_MAP,
    FOLDER_READ,
};

struct model {
    struct model_config config;
    struct weights *weights; /* complete */
    struct folder *folder;   /* owns the bytes */
    char path[4096];
    char name[256]; /* last part of the path, for /v1/models */
};

/* Opens config, index and shards, checks every header and fills every slot. pool may be NULL; it reads with
 * several threads. False with *e set and nothing left open; the message names file, tensor and what was
 * expected. Tensors that no slot asks for are refused too: they mean that the model computes something that
 * this program would silently leave out (rotary inverse frequencies, a known buffer of old files, excepted).
 */
bool model_open(struct model *m, const char *path, enum folder_memory memory, struct pool *pool,
                struct err *e);
void model_close(struct model *m); /* a zeroed one is fine */

#endif
