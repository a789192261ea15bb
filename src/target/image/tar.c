#include "target/image/tar.h"

#include <stdio.h>
#include <string.h>

/* IEEE Std 1003.1-1988, section 10.1.1. Numbers are octal digits with a NUL behind. */
struct head {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[6], version[2], owner[32], group[32], major[8], minor[8], prefix[155], spare[12];
};
_Static_assert(sizeof(struct head) == TAR_BLOCK, "ustar");

#define MOST_BYTES ((uint64_t)1 << 33) /* what 11 octal digits cannot say */

static void octal(char *field, size_t room, uint64_t n)
{
    field[--room] = 0;
    for (; room > 0; n /= 8)
        field[--room] = (char)('0' + n % 8);
}

/* The name in its 100 bytes, or the folders before some slash in the prefix and the rest in the name. */
static bool put_path(struct head *h, const char *path, bool folder)
{
    char full[sizeof h->prefix + sizeof h->name + 2];
    int n = snprintf(full, sizeof full, "%s%s", path, folder ? "/" : "");
    if (n < 0 || (size_t)n >= sizeof full)
        return false;
    size_t size = (size_t)n;
    if (size <= sizeof h->name) {
        memcpy(h->name, full, size);
        return true;
    }
    for (size_t cut = size - sizeof h->name - 1; cut <= sizeof h->prefix && cut + 1 < size; cut++) {
        if (full[cut] != '/' || cut == 0)
            continue;
        memcpy(h->prefix, full, cut);
        memcpy(h->name, full + cut + 1, size - cut - 1);
        return true;
    }
    return false;
}

/* The sum of all bytes, those of the checksum itself counted as spaces. */
static void put_checksum(struct head *h)
{
    const unsigned char *bytes = (const unsigned char *)h;
    unsigned sum = 0;
    memset(h->checksum, ' ', sizeof h->checksum);
    for (size_t i = 0; i < sizeof *h; i++)
        sum += bytes[i];
    octal(h->checksum, sizeof h->checksum - 1, sum); /* six digits, NUL, space */
}

bool tar_head(unsigned char out[TAR_BLOCK], const struct tar_member *m, struct err *e)
{
    struct head h = {.type = m->folder ? '5' : '0', .magic = "ustar", .version = {'0', '0'}};
    if (!put_path(&h, m->path, m->folder))
        return err_set(e, ERR_LIMIT, "%s: its path is too long for a tar archive", m->path);
    if (m->size >= MOST_BYTES)
        return err_set(e, ERR_LIMIT, "%s: 8 GiB or more, too long for a tar archive", m->path);
    octal(h.mode, sizeof h.mode, m->mode);
    octal(h.uid, sizeof h.uid, 0);
    octal(h.gid, sizeof h.gid, 0);
    octal(h.size, sizeof h.size, m->folder ? 0 : m->size);
    octal(h.mtime, sizeof h.mtime, 0);
    octal(h.major, sizeof h.major, 0);
    octal(h.minor, sizeof h.minor, 0);
    put_checksum(&h);
    memcpy(out, &h, sizeof h);
    return true;
}
