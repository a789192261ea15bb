/* byte_range.h: which bytes of a file `ferry cat --range` asks for. */
#ifndef FERRY_CMD_BYTE_RANGE_H
#define FERRY_CMD_BYTE_RANGE_H

#include "base/err.h"

#include <stdint.h>

struct byte_range {
    uint64_t first, last; /* both inclusive; last UINT64_MAX: to the end */
    uint64_t tail;        /* not 0: the last so many bytes, first and last do not count */
};

/* "0-99", "100-", "-100". False with *e (ERR_USAGE) set. */
bool byte_range_parse(struct byte_range *r, const char *text, struct err *e);

/* What that is of a file of `size` bytes; *length 0 where it lies behind the end. */
void byte_range_of(const struct byte_range *r, uint64_t size, uint64_t *offset, uint64_t *length);

#endif
