/* A local file in parts: a part file with a tail that says which parts are there (local_tail.h).
 *
 * A run that was killed while it sealed leaves the content without its tail, or the target itself. Both have
 * every byte, so a resumed upload counts every part as there, and its seal reads them all and compares. */
#include "base/crc32c.h"
#include "store/place/local.h"
#include "store/place/part_file.h"
#include "store/upload/local_tail.h"
#include "store/upload/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum state {
    BY_PARTS,    /* part file with tail */
    UNKNOWN_END, /* part file without: the size is not known, nobody can resume it */
    WHOLE_PART,  /* part file that an earlier seal has cut already */
    WHOLE,       /* the target, which an earlier seal has published */
};

struct local_upload {
    struct upload u;
    struct part_file file;
    enum state state;
    char nonce[LOCAL_NONCE];
    int64_t before; /* generation of what stood there when it began; 0: nothing */
};

static const struct upload_kind kind;

static int64_t generation_of(const char *name)
{
    struct stat st;
    return stat(name, &st) == 0 ? local_generation(&st) : 0;
}

/* --- parts --- */

static bool local_part(struct upload *u, int part, const void *bytes, size_t size,
                       const volatile sig_atomic_t *stop, struct err *e)
{
    struct local_upload *l = (struct local_upload *)u;
    uint64_t offset = (uint64_t)part * u->spec.part_size;
    (void)stop;
    if (l->state == WHOLE) /* nothing to write into: the seal compares what is there with what was wanted */
        return true;
    uint32_t crc = crc32c(0, bytes, size);
    if (!part_file_write(&l->file, bytes, size, offset, e))
        return false;
    part_file_start_writing(&l->file, offset, size);
    if (l->state == BY_PARTS && !local_tail_mark(&l->file, u, part, crc, e))
        return false;
    return upload_mark_part(u, part, crc, e);
}

static bool local_token(const struct upload *u, char out[UPLOAD_TOKEN_BYTES])
{
    const struct local_upload *l = (const struct local_upload *)u;
    if (l->state == UNKNOWN_END)
        return false;
    snprintf(out, UPLOAD_TOKEN_BYTES, "local:%" PRId64 ":%s", l->before, l->nonce);
    return true;
}

/* --- sealing --- */

static bool seal_failed(struct local_upload *l, struct err *e)
{
    part_file_discard(&l->file);
    return err_set(e, ERR_NOT_FOUND, "%s: what an earlier run wrote is another file", l->u.spec.name);
}

/* What the file holds is what was wanted; else nothing of it stays. */
static bool check_content(struct local_upload *l, uint32_t wanted, struct err *e)
{
    uint32_t crc = upload_combined(&l->u);
    if (l->state == WHOLE_PART && !local_crc(&l->file, 0, l->u.spec.size, &crc, e))
        return false;
    if (crc == wanted)
        return true;
    if (l->state == WHOLE_PART)
        return seal_failed(l, e);
    part_file_discard(&l->file);
    return err_set(e, ERR_CORRUPT, "%s: crc32c %08x written, expected %08x", l->u.spec.name, crc, wanted);
}

static bool publish(struct local_upload *l, struct stat *st, struct err *e)
{
    if (!part_file_finish(&l->file, l->u.spec.size, e) ||
        !part_file_publish(&l->file, l->u.spec.if_generation == STORAGE_ABSENT, e))
        return false;
    part_file_sync_name(&l->file);
    bool ok = fstat(l->file.fd, st) == 0 || err_errno(e, "%s", l->u.spec.name);
    part_file_close(&l->file);
    return ok;
}

/* The target stands there since an earlier run. */
static bool check_target(struct local_upload *l, uint32_t wanted, struct stat *st, struct err *e)
{
    const char *name = l->u.spec.name;
    struct part_file target = {.target = (char *)(uintptr_t)name, .temp = (char *)(uintptr_t)name};
    uint32_t crc = 0;
    target.fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (target.fd < 0)
        return err_errno(e, "%s", name);
    bool ok = fstat(target.fd, st) == 0 || err_errno(e, "%s", name);
    ok = ok && (uint64_t)st->st_size == l->u.spec.size && local_crc(&target, 0, l->u.spec.size, &crc, NULL) &&
         crc == wanted;
    close(target.fd);
    return ok ||
           err_set(e, ERR_NOT_FOUND, "%s: what an earlier run wrote was replaced by another file", name);
}

