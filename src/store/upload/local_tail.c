#include "store/upload/local_tail.h"

#include "base/crc32c.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { BOOT_ID = 40, READ_BYTES = 1 << 20 };

/* As they stand in the file; it never leaves the machine. */
struct head {
    char magic[16];
    uint64_t size, part_size;
    char nonce[LOCAL_NONCE + 7];
    char boot[BOOT_ID];
};

struct mark {
    uint32_t there, crc32c;
};

static const char magic[16] = "ferry parts 1";

bool local_nonce(char out[LOCAL_NONCE], struct err *e)
{
    unsigned char bytes[(LOCAL_NONCE - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return err_errno(e, "random numbers");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

/* "" when the kernel does not say: then every part counts as another boot's. */
static void read_boot(char out[BOOT_ID])
{
    memset(out, 0, BOOT_ID);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (read(fd, out, BOOT_ID - 1) < 0)
        *out = 0;
    close(fd);
}

uint64_t local_tail_bytes(const struct upload *u)
{
    return sizeof(struct head) + (uint64_t)upload_count(u) * sizeof(struct mark);
}

static bool write_head(struct part_file *f, const struct upload *u, const char *nonce, struct err *e)
{
    struct head h = {.size = u->spec.size, .part_size = u->spec.part_size};
    memcpy(h.magic, magic, sizeof h.magic);
    memcpy(h.nonce, nonce, LOCAL_NONCE);
    read_boot(h.boot);
    return part_file_write(f, &h, sizeof h, u->spec.size, e);
}

bool local_tail_write(struct part_file *f, const struct upload *u, const char *nonce, struct err *e)
{
    /* the marks read as zeros: the file was empty */
    return part_file_reserve(f, u->spec.size + local_tail_bytes(u), e) && write_head(f, u, nonce, e);
}

bool local_tail_mark(struct part_file *f, const struct upload *u, int part, uint32_t crc32c, struct err *e)
{
    const struct mark m = {.there = 1, .crc32c = crc32c};
    uint64_t offset = u->spec.size + sizeof(struct head) + (uint64_t)part * sizeof m;
    return part_file_write(f, &m, sizeof m, offset, e);
}

bool local_crc(struct part_file *f, uint64_t offset, uint64_t size, uint32_t *crc32c_out, struct err *e)
{
    unsigned char *bytes = malloc(READ_BYTES);
    uint32_t crc = 0;
    bool ok = true;
    if (!bytes)
        return err_set(e, ERR_MEMORY, "%s: no memory to read it", f->target);
    while (ok && size > 0) {
        size_t n = size < READ_BYTES ? (size_t)size : READ_BYTES;
        ok = part_file_read(f, bytes, n, offset, e);
        crc = ok ? crc32c(crc, bytes, n) : crc;
        offset += n;
        size -= n;
    }
    free(bytes);
    *crc32c_out = crc;
    return ok;
}

static bool check_part(struct part_file *f, const struct upload *u, int part, uint32_t expected)
{
    uint32_t crc = 0;
    return local_crc(f, (uint64_t)part * u->spec.part_size, upload_part_bytes(u, part), &crc, NULL) &&
           crc == expected;
}

static bool take_marks(struct part_file *f, struct upload *u, struct mark *marks, bool trusted, struct err *e)
{
    for (int i = 0; i < upload_count(u); i++) {
        if (marks[i].there != 1 || !(trusted || check_part(f, u, i, marks[i].crc32c)))
            marks[i] = (struct mark){0};
        else if (!upload_mark_part(u, i, marks[i].crc32c, e))
            return false;
    }
    return true;
}

static bool load_marks(struct part_file *f, struct upload *u, const char *nonce, bool trusted, struct err *e)
{
    size_t bytes = (size_t)upload_count(u) * sizeof(struct mark);
    uint64_t offset = u->spec.size + sizeof(struct head);
    struct mark *marks = malloc(bytes ? bytes : 1);
    if (!marks)
        return err_set(e, ERR_MEMORY, "%s: no memory for its list of parts", f->target);
    bool ok = part_file_read(f, marks, bytes, offset, e) && take_marks(f, u, marks, trusted, e);
    if (ok && !trusted) /* from now on it is this boot's */
        ok = part_file_write(f, marks, bytes, offset, e) && write_head(f, u, nonce, e);
    free(marks);
    return ok;
}

bool local_tail_load(struct part_file *f, struct upload *u, const char *nonce, struct err *e)
{
    struct head h;
    char boot[BOOT_ID];
    if (!part_file_read(f, &h, sizeof h, u->spec.size, NULL) || memcmp(h.magic, magic, sizeof magic) != 0 ||
        h.size != u->spec.size || h.part_size != u->spec.part_size ||
        memcmp(h.nonce, nonce, LOCAL_NONCE) != 0)
        return err_set(e, ERR_NOT_FOUND, "%s: what an earlier run wrote is gone", f->target);
    read_boot(boot);
    return load_marks(f, u, nonce, *boot && memcmp(boot, h.boot, BOOT_ID) == 0, e);
}
