#include "store/upload/upload.h"

#include "base/crc32c.h"
#include "base/stop.h"

#include <stdlib.h>
#include <string.h>

static bool check_spec(const struct upload_spec *spec, struct err *e)
{
    uint64_t size = spec->size == UPLOAD_SIZE_UNKNOWN ? 0 : spec->size;
    if (spec->part_size == 0)
        return err_set(e, ERR_USAGE, "%s: parts of 0 bytes", spec->name);
    if (size > INT64_MAX || (size && (size - 1) / spec->part_size >= UPLOAD_MAX_PARTS))
        return err_set(e, ERR_LIMIT, "%s: more than %d parts of %llu bytes", spec->name, UPLOAD_MAX_PARTS,
                       (unsigned long long)spec->part_size);
    return true;
}

void *upload_new(const struct upload_kind *kind, size_t bytes, const struct upload_spec *spec, struct err *e)
{
    if (!check_spec(spec, e))
        return NULL;
    struct upload *u = calloc(1, bytes);
    char *name = strdup(spec->name);
    if (!u || !name) {
        free(u);
        free(name);
        err_set(e, ERR_MEMORY, "%s: no memory for an upload", spec->name);
        return NULL;
    }
    u->kind = kind;
    u->spec = *spec;
    u->spec.name = name;
    pthread_mutex_init(&u->locked.mutex, NULL);
    return u;
}

void upload_clear(struct upload *u)
{
    pthread_mutex_destroy(&u->locked.mutex);
    free(u->locked.marks);
    free((char *)(uintptr_t)u->spec.name);
    free(u);
}

int upload_count(const struct upload *u)
{
    if (u->spec.size == UPLOAD_SIZE_UNKNOWN)
        return UPLOAD_MAX_PARTS;
    return u->spec.size ? (int)((u->spec.size - 1) / u->spec.part_size) + 1 : 0;
}

uint64_t upload_part_bytes(const struct upload *u, int part)
{
    uint64_t begin = (uint64_t)part * u->spec.part_size;
    if (u->spec.size == UPLOAD_SIZE_UNKNOWN || u->spec.size - begin > u->spec.part_size)
        return u->spec.part_size;
    return u->spec.size - begin;
}

/* --- marks --- */

static bool room_for_locked(struct upload *u, int part)
{
    if (part < u->locked.room)
        return true;
    bool unknown = u->spec.size == UPLOAD_SIZE_UNKNOWN;
    int room = unknown || part >= upload_count(u) ? 2 * part + 64 : upload_count(u);
    struct upload_mark *marks = realloc(u->locked.marks, (size_t)room * sizeof *marks);
    if (!marks)
        return false;
    memset(marks + u->locked.room, 0, (size_t)(room - u->locked.room) * sizeof *marks);
    u->locked.marks = marks;
    u->locked.room = room;
    return true;
}

bool upload_mark_part(struct upload *u, int part, uint32_t crc32c, struct err *e)
{
    pthread_mutex_lock(&u->locked.mutex);
    bool ok = room_for_locked(u, part);
    if (ok)
        u->locked.marks[part] = (struct upload_mark){.there = true, .crc32c = crc32c};
    pthread_mutex_unlock(&u->locked.mutex);
    return ok || err_set(e, ERR_MEMORY, "%s: no memory for its list of parts", u->spec.name);
}

bool upload_mark_all(struct upload *u, struct err *e)
{
    for (int i = 0; i < upload_count(u); i++)
        if (!upload_mark_part(u, i, 0, e))
            return false;
    return true;
}

bool upload_has(const struct upload *u, int part)
{
    struct upload *locked = (struct upload *)(uintptr_t)u;
    pthread_mutex_lock(&locked->locked.mutex);
    bool there = part >= 0 && part < u->locked.room && u->locked.marks[part].there;
    pthread_mutex_unlock(&locked->locked.mutex);
    return there;
}

uint32_t upload_combined(struct upload *u)
{
    uint32_t crc = 0;
    pthread_mutex_lock(&u->locked.mutex);
    for (int i = 0; i < upload_count(u) && i < u->locked.room; i++)
        crc = crc32c_combine(crc, u->locked.marks[i].crc32c, upload_part_bytes(u, i));
    pthread_mutex_unlock(&u->locked.mutex);
    return crc;
}

/* --- what the public functions check for every kind --- */

bool upload_size(struct upload *u, uint64_t size, struct err *e)
{
    if (u->spec.size != UPLOAD_SIZE_UNKNOWN)
        return u->spec.size == size || err_set(e, ERR_USAGE, "%s: its size was told before", u->spec.name);
    struct upload_spec spec = u->spec;
    spec.size = size;
    if (size == UPLOAD_SIZE_UNKNOWN || !check_spec(&spec, e))
        return size != UPLOAD_SIZE_UNKNOWN ? false : err_set(e, ERR_USAGE, "%s: no size", u->spec.name);
    u->spec.size = size;
    return !u->kind->size || u->kind->size(u, e);
}

bool upload_token(const struct upload *u, char out[UPLOAD_TOKEN_BYTES])
{
    *out = 0;
    return u->kind->token(u, out);
}

bool upload_ordered(const struct upload *u)
{
    return u->kind->ordered;
}

bool upload_part(struct upload *u, int part, const void *bytes, size_t size,
                 const volatile sig_atomic_t *stop, struct err *e)
{
    if (u->spec.size == 0 && part == 0 && size == 0)
        return true; /* an empty file has no parts: saying so with an empty one is fine */
    if (part < 0 || part >= upload_count(u))
        return err_set(e, ERR_USAGE, "%s: part %d of %d", u->spec.name, part, upload_count(u));
    uint64_t expected = upload_part_bytes(u, part);
    if (size != expected)
        return err_set(e, ERR_USAGE, "%s: part %d: %zu bytes, expected %llu", u->spec.name, part, size,
                       (unsigned long long)expected);
    if (stop_wanted(stop))
        return err_set(e, ERR_CANCELLED, "%s: interrupted", u->spec.name);
    return u->kind->part(u, part, bytes, size, stop, e);
}

bool upload_seal(struct upload *u, uint32_t crc32c, struct arena *a, struct entry *out, struct err *e)
{
    if (u->spec.size == UPLOAD_SIZE_UNKNOWN)
        return err_set(e, ERR_USAGE, "%s: sealed before its size was told", u->spec.name);
    for (int i = 0; i < upload_count(u); i++)
        if (!upload_has(u, i))
            return err_set(e, ERR_USAGE, "%s: sealed without part %d", u->spec.name, i);
    return u->kind->seal(u, crc32c, a, out, e);
}

void upload_free(struct upload *u)
{
    if (u)
        u->kind->free(u);
}

bool upload_abort(struct upload *u, struct err *e)
{
    bool ok = !u || !u->kind->abort || u->kind->abort(u, e);
    upload_free(u);
    return ok;
}
