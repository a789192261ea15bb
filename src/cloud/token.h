/* token.h: access tokens for Google's APIs, fresh when they are needed.
 *
 * Looked for in this order; the first that is there is used, and if it is broken that is an error, not a
 * reason to go on:
 *   1. FERRY_ACCESS_TOKEN, or the file FERRY_ACCESS_TOKEN_FILE names (read again when refused)
 *   2. GOOGLE_APPLICATION_CREDENTIALS
 *   3. gcloud's application_default_credentials.json
 *   4. the metadata server of a VM or of Cloud Run
 *   5. `gcloud auth print-access-token`, with a word about it
 * Credential files: authorized_user (refresh token) and service_account (RS256 signature, RFC 7523); the
 * other types are refused with what to do instead. Tokens are renewed four minutes before they end.
 *
 * Secrets stay in here and in the requests: no message, log or core name holds one. Any thread. */
#ifndef FERRY_CLOUD_TOKEN_H
#define FERRY_CLOUD_TOKEN_H

#include "base/err.h"
#include "cloud/gcloud_config.h"
#include "net/http.h"

struct token_source;

enum { TOKEN_MAX_BYTES = 4096 };

/* Finds out which of the five it is; no token is asked for yet (except that the metadata server is pinged).
 * NULL with *e (ERR_AUTH) set: none of them, with the two easiest ways to log in. h and c must outlive it. */
struct token_source *token_source_new(struct http *h, const struct gcloud_config *c, struct err *e);
void token_source_free(struct token_source *s); /* NULL is fine */

/* Who it is: "service account x@y.iam.gserviceaccount.com (GOOGLE_APPLICATION_CREDENTIALS)". */
const char *token_source_name(const struct token_source *s);
/* The credential file's quota_project_id or GOOGLE_CLOUD_QUOTA_PROJECT; NULL: none. */
const char *token_quota_project(const struct token_source *s);

/* A token that is good for four more minutes. False with *e set: ERR_AUTH (revoked, expired login, clock off:
 * each with what to do), ERR_TRANSIENT. Threads that ask at the same time wait for one renewal. */
bool token_get(struct token_source *s, char out[TOKEN_MAX_BYTES], struct err *e);

/* An API refused this token with 401: the next token_get asks anew, unless another thread already has. False
 * when asking anew cannot help (a fixed FERRY_ACCESS_TOKEN). */
bool token_refused(struct token_source *s, const char *token);

/* How the token endpoint refused the last renewal (RFC 6749, section 5.2): "invalid_grant", and what Google
 * adds to it, "invalid_rapt". Each "" when it has not. */
struct token_refusal {
    char error[40], subtype[40];
};
void token_refusal_get(struct token_source *s, struct token_refusal *out);

/* A new ID token (RFC 7519) for that audience from the same source, for identity.h. FERRY_IDENTITY_TOKEN
 * wins; a user's login gives one for its own client, which Cloud Run takes from gcloud's client
 * (print-identity-token, where gcloud is there; that it takes those of other clients is not documented).
 * *seconds: its life; 0: not known. */
bool token_identity(struct token_source *s, const char *audience, char out[TOKEN_MAX_BYTES], int *seconds,
                    struct err *e);

/* A credential file's text, for tests and fuzzing: true when it could be used. No network. */
bool token_file_check(const char *text, size_t size, struct err *e);

#endif
