#include "target/elf/ld_cache.h"

#include <string.h>

static const char magic[] = "glibc-ld.so.cache1.1", old_magic[] = "ld.so-1.7.0";

enum {
    HEADER = 48, /* magic and version, then count, bytes of strings, flags, extensions, 12 spare bytes */
    COUNT_AT = 20,
    OLD_COUNT_AT = 12, /* behind 11 letters */
    OLD_HEADER = 16,
    OLD_ENTRY = 12,
    ENTRY = 24,         /* kind, name, path (offsets from the header), spare, features of the CPU (8 bytes) */
    KIND_X86_64 = 0x303 /* for glibc 2, and for the 64-bit ABI of x86 */
};

static uint32_t word(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* How long the old table is; 0: there is none. */
static size_t old_table(const unsigned char *bytes, size_t size)
{
    if (size < OLD_HEADER || memcmp(bytes, old_magic, sizeof old_magic - 1) != 0)
        return 0;
    size_t n = OLD_HEADER + (size_t)word(bytes + OLD_COUNT_AT) * OLD_ENTRY;
    return (n + 7) / 8 * 8;
}

bool ld_cache_open(struct ld_cache *c, const void *bytes, size_t size, struct err *e)
{
    const unsigned char *p = bytes;
    size_t skip = size ? old_table(p, size) : 0;
    if (skip > size || size - skip < HEADER || memcmp(p + skip, magic, sizeof magic - 1) != 0)
        return err_set(e, ERR_CORRUPT, "not a cache of ld.so that ferry knows");
    *c = (struct ld_cache){.bytes = p + skip, .size = size - skip, .count = word(p + skip + COUNT_AT)};
    if (c->count > (c->size - HEADER) / ENTRY)
        return err_set(e, ERR_CORRUPT, "a cache of ld.so that ends before its %u entries do", c->count);
    return true;
}

/* NULL: it lies outside. */
static const char *text_at(const struct ld_cache *c, uint32_t offset)
{
    bool whole = offset < c->size && memchr(c->bytes + offset, 0, c->size - offset);
    return whole ? (const char *)c->bytes + offset : NULL;
}

const char *ld_cache_find(const struct ld_cache *c, const char *name, uint32_t *from)
{
    static const unsigned char any_cpu[8];
    while (*from < c->count) {
        const unsigned char *entry = c->bytes + HEADER + (size_t)(*from)++ * ENTRY;
        if (word(entry) != KIND_X86_64 || memcmp(entry + 16, any_cpu, sizeof any_cpu) != 0)
            continue;
        const char *key = text_at(c, word(entry + 4)), *path = text_at(c, word(entry + 8));
        if (key && path && strcmp(key, name) == 0)
            return path;
    }
    return NULL;
}
