/* json_map.h: a flat JSON object of strings to whole numbers, {"text": 17, …}, entry by entry: what
 * vocab.json is. It has 150,000 entries and stands in the way of the first token, so no tree is built. */
#ifndef FERRY_ENGINE_TEXT_JSON_MAP_H
#define FERRY_ENGINE_TEXT_JSON_MAP_H

#include "base/err.h"

#include <stddef.h>

enum { JSON_MAP_MAX_KEY = 4096 }; /* bytes of a key, far over the longest token known (256) */

struct json_map {
    const char *text;
    size_t size, at;
    char key[JSON_MAP_MAX_KEY]; /* of the current entry, escapes resolved; valid UTF-8, not NUL-terminated */
    size_t key_size;
    int value;
};

void json_map_init(struct json_map *m, const char *text, size_t size);

enum json_map_step { JSON_MAP_ENTRY, JSON_MAP_END, JSON_MAP_BAD };

/* The next entry into key and value. JSON_MAP_BAD with *e set: what was expected at which byte. */
enum json_map_step json_map_next(struct json_map *m, struct err *e);

#endif
