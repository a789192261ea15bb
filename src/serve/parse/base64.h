/* base64.h: RFC 4648 section 4, strict: the standard alphabet, padded, nothing between or behind, unused bits
 * zero. What decodes has exactly one spelling. */
#ifndef FERRY_SERVE_PARSE_BASE64_H
#define FERRY_SERVE_PARSE_BASE64_H

#include "base/err.h"

#include <stddef.h>

/* Bytes that text of this length can decode to. */
static inline size_t base64_room(size_t text_size)
{
    return text_size / 4 * 3;
}

/* out: base64_room(size) bytes. False with *e set: which character, where, or the length. */
bool base64_decode(unsigned char *out, size_t *out_size, const char *text, size_t size, struct err *e);

#endif
