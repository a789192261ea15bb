#include "loader/parts/files.h"

#include "base/crc32c.h"
#include "base/sha.h"
#include "base/stop.h"
#include "model/folder.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { READERS = 8, TRIES = 2 };

/* What describes a model. The last is read only when one of the three before it is missing. */
static const char *const names[] = {MANIFEST_NAME,
                                    MODEL_INDEX_FILE,
                                    "config.json",
                                    "generation_config.json",
                                    "preprocessor_config.json",
                                    "vocab.json",
                                    "merges.txt",
                                    "tokenizer_config.json",
                                    "tokenizer.json"};
enum { NAMES = sizeof names / sizeof *names, FIRST_OF_THREE = NAMES - 4 };

/* --- the list ---------------------------------------------------------------------------------------------
 */

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_MEMORY, "no memory for the list of files");
}

static const char *copy_text(struct arena *a, const char *text, bool *ok)
{
    char *copy = text ? arena_strndup(a, text, strlen(text)) : NULL;
    *ok = *ok && (copy || !text);
    return copy;
}

static bool keep_entry(void *arg, const struct entry *entry, struct err *e)
{
    struct files *f = arg;
    bool ok = true;
    if (entry->folder) {
        f->unfinished |= strcmp(entry->name + strlen(f->prefix), MANIFEST_UNFINISHED) == 0;
        return true;
    }
    if (f->count == FILES_MAX)
        return err_set(e, ERR_LIMIT, "%s: more than %d files in one folder", f->where, FILES_MAX);
    struct entry *kept = &f->entries[f->count++];
    *kept = *entry;
    kept->name = copy_text(f->arena, entry->name, &ok);
    kept->sha256 = copy_text(f->arena, entry->sha256, &ok);
    kept->git_blob = copy_text(f->arena, entry->git_blob, &ok);
    kept->updated = "";
    return ok || no_memory(e);
}

static bool list(struct files *f, struct err *e)
{
    f->entries = arena_alloc(f->arena, FILES_MAX, sizeof *f->entries);
    if (!f->entries)
        return no_memory(e);
    return store_list(f->store, f->prefix, STORE_LEVEL, keep_entry, f, e);
}

const char *files_title(const struct files *f, const char *name)
{
    size_t n = strlen(f->where);
    return arena_printf(f->arena, "%s%s%s", f->where, n && f->where[n - 1] == '/' ? "" : "/", name);
}

const struct entry *files_find(const struct files *f, const char *name)
{
    size_t n = strlen(f->prefix);
    for (int i = 0; i < f->count; i++)
        if (strcmp(f->entries[i].name + n, name) == 0)
            return &f->entries[i];
    return NULL;
}

/* --- reading several at once ------------------------------------------------------------------------------
 */

struct reading {
    const struct files *files;
    const struct read_job *jobs;
    int count;
    _Atomic int next;
    pthread_mutex_t mutex; /* guards the rest */
    bool failed;
    struct err why;
};

static void *reader(void *arg)
{
    struct reading *r = arg;
    for (int i; (i = atomic_fetch_add(&r->next, 1)) < r->count;) {
        const struct read_job *j = &r->jobs[i];
        struct err e = {0};
        if (store_read(r->files->store, j->entry, j->offset, j->size, j->into, r->files->stop, &e))
            continue;
        pthread_mutex_lock(&r->mutex);
        if (!r->failed)
            r->why = e;
        r->failed = true;
        pthread_mutex_unlock(&r->mutex);
        atomic_store(&r->next, r->count);
    }
    return NULL;
}

bool files_read(const struct files *f, const struct read_job *jobs, int count, struct err *e)
{
    struct reading r = {.files = f, .jobs = jobs, .count = count};
    pthread_t threads[READERS];
    int started = 0;
    pthread_mutex_init(&r.mutex, NULL);
    while (started < READERS && started + 1 < count &&
           pthread_create(&threads[started], NULL, reader, &r) == 0)
        started++;
    reader(&r); /* this thread works along */
    while (started > 0)
        pthread_join(threads[--started], NULL);
    pthread_mutex_destroy(&r.mutex);
    if (r.failed)
        *e = r.why;
    return !r.failed;
}

/* --- checking ---------------------------------------------------------------------------------------------
 */

static bool differs(struct err *e, const char *what, const char *found, const char *expected)
{
    return err_set(e, ERR_CORRUPT, "%s of what came is %s, expected %s", what, found, expected);
}

static bool check_sha256(const struct entry *entry, const void *bytes, struct err *e)
{
    struct sha256 s;
    char hex[SHA256_HEX];
    sha256_start(&s);
    sha256_add(&s, bytes, entry->size);
    sha256_end(&s, hex);
    return strcmp(hex, entry->sha256) == 0 || differs(e, "SHA-256", hex, entry->sha256);
}

static bool check_git_blob(const struct entry *entry, const void *bytes, struct err *e)
{
    char hex[GIT_BLOB_HEX];
    struct git_blob *b = git_blob_start(entry->size);
    if (!b)
        return err_set(e, ERR_MEMORY, "no memory to hash it");
    git_blob_add(b, bytes, entry->size);
    git_blob_end(b, hex);
    return strcmp(hex, entry->git_blob) == 0 || differs(e, "git blob id", hex, entry->git_blob);
}

bool file_is_whole(const struct entry *entry, uint32_t crc, const void *bytes, struct err *e)
{
    if (entry->has_crc32c && crc != entry->crc32c)
        return err_set(e, ERR_CORRUPT, "CRC32C of what came is %08" PRIx32 ", expected %08" PRIx32, crc,
                       entry->crc32c);
    if (entry->sha256)
        return check_sha256(entry, bytes, e);
    return !entry->git_blob || check_git_blob(entry, bytes, e);
}

