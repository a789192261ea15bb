/* to_memory.c: everything in a bucket into memory, through the store layer, every byte checked by its CRC32C:
 * what a service does when it starts cold.
 *
 *   bench_bucket_to_memory [--connections N] gs://BUCKET/PREFIX
 *
 * Each thread takes the next 8 MiB range and reads it where it belongs. */
#include "base/crc32c.h"
#include "base/err.h"
#include "base/pages.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 4096, PART = 8 << 20 };

struct file {
    struct entry entry;
    struct pages memory;
    uint32_t *crcs; /* of the parts */
    int parts;
};

struct job {
    struct store *store;
    struct arena *arena;
    struct file *files;
    int count;
    atomic_int next; /* parts are numbered through all files */
};

static void die(const struct err *e)
{
    fprintf(stderr, "bench_bucket_to_memory: %s\n", e->text);
    exit(1);
}

static bool add(void *arg, const struct entry *entry, struct err *e)
{
    struct job *j = arg;
    if (j->count == MAX_FILES)
        return err_set(e, ERR_LIMIT, "more than %d files", MAX_FILES);
    struct file *f = &j->files[j->count++];
    f->entry = *entry;
    f->entry.name = arena_strndup(j->arena, entry->name, strlen(entry->name));
    f->parts = (int)((entry->size + PART - 1) / PART);
    f->crcs = calloc((size_t)f->parts + 1, sizeof *f->crcs);
    return pages_alloc(&f->memory, entry->size, e);
}

static uint64_t part_size(const struct file *f, int part)
{
    uint64_t rest = f->entry.size - (uint64_t)part * PART;
    return rest < PART ? rest : PART;
}

static void *reader(void *arg)
{
    struct job *j = arg;
    struct err e = {0};
    for (;;) {
        int part = atomic_fetch_add(&j->next, 1), i = 0;
        while (i < j->count && part >= j->files[i].parts)
            part -= j->files[i++].parts;
        if (i == j->count)
            return NULL;
        struct file *f = &j->files[i];
        unsigned char *to = (unsigned char *)f->memory.data + (uint64_t)part * PART;
        if (!store_read(j->store, &f->entry, (uint64_t)part * PART, part_size(f, part), to, NULL, &e))
            die(&e);
        f->crcs[part] = crc32c(0, to, part_size(f, part));
    }
}

static bool intact(const struct file *f)
{
    uint32_t crc = 0;
    for (int i = 0; i < f->parts; i++)
        crc = crc32c_combine(crc, f->crcs[i], part_size(f, i));
    return f->entry.has_crc32c && crc == f->entry.crc32c;
}

int main(int argc, char **argv)
{
    struct err e = {0};
    struct uri uri;
    int connections = 8;
    if (argc > 2 && !strcmp(argv[1], "--connections"))
        connections = atoi(argv[2]);
    struct job j = {.arena = arena_new(16 << 20), .files = calloc(MAX_FILES, sizeof *j.files)};
    struct stores *stores = stores_new(connections, &e);
    if (connections < 1 || connections > 64 || !j.arena || !j.files || !stores ||
        !uri_parse(&uri, argv[argc - 1], j.arena, &e) || !(j.store = stores_open(stores, &uri, &e)) ||
        !store_list(j.store, uri.path, STORE_DEEP, add, &j, &e))
        die(&e);

    pthread_t threads[64];
    for (int i = 0; i < connections; i++)
        pthread_create(&threads[i], NULL, reader, &j);
    for (int i = 0; i < connections; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < j.count; i++)
        if (!intact(&j.files[i])) {
            fprintf(stderr, "bench_bucket_to_memory: %s: wrong CRC32C\n", j.files[i].entry.name);
            return 1;
        }
    stores_free(stores);
    return 0;
}
