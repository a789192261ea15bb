/* content_range.h: what a 206 says it brings (RFC 9110, section 14.4), and what a 308 of a resumable upload
 * says it has. */
#ifndef FERRY_NET_CONTENT_RANGE_H
#define FERRY_NET_CONTENT_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* "bytes 0-99/1234". total UINT64_MAX for "*". False: not of that form, or begin > end, or end >= total. */
bool content_range_parse(const char *text, uint64_t *begin, uint64_t *size, uint64_t *total);

/* "bytes=0-99" of a 308: how many bytes are safe; NULL (no such header) is 0. False: not of that form. */
bool range_held_parse(const char *text, uint64_t *held);

#endif
