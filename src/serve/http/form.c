#include "serve/http/form.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROCESSOR_BYTES = 64 << 10 };

struct form {
    struct MHD_PostProcessor *processor;
    struct form_field fields[FORM_MAX_FIELDS];
    int count;
    struct err err; /* of the iterator */
};

static enum MHD_Result take(void *arg, enum MHD_ValueKind kind, const char *key, const char *filename,
                            const char *type, const char *encoding, const char *data, uint64_t offset,
                            size_t size)
{
    struct form *f = arg;
    (void)kind, (void)filename, (void)type, (void)encoding; /* what audio it is, its bytes say */
    if (offset == 0) {
        if (f->count == FORM_MAX_FIELDS) {
            err_set(&f->err, ERR_USAGE, "more than %d form fields", FORM_MAX_FIELDS);
            return MHD_NO;
        }
        snprintf(f->fields[f->count++].name, FORM_NAME, "%s", key ? key : "");
    }
    if (f->count == 0)
        return MHD_NO;
    if (bytes_add(&f->fields[f->count - 1].value, data, size, SIZE_MAX))
        return MHD_YES;
    err_set(&f->err, ERR_MEMORY, "no memory left for this upload");
    return MHD_NO;
}

struct form *form_new(struct MHD_Connection *c)
{
    struct form *f = calloc(1, sizeof *f);
    if (f)
        f->processor = MHD_create_post_processor(c, PROCESSOR_BYTES, take, f);
    if (f && f->processor)
        return f;
    free(f);
    return NULL;
}

void form_free(struct form *f)
{
    if (!f)
        return;
    if (f->processor)
        MHD_destroy_post_processor(f->processor);
    for (int i = 0; i < f->count; i++)
        bytes_clear(&f->fields[i].value);
    free(f);
}

static bool malformed(struct form *f, struct err *e)
{
    if (f->err.kind == ERR_NONE)
        return err_set(e, ERR_USAGE, "the body is not complete multipart/form-data");
    *e = f->err;
    return false;
}

bool form_add(struct form *f, const char *data, size_t size, struct err *e)
{
    return MHD_post_process(f->processor, data, size) == MHD_YES || malformed(f, e);
}

bool form_end(struct form *f, struct err *e)
{
    enum MHD_Result whole = MHD_destroy_post_processor(f->processor);
    f->processor = NULL;
    return whole == MHD_YES || malformed(f, e);
}

int form_count(const struct form *f)
{
    return f->count;
}

const struct form_field *form_field(const struct form *f, int i)
{
    return &f->fields[i];
}
