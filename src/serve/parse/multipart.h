/* multipart.h: a multipart/form-data body (RFC 7578, RFC 2046) that lies in memory as a whole.
 * Nothing is copied but names: values point into the body. */
#ifndef FERRY_SERVE_PARSE_MULTIPART_H
#define FERRY_SERVE_PARSE_MULTIPART_H

#include "base/err.h"

#include <stddef.h>

enum {
    MULTIPART_BOUNDARY = 71, /* RFC 2046: at most 70 characters */
    MULTIPART_NAME = 64,
    MULTIPART_MAX_PARTS = 64,
};

struct multipart_part {
    char name[MULTIPART_NAME];
    const char *data; /* size bytes of the body */
    size_t size;
};

/* The boundary parameter of a Content-Type header. False: there is none that is valid. */
bool multipart_boundary(const char *content_type, char boundary[MULTIPART_BOUNDARY]);

/* parts: MULTIPART_MAX_PARTS. False with *e set: what is wrong with which part. */
bool multipart_parse(const char *body, size_t size, const char *boundary, struct multipart_part *parts,
                     int *count, struct err *e);

#endif
