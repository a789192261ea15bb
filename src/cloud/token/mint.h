/* mint.h: the ways in which a new token is made. Each is one function: no cache, no lock. */
#ifndef FERRY_CLOUD_TOKEN_MINT_H
#define FERRY_CLOUD_TOKEN_MINT_H

#include "cloud/token.h"
#include "cloud/token/credential.h"

/* A token and how long it lives. */
struct minted {
    char token[TOKEN_MAX_BYTES];
    int seconds; /* 0: not known, never ends by itself */
};

/* Only printable ASCII without spaces, not empty, and it fits: nothing that could break a header. */
bool mint_keep(struct minted *m, const char *token, struct err *e);

/* {"access_token":"…","expires_in":3599,…} */
bool mint_parse(struct minted *m, const char *json, size_t size, struct err *e);

/* A token endpoint: refresh token or signed assertion. */
bool mint_user(struct http *h, const struct credential *c, struct minted *out, struct err *e);
bool mint_service_account(struct http *h, const struct credential *c, struct minted *out, struct err *e);

/* The metadata server of a VM or of Cloud Run. The ping takes three seconds at most. */
bool metadata_is_there(struct http *h);
bool mint_metadata(struct http *h, struct minted *out, struct err *e);

/* `gcloud auth print-access-token`. timeout_ms: then it is killed. */
bool gcloud_is_there(void);
bool mint_gcloud(int timeout_ms, struct minted *out, struct err *e);

/* How far this machine's clock is from an answer's Date header, in seconds (positive: ahead); 0 without one.
 */
long clock_skew_seconds(const struct http_reply *r);

#endif
