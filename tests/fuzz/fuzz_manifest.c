/* Any bytes as a manifest: what is accepted can be printed, and says the same again. */
#include "store/manifest.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_same(const struct manifest *a, const struct manifest *b)
{
    check(a->count == b->count && a->range_bytes == b->range_bytes && strcmp(a->source, b->source) == 0);
    for (int i = 0; i < a->count; i++) {
        const struct manifest_file *f = &a->files[i], *g = manifest_find(b, f->name);
        check(g && f->size == g->size && f->crc32c == g->crc32c && !f->sha256 == !g->sha256);
        check(!f->sha256 || strcmp(f->sha256, g->sha256) == 0);
        check(f->range_count == g->range_count && f->name[0] != '/');
        check(strncmp(f->name, "../", 3) != 0 && !strstr(f->name, "/../")); /* "a../b" climbs nowhere */
        check(memcmp(f->ranges, g->ranges, (size_t)f->range_count * sizeof *f->ranges) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(64 << 20);
    struct manifest m, again;
    struct err e = {0};
    check(a != NULL);
    if (manifest_parse(&m, (const char *)data, size, a, &e)) {
        char *text = manifest_print(&m, &e);
        check(text && manifest_parse(&again, text, strlen(text), a, &e));
        check_same(&m, &again);
        free(text);
    } else {
        check(e.kind != ERR_NONE && e.text[0]);
    }
    arena_free(a);
    return 0;
}
