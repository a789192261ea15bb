#include "run.h"

#include "base/crc32c.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void need(bool ok, const struct err *e)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", e->text);
    exit(1);
}

void run_open(struct run *r)
{
    struct err e = {0};
    struct uri here = {.scheme = URI_LOCAL, .path = "", .folder = true};
    *r = (struct run){.arena = arena_new(64 << 20)};
    r->stores = stores_new(0, &e);
    need(r->stores != NULL, &e);
    r->store = stores_open(r->stores, &here, &e);
    need(r->store != NULL, &e);
}

void run_close(struct run *r)
{
    transfer_free(r->transfer);
    stores_free(r->stores);
    arena_free(r->arena);
    *r = (struct run){0};
}

static void need_transfer(struct run *r)
{
    struct err e = {0};
    if (!r->transfer)
        r->transfer = transfer_new(&r->options, &e);
    need(r->transfer != NULL, &e);
}

void run_add(struct run *r, const struct scratch *s, const char *from, const char *to,
             void (*change)(struct entry *e))
{
    struct err e = {0};
    struct transfer_job job = {.from = r->store, .to = r->store, .target = scratch_path(s, to)};
    need_transfer(r);
    need(store_stat(r->store, scratch_path(s, from), r->arena, &job.source, &e), &e);
    if (change)
        change(&job.source);
    need(transfer_add(r->transfer, &job, &e), &e);
}

struct folder {
    struct run *r;
    size_t skip;
    const char *to;
};

static bool add_one(void *arg, const struct entry *entry, struct err *e)
{
    const struct folder *f = arg;
    char target[1400];
    snprintf(target, sizeof target, "%s%s", f->to, entry->name + f->skip);
    struct transfer_job job = {.from = f->r->store, .to = f->r->store, .source = *entry, .target = target};
    return transfer_add(f->r->transfer, &job, e);
}

void run_add_folder(struct run *r, const struct scratch *s, const char *from, const char *to)
{
    struct err e = {0};
    const char *prefix = scratch_path(s, from);
    struct folder f = {r, strlen(prefix), scratch_path(s, to)};
    need_transfer(r);
    need(store_list(r->store, prefix, STORE_DEEP, add_one, &f, &e), &e);
}

bool run_go(struct run *r, struct err *e)
{
    need_transfer(r);
    return transfer_run(r->transfer, e);
}

const struct transfer_file *run_file(const struct run *r, const struct scratch *s, const char *to)
{
    for (int i = 0; i < transfer_count(r->transfer); i++)
        if (strcmp(transfer_at(r->transfer, i)->target, scratch_path(s, to)) == 0)
            return transfer_at(r->transfer, i);
    need(false, &(struct err){.text = "no such file in the transfer"});
    return NULL;
}

uint64_t run_moved(const struct run *r)
{
    struct transfer_progress p;
    transfer_progress(r->transfer, &p);
    return p.bytes_moved;
}

void hash_file(const struct scratch *s, const char *name, char sha256[SHA256_HEX], char git[GIT_BLOB_HEX],
               uint32_t *crc)
{
    struct file_map m;
    struct err e = {0};
    struct sha256 h;
    need(file_map(&m, scratch_path(s, name), &e), &e);
    sha256_start(&h);
    sha256_add(&h, m.data, m.size);
    sha256_end(&h, sha256);
    struct git_blob *b = git_blob_start(m.size);
    git_blob_add(b, m.data, m.size);
    git_blob_end(b, git);
    *crc = crc32c(0, m.data, m.size);
    file_unmap(&m);
}
