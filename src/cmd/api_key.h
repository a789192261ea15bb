/* api_key.h: the key that clients must send, from its file. */
#ifndef FERRY_CMD_API_KEY_H
#define FERRY_CMD_API_KEY_H

#include "base/arena.h"
#include "base/err.h"

/* The file's first line, in the arena. NULL with *e set: no file, or nothing in that line. */
const char *api_key_read(const char *file, struct arena *a, struct err *e);

#endif
