#include "hash.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

static const uint32_t polynomial = 0x82F63B78; /* Castagnoli, reflected: bit 31 is x^0 */

static uint32_t crc_bytes(uint32_t crc, const unsigned char *p, size_t size)
{
    for (; size; size--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_words(uint32_t crc, const unsigned char *p,
                                                            size_t words)
{
    uint64_t c = crc, word;
    for (; words; words--, p += 8) {
        memcpy(&word, p, sizeof word);
        c = _mm_crc32_u64(c, word);
    }
    return (uint32_t)c;
}
#endif

uint32_t hash_crc32c(uint32_t crc, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    crc = ~crc;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) {
        crc = crc_words(crc, p, size / 8);
        p += size / 8 * 8;
        size %= 8;
    }
#endif
    return ~crc_bytes(crc, p, size);
}

/* a * b modulo the polynomial. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = UINT32_C(1) << 31; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b & 1 ? b >> 1 ^ polynomial : b >> 1;
    }
    return product;
}

uint32_t hash_crc32c_join(uint32_t a, uint32_t b, uint64_t size_b)
{
    uint32_t shift = UINT32_C(1) << 31, square = UINT32_C(1) << 23; /* x^0; x^8 */
    for (; size_b; size_b >>= 1, square = multiply(square, square))
        if (size_b & 1)
            shift = multiply(shift, square);
    return multiply(shift, a) ^ b;
}

static void print_hex(const unsigned char *bytes, unsigned size, char *out)
{
    for (unsigned i = 0; i < size; i++)
        sprintf(out + 2 * i, "%02x", bytes[i]);
}

static void end_hex(EVP_MD_CTX *m, char *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(m, digest, &size);
    print_hex(digest, size, out);
}

void hash_sha256(const void *bytes, size_t size, char out[SHA256_HEX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_Digest(bytes, size, digest, &n, EVP_sha256(), NULL);
    print_hex(digest, n, out);
}

void hash_sha1_text(const char *text, char out[SHA1_HEX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(text, strlen(text), digest, &size, EVP_sha1(), NULL);
    print_hex(digest, size, out);
}

struct digests {
    EVP_MD_CTX *md5, *sha1, *sha256;
};

static EVP_MD_CTX *digest_new(const EVP_MD *kind, bool wanted)
{
    EVP_MD_CTX *m = wanted ? EVP_MD_CTX_new() : NULL;
    if (m)
        EVP_DigestInit_ex(m, kind, NULL);
    return m;
}

static void digests_add(struct digests *d, const void *bytes, size_t size)
{
    EVP_MD_CTX *all[] = {d->md5, d->sha1, d->sha256};
    for (int i = 0; i < 3; i++)
        if (all[i])
            EVP_DigestUpdate(all[i], bytes, size);
}

static bool read_through(int fd, uint64_t offset, uint64_t size, struct digests *d, uint32_t *crc)
{
    enum { ROOM = 256 << 10 };
    unsigned char *buffer = malloc(ROOM);
    while (buffer && size) {
        ssize_t n = pread(fd, buffer, size < ROOM ? (size_t)size : ROOM, (off_t)offset);
        if (n <= 0)
            break;
        digests_add(d, buffer, (size_t)n);
        *crc = hash_crc32c(*crc, buffer, (size_t)n);
        offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
    free(buffer);
    return !size;
}

bool hash_file(int fd, uint64_t offset, uint64_t size, const struct file_hashes *want)
{
    struct digests d = {digest_new(EVP_md5(), want->md5), digest_new(EVP_sha1(), want->git_blob),
                        digest_new(EVP_sha256(), want->sha256)};
    char head[40];
    int head_size = snprintf(head, sizeof head, "blob %llu", (unsigned long long)size);
    if (d.sha1)
        EVP_DigestUpdate(d.sha1, head, (size_t)head_size + 1); /* with its NUL */
    uint32_t crc = 0;
    bool ok = read_through(fd, offset, size, &d, &crc);
    if (want->crc32c)
        *want->crc32c = crc;
    if (d.md5)
        EVP_DigestFinal_ex(d.md5, want->md5, NULL);
    if (d.sha1)
        end_hex(d.sha1, want->git_blob);
    if (d.sha256)
        end_hex(d.sha256, want->sha256);
    EVP_MD_CTX_free(d.md5);
    EVP_MD_CTX_free(d.sha1);
    EVP_MD_CTX_free(d.sha256);
    return ok;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *bytes, size_t size, char *out)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < size; i += 3) {
        size_t n = size - i < 3 ? size - i : 3;
        uint32_t v = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0);
        for (size_t k = 0; k < 4; k++)
            *out++ = k <= n ? alphabet[v >> (18 - 6 * k) & 63] : '=';
    }
    *out = 0;
}

void base64_crc32c(uint32_t crc, char out[BASE64_ROOM(4)])
{
    unsigned char big_endian[] = {(unsigned char)(crc >> 24), (unsigned char)(crc >> 16),
                                  (unsigned char)(crc >> 8), (unsigned char)crc};
    base64_encode(big_endian, sizeof big_endian, out);
}

static int digit(char c)
{
    const char *at = c ? strchr(alphabet, c == '-' ? '+' : c == '_' ? '/' : c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

long base64_decode(const char *text, size_t size, unsigned char *out, size_t room)
{
    size_t used = 0;
    uint32_t held = 0;
    int bits = 0;
    while (size && text[size - 1] == '=')
        size--;
    for (size_t i = 0; i < size; i++) {
        int d = digit(text[i]);
        if (d < 0)
            return -1;
        held = held << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (used == room)
                return -1;
            out[used++] = (unsigned char)(held >> bits);
        }
    }
    return (long)used;
}
