/* rest.h: one call of a Google JSON API: a path with names in it, a JSON body, a JSON answer.
 *
 *   json_t *service = rest_call(c, &(struct rest){.api = "run", .method = "GET",
 *                                                 .path = "/v2/projects/{}/locations/{}/services/{}",
 *                                                 .names = {project, region, name}}, e);
 *
 * Names are encoded here. Any thread. */
#ifndef FERRY_CLOUD_CALL_REST_H
#define FERRY_CLOUD_CALL_REST_H

#include "cloud/cloud.h"

enum { REST_MAX_NAMES = 6 };

struct rest {
    const char *api;                   /* whose endpoint: "run" */
    const char *method;                /* "GET" */
    const char *path;                  /* from the slash on, with its query; {} stands for a name */
    const char *names[REST_MAX_NAMES]; /* for each {} in turn; one that is empty is refused */
    const json_t *body;                /* NULL: none */
    int flags;                         /* enum cloud_flags; a GET is idempotent without it */
    bool reads;                        /* not a GET, and yet changes nothing: a rehearsal sends it */
    int *tries;                        /* how many requests went out; may be NULL */
    int connect_seconds;               /* 0: net/http.h's */
    const volatile sig_atomic_t *stop; /* ends it within a second once it is nonzero; may be NULL */
};

/* The answer ({} when it has no body), a reference of the caller's. NULL with *e set in cloud_explain's
 * words. */
json_t *rest_call(struct cloud *c, const struct rest *q, struct err *e);

/* The same of a DELETE: what is not there any more is deleted, {"done":true}. */
json_t *rest_delete(struct cloud *c, const struct rest *q, struct err *e);

/* Each page of a listing (nextPageToken, pageToken). */
typedef bool (*rest_page_fn)(void *arg, const json_t *page, struct err *e);
bool rest_pages(struct cloud *c, const struct rest *q, rest_page_fn fn, void *arg, struct err *e);

/* Each element of the array `items` of all pages of a listing. False from fn ends it, and so does a list that
 * says of itself that it is incomplete (unreachable): ERR_TRANSIENT. */
typedef bool (*rest_item_fn)(void *arg, const json_t *item, struct err *e);
bool rest_each(struct cloud *c, const struct rest *q, const char *items, rest_item_fn fn, void *arg,
               struct err *e);

#endif
