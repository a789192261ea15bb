/* staged.h: the model that the kill tests stage, what a journal says of it, and whether a later run moved any
 * of that again. */
#ifndef FERRY_TESTS_CMD_STAGED_H
#define FERRY_TESTS_CMD_STAGED_H

#include "scratch.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    STAGED_PART = 8 << 20, /* TRANSFER_PART_BYTES: what `ferry stage` cuts files into */
    STAGED_LARGE = 3,
    STAGED_SMALL = 16,
    STAGED_MAX_PARTS = 3,
};

/* owner/name: large files of up to three parts, and small ones, the first with an odd name and empty. */
void staged_make(void);
uint64_t staged_large_bytes(void);
/* Fails the test when what lies in the folder is not that. */
void staged_same(const char *folder);

/* What a journal says is stored and verified. */
struct known {
    bool parts[STAGED_LARGE][STAGED_MAX_PARTS];
    bool done[STAGED_LARGE], small_done[STAGED_SMALL];
};
/* The one journal whose path matches the glob; nothing is known when there is none. */
void known_read(struct known *k, const char *pattern);
int known_parts(const struct known *k); /* how many parts of large files */
int known_files(const struct known *k); /* how many files are done, of both kinds */

/* Bytes of large files: read from the hub, received by the bucket. */
struct moved {
    uint64_t fetched, sent;
};
/* Adds what the emulator's log tells, and fails the test when something was moved that was known before. The
 * number of requests. */
int moved_add(struct moved *m, const struct emulator *e, const struct known *before);

#endif
