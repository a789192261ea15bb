/* login.h: who pushes: a name and a password for a registry, as HTTP's Basic scheme wants them.
 *
 * The first that is there: what the caller gives (FERRY_REGISTRY_USER and _PASSWORD); for Google's registries
 * an access token (cloud/token.h); what `docker login` or `podman login` has written for that registry
 * (REGISTRY_AUTH_FILE, DOCKER_CONFIG/config.json, ~/.docker/config.json); nobody. Secrets: never printed. */
#ifndef FERRY_TARGET_REGISTRY_LOGIN_H
#define FERRY_TARGET_REGISTRY_LOGIN_H

#include "base/arena.h"
#include "base/err.h"
#include "cloud/cloud.h"
#include "target/reference.h"

enum { LOGIN_ROOM = 8192 }; /* of "Basic …" in base64: an access token has up to 4 KB */

struct login {
    char basic[LOGIN_ROOM];      /* the Authorization header's value; "" for nobody */
    char token[TOKEN_MAX_BYTES]; /* Google's, to say which one was refused; "" when it is none */
    char who[300];               /* for messages: "someone (FERRY_REGISTRY_USER)" */
    const char *helper; /* the program that docker's file says has the password; ferry does not run it */
};

struct login_given {
    const char *user, *password; /* NULL, both or none */
};

/* helper's string lives in the arena. False with *e set: one of the two is missing, no access token is to be
 * had, docker's file is there and cannot be read. Call login_clear. */
bool login_find(struct login *l, const struct login_given *given, struct cloud *c, const struct reference *r,
                struct arena *a, struct err *e);
void login_clear(struct login *l);

/* The text of docker's file alone: *auth is base64 of NAME:PASSWORD for that registry or NULL, *helper a
 * program or NULL. False with *e (ERR_CORRUPT) set: not such a file; no value is quoted. For login_find,
 * tests and fuzzing. */
bool login_parse(const char *text, size_t size, const char *registry, struct arena *a, const char **auth,
                 const char **helper, struct err *e);

#endif
