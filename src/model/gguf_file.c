#include "model/gguf_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 3 };

/* A part of the file that grows in memory. */
struct part {
    FILE *out;
    char *bytes;
    size_t size;
    uint64_t count; /* of its keys, of its tensors */
};

struct gguf_file {
    struct part keys, tensors, whole;
    uint64_t data_bytes;
};

static bool part_open(struct part *p)
{
    p->out = open_memstream(&p->bytes, &p->size);
    return p->out != NULL;
}

static void part_close(struct part *p)
{
    if (p->out)
        fclose(p->out);
    free(p->bytes);
}

struct gguf_file *gguf_file_new(struct err *e)
{
    struct gguf_file *f = calloc(1, sizeof *f);
    if (f && part_open(&f->keys) && part_open(&f->tensors) && part_open(&f->whole))
        return f;
    gguf_file_free(f);
    err_set(e, ERR_MEMORY, "no memory for a GGUF header");
    return NULL;
}

void gguf_file_free(struct gguf_file *f)
{
    if (!f)
        return;
    part_close(&f->keys);
    part_close(&f->tensors);
    part_close(&f->whole);
    free(f);
}

static void put(struct part *p, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        putc((int)(value >> 8 * i & 0xff), p->out);
}

/* Every count and length of the format has 8 bytes. */
static void put_text(struct part *p, const char *text)
{
    size_t size = strlen(text);
    put(p, size, 8);
    fwrite(text, 1, size, p->out);
}

static void put_key(struct gguf_file *f, const char *key, enum gguf_value type)
{
    f->keys.count++;
    put_text(&f->keys, key);
    put(&f->keys, type, 4);
}

void gguf_put_u32(struct gguf_file *f, const char *key, uint32_t value)
{
    put_key(f, key, GGUF_U32);
    put(&f->keys, value, 4);
}

void gguf_put_real(struct gguf_file *f, const char *key, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(f, key, GGUF_REAL32);
    put(&f->keys, bits, 4);
}

void gguf_put_bool(struct gguf_file *f, const char *key, bool value)
{
    put_key(f, key, GGUF_BOOL);
    put(&f->keys, value, 1);
}

void gguf_put_text(struct gguf_file *f, const char *key, const char *value)
{
    put_key(f, key, GGUF_TEXT);
    put_text(&f->keys, value);
}

void gguf_put_array(struct gguf_file *f, const char *key, enum gguf_value type, size_t count)
{
    put_key(f, key, GGUF_ARRAY);
    put(&f->keys, type, 4);
    put(&f->keys, count, 8);
}

void gguf_item_text(struct gguf_file *f, const char *value)
{
    put_text(&f->keys, value);
}

void gguf_item_i32(struct gguf_file *f, int32_t value)
{
    put(&f->keys, (uint32_t)value, 4);
}

static uint64_t aligned(uint64_t at)
{
    return (at + GGUF_ALIGNMENT - 1) / GGUF_ALIGNMENT * GGUF_ALIGNMENT;
}

uint64_t gguf_add_tensor(struct gguf_file *f, const char *name, const uint64_t *dims, int count,
                         enum gguf_type type, uint64_t bytes)
{
    uint64_t at = f->data_bytes;
    f->tensors.count++;
    put_text(&f->tensors, name);
    put(&f->tensors, (uint64_t)count, 4);
    for (int i = 0; i < count; i++)
        put(&f->tensors, dims[i], 8);
    put(&f->tensors, type, 4);
    put(&f->tensors, at, 8);
    f->data_bytes = aligned(at + bytes);
    return at;
}

uint64_t gguf_data_bytes(const struct gguf_file *f)
{
    return f->data_bytes;
}

/* Closed when all of it is there, since a stream in memory tells a lack of it late. */
static bool part_end(struct part *p)
{
    bool ok = !ferror(p->out);
    ok = fclose(p->out) == 0 && ok;
    p->out = NULL;
    return ok;
}

const char *gguf_file_header(struct gguf_file *f, size_t *size, struct err *e)
{
    struct part *w = &f->whole;
    bool ok = part_end(&f->keys) && part_end(&f->tensors);
    if (ok) {
        fwrite("GGUF", 1, 4, w->out);
        put(w, VERSION, 4);
        put(w, f->tensors.count, 8);
        put(w, f->keys.count, 8);
        fwrite(f->keys.bytes, 1, f->keys.size, w->out);
        fwrite(f->tensors.bytes, 1, f->tensors.size, w->out);
        uint64_t used = 4 + 4 + 8 + 8 + f->keys.size + f->tensors.size;
        static const char zeros[GGUF_ALIGNMENT];
        fwrite(zeros, 1, (size_t)(aligned(used) - used), w->out);
        ok = part_end(w);
    }
    if (!ok) {
        err_set(e, ERR_MEMORY, "no memory for a GGUF header");
        return NULL;
    }
    *size = w->size;
    return w->bytes;
}
