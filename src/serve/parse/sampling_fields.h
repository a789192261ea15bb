/* sampling_fields.h: fields that a request and the live configuration share, so that what one accepts the
 * other does. Each reader refuses what the sampler or the stop matcher would: a value that is taken here
 * fails no answer later. */
#ifndef FERRY_SERVE_PARSE_SAMPLING_FIELDS_H
#define FERRY_SERVE_PARSE_SAMPLING_FIELDS_H

#include "base/arena.h"
#include "serve/request.h"

#include <jansson.h>

enum { FIELD_MAX_TEMPERATURE = 2, FIELD_MAX_TOKENS = 1 << 30 };

/* -1 and 0: off. */
bool field_top_k(const char *path, json_t *value, int *out, struct api_error *e);
bool field_repetition_penalty(const char *path, json_t *value, float *out, struct api_error *e);
bool field_seed(const char *path, json_t *value, uint64_t *out, struct api_error *e);

/* A string, or an array of at most REQUEST_MAX_STOPS; copies in the arena. */
bool field_stops(const char *path, json_t *value, struct arena *a, const char *stops[REQUEST_MAX_STOPS],
                 int *count, struct api_error *e);

/* The string's bytes with a NUL behind them, in the arena. size may be NULL. */
bool field_copy(const char *path, const json_t *value, struct arena *a, const char **out, size_t *size,
                struct api_error *e);

#endif
