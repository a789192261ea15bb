#include "store/upload/appeared.h"

#include "base/catalog.h"
#include "cloud/storage.h"
#include "store/place/object_name.h"

enum { STAT_BYTES = 64 << 10 };

static void fill_entry(const struct object *o, struct entry *out)
{
    if (out)
        *out = (struct entry){.name = o->name,
                              .size = o->size,
                              .generation = o->generation,
                              .has_crc32c = o->has_crc32c,
                              .crc32c = o->crc32c,
                              .updated = o->updated ? o->updated : ""};
}

/* What a corrupt object is deleted for is the error that counts; that it may still be there is added. */
static bool take_back(struct cloud *c, const char *bucket, const char *name, const struct object *o,
                      uint32_t expected, struct err *e)
{
    struct err ignored = {0};
    bool gone = storage_delete(c, bucket, name, o->generation, &ignored);
    return err_set(e, ERR_CORRUPT,
                   "gs://%s/%s: Cloud Storage has %llu bytes with crc32c %08x, crc32c %08x was sent%s",
                   bucket, name, (unsigned long long)o->size, o->crc32c, expected,
                   gone ? _("; deleted again") : _("; could not be deleted again"));
}

bool object_appeared(struct cloud *c, const char *bucket, const struct upload_spec *spec, uint32_t crc32c,
                     bool ours, struct arena *a, struct entry *out, struct err *e)
{
    struct object o;
    if (!storage_stat(c, bucket, spec->name, a, &o, e))
        return false;
    if (o.size == spec->size && o.has_crc32c && o.crc32c == crc32c) {
        fill_entry(&o, out);
        return true;
    }
    if (ours)
        return take_back(c, bucket, spec->name, &o, crc32c, e);
    return err_set(e, ERR_NOT_FOUND, "gs://%s/%s: what an earlier run sent is gone, another object is there",
                   bucket, spec->name);
}

bool object_before(struct cloud *c, const char *bucket, const struct upload_spec *spec, int64_t *generation,
                   struct err *e)
{
    struct err problem = {0};
    struct object o;
    struct arena *a = arena_new(STAT_BYTES);
    *generation = 0;
    if (!a)
        return err_set(e, ERR_MEMORY, "gs://%s/%s: no memory to look at it", bucket, spec->name);
    bool there = storage_stat(c, bucket, spec->name, a, &o, &problem);
    arena_free(a);
    if (there)
        *generation = o.generation;
    else if (problem.kind != ERR_NOT_FOUND) {
        if (e)
            *e = problem;
        return false;
    }
    if (spec->if_generation == STORAGE_ANY_GENERATION || spec->if_generation == *generation)
        return true;
    return err_set(e, ERR_BUSY, "gs://%s/%s: %s", bucket, spec->name,
                   spec->if_generation == STORAGE_ABSENT ? _("is there already")
                                                         : _("has changed meanwhile"));
}

bool object_put_empty(struct cloud *c, const char *bucket, const struct upload_spec *spec, struct arena *a,
                      struct entry *out, struct err *e)
{
    struct object o;
    const struct storage_put put = {.bucket = bucket,
                                    .name = spec->name,
                                    .content_type = object_content_type(spec->name),
                                    .bytes = "",
                                    .if_generation = spec->if_generation};
    if (!storage_put(c, &put, a, &o, e))
        return false;
    fill_entry(&o, out);
    return true;
}
