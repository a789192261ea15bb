/* The low-level functions are the ones whose state can be read and written; OpenSSL 3 marks them deprecated.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "base/sha.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 };

/* FIPS 180-4, section 5.3.3: from the square roots of the first eight primes. */
static const uint32_t start_words[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                                        0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};

void sha256_start(struct sha256 *s)
{
    *s = (struct sha256){0};
    memcpy(s->words, start_words, sizeof s->words);
}

/* Whole blocks: OpenSSL keeps none of them back. */
static void add_blocks(struct sha256 *s, const unsigned char *bytes, size_t size)
{
    SHA256_CTX c = {0};
    for (int i = 0; i < 8; i++)
        c.h[i] = s->words[i];
    SHA256_Update(&c, bytes, size);
    for (int i = 0; i < 8; i++)
        s->words[i] = c.h[i];
}

void sha256_add(struct sha256 *s, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    size_t held = s->bytes % BLOCK;

    s->bytes += size;
    if (held && size) {
        size_t n = size < BLOCK - held ? size : BLOCK - held;
        memcpy(s->held + held, p, n);
        p += n, size -= n;
        if (held + n < BLOCK)
            return;
        add_blocks(s, s->held, BLOCK);
    }
    size_t whole = size - size % BLOCK;
    if (whole)
        add_blocks(s, p, whole);
    if (size > whole)
        memcpy(s->held, p + whole, size - whole);
}

static void print_hex(const unsigned char *bytes, size_t size, char *hex)
{
    for (size_t i = 0; i < size; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

static void print_words(const struct sha256 *s, char *hex)
{
    for (int i = 0; i < 8; i++)
        snprintf(hex + 8 * i, 9, "%08x", s->words[i]);
}

void sha256_end(const struct sha256 *s, char hex[SHA256_HEX])
{
    struct sha256 last = *s;
    unsigned char padding[BLOCK + 8] = {0x80}; /* one bit, zeros up to 8 bytes before a block's end */
    size_t zeros_end = BLOCK - (s->bytes + 8) % BLOCK;

    for (int i = 0; i < 8; i++)
        padding[zeros_end + (size_t)i] = (unsigned char)(s->bytes * 8 >> (56 - 8 * i));
    sha256_add(&last, padding, zeros_end + 8);
    print_words(&last, hex);
}

bool sha256_save(const struct sha256 *s, char out[SHA256_STATE_TEXT])
{
    if (s->bytes % BLOCK)
        return false;
    int n = snprintf(out, SHA256_STATE_TEXT, "%llu:", (unsigned long long)s->bytes);
    print_words(s, out + n);
    return true;
}

/* Exactly eight hex digits: strtoul would also take signs and spaces. */
static bool parse_word(const char *text, uint32_t *word)
{
    *word = 0;
    for (int i = 0; i < 8; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
        if (!digit)
            return false;
        *word = *word << 4 | (uint32_t)(digit - digits);
    }
    return true;
}

static bool parse_bytes(const char **text, uint64_t *bytes)
{
    const char *p = *text;
    *bytes = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(*bytes, 10u, bytes) ||
            __builtin_add_overflow(*bytes, (uint64_t)(*p - '0'), bytes))
            return false;
    }
    bool some = p != *text && *p == ':';
    *text = p + 1;
    return some && *bytes % BLOCK == 0;
}

bool sha256_load(struct sha256 *s, const char *text)
{
    struct sha256 read = {0};
    if (!parse_bytes(&text, &read.bytes))
        return false;
    for (int i = 0; i < 8; i++, text += 8) {
        if (!parse_word(text, &read.words[i]))
            return false;
    }
    if (*text)
        return false;
    *s = read;
    return true;
}

struct git_blob {
    EVP_MD_CTX *sha1;
};

struct git_blob *git_blob_start(uint64_t size)
{
    char head[32];
    int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)size) + 1; /* with its NUL */
    struct git_blob *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->sha1 = EVP_MD_CTX_new();
    if (b->sha1 && EVP_DigestInit_ex(b->sha1, EVP_sha1(), NULL) && EVP_DigestUpdate(b->sha1, head, (size_t)n))
        return b;
    EVP_MD_CTX_free(b->sha1);
    free(b);
    return NULL;
}

void git_blob_add(struct git_blob *b, const void *bytes, size_t size)
{
    EVP_DigestUpdate(b->sha1, bytes, size);
}

void git_blob_end(struct git_blob *b, char hex[GIT_BLOB_HEX])
{
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    EVP_DigestFinal_ex(b->sha1, digest, NULL);
    print_hex(digest, 20, hex);
    EVP_MD_CTX_free(b->sha1);
    free(b);
}
