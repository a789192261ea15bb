/* plan_state.h: small JSON files that plans rest on, in $XDG_STATE_HOME/ferry (~/.local/state/ferry; folders
 * of mode 0700, files 0600). One writer at a time: of two at once the later wins, and each finds a whole
 * file. */
#ifndef FERRY_CMD_PLAN_STATE_H
#define FERRY_CMD_PLAN_STATE_H

#include "base/arena.h"
#include "base/err.h"

#include <jansson.h>

/* name: "measured.json". In the arena. NULL with *e set: neither HOME nor XDG_STATE_HOME says where. */
const char *plan_state_path(const char *name, struct arena *a, struct err *e);

/* The text of that file, in the arena. NULL: there is none, or *e is set. */
const char *plan_state_read(const char *path, struct arena *a, size_t *size, struct err *e);

/* root: its reference is taken; NULL: no memory. */
bool plan_state_write(const char *name, json_t *root, struct arena *a, struct err *e);

/* Today, in UTC: "2026-11-25". */
void plan_state_date(char out[16]);

/* A string without control characters (C0, DEL) that fits, or false. */
bool plan_state_word(char *out, size_t room, const json_t *o, const char *key);

/* What fits of a text, so that plan_state_word takes it; control characters become "?". */
void plan_state_copy(char *out, size_t room, const char *text);

#endif
