/* fields.h: a JSON object read through a table that knows every field it may have.
 *
 * A field that the table lacks is refused by name: a service that ignores what it does not know answers
 * another question than it was asked. null counts as left out. */
#ifndef FERRY_SERVE_PARSE_FIELDS_H
#define FERRY_SERVE_PARSE_FIELDS_H

#include "serve/api_error.h"

#include <jansson.h>
#include <stddef.h>

enum field_kind {
    FIELD_FLOAT,   /* float at offset, min..max */
    FIELD_INT,     /* int at offset, min..max */
    FIELD_BOOL,    /* bool at offset */
    FIELD_CUSTOM,  /* read() */
    FIELD_IGNORED, /* cannot change the answer */
    FIELD_EMPTY,   /* refused unless false, [] or {} */
    FIELD_WORD,    /* a string of `words`; others are refused */
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
    double min, max;
    bool (*read)(void *target, const char *path, json_t *value, struct api_error *e);
    const char *words; /* "none auto" */
    const char *why;   /* FIELD_EMPTY, FIELD_WORD: what this service does not do */
};

enum { FIELD_PATH = 96 };

/* where: path of the object, "" at the top. False with *e set and its param naming the field. */
bool fields_read(const struct field *table, size_t count, json_t *object, const char *where, void *target,
                 struct api_error *e);

/* The checks that tables and custom readers share. Always about `path`. */
bool field_expect(bool is, const char *path, json_t *value, const char *expected, struct api_error *e);
bool field_int(const char *path, json_t *value, double min, double max, int *out, struct api_error *e);
bool field_float(const char *path, json_t *value, double min, double max, float *out, struct api_error *e);

/* A JSON string equals s, to its last byte. */
bool field_is(const json_t *value, const char *s);

#endif
