#include "scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ARENA_BYTES = 256 << 20 };

int scratch_setup(void **state)
{
    struct scratch *s = calloc(1, sizeof *s);
    const char *tmp = getenv("TMPDIR");
    const struct uri here = {.scheme = URI_LOCAL, .path = "."};
    struct err e = {0};
    snprintf(s->path, sizeof s->path, "%.200s/ferry-store-XXXXXX", tmp ? tmp : "/tmp");
    *state = s;
    if (!mkdtemp(s->path))
        return -1;
    s->arena = arena_new(ARENA_BYTES);
    s->stores = stores_new(0, &e);
    s->local = s->stores ? stores_open(s->stores, &here, &e) : NULL;
    if (!s->local)
        print_error("%s\n", e.text);
    return s->arena && s->local ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

int scratch_teardown(void **state)
{
    struct scratch *s = *state;
    int rc = nftw(s->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    stores_free(s->stores);
    arena_free(s->arena);
    free(s);
    return rc;
}

char *scratch_name(struct scratch *s, const char *leaf)
{
    char *name = arena_printf(s->arena, "%s/%s", s->path, leaf);
    assert_non_null(name);
    return name;
}

static void make_folders(const char *name)
{
    char path[2000];
    snprintf(path, sizeof path, "%s", name);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
}

char *scratch_write(struct scratch *s, const char *leaf, const void *bytes, size_t size)
{
    char *name = scratch_name(s, leaf);
    make_folders(name);
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    return name;
}

char *scratch_read(struct scratch *s, const char *name, size_t *size)
{
    struct stat st;
    int fd = open(name, O_RDONLY);
    if (fd < 0)
        fail_msg("%s: cannot be opened", name);
    assert_int_equal(fstat(fd, &st), 0);
    char *bytes = arena_alloc(s->arena, (size_t)st.st_size + 1, 1);
    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
    close(fd);
    *size = (size_t)st.st_size;
    return bytes;
}

int scratch_count(const char *folder)
{
    DIR *dir = opendir(folder);
    int n = -2; /* . and .. */
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

unsigned char *scratch_bytes(struct scratch *s, size_t size)
{
    unsigned char *bytes = arena_alloc(s->arena, size, 1);
    uint32_t x = 12345;
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        bytes[i] = (unsigned char)(x >> 24);
    }
    return bytes;
}

struct gathered {
    struct scratch *s;
    char *text;
    size_t skip;
};

static bool gather(void *arg, const struct entry *entry, struct err *e)
{
    struct gathered *g = arg;
    (void)e;
    if (entry->folder)
        assert_int_equal(entry->name[strlen(entry->name) - 1], '/');
    assert_non_null(entry->updated);
    const char *name = entry->name;
    if (g->skip)
        name += g->skip;
    g->text = arena_printf(g->s->arena, "%s%s ", g->text, name);
    return true;
}

char *scratch_list(struct scratch *s, struct store *store, const char *prefix, enum store_depth depth)
{
    struct gathered g = {s, arena_strndup(s->arena, "", 0), 0};
    struct err e = {0};
    if (strncmp(prefix, s->path, strlen(s->path)) == 0)
        g.skip = strlen(s->path) + 1;
    if (!store_list(store, prefix, depth, gather, &g, &e))
        g.text = arena_printf(s->arena, "%s!%s", g.text, e.text);
    return g.text;
}
