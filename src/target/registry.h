/* registry.h: an image pushed to a registry (opencontainers/distribution-spec 1.0), without docker.
 *
 * Layers first, then the config, then the manifest, which makes the image appear under its tag; so whoever
 * pulls finds the old image or the new one, whole. What the registry has already is not sent: pushing the
 * same again sends nothing, pushing a new program sends that layer alone. */
#ifndef FERRY_TARGET_REGISTRY_H
#define FERRY_TARGET_REGISTRY_H

#include "base/arena.h"
#include "cloud/cloud.h"
#include "net/retry.h"
#include "target/image.h"
#include "target/reference.h"

#include <signal.h>

enum push_state { PUSH_SENDING, PUSH_WAS_THERE, PUSH_MOUNTED, PUSH_SENT };

/* What becomes of each blob, the manifest last: PUSH_SENDING before it takes time. */
typedef void (*push_fn)(void *arg, const struct image_blob *b, enum push_state state);

struct push_options {
    const struct reference *to;
    const char *mount_from; /* a repository of the same registry that may hold layers already; NULL: none */
    const char *user, *password; /* NULL: login.h's other ways */
    size_t chunk_bytes; /* of a layer in one request; 0: the whole. Not for Google, which takes none */
    const struct retry_policy *retry; /* NULL: retry_default */
    const volatile sig_atomic_t *stop;
    push_fn on_blob; /* may be NULL */
    void *arg;
};

/* False with *e set: which blob, what was answered, what to do. Nothing appears under the tag then; layers
 * that arrived stay for the next try. c: for its HTTP client and Google's tokens. */
bool registry_push(struct cloud *c, const struct image *im, const struct push_options *o, struct err *e);

/* What registry_push would ask of a registry that has nothing. */
struct push_request {
    const char *method, *url, *content_type; /* content_type NULL: no body */
    uint64_t size;
};
/* In the arena; how many into *count. NULL with *e set: no memory. */
const struct push_request *registry_plan(const struct image *im, const struct push_options *o,
                                         struct arena *a, int *count, struct err *e);

#endif
