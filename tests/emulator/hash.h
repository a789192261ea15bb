/* hash.h: the checksums the services report, written apart from Ferry's own: a client and its fake must not
 * be able to share a mistake. */
#ifndef FERRY_EMULATOR_HASH_H
#define FERRY_EMULATOR_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint32_t hash_crc32c(uint32_t crc, const void *bytes, size_t size); /* 0: of nothing */
/* The CRC of A followed by B. */
uint32_t hash_crc32c_join(uint32_t a, uint32_t b, uint64_t size_b);

enum { MD5_BYTES = 16, SHA1_HEX = 41, SHA256_HEX = 65 };

/* What is asked for (not NULL) of a stretch of an open file, in one pass. False: it cannot be read. */
struct file_hashes {
    uint32_t *crc32c;
    unsigned char *md5; /* MD5_BYTES */
    char *git_blob;     /* SHA1_HEX: SHA-1 of "blob SIZE\0" and the bytes */
    char *sha256;       /* SHA256_HEX */
};
bool hash_file(int fd, uint64_t offset, uint64_t size, const struct file_hashes *want);

void hash_sha256(const void *bytes, size_t size, char out[SHA256_HEX]);
void hash_sha1_text(const char *text, char out[SHA1_HEX]);

/* Standard base64 with padding. out has room for base64_room(size). */
#define BASE64_ROOM(n) (((n) + 2) / 3 * 4 + 1)
void base64_encode(const void *bytes, size_t size, char *out);
void base64_crc32c(uint32_t crc, char out[BASE64_ROOM(4)]); /* big-endian */

/* Decodes base64 or base64url, padded or not. -1: a character that has no place in it, or no room. */
long base64_decode(const char *text, size_t size, unsigned char *out, size_t room);

#endif
