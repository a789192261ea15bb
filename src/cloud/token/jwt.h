/* jwt.h: the signed statement with which a service account asks for a token (RFC 7523). */
#ifndef FERRY_CLOUD_TOKEN_JWT_H
#define FERRY_CLOUD_TOKEN_JWT_H

#include "base/arena.h"
#include "cloud/token/credential.h"

#include <stdint.h>

/* header.claims.signature in the arena: RS256, good for an hour from now (seconds since 1970). It asks for an
 * access token, or for an ID token for that audience when there is one. NULL with *e (ERR_AUTH) set: the key
 * is not an RSA key in PEM. */
char *jwt_sign(const struct credential *c, const char *audience, int64_t now, struct arena *a, struct err *e);

/* Whether the key can sign. */
bool jwt_key_check(const struct credential *c, struct err *e);

#endif
