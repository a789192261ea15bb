/* What Cloud Storage says of objects: one, and a page of a listing. */
#include "cloud/storage/request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool hear_object(void *arg, const struct object *o, struct err *e)
{
    size_t *heard = arg;
    (void)e;
    check(o->name[0] && o->generation >= 0 && o->metageneration >= 0);
    *heard += strlen(o->updated) + strlen(o->content_type) + strlen(o->etag) + 1;
    return true;
}

static bool hear_prefix(void *arg, const char *prefix, struct err *e)
{
    size_t *heard = arg;
    (void)e;
    check(prefix[0]);
    *heard += 1;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    size_t heard = 0;
    struct storage_list l = {
        .bucket = "b", .on_object = hear_object, .on_prefix = hear_prefix, .arg = &heard};
    const char *next;
    struct object o;
    struct err e = {0}, f = {0};
    if (!page_read(json, &l, &next, &e))
        check(e.kind == ERR_CORRUPT && e.text[0]);
    if (!object_read(json, &o, &f))
        check(f.kind == ERR_CORRUPT && f.text[0]);
    json_decref(json);
    return 0;
}