static bool certify(const struct entry *entry, const struct manifest_file *m, struct err *e)
{
    if (!m)
        return err_set(e, ERR_CORRUPT, "is not in %s: stage the model anew", MANIFEST_NAME);
    if (entry->size != m->size)
        return err_set(e, ERR_CORRUPT, "has %" PRIu64 " bytes, %" PRIu64 " when it was staged: stage it anew",
                       entry->size, m->size);
    return !entry->has_crc32c || entry->crc32c == m->crc32c ||
           err_set(e, ERR_CORRUPT, "is another file than when it was staged: stage it anew");
}

bool files_certified(const struct files *f, const char *name, const struct manifest_file **out, struct err *e)
{
    const struct entry *entry = files_find(f, name);
    *out = f->has_manifest ? manifest_find(&f->manifest, name) : NULL;
    return !f->has_manifest || !entry || certify(entry, *out, e) || err_wrap(e, "%s", files_title(f, name));
}

/* --- the small files --------------------------------------------------------------------------------------
 */

static bool has_tokenizer_files(const struct files *f)
{
    for (int i = FIRST_OF_THREE; i < NAMES - 1; i++)
        if (!files_find(f, names[i]))
            return false;
    return true;
}

static bool find_small(struct files *f, struct err *e)
{
    f->small = arena_alloc(f->arena, NAMES, sizeof *f->small);
    if (!f->small)
        return no_memory(e);
    f->small_count = NAMES - has_tokenizer_files(f);
    for (int i = 0; i < f->small_count; i++) {
        struct small_file *s = &f->small[i];
        *s = (struct small_file){.name = names[i], .entry = files_find(f, names[i])};
        if (!s->entry)
            continue;
        if (s->entry->size > SMALL_MAX_BYTES)
            return err_set(e, ERR_LIMIT, "%s: %" PRIu64 " bytes, at most %d expected",
                           files_title(f, s->name), s->entry->size, SMALL_MAX_BYTES);
        if (!(s->bytes = arena_alloc(f->arena, s->entry->size + 1, 1)))
            return err_set(e, ERR_MEMORY, "%s: no memory for %" PRIu64 " bytes", files_title(f, s->name),
                           s->entry->size);
    }
    return true;
}

/* Those that are not right yet. */
static bool read_wrong(struct files *f, struct err *e)
{
    struct read_job jobs[NAMES];
    int count = 0;
    for (int i = 0; i < f->small_count; i++)
        if (f->small[i].entry && !f->small[i].right)
            jobs[count++] = (struct read_job){
                .entry = f->small[i].entry, .size = f->small[i].entry->size, .into = f->small[i].bytes};
    return files_read(f, jobs, count, e);
}

/* Each compared with what the place says of it; a wrong one is read once more. */
static bool read_small(struct files *f, struct err *e)
{
    bool right = false;
    for (int try = 0; try < TRIES && !right; try++) {
        if (!read_wrong(f, e))
            return false;
        right = true;
        for (int i = 0; i < f->small_count; i++) {
            struct small_file *s = &f->small[i];
            s->right = !s->entry || s->right ||
                       file_is_whole(s->entry, crc32c(0, s->bytes, s->entry->size), s->bytes, e) ||
                       err_wrap(e, "%s", files_title(f, s->name));
            right = right && s->right;
        }
    }
    return right;
}

static bool read_manifest(struct files *f, struct err *e)
{
    const struct small_file *m = &f->small[0];
    if (!m->entry)
        return !f->unfinished ||
               err_set(e, ERR_NOT_FOUND,
                       "%s: a model is being staged there and is not complete: `ferry stage` goes on",
                       f->where);
    f->has_manifest = true;
    return manifest_parse(&f->manifest, m->bytes, m->entry->size, f->arena, e) ||
           err_wrap(e, "%s", files_title(f, MANIFEST_NAME));
}

/* The manifest knows each and says the same of it. */
static bool check_small(const struct files *f, struct err *e)
{
    for (int i = 1; i < f->small_count; i++) {
        const struct small_file *s = &f->small[i];
        const struct manifest_file *m;
        if (!files_certified(f, s->name, &m, e))
            return false;
        if (m && s->entry && crc32c(0, s->bytes, s->entry->size) != m->crc32c)
            return err_set(e, ERR_CORRUPT, "%s: is another file than when it was staged: stage it anew",
                           files_title(f, s->name));
    }
    return true;
}

static bool read_source(const struct file_source *s, const char *name, size_t ceiling, struct arena *a,
                        const char **bytes, size_t *size, struct err *e)
{
    const struct files *f = s->arg;
    (void)a;
    *bytes = NULL;
    *size = 0;
    for (int i = 0; i < f->small_count; i++) {
        const struct small_file *small = &f->small[i];
        if (!small->entry || strcmp(small->name, name) != 0)
            continue;
        if (small->entry->size > ceiling)
            return err_set(e, ERR_LIMIT, "%s/%s: %" PRIu64 " bytes, at most %zu expected", s->where, name,
                           small->entry->size, ceiling);
        *bytes = small->bytes;
        *size = small->entry->size;
    }
    return true;
}

bool files_open(struct files *f, struct err *e)
{
    f->source = (struct file_source){.read = read_source, .where = f->where, .arg = f};
    if (!list(f, e))
        return false;
    if (f->count == 0)
        return err_set(e, ERR_NOT_FOUND, "%s: nothing is there, expected a model's files", f->where);
    return find_small(f, e) && read_small(f, e) && read_manifest(f, e) && check_small(f, e);
}
