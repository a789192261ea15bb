/* line.h: one line of a journal: fields between single spaces, then " =" and the CRC32C of what stands before
 * it, in hex.
 *
 * In a field "%XX" stands for a byte that is no printable character, for a space and for "%" itself; "-" is
 * the empty field. */
#ifndef FERRY_TRANSFER_JOURNAL_LINE_H
#define FERRY_TRANSFER_JOURNAL_LINE_H

#include "transfer/journal.h"
#include "transfer/journal/text.h"

enum { LINE_MAX_FIELDS = 8 };

/* Writing. A line begins where line_end or nothing is in front of it. */
void line_field(struct text *t, const char *value);
void line_number(struct text *t, uint64_t value);
void line_ranges(struct text *t, const uint32_t *ranges, int count);
void line_end(struct text *t, size_t begin); /* begin: t->size when the line began */

void line_header(struct text *t, const char *source, const char *target);
void line_start(struct text *t, const struct journal_start *s);
void line_part(struct text *t, const char *name, int part, const uint32_t *ranges, int range_count,
               const char *sha256_state);
void line_seal(struct text *t, const char *name, const struct journal_seal *s);
void line_done(struct text *t, const char *name, int64_t generation);

/* Reading. line[0..size) without its newline is taken apart in place. False: damaged. */
struct line {
    char *fields[LINE_MAX_FIELDS];
    int count;
};
bool line_split(struct line *l, char *line, size_t size);

/* A field as what it must be; nothing else is taken. */
bool field_u64(const char *field, uint64_t least, uint64_t most, uint64_t *out);
bool field_i64(const char *field, int64_t *out);
bool field_hex32(const char *field, uint32_t *out); /* eight digits */
bool field_sha256(const char *field);               /* 64 digits or nothing */
bool field_ranges(const char *field, uint32_t *ranges, size_t count);

#endif
