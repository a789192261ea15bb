/* digest.h: the hash of a whole file as its parts pass, in order, by whichever thread carries the next one.
 */
#ifndef FERRY_TRANSFER_ENGINE_DIGEST_H
#define FERRY_TRANSFER_ENGINE_DIGEST_H

#include "base/sha.h"
#include "store/store.h"

struct digest {
    struct sha256 sha256;
    struct git_blob *git; /* NULL: the source names none, or names a sha256 */
};

/* state: of a journal, or "" for the beginning. */
bool digest_start(struct digest *d, const struct entry *source, const char *state, struct err *e);
void digest_add(struct digest *d, const void *bytes, size_t size);
/* Once, at the end: the hash, and whether it is what the source says. */
bool digest_end(struct digest *d, const struct entry *source, char sha256[SHA256_HEX], struct err *e);
void digest_clear(struct digest *d); /* a zeroed one is fine */

#endif
