/* problem.h: answers of registries that are not what was hoped for, in a person's words. */
#ifndef FERRY_TARGET_REGISTRY_PROBLEM_H
#define FERRY_TARGET_REGISTRY_PROBLEM_H

#include "target/registry/session.h"

/* "HTTP 403: DENIED: …; what to do". The registry's own code and message (distribution-spec, "Error codes"),
 * and for what people stumble over its next step: no login, a missing right, no such repository, a tag that
 * cannot be moved, a closed billing account. Kinds as cloud_explain has them. Always false. */
bool problem_explain(const struct session *s, const struct http_reply *r, struct err *e);

#endif
