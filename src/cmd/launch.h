/* launch.h: another program in the place of this one: the same process, its signals, its exit code. */
#ifndef FERRY_CMD_LAUNCH_H
#define FERRY_CMD_LAUNCH_H

#include "base/arena.h"
#include "base/err.h"

/* The file that a shell would run for this name: a path as it is, else the first in PATH that can be run. In
 * the arena; NULL with *e set: none, or one that may not be run. */
char *launch_find(const char *name, struct arena *a, struct err *e);

/* words[0..count) with `value` wherever `mark` stands in them, ended by NULL. In the arena; NULL: no memory.
 */
char **launch_words(struct arena *a, char *const *words, int count, const char *mark, const char *value);

/* Does not return when it works. Descriptors that are not close-on-exec, the environment and ignored signals
 * go along; handlers do not. */
bool launch(const char *path, char *const *words, struct err *e);

#endif
