/* request.h: what the storage calls have in common: URLs, the range of an answer, an object's JSON. */
#ifndef FERRY_CLOUD_STORAGE_REQUEST_H
#define FERRY_CLOUD_STORAGE_REQUEST_H

#include "cloud/call/call.h"
#include "cloud/storage.h"

/* Names of 1024 bytes are 3072 percent-encoded, and each step of a URL is a copy. */
enum { SCRATCH_BYTES = 256 << 10 };

enum {
    MOVE_STALL_SECONDS = 300, /* sealing and copying: Cloud Storage moves bytes before it answers */
};

/* A growing URL with its own memory: url_start, url_add…, url_end. Where memory is short url.text is NULL,
 * and url_ready says so. */
struct url {
    struct arena *arena;
    char *text;
    bool unnamed; /* a name was empty: the URL would mean something else */
};
/* storage's endpoint and a formatted path; the strings in it are encoded already. */
void url_start(struct url *u, struct cloud *c);
void url_literal(struct url *u, const char *text);
void url_name(struct url *u, const char *text);    /* one segment, or a value of the query */
void url_slashed(struct url *u, const char *text); /* a name whose slashes stay: the XML API's path */
void url_number(struct url *u, const char *before, int64_t n);
void url_generation(struct url *u, char joint, int64_t if_generation); /* the precondition, if there is one */
bool url_ready(const struct url *u, struct err *e);
void url_end(struct url *u);

/* {endpoint}/storage/v1/b/B/o/O, where most calls begin. */
void url_object(struct url *u, struct cloud *c, const char *bucket, const char *name);
/* {endpoint}/B/O of the XML API. */
void url_xml(struct url *u, struct cloud *c, const char *bucket, const char *name);

/* An object's JSON (storage-v1 "Object"). The strings are the JSON's. False with *e (ERR_CORRUPT) set. */
bool object_read(const json_t *json, struct object *out, struct err *e);
/* The same with strings in the arena. */
bool object_keep(const json_t *json, struct arena *a, struct object *out, struct err *e);

/* One page of a listing, without the network; *next is the JSON's, NULL when there is none. */
bool page_read(const json_t *page, const struct storage_list *l, const char **next, struct err *e);

#endif
