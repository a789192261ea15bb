/* service_config.h: what an operator sets for all requests of a service, live, as one JSON object:
 *
 *   {"system_prompt": "You answer in one sentence.", "temperature": 0.2, "max_tokens": 200}
 *
 *   system_prompt        text that stands first when a conversation brings no system message of its own
 *   temperature          0 to 2           top_p, min_p   0 to 1           top_k   -1 and 0: off
 *   repetition_penalty   0.01 to 100      max_tokens     from 1           seed    a whole number
 *   stop                 a string, or an array of up to four
 *
 * Every field may be left out; null counts as left out. The model's own defaults come first, then this, then
 * what a request says itself: max_tokens is a default, not a ceiling. A field of another name or type, a
 * value out of range, a NUL, more than SERVICE_CONFIG_MAX_BYTES: the whole object is refused, with what was
 * wrong. What is taken here fails no request. Stateless; any thread. */
#ifndef FERRY_SERVE_SERVICE_CONFIG_H
#define FERRY_SERVE_SERVICE_CONFIG_H

#include "base/arena.h"
#include "base/err.h"
#include "serve/request.h"

#include <jansson.h>

enum { SERVICE_CONFIG_MAX_BYTES = 256 << 10, SERVICE_CONFIG_ARENA = 4 * SERVICE_CONFIG_MAX_BYTES };

struct service_config {
    const char *json;          /* the object without white space: "{}" when nothing is set */
    const char *system_prompt; /* NULL: not set */
    float temperature, top_p, min_p, repetition_penalty; /* NAN: not set */
    int top_k;                                           /* -1: not set */
    int max_tokens;                                      /* 0: not set */
    bool has_seed;
    uint64_t seed;
    const char *stops[REQUEST_MAX_STOPS];
    int stop_count; /* -1: not set */
};

/* Nothing is set. */
void service_config_init(struct service_config *c);

/* Strings in the arena, which needs SERVICE_CONFIG_ARENA at most. False with *e set: which field, what of it.
 */
bool service_config_parse(struct service_config *c, const char *text, size_t size, struct arena *a,
                          struct err *e);

/* Onto a request that has the model's defaults and was not parsed yet; c must outlive it. */
void service_config_apply(const struct service_config *c, struct chat_request *r);

/* One field as a person types it: a number bare, system_prompt and a stop string without quotes, several stop
 * strings as ["a", "b"]. A new reference; NULL with *e (ERR_USAGE) set: no such field, and which there are.
 */
json_t *service_config_value(const char *name, const char *text, struct err *e);

/* ERR_USAGE, and which fields there are, unless it is one. */
bool service_config_knows(const char *name, struct err *e);

#endif
