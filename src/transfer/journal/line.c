#include "transfer/journal/line.h"

#include "base/crc32c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CHECK_SIZE = 10 }; /* " =4eb6b1c3" */

/* --- writing --- */

static void separate(struct text *t)
{
    if (t->size && t->bytes[t->size - 1] != '\n')
        text_add(t, " ", 1);
}

static bool stands_for_itself(unsigned char c)
{
    return c > 0x20 && c != 0x7f && c != '%';
}

void line_field(struct text *t, const char *value)
{
    separate(t);
    if (!*value)
        text_add(t, "-", 1);
    else if (strcmp(value, "-") == 0)
        text_add(t, "%2d", 3);
    else
        for (const char *c = value; *c; c++) {
            if (stands_for_itself((unsigned char)*c))
                text_add(t, c, 1);
            else
                text_printf(t, "%%%02x", (unsigned char)*c);
        }
}

void line_number(struct text *t, uint64_t value)
{
    separate(t);
    text_printf(t, "%" PRIu64, value);
}

void line_ranges(struct text *t, const uint32_t *ranges, int count)
{
    separate(t);
    if (count == 0)
        text_add(t, "-", 1);
    for (int i = 0; i < count; i++)
        text_printf(t, i ? ",%08" PRIx32 : "%08" PRIx32, ranges[i]);
}

void line_end(struct text *t, size_t begin)
{
    if (!t->failed)
        text_printf(t, " =%08" PRIx32 "\n", crc32c(0, t->bytes + begin, t->size - begin));
}

void line_header(struct text *t, const char *source, const char *target)
{
    size_t begin = t->size;
    line_field(t, "ferry-journal");
    line_number(t, 1);
    line_field(t, source);
    line_field(t, target);
    line_end(t, begin);
}

void line_start(struct text *t, const struct journal_start *s)
{
    size_t begin = t->size;
    line_field(t, "begin");
    line_field(t, s->name);
    line_number(t, s->size);
    line_field(t, s->identity);
    line_number(t, s->part_bytes);
    line_number(t, s->range_bytes);
    line_number(t, !s->token_is_secret);
    line_field(t, s->upload_token);
    line_end(t, begin);
}

void line_part(struct text *t, const char *name, int part, const uint32_t *ranges, int range_count,
               const char *sha256_state)
{
    size_t begin = t->size;
    line_field(t, "part");
    line_field(t, name);
    line_number(t, (uint64_t)part);
    line_ranges(t, ranges, range_count);
    line_field(t, sha256_state);
    line_end(t, begin);
}

void line_seal(struct text *t, const char *name, const struct journal_seal *s)
{
    size_t begin = t->size;
    line_field(t, "seal");
    line_field(t, name);
    separate(t);
    text_printf(t, "%08" PRIx32, s->crc32c);
    line_field(t, s->sha256);
    line_ranges(t, s->ranges, s->range_count);
    line_end(t, begin);
}

void line_done(struct text *t, const char *name, int64_t generation)
{
    size_t begin = t->size;
    line_field(t, "done");
    line_field(t, name);
    separate(t);
    text_printf(t, "%" PRId64, generation);
    line_end(t, begin);
}

/* --- reading --- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool unescape(char *field)
{
    char *out = field;
    if (strcmp(field, "-") == 0) {
        *field = '\0';
        return true;
    }
    for (char *c = field; *c; c++) {
        if (*c != '%') {
            *out++ = *c;
            continue;
        }
        int high = hex_digit(c[1]), low = high < 0 ? -1 : hex_digit(c[2]);
        if (low < 0 || high + low == 0)
            return false;
        *out++ = (char)(high << 4 | low);
        c += 2;
    }
    *out = '\0';
    return out > field; /* what is empty is written "-" */
}

static bool checksum_fits(const char *line, size_t size)
{
    uint32_t check;
    const char *tail = line + size - CHECK_SIZE;
    return memcmp(tail, " =", 2) == 0 && field_hex32(tail + 2, &check) &&
           check == crc32c(0, line, size - CHECK_SIZE);
}

bool line_split(struct line *l, char *line, size_t size)
{
    *l = (struct line){0};
    if (size <= CHECK_SIZE || memchr(line, '\0', size))
        return false;
    line[size] = '\0'; /* where the newline was */
    if (!checksum_fits(line, size))
        return false;
    line[size - CHECK_SIZE] = '\0';
    for (char *at = line; at;) {
        char *space = strchr(at, ' ');
        if (space)
            *space++ = '\0';
        if (l->count == LINE_MAX_FIELDS || !unescape(at))
            return false;
        l->fields[l->count++] = at;
        at = space;
    }
    return true;
}

static bool is_decimal(const char *field)
{
    size_t n = strspn(field, "0123456789");
    return n > 0 && field[n] == '\0' && (n == 1 || *field != '0');
}

bool field_u64(const char *field, uint64_t least, uint64_t most, uint64_t *out)
{
    if (!is_decimal(field))
        return false;
    errno = 0;
    *out = strtoull(field, NULL, 10);
    return errno == 0 && *out >= least && *out <= most;
}

bool field_i64(const char *field, int64_t *out)
{
    if (!is_decimal(field + (*field == '-')))
        return false;
    errno = 0;
    *out = strtoll(field, NULL, 10);
    return errno == 0;
}

static bool eight_digits(const char *field, uint32_t *out)
{
    uint32_t value = 0;
    for (int i = 0; i < 8; i++) {
        int digit = hex_digit(field[i]);
        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
    }
    *out = value;
    return true;
}

bool field_hex32(const char *field, uint32_t *out)
{
    return eight_digits(field, out) && field[8] == '\0';
}

bool field_sha256(const char *field)
{
    size_t n = strspn(field, "0123456789abcdef");
    return field[n] == '\0' && (n == 0 || n == SHA256_HEX - 1);
}

bool field_ranges(const char *field, uint32_t *ranges, size_t count)
{
    if (count == 0)
        return *field == '\0';
    for (size_t i = 0; i < count; i++, field += 9) {
        if (!eight_digits(field, &ranges[i]) || field[8] != (i + 1 < count ? ',' : '\0'))
            return false;
    }
    return true;
}
