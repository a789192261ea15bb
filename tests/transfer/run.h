/* run.h: copies between folders in a scratch folder, told in a line each. */
#ifndef FERRY_TESTS_TRANSFER_RUN_H
#define FERRY_TESTS_TRANSFER_RUN_H

#include "scratch.h"
#include "transfer/transfer.h"

struct run {
    struct stores *stores;
    struct store *store; /* this machine */
    struct transfer *transfer;
    struct transfer_options options;
    struct arena *arena;
};

void run_open(struct run *r);
void run_close(struct run *r);

/* Adds one file by its name in the scratch folder; change may alter the entry before it is added. */
void run_add(struct run *r, const struct scratch *s, const char *from, const char *to,
             void (*change)(struct entry *e));
void run_add_folder(struct run *r, const struct scratch *s, const char *from, const char *to);
bool run_go(struct run *r, struct err *e);

/* The outcome of the file that was to become `to`. */
const struct transfer_file *run_file(const struct run *r, const struct scratch *s, const char *to);
uint64_t run_moved(const struct run *r);

/* What every file really is, in the scratch folder. */
void hash_file(const struct scratch *s, const char *name, char sha256[SHA256_HEX], char git[GIT_BLOB_HEX],
               uint32_t *crc32c);

#endif