static bool local_seal(struct upload *u, uint32_t crc32c, struct arena *a, struct entry *out, struct err *e)
{
    struct local_upload *l = (struct local_upload *)u;
    struct stat st;
    bool ok = l->state == WHOLE ? check_target(l, crc32c, &st, e)
                                : check_content(l, crc32c, e) && publish(l, &st, e);
    return ok && (!out || local_entry_in(a, u->spec.name, &st, out, e));
}

/* --- beginning and end --- */

static bool begin_new(struct local_upload *l, struct err *e)
{
    const struct upload_spec *spec = &l->u.spec;
    l->before = generation_of(spec->name);
    l->state = spec->size == UPLOAD_SIZE_UNKNOWN ? UNKNOWN_END : BY_PARTS;
    if (!local_check_absent(spec->name, spec->if_generation, e) || !local_nonce(l->nonce, e) ||
        !part_file_open(&l->file, spec->name, false, e))
        return false;
    if (l->state == UNKNOWN_END || local_tail_write(&l->file, &l->u, l->nonce, e))
        return true;
    part_file_discard(&l->file);
    return false;
}

static bool read_token(struct local_upload *l, const char *token)
{
    int end = 0;
    return sscanf(token, "local:%" SCNd64 ":%32[0-9a-f]%n", &l->before, l->nonce, &end) == 2 && !token[end] &&
           strlen(l->nonce) == LOCAL_NONCE - 1;
}

static bool whole_part(struct local_upload *l)
{
    struct stat st;
    return fstat(l->file.fd, &st) == 0 && (uint64_t)st.st_size == l->u.spec.size;
}

static bool whole_target(struct local_upload *l)
{
    struct stat st;
    return stat(l->u.spec.name, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == l->u.spec.size &&
           local_generation(&st) != l->before;
}

static bool take_whole(struct local_upload *l, enum state state, struct err *e)
{
    l->state = state;
    return upload_mark_all(&l->u, e);
}

static bool begin_again(struct local_upload *l, const char *token, struct err *e)
{
    const char *name = l->u.spec.name;
    struct err problem = {0};
    if (!read_token(l, token) || l->u.spec.size == UPLOAD_SIZE_UNKNOWN)
        return err_set(e, ERR_NOT_FOUND, "%s: not the token of an upload to this machine", name);
    if (part_file_open(&l->file, name, true, &problem)) {
        if (whole_part(l))
            return take_whole(l, WHOLE_PART, e);
        l->state = BY_PARTS;
        return local_tail_load(&l->file, &l->u, l->nonce, e);
    }
    if (problem.kind == ERR_NOT_FOUND && whole_target(l))
        return take_whole(l, WHOLE, e);
    if (problem.kind == ERR_NOT_FOUND)
        return err_set(e, ERR_NOT_FOUND, "%s: what an earlier run wrote is gone", name);
    if (e)
        *e = problem;
    return false;
}

static bool local_abort(struct upload *u, struct err *e)
{
    (void)e;
    part_file_discard(&((struct local_upload *)u)->file);
    return true;
}

static void local_free(struct upload *u)
{
    struct local_upload *l = (struct local_upload *)u;
    if (l->state == UNKNOWN_END)
        part_file_discard(&l->file);
    part_file_close(&l->file);
    upload_clear(u);
}

static const struct upload_kind kind = {
    .token = local_token, .part = local_part, .seal = local_seal, .abort = local_abort, .free = local_free};

struct upload *local_upload_begin(const struct upload_spec *spec, const char *resume, struct err *e)
{
    struct local_upload *l = upload_new(&kind, sizeof *l, spec, e);
    if (!l)
        return NULL;
    if (resume ? begin_again(l, resume, e) : begin_new(l, e))
        return &l->u;
    part_file_close(&l->file);
    upload_clear(&l->u);
    return NULL;
}
