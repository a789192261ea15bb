/* credential.h: what a Google credential file says. */
#ifndef FERRY_CLOUD_TOKEN_CREDENTIAL_H
#define FERRY_CLOUD_TOKEN_CREDENTIAL_H

#include "base/arena.h"
#include "base/err.h"

#include <stddef.h>

enum credential_type { CREDENTIAL_USER, CREDENTIAL_SERVICE_ACCOUNT };

/* Strings in the arena; what the type does not have is NULL. */
struct credential {
    enum credential_type type;
    const char *quota_project;
    const char *client_id, *client_secret, *refresh_token; /* CREDENTIAL_USER */
    const char *email, *private_key, *key_id, *token_uri;  /* CREDENTIAL_SERVICE_ACCOUNT */
};

enum { CREDENTIAL_MAX_BYTES = 64 << 10 };

/* False with *e set: ERR_AUTH, what is wrong and what to do instead; no value of the file is quoted. */
bool credential_parse(struct credential *c, const char *text, size_t size, struct arena *a, struct err *e);

#endif
