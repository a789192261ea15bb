#include "staged.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "store/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NO_SHA "0000000000000000000000000000000000000000000000000000000000000000"

static const char *const files[] = {"config.json",
                                    "generation_config.json",
                                    "merges.txt",
                                    SHARD_1,
                                    SHARD_2,
                                    SHARD_3,
                                    "model.safetensors.index.json",
                                    "preprocessor_config.json",
                                    "tokenizer_config.json",
                                    "vocab.json"};
enum { FILES = sizeof files / sizeof *files };

static const unsigned char *read_tiny(struct scratch *s, const char *name, size_t *size)
{
    char path[300];
    snprintf(path, sizeof path, TINY "/%s", name);
    return (const unsigned char *)scratch_read(s, path, size);
}

static void describe(struct scratch *s, struct manifest_file *f, const char *name, const unsigned char *bytes,
                     size_t size, uint32_t range_bytes)
{
    *f = (struct manifest_file){
        .name = name, .size = size, .sha256 = NO_SHA, .crc32c = crc32c(0, bytes, size)};
    f->ranges = arena_alloc(s->arena, size / range_bytes + 1, sizeof *f->ranges);
    assert_non_null(f->ranges);
    for (size_t at = 0; at < size; at += range_bytes)
        f->ranges[f->range_count++] =
            crc32c(0, bytes + at, size - at < range_bytes ? size - at : range_bytes);
}

typedef void put_fn(struct scratch *s, const char *name, const void *bytes, size_t size, void *arg);

/* Each file through put, the manifest last. */
static void stage(struct scratch *s, uint32_t range_bytes, put_fn *put, void *arg)
{
    struct manifest_file list[FILES];
    struct err e = {0};
    for (int i = 0; i < FILES; i++) {
        size_t size;
        const unsigned char *bytes = read_tiny(s, files[i], &size);
        if (range_bytes)
            describe(s, &list[i], files[i], bytes, size, range_bytes);
        put(s, files[i], bytes, size, arg);
    }
    if (!range_bytes)
        return;
    const struct manifest m = {.ferry = "0",
                               .source = "hf://owner/name",
                               .created = "2026-11-23T00:00:00Z",
                               .range_bytes = range_bytes,
                               .files = list,
                               .count = FILES};
    char *text = manifest_print(&m, &e);
    assert_non_null(text);
    put(s, MANIFEST_NAME, text, strlen(text), arg);
    free(text);
}

static void put_in_folder(struct scratch *s, const char *name, const void *bytes, size_t size, void *arg)
{
    scratch_write(s, arena_printf(s->arena, "%s/%s", (const char *)arg, name), bytes, size);
}

char *staged_folder(struct scratch *s, const char *leaf, uint32_t range_bytes)
{
    char *folder = scratch_name(s, leaf), *copy = arena_strndup(s->arena, leaf, strlen(leaf));
    mkdir(folder, 0777);
    stage(s, range_bytes, put_in_folder, copy);
    return arena_printf(s->arena, "%s/", folder);
}

static void put_in_bucket(struct scratch *s, const char *name, const void *bytes, size_t size, void *arg)
{
    struct err e = {0};
    const char *whole = arena_printf(s->arena, "%s%s", (const char *)arg, name);
    if (!store_put(remote_bucket(s), whole, bytes, size, STORAGE_ANY_GENERATION, s->arena, NULL, &e))
        fail_msg("%s", e.text);
}

void staged_bucket(struct scratch *s, const char *prefix, uint32_t range_bytes)
{
    char *copy = arena_strndup(s->arena, prefix, strlen(prefix));
    stage(s, range_bytes, put_in_bucket, copy);
}

void load_new(struct load *l, struct store *store, const char *prefix, const char *where, int connections)
{
    struct err e = {0};
    *l = (struct load){.arrival = arrival_new(clock_ms(), &e)};
    assert_non_null(l->arrival);
    const struct loader_options o = {store, prefix, where, l->arrival, connections};
    assert_non_null(l->loader = loader_new(&o, &e));
}

void load_free(struct load *l)
{
    if (l->open)
        model_close(&l->model);
    loader_free(l->loader);
    arrival_free(l->arrival);
}

void load_open(struct load *l)
{
    struct err e = {0};
    l->open = loader_open(l->loader, &l->model, &e);
    if (!l->open)
        fail_msg("%s", e.text);
}

void load_all(struct load *l)
{
    struct err e = {0};
    load_open(l);
    if (!loader_run(l->loader, &e))
        fail_msg("%s", e.text);
}

void expect_tiny(const struct load *l)
{
    struct model whole;
    struct err e = {0};
    if (!model_open(&whole, TINY, FOLDER_MAP, NULL, &e))
        fail_msg("%s", e.text);
    assert_int_equal(l->model.weights->slot_count, whole.weights->slot_count);
    for (size_t i = 0; i < whole.weights->slot_count; i++) {
        const struct tensor *t = l->model.weights->slots[i].tensor, *w = whole.weights->slots[i].tensor;
        assert_int_equal(t->dtype, w->dtype);
        if (memcmp(t->data, w->data, tensor_bytes(w->dtype, w->rows, w->cols)) != 0)
            fail_msg("%s has other bytes", whole.weights->slots[i].name);
    }
    assert_true(arrival_complete(l->arrival));
    model_close(&whole);
}
