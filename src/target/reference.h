/* reference.h: where an image is pushed to, as people write it: REGISTRY/REPOSITORY[:TAG].
 *
 *   asia-northeast1-docker.pkg.dev/my-project/my-repo/ferry:0.1.0
 *   localhost:5000/ferry                                the tag is latest
 *   someone/ferry                                       Docker Hub
 *
 * What stands before the first slash is a registry when it has a dot or a colon or is "localhost". Registries
 * on this machine's loopback are spoken to in plain HTTP, all others over TLS. Stateless. */
#ifndef FERRY_TARGET_REFERENCE_H
#define FERRY_TARGET_REFERENCE_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>

/* Strings in the arena. */
struct reference {
    const char *registry;   /* "docker.io" for Docker Hub, however it was written */
    const char *repository; /* "my-project/my-repo/ferry" */
    const char *tag;
    const char *endpoint; /* where requests go, without a slash at its end: "https://registry-1.docker.io" */
    bool google;          /* Artifact Registry or its older sibling: Google's access tokens are its logins */
};

/* False with *e (ERR_USAGE) set: what is wrong, and what such a name looks like. */
bool reference_parse(struct reference *r, const char *text, struct arena *a, struct err *e);

/* Whether it can name a repository (distribution-spec: lower case, digits, separators, slashes). */
bool reference_is_repository(const char *text);

/* Whether it can be a tag. */
bool reference_is_tag(const char *text);

/* "localhost", "127.0.0.1", "[::1]", each with or without ":PORT". */
bool reference_is_loopback(const char *host);

#endif
