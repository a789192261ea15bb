#include "gguf_reader.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { U32 = 4, I32 = 5, REAL32 = 6, BOOL = 7, TEXT = 8, ARRAY = 9, ALIGNMENT = 32 };
enum { F32 = 0, F16 = 1, Q4_0 = 2, Q8_0 = 8, BF16 = 30 };

struct cursor {
    const unsigned char *at, *end;
};

static const unsigned char *take(struct cursor *c, uint64_t n)
{
    const unsigned char *at = c->at;
    if (n > (uint64_t)(c->end - c->at))
        fail_msg("the file ends too early");
    c->at += n;
    return at;
}

static uint64_t number(const unsigned char *at, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)at[i] << 8 * i;
    return v;
}

static uint64_t take_number(struct cursor *c, int bytes)
{
    return number(take(c, (uint64_t)bytes), bytes);
}

static struct reader_text take_text(struct cursor *c)
{
    uint64_t size = take_number(c, 8);
    return (struct reader_text){(const char *)take(c, size), size};
}

static void skip_value(struct cursor *c, uint32_t type)
{
    if (type == TEXT)
        take_text(c);
    else if (type == BOOL)
        take(c, 1);
    else if (type == U32 || type == I32 || type == REAL32)
        take(c, 4);
    else
        fail_msg("a value of type %u", type);
}

static void take_key(struct cursor *c, struct reader_key *k)
{
    k->name = take_text(c);
    k->type = k->item_type = (uint32_t)take_number(c, 4);
    k->count = 1;
    if (k->type == ARRAY) {
        k->item_type = (uint32_t)take_number(c, 4);
        k->count = take_number(c, 8);
    }
    k->at = c->at;
    for (uint64_t i = 0; i < k->count; i++)
        skip_value(c, k->item_type);
}

static size_t bytes_of(uint32_t type, uint64_t values)
{
    switch (type) {
    case F32:
        return values * 4;
    case F16:
    case BF16:
        return values * 2;
    case Q8_0:
        return values / 32 * 34;
    case Q4_0:
        return values / 32 * 18;
    default:
        fail_msg("a tensor of type %u", type);
        return 0;
    }
}

/* data holds the offset until the data's begin is known. */
static uint64_t take_tensor(struct cursor *c, struct reader_tensor *t)
{
    t->name = take_text(c);
    t->dim_count = (uint32_t)take_number(c, 4);
    assert_in_range(t->dim_count, 1, 4);
    t->values = 1;
    for (uint32_t i = 0; i < t->dim_count; i++)
        t->values *= t->dims[i] = take_number(c, 8);
    t->type = (uint32_t)take_number(c, 4);
    t->bytes = bytes_of(t->type, t->values);
    if (t->type == Q8_0 || t->type == Q4_0)
        assert_int_equal(t->dims[0] % 32, 0);
    return take_number(c, 8);
}

/* In file order: each behind the one before. */
static void place(struct reader *r, const uint64_t *offsets, const struct cursor *data)
{
    uint64_t end = 0, room = (uint64_t)(data->end - data->at);
    for (size_t i = 0; i < r->tensor_count; i++) {
        assert_int_equal(offsets[i] % ALIGNMENT, 0);
        assert_true(offsets[i] >= end && offsets[i] < end + ALIGNMENT);
        end = offsets[i] + r->tensors[i].bytes;
        assert_true(end <= room);
        r->tensors[i].data = data->at + offsets[i];
    }
    assert_int_equal((end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, room);
}

void reader_open(struct reader *r, const unsigned char *bytes, size_t size)
{
    struct cursor c = {bytes, bytes + size};
    uint64_t offsets[READER_TENSORS];
    *r = (struct reader){0};
    assert_memory_equal(take(&c, 4), "GGUF", 4);
    assert_int_equal(take_number(&c, 4), 3);
    r->tensor_count = take_number(&c, 8);
    r->key_count = take_number(&c, 8);
    assert_true(r->tensor_count <= READER_TENSORS && r->key_count <= READER_KEYS);
    for (size_t i = 0; i < r->key_count; i++)
        take_key(&c, &r->keys[i]);
    for (size_t i = 0; i < r->tensor_count; i++)
        offsets[i] = take_tensor(&c, &r->tensors[i]);
    take(&c, (uint64_t)(ALIGNMENT - (c.at - bytes) % ALIGNMENT) % ALIGNMENT);
    place(r, offsets, &c);
}

bool reader_same(struct reader_text t, const char *text)
{
    return t.size == strlen(text) && memcmp(t.at, text, t.size) == 0;
}

const struct reader_key *reader_find_key(const struct reader *r, const char *name)
{
    for (size_t i = 0; i < r->key_count; i++)
        if (reader_same(r->keys[i].name, name))
            return &r->keys[i];
    return NULL;
}

const struct reader_tensor *reader_find_tensor(const struct reader *r, const char *name)
{
    for (size_t i = 0; i < r->tensor_count; i++)
        if (reader_same(r->tensors[i].name, name))
            return &r->tensors[i];
    return NULL;
}

struct reader_text reader_item_text(const struct reader_key *k, uint64_t n)
{
    struct cursor c = {k->at, (const unsigned char *)UINTPTR_MAX};
    assert_true(k->item_type == TEXT && n < k->count);
    struct reader_text t = take_text(&c);
    while (n-- > 0)
        t = take_text(&c);
    return t;
}

static float real(const unsigned char *at)
{
    uint32_t bits = (uint32_t)number(at, 4);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

void reader_print(const struct reader_key *k, char *out, size_t room)
{
    struct cursor c = {k->at, (const unsigned char *)UINTPTR_MAX};
    if (k->type == ARRAY)
        snprintf(out, room, "[%llu]", (unsigned long long)k->count);
    else if (k->type == TEXT) {
        struct reader_text t = take_text(&c);
        snprintf(out, room, "%.*s", (int)t.size, t.at);
    } else if (k->type == REAL32)
        snprintf(out, room, "%.9g", (double)real(k->at));
    else if (k->type == BOOL)
        snprintf(out, room, "%s", *k->at ? "true" : "false");
    else
        snprintf(out, room, "%u", (unsigned)number(k->at, 4));
}

static float half(const unsigned char *at)
{
    int bits = (int)number(at, 2), exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double value = exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);
    return (float)(bits & 0x8000 ? -value : value);
}

float reader_value(const struct reader_tensor *t, size_t i)
{
    size_t block = i / 32, k = i % 32;
    const unsigned char *q8 = t->data + block * 34, *q4 = t->data + block * 18;
    switch (t->type) {
    case F32:
        return real(t->data + i * 4);
    case F16:
        return half(t->data + i * 2);
    case BF16: {
        unsigned char bytes[4] = {0, 0, t->data[i * 2], t->data[i * 2 + 1]};
        return real(bytes);
    }
    case Q8_0:
        return half(q8) * (float)(signed char)q8[2 + k];
    default:
        return half(q4) * (float)((k < 16 ? q4[2 + k] & 15 : q4[2 + k - 16] >> 4) - 8);
    }
}
