/* mint.h: the ways in which a new token is made. Each is one function: no cache, no lock. */
#ifndef FERRY_CLOUD_TOKEN_MINT_H
#define FERRY_CLOUD_TOKEN_MINT_H

#include "cloud/token.h"
#include "cloud/token/credential.h"

/* A token and how long it lives. */
struct minted {
    char token[TOKEN_MAX_BYTES];
    int seconds; /* 0: not known, never ends by itself */
    struct token_refusal refusal;
};

/* Only printable ASCII without spaces, not empty, and it fits: nothing that could break a header. */
bool mint_keep(struct minted *m, const char *token, struct err *e);

/* {"access_token":"…","expires_in":3599,…}, or for an ID token (RFC 7519) {"id_token":"…"}, which lives for
 * an hour where the answer does not say. */
enum mint_kind { MINT_ACCESS, MINT_IDENTITY };
bool mint_parse(struct minted *m, enum mint_kind kind, const char *json, size_t size, struct err *e);

/* A token endpoint: refresh token or signed assertion. A user's ID token is for the login's own client,
 * whatever it is wanted for; a service account's is for the audience (NULL: an access token). */
bool mint_user(struct http *h, const struct credential *c, enum mint_kind kind, struct minted *out,
               struct err *e);
bool mint_service_account(struct http *h, const struct credential *c, const char *audience,
                          struct minted *out, struct err *e);

/* The metadata server of a VM or of Cloud Run. The ping takes three seconds at most. */
bool metadata_is_there(struct http *h);
bool mint_metadata(struct http *h, const char *audience, struct minted *out, struct err *e);

/* `gcloud auth print-access-token`, or print-identity-token. timeout_ms: then it is killed. */
bool gcloud_is_there(void);
bool mint_gcloud(enum mint_kind kind, int timeout_ms, struct minted *out, struct err *e);

/* How far this machine's clock is from an answer's Date header, in seconds (positive: ahead); 0 without one.
 */
long clock_skew_seconds(const struct http_reply *r);

#endif
