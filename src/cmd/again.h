/* again.h: the command that goes on where this one stopped, as one can paste it into a shell. */
#ifndef FERRY_CMD_AGAIN_H
#define FERRY_CMD_AGAIN_H

#include "base/arena.h"

/* "ferry NAME ARGS…", each argument quoted where a POSIX shell would take it apart. To be asked before
 * options_read rearranges args. NULL: no memory. */
char *command_again(struct arena *a, const char *name, char *const *args, int count);

/* The words alone, quoted in the same way. NULL: no memory. */
char *command_line(struct arena *a, char *const *words, int count);

#endif
