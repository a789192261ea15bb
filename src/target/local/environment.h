/* environment.h: the variables of a server, and of a process as bytes that can be sent. */
#ifndef FERRY_TARGET_LOCAL_ENVIRONMENT_H
#define FERRY_TARGET_LOCAL_ENVIRONMENT_H

#include "target/local/spec.h"

#include <stddef.h>

enum { ENVIRONMENT_MAX_BYTES = 4 << 20 };

/* Those of a process, which the contract of a container comes before (docs/design.md, "The service"):
 * FERRY_MODEL, PORT, what spec says, K_SERVICE, and the socket. Freed by environment_free. NULL: no memory.
 */
char **environment_of_server(char *const *process, const struct spec *s);

/* In the process that is to be the server: that the socket is meant for it. Allocates nothing. */
void environment_set_pid(char **variables);

/* All of them, each with its \0; NULL: no memory. Freed by free. */
char *environment_pack(char *const *variables, size_t *size);

/* From such bytes, which are copied. NULL with no memory, or when they do not end with \0. Freed by
 * environment_free. */
char **environment_unpack(const char *bytes, size_t size);

void environment_free(char **variables); /* NULL is fine */

#endif
