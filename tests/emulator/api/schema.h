/* schema.h: what the parts of the checker share. */
#ifndef FERRY_EMULATOR_API_SCHEMA_H
#define FERRY_EMULATOR_API_SCHEMA_H

#include "api/api.h"

const char *schema_text(const json_t *schema, const char *key); /* "" when it does not say */
/* Follows $ref. */
const json_t *schema_resolve(const json_t *api, const json_t *schema);
const json_t *schema_named(const json_t *api, const char *name); /* NULL is fine */

/* Whether a text has the format ("int64", "date-time", …) and is of the enum, if the schema says so. */
bool schema_allows(const json_t *schema, const char *text);
bool pattern_hits(const char *pattern, const char *text); /* POSIX extended */

/* The names of a partial answer ("items(name,size),nextPageToken") are those of the schema. */
bool mask_check(const json_t *api, const json_t *schema, const char *mask, struct err *e);

#endif
