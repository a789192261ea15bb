/* api.h: what Google says of its APIs, and whether a request is one that it describes. The descriptions are
 * discovery documents, trimmed by tools/apis/trim.mjs; one more file in their folder is one more API.
 *
 *   struct apis *a = apis_load("tests/data/apis", e);
 *   struct api_call c;
 *   switch (api_find(a, "POST", "/storage/v1/b", &c)) …
 *   api_check_query(&c, arguments, count, e) && api_check_body(&c, type, bytes, size, &json, e)
 *
 * What is checked: method and path, names and values of the query, the fields that the answer is asked for,
 * and names, types, formats, enums and required fields of the body. Stricter than Google where Google is
 * lenient (64-bit numbers must be the strings they are described as). Any thread once it is loaded. */
#ifndef FERRY_EMULATOR_API_H
#define FERRY_EMULATOR_API_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct apis;

/* All *.json in the folder. NULL with *e set. */
struct apis *apis_load(const char *folder, struct err *e);
void apis_free(struct apis *a); /* NULL is fine */

enum api_match {
    API_NONE,    /* not a path of an API that is described */
    API_UNKNOWN, /* one, but no method */
    API_METHOD,
};

/* A method that is called. All is the description's. */
struct api_call {
    const char *id;       /* "storage.buckets.insert" */
    const json_t *method; /* its description */
    const json_t *api;    /* and the whole */
    bool upload, download;
};

/* path: as sent, without the query. */
enum api_match api_find(const struct apis *a, const char *http_method, const char *path,
                        struct api_call *out);

struct api_argument {
    const char *name, *value; /* decoded */
};

/* False with *e (ERR_USAGE) saying what is wrong, in Google's words. */
bool api_check_query(const struct api_call *c, const struct api_argument *arguments, int count,
                     struct err *e);
/* type: the Content-Type, or NULL. *out: the body, a new reference, NULL when there is none. */
bool api_check_body(const struct api_call *c, const char *type, const char *bytes, size_t size, json_t **out,
                    struct err *e);
bool api_check_json(const struct api_call *c, const json_t *body, struct err *e);

#endif
