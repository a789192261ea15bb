/* challenge.h: what a 401 asks for (RFC 9110, section 11.6.1; the registry's kind of it: distribution's
 * "token authentication"):
 *
 *   WWW-Authenticate: Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="…"
 *
 * Stateless. */
#ifndef FERRY_TARGET_REGISTRY_CHALLENGE_H
#define FERRY_TARGET_REGISTRY_CHALLENGE_H

#include <stdbool.h>

enum challenge_scheme { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
    enum challenge_scheme scheme;
    char realm[1024], service[256]; /* "" when not said; a Bearer always has a realm */
};

/* The best of the challenges in a header's value: Bearer, else Basic. Values too long for their room count as
 * not said. */
void challenge_parse(const char *text, struct challenge *out);

/* The best of all such headers in http_reply's headers ("name: value\n"…). */
void challenge_find(const char *headers, struct challenge *out);

#endif
