/* staged.h: the tiny model as `ferry stage` leaves it, in a folder or a bucket, and loaders of it. Failures
 * fail the running test. */
#ifndef FERRY_TESTS_LOADER_STAGED_H
#define FERRY_TESTS_LOADER_STAGED_H

#include "loader/loader.h"
#include "remote.h"

#define TINY "data/models/tiny-qwen2-audio"
#define SHARD_1 "model-00001-of-00003.safetensors"
#define SHARD_2 "model-00002-of-00003.safetensors"
#define SHARD_3 "model-00003-of-00003.safetensors"

enum { TINY_VOCAB = 1088 };

/* Its files under s->path/leaf/; with a manifest of such ranges, 0: without. The folder with its slash. */
char *staged_folder(struct scratch *s, const char *leaf, uint32_t range_bytes);
/* The same in the bucket under prefix ("m/"). */
void staged_bucket(struct scratch *s, const char *prefix, uint32_t range_bytes);

/* A loader with what it tells. */
struct load {
    struct loader *loader;
    struct arrival *arrival;
    struct model model;
    bool open; /* model is */
};

void load_new(struct load *l, struct store *store, const char *prefix, const char *where, int connections);
void load_free(struct load *l);
/* Opens it; and runs it to its end. */
void load_open(struct load *l);
void load_all(struct load *l);

/* Every slot has the bytes that the tiny model has. */
void expect_tiny(const struct load *l);

#endif
