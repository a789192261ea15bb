/* config.h: `ferry config`, taken apart: the object and what it was before (config_object.c,
 * config_history.c), and what a service says of it (config_service.c). config.c reads the command line.
 *
 * What was in force before lies beside the object, in any bucket and any folder alike:
 *
 *   gs://b/config.json                       the configuration
 *   gs://b/config.json.history/GENERATION.json    what it was, under the generation it had, since it was
 *                                            replaced
 *
 * A copy is made before the object is replaced, so what somebody put there by other means is kept too. */
#ifndef FERRY_CMD_CONFIG_H
#define FERRY_CMD_CONFIG_H

#include "cmd/option.h"
#include "cmd/sources.h"
#include "serve/service_config.h"

#include <jansson.h>

struct config_settings {
    const char *file, *api_key;
    struct text_list unset;
    bool all, dry_run, json;
};

/* One run of the command. */
struct config_run {
    struct config_settings settings;
    struct arena *arena;
    struct stores *stores;
    struct place place; /* of the object */
    const char *uri;    /* the object, as people type it */
};

/* One version of it. */
struct config_object {
    int64_t generation;  /* STORAGE_ABSENT: there is none */
    const char *updated; /* RFC 3339 */
    const char *text;    /* NUL-terminated; NULL: none, or larger than a configuration may be */
    size_t size;
    json_t *json;       /* NULL: text is no JSON object */
    struct err problem; /* why a service would refuse it; ERR_NONE: it would not */
};

void config_object_clear(struct config_object *o); /* a zeroed one is fine */

/* --- config_object.c --- */

/* `name` in the place. One that is not there is no failure. */
bool config_object_read(struct config_run *c, const char *name, struct config_object *o, struct err *e);

/* False with *e (the problem, and where) set when a service would refuse it. */
bool config_object_check(const struct config_run *c, const struct config_object *o, struct err *e);

/* Keeps what is there, then writes `json` (a reference that stays the caller's) in its place, unless somebody
 * has replaced it meanwhile: ERR_BUSY. --dry-run: says what would be written. Tells what it did. */
bool config_object_replace(struct config_run *c, const struct config_object *now, const json_t *json,
                           struct err *e);

/* get, set KEY=VALUE… */
bool config_get(struct config_run *c, struct err *e);
bool config_set(struct config_run *c, char *const *words, int count, struct err *e);

/* The object as people read it, without a line end. From malloc; NULL: no memory. */
char *config_text(const json_t *json, size_t flags);
/* To stdout: a whole JSON object, which is let go of. */
bool config_print(json_t *json, struct err *e);

/* --- config_history.c --- */

/* "NAME.history/GENERATION.json" in the place; generation 0: the folder, with a slash at its end. In the
 * arena; NULL: no memory. */
char *config_history_name(const struct config_run *c, int64_t generation);
/* The generation in such a leaf name; 0: it is none. */
int64_t config_history_generation(const char *leaf);

bool config_history(struct config_run *c, struct err *e);
/* which: "1" is the one before, "2" the one before that, or a generation. */
bool config_rollback(struct config_run *c, const char *which, struct err *e);

/* --- config_service.c --- */

/* Prints what the service at url has in force. */
bool config_service_get(struct config_run *c, const char *url, struct err *e);
/* Where that service reads its configuration, in the arena: a URI that can be opened from here. NULL with *e
 * set. */
const char *config_service_source(struct config_run *c, const char *url, struct err *e);

#endif
