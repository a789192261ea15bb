#include "hub_repo.h"

#include "base/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_REPOS = 64 };
static const int64_t keep_ns = 2000000000; /* a folder of 20,000 files is not read again for each of them */
static const char settings_file[] = ".emulator.json";

struct hub {
    char folder[256];
    uint64_t lfs_bytes;
    pthread_mutex_t mutex;
    struct repo *repos[MAX_REPOS];
    int count;
};

struct hub *hub_new(const char *folder, uint64_t lfs_bytes)
{
    struct hub *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    snprintf(h->folder, sizeof h->folder, "%s", folder);
    h->lfs_bytes = lfs_bytes;
    pthread_mutex_init(&h->mutex, NULL);
    return h;
}

static void files_free(struct repo_file *files, int count)
{
    for (int i = 0; i < count; i++)
        free(files[i].path);
    free(files);
}

void hub_free(struct hub *h)
{
    if (!h)
        return;
    for (int i = 0; i < h->count; i++) {
        files_free(h->repos[i]->files, h->repos[i]->count);
        json_decref(h->repos[i]->settings);
        free(h->repos[i]->name);
        free(h->repos[i]);
    }
    pthread_mutex_destroy(&h->mutex);
    free(h);
}

void hub_lock(struct hub *h)
{
    pthread_mutex_lock(&h->mutex);
}

void hub_unlock(struct hub *h)
{
    pthread_mutex_unlock(&h->mutex);
}

/* ---- reading a folder ---- */

static bool add_file(struct repo *r, const char *path, const struct stat *st)
{
    if (r->count == r->room) {
        r->room = r->room ? 2 * r->room : 64;
        r->files = realloc(r->files, (size_t)r->room * sizeof *r->files);
        if (!r->files)
            abort();
    }
    r->files[r->count++] = (struct repo_file){
        .path = strdup(path),
        .size = (uint64_t)st->st_size,
        .changed_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
    };
    return true;
}

/* inner: below the repository's folder, "" or ending in a slash. */
static void scan(struct repo *r, const char *root, const char *inner)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", root, inner);
    DIR *d = opendir(path);
    for (struct dirent *f; d && (f = readdir(d));) {
        struct stat st;
        char name[700];
        if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, "..") || !strcmp(f->d_name, settings_file))
            continue;
        snprintf(name, sizeof name, "%s%s", inner, f->d_name);
        snprintf(path, sizeof path, "%s/%s", root, name);
        if (stat(path, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            strncat(name, "/", sizeof name - strlen(name) - 1);
            scan(r, root, name);
        } else {
            add_file(r, name, &st);
        }
    }
    if (d)
        closedir(d);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct repo_file *)a)->path, ((const struct repo_file *)b)->path);
}

static const struct repo_file *find_in(const struct repo_file *files, int count, const char *path)
{
    struct repo_file key = {.path = (char *)(uintptr_t)path};
    return files ? bsearch(&key, files, (size_t)count, sizeof *files, by_path) : NULL;
}

const struct repo_file *repo_file_find(const struct repo *r, const char *path)
{
    return find_in(r->files, r->count, path);
}

void repo_file_path(const struct hub *h, const struct repo *r, const struct repo_file *f, char *out,
                    size_t room)
{
    snprintf(out, room, "%s/%s/%s", h->folder, r->name, f->path);
}

static void hash_one(const struct hub *h, const struct repo *r, struct repo_file *f, uint64_t lfs_bytes)
{
    char path[1200];
    repo_file_path(h, r, f, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct file_hashes want = {.git_blob = f->blob, .sha256 = f->size >= lfs_bytes ? f->sha256 : NULL};
    if (fd < 0 || !hash_file(fd, 0, f->size, &want))
        fprintf(stderr, "emulator: cannot read %s\n", path);
    if (fd >= 0)
        close(fd);
}

static void name_commit(struct repo *r)
{
    char line[900], so_far[SHA1_HEX] = "";
    for (int i = 0; i < r->count; i++) {
        snprintf(line, sizeof line, "%s %s %s", so_far, r->files[i].blob, r->files[i].path);
        hash_sha1_text(line, so_far);
    }
    if (!r->count)
        hash_sha1_text("", so_far);
    memcpy(r->commit, so_far, sizeof so_far);
}

static void read_repo(const struct hub *h, struct repo *r, const char *root)
{
    struct repo_file *old = r->files;
    int old_count = r->count;
    char path[1200];
    r->files = NULL;
    r->count = r->room = 0;
    json_decref(r->settings);
    snprintf(path, sizeof path, "%s/%s", root, settings_file);
    r->settings = json_load_file(path, 0, NULL);
    const json_t *lfs = json_object_get(r->settings, "lfs_bytes");
    scan(r, root, "");
    if (r->count)
        qsort(r->files, (size_t)r->count, sizeof *r->files, by_path);
    for (int i = 0; i < r->count; i++) {
        struct repo_file *f = &r->files[i];
        const struct repo_file *known = find_in(old, old_count, f->path);
        if (known && known->size == f->size && known->changed_ns == f->changed_ns) {
            memcpy(f->blob, known->blob, sizeof f->blob);
            memcpy(f->sha256, known->sha256, sizeof f->sha256);
        } else {
            hash_one(h, r, f, lfs ? (uint64_t)json_integer_value(lfs) : h->lfs_bytes);
        }
    }
    files_free(old, old_count);
    name_commit(r);
    r->read_ns = (int64_t)clock_ns();
}

static struct repo *known_repo(struct hub *h, const char *name)
{
    for (int i = 0; i < h->count; i++)
        if (!strcmp(h->repos[i]->name, name))
            return h->repos[i];
    return NULL;
}

struct repo *repo_find_locked(struct hub *h, const char *owner, const char *name, bool fresh)
{
    char full[300], root[600];
    struct stat st;
    if (*owner == '.' || *name == '.')
        return NULL;
    snprintf(full, sizeof full, "%s/%s", owner, name);
    snprintf(root, sizeof root, "%s/%s", h->folder, full);
    if (stat(root, &st) < 0 || !S_ISDIR(st.st_mode))
        return NULL;
    struct repo *r = known_repo(h, full);
    if (!r) {
        if (h->count == MAX_REPOS || !(r = calloc(1, sizeof *r)))
            return NULL;
        r->name = strdup(full);
        h->repos[h->count++] = r;
    }
    if (fresh || (int64_t)clock_ns() - r->read_ns > keep_ns || !r->commit[0])
        read_repo(h, r, root);
    return r;
}
