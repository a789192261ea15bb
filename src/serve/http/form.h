/* form.h: the fields of a multipart/form-data body as they arrive (libmicrohttpd's post processor). */
#ifndef FERRY_SERVE_HTTP_FORM_H
#define FERRY_SERVE_HTTP_FORM_H

#include "base/err.h"
#include "serve/http/bytes.h"

#include <microhttpd.h>

enum { FORM_MAX_FIELDS = 64, FORM_NAME = 64 };

struct form_field {
    char name[FORM_NAME]; /* cut when longer: then no table knows it */
    struct bytes value;
};

struct form;

/* For a request whose Content-Type is multipart/form-data. NULL: no boundary, or no memory. */
struct form *form_new(struct MHD_Connection *c);
void form_free(struct form *f); /* NULL is fine */

/* The next bytes of the body. False with *e set: not multipart, too many fields, no memory. */
bool form_add(struct form *f, const char *data, size_t size, struct err *e);

/* After the last byte. False with *e set: the body ended before its closing boundary. */
bool form_end(struct form *f, struct err *e);

int form_count(const struct form *f);
const struct form_field *form_field(const struct form *f, int i);

#endif
