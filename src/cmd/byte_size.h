/* byte_size.h: amounts of memory, as people and Cloud Run write them. */
#ifndef FERRY_CMD_BYTE_SIZE_H
#define FERRY_CMD_BYTE_SIZE_H

#include "base/err.h"

#include <stdint.h>

/* "32Gi", "1.5GiB", "512Mi" are powers of 1024, "32G", "800MB" of 1000, "1048576" is bytes. what: for the
 * message, such as "--memory". False with *e (ERR_USAGE) set. */
bool byte_size_parse(const char *text, const char *what, uint64_t *bytes, struct err *e);

#endif
