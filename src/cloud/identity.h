/* identity.h: who calls, as a Cloud Run service asks: ID tokens (RFC 7519) for one audience, the service's
 * URL.
 *
 * Cloud Run reads the header X-Serverless-Authorization before Authorization, and takes it away: so the token
 * goes there, and Authorization stays free for the key that ferry serve may ask for. */
#ifndef FERRY_CLOUD_IDENTITY_H
#define FERRY_CLOUD_IDENTITY_H

#include "cloud/cloud.h"

#define IDENTITY_HEADER "X-Serverless-Authorization"
enum { IDENTITY_BYTES = TOKEN_MAX_BYTES };

struct identity;

/* c must outlive it. Where gcloud is set to impersonate a service account (auth/impersonate_service_account)
 * the token is that account's (iamcredentials generateIdToken), else that of the credentials themselves
 * (token_identity). NULL with *e set. */
struct identity *identity_new(struct cloud *c, const char *audience, struct err *e);
void identity_free(struct identity *i); /* NULL is fine */

/* "Bearer …", good for some minutes more. False with *e (ERR_AUTH) set. Any thread. */
bool identity_get(struct identity *i, char out[IDENTITY_BYTES], struct err *e);
/* It was refused: the next identity_get asks for another. */
void identity_refused(struct identity *i);

#endif
