/* to_memory.c: everything in a bucket into memory, through the store layer, every byte checked by its CRC32C:
 * what a service does when it starts cold.
 *
 *   bench_bucket_to_memory [--connections N] [--touched] gs://BUCKET/PREFIX
 *
 * --touched: all memory is touched first, and what it takes from then on is printed, as bench_pull does.
 * Each thread takes the next ranges of 8 MiB, up to eight in one request and fewer towards the end, reads
 * them where they belong and checks each. */
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/pages.h"
#include "store/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MAX_FILES = 4096, PART = 8 << 20, RUN = 8 };

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
    int count, connections;
    pthread_mutex_t mutex; /* guards the rest */
    int left;              /* parts that nobody has taken */
    int file, part;        /* the next one */
};

/* Parts of a file, in one request. */
struct run {
    struct file *file;
    int part, count;
    uint64_t at; /* in the file */
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
    j->left += f->parts;
    return pages_alloc(&f->memory, entry->size, e);
}

static uint64_t part_size(const struct file *f, int part)
{
    uint64_t rest = f->entry.size - (uint64_t)part * PART;
    return rest < PART ? rest : PART;
}

static bool take(struct job *j, struct run *r)
{
    pthread_mutex_lock(&j->mutex);
    while (j->file < j->count && j->part == j->files[j->file].parts)
        j->file++, j->part = 0;
    bool any = j->file < j->count;
    if (any) {
        struct file *f = &j->files[j->file];
        int fair = j->left / j->connections, most = f->parts - j->part;
        int run = fair < 1 ? 1 : fair < RUN ? fair : RUN;
        *r = (struct run){f, j->part, run < most ? run : most, (uint64_t)j->part * PART};
        j->part += r->count;
        j->left -= r->count;
    }
    pthread_mutex_unlock(&j->mutex);
    return any;
}

static bool keep(void *arg, const char *bytes, size_t size, struct err *e)
{
    struct run *r = arg;
    (void)e;
    while (size > 0) {
        size_t part = (size_t)(r->at / PART), rest = (part + 1) * PART - r->at, n = size < rest ? size : rest;
        memcpy((char *)r->file->memory.data + r->at, bytes, n);
        r->file->crcs[part] = crc32c(r->file->crcs[part], bytes, n);
        r->at += n;
        bytes += n;
        size -= n;
    }
    return true;
}

static void *reader(void *arg)
{
    struct job *j = arg;
    struct err e = {0};
    struct run r;
    while (take(j, &r)) {
        uint64_t size = 0;
        for (int i = r.part; i < r.part + r.count; i++)
            size += part_size(r.file, i);
        if (!store_pour(j->store, &r.file->entry, r.at, size, keep, &r, NULL, &e))
            die(&e);
    }
    return NULL;
}

static bool intact(const struct file *f)
{
    uint32_t crc = 0;
    for (int i = 0; i < f->parts; i++)
        crc = crc32c_combine(crc, f->crcs[i], part_size(f, i));
    return f->entry.has_crc32c && crc == f->entry.crc32c;
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

int main(int argc, char **argv)
{
    struct err e = {0};
    struct uri uri;
    int connections = 8;
    bool touched = false;
    for (int i = 1; i + 1 < argc; i++) {
        if (!strcmp(argv[i], "--connections"))
            connections = atoi(argv[i + 1]);
        touched |= !strcmp(argv[i], "--touched");
    }
    struct job j = {.connections = connections,
                    .mutex = PTHREAD_MUTEX_INITIALIZER,
                    .arena = arena_new(16 << 20),
                    .files = calloc(MAX_FILES, sizeof *j.files)};
    struct stores *stores = stores_new(connections, &e);
    if (connections < 1 || connections > 64 || !j.arena || !j.files || !stores ||
        !uri_parse(&uri, argv[argc - 1], j.arena, &e) || !(j.store = stores_open(stores, &uri, &e)) ||
        !store_list(j.store, uri.path, STORE_DEEP, add, &j, &e))
        die(&e);

    for (int i = 0; touched && i < j.count; i++)
        memset(j.files[i].memory.data, 1, j.files[i].entry.size);
    double begun = clock_ms(), cpu = cpu_seconds();
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
    if (touched)
        printf("%.3f s, %.3f CPU s\n", (clock_ms() - begun) * 1e-3, cpu_seconds() - cpu);
    stores_free(stores);
    return 0;
}
