/* loader.h: a model out of a store straight into the memory where it is computed with, in the order in which
 * the forward pass needs it.
 *
 *   struct loader *l = loader_new(&options, e);
 *   loader_open(l, &model, e)       lists, reads the small files and the headers, reserves memory, fills
 * slots … engine, scheduler: they wait for what they need (model->arrival) … loader_run(l, e) returns when
 * every byte is there and checked, or will not come … model_close …                 the bytes are the model's
 *   loader_free(l);
 *
 * Nothing touches a disk: small files stay in memory (loader_files), shards lie there byte by byte as in the
 * place. Memory beyond the model: two ranges at most, for what is asked for twice.
 *
 * Order: ranges (the manifest's, 8 MiB) by the first stage that needs one of their bytes. Rows of the
 * embedding that prompts ask for come before anything else, with the whole range that they lie in; then audio
 * tower, decoder, head, and the rest of the embedding last. When all prompts that wait are of text, the
 * decoder comes first and the tower behind the head.
 *
 * Checks: with a manifest (ferry stage) the CRC32C of every range before a byte of it is computed with; a
 * range that is wrong twice ends the load. Without one a range is computed with as it comes, over TLS, and
 * the whole file is checked when its last byte is there: by the bucket's CRC32C, on the hub by SHA-256 (or
 * git's blob id). A mismatch then ends the load, and with it the service.
 *
 * Connections: as many as make it faster (parts/pace.h). A range that its peers overtake is asked for again
 * over another connection; the first one counts. */
#ifndef FERRY_LOADER_LOADER_H
#define FERRY_LOADER_LOADER_H

#include "base/err.h"
#include "base/file_source.h"
#include "model/arrival.h"
#include "model/folder.h"
#include "store/store.h"

struct loader;

enum { LOADER_CONNECTIONS = 32 };

/* All of it must outlive the loader. */
struct loader_options {
    struct store *store;
    const char *prefix;      /* what names begin with there: "models/x/", or "" */
    const char *where;       /* the URI, for messages and the model's name */
    struct arrival *arrival; /* is told everything */
    int connections;         /* at most; 0: LOADER_CONNECTIONS */
};

struct loader *loader_new(const struct loader_options *o, struct err *e);

/* The model with every slot in its place, its bytes still to come. False with *e set and nothing left open:
 * no model there, not completely staged, files that are not what the manifest says, what model_assemble
 * refuses, no memory. */
bool loader_open(struct loader *l, struct model *m, struct err *e);

/* Of an open one: config, tokenizer and what else is small, in memory. */
const struct file_source *loader_files(const struct loader *l);
uint64_t loader_bytes(const struct loader *l); /* of all shards */

/* False with *e set (and arrival_fail called with it): a range that cannot be had or is wrong twice, a file
 * that is not what it should be, ERR_CANCELLED after loader_stop. Once. */
bool loader_run(struct loader *l, struct err *e);

/* Ends loader_open and loader_run within about a second. Any thread, any time between new and free. */
void loader_stop(struct loader *l);

void loader_free(struct loader *l); /* NULL is fine; the model stays */

#endif
