/* cloud.h: one authorised call to a Google API: token, retries, error body, endpoint.
 *
 *   struct cloud *c = cloud_new(http, &config, e);
 *   struct http_request q = {.method = "GET", .url = url};
 *   if (cloud_call(c, &q, CLOUD_IDEMPOTENT, &reply, e)) …      reply.status is 2xx, or one asked for
 *
 * A 401 is answered by one fresh token and one more try, in the middle of a copy too. Any thread. */
#ifndef FERRY_CLOUD_CLOUD_H
#define FERRY_CLOUD_CLOUD_H

#include "base/arena.h"
#include "base/err.h"
#include "cloud/gcloud_config.h"
#include "cloud/token.h"
#include "net/http.h"
#include "net/retry.h"

#include <jansson.h>

struct cloud;

/* http must outlive it. The token source is looked for by the first call. NULL with *e set. */
struct cloud *cloud_new(struct http *h, const struct gcloud_config *config, struct err *e);
void cloud_free(struct cloud *c); /* NULL is fine */
struct http *cloud_http(const struct cloud *c);
const struct gcloud_config *cloud_config(const struct cloud *c);
struct token_source *cloud_tokens(struct cloud *c, struct err *e); /* NULL with *e set: none to be had */

/* When calls are tried again: retry_default unless told (tests). policy must outlive c. */
void cloud_set_retry(struct cloud *c, const struct retry_policy *policy);
const struct retry_policy *cloud_retry(const struct cloud *c);

/* Base URL of an API without a slash at its end: FERRY_ENDPOINT_<NAME> (FERRY_ENDPOINT_STORAGE), gcloud's
 * api_endpoint_overrides, for storage STORAGE_EMULATOR_HOST, else https://<name>.googleapis.com. Of an
 * override only scheme, host and port count. The cloud's until it is freed. */
const char *cloud_endpoint(struct cloud *c, const char *name);

enum cloud_flags {
    CLOUD_IDEMPOTENT = 1, /* a second try does no harm: reads, lists, anything with a precondition */
    CLOUD_ANY_STATUS = 2, /* a status that is not 2xx is the caller's to judge (after retries and 401) */
    CLOUD_NO_BEARER = 4,  /* the URL is the credential (an upload session, a signed URL) */
    CLOUD_NO_QUOTA = 8,   /* no X-Goog-User-Project: storage, where it would make the caller pay */
    CLOUD_ONE_TRY = 16,   /* the caller has a loop of its own (cloud_retry); a 401 is still answered */
};

/* False with *e set when no answer or (without CLOUD_ANY_STATUS) none of 2xx came: cloud_explain. A call that
 * is not idempotent is tried again only after a 429, which nobody has acted on. With on_data the caller must
 * bear hearing a body from its start again, or pass CLOUD_ONE_TRY. */
bool cloud_call(struct cloud *c, const struct http_request *q, int flags, struct http_reply *r,
                struct err *e);

/* The same with a whole JSON answer of at most 8 MiB ({} for a 204): a reference of the caller's, NULL with
 * *e set. */
json_t *cloud_json(struct cloud *c, const struct http_request *q, int flags, struct http_reply *r,
                   struct err *e);

/* What an answer that is not 2xx means, in one line: Google's own message (JSON and XML bodies), and for what
 * people stumble over its cause and the next step: a closed billing account (also of somebody else's
 * project), a missing permission, an API that is not enabled, a rate limit. Kinds: 401 ERR_AUTH, 403
 * ERR_AUTH, 404 ERR_NOT_FOUND, 409 and 412 ERR_BUSY, 429 and 5xx ERR_TRANSIENT, 400 because of a checksum
 * ERR_CORRUPT, else ERR_USAGE. Always false. */
bool cloud_explain(const struct http_reply *r, struct err *e);

/* The same of an operation that failed: google.rpc.Status, {"code":9,"message":"…","details":[…]}. */
bool cloud_explain_status(const json_t *status, struct err *e);

/* --- rehearsals ---
 *
 * While c rehearses, calls through call/rest.h that would change something are told to fn in place of being
 * sent, and answered as if they had worked at once; what only reads is sent. */
typedef void (*cloud_told_fn)(void *arg, const char *method, const char *url, const json_t *body);
void cloud_rehearse(struct cloud *c, cloud_told_fn fn, void *arg); /* before other threads use c */
bool cloud_rehearses(const struct cloud *c);

#endif
