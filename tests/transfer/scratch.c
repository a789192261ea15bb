#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(1);
}

const char *scratch_path(const struct scratch *s, const char *name)
{
    static _Thread_local char paths[8][1400];
    static _Thread_local unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", s->folder, name);
    return path;
}

void scratch_make(struct scratch *s)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(s->folder, sizeof s->folder, "%.150s/ferry-transfer-XXXXXX", tmp ? tmp : "/tmp");
    need(mkdtemp(s->folder) != NULL, s->folder);
    need(setenv("XDG_STATE_HOME", scratch_path(s, "state"), 1) == 0, "setenv");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

void scratch_delete(const struct scratch *s, const char *name)
{
    nftw(scratch_path(s, name), remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void scratch_remove(struct scratch *s)
{
    scratch_delete(s, "");
}

void scratch_noise(void *bytes, size_t size, unsigned seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    unsigned char *out = bytes;
    for (size_t i = 0; i < size; i += 8) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        memcpy(out + i, &x, size - i < 8 ? size - i : 8);
    }
}

void scratch_write_bytes(const struct scratch *s, const char *name, const void *bytes, size_t size)
{
    char path[1400];
    snprintf(path, sizeof path, "%s", scratch_path(s, name));
    for (char *slash = strchr(path + strlen(s->folder) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        need(mkdir(path, 0700) == 0 || errno == EEXIST, path);
        *slash = '/';
    }
    FILE *f = fopen(path, "wb");
    need(f != NULL, path);
    need(fwrite(bytes, 1, size, f) == size && fclose(f) == 0, path);
}

void scratch_write(const struct scratch *s, const char *name, size_t size, unsigned seed)
{
    unsigned char *bytes = malloc(size + 8);
    need(bytes != NULL, "memory");
    scratch_noise(bytes, size, seed);
    scratch_write_bytes(s, name, bytes, size);
    free(bytes);
}

static const void *map(const char *path, size_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    const void *bytes = NULL;
    if (fd < 0)
        return NULL;
    need(fstat(fd, &st) == 0, path);
    *size = (size_t)st.st_size;
    bytes = *size ? mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0) : "";
    close(fd);
    return bytes == MAP_FAILED ? NULL : bytes;
}

static void unmap(const void *bytes, size_t size)
{
    if (bytes && size)
        munmap((void *)(uintptr_t)bytes, size);
}

bool scratch_same(const struct scratch *s, const char *a, const char *b)
{
    size_t a_size = 0, b_size = 0;
    const void *a_bytes = map(scratch_path(s, a), &a_size), *b_bytes = map(scratch_path(s, b), &b_size);
    bool same = a_bytes && b_bytes && a_size == b_size && memcmp(a_bytes, b_bytes, a_size) == 0;
    unmap(a_bytes, a_size);
    unmap(b_bytes, b_size);
    return same;
}

bool scratch_exists(const struct scratch *s, const char *name)
{
    return access(scratch_path(s, name), F_OK) == 0;
}

static _Thread_local int counted;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)path, (void)st, (void)at;
    counted += type == FTW_F;
    return 0;
}

int scratch_count(const struct scratch *s, const char *name)
{
    counted = 0;
    nftw(scratch_path(s, name), count_one, 16, FTW_PHYS);
    return counted;
}
