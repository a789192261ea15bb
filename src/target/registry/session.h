/* session.h: requests to one registry: logged in when it asks for it, tried again when it makes sense.
 *
 * A 401 is answered as its challenge says: Basic, or a token fetched where it points to, for this repository
 * alone; a token that ends midway is fetched anew. The login goes to the registry itself and to the token
 * endpoint that it names, over TLS (or within this machine); Google's to none but the registry. One thread.
 */
#ifndef FERRY_TARGET_REGISTRY_SESSION_H
#define FERRY_TARGET_REGISTRY_SESSION_H

#include "base/arena.h"
#include "base/err.h"
#include "cloud/cloud.h"
#include "net/http.h"
#include "net/retry.h"
#include "target/reference.h"
#include "target/registry/login.h"

#include <signal.h>

enum { AUTHORIZATION_ROOM = 24 << 10 }; /* tokens of registries that list every right in them are long */

struct session {
    /* set by the caller */
    struct cloud *cloud;
    const struct reference *to;
    const char *mount_from; /* a repository that is read, too; NULL: none */
    struct login_given given;
    const struct retry_policy *policy;
    const volatile sig_atomic_t *stop;
    struct arena *arena;
    /* its own */
    struct login login;
    bool login_found;
    char authorization[AUTHORIZATION_ROOM]; /* "" until the registry asks */
};

enum session_flags { SESSION_ONCE = 1 /* not tried again here: the caller knows better how to go on */ };

/* True when an answer came that is worth looking at, whatever its status: after tries and after a login. url
 * may lie elsewhere (an upload's address): then nothing of the login goes along. False with *e set. */
bool session_send(struct session *s, const struct http_request *q, int flags, struct http_reply *r,
                  struct err *e);
void session_clear(struct session *s);

/* "https://registry/v2/repository" + rest, in the arena; NULL with *e set. */
char *session_url(struct session *s, struct err *e, const char *rest, ...)
    __attribute__((format(printf, 3, 4)));

#endif
