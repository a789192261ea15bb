/* A repository's listing. No accepted name may lead out of a folder. */
#include "cloud/hub.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(64 << 20);
    struct hub_repo r;
    struct err e = {0};
    if (!hub_parse((const char *)data, size, a, &r, &e))
        check(e.kind != ERR_NONE && e.text[0] && !strchr(e.text, '\n'));
    else
        check(strlen(r.commit) == 40);
    for (int i = 0; e.kind == ERR_NONE && i < r.count; i++) {
        const struct hub_file *f = &r.files[i];
        check(f->path[0] && f->path[0] != '/' && !strstr(f->path, "//") && strcmp(f->path, "..") != 0);
        check(strncmp(f->path, "../", 3) != 0 && !strstr(f->path, "/../") && !strchr(f->path, '\n'));
        check(!i || strcmp(r.files[i - 1].path, f->path) < 0);
        check(f->sha256 ? strlen(f->sha256) == 64 && !f->git_blob : strlen(f->git_blob) == 40);
    }
    arena_free(a);
    return 0;
}
