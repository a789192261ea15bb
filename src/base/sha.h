/* sha.h: SHA-256 that can be put down and taken up again, and git's blob id.
 *
 * OpenSSL computes; the state at a multiple of 64 bytes is small enough for a journal, so that a copy that
 * was killed goes on hashing where it was. One thread per state. */
#ifndef FERRY_BASE_SHA_H
#define FERRY_BASE_SHA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_HEX = 65, GIT_BLOB_HEX = 41 };

/* Bytes hashed so far and FIPS 180-4's eight working words; `held` are the bytes of a started block. */
struct sha256 {
    uint32_t words[8];
    uint64_t bytes;
    unsigned char held[64];
};

void sha256_start(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *bytes, size_t size);
void sha256_end(const struct sha256 *s, char hex[SHA256_HEX]); /* lower case; *s can go on */

/* The state as text: "BYTES:W0W1…W7" in hex. Only at a multiple of 64 bytes (false otherwise). */
enum { SHA256_STATE_TEXT = 96 };
bool sha256_save(const struct sha256 *s, char out[SHA256_STATE_TEXT]);
bool sha256_load(struct sha256 *s, const char *text);

/* SHA-1 of "blob SIZE\0" and the content: how git, and the hub for small files, name a file's content. */
struct git_blob;
struct git_blob *git_blob_start(uint64_t size); /* NULL: no memory */
void git_blob_add(struct git_blob *b, const void *bytes, size_t size);
void git_blob_end(struct git_blob *b, char hex[GIT_BLOB_HEX]); /* frees */

#endif
